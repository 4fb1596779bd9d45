"""Gift cards at a real daemon by the merchant's keys: sold, looked at, paid with, taken back, counted in the Z report."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest_asyncio

from core import entries as e
from drivers.simulated.payment import SimulatedPaymentDevice
from drivers.simulated.printer import Paper, SimulatedPrinter
from tests.countertop import GIFT_CARDS
from tests.proofs.guarded_till import ITEM, GuardedTill
from tests.ui.test_real_day import Merchant
from ui.merchant.app import CounterApp

CARD, OTHER = "6006490000001234", "6006490000005678"
_DEVICES = """\
[device.card]
driver = "payment-nexo"
host = "127.0.0.1"
port = {port}
poi_id = "POI-1"
[device.printer]
driver = "printer-escpos"
path = "{printer}"
"""


class Shop:
    """A till with a payment device that keeps gift cards, and a printer."""

    def __init__(self, root: Path) -> None:
        self.papers: list[str] = []
        self.far = SimulatedPaymentDevice()
        self.far.plug()
        for number in (CARD, OTHER):
            self.far.gift_cards.issue(number)
        self.printer = SimulatedPrinter(root / "printer", self._keep)
        devices = _DEVICES.format(port=self.far.port, printer=root / "printer")
        self.till = GuardedTill(root, GIFT_CARDS + devices)

    async def close(self) -> None:
        await self.till.close()
        self.far.close()
        self.printer.close()

    def _keep(self, paper: Paper) -> None:
        self.papers.append(paper.text)


@pytest_asyncio.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    made = Shop(tmp_path)
    yield made
    await made.close()


async def test_gift_cards_by_keys(shop: Shop) -> None:
    await shop.till.start()
    await shop.till.ready("card", "printer")
    app = CounterApp(shop.till.folder / "control.sock")
    async with app.run_test(size=(80, 24)) as pilot:
        merchant = Merchant(pilot, app, shop.till)
        await merchant.reads("Scan the first item")
        await _sell(merchant, shop)
        await _pay(merchant, shop)
        await _take_back(merchant, shop)
        await _end(merchant, shop)
    assert not any(number in paper for paper in shop.papers for number in (CARD, OTHER))
    sold = [entry for entry in shop.till.records() if isinstance(entry, e.TransactionCompleted)]
    assert [(one.total_minor, one.stored_value_minor) for one in sold] == [
        (379, 2_500),
        (379, 0),
        (0, 1_000),
        (0, -1_000),
    ]


async def _sell(merchant: Merchant, shop: Shop) -> None:
    """One beside goods, paid by card: it is good afterwards."""
    await merchant.type(ITEM)
    await merchant.reads("GTIN")
    await merchant.press("f3")
    await merchant.reads("Gift card")
    await merchant.press("f1 2 5 enter")
    await merchant.reads("A gift card is sold with 25.00.", "type its number")
    await merchant.press("f3")
    await merchant.reads("Swipe or scan it")
    await merchant.type(CARD)
    await merchant.reads("Gift card ****1234", "good once it is paid for")
    await merchant.press("f2")
    await merchant.told("Gift card ****1234 is good: there is 25.00 on it.")


async def _pay(merchant: Merchant, shop: Shop) -> None:
    """What is on it is looked at, and it pays."""
    await merchant.press("f10 k")
    await merchant.type(CARD)
    await merchant.told("There is 25.00 on gift card ****1234.")
    await merchant.type(ITEM)
    await merchant.reads("GTIN")
    await merchant.press("f5 3")
    await merchant.reads("Swipe or scan it")
    await merchant.type(CARD)
    await merchant.till_is(lambda view: view.sale.mode == "idle" and view.day.transactions == 2)
    assert shop.far.gift_cards.known[CARD].balance_minor == 2_500 - 379


async def _take_back(merchant: Merchant, shop: Shop) -> None:
    """Another one is sold for cash, and comes back unused."""
    await merchant.press("f3 f1 1 0 enter f3")
    await merchant.type(OTHER)
    await merchant.reads("Gift card ****5678")
    await merchant.press("f1 enter")
    await merchant.told("Gift card ****5678 is good")
    last = (await merchant.till_is(lambda view: view.last is not None and view.sale.mode == "idle")).last
    assert last is not None
    await merchant.press("f7 f1")
    await merchant.reads(f"What comes back of receipt {last.number}", "Gift card ****5678")
    await merchant.press("enter f1")
    await merchant.reads("10.00 goes back to the customer", "its money has been taken off it")
    assert shop.far.gift_cards.known[OTHER].balance_minor is None
    await merchant.press("f1")
    await merchant.till_is(lambda view: view.sale.mode == "idle" and view.day.transactions == 4)


async def _end(merchant: Merchant, shop: Shop) -> None:
    """The Z report has them apart."""
    await merchant.press("f10 w")
    await merchant.reads("Count the drawer")
    await merchant.press("f1")
    await merchant.till_is(lambda view: view.till.counted_minor == 0)
    await merchant.press("f10 y enter")
    await merchant.reads("Z REPORT 1", "Gift cards sold", "35.00")
    await merchant.press("enter")
    await until(merchant, lambda: any("Z REPORT 1" in paper for paper in shop.papers))
    (paper,) = [paper for paper in shop.papers if "Z REPORT 1" in paper]
    rows = [" ".join(row.split()) for row in paper.splitlines()]
    for row in ("Sales 2 7.58", "Gift cards sold 2 35.00", "Gift cards taken back 1 -10.00", "Gift card 1 3.79"):
        assert row in rows, paper
    assert "Owed to customers, no turnover 25.00" in rows


async def until(merchant: Merchant, condition: Callable[[], bool]) -> None:
    for _ in range(500):
        if condition():
            return
        await merchant.pilot.pause(0.02)
    raise AssertionError(merchant.shown())
