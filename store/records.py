"""The journal's blocking half: the tables, the transactions and the flushes. Used by one thread at a time."""

import ctypes
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, SegmentPruned
from core.ledger import Draft, Head, Record, Stamp
from store.anchor import Anchor, AnchorFile, AnchorUnsynced, anchor_path, merged
from store.chain import SEQ_BITS as SEQ_BITS
from store.chain import Chain
from store.database import FULL, PAGE_BYTES, claim, explain, open_database
from store.epochs import INSERT_RECORD, Cause, Place, found, judge, open_next, resume, save_checkpoint
from store.epochs import Founding as Founding
from store.errors import DuplicateKey, JournalError
from store.pruning import Segment, drafts, set_base, sweep
from store.returned import take_back
from store.wal import FRAMES_WARM, Wal

CHECKPOINTS_KEPT = 2
_CACHE_KIB = 1_024
"""Records are added at the end; only the index of keys is written all over."""
_KEY_TAKEN = "UNIQUE constraint failed: record.key"

# A checkpoint of the log is due before it outgrows its warm file. How many frames a commit makes is estimated: two (the
# last page of records and one of the key index), and three (page, parent, root) each time that a page of records is full.
_FRAMES_A_COMMIT = 2
_RECORD_BYTES_A_FRAME = PAGE_BYTES / 3
_FRAMES_WITHOUT_ROOM = 16
"""While the disk is full the copying is tried again after so many frames."""


class Append:
    """Adds records; gives them. `durable` where one of them moves money."""

    __slots__ = ("drafts", "durable", "key", "stamp", "statements")

    def __init__(self, drafts: Sequence[Draft], stamp: Stamp, key: str | None) -> None:
        self.drafts = drafts
        self.stamp = stamp
        self.key = key
        self.durable = True in [draft.moves_money for draft in drafts]
        self.statements = len(drafts)


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Keeps headquarters' answer; gives None. Not worth a flush: it is retained at the broker and comes again."""

    epoch: str
    seq: int
    ack: bytes
    durable = False
    statements = 1


@dataclass(frozen=True, slots=True)
class SaveCheckpoint:
    """Keeps the till's state; gives None. Not worth a flush: without it a boot reads more records."""

    seq: int
    state: bytes
    durable = False
    statements = 2


@dataclass(frozen=True, slots=True)
class Sync:
    """Puts all that was committed on the medium; gives None."""

    durable = True
    statements = 0


@dataclass(frozen=True, slots=True)
class SyncAnchor:
    """Puts the anchor on the medium; gives None."""

    durable = False
    statements = 0


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """Ends the current epoch and opens another one; gives its first entry."""

    cause: Cause
    stamp: Stamp
    durable = True
    statements = 2


@dataclass(frozen=True, slots=True)
class Prune:
    """Puts a tombstone in the place of a segment, whose rows may then be swept away; gives None."""

    segment: Segment
    stone: SegmentPruned
    stamp: Stamp
    durable = True
    statements = 2


@dataclass(frozen=True, slots=True)
class Sweep:
    """Deletes some of what was pruned; gives how many records. A power cut may bring them back, to be swept again."""

    durable = False
    statements = 2


@dataclass(frozen=True, slots=True)
class TakeBack:
    """Adds records of a former epoch, which headquarters sent back; gives None, or why not."""

    records: Sequence[Record]
    durable = True
    statements = 2


Task = Append | Acknowledge | SaveCheckpoint | Sync | SyncAnchor | OpenEpoch | Prune | Sweep | TakeBack


