"""Counts the sales that exist on the terminal's own medium alone: neither headquarters nor a second medium has them."""

import asyncio
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from core.ledger import GENESIS, Head, Record
from core.ports import Clock, Journal

COUNTED_BACK_MAX = 50_000
"""Records that are looked through for sales at the start; the older ones are not counted."""
PAGE_RECORDS = 500
PAUSE_S = 0.01
"""Between two pages of them: a start has more urgent things to do."""
SALES_MAX = 100_000
"""Sales of an epoch that are counted; of more, the newest."""
_COMPLETED = b'"body":{"type":"transaction_completed"'


class Span(Protocol):
    """An epoch of a journal: its place, its name, where its records begin after and end."""

    @property
    def ordinal(self) -> int:
        """From 1, without gaps."""

    @property
    def prev(self) -> Head:
        """The head before the first record that the journal has; seq 0 where that is the epoch's first."""

    @property
    def last(self) -> int:
        """The last seq; 0 where there is none."""


class Acknowledged(Protocol):
    """Headquarters' newest answer for an epoch."""

    @property
    def seq(self) -> int:
        """The mark."""

    @property
    def ack(self) -> bytes:
        """The answer as it came."""


class Kept(Journal, Protocol):
    """The journal with its epochs and what is acknowledged of them."""

    async def acknowledged(self, epoch: str) -> Acknowledged | None:
        """The newest answer kept for an epoch."""

    async def spans(self) -> Sequence[Span]:
        """All epochs in their order."""


async def delivered_of(journal: Kept, span: Span) -> Head:
    """The head up to which headquarters has an epoch, or the journal does not."""
    epoch, kept = span.prev.epoch, await journal.acknowledged(span.prev.epoch)
    seq = max(kept.seq if kept is not None else 0, span.prev.seq)
    if seq == span.prev.seq:
        return span.prev
    records = await journal.read(epoch, seq - 1, 1)
    return Head(epoch=epoch, seq=seq, hash=records[0].hash if records else GENESIS)


class AtRisk:
    """The completed sales that headquarters lacks, by their records. `acknowledged_seq` is the current epoch's mark."""

    def __init__(
        self, journal: Kept, acknowledged_seq: Callable[[], int], clock: Clock, changed: Callable[[], None]
    ) -> None:
        self._journal = journal
        self._acknowledged_seq = acknowledged_seq
        self._clock = clock
        self._changed = changed
        self._sales: dict[str, list[int]] = {}
        self._marks: dict[str, int] = {}
        self._news = asyncio.Event()

    def sold(self, records: Sequence[Record]) -> None:
        """What was committed to the current epoch."""
        for record in records:
            if _COMPLETED in record.exact:
                sales = self._sales.setdefault(record.epoch, [])
                sales.append(record.seq)
                done = bisect_right(sales, self._acknowledged_seq())
                del sales[: max(done, len(sales) - SALES_MAX)]

    def notify(self) -> None:
        """Headquarters may have acknowledged something."""
        self._news.set()

    def count(self, elsewhere: Mapping[str, int]) -> int:
        """How many there are; `elsewhere` says up to where each epoch stands on another medium too."""
        current = self._journal.head.epoch
        count = 0
        for epoch, sales in self._sales.items():
            mark = self._acknowledged_seq() if epoch == current else self._marks.get(epoch, 0)
            count += len(sales) - bisect_right(sales, max(mark, elsewhere.get(epoch, 0)))
        return count

    async def run(self) -> None:
        """Counts what headquarters lacked at the start, the newest epochs first; then follows the older epochs."""
        left, upto = COUNTED_BACK_MAX, self._journal.synced
        for span in reversed(await self._journal.spans()):
            last = upto.seq if span.prev.epoch == upto.epoch else span.last
            after = max((await delivered_of(self._journal, span)).seq, last - left)
            left -= max(last - after, 0)
            await self._look_through(span.prev.epoch, after, last)
            if left <= 0:
                break
        while True:
            await self._news.wait()
            self._news.clear()
            for epoch in [epoch for epoch, sales in self._sales.items() if sales]:
                await self._look_at_mark(epoch)

    async def _look_through(self, epoch: str, after: int, last: int) -> None:
        found: list[int] = []
        while after < last and (records := await self._journal.read(epoch, after, PAGE_RECORDS)):
            found += [each.seq for each in records if _COMPLETED in each.exact and each.seq <= last]
            after = records[-1].seq
            await self._clock.sleep(PAUSE_S)
        self._sales[epoch] = found + [seq for seq in self._sales.get(epoch, []) if seq > last]
        self._changed()

    async def _look_at_mark(self, epoch: str) -> None:
        if epoch == self._journal.head.epoch:
            return
        kept = await self._journal.acknowledged(epoch)
        if kept is not None and kept.seq > self._marks.get(epoch, 0):
            self._marks[epoch] = kept.seq
            self._changed()
