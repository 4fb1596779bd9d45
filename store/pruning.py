"""Pruning: which whole segment of records may go, and what is done so that the chain still verifies without it.

A segment is a fixed number of records of one epoch, in its order; it is closed once there are records after it, or the
epoch has ended. Segments go from the beginning on, so what is left of an epoch is its first record, which names its
signing key, and all records after a certain one (the table ``base``). First the tombstone is on the medium, with where the
epoch now begins; then the rows go, a few in each transaction, and a power cut in between leaves some to the next time.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from core.delivery import Range
from core.entries import SegmentPruned, draft
from core.ledger import Draft, Head, open_record, tombstone_message
from store.chain import SEQ_BITS, Chain, Tail
from store.epochs import SEQ_MASK, base
from store.errors import JournalDamaged

SEGMENT_RECORDS = 10_000
STEP_RECORDS = 200
"""Records that are read, or deleted, at a time: who sells waits no longer than for these."""

Sign = Callable[[bytes], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Archived:
    """What headquarters' signed answer lets go of an epoch: records up to `seq`, but for the ranges in quarantine.

    `hash_at_mark` is the chain's at `mark`, its high-water mark: it must be this journal's.
    """

    epoch: str
    seq: int
    mark: int
    hash_at_mark: bytes
    quarantined: Sequence[Range] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """Records of an epoch that are read whole and verified: from the one after `prev` to the end at `tail`."""

    ordinal: int
    prev: Head
    first_hash: bytes
    tail: Tail
    newest_ms: int

    @property
    def last(self) -> Head:
        """Its last record."""
        return Head(epoch=self.prev.epoch, seq=self.tail.seq, hash=bytes.fromhex(self.tail.hash))


class Reader:
    """Reads one segment, `STEP_RECORDS` at a time."""

    def __init__(self, connection: Any, archived: Archived, before_ms: int, records: int) -> None:
        """Of the epoch's first segment that is there. `done` at once where none is closed, or it plainly may not go."""
        epoch = archived.epoch
        self.segment: Segment | None = None
        self.done = True
        row = connection.execute("SELECT ordinal FROM epoch WHERE id = ?", (epoch,)).fetchone()
        if row is None:
            return
        self._ordinal: int = row[0]
        self._chain = _begin(connection, self._ordinal, epoch)
        self._prev = self._chain.head
        self._end = _segment_end(connection, self._ordinal, self._prev.seq, records)
        self._first_hash = b""
        self._newest_ms = 0
        self.done = not self._prev.seq < self._end <= archived.seq
        if not self.done:
            row = connection.execute(
                "SELECT exact FROM record WHERE position = ?", (self._ordinal << SEQ_BITS | self._end,)
            ).fetchone()
            self.done = row is None or open_record(row[0]).time_ms >= before_ms

    def step(self, connection: Any) -> None:
        """Reads on. Raises JournalDamaged: what does not verify is not pruned."""
        at = self._ordinal << SEQ_BITS
        rows = connection.execute(
            "SELECT position, exact, hash, key FROM record WHERE position > ? AND position <= ? ORDER BY position LIMIT ?",
            (at | self._chain.head.seq, at | self._end, STEP_RECORDS),
        ).fetchall()
        for position, exact, hash_, key in rows:
            if finding := self._chain.check(position & SEQ_MASK, exact, hash_, key):
                raise JournalDamaged(finding)
            self._first_hash = self._first_hash or hash_
            self._newest_ms = max(self._newest_ms, open_record(exact).time_ms)
        if self._chain.head.seq == self._end:
            self.done = True
            self.segment = Segment(
                ordinal=self._ordinal,
                prev=self._prev,
                first_hash=self._first_hash,
                tail=self._chain.tail(),
                newest_ms=self._newest_ms,
            )
        elif not rows:
            raise JournalDamaged(f"record {self._chain.head.seq + 1} is missing")


def may_go(connection: Any, segment: Segment, archived: Archived, before_ms: int) -> bool:
    """Whether nobody needs a segment here any more: headquarters has archived it, it is old, and no start needs it."""
    last = segment.last
    if last.seq > archived.seq or archived.seq > archived.mark or segment.newest_ms >= before_ms:
        return False
    if any(first <= last.seq and segment.prev.seq < upto for first, upto in archived.quarantined):
        return False
    mark = connection.execute(
        "SELECT hash FROM record WHERE position = ?", (segment.ordinal << SEQ_BITS | archived.mark,)
    ).fetchone()
    if mark is None or mark[0] != archived.hash_at_mark:
        return False  # not an answer about this chain
    needed = connection.execute(
        "SELECT 1 FROM checkpoint c JOIN epoch e ON e.id = c.epoch"
        " WHERE e.ordinal > ?1 OR (e.ordinal = ?1 AND c.tail_seq >= ?2 AND c.seq >= ?2)",
        (segment.ordinal, last.seq),
    ).fetchone()
    return needed is not None


