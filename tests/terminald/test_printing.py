"""Receipts: a sale completes whatever the printer does; its paper comes once, or says that it may be a second one."""

import pytest

from core import entries as e
from core.receipt_code import parse
from core.receipt_verdict import judge, read_keys
from demo import goods
from terminald.cli import main
from tests.countertop import COLA, NUTELLA, Countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)


async def _sell(counter: Countertop, code: bytes = NUTELLA_CODE) -> None:
    sold = counter.sold
    await counter.ring_up(code)
    await counter.call("sale.cash")
    await counter.completed(sold + 1)


async def test_paper_out(counter: Countertop, capsys: pytest.CaptureFixture[str]) -> None:
    """Two sales go through without paper; their receipts come in order with the new roll, then a copy is to be had."""
    counter.bench.printer.set_paper_out(True)
    await counter.notice("printer-paper-out")
    await _sell(counter)
    await _sell(counter, COLA_CODE)
    await counter.see(lambda view: view.receipts_waiting == 2, "two receipts that wait")
    assert counter.sold == 2
    assert not counter.bench.papers
    assert await counter.refusal("receipt.reprint") == "receipt-waiting"
    counter.bench.printer.set_paper_out(False)
    papers = await counter.papers(2)
    assert ["Nutella" in paper for paper in papers] == [True, False]
    assert not any("COPY" in paper for paper in papers)
    await counter.see(lambda view: view.last is not None and view.last.printed == 1, "the printed receipt")
    await counter.call("receipt.reprint")
    assert "*** COPY 1 ***" in (await counter.papers(3))[2]
    codes = [parse(code) for paper in counter.bench.papers for code in paper.qr]
    capsys.readouterr()
    assert main(["receipt", "key", "--config", str(counter.layout.config)]) == 0
    keys = read_keys(capsys.readouterr().out)
    assert [judge(code, keys).finding for paper in counter.bench.papers for code in paper.qr] == ["genuine"] * 3
    assert [code.terminal for code in codes] == ["till-3"] * 3
    assert [code.epoch for code in codes] == [counter.view.journal.epoch] * 3
    assert codes[2].number == codes[1].number == codes[0].number + 1


async def test_paper_ends_in_the_middle_of_a_receipt(counter: Countertop) -> None:
    """What came out is torn; the whole one says that it may be a copy."""
    counter.bench.printer.lines_left = 4
    await _sell(counter)
    await counter.notice("printer-paper-out")
    assert counter.sold == 1
    counter.bench.printer.set_paper_out(False)
    await until(lambda: any(receipt.marked for receipt in counter.bench.receipts), "the whole receipt", counter.told)
    assert len({receipt.number for receipt in counter.bench.receipts}) == 1
    assert sum(not receipt.marked for receipt in counter.bench.receipts) <= 1
    await until(lambda: counter.count(e.ReceiptPrinted) == 1, "its record", counter.told)


async def test_printer_switched_off(counter: Countertop, capsys: pytest.CaptureFixture[str]) -> None:
    """The receipt waits; its code is in the view meanwhile, for the customer's phone, and it is the one on the paper."""
    counter.bench.printer.power_off()
    await _sell(counter)
    view = await counter.see(lambda view: view.receipts_waiting == 1, "the receipt that waits")
    assert view.last is not None
    main(["receipt", "key", "--config", str(counter.layout.config)])
    assert judge(view.last.code, read_keys(capsys.readouterr().out.splitlines()[-1])).finding == "genuine"
    counter.bench.printer.power_on()
    (paper,) = await counter.papers(1)
    assert "Nutella" in paper
    assert counter.bench.papers[0].qr == (view.last.code,)


async def test_printer_stalled(counter: Countertop) -> None:
    """It takes nothing and says nothing, for longer than its driver waits."""
    counter.bench.printer.set_stalled(True)
    await _sell(counter)
    await counter.see(
        lambda view: any(device.name == "printer" and device.phase == "stalled" for device in view.devices),
        "the stalled printer",
    )
    counter.bench.printer.set_stalled(False)
    await counter.papers(1)
    await counter.see(lambda view: view.receipts_waiting == 0, "no receipt that waits")
    whole = [receipt for receipt in counter.bench.receipts if not receipt.marked]
    assert len(whole) <= 1


async def test_killed_while_printing(counter: Countertop) -> None:
    """Whether the first paper came out whole is not known after the kill: the second one says so."""
    counter.bench.printer.line_s = 0.03
    await _sell(counter)
    await until(lambda: len(counter.bench.printer.marks) >= 3, "the third line", counter.told)
    await counter.restart()
    await until(lambda: any(receipt.marked for receipt in counter.bench.receipts), "the second paper", counter.told)
    assert "*** MAY BE A COPY ***" in counter.bench.papers[-1].text
    assert len({receipt.number for receipt in counter.bench.receipts}) == 1
    assert counter.drawer_openings == 1, "a replay opens no drawer"
    assert counter.sold == 1
