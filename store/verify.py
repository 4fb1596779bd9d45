"""Looks whether a journal is whole, and reads it out, beside a running daemon or without one.

Reads in pages, each from a snapshot of its own: records are only ever added, and a long snapshot would keep the daemon's
log from starting over. What is known of the end from elsewhere (`store.witness`) is read first, for the same reason.

A finding has a kind, which is what happened as far as the evidence goes:

- ``truncation``: records are missing at the end, and the journal's own tables or its cut log say so;
- ``rollback``: the file, or some of its pages, are older than they were; all that is there may look sound;
- ``edit``, ``reorder``, ``gap``: records were altered, exchanged, or taken out of the middle;
- ``fork``: the chain is sound, and it is not the one that the anchor, headquarters or a second medium know;
- ``foreign``: it belongs to another terminal, or the anchor beside it to another journal;
- ``unreadable``: pages of the file are damaged.
"""

from collections.abc import Generator, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import RESTORED, EpochOpened, decode
from core.ledger import Head, Record, link, open_record
from store.chain import SEQ_BITS, Chain, Tail
from store.database import explain, read_database
from store.epochs import SEQ_MASK, base, hash_at
from store.errors import JournalDamaged
from store.findings import Finding, Kind, Verification, missing
from store.pages import bad_pages, is_cut, next_readable, unsound
from store.returned import LINE_SQL, opening
from store.tombstones import Tombstones
from store.witness import Witness, compare, look_outside

PAGE_RECORDS = 2_000

Steps = Generator[int, None, Verification]
_Row = tuple[int, Any, Any, Any]
"""Of a record: position, exact bytes, hash, idempotency key; in a damaged file they may be of other kinds."""


def verify_journal(
    path: Path, key: bytes, *, terminal: str | None = None, witnesses: Sequence[Witness] = ()
) -> Verification:
    """Checks every record (chain, order, streams, epochs), every page, and what is known of the end.

    `terminal` is whose journal it must be; `witnesses` are heads that were kept elsewhere, besides the anchor. Raises
    JournalError where the file cannot be opened.
    """
    steps = verify_in_steps(path, key, terminal=terminal, witnesses=witnesses)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            found: Verification = end.value
            return found


def verify_in_steps(path: Path, key: bytes, *, terminal: str | None = None, witnesses: Sequence[Witness] = ()) -> Steps:
    """The same a piece at a time: gives how many records were looked at so far, and in the end the verification."""
    connection = read_database(path, key)
    walk = _Walk(connection, terminal)
    anchored = False
    try:
        outside = look_outside(path, connection, witnesses)
        anchored = outside.anchored
        yield from walk.run()
        finding = walk.finding or compare(connection, outside)
        yield walk.records
        bad = bad_pages(path, key) if finding is None else []
        yield walk.records
        if bad:
            finding = Finding(f"{_named(bad)} of the file cannot be read; no record is there", "unreadable")
        elif finding is None or finding.kind in ("gap", "truncation"):
            finding = _of_one_time(connection, finding)
    except (sqlcipher.Error, JournalDamaged) as error:
        finding = _unreadable(path, key, walk, error)
    finally:
        connection.close()
    return _verification(walk, finding, anchored)


def iter_records(path: Path, key: bytes) -> Iterator[Record]:
    """All records in order, as they stand. Raises JournalError, also in the middle where the file is damaged."""
    connection = read_database(path, key)
    try:
        epochs = _Epochs(connection)
        for position, exact, hash_, _ in _rows(connection):
            yield Record(epoch=epochs.name(position >> SEQ_BITS), seq=position & SEQ_MASK, exact=exact, hash=hash_)
    except sqlcipher.Error as error:
        raise explain(path, key, error) from error
    finally:
        connection.close()


def record_line(record: Record) -> bytes:
    """A record as one line of JSON for people and tools: its exact bytes, with its hash (hex) as one more member."""
    return record.exact.rstrip()[:-1] + b',"hash":"' + record.hash.hex().encode() + b'"}'


