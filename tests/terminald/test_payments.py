"""Card payments against silence, lost connections, and plug pulls: each is charged once or not at all, and it is known which."""

from collections import Counter

import pytest

from core import entries as e
from demo import goods
from drivers.simulated.payment import Behaviour
from tests.countertop import NUTELLA, Countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE = goods.scan_bytes(NUTELLA)


def _charged_once(counter: Countertop) -> None:
    charges = counter.bench.payment.charges
    assert [charge.amount_minor for charge in charges if not charge.is_reversed] == [379]
    assert max(Counter(charge.reference for charge in charges).values()) == 1


async def _ask_for_card(counter: Countertop, behaviour: Behaviour) -> None:
    counter.bench.payment.behaviour = behaviour
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.card")


async def _held(counter: Countertop) -> None:
    """The customer stands at the payment device."""
    await _ask_for_card(counter, Behaviour.HOLD)
    await until(lambda: counter.bench.payment.held is not None, "the payment at the device", counter.told)


async def test_card_sale(counter: Countertop) -> None:
    await _ask_for_card(counter, Behaviour.APPROVE)
    await counter.completed()
    _charged_once(counter)
    (paper,) = await counter.papers(1)
    assert "9999" in paper
    assert counter.drawer_openings == 0


async def test_a_card_that_asks_for_a_signature(counter: Countertop) -> None:
    """The merchant's copy comes behind the receipt, to be signed; a copy of the receipt has none."""
    counter.bench.payment.wants_signature = True
    try:
        await _ask_for_card(counter, Behaviour.APPROVE)
        await counter.completed()
    finally:
        counter.bench.payment.wants_signature = False
    receipt, slip = await counter.papers(2)
    assert "MERCHANT COPY" not in receipt
    assert "MERCHANT COPY" in slip
    assert "Signature of the cardholder" in slip
    assert "3.79" in slip
    assert "authorisation 123456" in slip
    assert "9999" in slip
    await counter.see(lambda view: view.last is not None and view.last.printed == 1, "the printed receipt")
    await counter.call("receipt.reprint")
    assert "COPY 1" in (await counter.papers(3))[2]
    await until(lambda: counter.count(e.ReceiptPrinted) == 2, "the second paper's record", counter.told)


async def test_declined_then_cash(counter: Countertop) -> None:
    await _ask_for_card(counter, Behaviour.DECLINE)
    assert (await counter.notice("payment-declined"))["reason"] == "declined"
    await counter.call("sale.cash")
    await counter.completed()
    assert not counter.bench.payment.charges


async def test_device_charges_and_never_answers(counter: Countertop) -> None:
    """It is asked what became of it, and the sale completes with the one charge."""
    await _ask_for_card(counter, Behaviour.MUTE_AFTER_CHARGE)
    await counter.completed()
    _charged_once(counter)
    assert counter.count(e.PaymentUnknown) == 1


async def test_device_is_silent_and_nothing_was_charged(counter: Countertop) -> None:
    """It is asked until it says that the customer gave up: then the sale is open again, and cash pays."""
    await _held(counter)
    await counter.see(lambda view: view.sale.mode == "enquiring", "the enquiry")
    assert await counter.refusal("sale.card") == "payment-unknown"
    counter.bench.payment.answer_held(approve=False)
    await counter.see(lambda view: view.sale.mode == "ringing", "the open basket")
    await counter.call("sale.cash")
    await counter.completed()
    assert not counter.bench.payment.charges


async def test_connection_lost_after_the_charge(counter: Countertop) -> None:
    await _ask_for_card(counter, Behaviour.DROP_AFTER_CHARGE)
    await counter.completed()
    _charged_once(counter)


async def test_connection_lost_before_the_charge(counter: Countertop) -> None:
    """Nothing was charged, and this is certain: the sale is open, and another card pays."""
    await _ask_for_card(counter, Behaviour.DROP_BEFORE_CHARGE)
    await counter.notice("payment-declined")
    assert not counter.bench.payment.charges
    assert counter.view.sale.mode == "ringing"
    counter.bench.payment.behaviour = Behaviour.APPROVE
    await counter.call("sale.card")
    await counter.completed()
    _charged_once(counter)


