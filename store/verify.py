"""Looks whether a journal is whole, and reads it out, beside a running daemon or without one.

Reads in pages, each from a snapshot of its own: records are only ever added, and a long snapshot would keep the daemon's
log from starting over.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, decode
from core.ledger import Head, Record, open_record
from store.chain import Chain, Tail
from store.database import explain, read_database
from store.records import SEQ_BITS

PAGE_RECORDS = 2_000
_SEQ_MASK = (1 << SEQ_BITS) - 1


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a journal is whole; else `finding` names the first record that is not. `head` is where it ends."""

    whole: bool
    records: int
    finding: str | None
    head: Head | None = None


def verify_journal(path: Path, key: bytes) -> Verification:
    """Checks every record: chain, order, streams, epochs, and what is kept beside them.

    A cut at the end shows where headquarters has acknowledged more, or a checkpoint names a later record; else it takes
    a head that was kept elsewhere. Raises JournalError where the file cannot be opened.
    """
    connection = read_database(path, key)
    records = 0
    chain: Chain | None = None
    try:
        for epoch, seq, exact, hash_, kept_key in _rows(connection):
            if chain is None or epoch != chain.head.epoch:
                previous, chain = chain, Chain(epoch)
                finding = chain.check(seq, exact, hash_, kept_key) or _opening(exact, previous)
            else:
                finding = chain.check(seq, exact, hash_, kept_key)
            if finding is not None:
                return _finding(records, finding)
            records += 1
        if chain is None:
            return _finding(0, "the journal has no records")
        if (finding := _beside(connection, chain.head)) is not None:
            return _finding(records, finding)
        (state,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
        if state != "ok":
            return _finding(records, f"the file is damaged: {state}")
    except sqlcipher.Error as error:
        return _finding(records, f"what comes after {records} records cannot be read: {error}")
    finally:
        connection.close()
    return Verification(whole=True, records=records, finding=None, head=chain.head)


def iter_records(path: Path, key: bytes) -> Iterator[Record]:
    """All records in order, as they stand. Raises JournalError, also in the middle where the file is damaged."""
    connection = read_database(path, key)
    try:
        for epoch, seq, exact, hash_, _ in _rows(connection):
            yield Record(epoch=epoch, seq=seq, exact=exact, hash=hash_)
    except sqlcipher.Error as error:
        raise explain(path, key, error) from error
    finally:
        connection.close()


def record_line(record: Record) -> bytes:
    """A record as one line of JSON for people and tools: its exact bytes, with its hash (hex) as one more member."""
    return record.exact.rstrip()[:-1] + b',"hash":"' + record.hash.hex().encode() + b'"}'


def _rows(connection: Any) -> Iterator[tuple[str, int, bytes, bytes, str | None]]:
    """Each record as (epoch, seq, exact, hash, key). A record of an epoch that is not listed has epoch ``""``."""
    last = -1
    while True:
        rows = connection.execute(
            "SELECT r.position, coalesce(e.id, ''), r.exact, r.hash, r.key FROM record r"
            " LEFT JOIN epoch e ON e.ordinal = r.position >> ? WHERE r.position > ? ORDER BY r.position LIMIT ?",
            (SEQ_BITS, last, PAGE_RECORDS),
        ).fetchall()
        for position, epoch, exact, hash_, key in rows:
            yield epoch, position & _SEQ_MASK, exact, hash_, key
        if len(rows) < PAGE_RECORDS:
            return
        last = rows[-1][0]


def _opening(exact: bytes, previous: Chain | None) -> str | None:
    """What is wrong with the first record of an epoch."""
    try:
        opened = decode(open_record(exact).body)
    except ValueError:
        opened = None
    if not isinstance(opened, EpochOpened):
        return "record 1 does not open its epoch"
    if previous is None:
        return None if opened.previous_epoch is None else "the epoch before the first one is missing"
    head = previous.head
    if (opened.previous_epoch, opened.previous_seq, opened.previous_head) != (head.epoch, head.seq, head.hash.hex()):
        return f"record 1 does not continue epoch {head.epoch} at record {head.seq}"
    return None


def _beside(connection: Any, head: Head) -> str | None:
    """What the rows beside the records know of a later end. They are read after the records: these may have grown."""
    kept = connection.execute("SELECT tail FROM checkpoint WHERE epoch = ?", (head.epoch,)).fetchall()
    try:
        tails = [msgspec.json.decode(row[0], type=Tail) for row in kept]
    except msgspec.DecodeError as error:
        return f"a checkpoint cannot be read: {error}"
    acknowledged = connection.execute("SELECT seq FROM outbox WHERE epoch = ?", (head.epoch,)).fetchone()
    known = max([tail.seq for tail in tails] + ([acknowledged[0]] if acknowledged else []), default=0)
    if known <= head.seq:
        return None
    grown = connection.execute(
        "SELECT max(r.position) FROM record r JOIN epoch e ON r.position >> ? = e.ordinal WHERE e.id = ?",
        (SEQ_BITS, head.epoch),
    ).fetchone()[0]
    if known <= grown & _SEQ_MASK:
        return None
    return f"records {(grown & _SEQ_MASK) + 1} to {known} are missing at the end"


def _finding(records: int, finding: str) -> Verification:
    return Verification(whole=False, records=records, finding=finding)