class _Walk:
    """One pass over the records in their order, up to the first that is wrong."""

    def __init__(self, connection: Any, terminal: str | None) -> None:
        self.records = 0
        self.position = -1
        """Of the last record that was read."""
        self.chain: Chain | None = None
        self.finding: Finding | None = None
        self.complete = False
        """Whether all records were read."""
        self._connection = connection
        self._terminal = terminal
        self._epochs = _Epochs(connection)
        self._tombstones = Tombstones()
        self._ordinal = 0
        self._base: Tail | None = None

    def run(self) -> Iterator[int]:
        """Reads on; gives the count after each page of records."""
        for row in _rows(self._connection, self.position):
            if not self._step(row):
                return
            if self.records % PAGE_RECORDS == 0:
                yield self.records
        self.complete = True
        self.finding = self._end()

    def go_on(self, connection: Any, count: int) -> None:
        """Reads on over another connection: one page of so many records."""
        self._connection, self._epochs = connection, _Epochs(connection)
        for row in _page(connection, self.position, count):
            if not self._step(row):
                return

    def _step(self, row: _Row) -> bool:
        self.finding = self._take(row)
        if self.finding is None:
            self.position = row[0]
        return self.finding is None

    def _take(self, row: _Row) -> Finding | None:
        position, exact = row[:2]
        ordinal, seq = position >> SEQ_BITS, position & SEQ_MASK
        if self.chain is None or ordinal != self._ordinal:
            previous, self.chain = self.chain, self._begin(ordinal, seq)
            finding = self._check(row) or self._opening(exact, seq, previous)
        elif self._base is not None and 1 < seq <= self._base.seq:
            return None  # pruned, and not yet gone
        else:
            if self._base is not None and self.chain.head.seq < self._base.seq:
                self.chain = Chain(self.chain.head.epoch, self._base)
            finding = self._check(row)
        self.records += finding is None
        self._tombstones.take(position, exact)
        return finding

    def _begin(self, ordinal: int, seq: int) -> Chain:
        """The chain of an epoch from where its records begin here."""
        self._ordinal, self._base = ordinal, base(self._connection, ordinal)
        name = self._epochs.name(ordinal)
        return Chain(name, self._base if seq > 1 else None)

    def _check(self, row: _Row) -> Finding | None:
        position, exact, hash_, key = row
        assert self.chain is not None
        seq, due = position & SEQ_MASK, self.chain.head.seq + 1
        before = self.chain.head.hash
        if not isinstance(exact, bytes) or not isinstance(hash_, bytes):
            return Finding(f"record {seq} is none", "edit", seq, seq)  # in a page of another table
        text = self.chain.check(seq, exact, hash_, key)
        if text is None:
            return None
        if seq > due:
            return Finding(missing(due, seq - 1), "gap", due, seq - 1)
        kind: Kind = "reorder" if _seq_of(exact) not in (seq, None) else "edit"
        return Finding(text, kind, seq, self._last_like(kind, before, row))

    def _last_like(self, kind: Kind, before: bytes, row: _Row) -> int:
        """How far what is wrong with a record goes on without a break."""
        last, befores = row[0], {link(before, row[1]), row[2]}
        for position, exact, hash_, _ in _rows(self._connection, after=row[0]):
            displaced = _seq_of(exact) != position & SEQ_MASK
            broken = hash_ not in {link(each, exact) for each in befores}
            if position != last + 1 or not (displaced if kind == "reorder" else broken):
                break
            last, befores = position, {hash_}
        return last & SEQ_MASK

    def _opening(self, exact: bytes, seq: int, previous: Chain | None) -> Finding | None:
        """What is wrong with where an epoch begins."""
        if seq > 1:
            adopted = self._base is not None and self._base.partial
            return None if adopted else Finding(missing(1, 1), "gap", 1, 1)
        try:
            opened = decode(open_record(exact).body)
        except ValueError:
            opened = None
        if not isinstance(opened, EpochOpened):
            return Finding("record 1 does not open its epoch", "edit", 1, 1)
        if self._terminal is not None and opened.terminal != self._terminal:
            return Finding(f"it is the journal of {opened.terminal}, not of {self._terminal}", "foreign")
        self._tombstones.opened(opened)
        finding = _follows(opened, self._end_before(previous))
        return None if finding is not None and self._branches(opened) else finding

    def _end_before(self, previous: Chain | None) -> Head | None:
        """Where the epoch before this one ends: at its last record here, or where all of them were left out."""
        (ordinal,) = self._connection.execute(
            "SELECT coalesce(max(ordinal), 0) FROM epoch WHERE ordinal < ?", (self._ordinal,)
        ).fetchone()
        name, tail = self._epochs.name(ordinal), base(self._connection, ordinal)
        head = previous.head if previous is not None and previous.head.epoch == name else None
        if tail is not None and (head is None or tail.seq > head.seq):
            return Head(epoch=name, seq=tail.seq, hash=bytes.fromhex(tail.hash))
        return head

    def _branches(self, opened: EpochOpened) -> bool:
        """Whether an epoch goes on from the middle of one, as after a restore: what follows there came back later."""
        if self._ordinal > self._epochs.restored:
            return False
        row = self._connection.execute(
            "SELECT ordinal FROM epoch WHERE id = ? AND ordinal < ?", (opened.previous_epoch, self._ordinal)
        ).fetchone()
        hash_ = hash_at(self._connection, row[0], opened.previous_seq) if row else None
        return hash_ is not None and hash_.hex() == opened.previous_head

    def _end(self) -> Finding | None:
        if self.chain is None:
            return Finding("the journal has no records", "truncation", 1, None)
        (newest,) = self._connection.execute("SELECT max(ordinal) FROM epoch").fetchone()
        if newest is not None and newest > self._ordinal and not _has_records(self._connection, newest):
            return Finding(f"epoch {self._epochs.name(newest)} has no records", "truncation", 1, None)
        return self._tombstones.check(self._connection, self.position)


