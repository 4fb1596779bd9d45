"""The payment device's end of day (nexo SaleReconciliation): what it counted, over real TCP, good and hostile."""

import json
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from core.entries import CardTotal
from core.ports import DeviceBusy, DeviceError, DeviceGone, DeviceStalled, PaymentTotals, ProtocolError
from drivers.codecs import nexo
from drivers.codecs.nexo_outcome import period_totals
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import Receive, TcpCable
from drivers.simulated.payment import Behaviour, SimulatedPaymentDevice
from tests.drivers.payment_counter import Counter, counter_with, emit_nothing
from tests.drivers.support import HostClock, HostileCable, Manner

SUCCESS = nexo.Response(result="Success")
PAN = "4111111111111111"


@pytest_asyncio.fixture
async def counter() -> AsyncIterator[Counter]:
    async with counter_with() as made:
        yield made


async def test_each_period_is_told_once(counter: Counter) -> None:
    assert await counter.driver.reconcile("EUR") == PaymentTotals(totals=(), reconciliation="1")
    await counter.driver.pay("r1", 1234, "EUR")
    charged = await counter.driver.pay("r2", 500, "EUR")
    await counter.driver.reverse("r2", 500, "EUR", charged.poi_transaction)  # type: ignore[union-attr]
    told = await counter.driver.reconcile("EUR")
    assert told == PaymentTotals(
        totals=(
            CardTotal(kind="debit", count=2, amount_minor=1734),
            CardTotal(kind="reverse-debit", count=1, amount_minor=500),
        ),
        reconciliation="2",
    )
    assert (await counter.driver.reconcile("EUR")).totals == ()


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        (Behaviour.BUSY, DeviceBusy),
        (Behaviour.DROP_AFTER_CHARGE, DeviceGone),
        (Behaviour.MUTE_AFTER_CHARGE, DeviceStalled),
    ],
)
async def test_no_answer_is_an_error(behaviour: Behaviour, error: type[DeviceError]) -> None:
    async with counter_with(reversal_timeout_s=0.2) as counter:
        counter.far.behaviour = behaviour
        with pytest.raises(error):
            await counter.driver.reconcile("EUR")


@pytest.mark.parametrize("manner", ["plain", "bytewise", "lossy", "delayed"])
async def test_an_end_of_day_is_told_whole_or_not_at_all_over_any_transport(manner: Manner) -> None:
    tcp: list[TcpCable] = []

    def plain(receive: Receive) -> TcpCable:
        tcp.append(TcpCable(receive))
        return tcp[0]

    far = SimulatedPaymentDevice(make=lambda receive: HostileCable(plain, receive, manner, seed=7))
    far.plug()
    options = NexoOptions(
        host=tcp[0].host, port=tcp[0].port, poi_id="POI-1", answer_timeout_s=0.3, reversal_timeout_s=0.3
    )
    driver = NexoPaymentDevice("payment", options, emit_nothing, HostClock())
    told = 0
    for _ in range(20):
        try:
            await driver.open()
            assert (await driver.reconcile("EUR")).totals == ()
            told += 1
        except DeviceError:
            assert manner == "lossy"
        driver.close()
    assert told == 20 or manner == "lossy"
    far.close()


class Rewriting(TcpCable):
    """A cable whose device tells another end of day than our simulated one would."""

    def __init__(self, receive: Receive, change: Callable[[Any], None]) -> None:
        super().__init__(receive)
        self._change = change

    def send(self, data: bytes) -> None:
        message = json.loads(data[4:])
        body = message["SaleToPOIResponse"].get("ReconciliationResponse")
        if body is not None:
            self._change(body)
        payload = json.dumps(message).encode()
        super().send(len(payload).to_bytes(4, "big") + payload)


def _totals(kind: object, count: object, amount: object, currency: object = "EUR") -> dict[str, object]:
    totals = {"TransactionType": kind, "TransactionCount": count, "TransactionAmount": amount}
    return {"PaymentInstrumentType": "Card", "PaymentCurrency": currency, "PaymentTotals": [totals]}


@pytest.mark.parametrize(
    "told",
    [
        [_totals("Debit", 1, 12.345)],
        [_totals("Debit", -1, 12.34)],
        [_totals("Debit", 1, -12.34)],
        [_totals("Debit", 1, 12.34, "USD")],
        [_totals("Debit", "many", 12.34)],
        "none",
    ],
)
async def test_totals_that_make_no_sense_are_refused(told: object) -> None:
    def change(body: Any) -> None:
        body["TransactionTotals"] = told

    async with counter_with(lambda receive: Rewriting(receive, change)) as counter:
        with pytest.raises(ProtocolError):
            await counter.driver.reconcile("EUR")


async def test_what_moved_no_money_does_not_count_and_no_card_number_comes_through() -> None:
    def change(body: Any) -> None:
        body["TransactionTotals"] = [_totals("Declined", 3, 99.99), _totals("Debit", 1, 12.34), _totals("Debit", 1, 1)]
        body["POIReconciliationID"] = f"end of {PAN}"

    async with counter_with(lambda receive: Rewriting(receive, change)) as counter:
        told = await counter.driver.reconcile("EUR")
    assert told == PaymentTotals(totals=(CardTotal(kind="debit", count=2, amount_minor=1334),))


async def test_a_refused_end_of_day() -> None:
    def change(body: Any) -> None:
        body["Response"] = {"Result": "Failure", "ErrorCondition": "NotAllowed"}

    async with counter_with(lambda receive: Rewriting(receive, change)) as counter:
        with pytest.raises(ProtocolError):
            await counter.driver.reconcile("EUR")


@given(
    st.lists(
        st.tuples(
            st.sampled_from(("Debit", "Credit", "ReverseDebit", "Failed")), st.integers(0, 99), st.integers(0, 10**9)
        ),
        max_size=9,
    )
)
def test_totals_of_one_kind_add_up(told: list[tuple[str, int, int]]) -> None:
    answer = nexo.ReconciliationResponse(
        response=SUCCESS,
        transaction_totals=(
            nexo.TransactionTotals(
                payment_totals=tuple(
                    nexo.PaymentTotals(
                        transaction_type=kind,
                        transaction_count=count,
                        transaction_amount=Decimal(amount_minor).scaleb(-2),
                    )
                    for kind, count, amount_minor in told
                )
            ),
        ),
    )
    totals = {total.kind: (total.count, total.amount_minor) for total in period_totals(answer, "EUR").totals}
    for kind, name in (("Debit", "debit"), ("Credit", "credit"), ("ReverseDebit", "reverse-debit")):
        own = [(count, amount_minor) for type_, count, amount_minor in told if type_ == kind]
        expected = (sum(count for count, _ in own), sum(amount for _, amount in own)) if own else (0, 0)
        assert totals.get(name, (0, 0)) == expected  # type: ignore[call-overload]
