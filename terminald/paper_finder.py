"""Finds a finished sale in the journal again, whole enough to print its receipt: by the history, and by the same fold."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import Protocol

from core import entries as e
from core.fold import apply, papered
from core.history import Transaction
from core.ledger import Record, open_record
from core.state import Completed, Till
from store.history import Query

PAGE_RECORDS = 500
SALE_RECORDS_MAX = 20_000
"""A sale that was begun so many records before its end, or more, is not put together again."""
LOOK_S_MAX = 20.0
FOUND_MAX = 16


class Records(Protocol):
    """What is asked of the journal."""

    async def sync(self) -> None:
        """Everything committed so far may be read when this returns."""

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        """Records of an epoch, in order, from the one after `after_seq`."""

    def replay(self, after_seq: int = 0, epoch: str | None = None) -> AsyncIterator[Record]:
        """The records after `after_seq` of `epoch`, and of all epochs since."""


class PaperFinder:
    """`look` before the order, and `recall` what was found when the order is carried out: no sale waits for a search."""

    def __init__(self, journal: Records, find: Callable[[Query], Awaitable[list[Transaction]]]) -> None:
        self._journal = journal
        self._find = find
        self._found: dict[int, Completed] = {}

    async def look(self, number: int) -> None:
        """Looks for the sale of this number, as it stands now. Raises TimeoutError and JournalError."""
        self._found.pop(number, None)
        async with asyncio.timeout(LOOK_S_MAX):
            await self._journal.sync()
            sold = await self._find(Query(number=number, status="completed", limit=1))
            completed = await self._put_together(sold[0]) if sold else None
        if completed is not None:
            self._found[number] = completed
            if len(self._found) > FOUND_MAX:
                self._found.pop(next(iter(self._found)))

    def recall(self, number: int) -> Completed | None:
        """What was found of this number; each finding serves once."""
        return self._found.pop(number, None)

    async def _put_together(self, sold: Transaction) -> Completed | None:
        opened = await self._opened(sold)
        if opened is None:
            return None
        till, completed = Till(), None
        async for record in self._journal.replay(opened - 1, sold.epoch):
            if completed is not None and not _is_paper(record):
                continue
            entry = e.decode(open_record(record.exact).body)
            if completed is not None:
                match entry:
                    case e.ReceiptPrinted() | e.CopyOrdered() | e.InvoiceOrdered() if entry.number == sold.number:
                        completed = papered(completed, entry)
                continue
            try:
                till = apply(till, entry)
            except AssertionError:
                continue  # of something that began before, and is not this sale
            if isinstance(entry, e.TransactionCompleted) and entry.number == sold.number:
                assert till.last is not None
                completed = till.last.completed
        return completed

    async def _opened(self, sold: Transaction) -> int | None:
        """The record with which it was opened; None where that is not here any more."""
        before = sold.seq
        while before > max(0, sold.seq - SALE_RECORDS_MAX):
            after = max(0, before - 1 - PAGE_RECORDS)
            page = await self._journal.read(sold.epoch, after, before - 1 - after)
            for record in reversed(page):
                if b'"transaction_opened"' in record.exact:
                    entry = e.decode(open_record(record.exact).body)
                    if isinstance(entry, e.TransactionOpened) and entry.number == sold.number:
                        return record.seq
            if not page:
                return None
            before = after + 1
        return None


def _is_paper(record: Record) -> bool:
    return any(kind in record.exact for kind in (b'"receipt_printed"', b'"copy_ordered"', b'"invoice_ordered"'))
