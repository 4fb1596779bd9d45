"""nexo's Sale to POI protocol 3.1 in JSON: messages, frames and what an answer means. No I/O.

A frame is a length (4 bytes, big-endian) and one JSON object, ``{"SaleToPOIRequest": …}`` or ``{"SaleToPOIResponse":
…}``, with a MessageHeader and the body of its category. Amounts are decimal numbers of the currency and never pass
through a float. Only the fields below are ever decoded, and each text among them is wiped of card numbers at once.
"""

import base64
import hashlib
from decimal import Decimal
from typing import Any, Final

import msgspec

from core.card import wipe
from core.money import currency
from core.ports import ProtocolError

PROTOCOL_VERSION: Final = "3.1"
FRAME_BYTES_MAX: Final = 256 * 1024
_LENGTH_BYTES: Final = 4
_AMOUNT_DIGITS_MAX: Final = 15
_AMOUNT_PLACES_MAX: Final = 9
_SERVICE_ID_CHARS: Final = 10
_WORDS = {"id": "ID", "poi": "POI", "pan": "PAN"}


def _spelled(field: str) -> str:
    """nexo's spelling of a field: ``service_id`` is ``ServiceID``."""
    return "".join(_WORDS.get(word, word.capitalize()) for word in field.split("_"))


class Wire(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, rename=_spelled):
    """What all structures on the wire share; fields are named as in the nexo standard, in snake case."""


class MessageHeader(Wire, frozen=True, kw_only=True):
    """Who speaks to whom about what. `service_id` is unique to a pair of request and response, 1 to 10 characters."""

    message_class: str
    message_category: str
    message_type: str
    sale_id: str
    poi_id: str
    service_id: str = ""
    protocol_version: str | None = None


class TransactionIdentification(Wire, frozen=True, kw_only=True):
    """A transaction's id on either side, with its time (ISO 8601)."""

    transaction_id: str
    time_stamp: str = ""


class PoiTransactionIdentification(Wire, frozen=True, kw_only=True):
    """The POI's own transaction id, exact: a reversal has to repeat it, so it alone is not wiped on decoding."""

    transaction_id: str
    time_stamp: str = ""

    def __repr__(self) -> str:
        return "PoiTransactionIdentification(…)"


class MessageReference(Wire, frozen=True, kw_only=True):
    """Names an earlier message."""

    message_category: str | None = None
    service_id: str | None = None
    sale_id: str | None = None


class Response(Wire, frozen=True, kw_only=True):
    """How a request ended: `result` is Success, Partial or Failure."""

    result: str
    error_condition: str | None = None
    additional_response: str | None = None


class SaleData(Wire, frozen=True, kw_only=True):
    """Our side's transaction: its id is our reference."""

    sale_transaction_id: TransactionIdentification


class PoiData(Wire, frozen=True, kw_only=True):
    """The POI's side of it."""

    poi_transaction_id: PoiTransactionIdentification = msgspec.field(name="POITransactionID")


class SaleSoftware(Wire, frozen=True, kw_only=True):
    """Who made the sale system."""

    manufacturer_id: str
    application_name: str
    software_version: str


class SaleTerminalData(Wire, frozen=True, kw_only=True):
    """What the sale terminal can do for the POI: nothing, so it never asks us to display or print."""

    terminal_environment: str = "Attended"
    sale_capabilities: tuple[str, ...] = ()


class LoginRequest(Wire, frozen=True, kw_only=True):
    """Opens a session."""

    date_time: str
    sale_software: SaleSoftware
    sale_terminal_data: SaleTerminalData
    operator_language: str = "en"


class PoiSoftware(Wire, frozen=True, kw_only=True):
    """What runs on the POI."""

    application_name: str = ""
    software_version: str = ""


class PoiTerminalData(Wire, frozen=True, kw_only=True):
    """What the POI is."""

    poi_serial_number: str = ""


class PoiSystemData(Wire, frozen=True, kw_only=True):
    """The POI as it presents itself."""

    poi_software: PoiSoftware | None = None
    poi_terminal_data: PoiTerminalData | None = None


class LoginResponse(Wire, frozen=True, kw_only=True):
    """The session is open, or not."""

    response: Response
    poi_system_data: PoiSystemData | None = None


class DiagnosisRequest(Wire, frozen=True, kw_only=True):
    """Asks whether the POI is well."""

    host_diagnosis_flag: bool | None = None


class DiagnosisResponse(Wire, frozen=True, kw_only=True):
    """It is there."""

    response: Response


class AmountsReq(Wire, frozen=True, kw_only=True):
    """What is to be paid, in whole units of the currency."""

    currency: str
    requested_amount: Decimal


