"""A till one of whose calls to the disk fails, and what its acknowledgements, its end and its restart are worth then.

The flush of a folder is judged by what a power cut leaves alone: SQLite keeps the failure of one to itself, the store syncs
the folder once more after it, and where a file system cannot write its names, its own journal has failed, which is final.
"""

import asyncio
import errno
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from store.errors import JournalError
from store.writer import InlineWriter
from tests.proofs.crash_states import Known, judge, lay_out
from tests.shim.disk import Disk
from tests.shim.nursery import Ended, Nursery
from tests.shim.trace import Event, Kind, read_trace
from tests.shim.trader import REFUSED, Fault, key_of, open_till, step_of

KINDS = "open,write,pwrite,fsync,fdatasync,truncate,allocate,unlink,rename"
ERRORS: dict[str, str | int] = {
    "EIO": errno.EIO,
    "ENOSPC": errno.ENOSPC,
    "EROFS": errno.EROFS,
    "short": "short",
}
END_S_MAX = 1.0
IMAGES = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The call `at` fails, and with `for_good` each after it."""

    at: int
    error: str
    for_good: bool
    kinds: str = KINDS
    fault: Fault | None = None

    def __str__(self) -> str:
        which = "call" if self.kinds == KINDS else self.kinds
        return f"{self.error} at {which} {self.at}{' and after' if self.for_good else ''}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of a case: whether the call was reached at all, and whether it was a flush; what was wrong."""

    failed_kind: str | None
    faults: list[str]


@dataclass(slots=True)
class Examiner:
    """Runs cases one after the other, in folders of its own."""

    scratch: Path
    nursery: Nursery
    steps: int

    def count_calls(self) -> int:
        """How many calls a till makes that nobody disturbs."""
        log = self.scratch / "log"
        folder = self._fresh()
        ended = self.nursery.trade(folder, self.steps, 0, log=str(log), kinds=KINDS)
        assert ended.status == 0, ended.complained
        return len(log.read_text().splitlines())

    def examine(self, case: Case) -> Outcome:
        """One till with its failing call; started again, also after a power cut."""
        folder, trace, told = self._fresh(), self.scratch / "trace", self.scratch / "told"
        for path in (trace, told):
            path.unlink(missing_ok=True)
        ended = self.nursery.trade(
            folder,
            self.steps,
            0,
            case.fault,
            trace=str(trace),
            told=str(told),
            kinds=case.kinds,
            at=case.at,
            action=ERRORS[case.error],
            last=int(case.for_good),
        )
        if not told.exists():
            return Outcome(failed_kind=None, faults=[])
        failed = [line.split(" ", 3) for line in told.read_text().splitlines()]
        events = read_trace(trace, folder)
        flush = next((line for line in failed if line[1] in ("fsync", "fdatasync") and line[3] != folder.name), None)
        faults = _ending(ended, events, int(flush[2]) if flush else None) + _no_retry(events)
        faults += asyncio.run(_restart(folder, events)) if flush is None else self._live_on(case, folder, trace)
        return Outcome(failed_kind=failed[0][1], faults=[f"{case}: {fault}" for fault in faults])

    def _live_on(self, case: Case, folder: Path, trace: Path) -> list[str]:
        """After a failed flush: power cuts, a start on what is in the page cache, and power cuts again."""
        events = read_trace(trace, folder)
        failed = next(number for number, event in enumerate(events) if _is_failed_flush(event))
        faults = self._power_cuts(case, events, failed)
        ended = self.nursery.trade(folder, self.steps, 1, case.fault, trace=str(trace))
        if ended.status != 0:
            return [*faults, f"it does not start again: {ended.complained[-200:]}"]
        return faults + self._power_cuts(case, read_trace(trace, folder), len(events))

    def _power_cuts(self, case: Case, events: Sequence[Event], begin: int) -> list[str]:
        """Judges what is left where the power fails at one of the events from `begin` on, or after the last."""
        disk, known, random = Disk(), Known(), Random(str(case))
        moments = {len(events), *random.choices(range(begin, len(events) + 1), k=IMAGES - 1)}
        faults = []
        with asyncio.Runner() as runner:
            for moment in range(len(events) + 1):
                if moment in moments:
                    fault = judge(
                        disk.image(random), known, self.scratch / "image", runner, go_on=moment == len(events)
                    )
                    faults += [f"after a power cut: {fault}"] if fault else []
                if moment < len(events):
                    disk.take(events[moment])
                    known.hear(events[moment])
        return faults

    def _fresh(self) -> Path:
        folder = self.scratch / "till"
        shutil.rmtree(folder, ignore_errors=True)
        lay_out(folder, {})
        return folder


def _ending(ended: Ended, events: Sequence[Event], flush_failed_ns: int | None) -> list[str]:
    """Whether the process ended as it must: by itself, with its condition, and soon after a failed flush.

    What fails in closing, with everything synced before and nobody to be told, may end well.
    """
    if ended.status not in (0, REFUSED):
        return [f"it ended with {ended.status}: {ended.complained[-300:]}"]
    if ended.status == REFUSED and ": " not in ended.complained:
        return ["it does not say why it ended"]
    if flush_failed_ns is None:
        return []
    if ended.status == 0 and _went_on(events):
        return ["a flush failed, and it went on"]
    took_s = (ended.ended_ns - flush_failed_ns) / 1e9
    return [f"it ended {took_s:.2f} s after the failed flush"] if took_s > END_S_MAX else []


def _went_on(events: Sequence[Event]) -> bool:
    failed = next(number for number, event in enumerate(events) if _is_failed_flush(event))
    return any(event.kind is Kind.SAID for event in events[failed:])


def _is_failed_flush(event: Event) -> bool:
    return event.kind is Kind.FLUSHED and event.outcome != 0 and event.name != ""


def _no_retry(events: Sequence[Event]) -> list[str]:
    """A file in use whose flush failed is never flushed again by the same process."""
    failed: set[int] = set()
    for event in events:
        if event.kind is Kind.FLUSHED and event.inode in failed:
            return [f"a failed flush of {event.name} was tried again"]
        if _is_failed_flush(event) and ".new" not in event.name:
            failed.add(event.inode)
    return []


async def _restart(folder: Path, events: Sequence[Event]) -> list[str]:
    """Starts again without a fault, and without a power cut: all that was acknowledged is there, and its keys say so."""
    known = Known()
    for event in events:
        known.hear(event)
    try:
        async with await open_till(folder, InlineWriter) as journal:
            steps = [step async for record in journal.replay() if (step := step_of(record)) is not None]
            acknowledged = max(known.hashes, default=-1) + 1
            if steps != list(range(len(steps))):
                return [f"the steps are not there once each and in order: {steps}"]
            if not acknowledged <= len(steps) <= known.asked:
                return [f"{acknowledged} steps were acknowledged, {known.asked} asked for, {len(steps)} are there"]
            for number in range(known.asked + 3):
                key = key_of(number)
                if key is not None and (await journal.find(key) is not None) != (number < len(steps)):
                    return [f"the key of step {number} does not tell the truth"]
    except JournalError as error:
        return [f"it does not start again: {error.code}: {error}"]
    return []
