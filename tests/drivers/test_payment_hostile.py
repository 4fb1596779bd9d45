"""The payment device's driver against devices and networks that misbehave: no card number gets out, nothing twice."""

import asyncio
import json
import logging
import random
import traceback
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from core.card import wipe
from core.events import PaymentAnswered, PaymentRefused, PaymentTakenBack
from core.ports import DeviceBusy, DeviceError, ProtocolError
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import TcpCable
from drivers.simulated.payment import Behaviour, SimulatedPaymentDevice
from tests.drivers.payment_counter import (
    Counter,
    Rewriting,
    approved,
    counter_rewriting,
    counter_with,
    emit_nothing,
    hostile_cable,
)
from tests.drivers.support import HostClock, until

PAN = "4929123456781234"[:-1] + "5"
"""A made-up number; `test_the_canary_is_a_card_number` sees to its check digit."""


# --- hostile devices --------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    async with counter_with() as made:
        yield made


def _on_payments(change: Callable[[Any], None]) -> Callable[[Any], Any]:
    def rewrite(message: Any) -> Any:
        body = message["SaleToPOIResponse"]
        if "PaymentResponse" in body:
            change(body)
        return message

    return rewrite


def _another_service(body: Any) -> None:
    body["MessageHeader"]["ServiceID"] = "AAAAAAAAAA"


def _another_reference(body: Any) -> None:
    body["PaymentResponse"]["SaleData"]["SaleTransactionID"]["TransactionID"] = "somebody-elses"


def _no_amount(body: Any) -> None:
    del body["PaymentResponse"]["PaymentResult"]["AmountsResp"]


def _broken_cents(body: Any) -> None:
    body["PaymentResponse"]["PaymentResult"]["AmountsResp"]["AuthorizedAmount"] = 12.345


def _unknown_result(body: Any) -> None:
    body["PaymentResponse"]["Response"]["Result"] = "Perhaps"


def _still_in_progress(body: Any) -> None:
    body["PaymentResponse"] = {"Response": {"Result": "Failure", "ErrorCondition": "InProgress"}}


def _no_body(body: Any) -> None:
    del body["PaymentResponse"]


@pytest.mark.parametrize(
    "change",
    [
        _another_service,
        _another_reference,
        _no_amount,
        _broken_cents,
        _unknown_result,
        _still_in_progress,
        _no_body,
    ],
)
async def test_an_answer_that_settles_nothing_is_no_outcome(change: Callable[[Any], None]) -> None:
    async with counter_rewriting(_on_payments(change)) as counter:
        with pytest.raises(DeviceError):
            await counter.driver.pay("r1", 1234, "EUR")
        assert await counter.driver.enquire("r1") == approved("r1", 1234)
        assert len(counter.far.charges_of("r1")) == 1


async def test_an_enquiry_that_is_answered_for_another_payment() -> None:
    def change(message: Any) -> Any:
        found = message["SaleToPOIResponse"].get("TransactionStatusResponse", {}).get("RepeatedMessageResponse")
        if found is not None:
            found["MessageHeader"]["ServiceID"] = "AAAAAAAAAA"
        return message

    async with counter_rewriting(change) as counter:
        await counter.driver.pay("r1", 1234, "EUR")
        with pytest.raises(ProtocolError, match="another"):
            await counter.driver.enquire("r1")


async def test_a_partial_approval_says_its_own_amount() -> None:
    def change(body: Any) -> None:
        body["PaymentResponse"]["Response"]["Result"] = "Partial"
        body["PaymentResponse"]["PaymentResult"]["AmountsResp"]["AuthorizedAmount"] = 10

    async with counter_rewriting(_on_payments(change)) as counter:
        assert await counter.driver.pay("r1", 1234, "EUR") == approved("r1", 1000)


async def test_a_device_that_logged_us_out_is_logged_into_again() -> None:
    def change(body: Any) -> None:
        body["PaymentResponse"] = {"Response": {"Result": "Failure", "ErrorCondition": "LoggedOut"}}

    async with counter_rewriting(_on_payments(change)) as counter:
        assert await counter.driver.pay("r1", 1234, "EUR") == PaymentRefused(reference="r1", reason="logged-out")
        await counter.reopen()
        logins = [r for r in counter.far.requests if r.message_header.message_category == "Login"]
        assert len(logins) == 2


async def test_a_refused_login() -> None:
    def change(message: Any) -> Any:
        message["SaleToPOIResponse"]["LoginResponse"] = {"Response": {"Result": "Failure", "ErrorCondition": "Busy"}}
        return message

    counter = Counter(lambda receive: Rewriting(receive, change))
    with pytest.raises(DeviceBusy):
        await counter.open()
    await counter.close()


def test_the_canary_is_a_card_number() -> None:
    assert PAN not in wipe(PAN)


def _pan_everywhere(body: Any) -> None:
    response = body["PaymentResponse"]
    response["Response"]["AdditionalResponse"] = f"track2=;{PAN}=2912101?"
    response["POIData"]["POITransactionID"]["TransactionID"] = PAN
    result = response["PaymentResult"]
    result["PaymentAcquirerData"]["ApprovalCode"] = PAN
    result["PaymentInstrumentData"]["CardData"] = {
        "PaymentBrand": f"Brand {PAN}",
        "MaskedPAN": PAN,
        "SensitiveCardData": {"PAN": PAN, "TrackData": [{"TrackValue": PAN}]},
    }


def _pan_in_a_failure(body: Any) -> None:
    body["PaymentResponse"] = {"Response": {"Result": PAN, "ErrorCondition": PAN, "AdditionalResponse": PAN}}


def _pan_for_a_reference(body: Any) -> None:
    _pan_everywhere(body)
    body["PaymentResponse"]["SaleData"]["SaleTransactionID"]["TransactionID"] = PAN


