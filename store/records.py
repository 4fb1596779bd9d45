"""The journal's blocking half: the tables, the transactions and the flushes. Used by one thread at a time."""

import ctypes
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, draft
from core.ledger import Draft, Head, Record, Stamp
from store.chain import Chain, Tail
from store.database import PAGE_BYTES, claim, explain, open_database
from store.errors import DuplicateKey, JournalDamaged, JournalError
from store.wal import FRAMES_WARM, Wal

SEQ_BITS = 40
"""A record's position is its epoch's ordinal shifted by this, plus its seq."""

CHECKPOINTS_KEPT = 2
_KEY_TAKEN = "UNIQUE constraint failed: record.key"
_INSERT = "INSERT INTO record (position, exact, hash, key) VALUES (?, ?, ?, ?)"

# A checkpoint of the log is due before it outgrows its warm file. How many frames a commit makes is estimated: two (the
# last page of records and one of the key index), and three (page, parent, root) each time that a page of records is full.
_FRAMES_A_COMMIT = 2
_RECORD_BYTES_A_FRAME = PAGE_BYTES / 3


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


Task = Append | Acknowledge | SaveCheckpoint | Sync


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What the first record of an epoch says."""

    terminal: str
    signing_key: bytes
    stamp: Stamp
    reason: str = "first-boot"


class RecordStore:
    """The open journal database. `head` and `synced` may be read by any thread."""

    def __init__(self, path: Path, key: bytes, founding: Founding, *, frames_warm: int = FRAMES_WARM) -> None:
        """Opens it, or makes it at first boot; all that was committed before is on the medium then.

        `frames_warm` is the size of the log's file in pages, and so how often it is copied. Raises JournalError.
        """
        self._path = path
        self._lock = claim(path)
        self._connection: Any = None
        self._wal = Wal(path)
        self._frames = 0.0
        self._frames_due = frames_warm * 3 // 4
        self._owing = False  # something was committed, and not flushed
        try:
            self._connection = open_database(path, key, "journal", fill=lambda new: _found(new, founding))
            self._wal.open()
            self._wal.harden(frames_warm)
            self._connection.execute("PRAGMA synchronous = NORMAL")  # the flush is ours: see store.wal
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")  # SQLite would hide its errors: see `rest`
            self._connection.execute("PRAGMA wal_checkpoint(RESTART)")
            self._ordinal, self._chain = _resume(self._connection)
        except JournalError:
            self.close()
            raise
        except (sqlcipher.Error, OSError) as error:
            self.close()
            raise explain(path, key, error) from error
        self.head: Head = self._chain.head
        self.synced: Head = self.head
        self.commits = 0

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
            if self._owing:
                self._wal.sync()
                self._owing = False
            self.synced = self.head
        return outcomes

    def rest(self) -> None:
        """What is done while nobody waits: copies the log into the database before it outgrows its file. Raises.

        SQLite would do so within a commit, and keep a failed sync to itself: the next commit would then vouch for
        frames that are not on the medium.
        """
        if self._frames >= self._frames_due:
            _, logged, copied = self._connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
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
                self._connection.execute(
                    "INSERT INTO outbox (epoch, seq, ack) VALUES (?, ?, ?)"
                    " ON CONFLICT (epoch) DO UPDATE SET seq = excluded.seq, ack = excluded.ack",
                    (epoch, seq, ack),
                )
            case SaveCheckpoint(seq, state):
                self._save_checkpoint(seq, state)
            case Sync():
                pass
        return None

    def _append(self, task: Append) -> tuple[Record, ...] | JournalError:
        records = []
        key = task.key
        for each in task.drafts:
            record = self._chain.seal(each, task.stamp, key)
            try:
                self._connection.execute(
                    _INSERT, (self._ordinal << SEQ_BITS | record.seq, record.exact, record.hash, key)
                )
            except sqlcipher.IntegrityError as error:
                if str(error) != _KEY_TAKEN:
                    raise
                return DuplicateKey(f"{key} was kept before")
            self._owing = True
            self._chain.take(record, each.stream)
            self._frames += len(record.exact) / _RECORD_BYTES_A_FRAME
            records.append(record)
            key = None  # it stands with the first of them
        self._frames += len(records) // 3
        return tuple(records)

    def _save_checkpoint(self, seq: int, state: bytes) -> None:
        self._owing = True
        tail = self._chain.tail()
        self._connection.execute(
            "INSERT INTO checkpoint (epoch, seq, state, tail_seq, tail) VALUES (?, ?, ?, ?, ?)",
            (self._chain.head.epoch, seq, state, tail.seq, msgspec.json.encode(tail)),
        )
        self._connection.execute(
            "DELETE FROM checkpoint WHERE id <= (SELECT max(id) FROM checkpoint) - ?", (CHECKPOINTS_KEPT,)
        )
        self._frames += len(state) / PAGE_BYTES


def _found(connection: Any, founding: Founding) -> None:
    """Opens the first epoch of a new journal: its random id, and the record that names it."""
    epoch = secrets.token_hex(16)
    opened = EpochOpened(terminal=founding.terminal, reason=founding.reason, signing_key=founding.signing_key.hex())
    record = Chain(epoch).seal(draft(opened), founding.stamp, None)
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO epoch (ordinal, id) VALUES (1, ?)", (epoch,))
    connection.execute(_INSERT, (1 << SEQ_BITS | record.seq, record.exact, record.hash, None))
    connection.execute("COMMIT")


def _resume(connection: Any) -> tuple[int, Chain]:
    """The current epoch's ordinal and the end of its chain, checked from the last checkpoint on."""
    last = connection.execute("SELECT ordinal, id FROM epoch ORDER BY ordinal DESC LIMIT 1").fetchone()
    if last is None:
        raise JournalDamaged("the journal has no epoch")
    ordinal, epoch = last
    chain = Chain(epoch, _kept_tail(connection, ordinal, epoch))
    rows = connection.execute(
        "SELECT position, exact, hash, key FROM record WHERE position > ? AND position < ? ORDER BY position",
        (ordinal << SEQ_BITS | chain.head.seq, (ordinal + 1) << SEQ_BITS),
    )
    for position, exact, hash_, key in rows:
        if finding := chain.check(position - (ordinal << SEQ_BITS), exact, hash_, key):
            raise JournalDamaged(finding)
    if chain.head.seq == 0:
        raise JournalDamaged("the journal has no records")
    return ordinal, chain


def _kept_tail(connection: Any, ordinal: int, epoch: str) -> Tail | None:
    kept = connection.execute(
        "SELECT tail FROM checkpoint WHERE epoch = ? ORDER BY id DESC LIMIT 1", (epoch,)
    ).fetchone()
    if kept is None:
        return None
    try:
        tail = msgspec.json.decode(kept[0], type=Tail)
    except msgspec.DecodeError as error:
        raise JournalDamaged(f"the last checkpoint cannot be read: {error}") from error
    found = connection.execute(
        "SELECT hash FROM record WHERE position = ?", (ordinal << SEQ_BITS | tail.seq,)
    ).fetchone()
    if found is None or found[0].hex() != tail.hash:
        raise JournalDamaged(f"record {tail.seq} is not the one that the checkpoint names")
    return tail
