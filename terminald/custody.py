"""Keeps the journal true while the till sells: opens an epoch where headquarters proves that one is due, looks through all
records within the hour, and prunes what headquarters has archived.

None of it is in a sale's way: what is read is read in small pieces by other threads, with pauses.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from core.delivery import Ack, AckError, open_ack
from core.entries import AnyEntry, EpochOpened, JournalVerified, SegmentPruned
from core.ledger import ClockQuality, Head, Stamp
from core.ports import Clock, JournalError, Signer
from core.text import Message, message
from store.epochs import NUMBERS_SKIPPED, NUMBERS_SKIPPED_BLIND
from store.findings import Verification
from store.pruning import Archived, Sign
from store.verify import Steps, verify_in_steps

FIRST_PASS_AFTER_S = 120.0
PASS_EVERY_S = 24 * 3600.0
PASS_SHARE = 10
"""Of the time of a pass, one part in so many is work; a million records take some minutes."""
PAUSE_MIN_S = 0.05
PRUNE_EVERY_S = 3600.0
PRUNE_PAUSE_S = 1.0
_MS_A_DAY = 86_400_000

_EPOCH_MESSAGES = {
    "rollback": "journal-rollback",
    "fork": "journal-fork",
    "copied": "journal-copied",
    "anchor-lost": "journal-anchor",
    "anchor-foreign": "journal-anchor",
    "headquarters-ahead": "journal-behind",
    "headquarters-fork": "journal-fork",
}

_log = logging.getLogger(__name__)


class Acknowledged(Protocol):
    """Headquarters' newest answer about an epoch, as it is kept."""

    @property
    def seq(self) -> int:
        """Its mark."""

    @property
    def ack(self) -> bytes:
        """As it came."""


class Span(Protocol):
    """An epoch of the journal."""

    @property
    def prev(self) -> Head:
        """The head before its first record."""


class KeptJournal(Protocol):
    """What is needed of the journal."""

    @property
    def opened(self) -> EpochOpened | None:
        """The first entry of the epoch that had to be opened at this start."""

    @property
    def anchor_fault(self) -> str | None:
        """Why there is no anchor."""

    @property
    def head(self) -> Head:
        """The last record."""

    async def acknowledged(self, epoch: str) -> Acknowledged | None:
        """Headquarters' newest answer."""

    async def spans(self) -> Sequence[Span]:
        """The epochs, the oldest first."""

    async def prune(
        self, archived: Archived, before_ms: int, *, terminal: str, sign: Sign, stamp: Stamp, records: int
    ) -> SegmentPruned | None:
        """Prunes one segment."""


class Keeper(Protocol):
    """What is needed of the engine."""

    async def note(self, *entries: AnyEntry) -> None:
        """Keeps an entry."""

    async def open_epoch(self, reason: str, *, skip: int = 0, lost_seq: int = 0) -> None:
        """Goes on under another epoch."""


