"""S12: the case's switch opens, and within 100 ms the keys are in no memory; the latch outlasts plug pulls, and only
headquarters' signed order releases it. The journal is whole, and opens with the organisation's recovery key.

The real daemon, RPi.GPIO's real module on a simulated board, a busy counter. The time is from the board's edge until the
kernel shows another address space under the daemon's id, or none; the memory of whatever is there then is searched for
each key (by root alone: the daemon hides its memory from all others), after the same search has found them in the
daemon that sells. Daemons that are careless about their case go through the same, and must be caught.
"""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.proofs.careless_case import GUARDS
from tests.proofs.opened_case import GONE_MS_MAX, Seen, open_the_case
from tests.proofs.registry import Proof, Result, Scale


def run(scale: Scale) -> Iterator[Result]:
    """Openings of one terminal's case; then one of each mutant's."""
    seen = _watch(scale.pick(smoke=1, commit=20, release=500), None)
    for fault in seen.faults:
        print(f"S12: {fault}", file=sys.stderr)
    mutants = dict(list(GUARDS.items())[:1]) if scale is Scale.SMOKE else GUARDS
    caught = {name: bool(_watch(1, name).faults) for name in mutants}
    slowest_ms = max(seen.gone_ms, default=float("inf"))
    told = ", ".join(f"{name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        figure=round(slowest_ms, 1),
        goal=GONE_MS_MAX,
        holds=not seen.faults and slowest_ms <= GONE_MS_MAX and all(caught.values()),
        what=(
            f"ms from the edge until the keys are gone, the slowest of {len(seen.gone_ms)}; latched over plug pulls,"
            f" released by headquarters' order alone, {seen.sales} sales whole, recovered elsewhere; mutants: {told}"
        ),
        reason="; ".join(seen.faults[:3])
        or "; ".join(f"{name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="S12", title="tamper", run=run)]


def _watch(openings: int, mutant: str | None) -> Seen:
    command = ("-m", "tests.proofs.careless_case", mutant) if mutant is not None else None
    with tempfile.TemporaryDirectory(prefix="terminald-s12-") as name, contextlib.redirect_stdout(sys.stderr):
        return asyncio.run(open_the_case(Path(name), openings, command))
