"""The journal on the event loop (`core.ports.Journal`): one writer with group commit, and a reader beside it.

- All that is appended while a commit runs goes into the next transaction, in the order of the calls.
- A commit in which nothing moves money makes no flush (`store.wal` says why that is sound); `synced` then lags behind `head` until the next commit that does
  move money, and for `SYNC_DELAY_S` at most. Readers get nothing beyond `synced`.
- After a failed commit nothing is tried again: whoever waits gets OutcomeUnknown, and so does everybody after. What was
  kept is seen when the journal is opened anew, by another process.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, SegmentPruned
from core.ledger import GENESIS, Draft, Head, Record, Stamp
from store.anchor import UNBOUND
from store.database import explain, read_database
from store.epochs import Cause, Founding, decode_tail
from store.errors import OutcomeUnknown
from store.pruning import SEGMENT_RECORDS, Archived, Reader, Sign, may_go, tombstone
from store.records import (
    SEQ_BITS,
    Acknowledge,
    Append,
    OpenEpoch,
    Prune,
    RecordStore,
    SaveCheckpoint,
    Sweep,
    Sync,
    SyncAnchor,
    TakeBack,
    Task,
)
from store.returned import LINE_SQL, line
from store.wal import FRAMES_WARM
from store.writer import Lane, ThreadWriter, WriterFactory

SYNC_DELAY_S = 4.5
"""How long a record may wait for its flush; with the flush itself it stays below 5 s."""

ANCHOR_DELAY_S = 60.0
"""How long the anchor may wait to be put on the medium; so it costs a flush a minute at most."""

ANSWERS_EVERY_S = 60.0
"""How often headquarters' answers are written down: each time costs the card a page, and the newest comes again."""

REPLAY_PAGE = 500

_READING_CACHE_KIB = 512
"""Records are read in order, and seldom twice."""

_T = TypeVar("_T")


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """The till's state as it was after the record `seq` of `epoch`."""

    epoch: str
    seq: int
    state: bytes


class Acknowledged(msgspec.Struct, frozen=True, kw_only=True):
    """How far headquarters has acknowledged an epoch, and its signed answer."""

    seq: int
    ack: bytes


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """An epoch of a journal: the head before its first record here (seq 0 where that is its first at all), and the last
    synced seq; 0 where there is no record."""

    ordinal: int
    prev: Head
    last: int