class Custody:
    """One run's care for the journal at `path`. `proof` gives headquarters' word that the journal is not the true one."""

    def __init__(
        self,
        *,
        path: Path,
        key: bytes,
        terminal: str,
        journal: KeptJournal,
        engine: Keeper,
        signer: Signer,
        clock: Clock,
        ack_key: bytes | None,
        keep_days: int,
        segment_records: int,
        proof: Callable[[], Ack | None],
        clock_doubtful: Callable[[], bool],
        changed: Callable[[], None],
        first_pass_after_s: float = FIRST_PASS_AFTER_S,
    ) -> None:
        self.verification: Verification | None = None
        """What the last pass over all records found."""
        self._path = path
        self._key = key
        self._terminal = terminal
        self._journal = journal
        self._engine = engine
        self._signer = signer
        self._clock = clock
        self._ack_key = ack_key
        self._keep_days = keep_days
        self._segment_records = segment_records
        self._proof = proof
        self._clock_doubtful = clock_doubtful
        self._changed = changed
        self._first_pass_after_s = first_pass_after_s
        self._opened = journal.opened.reason if journal.opened is not None else None
        self._passed_ms = 0
        self._pass = asyncio.Lock()
        self._news = asyncio.Event()
        if self._opened is not None:
            _log.error("the journal goes on in a new epoch: %s", self._opened)

    def look(self) -> None:
        """Headquarters may have said something."""
        self._news.set()

    def conditions(self) -> tuple[Message, ...]:
        """What is the matter with the journal, for the screen."""
        told = []
        found = self.verification
        if found is not None and not found.whole:
            told.append(message("journal-not-whole", kind=found.kind or "", record=found.first or 0))
        if self._opened in _EPOCH_MESSAGES:
            told.append(message(_EPOCH_MESSAGES[self._opened]))
        if self._journal.anchor_fault is not None:
            told.append(message("journal-unanchored"))
        return tuple(told)

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """Flat facts for telemetry and status."""
        found = self.verification
        return {
            "epoch_opened": self._opened,
            "verified_ms": self._passed_ms or None,
            "verified_records": found.records if found is not None else None,
            "verified_whole": found.whole if found is not None else None,
            "verified_kind": found.kind if found is not None else None,
        }

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._follow_headquarters(), name="epochs")
            tasks.create_task(self._verify_for_ever(), name="verify")
            tasks.create_task(self._prune_for_ever(), name="prune")

    # --- epochs --------------------------------------------------------------------------------------------------

    async def _follow_headquarters(self) -> None:
        """Headquarters holds what this journal has not, under the same numbers: it goes on under others."""
        while True:
            await self._news.wait()
            self._news.clear()
            proof, head = self._proof(), self._journal.head
            if proof is None or proof.epoch != head.epoch:
                continue
            ahead = proof.hwm - head.seq
            self._opened = "headquarters-ahead" if ahead > 0 else "headquarters-fork"
            _log.error("the journal goes on in a new epoch: %s", self._opened)
            # Each record that is missing has opened one transaction at most.
            skip = ahead + NUMBERS_SKIPPED if ahead > 0 else NUMBERS_SKIPPED_BLIND
            await self._engine.open_epoch(self._opened, skip=skip, lost_seq=max(proof.hwm, 0))
            self._changed()

    # --- the pass over all records -------------------------------------------------------------------------------

    async def _verify_for_ever(self) -> None:
        pause_s = self._first_pass_after_s
        while True:
            await self._clock.sleep(pause_s)
            pause_s = PASS_EVERY_S
            try:
                await self.look_through()
            except JournalError as error:
                if error.code == "journal-outcome-unknown":
                    raise
                _log.error("the journal cannot be looked through", extra={"fault": error.code})

    async def look_through(self) -> Verification:
        """A pass over all records, now; what it found is kept. Raises JournalError."""
        async with self._pass:
            found = await self._verify()
        self.verification, self._passed_ms = found, self._clock.stamp().time_ms
        if not found.whole:
            _log.error("the journal is not whole", extra={"kind": found.kind, "first": found.first, "last": found.last})
        await self._engine.note(
            JournalVerified(records=found.records, kind=found.kind, first=found.first, last=found.last)
        )
        self._changed()
        return found

    async def _verify(self) -> Verification:
        steps = verify_in_steps(self._path, self._key, terminal=self._terminal)
        while True:
            began_s = self._clock.monotonic_s()
            found = await _in_thread(steps)
            if found is not None:
                return found
            worked_s = self._clock.monotonic_s() - began_s
            await self._clock.sleep(max(PAUSE_MIN_S, worked_s * (PASS_SHARE - 1)))

    # --- pruning -------------------------------------------------------------------------------------------------

    async def _prune_for_ever(self) -> None:
        while True:
            await self._clock.sleep(PRUNE_EVERY_S)
            try:
                await self.prune()
            except JournalError as error:
                if error.code == "journal-outcome-unknown":
                    raise
                _log.error("nothing can be pruned", extra={"fault": error.code})

    async def prune(self) -> int:
        """Prunes all that may go; returns how many segments that was. Raises JournalError."""
        stamp = self._clock.stamp()
        dated = stamp.clock in (ClockQuality.NTP, ClockQuality.RTC) and not self._clock_doubtful()
        if self._ack_key is None or not dated:
            return 0  # nothing is archived, or nobody knows how old anything is
        pruned = 0
        for span in await self._journal.spans():
            archived = await self._archived(span.prev.epoch, self._ack_key)
            while archived is not None and await self._prune_one(archived, stamp):
                pruned += 1
                await self._clock.sleep(PRUNE_PAUSE_S)
        return pruned

    async def _prune_one(self, archived: Archived, stamp: Stamp) -> bool:
        stone = await self._journal.prune(
            archived,
            stamp.time_ms - self._keep_days * _MS_A_DAY,
            terminal=self._terminal,
            sign=self._signer.sign,
            stamp=stamp,
            records=self._segment_records,
        )
        if stone is not None:
            _log.info("pruned", extra={"epoch": stone.epoch, "first": stone.first, "last": stone.last})
        return stone is not None

    async def _archived(self, epoch: str, ack_key: bytes) -> Archived | None:
        """What headquarters' signed answer lets go of an epoch."""
        kept = await self._journal.acknowledged(epoch)
        if kept is None:
            return None
        try:
            ack = open_ack(self._terminal, kept.ack, ack_key)
        except AckError:
            return None
        return Archived(
            epoch=epoch,
            seq=min(ack.archived_hwm, ack.hwm),
            mark=ack.hwm,
            hash_at_mark=bytes.fromhex(ack.hash_at_hwm),
            quarantined=ack.quarantined,
        )


async def _in_thread(steps: Steps) -> Verification | None:
    """The next step, elsewhere; the verification where it was the last one. The pass is ended before a cancellation goes on."""
    running = asyncio.ensure_future(asyncio.to_thread(_step, steps))
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        await asyncio.wait([running])
        steps.close()
        raise


def _step(steps: Steps) -> Verification | None:
    try:
        next(steps)
    except StopIteration as end:
        found: Verification = end.value
        return found
    return None