class OriginalPoiTransaction(Wire, frozen=True, kw_only=True):
    """The transaction that money is given back of."""

    poi_transaction_id: PoiTransactionIdentification = msgspec.field(name="POITransactionID")
    sale_id: str | None = None
    poi_id: str | None = None


class PaymentTransaction(Wire, frozen=True, kw_only=True):
    """What is to be paid; for a refund, what of."""

    amounts_req: AmountsReq
    original_poi_transaction: OriginalPoiTransaction | None = msgspec.field(name="OriginalPOITransaction", default=None)


class CardData(Wire, frozen=True, kw_only=True):
    """The card, without its number: the standard's and a common other spelling of the masked one are known."""

    payment_brand: str | None = None
    masked_pan: str | None = None
    masked_pan_too: str | None = msgspec.field(name="MaskedPan", default=None)


class StoredValueAccountId(Wire, frozen=True, kw_only=True):
    """An account by what the sale system has read of it: a gift card's number, or the code that a phone has shown.

    The standard has no field for a wallet's code; this is where it lets a code that was scanned by the cashier name an
    account. `stored_value_id` is exact, and a bearer's secret: it is in no repr, and no answer needs to repeat it.
    """

    stored_value_account_type: str = ""
    stored_value_provider: str | None = None
    entry_mode: tuple[str, ...] | str = ()
    identification_type: str = ""
    stored_value_id: str = ""

    def __repr__(self) -> str:
        return "StoredValueAccountId(…)"


class PaymentInstrumentData(Wire, frozen=True, kw_only=True):
    """What is paid with, or was."""

    payment_instrument_type: str = "Card"
    card_data: CardData | None = None
    stored_value_account_id: StoredValueAccountId | None = None


class PaymentData(Wire, frozen=True, kw_only=True):
    """What kind of payment it is: ``Normal``, or ``Refund`` for money that goes back to the card; and by what, where the
    sale system knows."""

    payment_type: str = "Normal"
    payment_instrument_data: PaymentInstrumentData | None = None


class PaymentRequest(Wire, frozen=True, kw_only=True):
    """Charge a card or a wallet, or give back to it."""

    sale_data: SaleData
    payment_transaction: PaymentTransaction
    payment_data: PaymentData | None = None


class AmountsResp(Wire, frozen=True, kw_only=True):
    """What was authorised, in whole units of the currency."""

    currency: str
    authorized_amount: Decimal


class PaymentAcquirerData(Wire, frozen=True, kw_only=True):
    """What the acquirer said."""

    approval_code: str | None = None


class PaymentResult(Wire, frozen=True, kw_only=True):
    """How a payment ended."""

    payment_instrument_data: PaymentInstrumentData | None = None
    amounts_resp: AmountsResp | None = None
    payment_acquirer_data: PaymentAcquirerData | None = None


class PaymentReceipt(Wire, frozen=True, kw_only=True):
    """A receipt that the device would have us print. Its text is none of ours: whether it asks for a signature is."""

    document_qualifier: str = ""
    required_signature_flag: bool = False


class PaymentResponse(Wire, frozen=True, kw_only=True):
    """How a payment ended, and what names it on both sides."""

    response: Response
    sale_data: SaleData | None = None
    poi_data: PoiData | None = None
    payment_result: PaymentResult | None = None
    payment_receipt: tuple[PaymentReceipt, ...] = ()


class AbortRequest(Wire, frozen=True, kw_only=True):
    """Stop the request that `message_reference` names. It has no response of its own."""

    message_reference: MessageReference
    abort_reason: str


class ReversalRequest(Wire, frozen=True, kw_only=True):
    """Give an approved payment back."""

    original_poi_transaction: OriginalPoiTransaction
    reversal_reason: str
    sale_data: SaleData | None = None
    reversed_amount: Decimal | None = None


class ReversalResponse(Wire, frozen=True, kw_only=True):
    """It was given back, or not."""

    response: Response
    original_poi_transaction: OriginalPoiTransaction | None = None
    reversed_amount: Decimal | None = None


class StoredValueData(Wire, frozen=True, kw_only=True):
    """One gift card: what is done with it, and which it is, by its number or by an earlier transaction of the POI's.

    `stored_value_transaction_type` is Reserve, Activate, Load, Unload, Reverse or Duplicate.
    """

    stored_value_transaction_type: str
    item_amount: Decimal
    currency: str
    stored_value_account_id: StoredValueAccountId | None = None
    original_poi_transaction: OriginalPoiTransaction | None = msgspec.field(name="OriginalPOITransaction", default=None)


