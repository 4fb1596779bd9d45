"""Taking over from a dead terminal: what its second medium holds becomes another terminal's journal.

Nothing is changed before all of it was read and proved. Then a journal is founded beside the one that this terminal may
have, and put in its place in steps of which each may be the last: a note beside the journal says that an adoption was
begun, and until it is gone no daemon starts here. The same adoption, run again, finishes what it began.
"""

import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import DaemonStopped, Entry, EpochOpened, TransactionCompleted, decode
from core.ledger import Head, Record, Stream, open_record
from store.database import explain, read_database, sync_folder
from store.epochs import NUMBERS_SKIPPED, SEQ_MASK, AdoptedEpoch, Founding, found_adopted
from store.errors import AdoptionRefused, AdoptionUnfinished, MirrorAltered, MirrorMissing
from store.mirror import Left, left_by, read_left
from store.mirror_format import Base, Contents

NOTE = "adoption.json"
_NEW = "adopted-journal.db"
_ASIDE = ".before-adoption"
_BESIDE = ("", "-wal", "-shm")

SecretOf = Callable[[Left], bytes]
"""Gives the secret of a file on the medium. Raises MirrorWrongKey."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inheritance:
    """What a second medium proved to hold, the oldest epoch first.

    `base` is the current epoch's, `head` where it ends. `sales` and `amount_minor` are of completed sales that headquarters had not acknowledged. `clean` says that the terminal had said
    goodbye, so that nothing came after.
    """

    terminal: str
    epochs: tuple[AdoptedEpoch, ...]
    base: Base
    head: Head
    sales: int
    amount_minor: int
    last_time_ms: int
    clean: bool
    torn: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """What is said beside the journal while an adoption is under way: whose, and the epoch that it opens."""

    terminal: str
    epoch: str


def inherit(root: Path, terminal: str, secret_of: SecretOf, *, salvage: bool = False) -> Inheritance:
    """Reads and proves all that a terminal left on a medium. Raises MirrorMissing, MirrorAltered, MirrorWrongKey and so on."""
    lefts = {left.header.epoch: left for left in left_by(root, terminal)}
    current = next(iter(lefts.values()))
    secret = secret_of(current)
    records: list[Record] = []
    contents = read_left(current, secret, records.extend, salvage=salvage)
    epochs = [_adopted(contents, records)]
    for epoch, older in reversed(contents.base.secrets.items()):
        if epoch not in lefts:
            raise MirrorMissing(f"the file of the epoch {epoch}, which was not delivered either, is not on the medium")
        before: list[Record] = []
        found = read_left(lefts[epoch], bytes.fromhex(older), before.extend)
        epochs.insert(0, _adopted(found, before))
    first = _opened(epochs[0].records)
    if first is not None and first.previous_epoch is not None and first.previous_head is not None:
        prev = Head(epoch=first.previous_epoch, seq=first.previous_seq, hash=bytes.fromhex(first.previous_head))
        epochs.insert(0, AdoptedEpoch(prev=prev, records=()))
    for one, next_ in itertools.pairwise(epochs):
        _follows(one, next_)
    return _summed(terminal, epochs, contents)


def _adopted(contents: Contents, records: Sequence[Record]) -> AdoptedEpoch:
    base = contents.base
    prev = Head(epoch=contents.header.epoch, seq=base.prev_seq, hash=bytes.fromhex(base.prev_hash))
    state = bytes(base.state)
    return AdoptedEpoch(
        prev=prev,
        records=tuple(records),
        ack=(_mark(contents.ack), contents.ack.encode()) if contents.ack else None,
        state=(base.state_seq, state) if state != b"null" else None,
    )


class _Mark(msgspec.Struct, frozen=True):
    hwm: int


class _Answer(msgspec.Struct, frozen=True):
    """What is needed of headquarters' answer here; whether it is headquarters' is looked at elsewhere."""

    ack: _Mark


def _mark(ack: str) -> int:
    try:
        return msgspec.json.decode(ack, type=_Answer).ack.hwm
    except (ValueError, RecursionError) as error:
        raise MirrorAltered(f"headquarters' answer on the medium cannot be read: {error}") from error


def _opened(records: Sequence[Record]) -> EpochOpened | None:
    if not records or records[0].seq != 1:
        return None
    entry = _entry(records[0])
    return entry if isinstance(entry, EpochOpened) else None


def _follows(before: AdoptedEpoch, after: AdoptedEpoch) -> None:
    opened = _opened(after.records)
    if opened is None:
        return  # it begins in the middle: the one before it was delivered to a part, and so was this
    last = before.records[-1] if before.records else None
    head = (
        (last.epoch, last.seq, last.hash.hex())
        if last
        else (before.prev.epoch, before.prev.seq, before.prev.hash.hex())
    )
    if (opened.previous_epoch, opened.previous_seq, opened.previous_head) != head:
        raise MirrorAltered(f"the epoch {after.prev.epoch} does not follow {before.prev.epoch} at record {head[1]}")


def _summed(terminal: str, epochs: Sequence[AdoptedEpoch], contents: Contents) -> Inheritance:
    sales = amount_minor = 0
    last: Record | None = None
    for epoch in epochs:
        mark = epoch.ack[0] if epoch.ack is not None else 0
        for record in epoch.records:
            last = record
            if record.seq > mark and b'"transaction_completed"' in record.exact:
                entry = _entry(record)
                if isinstance(entry, TransactionCompleted):
                    sales, amount_minor = sales + 1, amount_minor + entry.total_minor
    return Inheritance(
        terminal=terminal,
        epochs=tuple(epochs),
        base=contents.base,
        head=contents.head,
        sales=sales,
        amount_minor=amount_minor,
        last_time_ms=open_record(last.exact).time_ms if last is not None else 0,
        clean=last is not None and isinstance(_entry(last), DaemonStopped),
        torn=contents.torn,
    )


def _entry(record: Record) -> Entry | None:
    try:
        return decode(open_record(record.exact).body)
    except ValueError:
        return None


# --- this terminal's own journal ---------------------------------------------------------------------------------


def refuse_unfinished(journal: Path) -> None:
    """Raises AdoptionUnfinished where an adoption was begun here and not finished."""
    note = read_note(journal)
    if note is not None:
        raise AdoptionUnfinished(f"this terminal began to take over from {note.terminal}")


def read_note(journal: Path) -> Note | None:
    """What adoption is under way here."""
    try:
        content = journal.with_name(NOTE).read_bytes()
    except FileNotFoundError:
        return None
    try:
        return msgspec.json.decode(content, type=Note)
    except (ValueError, RecursionError):
        return Note(terminal="another one", epoch="")


def epoch_of(journal: Path, key: bytes) -> str | None:
    """The current epoch of a journal; None where there is no journal. Raises JournalError."""
    if not journal.exists():
        return None
    rows = _asked(journal, key, "SELECT id FROM epoch ORDER BY ordinal DESC LIMIT 1")
    return str(rows[0][0]) if rows else None


def refuse_unsent(journal: Path, key: bytes, inherited: Sequence[AdoptedEpoch]) -> None:
    """Raises AdoptionRefused where this terminal's own journal holds sales that are nowhere else."""
    if not journal.exists():
        return
    known = {(record.epoch, record.seq): record.hash for epoch in inherited for record in epoch.records}
    rows = _asked(
        journal,
        key,
        "SELECT e.id, r.position, r.exact, r.hash FROM record r JOIN epoch e ON e.ordinal = r.position >> 40"
        " LEFT JOIN outbox o ON o.epoch = e.id WHERE r.position & ? > coalesce(o.seq, 0) ORDER BY r.position",
        (SEQ_MASK,),
    )
    unsent = 0
    for epoch, position, exact, hash_ in rows:
        record = Record(epoch=epoch, seq=position & SEQ_MASK, exact=exact, hash=hash_)
        if known.get((record.epoch, record.seq)) != record.hash and _is_of_a_sale(record):
            unsent += 1
    if unsent:
        raise AdoptionRefused(
            f"this terminal holds {unsent} records of sales of its own that headquarters has not acknowledged: connect it"
            " until all is sent, or take another terminal"
        )


