"""P2: what a durable commit costs the medium, in flushes and bytes; the same on any machine.

A process over a counting shim makes its journal and closes it; another one makes commits in between. The difference,
checkpoints of the log included, is what the commits cost.
"""

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from bench.registry import Proof, Result, Scale, at_most
from tests.shim.boundary import read_log
from tests.shim.boundary import run as run_over_shim

FLUSHES_GOAL = 1.05
KILOBYTES_GOAL = 14.0


def run(scale: Scale) -> Iterator[Result]:
    """Flushes (P2a) and kilobytes of 1000 B (P2b) a commit."""
    commits = scale.pick(smoke=300, commit=5_000, release=100_000)
    idle_flushes, idle_bytes = _count(0)
    flushes, written = _count(commits)
    yield at_most((flushes - idle_flushes) / commits, FLUSHES_GOAL, part="a", what="flushes a commit")
    yield at_most((written - idle_bytes) / commits / 1000, KILOBYTES_GOAL, part="b", what="kB written a commit")


BENCHES = [Proof(id="P2", title="what a durable commit costs the medium", parts=("a", "b"), run=run)]


def _count(commits: int) -> tuple[int, int]:
    """The flushes and the bytes of a whole process that makes that many commits."""
    with tempfile.TemporaryDirectory(prefix="terminald-p2-") as name:
        folder, log = Path(name, "terminal"), Path(name, "calls")
        folder.mkdir()
        ended = run_over_shim(
            [sys.executable, "-m", "bench.committing", str(folder), str(commits)], folder, log=str(log)
        )
        if ended.returncode != 0:
            raise RuntimeError(f"the process that commits ended with {ended.returncode}: {ended.stderr}")
        calls = read_log(log)
    return sum(call.flushes for call in calls), sum(call.bytes for call in calls if call.writes)