class StoredValueRequest(Wire, frozen=True, kw_only=True):
    """Hold gift cards, put value on them, or take it off."""

    sale_data: SaleData
    stored_value_data: tuple[StoredValueData, ...]


class StoredValueAccountStatus(Wire, frozen=True, kw_only=True):
    """How a gift card stands after it; without a balance it is not good yet."""

    current_balance: Decimal | None = None


class StoredValueResult(Wire, frozen=True, kw_only=True):
    """What was done with one gift card."""

    stored_value_transaction_type: str
    item_amount: Decimal | None = None
    currency: str | None = None
    stored_value_account_status: StoredValueAccountStatus | None = None


class StoredValueResponse(Wire, frozen=True, kw_only=True):
    """How it ended, and what names it on both sides."""

    response: Response
    sale_data: SaleData | None = None
    poi_data: PoiData | None = None
    stored_value_result: tuple[StoredValueResult, ...] = ()


class PaymentAccountReq(Wire, frozen=True, kw_only=True):
    """Whose balance is asked for."""

    payment_instrument_data: PaymentInstrumentData


class BalanceInquiryRequest(Wire, frozen=True, kw_only=True):
    """Asks what is on an account."""

    payment_account_req: PaymentAccountReq


class PaymentAccountStatus(Wire, frozen=True, kw_only=True):
    """What is on it."""

    current_balance: Decimal | None = None
    currency: str | None = None


class BalanceInquiryResponse(Wire, frozen=True, kw_only=True):
    """What is on an account, or that it cannot be told."""

    response: Response
    payment_account_status: PaymentAccountStatus | None = None


class ReconciliationRequest(Wire, frozen=True, kw_only=True):
    """Close the period, and tell its totals. SaleReconciliation is between the Sale system and the POI."""

    reconciliation_type: str = "SaleReconciliation"


class PaymentTotals(Wire, frozen=True, kw_only=True):
    """Transactions of one kind: Debit, Credit, ReverseDebit, ReverseCredit, Declined, Failed and others."""

    transaction_type: str
    transaction_count: int
    transaction_amount: Decimal


class TransactionTotals(Wire, frozen=True, kw_only=True):
    """Totals of one instrument in one currency."""

    payment_instrument_type: str = ""
    payment_currency: str | None = None
    payment_totals: tuple[PaymentTotals, ...] = ()


class ReconciliationResponse(Wire, frozen=True, kw_only=True):
    """The period's totals, and the POI's own number for it."""

    response: Response
    reconciliation_type: str = ""
    poi_reconciliation_id: str | None = None
    transaction_totals: tuple[TransactionTotals, ...] = ()


class TransactionStatusRequest(Wire, frozen=True, kw_only=True):
    """What became of an earlier request?"""

    message_reference: MessageReference


class RepeatedResponseMessageBody(Wire, frozen=True, kw_only=True):
    """The response of the earlier request."""

    payment_response: PaymentResponse | None = None
    reversal_response: ReversalResponse | None = None
    stored_value_response: StoredValueResponse | None = None


class RepeatedMessageResponse(Wire, frozen=True, kw_only=True):
    """The earlier response, with its header."""

    message_header: MessageHeader
    repeated_response_message_body: RepeatedResponseMessageBody


class TransactionStatusResponse(Wire, frozen=True, kw_only=True):
    """What became of it; Failure with InProgress or NotFound while there is no response to repeat."""

    response: Response
    message_reference: MessageReference | None = None
    repeated_message_response: RepeatedMessageResponse | None = None


class Message(Wire, frozen=True, kw_only=True):
    """A request or a response: a header, and the one body that its category calls for."""

    message_header: MessageHeader
    login_request: LoginRequest | None = None
    login_response: LoginResponse | None = None
    diagnosis_request: DiagnosisRequest | None = None
    diagnosis_response: DiagnosisResponse | None = None
    payment_request: PaymentRequest | None = None
    payment_response: PaymentResponse | None = None
    abort_request: AbortRequest | None = None
    reversal_request: ReversalRequest | None = None
    reversal_response: ReversalResponse | None = None
    stored_value_request: StoredValueRequest | None = None
    stored_value_response: StoredValueResponse | None = None
    balance_inquiry_request: BalanceInquiryRequest | None = None
    balance_inquiry_response: BalanceInquiryResponse | None = None
    reconciliation_request: ReconciliationRequest | None = None
    reconciliation_response: ReconciliationResponse | None = None
    transaction_status_request: TransactionStatusRequest | None = None
    transaction_status_response: TransactionStatusResponse | None = None


