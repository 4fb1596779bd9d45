"""Copies and invoices, of the last sale and of one that is found again: on real paper, and nothing of a buyer at rest."""

import pytest

from core import entries as e
from core.receipt_code import parse
from demo import goods
from tests.countertop import COLA, NUTELLA, Countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)
BUYER = {"name": "Halyard Books Ltd", "tax_number": "DE 811 907 980", "address": ["1 Quay", "20457 Hamburg"]}


async def _two_sales(counter: Countertop) -> tuple[int, int]:
    sold = counter.sold
    for count, code in enumerate((NUTELLA_CODE, COLA_CODE), 1):
        await counter.ring_up(code)
        await counter.call("sale.cash")
        await counter.completed(sold + count)
    await counter.papers(2)
    await counter.see(lambda view: view.last is not None and view.last.printed == 1, "the printed receipt")
    assert counter.view.last is not None
    return counter.view.last.number - 1, counter.view.last.number


async def test_a_receipt_that_is_not_the_last_one(counter: Countertop) -> None:
    """It is as it was, its code too, and each copy counts, over a restart and whichever way it was asked for."""
    first, last = await _two_sales(counter)
    await counter.call("receipt.reprint", number=first)
    await counter.call("receipt.reprint", number=first)
    papers = await counter.papers(4)
    assert "*** COPY 1 ***" in papers[2]
    assert "*** COPY 2 ***" in papers[3]
    assert papers[2].replace("*** COPY 1 ***", "").split() == papers[0].split()
    assert "Nutella" in papers[2]
    assert counter.bench.papers[2].qr == counter.bench.papers[0].qr
    await counter.restart()
    await counter.call("receipt.reprint", number=first)
    await counter.call("receipt.reprint", number=last)
    await counter.call("receipt.reprint")
    papers = await counter.papers(7)
    assert ["*** COPY 3 ***" in papers[4], "*** COPY 1 ***" in papers[5], "*** COPY 2 ***" in papers[6]] == [True] * 3
    assert await counter.refusal("receipt.reprint", number=987_654) == "receipt-not-found"
    copies = [(entry.number, entry.copy) for entry in counter.records() if isinstance(entry, e.CopyOrdered)]
    assert copies == [(first, 1), (first, 2), (first, 3), (last, 1), (last, 2)]


async def test_an_invoice(counter: Countertop) -> None:
    """Two papers, the buyer's and the books'; the buyer stands on them, and in no file of the terminal."""
    first, last = await _two_sales(counter)
    await counter.call("receipt.invoice", **BUYER)
    for paper in (await counter.papers(4))[2:]:
        assert "INVOICE" in paper
        assert f"till-3-{last:06d}" in paper
        assert all(text in paper for text in ("Halyard Books Ltd", "DE 811 907 980", "20457 Hamburg"))
        assert "COPY" not in paper
    assert ["for the shop's books" in paper.text for paper in counter.bench.papers[2:]] == [False, True]
    (code,) = counter.bench.papers[2].qr
    assert parse(code).number == last
    assert parse(code).signature
    await counter.call("receipt.invoice", number=first, **BUYER)
    await counter.call("receipt.invoice", number=first, **BUYER)
    papers = await counter.papers(8)
    assert "Nutella" in papers[4]
    assert "COPY" not in papers[4]
    assert "*** COPY 1 ***" in papers[6]
    orders = [entry for entry in counter.records() if isinstance(entry, e.InvoiceOrdered)]
    assert [(entry.number, entry.copy) for entry in orders] == [(last, 0), (first, 0), (first, 1)]
    assert not any("Halyard" in repr(entry) for entry in counter.records())
    for path in (*counter.layout.terminal.rglob("*"), *counter.layout.logs.rglob("*")):
        if path.is_file():
            assert b"Halyard" not in path.read_bytes(), path


@pytest.mark.parametrize(
    "buyer",
    [
        {"name": "  "},
        {"name": "x" * 101},
        {"name": "Harbour\x1b@"},
        {"name": "4111 1111 1111 1111"},
        {"name": "Harbour", "address": ["line"] * 5},
        {"name": "Harbour", "address": ["4111 1111 1111 1111"]},
    ],
)
async def test_no_buyer(counter: Countertop, buyer: dict[str, object]) -> None:
    if counter.view.last is None:
        await _two_sales(counter)
    assert await counter.refusal("receipt.invoice", **buyer) == "buyer-not-valid"
    assert not counter.count(e.InvoiceOrdered)


async def test_an_invoice_that_is_torn(counter: Countertop) -> None:
    """Nobody knows the buyer any more: who orders it again gets the same number, as a copy."""
    await _two_sales(counter)
    counter.bench.printer.lines_left = 6
    await counter.call("receipt.invoice", **BUYER)
    await counter.notice("invoice-torn")
    counter.bench.printer.set_paper_out(False)
    torn = len(counter.bench.papers)
    await counter.call("receipt.invoice", **BUYER)
    assert "*** COPY 1 ***" in (await counter.papers(torn + 2))[-1]