def _pan_for_an_amount(body: Any) -> None:
    body["PaymentResponse"]["PaymentResult"]["AmountsResp"] = {"Currency": PAN, "AuthorizedAmount": int(PAN)}


def _pan_for_a_structure(body: Any) -> None:
    body["PaymentResponse"]["POIData"] = PAN


@pytest.mark.parametrize(
    "change",
    [_pan_everywhere, _pan_in_a_failure, _pan_for_a_reference, _pan_for_an_amount, _pan_for_a_structure],
)
async def test_a_device_that_sends_clear_card_numbers(
    change: Callable[[Any], None], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    said = []
    async with counter_rewriting(_on_payments(change)) as counter:
        try:
            said.append(repr(await counter.driver.pay("r1", 1234, "EUR")))
        except DeviceError as error:
            said += [repr(error), "".join(traceback.format_exception(error))]
        said.append(repr(counter.driver.facts()))
        counter.driver.close()
        said.append("".join(traceback.format_exception(await counter.failure())))
    assert PAN not in "".join(said) + caplog.text
    assert PAN[:12] not in "".join(said) + caplog.text


async def test_a_transaction_that_looks_like_a_card_number_can_still_be_reversed() -> None:
    def rename(message: Any, old: str, new: str) -> Any:
        return json.loads(json.dumps(message).replace(old, new))

    async with counter_rewriting(lambda message: rename(message, "POI-1.000001", PAN)) as counter:
        answer = await counter.driver.pay("r1", 1234, "EUR")
        assert isinstance(answer, PaymentAnswered)
        assert answer.poi_transaction == "*" * 12 + PAN[-4:]
        counter.far.charges[0].poi_transaction = PAN
        assert await counter.driver.reverse("r1", 1234, "EUR", answer.poi_transaction) == PaymentTakenBack(
            reference="r1"
        )
        assert counter.far.charged_minor() == 0


@pytest.mark.parametrize("said", ["CVV 123", ";=2912?", "x" * 100, "DOE/JANE\n", "\x1b[2J"])
async def test_what_has_not_the_shape_of_its_field_is_not_kept(said: str) -> None:
    """A brand, an approval code and a transaction's name are no place for anything else; the payment is settled all the same."""

    def fill(body: Any) -> None:
        response = body["PaymentResponse"]
        response["PaymentResult"]["PaymentInstrumentData"]["CardData"] = {"PaymentBrand": said, "MaskedPan": said}
        response["PaymentResult"]["PaymentAcquirerData"]["ApprovalCode"] = said
        response["POIData"]["POITransactionID"]["TransactionID"] = said

    async with counter_rewriting(_on_payments(fill)) as counter:
        answer = await counter.driver.pay("r1", 1234, "EUR")
        assert answer == PaymentAnswered(reference="r1", amount_minor=1234, poi_transaction="*")


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(8), b"\0\0\0\2{}", b"\0\0\0\5hello"])
async def test_a_device_that_speaks_something_else(counter: Counter, garbage: bytes) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    counter.tcp.send(garbage)
    with pytest.raises(ProtocolError):
        await paying
    assert isinstance(await counter.failure(), ProtocolError)


async def test_notifications_are_passed_over(counter: Counter) -> None:
    event = {
        "MessageClass": "Event",
        "MessageCategory": "Event",
        "MessageType": "Notification",
        "SaleID": "",
        "POIID": "",
    }
    payload = json.dumps({"SaleToPOIRequest": {"MessageHeader": event, "EventNotification": {}}}).encode()
    counter.tcp.send(len(payload).to_bytes(4, "big") + payload)
    assert await counter.driver.pay("r1", 1234, "EUR") == approved("r1", 1234)
    assert counter.driver.facts()["strays"] == 1


@pytest.mark.parametrize("manner", ["plain", "bytewise", "lossy", "delayed"])
async def test_every_payment_comes_to_its_end_over_any_transport(manner: str) -> None:
    """What the driver says in the end is what the device charged, and nothing is charged twice."""
    chance = random.Random(7)
    tcp: list[TcpCable] = []
    far = SimulatedPaymentDevice(make=lambda receive: hostile_cable(manner, receive, tcp))
    far.plug()
    options = NexoOptions(
        host=tcp[0].host, port=tcp[0].port, poi_id="POI-1", payment_timeout_s=0.3, answer_timeout_s=0.3
    )
    driver = NexoPaymentDevice("payment", options, emit_nothing, HostClock())
    outcomes = []
    for number in range(25):
        reference = f"r{number}"
        far.behaviour = chance.choice((Behaviour.APPROVE, Behaviour.DECLINE, Behaviour.DROP_AFTER_CHARGE))
        outcomes.append(outcome := await _pay_to_the_end(driver, reference, 100 + number))
        charged = [charge.amount_minor for charge in far.charges_of(reference)]
        assert charged == ([outcome.amount_minor] if isinstance(outcome, PaymentAnswered) else [])
    assert {type(outcome) for outcome in outcomes} == {PaymentAnswered, PaymentRefused}
    driver.close()
    far.close()


async def _pay_to_the_end(
    driver: NexoPaymentDevice, reference: str, amount_minor: int
) -> PaymentAnswered | PaymentRefused:
    """As the engine does it: asks once, and then enquires until it is told."""
    asked = False
    for _ in range(200):
        try:
            driver.close()
            await driver.open()
            if not asked:
                asked = True
                return await driver.pay(reference, amount_minor, "EUR")
            if (outcome := await driver.enquire(reference)) is not None:
                return outcome
        except DeviceError:
            continue
    raise AssertionError(f"{reference} never came to an end")
