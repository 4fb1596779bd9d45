"""The devices of a simulated counter, as the daemon's ports see them: they live on when the till loses its power.

Each has its real driver with its real far end elsewhere in the tests; here it matters when they answer, and whether.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random

from core.document import Document, Text
from core.events import PaymentAnswered, PaymentRefused, PaymentTakenBack
from core.ports import DeviceGone, DeviceStalled, PaperOut, PaymentTotals, PrintInterrupted
from core.wallet import WalletCode

_NUMBER = re.compile(r"#(\d{6})\b")
_MARKS = ("*** COPY", "*** MAY BE A COPY")


@dataclass(slots=True)
class Moods:
    """How the devices behave: chances, all zero when they work."""

    mute: float = 0.0
    """Of an order to the payment device whose answer never comes."""
    lost: float = 0.0
    """Of an order that never reaches it."""
    out: float = 0.0
    """Of a paper that finds the printer without any."""
    torn: float = 0.0
    """Of a paper that stops in the middle."""


@dataclass(slots=True)
class Ledger:
    """What the payment device did: charges by our reference, those given back, and how often each was asked for."""

    charged: dict[str, int] = field(default_factory=dict)
    reversed: set[str] = field(default_factory=set)
    asked: Counter[str] = field(default_factory=Counter)
    running: dict[str, "asyncio.Task[PaymentAnswered | PaymentRefused]"] = field(default_factory=dict)
    aborted: set[str] = field(default_factory=set)


@dataclass(slots=True)
class Bench:
    """What stands on the counter, whatever happens to the till."""

    chance: Random
    moods: Moods = field(default_factory=Moods)
    ledger: Ledger = field(default_factory=Ledger)
    papers: Counter[int] = field(default_factory=Counter)
    """Receipts that came out whole and unmarked, by the transaction's number."""
    kicks: int = 0


class _Played:
    """A device for one life of the till; when that life is over nothing reaches it any more."""

    def __init__(self, bench: Bench, alive: Callable[[], bool]) -> None:
        self.identity = type(self).__name__
        self._bench = bench
        self._alive = alive

    async def open(self) -> None:
        """It is always there."""
        self._reach()

    async def serve(self) -> None:
        """For ever."""
        await asyncio.get_running_loop().create_future()

    def close(self) -> None:
        """Nothing to let go of."""

    def facts(self) -> dict[str, str | int]:
        """None."""
        return {}

    def _reach(self) -> None:
        if not self._alive():
            raise DeviceGone("the till has no power")

    def _rolls(self, chance: float) -> bool:
        return self._bench.chance.random() < chance

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._bench.chance.random() * longest_s)


class PlayedPayment(_Played):
    """A payment device with its customer in front of it."""

    async def pay(
        self, reference: str, amount_minor: int, currency: str, wallet: WalletCode | None = None
    ) -> PaymentAnswered | PaymentRefused:
        """The customer goes on with the card whatever becomes of the till."""
        self._reach()
        ledger, mute = self._bench.ledger, self._rolls(self._bench.moods.mute)
        if self._rolls(self._bench.moods.lost):
            await self._silence()
        ledger.asked[reference] += 1
        task = asyncio.create_task(self._customer(reference, amount_minor), name="customer")
        ledger.running[reference] = task
        if mute:
            await self._silence()
        return await asyncio.shield(task)

    async def refund(
        self, reference: str, amount_minor: int, currency: str, original: str, poi_transaction: str
    ) -> PaymentAnswered | PaymentRefused:
        """Nobody brings anything back here."""
        raise AssertionError("no refund was asked for")

    async def abort(self, reference: str) -> None:
        """A payment that has not ended yet ends as refused."""
        self._reach()
        self._bench.ledger.aborted.add(reference)

    async def enquire(self, reference: str) -> PaymentAnswered | PaymentRefused | None:
        """What it knows."""
        await self._answering()
        ledger = self._bench.ledger
        task = ledger.running.get(reference)
        if task is None:
            return PaymentRefused(reference=reference, reason="unknown")
        return task.result() if task.done() else None

    async def reverse(self, reference: str, amount_minor: int, currency: str, poi_transaction: str) -> PaymentTakenBack:
        """Gives back, and may be silent about it."""
        self._reach()
        if self._rolls(self._bench.moods.lost):
            await self._silence()
        self._bench.ledger.reversed.add(reference)
        await self._answering()
        return PaymentTakenBack(reference=reference)

    async def reconcile(self, currency: str) -> PaymentTotals:
        """No day ends here."""
        raise DeviceStalled("it does not answer")

    async def _customer(self, reference: str, amount_minor: int) -> PaymentAnswered | PaymentRefused:
        await self._pause(8.0)
        ledger = self._bench.ledger
        if reference in ledger.aborted or self._rolls(0.1):
            return PaymentRefused(reference=reference, reason="declined")
        ledger.charged[reference] = amount_minor
        await self._pause(2.0)
        return PaymentAnswered(reference=reference, amount_minor=amount_minor, poi_transaction=f"P{reference[-6:]}")

    async def _answering(self) -> None:
        self._reach()
        if self._rolls(self._bench.moods.mute):
            await self._silence()
        await self._pause(0.5)

    async def _silence(self) -> None:
        await asyncio.sleep(10.0)
        raise DeviceStalled("it does not answer")


class PlayedPrinter(_Played):
    """A printer: what has been handed to it comes out even when the till has died meanwhile, or it does not."""

    async def print(self, document: Document) -> None:
        """Returns when the paper is out."""
        self._reach()
        if self._rolls(self._bench.moods.out):
            raise PaperOut("no paper")
        text = "\n".join(f"{each.left} {each.right}" for each in document.elements if isinstance(each, Text))
        found = _NUMBER.search(text)
        try:
            await self._pause(2.0)
            if self._rolls(self._bench.moods.torn):
                raise PrintInterrupted("the cover was opened")
        except asyncio.CancelledError:
            if self._rolls(0.5):
                self._out(found, text)
            raise
        self._out(found, text)

    def _out(self, found: re.Match[str] | None, text: str) -> None:
        if found is not None and not any(mark in text for mark in _MARKS):
            self._bench.papers[int(found[1])] += 1


class PlayedDrawer(_Played):
    """A drawer, which counts how often it is opened."""

    async def kick(self) -> None:
        """Opens."""
        self._reach()
        self._bench.kicks += 1
