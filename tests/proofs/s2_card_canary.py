"""S2: no card's number, track, security code or PIN is kept or told, by whichever door it came, also where it crashed.

Cards that exist nowhere else are pushed into every door of a real terminal with a real broker and collector
(`tests.proofs.canary_doors`), which is killed in mid-flow; then all that it and headquarters keep or have said is opened
and searched (`tests.proofs.canary_places`, `tests.proofs.card_canary`): databases with their free pages and logs, the
stick, backups, logs, what commands, screens, views and answers show, paper, every MQTT message, and a core file, of which
there must be none. Daemons that talk in one way each go through the same, and must be found out.

What nobody could tell is not pushed: a number of 13 or 14 digits that has an article's check digit and a card's, and a
security code or a PIN without a word that says what it is, where an article's number belongs.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.proofs.registry import Proof, Result, Scale
from tests.proofs.talkative import Fault

AT_ONCE = 2
RUN_TIMEOUT_S = 4 * 3_600.0
MUTANT_CARDS = 4
MISSED_MAX = 0.01
"""Of scanned codes, the share that may have been lost on the cable. With more, too little was shown."""
CORE_PATTERN = Path("/proc/sys/kernel/core_pattern")


@dataclass(frozen=True, slots=True, kw_only=True)
class Till:
    """One terminal: how many cards, which ones, and what is wrong with it."""

    cards: int
    seed: int
    fault: Fault | None = None


def run(scale: Scale) -> Iterator[Result]:
    """Some cards at two terminals, but for a smoke; then the mutants."""
    cards = scale.pick(smoke=[6], commit=[500, 500], release=[2_500] * 4)
    tills = [Till(cards=count, seed=seed) for seed, count in enumerate(cards, 1)]
    faults = (Fault.KEEPS,) if scale is Scale.SMOKE else tuple(Fault)
    if not _leaves_cores():
        faults = tuple(fault for fault in faults if fault is not Fault.DUMPS)
    mutants = [Till(cards=MUTANT_CARDS, seed=1, fault=fault) for fault in faults]
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="s2") as pool:
        seen = list(pool.map(_watch, [*tills, *mutants]))
    ran, caught = (
        seen[: len(tills)],
        {str(till.fault): each for till, each in zip(mutants, seen[len(tills) :], strict=True)},
    )
    found = {place: times for each in ran for place, times in each["found"].items()}
    scanned, missed = sum(each["pushed"]["scanned"] for each in ran), sum(each["missed"] for each in ran)
    through = [name for name, each in caught.items() if not each["found"]]
    unseen = sorted({place for each in ran for place in each["unseen"]})
    pushed = sum(sum(each["pushed"].values()) for each in ran)
    yield Result(
        figure=sum(found.values()),
        goal=0,
        holds=not found and not through and not unseen and missed <= MISSED_MAX * scanned,
        what=(
            f"traces of {sum(cards)} cards, pushed {pushed} times into {len(ran[0]['pushed'])} kinds of doors, with"
            f" {sum(each['kills'] for each in ran)} kills in mid-flow, in {sum(each['searched_mib'] for each in ran)} MiB;"
            f" {'no core file' if _leaves_cores() else 'core files go elsewhere on this machine'}; mutants:"
            f" {', '.join(f'{name} {_caught(each)}' for name, each in caught.items())}"
        ),
        reason="; ".join(
            [
                *list(found)[:5],
                *(f"the mutant {name} got through" for name in through),
                *(f"{place} was not there to be searched" for place in unseen),
                *([f"{missed} of {scanned} codes were not seen to be read"] if missed > MISSED_MAX * scanned else []),
            ]
        ),
    )


PROOFS = [Proof(id="S2", title="card canary", run=run)]


def _watch(till: Till) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="terminald-s2-") as name:
        done = subprocess.run(
            [
                *(sys.executable, "-m", "tests.proofs.canary_shop", str(Path(name, "shop"))),
                *(str(till.cards), str(till.seed), *([till.fault] if till.fault else [])),
            ],
            stdout=subprocess.PIPE,
            stderr=None if till.fault is None else subprocess.PIPE,
            text=True,
            timeout=RUN_TIMEOUT_S,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"the terminal did not get through: status {done.returncode}: {done.stderr or ''}"[-2_000:])
    seen: dict[str, Any] = json.loads(done.stdout.strip().rpartition("\n")[2])
    return seen


def _leaves_cores() -> bool:
    """Whether a process that dies here leaves a core file in its folder, if it may."""
    return CORE_PATTERN.exists() and CORE_PATTERN.read_text()[:1] not in ("|", "/")


def _caught(seen: dict[str, Any]) -> str:
    return f"caught in {len(seen['found'])} places" if seen["found"] else "NOT caught"
