"""The payment device's driver against a simulated one over real TCP: what is certain, what is unknown, what is charged."""

import asyncio
import json
import logging
import random
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio

from core.events import PaymentAnswered, PaymentRefused, PaymentTakenBack
from core.ports import DeviceAbsent, DeviceBusy, DeviceError, DeviceGone, DeviceStalled, ProtocolError
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import Cable, Receive, TcpCable
from drivers.simulated.payment import Behaviour, SimulatedPaymentDevice
from tests.drivers.support import HostClock, HostileCable, Manner, until

PAN = "4929123456781234"[:-1] + "5"
"""A made-up number; `test_the_canary_is_a_card_number` sees to its check digit."""


class Counter:
    """A payment device's driver, served as its supervisor serves it, and its far end."""

    def __init__(self, make: Callable[[Receive], Cable] | None = None, **options: Any) -> None:
        self.tcp: TcpCable | None = None
        self.far = SimulatedPaymentDevice(make=make or self._tcp)
        self._options = options
        self._serving: asyncio.Task[None] | None = None

    def _tcp(self, receive: Receive) -> Cable:
        self.tcp = TcpCable(receive)
        return self.tcp

    async def start(self) -> None:
        await self.far.start()
        assert self.tcp is not None
        values = {"payment_timeout_s": 1.0, "answer_timeout_s": 1.0, "reversal_timeout_s": 1.0} | self._options
        options = NexoOptions(host=self.tcp.host, port=self.tcp.port, poi_id="POI-1", **values)
        self.driver = NexoPaymentDevice("payment", options, _emit_nothing, HostClock())
        await self.open()

    async def open(self) -> None:
        await self.driver.open()
        self._serving = asyncio.create_task(self.driver.serve(), name="serve")

    async def failure(self) -> DeviceError:
        """What `serve` raised, once it did."""
        assert self._serving is not None
        with pytest.raises(DeviceError) as raised:
            async with asyncio.timeout(5):
                await self._serving
        return raised.value

    async def reopen(self) -> None:
        await self.failure()
        self.driver.close()
        await self.open()

    async def close(self) -> None:
        self.driver.close()
        if self._serving is not None:
            await asyncio.wait((self._serving,))
            self._serving.exception()
        self.far.close()


@asynccontextmanager
async def counter_with(make: Callable[[Receive], Cable] | None = None, **options: Any) -> AsyncIterator[Counter]:
    made = Counter(make, **options)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    async with counter_with() as made:
        yield made


def approved(reference: str, amount_minor: int, number: int = 1) -> PaymentAnswered:
    return PaymentAnswered(
        reference=reference,
        amount_minor=amount_minor,
        poi_transaction=f"POI-1.{number:06}",
        authorisation="123456",
        brand="Simcard",
        card="****9999",
    )


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
    second = NexoPaymentDevice("payment", options, _emit_nothing, HostClock())
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
        assert counter.tcp is not None
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


# --- hostile devices --------------------------------------------------------------------------------------------------


class Rewriting(TcpCable):
    """A cable whose device says something else than our simulated one would."""

    def __init__(self, receive: Receive, rewrite: Callable[[Any], Any]) -> None:
        super().__init__(receive)
        self._rewrite = rewrite

    def send(self, data: bytes) -> None:
        payload = json.dumps(self._rewrite(json.loads(data[4:]))).encode()
        super().send(len(payload).to_bytes(4, "big") + payload)


@asynccontextmanager
async def counter_rewriting(rewrite: Callable[[Any], Any]) -> AsyncIterator[Counter]:
    made: list[Rewriting] = []

    def make(receive: Receive) -> Cable:
        made.append(Rewriting(receive, rewrite))
        return made[0]

    counter = Counter(make)
    counter.tcp = made[0]
    await counter.start()
    try:
        yield counter
    finally:
        await counter.close()


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
    counter.tcp = counter.far._cable  # type: ignore[assignment]  # the cable just made
    with pytest.raises(DeviceBusy):
        await counter.start()
    await counter.close()


def test_the_canary_is_a_card_number() -> None:
    from drivers.codecs.card import wipe

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


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", bytes(8), b"\0\0\0\2{}", b"\0\0\0\5hello"])
async def test_a_device_that_speaks_something_else(counter: Counter, garbage: bytes) -> None:
    counter.far.behaviour = Behaviour.HOLD
    paying = asyncio.create_task(counter.driver.pay("r1", 1234, "EUR"))
    await until(lambda: counter.far.held is not None)
    assert counter.tcp is not None
    counter.tcp.send(garbage)
    with pytest.raises(ProtocolError):
        await paying
    assert isinstance(await counter.failure(), ProtocolError)


async def test_notifications_are_passed_over(counter: Counter) -> None:
    assert counter.tcp is not None
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


class Cutting(TcpCable):
    """A network that loses one connection in five, in the middle of what is being said, either way.

    TCP loses no single byte: this is what losses look like to it.
    """

    def __init__(self, receive: Receive, chance: random.Random) -> None:
        super().__init__(lambda data: self._pass(data, receive))
        self._chance = chance

    def send(self, data: bytes) -> None:
        self._pass(data, super().send)

    def _pass(self, data: bytes, onwards: Receive) -> None:
        if self._chance.random() > 0.2:
            onwards(data)
            return
        onwards(data[: self._chance.randrange(len(data))])
        self.unplug()
        self.plug()


def _cable(manner: str, receive: Receive, tcp: list[TcpCable]) -> Cable:
    def plain(through: Receive) -> Cable:
        tcp.append(TcpCable(through))
        return tcp[0]

    if manner == "lossy":
        tcp.append(Cutting(receive, random.Random(7)))
        return tcp[0]
    known: dict[str, Manner] = {"plain": "plain", "bytewise": "bytewise", "delayed": "delayed"}
    return HostileCable(plain, receive, known[manner], seed=7)


@pytest.mark.parametrize("manner", ["plain", "bytewise", "lossy", "delayed"])
async def test_every_payment_comes_to_its_end_over_any_transport(manner: str) -> None:
    """What the driver says in the end is what the device charged, and nothing is charged twice."""
    chance = random.Random(7)
    tcp: list[TcpCable] = []
    far = SimulatedPaymentDevice(make=lambda receive: _cable(manner, receive, tcp))
    far.plug()
    options = NexoOptions(
        host=tcp[0].host, port=tcp[0].port, poi_id="POI-1", payment_timeout_s=0.3, answer_timeout_s=0.3
    )
    driver = NexoPaymentDevice("payment", options, _emit_nothing, HostClock())
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


def _emit_nothing(event: object) -> None:
    raise AssertionError(f"a payment device emits nothing, and yet: {event}")
