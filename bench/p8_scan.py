"""P8: a scan reaches the engine's queue about as fast as a bare read, and journaling does not hold it up."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench import slow_flush
from bench.registry import CannotRun, Proof, Result, Scale, at_most, cannot

FLUSH_US = 5000
"""The flush of an SD card."""


def run(scale: Scale) -> Iterator[Result]:
    rounds = scale.pick(smoke=12, commit=40, release=400)
    scans = scale.pick(smoke=100, commit=200, release=500)
    with tempfile.TemporaryDirectory() as folder:
        found = _measure(Path(folder), rounds, scans, ["bare", "event"], {})
        ratio = _ratio(found["event"], found["bare"], 0.50)
        yield at_most(ratio, 2.5, part="a", what="scan to event p50 / a bare blocking read")
        if scale is Scale.SMOKE:
            # Of a few hundred scans beside other work, the p99 says more about the other work.
            yield cannot("a p99 needs more scans than a smoke run has; try --scale commit", part="b")
            return
        try:
            slow = slow_flush.environment(FLUSH_US)
        except CannotRun as reason:
            yield cannot(str(reason), part="b")
            return
        found = _measure(Path(folder), rounds, scans, ["event", "journal"], slow)
        ratio = _ratio(found["journal"], found["event"], 0.99)
        yield at_most(ratio, 1.5, part="b", what="scan to event p99, journaling with 5 ms flushes / without")


def _measure(
    folder: Path, rounds: int, scans: int, modes: list[str], variables: dict[str, str]
) -> dict[str, list[list[int]]]:
    """Nanoseconds by mode, round and scan."""
    arguments = [sys.executable, "-m", "bench.scan_latency", str(folder), str(rounds), str(scans), *modes]
    done = subprocess.run(arguments, env=os.environ | variables, stdout=subprocess.PIPE, check=True)
    found: dict[str, list[list[int]]] = json.loads(done.stdout)
    for mode, taken in found.items():
        p50, p99 = (statistics.median(_quantile(turn, share) for turn in taken) for share in (0.50, 0.99))
        print(f"P8 {mode}: p50 {p50 / 1000:.0f} µs, p99 {p99 / 1000:.0f} µs", file=sys.stderr)
    return found


def _ratio(of: list[list[int]], to: list[list[int]], share: float) -> float:
    """The median, over the calmest turns, of one mode's quantile in units of the other's in the same turn.

    Neighbours in time share the machine's mood. Calm are the turns in which both together took least: where others keep
    the processors busy, how late a reader is woken says nothing about what it then does.
    """
    turns = [(_quantile(one, share), _quantile(other, share)) for one, other in zip(of, to, strict=True)]
    calm = sorted(turns, key=sum)[: max(3, len(turns) // 4)]
    return statistics.median(one / other for one, other in calm)


def _quantile(taken: list[int], share: float) -> int:
    return sorted(taken)[int(len(taken) * share)]


BENCHES = [Proof(id="P8", title="a scan", parts=("a", "b"), run=run)]
