"""``python -m demo``: the virtual counter on the screen, or a seeded crowd without one."""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from demo.headless import Outcome


def main() -> int:
    """Plays the demonstration; status 0 only when all totals agree."""
    given = _parser().parse_args()
    root = given.directory
    kept = root is not None
    if root is None:
        root = Path(tempfile.mkdtemp(prefix="terminald-demo-"))
    if given.headless:
        return _headless(given, root.resolve(), kept)
    from demo.app import run

    return run(root.resolve(), kept=kept)


def _headless(given: argparse.Namespace, root: Path, kept: bool) -> int:
    from demo.headless import play
    from demo.layout import Layout
    from demo.processes import DidNotStart

    try:
        outcome = asyncio.run(play(root, sales=given.sales, seed=given.seed, chaos=given.chaos, say=_say))
    except (DidNotStart, FileExistsError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if given.json:
        print(msgspec.json.encode(_plain(outcome)).decode())
    else:
        _tell(outcome)
    if not outcome.agrees:
        print(f"demo: the totals do not agree; everything is kept in {root}", file=sys.stderr)
        return 1
    if not kept:
        Layout(root).remove()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make demo", description="A shop's counter at work, simulated to the cable.")
    parser.add_argument("--headless", action="store_true", help="no screen: a seeded crowd of shoppers")
    parser.add_argument("--sales", type=_count, default=200, metavar="N", help="sales to complete (headless)")
    parser.add_argument("--seed", type=int, default=7, metavar="S", help="the same seed buys the same things")
    parser.add_argument("--chaos", type=int, default=0, metavar="K", help="so many plug pulls and broker stops")
    parser.add_argument("--json", action="store_true", help="the outcome as one JSON object on the last line")
    parser.add_argument("--directory", type=Path, metavar="DIR", help="keep all that the run writes")
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least one sale")
    return value


def _say(text: str) -> None:
    print(f"demo: {text}", file=sys.stderr, flush=True)


def _plain(outcome: "Outcome") -> dict[str, object]:
    plain: dict[str, object] = msgspec.to_builtins(outcome)
    if plain.get("finding") is None:
        plain.pop("finding", None)
    return plain


def _tell(outcome: "Outcome") -> None:
    plain = _plain(outcome)
    for name, value in plain.items():
        print(f"{name:>14}  {value}")


if __name__ == "__main__":
    sys.exit(main())
