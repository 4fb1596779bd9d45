"""What headquarters has not acknowledged, kept on a second medium too, before money moves on the strength of it.

A sale waits for the medium a quarter of a second, and never longer. One that is late, full, read-only, somebody else's,
or that lies, is said on the screen, and the sale goes on; what is missing on the medium follows in the background. One
that is late several times in a row is not waited for any more, and one that fails several times is left alone, until it
is plugged in again.

Only synced records go there (`core.ports.Journal.synced`): else a power cut could leave on the medium what the journal
never had.
"""

import asyncio
import errno
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NoReturn

import msgspec

from core.delivery import cut
from core.ledger import Head, Record
from core.ports import Clock, JournalError, Signer
from core.text import Message, message
from core.view import MirrorState, MirrorView
from store.errors import MirrorAhead, MirrorForeign, MirrorGone, MirrorLied, MirrorSealless
from store.keys import Keys
from store.mirror import TRIM_BYTES, Found, MirrorMedium, Owner, Taken
from store.mirror_files import Files, RealFiles
from store.mirror_format import Base
from store.mirror_worker import Worker
from terminald.at_risk import PAGE_RECORDS, AtRisk, Kept, Span, delivered_of

LATES_MAX = 5
"""So many times in a row late, and no sale waits for it any more."""
FAILURES_MAX = 3
STUCK_MAX = 4
"""Threads that a medium may have swallowed; with so many, another one is not tried."""
OLDER_EPOCHS_MAX = 8
SNAPSHOT_TRIES = 8
FAULTS = (
    "mirror-slow", "mirror-stuck", "mirror-full", "mirror-read-only", "mirror-failed",
    "mirror-foreign", "mirror-ahead", "mirror-lied", "mirror-sealless",
)  # fmt: skip
"""What may be wrong with a second medium, by the ids of what the screen says."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long what is waited for: a sale for the medium; a call that writes, before it is given up and the medium with
    it; one that looks through a medium with much on it; a medium that failed, and a full one, to be tried again."""

    deadline_s: float = 0.25
    stuck_after_s: float = 10.0
    open_timeout_s: float = 60.0
    retry_s: float = 1.0
    full_look_again_s: float = 60.0


USUAL = Patience()

Snapshot = tuple[str, int, bytes]
"""The till's state as a checkpoint has it, with the epoch and the seq of the last record in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estate:
    """What a successor needs besides the records: the seed and the public half of the signing key, and the broker."""

    identity: bytes
    signing_key: bytes
    broker: str = ""


class _Absent(Exception):
    """There is no medium."""


class _NotAtRest(Exception):
    """The till's state could not be had together with records that are all synced."""