def tombstone(segment: Segment, terminal: str, sign: Sign) -> SegmentPruned:
    """What is kept in place of a segment's records."""
    prev, last = segment.prev, segment.last
    return SegmentPruned(
        epoch=last.epoch,
        first=prev.seq + 1,
        last=last.seq,
        count=last.seq - prev.seq,
        prev_hash=prev.hash.hex(),
        first_hash=segment.first_hash.hex(),
        last_hash=last.hash.hex(),
        signature=sign(tombstone_message(terminal, prev, last)).hex(),
    )


def drafts(connection: Any, segment: Segment, stone: SegmentPruned) -> list[tuple[int, Draft]]:
    """What is to be appended, each for the epoch with an ordinal: the tombstone, and again those that go with the segment."""
    at = segment.ordinal << SEQ_BITS
    rows = connection.execute(
        "SELECT b.ordinal, r.exact FROM base b JOIN record r ON r.position = b.tombstone"
        " WHERE b.tombstone > ? AND b.tombstone <= ? AND b.ordinal != ?",
        (at | segment.prev.seq, at | segment.tail.seq, segment.ordinal),
    ).fetchall()
    carried = [(ordinal, _again(exact)) for ordinal, exact in rows]
    return [(segment.ordinal, draft(stone)), *carried]


def set_base(connection: Any, segment: Segment, ordinal: int, tombstone_position: int) -> None:
    """Says where an epoch begins now, and which record says so."""
    if ordinal != segment.ordinal:
        connection.execute("UPDATE base SET tombstone = ? WHERE ordinal = ?", (tombstone_position, ordinal))
        return
    connection.execute(
        "INSERT INTO base (ordinal, seq, tail, tombstone) VALUES (?, ?, ?, ?) ON CONFLICT (ordinal)"
        " DO UPDATE SET seq = excluded.seq, tail = excluded.tail, tombstone = excluded.tombstone",
        (ordinal, segment.tail.seq, msgspec.json.encode(segment.tail), tombstone_position),
    )


def sweep(connection: Any) -> int:
    """Deletes some of the rows that are pruned; returns how many. None are left once that is 0."""
    for ordinal, seq in connection.execute("SELECT ordinal, seq FROM base WHERE tombstone IS NOT NULL").fetchall():
        at = ordinal << SEQ_BITS
        row = connection.execute(
            "SELECT max(position), count(*) FROM (SELECT position FROM record WHERE position > ? AND position <= ?"
            " ORDER BY position LIMIT ?)",
            (at | 1, at | seq, STEP_RECORDS),
        ).fetchone()
        if row[1]:
            connection.execute("DELETE FROM record WHERE position > ? AND position <= ?", (at | 1, row[0]))
            return int(row[1])
    return 0


def _begin(connection: Any, ordinal: int, epoch: str) -> Chain:
    """The chain where the epoch's records begin, its first record left out."""
    if (tail := base(connection, ordinal)) is not None:
        return Chain(epoch, tail)
    chain = Chain(epoch)
    row = connection.execute(
        "SELECT exact, hash, key FROM record WHERE position = ?", (ordinal << SEQ_BITS | 1,)
    ).fetchone()
    if row is None or (finding := chain.check(1, *row)):
        raise JournalDamaged(finding if row else "record 1 is missing")
    return chain


def _segment_end(connection: Any, ordinal: int, after: int, records: int) -> int:
    """The last record of the segment that follows `after`; `after` itself where it is not closed yet."""
    (newest,) = connection.execute("SELECT max(ordinal) FROM epoch").fetchone()
    (position,) = connection.execute(
        "SELECT max(position) FROM record WHERE position < ?", (ordinal + 1 << SEQ_BITS,)
    ).fetchone()
    reached = position & SEQ_MASK if position >> SEQ_BITS == ordinal else after
    end = (after // records + 1) * records
    if ordinal < newest:
        return min(end, reached)
    return end if end < reached else after


def _again(exact: bytes) -> Draft:
    envelope = open_record(exact)
    return Draft(stream=envelope.stream, body=bytes(envelope.body), moves_money=True)
