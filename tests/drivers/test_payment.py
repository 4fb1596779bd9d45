"""The payment device's driver against a simulated one over real TCP: what is certain, what is unknown, what is charged."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core.events import PaymentAnswered, PaymentRefused, PaymentTakenBack
from core.ports import DeviceAbsent, DeviceBusy, DeviceError, DeviceGone, DeviceStalled, ProtocolError
from core.wallet import WalletCode
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.payment import Behaviour
from tests.drivers.payment_counter import Counter, approved, counter_with, emit_nothing
from tests.drivers.support import HostClock, until


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    async with counter_with() as made:
        yield made


async def test_a_payment_is_approved(counter: Counter) -> None:
    assert await counter.driver.pay("r1", 1234, "EUR") == approved("r1", 1234)
    assert counter.far.charged_minor() == 1234
    assert counter.driver.identity == "nexo:SIM-POI-1"
    assert counter.driver.facts() == {
        "software": "simulated 1",
        "approved": 1,
        "refused": 0,
        "unanswered": 0,
        "strays": 0,
    }


async def test_a_phone_pays_once_by_its_code(counter: Counter) -> None:
    shown = WalletCode(wallet="alipay", code="281234567890123456")
    assert await counter.driver.pay("r1", 1234, "EUR", shown) == PaymentAnswered(
        reference="r1", amount_minor=1234, poi_transaction="POI-1.000001", authorisation="123456", brand="alipay"
    )
    assert await counter.driver.pay("r2", 1234, "EUR", shown) == PaymentRefused(reference="r2", reason="declined")
    assert [(charge.reference, charge.wallet) for charge in counter.far.charges] == [("r1", "alipay")]
    assert await counter.driver.reverse("r1", 1234, "EUR", "POI-1.000001") == PaymentTakenBack(reference="r1")
    assert counter.far.charged_minor() == 0


async def test_a_wallet_without_a_contract_is_refused(counter: Counter) -> None:
    counter.far.wallets.discard("wechat")
    shown = WalletCode(wallet="wechat", code="134567890123456789")
    assert await counter.driver.pay("r1", 1, "EUR", shown) == PaymentRefused(
        reference="r1", reason="service-unavailable"
    )
    assert counter.far.charges == []


@pytest.mark.parametrize(("currency", "amount_minor"), [("JPY", 500), ("KWD", 1001), ("EUR", 1)])
async def test_amounts_of_other_currencies(counter: Counter, currency: str, amount_minor: int) -> None:
    assert await counter.driver.pay("r1", amount_minor, currency) == approved("r1", amount_minor)
    (charge,) = counter.far.charges
    assert (charge.currency, charge.amount_minor) == (currency, amount_minor)


async def test_a_payment_is_declined(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.DECLINE
    assert await counter.driver.pay("r1", 1234, "EUR") == PaymentRefused(reference="r1", reason="declined")
    assert await counter.driver.enquire("r1") == PaymentRefused(reference="r1", reason="declined")
    assert counter.far.charges == []


async def test_a_busy_device_refuses(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.BUSY
    assert await counter.driver.pay("r1", 1234, "EUR") == PaymentRefused(reference="r1", reason="busy")


async def test_a_running_payment_is_enquired_about_and_aborted(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    assert await counter.driver.enquire("r1") is None
    await counter.driver.abort("another")
    assert await counter.driver.enquire("r1") is None
    await counter.driver.abort("r1")
    assert await paying == PaymentRefused(reference="r1", reason="aborted")
    assert counter.far.charges == []


async def test_the_customer_takes_a_while(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    counter.far.answer_held(approve=True)
    assert await paying == approved("r1", 1234)


async def test_an_abort_that_comes_too_late_changes_nothing(counter: Counter) -> None:
    assert await counter.driver.pay("r1", 1234, "EUR") == approved("r1", 1234)
    await counter.driver.abort("r1")
    assert await counter.driver.enquire("r1") == approved("r1", 1234)


async def test_no_answer_is_no_outcome(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.MUTE_AFTER_CHARGE
    with pytest.raises(DeviceStalled):
        await counter.driver.pay("r1", 1234, "EUR")
    assert await counter.driver.enquire("r1") == approved("r1", 1234)
    assert counter.driver.facts()["unanswered"] == 1


async def test_a_late_answer_is_not_taken_for_another(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.HOLD
    with pytest.raises(DeviceStalled):
        await counter.driver.pay("r1", 1234, "EUR")
    counter.far.answer_held(approve=True)
    counter.far.behaviour = Behaviour.APPROVE
    assert await counter.driver.pay("r2", 99, "EUR") == approved("r2", 99, number=2)
    assert counter.driver.facts()["strays"] == 1
    assert await counter.driver.enquire("r1") == approved("r1", 1234)


@pytest.mark.parametrize(
    ("behaviour", "charged_minor"), [(Behaviour.DROP_AFTER_CHARGE, 1234), (Behaviour.DROP_BEFORE_CHARGE, 0)]
)
async def test_a_lost_connection_is_no_outcome(counter: Counter, behaviour: Behaviour, charged_minor: int) -> None:
    counter.far.behaviour = behaviour
    with pytest.raises(DeviceGone):
        await counter.driver.pay("r1", 1234, "EUR")
    await counter.reopen()
    expected = approved("r1", 1234) if charged_minor else PaymentRefused(reference="r1", reason="not-found")
    assert await counter.driver.enquire("r1") == expected
    assert counter.far.charged_minor() == charged_minor


async def test_another_daemon_can_still_ask(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.MUTE_AFTER_CHARGE
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.charged_minor() > 0)
    counter.driver.close()  # as a killed daemon leaves it
    with pytest.raises(DeviceGone):
        await paying
    counter.far.behaviour = Behaviour.APPROVE
    options = NexoOptions(host=counter.far.host, port=counter.far.port, poi_id="POI-1")
    second = NexoPaymentDevice("payment", options, emit_nothing, HostClock())
    await second.open()
    assert await second.enquire("r1") == approved("r1", 1234)
    assert await second.enquire("r2") == PaymentRefused(reference="r2", reason="not-found")
    second.close()


async def test_a_payment_without_a_connection_is_certain_not_to_be_sent(counter: Counter) -> None:
    counter.far.unplug()
    assert isinstance(await counter.failure(), DeviceGone)
    assert await counter.driver.pay("r1", 1234, "EUR") == PaymentRefused(reference="r1", reason="not-connected")
    with pytest.raises(DeviceGone):
        await counter.driver.enquire("r1")
    with pytest.raises(DeviceGone):
        await counter.driver.abort("r1")
    counter.driver.close()
    with pytest.raises(DeviceAbsent):
        await counter.driver.open()
    counter.far.plug()
    await counter.open()
    assert await counter.driver.enquire("r1") == PaymentRefused(reference="r1", reason="not-found")


async def test_a_reversal_is_done_once_however_often_it_is_asked_for(counter: Counter) -> None:
    await counter.driver.pay("r1", 1234, "EUR")
    taken_back = PaymentTakenBack(reference="r1")
    for _ in range(3):
        assert await counter.driver.reverse("r1", 1234, "EUR", "POI-1.000001") == taken_back
    assert counter.far.charged_minor() == 0
    assert [charge.is_reversed for charge in counter.far.charges] == [True]


@pytest.mark.parametrize("behaviour", [Behaviour.DROP_AFTER_CHARGE, Behaviour.MUTE_AFTER_CHARGE])
async def test_a_reversal_whose_answer_was_lost(counter: Counter, behaviour: Behaviour) -> None:
    await counter.driver.pay("r1", 1234, "EUR")
    counter.far.behaviour = behaviour
    with pytest.raises(DeviceError):
        await counter.driver.reverse("r1", 1234, "EUR", "POI-1.000001")
    await counter.reopen()
    assert await counter.driver.reverse("r1", 1234, "EUR", "POI-1.000001") == PaymentTakenBack(reference="r1")
    assert counter.far.charged_minor() == 0


async def test_a_reversal_by_reference_alone(counter: Counter) -> None:
    await counter.driver.pay("r1", 1234, "EUR")
    assert await counter.driver.reverse("r1", 1234, "EUR", "") == PaymentTakenBack(reference="r1")
    assert await counter.driver.reverse("never", 1234, "EUR", "") == PaymentTakenBack(reference="never")
    assert counter.far.charged_minor() == 0


async def test_a_running_payment_is_not_reversed(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    with pytest.raises(DeviceBusy):
        await counter.driver.reverse("r1", 1234, "EUR", "")
    counter.far.answer_held(approve=False)
    assert await paying == PaymentRefused(reference="r1", reason="cancelled")


async def test_a_reversal_of_what_is_not_there_is_an_error(counter: Counter) -> None:
    with pytest.raises(ProtocolError, match="NotFound"):
        await counter.driver.reverse("r1", 1234, "EUR", "no-such-transaction")


async def test_one_reference_is_not_paid_twice_at_once(counter: Counter) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    with pytest.raises(DeviceBusy):
        await counter.driver.pay("r1", 1234, "EUR")
    counter.far.answer_held(approve=True)
    await paying
    assert len(counter.far.charges_of("r1")) == 1


async def test_a_hung_device_is_found_by_its_heartbeat() -> None:
    async with counter_with(heartbeat_s=0.05, answer_timeout_s=0.1) as counter:
        await asyncio.sleep(0.2)  # some heartbeats, answered
        counter.tcp.deaf(True)
        assert isinstance(await counter.failure(), DeviceStalled)


async def test_a_device_is_left_in_peace_while_a_customer_holds_it() -> None:
    async with counter_with(heartbeat_s=0.05, answer_timeout_s=0.1) as counter:
        counter.far.behaviour = Behaviour.HOLD
        paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
        await asyncio.sleep(0.2)
        categories = [request.message_header.message_category for request in counter.far.requests]
        assert categories[-1] == "Payment"
        counter.far.answer_held(approve=True)
        assert await paying == approved("r1", 1234)


async def test_money_goes_back_in_parts_and_never_more_than_was_charged(counter: Counter) -> None:
    paid = await counter.driver.pay("r1", 1234, "EUR")
    assert isinstance(paid, PaymentAnswered)
    for reference, amount_minor in (("r2", 1000), ("r3", 234)):
        back = await counter.driver.refund(reference, amount_minor, "EUR", "r1", paid.poi_transaction)
        assert back == await counter.driver.enquire(reference)
        assert isinstance(back, PaymentAnswered)
    assert counter.far.charged_minor() == 0
    refused = await counter.driver.refund("r4", 1, "EUR", "r1", paid.poi_transaction)
    assert refused == PaymentRefused(reference="r4", reason="declined")


async def test_the_device_is_asked_for_a_name_that_was_not_kept(counter: Counter) -> None:
    await counter.driver.pay("r1", 1234, "EUR")
    assert isinstance(await counter.driver.refund("r2", 1234, "EUR", "r1", "*"), PaymentAnswered)
    assert counter.far.charged_minor() == 0
    nothing = await counter.driver.refund("r3", 1234, "EUR", "r0", "")
    assert nothing == PaymentRefused(reference="r3", reason="not-found")
