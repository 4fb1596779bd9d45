"""What a payment device is asked about gift cards (UnifiedPOS ElectronicValueRW, nexo StoredValue and BalanceInquiry).

As for a payment, the ServiceID of a change follows from our reference alone, so that it can be asked about after a restart,
and a change is never sent twice. A gift card's number is in a reservation and a balance enquiry, and in nothing else.
"""

from typing import Any, Protocol

from core.entries import StoredValueOperation
from core.events import (
    BalanceTold,
    BalanceUntold,
    GiftCardReserved,
    GiftCardUnreserved,
    StoredValueAnswered,
    StoredValueRefused,
)
from core.gift_card import GiftCard
from core.ports import DeviceBusy, DeviceError, ProtocolError
from drivers.codecs import nexo
from drivers.codecs.nexo_outcome import NOT_FOUND
from drivers.codecs.nexo_value import TYPES, balance_outcome, reservation_outcome, value_outcome

CATEGORY = "StoredValue"
NOT_CONNECTED = "not-connected"


class Line(Protocol):
    """The connection to a payment device, as its driver has it."""

    @property
    def is_up(self) -> bool:
        """Whether anything can be sent."""

    async def ask(self, category: str, service_id: str | None, **body: Any) -> nexo.Message:
        """Sends a request and waits for its answer; None is a ServiceID of its own. Raises DeviceError."""

    async def status(self, category: str, service_id: str) -> nexo.TransactionStatusResponse:
        """What became of an earlier request. Raises DeviceError."""

    def sale_data(self, reference: str) -> nexo.SaleData:
        """Our side's transaction."""

    def original(self, transaction: str | nexo.PoiTransactionIdentification) -> nexo.OriginalPoiTransaction:
        """An earlier transaction of the device's."""


class GiftCards:
    """The part of a `core.ports.PaymentDevice` that is about gift cards."""

    def __init__(self, line: Line) -> None:
        self._line = line

    async def balance(self, card: GiftCard, currency: str) -> BalanceTold | BalanceUntold:
        request = nexo.BalanceInquiryRequest(
            payment_account_req=nexo.PaymentAccountReq(payment_instrument_data=nexo.gift_card_instrument(card.number))
        )
        answer = await self._line.ask("BalanceInquiry", None, balance_inquiry_request=request)
        return balance_outcome(answer.balance_inquiry_response, card.masked, currency)

    async def reserve(
        self, reference: str, card: GiftCard, account: str, amount_minor: int, currency: str
    ) -> GiftCardReserved | GiftCardUnreserved:
        request = self._request(
            reference, "Reserve", amount_minor, currency, account=nexo.gift_card_account(card.number)
        )
        answer = await self._line.ask(CATEGORY, None, stored_value_request=request)
        return reservation_outcome(answer.stored_value_response, reference, card.masked, account, currency)

    async def change(
        self, reference: str, operation: StoredValueOperation, amount_minor: int, currency: str, original: str
    ) -> StoredValueAnswered | StoredValueRefused:
        if not self._line.is_up:
            return StoredValueRefused(reference=reference, reason=NOT_CONNECTED)  # certain: nothing was sent
        named: str | nexo.PoiTransactionIdentification | None = original
        if operation == "unload":
            try:
                named = await self._put_on(original, currency)
            except DeviceError:
                return StoredValueRefused(reference=reference, reason=NOT_CONNECTED)  # only a question was sent
            if named is None:
                return StoredValueAnswered(reference=reference)  # nothing was ever put on it
        assert named is not None
        request = self._request(
            reference, TYPES[operation], amount_minor, currency, original=self._line.original(named)
        )
        answer = await self._line.ask(CATEGORY, nexo.service_id(CATEGORY, reference), stored_value_request=request)
        return value_outcome(answer.stored_value_response, reference, currency)

    async def enquire(self, reference: str, currency: str) -> StoredValueAnswered | StoredValueRefused | None:
        found = await self._find(reference)
        if found is None or isinstance(found, StoredValueRefused):
            return found
        return value_outcome(found, reference, currency)

    async def _put_on(self, reference: str, currency: str) -> nexo.PoiTransactionIdentification | None:
        """The device's own name of what put value on a card; None where nothing did, and this is certain."""
        found = await self._find(reference)
        if found is None:
            raise DeviceBusy("the gift card is still being worked on.")
        if isinstance(found, StoredValueRefused):
            return None
        if isinstance(value_outcome(found, reference, currency), StoredValueRefused):
            return None
        if found.poi_data is None:
            raise ProtocolError("value was put on a gift card without a transaction.")
        return found.poi_data.poi_transaction_id

    async def _find(self, reference: str) -> nexo.StoredValueResponse | StoredValueRefused | None:
        """The answer as the device repeats it; None while in progress, refused when it never heard of it."""
        service_id = nexo.service_id(CATEGORY, reference)
        answer = await self._line.status(CATEGORY, service_id)
        if answer.response.result == "Success":
            repeated = answer.repeated_message_response
            if repeated is None or repeated.message_header.service_id != service_id:
                raise ProtocolError("asked about one gift card, the device told of another.")
            response = repeated.repeated_response_message_body.stored_value_response
            if response is None:
                raise ProtocolError("the device found the gift card and did not say how it ended.")
            return None if response.response.error_condition == "InProgress" else response
        match answer.response.error_condition:
            case "InProgress":
                return None
            case "NotFound":
                return StoredValueRefused(reference=reference, reason=NOT_FOUND)
        raise ProtocolError("the device refused to say what became of a gift card.")

    def _request(
        self,
        reference: str,
        kind: str,
        amount_minor: int,
        currency: str,
        *,
        account: nexo.StoredValueAccountId | None = None,
        original: nexo.OriginalPoiTransaction | None = None,
    ) -> nexo.StoredValueRequest:
        data = nexo.StoredValueData(
            stored_value_transaction_type=kind,
            item_amount=nexo.to_amount(amount_minor, currency),
            currency=currency,
            stored_value_account_id=account,
            original_poi_transaction=original,
        )
        return nexo.StoredValueRequest(sale_data=self._line.sale_data(reference), stored_value_data=(data,))
