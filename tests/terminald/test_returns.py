"""Goods that come back at a whole counter: the receipt out of the history, the money by the real protocol, its papers."""

import pytest

from core import entries as e
from demo import goods
from drivers.simulated.payment import Behaviour
from tests.countertop import COLA, NUTELLA, Countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)


async def _sold_by_card(counter: Countertop) -> int:
    view = await counter.ring_up(NUTELLA_CODE, COLA_CODE)
    number = view.sale.number
    assert number is not None
    counter.bench.payment.behaviour = Behaviour.APPROVE
    await counter.call("sale.card")
    await counter.completed()
    (paper,) = await counter.papers(1)
    assert "REFUND" not in paper
    return number


async def test_a_line_comes_back_to_its_card_and_never_twice(counter: Countertop) -> None:
    before = counter.bench.payment.charged_minor()
    number = await _sold_by_card(counter)
    assert counter.bench.payment.charged_minor() == before + 478
    await counter.call("return.line", number=number, line=1, reason="stale")
    await counter.see(lambda view: view.sale.owed_minor == 379, "what is owed")
    assert await counter.refusal("sale.cash") == "refund-to-card"
    await counter.call("sale.card")
    await counter.completed(2)
    assert counter.bench.payment.charged_minor() == before + 99
    assert "REFUND" in (await counter.papers(2))[1]
    assert await counter.refusal("return.line", number=number, line=1) == "line-refunded"
    (refund,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)][1:]
    assert [(total.kind, total.amount_minor) for total in refund.tenders] == [("CREDIT", -379)]


async def test_a_refund_whose_answer_is_lost_is_asked_about(counter: Countertop) -> None:
    before = counter.bench.payment.charged_minor()
    number = await _sold_by_card(counter)
    counter.bench.payment.behaviour = Behaviour.DROP_AFTER_CHARGE
    await counter.call("return.line", number=number, reason="all of it")
    await counter.call("sale.card")
    await counter.completed(2)  # the device has been asked by the refund's own reference
    assert counter.bench.payment.charged_minor() == before
    assert counter.count(e.RefundRequested) == counter.count(e.PaymentUnknown) == 1
    counter.bench.payment.behaviour = Behaviour.APPROVE


async def test_the_last_sale_is_made_undone_over_a_plug_pull(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.cash")
    await counter.completed()
    await counter.call("return.void", reason="wrong customer")
    await counter.see(lambda view: view.sale.voiding, "the void")
    view = await counter.restart()
    assert view.sale.voiding
    assert view.sale.owed_minor == 379
    await counter.call("sale.cash")
    await counter.completed(2)
    (voided,) = [entry for entry in counter.records() if isinstance(entry, e.TransactionVoided)]
    assert voided.total_minor == 379
    assert "VOID OF" in (await counter.papers(2))[-1]
    assert await counter.refusal("return.void", reason="again", number=voided.link.number) == "transaction-voided"
