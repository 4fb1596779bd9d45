"""Runs proofs and benchmarks, and prints one line for each figure.

With ``--json`` a line is ``{"id", "figure", "goal", "holds"}``, and ``reason`` where it does not hold or could not run.
The exit status is 1 if anything does not hold, 2 for a wrong argument.
"""

import argparse
import json
import os
import sys
import time
import traceback
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType
from typing import TextIO

from bench.registry import CannotRun, Entry, Figure, Proof, Result, Scale, cannot, entries


def main(package: ModuleType, attribute: str, arguments: Sequence[str] | None = None) -> int:
    """The command line of ``python -m bench`` and ``python -m tests.proofs``."""
    known = entries(package, attribute)
    parser = argparse.ArgumentParser(prog=f"python -m {package.__name__}", description=package.__doc__)
    parser.add_argument("--only", metavar="ID,ID", help="these ids or parts of them (P1, P1a) alone")
    parser.add_argument("--scale", type=Scale, choices=list(Scale), default=Scale.COMMIT)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    parser.add_argument("--again", action="store_true", help="what does not hold is run once more, and said to be")
    options = parser.parse_args(arguments)
    try:
        wanted = select(known, options.only)
    except LookupError as error:
        parser.error(str(error.args[0]))
    return report(run_all(wanted, options.scale, again=options.again), as_json=options.json, out=_private_stdout())


def select(known: Sequence[Entry], only: str | None) -> list[tuple[Entry, str]]:
    """The entries to run, each with the one part wanted or "" for all. Raises LookupError for an unknown id."""
    if only is None:
        return [(entry, "") for entry in known]
    chosen: list[tuple[Entry, str]] = []
    for name in only.replace(" ", "").split(","):
        number = name.rstrip("abcdefghijklmnopqrstuvwxyz").upper()
        found = [entry for entry in known if entry.id == number]
        if not found:
            raise LookupError(f"no {name} among {', '.join(entry.id for entry in known)}")
        chosen += [(entry, name[len(number) :]) for entry in found]
    return chosen


def run_all(
    wanted: Iterable[tuple[Entry, str]], scale: Scale, *, again: bool = False
) -> Iterator[tuple[str, str, Result]]:
    """Gives (id, title, result) as each becomes known.

    `again` is for machines that others use too: a process that is late there is no finding, and one that is wrong is so
    twice.
    """
    for entry, part in wanted:
        began_s = time.monotonic()
        try:
            proof = entry.load()
        except Exception as error:
            yield entry.id, entry.module, _failed(error, part)
            continue
        results = list(run_one(proof, scale))
        if again and any(result.holds is False for result in results):
            reasons = "; ".join(result.reason or result.what for result in results if result.holds is False)
            print(f"{entry.id}: does not hold ({reasons}); once more", file=sys.stderr)
            results = list(run_one(proof, scale))
        for result in results:
            if part in ("", result.part):
                yield entry.id, proof.title, result
        print(f"{entry.id}: {time.monotonic() - began_s:.1f} s", file=sys.stderr)


def run_one(proof: Proof, scale: Scale) -> Iterator[Result]:
    """Every declared part gives a result, whatever happens in the run."""
    missing = list(proof.parts)
    try:
        for result in proof.run(scale):
            if result.part not in missing:
                raise ValueError(f"part {result.part!r} came twice or is not among {proof.parts}")
            missing.remove(result.part)
            yield result
    except CannotRun as error:
        yield from (cannot(str(error), part=part) for part in missing)
    except Exception as error:
        yield from (_failed(error, part) for part in missing or proof.parts)
    else:
        yield from (_failed(LookupError("the run gave no such result"), part) for part in missing)


def report(results: Iterable[tuple[str, str, Result]], *, as_json: bool, out: TextIO) -> int:
    """Prints each result as it comes; the exit status."""
    broken = 0
    for id_, title, result in results:
        broken += result.holds is False
        print(_json(id_, result) if as_json else _row(id_, title, result), file=out, flush=True)
    return 1 if broken else 0


def _failed(error: Exception, part: str) -> Result:
    traceback.print_exception(error)
    return Result(figure=None, goal=None, holds=False, part=part, reason=f"{type(error).__name__}: {error}")


def _json(id_: str, result: Result) -> str:
    line: dict[str, object] = {
        "id": id_ + result.part,
        "figure": result.figure,
        "goal": result.goal,
        "holds": result.holds,
    }
    if result.reason:
        line["reason"] = result.reason
    return json.dumps(line)


def _row(id_: str, title: str, result: Result) -> str:
    verdict = {True: "holds", False: "FAILS", None: "not run"}[result.holds]
    what = f"{title}: {result.what}" if result.what else title
    figures = f"{_short(result.figure)} against {_short(result.goal)}" if result.figure is not None else result.reason
    return f"{id_ + result.part:<5} {verdict:<8} {what:<60} {figures}"


def _short(figure: Figure | None) -> str:
    return f"{figure:.4g}" if isinstance(figure, float) else str(figure)


def _private_stdout() -> TextIO:
    """Standard output for results alone: whatever else this process or a child prints goes to standard error."""
    sys.stdout.flush()
    own = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return own