class SqlJournal:
    """The journal in an encrypted database. Made by `open`; used on one loop; closed by ``async with`` or `close`."""

    def __init__(
        self, path: Path, key: bytes, writer: WriterFactory, sync_delay_s: float, anchor_delay_s: float
    ) -> None:
        self._path = path
        self._key = key
        self._sync_delay_s = sync_delay_s
        self._anchor_delay_s = anchor_delay_s
        self._sync_due: asyncio.TimerHandle | None = None
        self._anchor_due: asyncio.TimerHandle | None = None
        self._store: RecordStore | None = None
        self._failure: OutcomeUnknown | None = None
        self._failed = asyncio.Event()
        self._answers: dict[str, Acknowledged] = {}
        self._answers_owed: set[str] = set()
        self._answers_kept_s = float("-inf")
        self._reading: Any = None
        self._closed = False
        self._seen_synced = 0
        self.on_synced: Callable[[], None] = lambda: None
        """Called on the loop when more is on the medium than before."""
        self._writes = Lane(writer, "journal-writer", self._commit, rest=self._rest, told=self._watch)
        self._reads = Lane(writer, "journal-reader", self._query, told=lambda: None)

    @classmethod
    async def open(
        cls,
        path: Path,
        key: bytes,
        *,
        terminal: str,
        signing_key: bytes,
        stamp: Stamp,
        binding: bytes = UNBOUND,
        writer: WriterFactory = ThreadWriter,
        sync_delay_s: float = SYNC_DELAY_S,
        anchor_delay_s: float = ANCHOR_DELAY_S,
        frames_warm: int = FRAMES_WARM,
    ) -> Self:
        """Opens the journal, or makes it at first boot with an epoch whose first record says `terminal` and so on.

        `key` has 48 bytes (`store.database`), `signing_key` is the public Ed25519 key. All that was committed before is
        on the medium when this returns. Where the anchor or `binding` (`store.anchor.binding`) say that this journal
        went back in time or was copied, it goes on in a new epoch: `opened`. Raises JournalError: JournalInUse, WrongKey,
        JournalDamaged and so on.
        """
        journal = cls(path, key, writer, sync_delay_s, anchor_delay_s)
        founding = Founding(terminal=terminal, signing_key=signing_key, stamp=stamp, binding=binding)
        try:
            await journal._writes.do(partial(journal._open_store, founding, frames_warm))
        except BaseException:
            await journal.close()
            raise
        return journal

    @property
    def head(self) -> Head:
        """The last record of the current epoch."""
        return self._opened.head

    @property
    def synced(self) -> Head:
        """The last record that is on the medium."""
        return self._opened.synced

    @property
    def commits(self) -> int:
        """How many transactions were made since it was opened."""
        return self._opened.commits

    @property
    def opened(self) -> EpochOpened | None:
        """The first entry of the epoch that had to be opened when the journal was; None where it went on in its own."""
        return self._opened.opened

    @property
    def anchor_fault(self) -> str | None:
        """Why no anchor can be kept beside the journal."""
        return self._opened.anchor_fault

    async def append(self, drafts: Sequence[Draft], stamp: Stamp, *, key: str | None = None) -> tuple[Record, ...]:
        """Commits all drafts as one, in order; returns once they are as durable as they ask to be.

        Raises OutcomeUnknown when the commit failed, DuplicateKey (nothing was added) when `key` was used before.
        """
        assert drafts, "nothing to append"
        for draft in drafts:
            # A body that is no JSON object of one line could never be read again, and never be taken out either.
            assert draft.body[:1] == b"{", "a record's body is a JSON object"
            assert b"\n" not in draft.body, "a record's body is one line"
        records: tuple[Record, ...] = await self._write(Append(tuple(drafts), stamp, key))
        return records

    async def find(self, key: str) -> Record | None:
        """The synced record that was committed under an idempotency key."""
        rows = await self._select(
            "SELECT e.id, r.position, r.exact, r.hash FROM record r JOIN epoch e ON e.ordinal = r.position >> ?"
            " WHERE r.key = ?",
            (SEQ_BITS, key),
        )
        record = _record(*rows[0]) if rows else None
        return record if record and (record.epoch != self.synced.epoch or record.seq <= self.synced.seq) else None

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        """Synced records of an epoch, in order, from the one after `after_seq`."""
        synced = self.synced
        last = synced.seq if epoch == synced.epoch else (1 << SEQ_BITS) - 1
        rows = await self._select(
            "SELECT e.id, r.position, r.exact, r.hash FROM epoch e JOIN record r"
            " ON r.position > (e.ordinal << ?) + ? AND r.position <= (e.ordinal << ?) + ?"
            " WHERE e.id = ? ORDER BY r.position LIMIT ?",
            (SEQ_BITS, after_seq, SEQ_BITS, last, epoch, count_max),
        )
        return [_record(*row) for row in rows]

    async def replay(self, after_seq: int = 0, epoch: str | None = None) -> AsyncIterator[Record]:
        """The synced records after `after_seq` of `epoch`, and of all epochs since; of the journal's first one, if None.

        Of each epoch those up to the one that the next names: what came back after a restore is not in line.
        """
        first = await self._ordinal(epoch) if epoch else 0
        epochs = line(await self._select(LINE_SQL, (SEQ_BITS,)))
        for ordinal, last in epochs:
            after = after_seq if ordinal == first or not epoch else 0
            while ordinal >= first:
                is_current = ordinal == epochs[-1][0]
                page = await self._select(
                    "SELECT e.id, r.position, r.exact, r.hash FROM record r JOIN epoch e ON e.ordinal = ?"
                    " WHERE r.position > ? AND r.position <= ? ORDER BY r.position LIMIT ?",
                    (
                        ordinal,
                        ordinal << SEQ_BITS | after,
                        ordinal << SEQ_BITS | (self.synced.seq if is_current else last),
                        REPLAY_PAGE,
                    ),
                )
                for row in page:
                    yield _record(*row)
                if not page:
                    break
                after = page[-1][1] & (1 << SEQ_BITS) - 1
            if not epoch:
                after_seq = 0

    async def take_back(self, records: Sequence[Record]) -> None:
        """Adds records of one former epoch, which headquarters sent back and which follow the last one of it here.

        They are on the medium when this returns. Raises RecordsRefused (nothing was added), OutcomeUnknown.
        """
        await self._write(TakeBack(tuple(records)))

    async def spans(self) -> Sequence[Span]:
        """All epochs in their order."""
        synced = self.synced
        rows = await self._select(
            "SELECT e.ordinal, e.id, b.tail, (SELECT max(r.position) FROM record r"
            " WHERE r.position > e.ordinal << ? AND r.position < e.ordinal + 1 << ?)"
            " FROM epoch e LEFT JOIN base b ON b.ordinal = e.ordinal ORDER BY e.ordinal",
            (SEQ_BITS, SEQ_BITS),
        )
        found = []
        for ordinal, epoch, kept, position in rows:
            last = synced.seq if epoch == synced.epoch else (position or 0) & (1 << SEQ_BITS) - 1
            found.append(Span(ordinal=ordinal, prev=_base_of(epoch, kept), last=last))
            if epoch == synced.epoch:
                break  # one after it is not synced yet
        return found

    async def base(self, epoch: str) -> Head:
        """The head before the first record of an epoch: seq 0 and 32 zero bytes, unless the journal has it from the
        middle on, because it was adopted or pruned."""
        rows = await self._select(
            "SELECT b.tail FROM base b JOIN epoch e ON e.ordinal = b.ordinal WHERE e.id = ?", (epoch,)
        )
        return _base_of(epoch, rows[0][0] if rows else None)

    async def begins_whole(self) -> bool:
        """Whether all records are here from the first one on: none was pruned, and none adopted from the middle."""
        return not await self._select("SELECT 1 FROM base LIMIT 1", ())

    async def open_epoch(
        self, reason: str, stamp: Stamp, *, number: int = 0, skip: int = 0, lost_seq: int = 0
    ) -> EpochOpened:
        """Ends the current epoch and opens another one; gives its first entry, which is on the medium.

        `number` is the highest transaction number known to be used, besides those of the journal; `skip` more are left
        out. `lost_seq` is the last record that the current epoch is known to have elsewhere.
        """
        opened: EpochOpened = await self._write(
            OpenEpoch(Cause(reason=reason, number=number, skip=skip, lost_seq=lost_seq), stamp)
        )
        return opened

    async def sync(self) -> None:
        """Everything committed so far is on the medium when this returns. Raises OutcomeUnknown."""
        await self._write(Sync())

    async def acknowledge(self, epoch: str, seq: int, ack: bytes) -> None:
        """Takes headquarters' answer: it has `epoch` up to `seq`. Written down at once if none was for a minute, else
        with a later one or at the end, and never flushed: the answer is retained and comes again."""
        if self._failure is not None:
            raise self._unknown()
        self._answers[epoch] = Acknowledged(seq=seq, ack=ack)
        self._answers_owed.add(epoch)
        now_s = asyncio.get_running_loop().time()
        if now_s - self._answers_kept_s >= ANSWERS_EVERY_S:
            self._answers_kept_s = now_s
            for task in self._take_answers():
                await self._write(task)

    async def acknowledged(self, epoch: str) -> Acknowledged | None:
        """The last answer that was taken for an epoch."""
        if (newest := self._answers.get(epoch)) is not None:
            return newest
        rows = await self._select("SELECT seq, ack FROM outbox WHERE epoch = ?", (epoch,))
        return Acknowledged(seq=rows[0][0], ack=rows[0][1]) if rows else None

    async def save_checkpoint(self, seq: int, state: bytes) -> None:
        """Keeps the till's state as it is after the committed record `seq`; the two newest are kept."""
        assert 0 < seq <= self.head.seq, "a checkpoint is of a record that is there"
        await self._write(SaveCheckpoint(seq, state))

    async def load_checkpoint(self) -> Checkpoint | None:
        """The newest state that was kept; where no record was checkpointed since, it is of an epoch before this one."""
        rows = await self._select(
            "SELECT c.epoch, c.seq, c.state FROM checkpoint c JOIN epoch e ON e.id = c.epoch"
            " ORDER BY e.ordinal DESC, c.id DESC LIMIT 1",
            (),
        )
        return Checkpoint(epoch=rows[0][0], seq=rows[0][1], state=rows[0][2]) if rows else None

    async def prune(
        self,
        archived: Archived,
        before_ms: int,
        *,
        terminal: str,
        sign: Sign,
        stamp: Stamp,
        records: int = SEGMENT_RECORDS,
    ) -> SegmentPruned | None:
        """Prunes the first segment of an epoch, and gives its tombstone; None where it may not go (`store.pruning`).

        `before_ms` (Unix time) is how old its newest record must be. What an earlier call left is swept away first.
        Raises JournalDamaged, having pruned nothing, where the records do not verify.
        """
        while await self._write(Sweep()):
            pass
        reader = await self._look(lambda connection: Reader(connection, archived, before_ms, records))
        while not reader.done:
            await self._look(reader.step)
        segment = reader.segment
        if segment is None or not await self._look(lambda connection: may_go(connection, segment, archived, before_ms)):
            return None
        stone = tombstone(segment, terminal, sign)
        await self._write(Prune(segment, stone, stamp))
        while await self._write(Sweep()):
            pass
        return stone

    async def watch(self) -> None:
        """Returns never; raises OutcomeUnknown once a commit or a flush has failed, also one that nobody waited for."""
        await self._failed.wait()
        raise self._unknown()

    async def close(self) -> None:
        """Finishes what was asked for, puts it on the medium and lets go. May be called twice."""
        if self._closed:
            return
        self._closed = True
        await self._reads.close(self._stop_reading)
        await self._writes.close(self._stop_writing)
        self._cancel_sync()
        if self._anchor_due is not None:
            self._anchor_due.cancel()
            self._anchor_due = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    # On the loop's thread.

    @property
    def _opened(self) -> RecordStore:
        assert self._store is not None
        return self._store

    async def _write(self, task: Task) -> Any:
        if self._failure is not None:
            raise self._unknown()
        return await self._writes.do(task)

    async def _select(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = await self._reads.do((sql, values))
        return rows

    async def _look(self, call: Callable[[Any], _T]) -> _T:
        """What a function makes of the reader's connection, on its thread."""
        value: _T = await self._reads.do(partial(self._with_reader, call))
        return value

    async def _ordinal(self, epoch: str) -> int:
        rows = await self._select("SELECT ordinal FROM epoch WHERE id = ?", (epoch,))
        assert rows, "an epoch of this journal"
        ordinal: int = rows[0][0]
        return ordinal

    def _watch(self) -> None:
        """After each commit: sees to the flushes that are owed, and that a failure is known."""
        if self._failure is not None:
            self._failed.set()
            self._cancel_sync()
            return
        if self._store is not None and not self._closed and self._store.anchor_owing and self._anchor_due is None:
            self._anchor_due = asyncio.get_running_loop().call_later(self._anchor_delay_s, self._sync_anchor_now)
        self._watch_sync()
        if self._store is not None and self.synced.seq != self._seen_synced:
            self._seen_synced = self.synced.seq
            self.on_synced()

    def _watch_sync(self) -> None:
        if self._store is None or self._closed or self.head.seq == self.synced.seq:
            self._cancel_sync()
        elif self._sync_due is None:
            self._sync_due = asyncio.get_running_loop().call_later(self._sync_delay_s, self._sync_now)

    def _sync_now(self) -> None:
        self._sync_due = None
        if not self._closed:
            self._writes.urge(Sync())

    def _sync_anchor_now(self) -> None:
        self._anchor_due = None
        if not self._closed:
            self._writes.urge(SyncAnchor())

    def _cancel_sync(self) -> None:
        if self._sync_due is not None:
            self._sync_due.cancel()
            self._sync_due = None

    def _unknown(self) -> OutcomeUnknown:
        return OutcomeUnknown(f"a commit failed: {self._failure}")

    # On the writer's thread.

    def _commit(self, tasks: Sequence[Any]) -> list[Any]:
        """Opening is the first task of all and comes alone, closing the last; all between are commits."""
        calls = [task for task in tasks if callable(task)]
        commits = [task for task in tasks if not callable(task)]
        return [*self._commit_all(commits), *(_outcome(call) for call in calls)]

    def _commit_all(self, tasks: Sequence[Task]) -> list[Any]:
        if not tasks:
            return []
        if self._failure is None:
            try:
                return self._opened.commit(tasks)
            except Exception as error:
                # Whatever it was, and be it a fault of ours: nobody knows what is on the medium.
                self._fail(error)
        return [self._unknown() for _ in tasks]

    def _rest(self) -> Callable[[], None] | None:
        if self._store is None or self._failure is not None:
            return None
        try:
            self._store.rest()
        except Exception as error:
            self._fail(error)
            return self._watch
        return None

    def _fail(self, error: Exception) -> None:
        self._failure = OutcomeUnknown(f"{type(error).__name__}: {error}")
        self._opened.abandon()

    def _open_store(self, founding: Founding, frames_warm: int) -> None:
        self._store = RecordStore(self._path, self._key, founding, frames_warm=frames_warm)

    def _stop_writing(self) -> None:
        if self._store is None or self._failure is not None:
            return
        self._commit_all([*self._take_answers(), Sync()])
        self._store.close()

    def _take_answers(self) -> list[Task]:
        owed = [(epoch, self._answers[epoch]) for epoch in self._answers_owed]
        self._answers_owed.clear()
        return [Acknowledge(epoch, answer.seq, answer.ack) for epoch, answer in owed]

    # On the reader's thread.

    def _query(self, tasks: Sequence[Any]) -> list[Any]:
        return [_outcome(task) if callable(task) else _outcome(partial(self._fetch, *task)) for task in tasks]

    def _fetch(self, sql: str, values: tuple[Any, ...]) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._with_reader(lambda connection: connection.execute(sql, values).fetchall())
        return rows

    def _with_reader(self, call: Callable[[Any], _T]) -> _T:
        try:
            if self._reading is None:
                self._reading = read_database(self._path, self._key)
                self._reading.execute(f"PRAGMA cache_size = -{_READING_CACHE_KIB}")
            return call(self._reading)
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error

    def _stop_reading(self) -> None:
        if self._reading is not None:
            self._reading.close()
            self._reading = None


def _outcome(call: Callable[[], Any]) -> Any:
    try:
        return call()
    except Exception as error:
        return error


def _base_of(epoch: str, kept: bytes | None) -> Head:
    if kept is None:
        return Head(epoch=epoch, seq=0, hash=GENESIS)
    tail = decode_tail(kept, "the place where an epoch begins")
    return Head(epoch=epoch, seq=tail.seq, hash=bytes.fromhex(tail.hash))


def _record(epoch: str, position: int, exact: bytes, hash_: bytes) -> Record:
    return Record(epoch=epoch, seq=position & (1 << SEQ_BITS) - 1, exact=exact, hash=hash_)
