"""P8: a scan reaches the engine's queue about as fast as a bare read, and journaling does not hold it up."""

import json
import os
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
        ratio = _typical(found["event"], 0.50) / _typical(found["bare"], 0.50)
        yield at_most(ratio, 2.5, part="a", what="scan to event p50 / a bare blocking read")
        if scale is Scale.SMOKE:
            # Of a few hundred scans beside other work, the p99 says more about the other work.
            yield cannot("a p99 needs more scans than a smoke run has; try --scale commit", part="b")
            return
        try:
            slow = slow_flush.environment(Path(folder), FLUSH_US)
        except CannotRun as reason:
            yield cannot(str(reason), part="b")
            return
        found = _measure(Path(folder), rounds, scans, ["event", "journal"], slow)
        ratio = _typical(found["journal"], 0.99) / _typical(found["event"], 0.99)
        yield at_most(ratio, 1.5, part="b", what="scan to event p99, journaling with 5 ms flushes / without")


def _measure(
    folder: Path, rounds: int, scans: int, modes: list[str], variables: dict[str, str]
) -> dict[str, list[list[int]]]:
    """Nanoseconds by mode, round and scan."""
    arguments = [sys.executable, "-m", "bench.scan_latency", str(folder), str(rounds), str(scans), *modes]
    done = subprocess.run(arguments, env=os.environ | variables, stdout=subprocess.PIPE, check=True)
    found: dict[str, list[list[int]]] = json.loads(done.stdout)
    for mode, taken in found.items():
        p50, p99 = _typical(taken, 0.50), _typical(taken, 0.99)
        print(f"P8 {mode}: p50 {p50 / 1000:.0f} µs, p99 {p99 / 1000:.0f} µs", file=sys.stderr)
    return found


def _typical(rounds: list[list[int]], share: float) -> float:
    """The lower quartile of the rounds' quantiles, on both sides alike: what the machine does when nobody else is at it.

    The median would tell of the neighbours: beside a busy build, a bare read's median was seen to grow twentyfold.
    """
    quantiles = sorted(sorted(taken)[int(len(taken) * share)] for taken in rounds)
    return quantiles[len(quantiles) // 4]


BENCHES = [Proof(id="P8", title="a scan", parts=("a", "b"), run=run)]