class _Epochs:
    """The names of the epochs by ordinal; one that is not listed has the name ``""``."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._names: dict[int, str] = {}

    @cached_property
    def restored(self) -> int:
        """The ordinal of the last epoch that was opened by a restore; 0 where none was."""
        openings = [(row[0], opening(row[2])) for row in self._connection.execute(LINE_SQL, (SEQ_BITS,)) if row[2]]
        return max((at for at, opened in openings if opened and opened.reason == RESTORED), default=0)

    def name(self, ordinal: int) -> str:
        if ordinal not in self._names:
            row = self._connection.execute("SELECT id FROM epoch WHERE ordinal = ?", (ordinal,)).fetchone()
            self._names[ordinal] = row[0] if row else ""
        return self._names[ordinal]


def _rows(connection: Any, after: int = -1) -> Iterator[_Row]:
    """The records after a position. Where the file is damaged, those before the damage come first."""
    while True:
        count = 0
        for row in _page(connection, after, PAGE_RECORDS):
            yield row
            after, count = row[0], count + 1
        if count < PAGE_RECORDS:
            return


def _page(connection: Any, after: int, count: int) -> Iterator[_Row]:
    yield from connection.execute(
        "SELECT position, exact, hash, key FROM record WHERE position > ? ORDER BY position LIMIT ?", (after, count)
    )


def _follows(opened: EpochOpened, end: Head | None) -> Finding | None:
    """Whether an epoch goes on where the one before it ends."""
    said = (opened.previous_epoch, opened.previous_seq, opened.previous_head)
    if end is None:
        if opened.previous_epoch is None:
            return None
        return Finding("the epoch before the first one is missing", "gap", 1, opened.previous_seq)
    if said == (end.epoch, end.seq, end.hash.hex()):
        return None
    text = f"record 1 does not continue epoch {end.epoch} at record {end.seq}"
    if opened.previous_epoch == end.epoch and opened.previous_seq > end.seq:
        first, last = end.seq + 1, opened.previous_seq
        return Finding(f"{text}: {missing(first, last, ' there')}", "gap", first, last)
    return Finding(text, "fork", 1, None)


def _seq_of(exact: bytes) -> int | None:
    try:
        return open_record(exact).seq
    except ValueError:
        return None


def _has_records(connection: Any, ordinal: int) -> bool:
    row = connection.execute("SELECT 1 FROM record WHERE position > ? LIMIT 1", (ordinal << SEQ_BITS,)).fetchone()
    return row is not None


def _of_one_time(connection: Any, finding: Finding | None) -> Finding | None:
    """Pages that do not hang together, or records that are missing and of which the index of keys still knows."""
    state = unsound(connection)
    if finding is None:
        return Finding(f"the pages of the file are not of one time ({state})", "rollback") if state else None
    if state is None and not (finding.kind == "gap" and _index_knows(connection, finding)):
        return finding
    return Finding(f"{finding.text}: an older page was put back", "rollback", finding.first, finding.last)


def _index_knows(connection: Any, finding: Finding) -> bool:
    """Whether the index of keys still has a record that is missing; it has the position, so the table is not asked."""
    row = connection.execute(
        "SELECT 1 FROM record INDEXED BY record_key WHERE key IS NOT NULL AND position & ?1 BETWEEN ?2 AND ?3 AND NOT EXISTS"
        " (SELECT 1 FROM record r WHERE r.position = record.position) LIMIT 1",
        (SEQ_MASK, finding.first, finding.last),
    ).fetchone()
    return row is not None


def _unreadable(path: Path, key: bytes, walk: _Walk, error: Exception) -> Finding:
    """What a damage to the file is, and which records it takes."""
    if isinstance(error, JournalDamaged):
        return Finding(str(error), "edit")
    if (finding := _salvage(path, key, walk)) is not None:
        return finding
    bad = bad_pages(path, key)
    cut = _is_cut(path, key)
    kind: Kind = "truncation" if cut else "unreadable" if bad else "rollback"
    why = "the file is cut off" if cut else f"{_named(bad)} cannot be read" if bad else "its pages are not of one time"
    if walk.complete:
        return Finding(f"{why}; no record is there", kind)
    last_read = max(walk.position, 1 << SEQ_BITS)
    first = (last_read & SEQ_MASK) + 1
    following = next_readable(path, key, last_read + 1)
    if following is None or following >> SEQ_BITS != last_read >> SEQ_BITS:
        return Finding(f"all records from {first} on cannot be read: {why} ({error})", kind, first, None)
    last = (following & SEQ_MASK) - 1
    return Finding(f"records {first} to {last} cannot be read: {why} ({error})", kind, first, last)


def _salvage(path: Path, key: bytes, walk: _Walk) -> Finding | None:
    """Goes on with a walk that met with damage, up to the last record before it; gives what is wrong before that.

    A cursor reads a row ahead, so the last rows are asked for one by one. Each try has a connection of its own.
    """
    for count in (PAGE_RECORDS, 1):
        going_on = True
        while going_on and walk.finding is None:
            connection, before = read_database(path, key), walk.position
            try:
                walk.go_on(connection, count)
                going_on = walk.position > before
                walk.complete = not going_on
            except sqlcipher.Error:
                going_on = False
            finally:
                connection.close()
    return walk.finding


def _is_cut(path: Path, key: bytes) -> bool:
    connection = read_database(path, key)
    try:
        return is_cut(path, connection)
    except sqlcipher.Error:
        return False
    finally:
        connection.close()


def _named(pages: Sequence[int]) -> str:
    named = ", ".join(str(page) for page in pages[:5])
    return f"page {named}" if len(pages) == 1 else f"pages {named}" + (" and more" if len(pages) > 5 else "")


def _verification(walk: _Walk, finding: Finding | None, anchored: bool) -> Verification:
    head = walk.chain.head if walk.chain is not None else None
    if finding is None:
        return Verification(whole=True, records=walk.records, head=head, anchored=anchored)
    return Verification(
        whole=False, records=walk.records, finding=finding.text, kind=finding.kind, first=finding.first,
        last=finding.last, head=head, anchored=anchored,
    )  # fmt: skip
