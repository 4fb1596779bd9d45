"""Gift cards at a payment device (nexo StoredValue and BalanceInquiry), over real TCP, good and hostile."""

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from core.events import (
    BalanceTold,
    BalanceUntold,
    GiftCardReserved,
    GiftCardUnreserved,
    PaymentAnswered,
    PaymentRefused,
    PaymentTakenBack,
    StoredValueAnswered,
    StoredValueRefused,
)
from core.gift_card import GiftCard
from core.ports import DeviceBusy, DeviceError, DeviceGone, DeviceStalled, ProtocolError
from drivers.codecs import nexo
from drivers.codecs.nexo_value import balance_outcome, reservation_outcome, value_outcome
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import TcpCable
from drivers.simulated.payment import Behaviour, SimulatedPaymentDevice
from tests.drivers.payment_counter import Counter, counter_rewriting, counter_with, emit_nothing, hostile_cable
from tests.drivers.support import HostClock

NUMBER = "6006490000000004"
CARD = GiftCard(number=NUMBER)


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    async with counter_with() as made:
        made.far.gift_cards.issue(NUMBER)
        yield made


async def reserved(counter: Counter, amount_minor: int = 5_000) -> GiftCardReserved:
    found = await counter.driver.reserve("r", CARD, "b0b0", amount_minor, "EUR")
    assert isinstance(found, GiftCardReserved)
    return found


async def loaded(counter: Counter, reference: str, amount_minor: int = 5_000) -> StoredValueAnswered:
    held = await reserved(counter, amount_minor)
    done = await counter.driver.change_value(
        reference, "activate" if held.balance_minor is None else "load", amount_minor, "EUR", held.poi_transaction
    )
    assert isinstance(done, StoredValueAnswered)
    return done


async def test_a_card_is_reserved_activated_loaded_and_told(counter: Counter) -> None:
    assert await counter.driver.balance(CARD, "EUR") == BalanceUntold(card="****0004", reason="invalid-card")
    held = await reserved(counter)
    assert held == GiftCardReserved(reference="r", card="****0004", account="b0b0", poi_transaction="POI-1.V00001")
    assert counter.far.gift_cards.owed_minor() == 0
    assert await counter.driver.change_value("g1", "activate", 5_000, "EUR", "POI-1.V00001") == StoredValueAnswered(
        reference="g1", poi_transaction="POI-1.V00002", balance_minor=5_000
    )
    assert (await loaded(counter, "g2", 2_500)).balance_minor == 7_500
    assert await counter.driver.balance(CARD, "EUR") == BalanceTold(card="****0004", balance_minor=7_500)


async def test_the_number_is_in_the_reservation_alone(counter: Counter) -> None:
    await loaded(counter, "g1")
    kinds = [
        request.stored_value_request.stored_value_data[0]
        for request in counter.far.requests
        if request.stored_value_request is not None
    ]
    assert [(data.stored_value_transaction_type, data.stored_value_account_id is None) for data in kinds] == [
        ("Reserve", False),
        ("Activate", True),
    ]
    assert not any(NUMBER in repr(request) for request in counter.far.requests)


async def test_a_card_that_nobody_knows_is_not_reserved(counter: Counter) -> None:
    strange = GiftCard(number="6006490000000012")
    assert await counter.driver.reserve("r", strange, "", 100, "EUR") == GiftCardUnreserved(
        reference="r", reason="invalid-card"
    )


async def test_a_card_pays_what_it_has(counter: Counter) -> None:
    await loaded(counter, "g1", 300)
    paid = await counter.driver.pay("p1", 420, "EUR", CARD)
    assert isinstance(paid, PaymentAnswered)
    assert (paid.amount_minor, paid.card) == (300, "")
    assert await counter.driver.enquire("p1") == paid
    assert await counter.driver.pay("p2", 420, "EUR", CARD) == PaymentRefused(reference="p2", reason="declined")
    refund = await counter.driver.refund("f1", 100, "EUR", "p1", paid.poi_transaction)
    assert isinstance(refund, PaymentAnswered)
    assert counter.far.gift_cards.owed_minor() == 100


async def test_a_payment_is_taken_back_to_the_card(counter: Counter) -> None:
    await loaded(counter, "g1", 1_000)
    paid = await counter.driver.pay("p1", 420, "EUR", CARD)
    assert isinstance(paid, PaymentAnswered)
    assert await counter.driver.reverse("p1", 420, "EUR", paid.poi_transaction) == PaymentTakenBack(reference="p1")
    assert counter.far.gift_cards.owed_minor() == 1_000


