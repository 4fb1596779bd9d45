"""Counts what is sold off the stock on hand, some seconds behind the till: the journal is folded into the catalogue."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from core import entries as e
from core.ledger import Head, Record, Stream, open_record
from core.ports import Clock
from core.stock import OpenLines
from store.catalogue_stock import Place, SoldStock
from store.errors import JournalInUse, JournalNoSpace

PAUSE_S = 10.0
PAGE_RECORDS = 500
EPOCHS_MAX = 1_000
"""So many epochs are gone back through to find the one that was counted last."""
STRIDE_RECORDS = 2_000
"""The place is moved on after so many records in which nothing was sold, so that a start reads a bounded number anew."""

_log = logging.getLogger(__name__)


class Records(Protocol):
    """What is needed of the journal."""

    @property
    def synced(self) -> Head:
        """The last record that is on the medium."""

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        """Synced records of an epoch, in order, from the one after `after_seq`."""


class StockCounter:
    """Follows the journal's synced records: what a power cut could still take back is not counted yet."""

    def __init__(self, journal: Records, stock: SoldStock, clock: Clock) -> None:
        self.is_whole: Callable[[str], bool] = lambda _: True
        """Says of a former epoch whether no more of it is to come back from headquarters."""
        self._journal = journal
        self._stock = stock
        self._clock = clock
        self._lines = OpenLines()
        self._read: Place | None = None
        self._kept = self._settled = Place("", 0)
        self._sold: dict[str, int] = {}
        self._unsettled: dict[str, int] = {}
        """Sold since `_settled`: it is kept once no basket is parked, for a start would read it again until then."""

    async def run(self) -> None:
        """Counts until cancelled. Raises JournalError where the catalogue cannot be used."""
        waits = False
        try:
            while True:
                try:
                    await self.catch_up()
                    waits = False
                except (JournalInUse, JournalNoSpace) as error:
                    if not waits:
                        _log.info("the stock is counted later", extra={"reason": error.code})
                    waits = True
                await self._clock.sleep(PAUSE_S)
        finally:
            await asyncio.to_thread(self._stock.close)

    async def catch_up(self) -> None:
        """Counts all that is synced by now. Raises JournalError; what was not kept then is kept the next time."""
        if self._read is None:
            await self._begin()
        assert self._read is not None
        synced = self._journal.synced
        if self._read.epoch != synced.epoch:
            for epoch in await self._epochs_since(self._read.epoch, synced.epoch):
                await self._count(Place(epoch, 0) if epoch != self._read.epoch else self._read)
                if epoch != synced.epoch and not self.is_whole(epoch):
                    return  # what is to come back of it is counted first
        else:
            await self._count(self._read)

    async def _begin(self) -> None:
        place = await asyncio.to_thread(self._stock.place)
        if place is None:
            # Nothing was ever counted: what was sold before is in whatever quantities there are.
            synced = self._journal.synced
            place = Place(synced.epoch, synced.seq)
            await asyncio.to_thread(self._stock.keep, place, {})
        self._read = self._kept = self._settled = place

    async def _count(self, after: Place) -> None:
        epoch, seq = self._read = after
        while True:
            # First what is in hand: it may be there since a time when the catalogue could not be written.
            if self._sold or self._settled.epoch != self._kept.epoch or self._strode():
                await asyncio.to_thread(self._stock.keep, self._settled, dict(self._sold))
                self._kept = self._settled
                self._sold.clear()
            page = await self._journal.read(epoch, seq, PAGE_RECORDS)
            if not page:
                return
            for record in page:
                self._fold(record)
            self._read = Place(epoch, seq := page[-1].seq)

    def _strode(self) -> bool:
        return self._settled.seq - self._kept.seq >= STRIDE_RECORDS

    def _fold(self, record: Record) -> None:
        envelope = open_record(record.exact)
        if envelope.stream is Stream.SALES:
            for item, quantity_milli in self._lines.fold(e.decode(envelope.body)).items():
                self._unsettled[item] = self._unsettled.get(item, 0) + quantity_milli
        if self._lines.is_settled:
            self._settled = Place(record.epoch, record.seq)
            for item, quantity_milli in self._unsettled.items():
                self._sold[item] = self._sold.get(item, 0) + quantity_milli
            self._unsettled.clear()

    async def _epochs_since(self, counted: str, current: str) -> list[str]:
        """The epochs from the one that was counted to the current one; the current one alone where it knows no way back."""
        epochs = [current]
        while epochs[0] != counted and len(epochs) < EPOCHS_MAX:
            first = await self._journal.read(epochs[0], 0, 1)
            opened = e.decode(open_record(first[0].exact).body) if first else None
            if not isinstance(opened, e.EpochOpened) or opened.previous_epoch is None:
                break
            epochs.insert(0, opened.previous_epoch)
        return epochs if epochs[0] == counted else [current]
