"""Keeps the history up with the journal while the daemon runs, and opens it for whoever asks."""

import asyncio
import logging

from core.history import Original, Transaction
from core.ports import Clock, JournalError
from core.usual import Usual, usual_of
from store.errors import JournalDamaged, JournalInUse, JournalNoSpace, NotAJournal, WrongKey
from store.history import History, Query
from store.history_source import catch_up
from store.keys import Keys
from terminald.config import Config

FOLD_EVERY_S = 600.0
"""Whoever asks has the rest folded first; each time costs the card some 45 KiB, whatever it takes in."""
FOLD_PAGES = 40
"""So many pages of records at a time, so that the thread gives the disk back in between."""

ORIGINAL_S = 3.0
"""A receipt is looked up for so long; money is not given back by a history that is behind."""
USUAL_SALES = 50
USUAL_S = 0.3
"""Nobody at a counter waits longer for a question that may not come."""

_log = logging.getLogger(__name__)


class HistoryKeeper:
    """Keeps the history up with the journal while the daemon runs, in a thread, and answers queries."""

    def __init__(self, config: Config, journal_key: bytes, history: History, clock: Clock) -> None:
        self._journal = config.journal
        self._journal_key = journal_key
        self._history = history
        self._clock = clock
        self._one = asyncio.Lock()

    async def run(self) -> None:
        """Folds in the background until cancelled; without room, or while another folds, it waits. Raises JournalError."""
        waits = False
        while True:
            try:
                while await self._fold():
                    await self._clock.sleep(0.1)
                waits = False
            except (JournalInUse, JournalNoSpace) as error:
                if not waits:
                    _log.info("the history is folded later", extra={"reason": error.code})
                waits = True
            await self._clock.sleep(FOLD_EVERY_S)

    async def find(self, query: Query) -> list[Transaction]:
        """The transactions that fit, up to the newest. Raises JournalError: JournalNoSpace, where they cannot be folded."""
        while await self._fold():
            pass
        return await asyncio.to_thread(self._history.find, query)

    async def usual(self, gtin: str) -> Usual | None:
        """What is usual of an item (GTIN in 14 digits), as far as is folded; None where that is not known at once."""
        query = Query(gtin=gtin, status="completed", limit=USUAL_SALES)
        try:
            async with asyncio.timeout(USUAL_S):
                sales = await asyncio.to_thread(self._history.find, query)
        except (TimeoutError, JournalError) as error:
            _log.info("what is usual of an item is not known", extra={"reason": type(error).__name__})
            return None
        return usual_of(
            [
                (line.unit_price_minor, line.quantity_milli)
                for sold in sales
                for line in sold.lines
                if line.gtin == gtin and line.quantity_milli > 0
            ]
        )

    async def original(self, number: int, epoch: str) -> Original | None:
        """A finished transaction and what came back of it, up to the newest record.

        Raises TimeoutError where the history cannot be brought up to date at once, and JournalError.
        """
        async with asyncio.timeout(ORIGINAL_S):
            while await self._fold():
                pass
            return await asyncio.to_thread(self._history.original, number, epoch)

    async def refold(self) -> None:
        """Begins anew: records came back that stand before those that were folded. Raises JournalError."""
        async with self._one:
            await asyncio.to_thread(self._history.clear)

    async def _fold(self) -> bool:
        """Whether more is left to fold."""
        async with self._one:
            folded = await asyncio.to_thread(catch_up, self._history, self._journal, self._journal_key, FOLD_PAGES)
        return folded > 0


def open_history(config: Config, keys: Keys) -> History:
    """The history; one that cannot be read is thrown away, for it is folded again. Raises JournalError."""
    try:
        return History(config.history, keys.history)
    except (JournalDamaged, WrongKey, NotAJournal):
        for suffix in ("", "-wal", "-shm"):
            config.history.with_name(config.history.name + suffix).unlink(missing_ok=True)
        return History(config.history, keys.history)