async def test_device_killed_in_the_middle_of_a_payment(counter: Countertop) -> None:
    """Without power it cannot say; when it is back it knows of no charge."""
    await _held(counter)
    counter.bench.payment.unplug()
    await counter.see(lambda view: view.sale.mode == "enquiring", "the enquiry")
    assert await counter.refusal("sale.cash") == "payment-unknown"
    counter.bench.payment.plug()
    counter.bench.payment.behaviour = Behaviour.APPROVE
    await counter.see(lambda view: view.sale.mode == "ringing", "the open basket")
    assert not counter.bench.payment.charges
    await counter.call("sale.card")
    await counter.completed()
    _charged_once(counter)


async def test_operator_goes_on_without_an_answer(counter: Countertop) -> None:
    """The payment is set aside; when the device turns out to have charged, it gives the money back."""
    await _held(counter)
    counter.bench.payment.answer_held(approve=True, lost=True)
    counter.bench.payment.unplug()
    await counter.see(lambda view: view.sale.mode == "enquiring", "the enquiry")
    await counter.call("sale.cancel")
    await counter.call("sale.cash")
    await counter.completed()
    counter.bench.payment.plug()
    await until(lambda: counter.bench.payment.charged_minor() == 0, "the reversal", counter.told)
    await counter.notice("payment-settled-returned")
    assert counter.count(e.PaymentReversed) == 1


async def test_customer_stops_the_payment(counter: Countertop) -> None:
    await _held(counter)
    await counter.call("sale.cancel")
    await counter.see(lambda view: view.sale.mode == "ringing", "the open basket")
    assert not counter.bench.payment.charges


async def test_basket_with_a_paid_part_is_given_up(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.card", amount_minor=100)
    await counter.see(lambda view: view.sale.mode == "tendering", "the paid part")
    await counter.call("sale.cancel")
    await counter.see(lambda view: view.sale.mode == "idle", "the end of the basket")
    assert counter.bench.payment.charged_minor() == 0
    assert counter.sold == 0


async def test_killed_in_the_middle_of_a_payment(counter: Countertop) -> None:
    """The customer pays while nobody listens: after the start the sale is complete, with one charge."""
    await _held(counter)
    await counter.daemon.kill()
    counter.bench.payment.answer_held(approve=True)
    await counter.start()
    await counter.completed()
    _charged_once(counter)
    assert len(await counter.papers(1)) == 1


async def test_killed_in_the_middle_of_a_payment_that_goes_on(counter: Countertop) -> None:
    """The customer still stands there when the till is back: it is asked about, not asked for again."""
    await _held(counter)
    await counter.restart()
    await counter.see(lambda view: view.sale.mode == "enquiring", "the enquiry")
    counter.bench.payment.answer_held(approve=True)
    await counter.completed()
    _charged_once(counter)


async def test_killed_in_the_middle_of_a_payment_that_is_declined(counter: Countertop) -> None:
    await _held(counter)
    await counter.daemon.kill()
    counter.bench.payment.answer_held(approve=False)
    await counter.start()
    await counter.see(lambda view: view.sale.mode == "ringing", "the open basket")
    assert not counter.bench.payment.charges
    assert counter.view.sale.total_minor == 379


async def test_killed_in_the_middle_of_a_reversal(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.card", amount_minor=100)
    await counter.see(lambda view: view.sale.mode == "tendering", "the paid part")
    counter.bench.payment.behaviour = Behaviour.MUTE_AFTER_CHARGE
    await counter.call("sale.cancel")
    await until(lambda: counter.bench.payment.charged_minor() == 0, "the reversal", counter.told)
    await counter.daemon.kill()
    counter.bench.payment.behaviour = Behaviour.APPROVE
    await counter.start()
    await counter.see(lambda view: view.sale.mode == "idle", "the end of the basket")
    assert counter.count(e.PaymentReversed) == 1
    assert len(counter.bench.payment.charges) == 1