class SecondMedium:
    """Keeps the mirror. `secure` is called between journal and effects, `run` does the rest."""

    def __init__(
        self,
        *,
        path: Path | None,
        other_than: Path | None,
        owner: Owner | None,
        estate: Estate,
        journal: Kept,
        snapshot: Callable[[], Snapshot | None],
        acknowledged_seq: Callable[[], int],
        clock: Clock,
        changed: Callable[[], None],
        files: Files | None = None,
        patience: Patience = USUAL,
        trim_bytes: int = TRIM_BYTES,
    ) -> None:
        """`path` is the medium's folder, None where there is to be none. `other_than` is a folder of the terminal's own
        medium: what lies on that one is no second medium. `owner` is None where no recovery key is set."""
        self._path = path
        self._other_than = other_than
        self._owner = owner
        self._estate = estate
        self._journal = journal
        self._snapshot = snapshot
        self._acknowledged_seq = acknowledged_seq
        self._clock = clock
        self._changed = changed
        self._files = files or RealFiles()
        self._patience = patience
        self._trim_bytes = trim_bytes
        self._state: MirrorState = "none" if path is None else "absent"
        self._fault: str | None = None
        self._covered: Head | None = None
        self._older: dict[str, int] = {}
        self._promised: dict[str, int] = {}
        self._waiting: list[tuple[int, asyncio.Future[None]]] = []
        self._lates = self._told = 0
        self._following = False
        self._idle = False
        self._plug_moved = False
        self._wake = asyncio.Event()
        self._lost: list[Worker] = []
        self._at_risk = AtRisk(journal, acknowledged_seq, clock, changed)

    # --- what the daemon asks ------------------------------------------------------------------------------------

    def view(self) -> MirrorView:
        """What the screen shows of it."""
        synced, covered = self._journal.synced, self._covered
        behind = synced.seq - covered.seq if covered is not None and covered.epoch == synced.epoch else 0
        return MirrorView(
            state=self._state, fault=self._fault, behind=max(behind, 0), sales_at_risk=self.sales_at_risk()
        )

    def sales_at_risk(self) -> int:
        """Completed sales that exist on the terminal's own medium alone."""
        covered = {self._covered.epoch: self._covered.seq} if self._covered is not None else {}
        return self._at_risk.count(self._older | covered)

    def conditions(self) -> tuple[Message, ...]:
        """What is wrong with it, for the screen."""
        if self._state == "absent":
            return (message("mirror-absent"),)
        if self._fault is None:
            return ()
        return (message(self._fault if self._fault in FAULTS else "mirror-failed"),)

    async def secure(self, records: Sequence[Record], moves_money: bool) -> None:
        """Called with what was committed, in order, before anything is done because of it. Never raises."""
        self._at_risk.sold(records)
        if not moves_money:
            return
        may_wait = self._following and self._lates < LATES_MAX and (self._lates == 0 or self._idle)
        self._idle = False
        self._wake.set()
        if may_wait:
            await self._wait_for(records[-1])

    def notify(self) -> None:
        """The journal's synced head moved, or headquarters acknowledged something."""
        self._wake.set()
        self._at_risk.notify()

    async def run(self, plugged: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled. `plugged` waits until something was plugged in or taken out."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._at_risk.run(), name="sales-at-risk")
            if self._path is not None:
                tasks.create_task(self._follow_plug(plugged), name="mirror-plug")
                tasks.create_task(self._keep(), name="mirror-keep")

    # --- waiting for it ------------------------------------------------------------------------------------------

    async def _wait_for(self, record: Record) -> None:
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((record.seq, future))
        try:
            async with asyncio.timeout(self._patience.deadline_s):
                await future
        except TimeoutError:
            self._lates += 1
            if self._state == "ready":
                _log.warning("the second medium is late: the sale goes on")
                self._say("slow", "mirror-slow")
        finally:
            self._waiting = [each for each in self._waiting if each[1] is not future]

    def _reached(self, head: Head | None) -> None:
        """The medium holds all up to this head; None where it is gone, and nobody is to wait for it."""
        self._covered = head
        in_time = [
            future for seq, future in self._waiting if head is not None and seq <= head.seq and not future.done()
        ]
        for future in in_time:
            future.set_result(None)
        if in_time:
            self._lates = 0
        if head is None:
            for _, future in self._waiting:
                if not future.done():
                    future.set_result(None)

    # --- keeping it ----------------------------------------------------------------------------------------------

    async def _follow_plug(self, plugged: Callable[[], Awaitable[None]]) -> None:
        while True:
            await plugged()
            self._plug_moved = True
            self._wake.set()

    async def _keep(self) -> None:
        """One attempt after another, each until it fails; pauses in between as its fault asks for."""
        failures = 0
        while True:
            self._plug_moved = False
            began_s = self._clock.monotonic_s()
            try:
                await self._live()
            except _Absent:
                self._say("absent", None)
                pause_s = None
            except MirrorGone:
                pause_s = 0.0
            except _NotAtRest:
                pause_s = self._patience.retry_s
            except TimeoutError:
                self._say("failed", "mirror-stuck")
                pause_s = None
            except JournalError as error:
                _log.warning("the second medium is not used: %s: %s", error.code, error)
                self._say("failed", error.code)
                pause_s = None
            except OSError as error:
                _log.warning("the second medium failed: %s", error.strerror)
                failures = 1 if self._clock.monotonic_s() - began_s > self._patience.full_look_again_s else failures + 1
                pause_s = self._after(error, failures)
            if pause_s is None:
                self._lates = failures = 0
            await self._pause(pause_s)

    def _after(self, error: OSError, failures: int) -> float | None:
        """Says what is wrong; how long to leave it alone, None until it is plugged in again."""
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            self._say("failed", "mirror-full")
            return self._patience.full_look_again_s
        if error.errno in (errno.EROFS, errno.EACCES, errno.EPERM):
            self._say("failed", "mirror-read-only")
            return None
        self._say("failed", "mirror-failed")
        return self._patience.retry_s * failures if failures < FAILURES_MAX else None

    async def _pause(self, seconds: float | None) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not self._plug_moved:
                    self._wake.clear()
                    await self._wake.wait()
        except TimeoutError:
            pass

    async def _live(self) -> NoReturn:
        """Looks at the medium, writes a file, follows the journal, and writes the next one when it is due."""
        if self._owner is None:
            raise MirrorSealless("no recovery key is set: nobody else could open a second medium")
        self._lost = [worker for worker in self._lost if worker.busy]
        if len(self._lost) >= STUCK_MAX:
            raise TimeoutError
        worker = Worker("second-medium")
        close: Callable[[], None] = _nothing
        try:
            medium, found, taken = await worker.do(partial(self._open, self._owner), self._patience.open_timeout_s)
            close = medium.close
            await self._judge(found, taken)
            self._say("filling", None)
            while True:
                await self._fill(worker, medium, found)
                await self._follow(worker, medium)
                found = await worker.do(medium.survey, self._patience.open_timeout_s)
                await self._judge(found, None)
        except TimeoutError:
            self._lost.append(worker)
            raise
        finally:
            self._reached(None)
            self._older = {}
            worker.stop(close)
            self._changed()

    def _open(self, owner: Owner) -> tuple[MirrorMedium, list[Found], Taken | None]:
        """On the worker's thread."""
        assert self._path is not None
        try:
            device, _ = self._files.identity(self._path)
        except (FileNotFoundError, NotADirectoryError):
            raise _Absent from None
        if self._other_than is not None and device == self._files.identity(self._other_than)[0]:
            raise _Absent  # the empty folder at which a medium is to appear
        medium = MirrorMedium(self._path, owner, self._files)
        return medium, medium.survey(), medium.taken()

    async def _judge(self, found: Sequence[Found], taken: Taken | None) -> None:
        """Whether what stands on the medium may go once it stands there anew. Raises MirrorForeign, MirrorAhead, -Lied."""
        spans = {span.prev.epoch: span for span in await self._journal.spans()}
        if taken is not None and taken.epoch not in spans:
            raise MirrorForeign("another terminal took over from this one with it")
        for each in found:
            promised = self._promised.get(each.path.name)
            if promised is not None and (each.head is None or each.head.seq < promised):
                raise MirrorLied(f"it had taken record {promised}, and does not have it")
            span = spans.get(each.epoch)
            if span is None:
                raise MirrorForeign("it holds records of another life of this terminal")
            last = each.head.seq if each.head is not None else each.last
            if last > max(span.last, span.prev.seq):
                raise MirrorAhead(f"it holds records up to {last}, and the journal up to {span.last}")
            if each.head is not None and each.head.seq > span.prev.seq and not await self._has(each.head):
                raise MirrorAhead(f"its record {last} is another one than the journal's")

    async def _has(self, head: Head) -> bool:
        records = await self._journal.read(head.epoch, head.seq - 1, 1)
        return bool(records) and records[0].seq == head.seq and records[0].hash == head.hash

    # --- writing it ----------------------------------------------------------------------------------------------

    async def _fill(self, worker: Worker, medium: MirrorMedium, found: Sequence[Found]) -> None:
        """The epochs that headquarters does not hold whole, the current one last, which stays open."""
        spans = list(await self._journal.spans())
        secrets: dict[str, str] = {}
        written: list[Path] = []
        for span in spans[:-1][-OLDER_EPOCHS_MAX:]:
            if (await delivered_of(self._journal, span)).seq < span.last:
                path = await self._write(worker, medium, span, found, {})
                secrets[span.prev.epoch] = medium.secret.hex()
                self._older[span.prev.epoch] = span.last
                written.append(path)
        written.append(await self._write(worker, medium, spans[-1], found, secrets))
        useless = [each.path for each in found if each.path not in written]
        await worker.do(partial(medium.remove, useless), self._patience.stuck_after_s)

    async def _write(
        self, worker: Worker, medium: MirrorMedium, span: Span, found: Sequence[Found], secrets: dict[str, str]
    ) -> Path:
        """A file of an epoch, all that is synced of it at the beginning, read back."""
        epoch = span.prev.epoch
        start = await delivered_of(self._journal, span)
        snapshot = await self._consistent() if epoch == self._journal.synced.epoch else None
        kept = await self._journal.acknowledged(epoch)
        base = Base(
            prev_seq=start.seq,
            prev_hash=start.hash.hex(),
            signing_key=self._estate.signing_key.hex(),
            state=msgspec.Raw(snapshot[2] if snapshot else b"null"),
            state_seq=snapshot[1] if snapshot else 0,
            ack=kept.ack.decode() if kept is not None and start.seq else "",
            identity=self._estate.identity.hex(),
            broker=self._estate.broker,
            secrets=secrets,
        )
        number = 1 + max((each.number for each in found if each.epoch == epoch), default=0)
        await worker.do(partial(medium.begin, epoch, span.ordinal, number, base), self._patience.stuck_after_s)
        head = start
        while records := cut(await self._journal.read(epoch, head.seq, PAGE_RECORDS)):
            await worker.do(partial(medium.append, records), self._patience.stuck_after_s)
            head = Head(epoch=epoch, seq=records[-1].seq, hash=records[-1].hash)
        path = await worker.do(medium.publish, self._patience.open_timeout_s)
        if epoch == self._journal.synced.epoch:
            self._promised = {path.name: head.seq}
            self._reached(head)
        return path

    async def _follow(self, worker: Worker, medium: MirrorMedium) -> None:
        """Appends what is synced, frame by frame; returns when another file is due."""
        self._following, self._told = True, 0
        try:
            await self._append_what_comes(worker, medium)
        finally:
            self._following = False

    async def _append_what_comes(self, worker: Worker, medium: MirrorMedium) -> None:
        assert self._covered is not None
        epoch = self._covered.epoch
        while True:
            self._wake.clear()
            if self._plug_moved:
                self._plug_moved = False
                await worker.do(medium.check, self._patience.stuck_after_s)
            if self._journal.synced.epoch != epoch or self._is_due(medium, epoch):
                return
            if self._covered.seq < self._journal.synced.seq:
                records = cut(await self._journal.read(epoch, self._covered.seq, PAGE_RECORDS))
                ack = await self._news_of(epoch)
                await worker.do(partial(medium.append, records, ack), self._patience.stuck_after_s)
                head = Head(epoch=epoch, seq=records[-1].seq, hash=records[-1].hash)
                self._promised[medium.name] = head.seq
                self._reached(head)
                self._changed()
                continue
            self._idle = True
            if self._lates == 0 and (self._state, self._fault) != ("ready", None):
                self._say("ready", None)
            await self._wake.wait()

    async def _news_of(self, epoch: str) -> bytes:
        """Headquarters' newest answer, if it came since the frame before; empty if not."""
        if self._told == self._acknowledged_seq():
            return b""
        self._told = self._acknowledged_seq()
        kept = await self._journal.acknowledged(epoch)
        return kept.ack if kept is not None else b""

    def _is_due(self, medium: MirrorMedium, epoch: str) -> bool:
        """Whether much of the file, and most of it, is of no use any more."""
        if epoch != self._journal.head.epoch or medium.size < self._trim_bytes:
            return False
        acknowledged = medium.acknowledged_bytes(self._acknowledged_seq())
        return acknowledged >= self._trim_bytes and 2 * acknowledged >= medium.size

    async def _consistent(self) -> Snapshot:
        """The till's state as it follows from records that are all on the medium."""
        for _ in range(SNAPSHOT_TRIES):
            await self._journal.sync()
            snapshot, synced = self._snapshot(), self._journal.synced
            if snapshot is not None and snapshot[0] == synced.epoch and snapshot[1] <= synced.seq:
                return snapshot
        raise _NotAtRest

    def _say(self, state: MirrorState, fault: str | None) -> None:
        if (state, fault) != (self._state, self._fault):
            self._state, self._fault = state, fault
            self._changed()


def mirror_owner(terminal: str, keys: Keys, signer: Signer) -> Owner | None:
    """Whose mirrors they are; None where no recovery key is set."""
    if keys.recovery_public is None:
        return None
    return Owner(terminal=terminal, key=keys.mirror, recovery_public=keys.recovery_public, sign=signer.sign)


def _nothing() -> None:
    pass
