"""A day at a real daemon by the merchant's keys alone: what the screen orders, the till takes."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from textual import events
from textual.pilot import Pilot

from core import entries as e
from core.view import View
from tests.proofs.guarded_till import ITEM, GuardedTill
from ui.merchant.app import CounterApp
from ui.merchant.notice import NoticeBand

OWNER, CASHIER = "384751", "4821"
WAIT_S = 10.0


class Merchant:
    """Presses keys, and waits until the screen says what has to come of them."""

    def __init__(self, pilot: Pilot[None], app: CounterApp, till: GuardedTill) -> None:
        self.pilot, self.app, self.till = pilot, app, till

    async def press(self, keys: str) -> None:
        for key in keys.split():
            self.app.post_message(events.Key(key, key if len(key) == 1 else None))
            await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(" ".join(text) + " enter")

    def shown(self) -> str:
        width, _ = self.app.size
        return "\n".join(strip.text[:width] for strip in self.app.screen._compositor.render_strips())

    async def reads(self, *words: str) -> None:
        """Waits until all of this can be read."""
        try:
            async with asyncio.timeout(WAIT_S):
                while not all(each in self.shown() for each in words):
                    await self.pilot.pause(0.02)
        except TimeoutError:
            raise AssertionError(f"{words} cannot be read in:\n{self.shown()}") from None

    async def told(self, words: str) -> None:
        """Waits until the band tells this."""
        band = self.app.query_one(NoticeBand)
        try:
            async with asyncio.timeout(WAIT_S):
                while words not in band.text:
                    await self.pilot.pause(0.02)
        except TimeoutError:
            raise AssertionError(f"{words!r} is not told, but {band.text!r} in:\n{self.shown()}") from None

    async def till_is(self, condition: Callable[[View], bool]) -> View:
        try:
            return await self.till.see(condition, WAIT_S)
        except TimeoutError as error:
            raise AssertionError(f"{error}\n{self.shown()}") from None


async def test_a_whole_day_by_keys(tmp_path: Path) -> None:
    till = GuardedTill(tmp_path, "[operators]\n[till]\nsessions = true\n")
    try:
        first = await till.start()
        app = CounterApp(till.folder / "control.sock")
        async with app.run_test(size=(80, 24)) as pilot:
            merchant = Merchant(pilot, app, till)
            await _begin(merchant, first)
            await _sell(merchant)
            await _take_back(merchant)
            await _end(merchant)
        kept = [type(entry) for entry in till.records()]
        for kind in (
            e.OperatorSignedOn, e.TillOpened, e.DiscountGiven, e.TransactionSuspended, e.TransactionResumed,
            e.TransactionCompleted, e.TillCounted, e.TillSettled, e.ZReported,
        ):  # fmt: skip
            assert kind in kept, kind
        (given,) = [entry for entry in till.records() if isinstance(entry, e.DiscountGiven)]
        assert (given.operator, given.approver) == ("17", "1")
    finally:
        await till.close()


async def _begin(merchant: Merchant, first: View) -> None:
    """The owner is made, makes a cashier and opens the till; the cashier signs on."""
    claim = first.operator.claim
    assert claim is not None
    await merchant.reads("Become the owner of this till", claim)
    await merchant.type(claim)
    await merchant.type("1")
    await merchant.type(OWNER)
    await merchant.type(OWNER)
    await merchant.reads("operator 1")
    await merchant.till.call("operator.add", operator="17", role="cashier", pin=CASHIER)
    await merchant.reads("The till is closed")
    await merchant.press("f10 g 2 0 0 enter")
    await merchant.reads("Is today")  # a simulated board's clock is vouched for by nobody
    await merchant.press("enter")
    await merchant.reads("Scan the first item")
    await merchant.press("f10 o")
    await merchant.reads("your number")
    await merchant.type("17")
    await merchant.type(CASHIER)
    await merchant.reads("operator 17", "Scan the first item")


async def _sell(merchant: Merchant) -> None:
    """An item, a discount that takes a supervisor, a basket put aside and taken up again, and cash for it."""
    await merchant.type(ITEM)
    await merchant.reads("GTIN")
    await merchant.press("f10 l 1 1 0 enter f1")
    await merchant.told("This takes a supervisor")
    await merchant.type("1")
    await merchant.type(OWNER)
    await merchant.reads("Damaged")
    await merchant.press("f6 M e i enter")
    await merchant.reads("Resume 1")
    await merchant.press("f6")
    await merchant.reads("GTIN", "Damaged")
    await merchant.press("f10 k")
    await merchant.type(ITEM)
    await merchant.told("costs")
    await merchant.press("f1 enter")
    await merchant.reads("the customer may take it by phone")  # there is no printer
    await merchant.press("escape")
    await merchant.reads("Scan the first item", "paid")


async def _take_back(merchant: Merchant) -> None:
    """The last sale's goods come back, and the cash for them goes."""
    await merchant.press("f7")
    last = (await merchant.till_is(lambda view: view.last is not None)).last
    assert last is not None
    await merchant.type(str(last.number))
    await merchant.reads(f"What comes back of receipt {last.number}")
    await merchant.press("enter f2")
    await merchant.told("This takes a supervisor")
    await merchant.type("1")
    await merchant.type(OWNER)
    await merchant.reads("goes back to the customer")
    await merchant.press("f1")
    await merchant.till_is(lambda view: view.sale.mode == "idle" and view.last != last)
    await merchant.reads("the customer may take it by phone")
    await merchant.press("escape")


async def _end(merchant: Merchant) -> None:
    """The drawer is counted five euros short, and the till closed."""
    await merchant.reads("Scan the first item")
    await merchant.press("f10 w")
    await merchant.reads("Count the drawer")
    await merchant.press("enter 1 enter 1 enter 2 enter 0 enter 1 f1")
    await merchant.till_is(lambda view: view.till.counted_minor == 19500)
    await merchant.reads("is being counted")
    await merchant.press("f10 y")
    await merchant.reads("Counted: 195.00.")
    await merchant.press("enter")
    await merchant.reads("Z REPORT 1", "Short", "5.00", "200.00")
    await merchant.press("enter")
    await merchant.reads("The till is closed")