class _Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    request: Message | None = msgspec.field(name="SaleToPOIRequest", default=None)
    response: Message | None = msgspec.field(name="SaleToPOIResponse", default=None)


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(_Envelope)


def frame(message: Message) -> bytes:
    """The bytes of one message on the cable."""
    if message.message_header.message_type == "Request":
        envelope = _Envelope(request=message)
    else:
        envelope = _Envelope(response=message)
    payload = _encoder.encode(envelope)
    return len(payload).to_bytes(_LENGTH_BYTES, "big") + payload


def decode(payload: bytes) -> Message:
    """The message in one frame's payload, wiped of card numbers. Raises ProtocolError, which quotes none of it."""
    try:
        envelope = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise ProtocolError("The payment device sent what is no nexo message.") from None
    message = envelope.request or envelope.response
    if message is None:
        raise ProtocolError("The payment device sent a JSON object that is no nexo message.")
    wiped: Message = _wiped(message)
    return wiped


class Deframer:
    """Cuts a stream of bytes into frames, however it arrives."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """Takes what came and gives the payloads that are complete. Raises ProtocolError on an impossible length."""
        self._buffer += data
        payloads = []
        while len(self._buffer) >= _LENGTH_BYTES:
            length = int.from_bytes(self._buffer[:_LENGTH_BYTES], "big")
            if not 2 <= length <= FRAME_BYTES_MAX:
                self._buffer.clear()
                raise ProtocolError(f"The payment device announced a frame of {length} bytes.")
            end = _LENGTH_BYTES + length
            if len(self._buffer) < end:
                break
            payloads.append(bytes(self._buffer[_LENGTH_BYTES:end]))
            del self._buffer[:end]
        return payloads


def by_wallet(wallet: str, code: str) -> PaymentData:
    """A payment by the code that a phone has shown, which was scanned at the till."""
    account = StoredValueAccountId(
        stored_value_account_type="Other",
        stored_value_provider=wallet,
        entry_mode=("Scanned",),
        identification_type="BarCode",
        stored_value_id=code,
    )
    return PaymentData(
        payment_instrument_data=PaymentInstrumentData(payment_instrument_type="Mobile", stored_value_account_id=account)
    )


def gift_card_account(number: str) -> StoredValueAccountId:
    """A gift card by its number, which was read at the till."""
    return StoredValueAccountId(
        stored_value_account_type="GiftCard",
        entry_mode=("MagStripe",),
        identification_type="PAN",
        stored_value_id=number,
    )


def gift_card_instrument(number: str) -> PaymentInstrumentData:
    """A gift card as what is paid with, or asked about."""
    return PaymentInstrumentData(
        payment_instrument_type="StoredValue", stored_value_account_id=gift_card_account(number)
    )


def service_id(category: str, reference: str) -> str:
    """The ServiceID of the one request of `category` for `reference`: the same after a restart, 50 bits of SHA-256."""
    digest = hashlib.sha256(f"{category}\0{reference}".encode()).digest()
    return base64.b32encode(digest)[:_SERVICE_ID_CHARS].decode()


def to_amount(amount_minor: int, code: str) -> Decimal:
    """Minor units as the decimal number that nexo writes: 1234 EUR cents are 12.34."""
    return Decimal(amount_minor).scaleb(-currency(code).exponent)


def to_minor(amount: Decimal, code: str) -> int:
    """A decimal amount in minor units. Raises ProtocolError where it is none: negative, too long, broken cents."""
    _, digits, exponent = amount.as_tuple()
    if (
        not isinstance(exponent, int)  # NaN or infinite
        or amount.is_signed()
        or not -_AMOUNT_PLACES_MAX <= exponent <= _AMOUNT_DIGITS_MAX
        or len(digits) + max(exponent, 0) > _AMOUNT_DIGITS_MAX
    ):
        raise ProtocolError("The payment device named an impossible amount.")
    minor = amount.scaleb(currency(code).exponent)
    if minor != minor.to_integral_value():
        raise ProtocolError(f"The payment device named an amount with more decimal places than {code} has.")
    return int(minor)


_LEFT_EXACT = (PoiTransactionIdentification, StoredValueAccountId)


def _wiped(value: Any) -> Any:
    """A structure with every text in it wiped of card numbers."""
    if isinstance(value, str):
        return wipe(value)
    if isinstance(value, Wire) and not isinstance(value, _LEFT_EXACT):
        fields = {name: _wiped(getattr(value, name)) for name in value.__struct_fields__}
        return type(value)(**fields)
    if isinstance(value, tuple):
        return tuple(_wiped(each) for each in value)
    return value
