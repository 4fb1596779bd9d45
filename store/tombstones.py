"""Tombstones: what a journal says of records that it holds no more, and whether it says so rightly."""

from typing import Any

from core.entries import EpochOpened, SegmentPruned, decode
from core.ledger import Head, open_record, tombstone_message, verify
from store.epochs import SEQ_MASK, base
from store.findings import Finding


class Tombstones:
    """Takes in records in their order; in the end each place where an epoch begins must have its tombstone."""

    def __init__(self) -> None:
        self._found: dict[int, SegmentPruned] = {}
        self._unsigned: list[SegmentPruned] = []
        self._opened: EpochOpened | None = None

    def opened(self, opened: EpochOpened) -> None:
        """An epoch's first record: whose signature the tombstones in it carry."""
        self._opened = opened

    def take(self, position: int, exact: bytes) -> None:
        """A record, of whatever kind."""
        if b'"segment_pruned"' not in exact:
            return
        try:
            entry = decode(open_record(exact).body)
        except ValueError:
            return
        if isinstance(entry, SegmentPruned):
            self._found[position] = entry
            if not self._is_signed(entry):
                self._unsigned.append(entry)

    def check(self, connection: Any, upto: int) -> Finding | None:
        """What is wrong with them, or with the places where epochs begin; `upto` is the last position taken in."""
        for stone in self._unsigned:
            text = f"the tombstone of records {stone.first} to {stone.last} is not signed by this terminal"
            return Finding(text, "edit", stone.first, stone.last)
        rows = connection.execute(
            "SELECT b.ordinal, b.tombstone, e.id FROM base b JOIN epoch e USING (ordinal) ORDER BY b.ordinal"
        ).fetchall()
        for ordinal, position, epoch in rows:
            if (
                position is not None
                and position <= upto
                and (finding := self._of_base(connection, ordinal, position, epoch)) is not None
            ):
                return finding
        return self._joined()

    def _of_base(self, connection: Any, ordinal: int, position: int, epoch: str) -> Finding | None:
        tail = base(connection, ordinal)
        assert tail is not None
        stone = self._found.get(position)
        if stone is None:
            text = (
                f"records up to {tail.seq} of epoch {epoch} are gone, and record {position & SEQ_MASK} does not say so"
            )
            return Finding(text, "gap", 2, tail.seq)
        if (stone.epoch, stone.last, stone.last_hash) == (epoch, tail.seq, tail.hash):
            return None
        return Finding(f"records up to {tail.seq} are gone, and their tombstone names others", "gap", 2, tail.seq)

    def _joined(self) -> Finding | None:
        """Tombstones of one epoch follow each other without a gap."""
        ends: dict[str, SegmentPruned] = {}
        for stone in self._found.values():
            before = ends.get(stone.epoch)
            joins = before is None or (stone.first, stone.prev_hash) == (before.last + 1, before.last_hash)
            if before is not None and stone.last > before.last and not joins:
                text = f"the tombstone of records {stone.first} to {stone.last} does not follow the one before"
                return Finding(text, "gap", before.last + 1, stone.first - 1)
            if before is None or stone.last > before.last:
                ends[stone.epoch] = stone
        return None

    def _is_signed(self, stone: SegmentPruned) -> bool:
        opened = self._opened
        if opened is None:
            return False
        try:
            prev = Head(epoch=stone.epoch, seq=stone.first - 1, hash=bytes.fromhex(stone.prev_hash))
            last = Head(epoch=stone.epoch, seq=stone.last, hash=bytes.fromhex(stone.last_hash))
            key, signature = bytes.fromhex(opened.signing_key), bytes.fromhex(stone.signature)
        except ValueError:
            return False
        return verify(key, tombstone_message(opened.terminal, prev, last), signature)
