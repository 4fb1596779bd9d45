"""P3 and P4: group commit and an awaited sale, against bare writes on the same disk, in one interleaved run each.

The floor is a preallocated file: `pwrite` of as many bytes and `fdatasync`, one after the other; its rate is the single-flush
rate. A sale is the record that completes it, some 600 B, made, encoded and awaited on the event loop through
`SqlJournal.append`, with the journal's writer on its own thread. Part b is the same with
flushes that take 5 ms longer, as on an SD card. P4c is one more scan in a sale of 500 lines with promotions on.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median

from bench import slow_flush
from bench.awaiting import PRODUCERS
from bench.long_sale import step_ms
from bench.registry import CannotRun, Proof, Result, Scale, at_least, at_most, cannot

FLUSH_US = 5_000
GROUP_GOALS = {"a": 4.0, "b": 12.0}
STEP_MS = 2.0
SALE_GOALS = {"a": 2.5, "b": 1.10}


def group_commit(scale: Scale) -> Iterator[Result]:
    """P3."""
    for part in GROUP_GOALS:
        try:
            found = _measure(scale, slow=part == "b")
        except CannotRun as reason:
            yield cannot(str(reason), part=part)
            continue
        ratio = median(found["floor"]) / median(found["producers"])
        what = f"rate of {PRODUCERS} producers / single-flush rate ({_shown(found)})"
        yield at_least(ratio, GROUP_GOALS[part], part=part, what=what)


def awaited_sale(scale: Scale) -> Iterator[Result]:
    """P4."""
    for part in SALE_GOALS:
        try:
            found = _measure(scale, slow=part == "b")
        except CannotRun as reason:
            yield cannot(str(reason), part=part)
            continue
        ratio = median(found["sale"]) / median(found["floor"])
        yield at_most(ratio, SALE_GOALS[part], part=part, what=f"awaited sale / floor ({_shown(found)})")
    taken_ms = step_ms(scale.pick(smoke=1, commit=5, release=50))
    yield at_most(
        taken_ms, STEP_MS, part="c", what="processor ms for a scan in a sale of 500 lines with 40 promotions, p50"
    )


BENCHES = [
    Proof(id="P3", title="group commit", run=group_commit, parts=("a", "b")),
    Proof(id="P4", title="an awaited sale", run=awaited_sale, parts=("a", "b", "c")),
]


def _measure(scale: Scale, *, slow: bool) -> dict[str, list[float]]:
    """Seconds a piece by contestant and round."""
    rounds = scale.pick(smoke=4, commit=30, release=150) // (2 if slow else 1)
    block = scale.pick(smoke=10, commit=30, release=50)
    variables = slow_flush.environment(FLUSH_US) if slow else {}
    # On a disk: the system's folder for temporary files may be memory, where a flush costs nothing.
    with tempfile.TemporaryDirectory(prefix="terminald-p3-", dir=Path.cwd()) as folder:
        done = subprocess.run(
            [sys.executable, "-m", "bench.awaiting", folder, str(rounds), str(block)],
            env=os.environ | variables,
            stdout=subprocess.PIPE,
            check=True,
        )
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _shown(found: dict[str, list[float]]) -> str:
    return ", ".join(f"{name} {median(taken) * 1e6:.0f} µs" for name, taken in found.items())