class RecordStore:
    """The open journal database. `head` and `synced` may be read by any thread."""

    def __init__(self, path: Path, key: bytes, founding: Founding, *, frames_warm: int = FRAMES_WARM) -> None:
        """Opens it, or makes it at first boot; all that was committed before is on the medium then.

        Where it cannot go on in its epoch (`store.epochs.judge`) it opens another one: `opened` is that one's first entry.
        `frames_warm` is the size of the log's file in pages, and so how often it is copied. Raises JournalError.
        """
        self._path = path
        self._founding = founding
        self._lock = claim(path)
        self._connection: Any = None
        self._ordinal = 0
        self._chain = Chain("")
        self._checkpoint = self._acknowledgement = 0
        self._anchor: AnchorFile | None = None
        self._anchored: Head | None = None
        self._wal = Wal(path)
        self._frames = 0.0
        self._frames_due = frames_warm * 3 // 4
        self._owing = False  # something was committed, and not flushed
        self.opened: EpochOpened | None = None
        self.anchor_fault: str | None = None
        """Why there is no anchor; the journal then goes on without one until it is opened again."""
        self.anchor_owing = False
        """Whether the anchor was written since it was last put on the medium."""
        self.head: Head = self._chain.head
        self.synced: Head = self.head
        self.commits = 0
        try:
            self._connection = open_database(path, key, "journal", fill=lambda new: found(new, founding))
            self._wal.open()
            self._wal.harden(frames_warm)
            self._connection.execute("PRAGMA synchronous = NORMAL")  # the flush is ours: see store.wal
            self._connection.execute("PRAGMA secure_delete = OFF")  # what is pruned is encrypted, and elsewhere besides
            self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite would hide its errors: see `rest`
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
            self._take_up(resume(self._connection))
        except JournalError:
            self.close()
            raise
        except (sqlcipher.Error, OSError) as error:
            self.close()
            raise explain(path, key, error) from error

    def commit(self, tasks: Sequence[Task]) -> list[Any]:
        """Does all tasks in one transaction, with one flush if any of them asks for it.

        Gives for each task its value or its JournalError. Raises on anything that leaves the outcome unknown; the store
        is then of no use any more.
        """
        if len(tasks) == 1 and tasks[0].statements <= 1:
            outcomes = [self._do(tasks[0])]  # a statement by itself is a transaction
        else:
            self._connection.execute("BEGIN IMMEDIATE")
            outcomes = [self._do(task) for task in tasks]
            self._connection.execute("COMMIT")
        self.commits += 1
        self._frames += _FRAMES_A_COMMIT
        self.head = self._chain.head
        if True in [task.durable for task in tasks]:
            self._flush()
        return outcomes

    def rest(self) -> None:
        """What is done while nobody waits: copies the log into the database before it outgrows its file. Raises.

        SQLite would do so within a commit, and keep a failed sync to itself: the next commit would then vouch for
        frames that are not on the medium. And writes down how far the medium now reaches.
        """
        self._write_anchor()
        if self._frames >= self._frames_due:
            try:
                _, logged, copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
            except sqlcipher.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != FULL:
                    raise
                # The disk is full, and the log still has what it had, with room in its file: an open sale can finish.
                self._frames = self._frames_due - _FRAMES_WITHOUT_ROOM
                return
            # Where a reader still needs the log, the rest is copied after as many frames again.
            self._frames = logged - copied if logged - copied < self._frames_due else 0

    def abandon(self) -> None:
        """Lets go after a failed commit, without the checkpoint that closing would make.

        It would copy from the log what may not be on the medium, and then delete the log. Python would close the
        connection with the last reference to it, so one is kept for ever.
        """
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._connection))
        self._connection = None
        self.close()

    def close(self) -> None:
        """May be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
            self._end_anchor()
        if self._anchor is not None:
            self._anchor.close()
            self._anchor = None
        self._wal.close()
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _do(self, task: Task) -> Any:
        match task:
            case Append():
                return self._append(task)
            case Acknowledge(epoch, seq, ack):
                self._owing = True
                self._acknowledgement += 1
                self._connection.execute(
                    "INSERT INTO outbox (epoch, seq, ack, version) VALUES (?, ?, ?, ?) ON CONFLICT (epoch)"
                    " DO UPDATE SET seq = excluded.seq, ack = excluded.ack, version = excluded.version",
                    (epoch, seq, ack, self._acknowledgement),
                )
            case SaveCheckpoint(seq, state):
                self._save_checkpoint(seq, state)
            case Sync():
                pass
            case SyncAnchor():
                self._sync_anchor()
            case OpenEpoch(cause, stamp):
                return self._open_epoch(cause, stamp)
            case Prune():
                self._prune(task)
            case Sweep():
                return self._sweep()
            case TakeBack(records):
                self._owing = True
                self._frames += 1 + sum(len(record.exact) for record in records) / _RECORD_BYTES_A_FRAME
                return take_back(self._connection, self._ordinal, records)
        return None

    def _append(self, task: Append) -> tuple[Record, ...] | JournalError:
        try:
            return self._append_all(task.drafts, task.stamp, task.key)
        except sqlcipher.IntegrityError as error:
            if str(error) != _KEY_TAKEN:
                raise
            return DuplicateKey(f"{task.key} was kept before")

    def _append_all(self, drafts: Sequence[Draft], stamp: Stamp, key: str | None) -> tuple[Record, ...]:
        records = []
        for each in drafts:
            record = self._chain.seal(each, stamp, key)
            self._connection.execute(
                INSERT_RECORD, (self._ordinal << SEQ_BITS | record.seq, record.exact, record.hash, key)
            )
            self._owing = True
            self._chain.take(record, each.stream)
            self._frames += len(record.exact) / _RECORD_BYTES_A_FRAME
            records.append(record)
            key = None  # it stands with the first of them
        self._frames += len(records) // 3
        return tuple(records)

    def _save_checkpoint(self, seq: int, state: bytes) -> None:
        self._owing = True
        save_checkpoint(self._connection, self._chain, seq, state)
        self._checkpoint += 1
        self._connection.execute(
            "DELETE FROM checkpoint WHERE id <= (SELECT max(id) FROM checkpoint) - ?", (CHECKPOINTS_KEPT,)
        )
        self._frames += len(state) / PAGE_BYTES

    def _open_epoch(self, cause: Cause, stamp: Stamp) -> EpochOpened:
        place, opened = open_next(self._connection, Place(self._ordinal, self._chain), self._founding, cause, stamp)
        self._ordinal, self._chain = place.ordinal, place.chain
        self._owing = True
        return opened

    def _prune(self, task: Prune) -> None:
        for ordinal, made in drafts(self._connection, task.segment, task.stone):
            (record,) = self._append_all((made,), task.stamp, None)
            set_base(self._connection, task.segment, ordinal, self._ordinal << SEQ_BITS | record.seq)

    def _sweep(self) -> int:
        swept = sweep(self._connection)
        self._owing = self._owing or swept > 0
        self._frames += swept  # the index of keys has a page for each of them, at worst
        return swept

    def _flush(self) -> None:
        if self._owing:
            self._wal.sync()
            self._owing = False
        self.synced = self.head
        self._kept = (self._checkpoint, self._acknowledgement)

    # --- the anchor ----------------------------------------------------------------------------------------------

    def _take_up(self, place: Place) -> None:
        """Goes on where the journal ends, if the anchor and the place where it lies say that it may; else opens an epoch."""
        connection, founding = self._connection, self._founding
        self._ordinal, self._chain = place.ordinal, place.chain
        (self._checkpoint,) = connection.execute("SELECT coalesce(max(id), 0) FROM checkpoint").fetchone()
        (self._acknowledgement,) = connection.execute("SELECT coalesce(max(version), 0) FROM outbox").fetchone()
        self._log_bytes = self._path.with_name(self._path.name + "-wal").stat().st_size
        key, bound = connection.execute("SELECT key, binding FROM anchoring").fetchone()
        cause = None
        try:
            self._anchor = AnchorFile(anchor_path(self._path), key)
            cause = judge(connection, place, self._anchor.found, founding.binding)
        except AnchorUnsynced:
            raise
        except OSError as error:
            self.anchor_fault = f"{type(error).__name__}: {error.strerror}"
        self._binding = founding.binding if cause else merged(bound, founding.binding)
        connection.execute("BEGIN IMMEDIATE")
        if cause is not None:
            self.opened = self._open_epoch(cause, founding.stamp)
        if cause is not None or self._binding != bound:
            connection.execute("UPDATE anchoring SET binding = ?", (self._binding,))
            self._owing = True
        connection.execute("COMMIT")
        self.head = self._chain.head
        self._flush()
        self._begin_anchor()

    def _begin_anchor(self) -> None:
        """The first slot of this run, on the medium. From here on an anchor that fails ends the run as the log does."""
        if self._anchor is None:
            return
        try:
            self._sync_anchor()
        except AnchorUnsynced:
            self._anchor.close()
            self._anchor = None  # closing the journal is not to try again
            raise
        except OSError as error:
            self.anchor_fault = f"{type(error).__name__}: {error.strerror}"
            self._anchor.close()
            self._anchor = None
            return
        if not self._connection.execute("SELECT kept FROM anchoring").fetchone()[0]:
            self._connection.execute("UPDATE anchoring SET kept = 1")
            self._owing = True

    def _write_anchor(self, *, log_bytes: int | None = None) -> None:
        """Says how far the medium reaches, unless that was said."""
        if self._anchor is None or (self._anchored is self.synced and log_bytes is None):
            return
        checkpoint, acknowledgement = self._kept
        synced = self.synced
        self._anchor.write(
            Anchor(
                epoch=synced.epoch,
                seq=synced.seq,
                hash=synced.hash,
                number=self._chain.number,
                binding=self._binding,
                log_bytes=self._log_bytes if log_bytes is None else log_bytes,
                checkpoint=checkpoint,
                acknowledgement=acknowledgement,
            )
        )
        self._anchored = synced
        self.anchor_owing = True

    def _sync_anchor(self) -> None:
        self._write_anchor()
        if self._anchor is not None:
            self._anchor.sync()
        self.anchor_owing = False

    def _end_anchor(self) -> None:
        """After an orderly end there is no log any more."""
        if self._anchor is None:
            return
        try:
            self._write_anchor(log_bytes=0)
            self._anchor.sync()
        except OSError as error:
            self.anchor_fault = f"{type(error).__name__}: {error.strerror}"
