"""Goods at a real daemon by the merchant's keys: what is measured is asked for, and a price check tells what is left."""

from pathlib import Path

from core import entries as e
from terminald.cli import main
from tests.proofs.guarded_till import GuardedTill
from tests.ui.test_real_day import Merchant
from ui.merchant.app import CounterApp

OIL, PEN = "4006381333931", "96385074"
GOODS = f"gtin,name,unit,price,tax,stock\n{OIL},Olive oil,l,6.49,B,31.5\n{PEN},Pen,each,1.20,A,\n"


async def test_oil_by_the_litre_and_what_is_left_of_it(tmp_path: Path) -> None:
    till = GuardedTill(tmp_path, "")
    try:
        (tmp_path / "goods.csv").write_text(GOODS)
        assert main(["catalogue", "import", str(tmp_path / "goods.csv"), "--config", str(till.config)]) == 0
        await till.start()
        app = CounterApp(till.folder / "control.sock")
        async with app.run_test(size=(80, 24)) as pilot:
            merchant = Merchant(pilot, app, till)
            await merchant.reads("Scan the first item")
            await merchant.press(f"f10 k {' '.join(OIL)} enter")
            await merchant.told("Olive oil costs 6.49 (per l). 31.500 left on the shelf.")
            await merchant.press(f"f10 k {' '.join(PEN)} enter")
            await merchant.told("Pen costs 1.20 (each).")
            await merchant.type(OIL)
            await merchant.told("How much of Olive oil is it, in l?")
            await merchant.press("f4 1 . 3 7 5 enter")
            await merchant.reads("1.375 l", "6.49/l", "8.92")
            await merchant.press("f1 enter")
            await merchant.reads("Receipt 1")
        (line,) = [entry for entry in till.records() if isinstance(entry, e.ItemAdded)]
        assert (line.unit, line.quantity_milli, line.amount_minor) == ("l", 1375, 892)
        told = await till.call("sale.price_check", data=OIL)
        assert isinstance(told, dict)
        assert told["notice"]["id"] == "price-and-stock"
    finally:
        await till.close()