def _is_of_a_sale(record: Record) -> bool:
    """What moves money, and what nobody can read."""
    try:
        envelope = open_record(record.exact)
        entry = decode(envelope.body)
    except ValueError:
        return True
    return envelope.stream is Stream.SALES and entry.MOVES_MONEY


def _asked(journal: Path, key: bytes, sql: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    connection = read_database(journal, key)
    try:
        rows: list[tuple[Any, ...]] = connection.execute(sql, values).fetchall()
    except sqlcipher.Error as error:
        raise explain(journal, key, error) from error
    finally:
        connection.close()
    return rows


# --- taking over -------------------------------------------------------------------------------------------------


def found_beside(
    journal: Path, key: bytes, inheritance: Inheritance, founding: Founding, *, skip: int = NUMBERS_SKIPPED
) -> str:
    """Founds the journal under another name; gives the epoch that it opens. What was left there before goes."""
    new = journal.with_name(_NEW)
    for suffix in _BESIDE:
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    found_adopted(new, key, inheritance.epochs, founding, skip=skip)
    epoch = epoch_of(new, key)
    assert epoch is not None
    for suffix in _BESIDE[1:]:  # a reader's, and empty: what was founded was folded into its file
        new.with_name(new.name + suffix).unlink(missing_ok=True)
    return epoch


def put_in_place(journal: Path, aside_ms: int, between: Mapping[str, Callable[[], None]]) -> None:
    """Sets aside the journal that there is, does what comes in between, and gives the new one its name.

    `between` are the steps of others (the signing key, the configuration) by their name; each may be done twice.
    """
    anchor = journal.with_suffix(".anchor")
    if journal.with_name(_NEW).exists():
        for path in (*(journal.with_name(journal.name + suffix) for suffix in _BESIDE), anchor):
            if path.exists():
                path.rename(path.with_name(f"{path.name}{_ASIDE}-{aside_ms}"))
        sync_folder(journal.parent)
    for step in between.values():
        step()
    if journal.with_name(_NEW).exists():
        journal.with_name(_NEW).rename(journal)
        sync_folder(journal.parent)


def begin_note(journal: Path, note: Note) -> None:
    """From here on no daemon starts, until `end_note`."""
    path = journal.with_name(NOTE)
    new = path.with_name(path.name + ".new")
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, msgspec.json.encode(note))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    sync_folder(path.parent)


def end_note(journal: Path) -> None:
    """The adoption is finished."""
    journal.with_name(NOTE).unlink(missing_ok=True)
    sync_folder(journal.parent)
