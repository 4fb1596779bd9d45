"""R4: a call to the disk that fails makes no false acknowledgement, and a failed flush ends the process.

R4a: a real till over the shim. Its n-th call (open, write, fsync, fdatasync, truncate, unlink, rename) fails with EIO, ENOSPC
or EROFS, or writes half of its bytes, once and for good, the first boot included. Then: what was acknowledged is there after
a restart, in order and once, and every idempotency key says whether its step was kept. After a failed flush the process
ends within a second with its condition, and never flushes that file again. Its pages are then taken for clean, as Linux
does: power cuts there, and after a restart on what the page cache still shows, lose nothing that was acknowledged.

R4b: the real daemon, `terminald run`, on failing flushes and writes, also one that nobody waits for: status 70, condition
and remedy on standard error, all within a second; after a restart the order's key tells what became of it.

Mutants of the store (acknowledging before the commit, trying a failed flush again, taking it for a good one, starting from
the page cache) must be caught.
"""

import errno
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.proofs.failing_calls import ERRORS, Case, Examiner, Outcome
from tests.proofs.failing_daemon import Examination, examine_daemon
from tests.proofs.registry import Proof, Result, Scale
from tests.proofs.workers import place, workers
from tests.shim.trader import Fault

FAULTS_SHOWN = 10
MUTANTS = (Fault.EARLY_ACK, Fault.RETRY, Fault.IGNORE, Fault.NO_REWRITE)


_FIRST = Examination(kinds="fdatasync", at=1, action=errno.EIO, order=True)
_MORE = (
    Examination(kinds="fdatasync", at=1, action=errno.ENOSPC, order=True),
    Examination(kinds="fdatasync", at=1, action=errno.EIO, order=False),
    Examination(kinds="pwrite", at=0, action=errno.EIO, order=True),
    Examination(kinds="pwrite", at=0, action=errno.ENOSPC, order=True),
    Examination(kinds="pwrite", at=0, action=errno.EROFS, order=True, for_good=True),
    Examination(kinds="pwrite", at=0, action="short", order=True, for_good=True),
)


def run(scale: Scale) -> Iterator[Result]:
    """The faults found over all failing calls, then over the daemon's."""
    yield _calls(scale)
    yield _daemon(scale)


PROOFS = [Proof(id="R4", title="failing calls to the disk", run=run, parts=("a", "b"))]


def _calls(scale: Scale) -> Result:
    steps = scale.pick(smoke=12, commit=12, release=90)
    with workers("r4") as pool:
        calls = pool.submit(_count, steps).result()
        cases = [
            Case(at=at, error=error, for_good=for_good)
            for error in ERRORS
            for for_good in (False, True)
            for at in range(1, calls + 1)
        ]
        step = scale.pick(smoke=len(cases) // 15, commit=1, release=1)
        outcomes = list(pool.map(_examine, cases[::step], [steps] * len(cases), chunksize=8))
        caught = {
            fault: sum(bool(outcome.faults) for outcome in pool.map(_examine, _flushes(scale, fault), [steps] * 99))
            for fault in MUTANTS
        }
    faults = [fault for outcome in outcomes for fault in outcome.faults]
    for fault in faults[:FAULTS_SHOWN]:
        print(f"R4a: {fault}", file=sys.stderr)
    kinds = Counter(outcome.failed_kind for outcome in outcomes if outcome.failed_kind)
    told = ", ".join(f"{fault} in {count} of {len(_flushes(scale, fault))}" for fault, count in caught.items())
    missed = [fault for fault, count in caught.items() if not count]
    return Result(
        figure=len(faults),
        goal=0,
        holds=not faults and not missed and sum(kinds.values()) > 0,
        part="a",
        what=f"faults over {_told(kinds)}; mutants caught: {told}",
        reason="; ".join(faults[:3]) or (f"a mutant got through: {', '.join(missed)}" if missed else ""),
    )


def _daemon(scale: Scale) -> Result:
    examinations = (_FIRST, *scale.pick(smoke=(), commit=_MORE, release=_MORE))
    with tempfile.TemporaryDirectory(prefix="terminald-r4-") as name:
        faults = [
            fault
            for number, examination in enumerate(examinations)
            for fault in examine_daemon(examination, Path(name, str(number)))
        ]
    return Result(
        figure=len(faults),
        goal=0,
        holds=not faults,
        part="b",
        what=f"faults over {len(examinations)} runs of terminald",
        reason="; ".join(faults[:3]),
    )


def _flushes(scale: Scale, fault: Fault) -> list[Case]:
    """What a mutant is given: the first flushes of commits, each failing once."""
    which = scale.pick(smoke=(3,), commit=(1, 2, 3, 4), release=(1, 2, 3, 4))
    errors = scale.pick(smoke=("EIO",), commit=("EIO", "ENOSPC", "EROFS"), release=("EIO", "ENOSPC", "EROFS"))
    return [
        Case(at=at, error=error, for_good=False, kinds="fdatasync", fault=fault) for error in errors for at in which
    ]


def _count(steps: int) -> int:
    nursery, scratch = place()
    return Examiner(scratch, nursery, steps).count_calls()


def _examine(case: Case, steps: int) -> Outcome:
    nursery, scratch = place()
    return Examiner(scratch, nursery, steps).examine(case)


def _told(kinds: Counter[str]) -> str:
    return f"{sum(kinds.values())} failed calls ({', '.join(f'{count} {kind}' for kind, count in kinds.items())})"
