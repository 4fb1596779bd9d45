"""Measures how long who waits for the journal waits, in turn with a bare file on the same disk; a program of its own.

``python -m bench.awaiting FOLDER ROUNDS BLOCK`` prints a JSON object: for each contestant its seconds a piece, one figure
for each round (of `sale` and `floor`, the round's median). The contestants, in an order that changes:

floor      `pwrite` of a sale's bytes into a file that is there in its full length, and `fdatasync`, one after the other
sale       one whole sale after the other, each awaited on the event loop: its entry made and encoded, its record of some
           600 B sealed, chained, committed and flushed by the writer's thread (`SqlJournal.append`), its number counted up
producers  the same by PRODUCERS tasks at once
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

from core.entries import TaxTotal, TenderTotal, TransactionCompleted, draft
from store.database import KEY_BYTES
from store.journal import SqlJournal
from terminald.clock import SystemClock

PRODUCERS = 16
FILE_BYTES = 4 << 20


class Sales:
    """A till's journal and its counter of sales."""

    def __init__(self, journal: SqlJournal, clock: SystemClock) -> None:
        self._journal = journal
        self._clock = clock
        self._number = 0

    async def sell(self) -> int:
        """A sale, durable when this returns; gives the bytes of its record."""
        self._number += 1
        completed = TransactionCompleted(
            number=self._number,
            business_day="2026-11-22",
            currency="EUR",
            lines=10,
            total_minor=978,
            change_minor=22,
            taxes=(TaxTotal(code="A", rate_bp=700, included=True, gross_minor=978, net_minor=914, tax_minor=64),),
            tenders=(TenderTotal(kind="CASH", amount_minor=978),),
            ended="2026-11-22T10:00:00+01:00",
        )
        (record,) = await self._journal.append([draft(completed)], self._clock.stamp())
        return len(record.exact)


class Floor:
    """A file in its full length, written to in place."""

    def __init__(self, path: Path, size: int) -> None:
        self._data = random.Random(1).randbytes(size)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT)
        os.pwrite(self._file, bytes(FILE_BYTES), 0)
        os.fsync(self._file)
        self._offset = 0

    async def write(self) -> None:
        """One write and one flush."""
        os.pwrite(self._file, self._data, self._offset)
        os.fdatasync(self._file)
        self._offset = (self._offset + len(self._data)) % (FILE_BYTES - len(self._data))


async def measure(folder: Path, rounds: int, block: int) -> dict[str, list[float]]:
    """Seconds a piece, of each round."""
    clock = SystemClock()
    async with await SqlJournal.open(
        folder / "journal.db", bytes(KEY_BYTES), terminal="till-1", signing_key=bytes(32), stamp=clock.stamp()
    ) as journal:
        sales = Sales(journal, clock)
        floor = Floor(folder / "floor", await sales.sell())
        contestants: dict[str, Callable[[], Awaitable[float]]] = {
            "floor": lambda: _each(floor.write, block),
            "sale": lambda: _each(sales.sell, block),
            "producers": lambda: _together(sales.sell, block),
        }
        order = list(contestants)
        shuffle = random.Random(2).shuffle
        taken: dict[str, list[float]] = {name: [] for name in order}
        for number in range(rounds + 1):
            shuffle(order)
            for name in order:
                seconds = await contestants[name]()
                if number:  # the first round warms up
                    taken[name].append(seconds)
    return taken


async def _each(do: Callable[[], Awaitable[object]], count: int) -> float:
    """The median of so many, one after the other."""
    taken = []
    for _ in range(count):
        began = time.perf_counter()
        await do()
        taken.append(time.perf_counter() - began)
    return median(taken)


async def _together(do: Callable[[], Awaitable[object]], count: int) -> float:
    """The mean of so many of each producer, all at once."""

    async def produce() -> None:
        for _ in range(count):
            await do()

    began = time.perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for number in range(PRODUCERS):
            tasks.create_task(produce(), name=f"producer-{number}")
    return (time.perf_counter() - began) / (count * PRODUCERS)


if __name__ == "__main__":
    print(json.dumps(asyncio.run(measure(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])))))