async def test_a_card_is_emptied_once_and_unspent_alone(counter: Counter) -> None:
    await loaded(counter, "g1", 1_000)
    assert await counter.driver.change_value("u1", "unload", 1_000, "EUR", "g1") == StoredValueAnswered(
        reference="u1", poi_transaction="POI-1.V00003"
    )
    assert await counter.driver.change_value("u2", "unload", 1_000, "EUR", "g1") == StoredValueRefused(
        reference="u2", reason="not-allowed"
    )
    assert counter.far.gift_cards.known[NUMBER].balance_minor is None
    await loaded(counter, "g2", 1_000)
    await counter.driver.pay("p1", 1, "EUR", CARD)
    assert await counter.driver.change_value("u3", "unload", 1_000, "EUR", "g2") == StoredValueRefused(
        reference="u3", reason="not-allowed"
    )


async def test_what_is_left_is_taken_off_once(counter: Counter) -> None:
    await loaded(counter, "g1", 120)
    held = await reserved(counter, 0)
    assert held.balance_minor == 120
    assert await counter.driver.change_value("u1", "cash-out", 120, "EUR", held.poi_transaction) == StoredValueAnswered(
        reference="u1", poi_transaction="POI-1.V00004", balance_minor=0
    )
    assert await counter.driver.change_value("u2", "cash-out", 120, "EUR", held.poi_transaction) == StoredValueRefused(
        reference="u2", reason="not-found"
    )
    assert counter.far.gift_cards.owed_minor() == 0


async def test_what_was_never_put_on_a_card_needs_no_taking_off(counter: Counter) -> None:
    assert await counter.driver.change_value("u1", "unload", 1_000, "EUR", "g1") == StoredValueAnswered(reference="u1")
    assert counter.far.gift_cards.changes == []


async def test_nothing_is_sent_twice_under_one_reference(counter: Counter) -> None:
    await loaded(counter, "g1", 1_000)
    held = await reserved(counter, 1_000)
    assert await counter.driver.change_value("g1", "load", 1_000, "EUR", held.poi_transaction) == StoredValueRefused(
        reference="g1", reason="not-allowed"
    )
    assert counter.far.gift_cards.owed_minor() == 1_000


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [(Behaviour.DROP_AFTER_CHARGE, DeviceGone), (Behaviour.MUTE_AFTER_CHARGE, DeviceStalled)],
)
async def test_a_lost_answer_is_asked_about(behaviour: Behaviour, error: type[DeviceError]) -> None:
    async with counter_with(reversal_timeout_s=0.3) as counter:
        counter.far.gift_cards.issue(NUMBER)
        held = await reserved(counter)
        counter.far.behaviour = behaviour
        with pytest.raises(error):
            await counter.driver.change_value("g1", "activate", 5_000, "EUR", held.poi_transaction)
        counter.far.behaviour = Behaviour.APPROVE
        await counter.reopen()
        assert await counter.driver.enquire_value("g1", "EUR") == StoredValueAnswered(
            reference="g1", poi_transaction="POI-1.V00002", balance_minor=5_000
        )
        assert await counter.driver.enquire_value("g2", "EUR") == StoredValueRefused(reference="g2", reason="not-found")


async def test_without_a_connection_nothing_was_sent() -> None:
    async with counter_with() as counter:
        counter.far.unplug()
        await counter.failure()
        assert await counter.driver.change_value("g1", "activate", 1, "EUR", "V1") == StoredValueRefused(
            reference="g1", reason="not-connected"
        )


# --- hostile devices --------------------------------------------------------------------------------------------------


def _of_value(change: Callable[[Any], None]) -> Callable[[Any], Any]:
    def rewrite(message: Any) -> Any:
        body = message["SaleToPOIResponse"]
        if "StoredValueResponse" in body:
            change(body)
        return message

    return rewrite


def _another_reference(body: Any) -> None:
    body["StoredValueResponse"]["SaleData"] = {"SaleTransactionID": {"TransactionID": "somebody-elses"}}


def _unknown_result(body: Any) -> None:
    body["StoredValueResponse"]["Response"]["Result"] = "Perhaps"


def _broken_cents(body: Any) -> None:
    body["StoredValueResponse"]["StoredValueResult"][0]["StoredValueAccountStatus"] = {"CurrentBalance": 12.345}


def _another_currency(body: Any) -> None:
    body["StoredValueResponse"]["StoredValueResult"][0]["Currency"] = "USD"
    body["StoredValueResponse"]["StoredValueResult"][0]["StoredValueAccountStatus"] = {"CurrentBalance": 12}


def _no_body(body: Any) -> None:
    del body["StoredValueResponse"]


@pytest.mark.parametrize("change", [_another_reference, _unknown_result, _broken_cents, _another_currency, _no_body])
async def test_an_answer_that_makes_no_sense_settles_nothing(change: Callable[[Any], None]) -> None:
    async with counter_rewriting(_of_value(change)) as counter:
        counter.far.gift_cards.issue(NUMBER)
        counter.far.gift_cards.reserved["V1"] = NUMBER
        with pytest.raises(ProtocolError):
            await counter.driver.change_value("g1", "activate", 5_000, "EUR", "V1")


def _named_like_a_card(body: Any) -> None:
    body["StoredValueResponse"]["POIData"]["POITransactionID"]["TransactionID"] = "4111111111111111"


