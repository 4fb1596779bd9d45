"""Training, a sale that was written by hand, and an invoice with its address: at a real daemon with a printer, by keys."""

from pathlib import Path

from core import entries as e
from tests.countertop import countertop
from tests.ui.test_real_day import Merchant
from ui.merchant.app import CounterApp

ITEM = "3017620422003"


async def test_what_the_menu_offers_beside_sales(tmp_path: Path) -> None:
    async with countertop(tmp_path / "shop", ("scanner", "printer", "drawer")) as counter:
        app = CounterApp(counter.layout.control_socket)
        async with app.run_test(size=(80, 24)) as pilot:
            merchant = Merchant(pilot, app, None)  # type: ignore[arg-type]  # it looks at the screen alone
            await merchant.reads("Scan the first item")
            await merchant.press("f10")
            await merchant.reads("By hand", "Training")
            await merchant.press("v enter")
            await merchant.reads("TRAINING")
            await merchant.press("f10")
            await merchant.reads("End training")
            await merchant.press("v")
            await merchant.told("Training is over")
            await merchant.press("f10 h")
            await merchant.reads("A sale that was written by hand")
            await merchant.type("88")
            await merchant.press("f2")
            await merchant.reads("number 88")
            await merchant.type(ITEM)
            await merchant.reads("Nutella")
            await merchant.press("f1 enter")
            await merchant.reads("Scan the first item")
            await counter.papers(1)
            await merchant.press("f10 i")
            await merchant.type("1")
            await merchant.reads("The buyer's name")
            await merchant.type("Acme")
            await merchant.type("DE1")
            await merchant.reads("address, line 1")
            await merchant.type("Mill_Lane_4")
            await merchant.type("York")
            await merchant.press("enter")
            await merchant.told("The invoice for receipt 1 is printed")
        papers = await counter.papers(3)
        assert all(word in papers[1] for word in ("Acme", "DE1", "Mill_Lane_4", "York"))
        opened = [entry for entry in counter.records() if isinstance(entry, e.TransactionOpened)]
        assert [entry.paper for entry in opened] == ["88"]
        assert [type(entry) for entry in counter.records()].count(e.TrainingBegun) == 1