async def test_a_reservation_under_a_cards_number_is_not_kept() -> None:
    async with counter_rewriting(_of_value(_named_like_a_card)) as counter:
        counter.far.gift_cards.issue(NUMBER)
        with pytest.raises(ProtocolError):
            await counter.driver.reserve("r", CARD, "", 100, "EUR")


@pytest.mark.parametrize("manner", ["plain", "bytewise", "lossy", "delayed"])
async def test_every_change_comes_to_its_end_over_any_transport(manner: str) -> None:
    """What the driver says in the end is what the device did, and nothing is done twice."""
    chance = random.Random(11)
    tcp: list[TcpCable] = []
    far = SimulatedPaymentDevice(make=lambda receive: hostile_cable(manner, receive, tcp))
    far.gift_cards.issue(NUMBER)
    far.plug()
    options = NexoOptions(
        host=tcp[0].host, port=tcp[0].port, poi_id="POI-1", answer_timeout_s=0.3, reversal_timeout_s=0.3
    )
    driver = NexoPaymentDevice("payment", options, emit_nothing, HostClock())
    outcomes: list[StoredValueAnswered | StoredValueRefused] = []
    for number in range(20):
        reference = f"g{number}"
        far.behaviour = Behaviour.APPROVE
        far.gift_cards.reserved[f"V{number}"] = NUMBER
        operation = "load" if far.gift_cards.known[NUMBER].balance_minor else "activate"
        far.behaviour = chance.choice((Behaviour.APPROVE, Behaviour.DECLINE, Behaviour.DROP_AFTER_CHARGE))
        outcome = await _to_the_end(driver, reference, operation, 100 + number, f"V{number}")
        outcomes.append(outcome)
        done = [one.amount_minor for one in far.gift_cards.changes if one.reference == reference]
        assert done == ([100 + number] if isinstance(outcome, StoredValueAnswered) else [])
    assert {type(outcome) for outcome in outcomes} == {StoredValueAnswered, StoredValueRefused}
    driver.close()
    far.close()


async def _to_the_end(
    driver: NexoPaymentDevice, reference: str, operation: Any, amount_minor: int, original: str
) -> StoredValueAnswered | StoredValueRefused:
    """As the engine does it: asks once, and then enquires until it is told."""
    asked = False
    for _ in range(200):
        try:
            driver.close()
            await driver.open()
            if not asked:
                asked = True
                return await driver.change_value(reference, operation, amount_minor, "EUR", original)
            if (outcome := await driver.enquire_value(reference, "EUR")) is not None:
                return outcome
        except DeviceError:
            await asyncio.sleep(0)
    raise AssertionError(f"{reference} never came to an end")


# --- answers without a cable ------------------------------------------------------------------------------------------

_RESPONSES = st.builds(
    nexo.Response,
    result=st.sampled_from(("Success", "Failure", "Partial", "?")),
    error_condition=st.none() | st.sampled_from(("Refusal", "InProgress", "NotFound", "NotAllowed", "?")),
)
_DECIMALS = st.none() | st.decimals(allow_nan=True, allow_infinity=True)
_VALUES = st.builds(
    nexo.StoredValueResponse,
    response=_RESPONSES,
    poi_data=st.none()
    | st.builds(
        nexo.PoiData,
        poi_transaction_id=st.builds(nexo.PoiTransactionIdentification, transaction_id=st.text(max_size=80)),
    ),
    stored_value_result=st.lists(
        st.builds(
            nexo.StoredValueResult,
            stored_value_transaction_type=st.just("Load"),
            currency=st.none() | st.sampled_from(("EUR", "USD")),
            stored_value_account_status=st.none() | st.builds(nexo.StoredValueAccountStatus, current_balance=_DECIMALS),
        ),
        max_size=2,
    ).map(tuple),
)


@given(answer=st.none() | _VALUES)
def test_any_answer_is_an_outcome_or_a_device_error(answer: nexo.StoredValueResponse | None) -> None:
    for read in (
        lambda: value_outcome(answer, "g1", "EUR"),
        lambda: reservation_outcome(answer, "g1", "****0004", "", "EUR"),
    ):
        try:
            outcome = read()
        except (ProtocolError, DeviceBusy):
            continue
        if isinstance(outcome, StoredValueAnswered) and outcome.balance_minor is not None:
            assert outcome.balance_minor >= 0


@given(
    answer=st.none()
    | st.builds(
        nexo.BalanceInquiryResponse,
        response=_RESPONSES,
        payment_account_status=st.none()
        | st.builds(
            nexo.PaymentAccountStatus,
            current_balance=_DECIMALS,
            currency=st.none() | st.sampled_from(("EUR", "USD")),
        ),
    )
)
def test_any_balance_is_told_or_a_device_error(answer: nexo.BalanceInquiryResponse | None) -> None:
    try:
        told = balance_outcome(answer, "****0004", "EUR")
    except ProtocolError:
        return
    assert isinstance(told, BalanceTold | BalanceUntold)
