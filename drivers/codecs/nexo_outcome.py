"""What a payment device's answer to a payment means: approved, certainly refused, or nothing settled. No I/O."""

import re
from typing import Final, Literal

from core.card import mask, wipe
from core.entries import CardTotal
from core.events import PaymentAnswered, PaymentRefused
from core.ports import DeviceBusy, PaymentTotals, ProtocolError
from drivers.codecs import nexo

NOT_FOUND: Final = "not-found"
LOGGED_OUT: Final = "logged-out"
REASONS: Final = {
    "Aborted": "aborted",
    "Busy": "busy",
    "Cancel": "cancelled",
    "DeviceOut": "device-out",
    "InsertedCard": "card-left-in",
    "InvalidCard": "invalid-card",
    "LoggedOut": LOGGED_OUT,
    "MessageFormat": "message-format",
    "NotAllowed": "not-allowed",
    "NotFound": NOT_FOUND,
    "PaymentRestriction": "payment-restriction",
    "Refusal": "declined",
    "UnavailableDevice": "device-unavailable",
    "UnavailableService": "service-unavailable",
    "UnreachableHost": "host-unreachable",
    "WrongPIN": "wrong-pin",
}
"""A PaymentRefused's reason for each of nexo's ErrorConditions that makes it certain that no money moved."""

_MOVES: Final[dict[str, Literal["debit", "credit", "reverse-debit", "reverse-credit"]]] = {
    "Debit": "debit",
    "Credit": "credit",
    "ReverseDebit": "reverse-debit",
    "ReverseCredit": "reverse-credit",
}
"""nexo's TransactionTypes that moved money."""

_BRAND = re.compile(r"[A-Za-z][A-Za-z .&+-]{0,31}")
_APPROVAL_CODE = re.compile(r"[A-Za-z0-9]{1,8}")
"""ISO 8583, data element 38, has six."""
_NAME = re.compile(r"[A-Za-z0-9._:/+*-]{1,64}")


def payment_outcome(answer: nexo.PaymentResponse | None, reference: str) -> PaymentAnswered | PaymentRefused:
    """Raises ProtocolError or DeviceBusy where the answer does not settle what became of `reference`."""
    if answer is None:
        raise ProtocolError("an answer to a payment has no body.")
    if answer.sale_data is not None and answer.sale_data.sale_transaction_id.transaction_id != wipe(reference):
        raise ProtocolError("an answer to a payment carries another's reference.")
    match answer.response.result:
        case "Success" | "Partial":
            return _approval(answer, reference)
        case "Failure" if answer.response.error_condition == "InProgress":
            raise DeviceBusy("the payment is still in progress.")
        case "Failure":
            reason = REASONS.get(answer.response.error_condition or "", "declined")
            return PaymentRefused(reference=reference, reason=reason)
    raise ProtocolError("an answer to a payment has an unknown result.")


def period_totals(answer: nexo.ReconciliationResponse | None, currency: str) -> PaymentTotals:
    """What the device counted. Raises ProtocolError where it makes no sense or is refused, DeviceBusy where a
    payment is on its way."""
    if answer is None:
        raise ProtocolError("an answer to an end of day has no body.")
    if answer.response.result != "Success":
        busy = answer.response.error_condition in ("Busy", "InProgress")
        raise (DeviceBusy if busy else ProtocolError)("the device refused its end of day.")
    summed: dict[str, tuple[int, int]] = {}
    for totals in answer.transaction_totals:
        for each in totals.payment_totals:
            kind = _MOVES.get(each.transaction_type)
            if kind is None:
                continue  # declined, failed or reserved: no money moved
            if totals.payment_currency not in (None, currency):
                raise ProtocolError("an end of day has totals in another currency.")
            if each.transaction_count < 0:
                raise ProtocolError("an end of day counts less than nothing.")
            count, amount_minor = summed.get(kind, (0, 0))
            summed[kind] = (
                count + each.transaction_count,
                amount_minor + nexo.to_minor(each.transaction_amount, currency),
            )
    named = answer.poi_reconciliation_id or ""
    return PaymentTotals(
        totals=tuple(
            CardTotal(kind=kind, count=summed[kind][0], amount_minor=summed[kind][1])
            for kind in _MOVES.values()
            if kind in summed
        ),
        reconciliation=named if _NAME.fullmatch(named) else "",
    )


def _approval(answer: nexo.PaymentResponse, reference: str) -> PaymentAnswered:
    result = answer.payment_result
    amounts = result.amounts_resp if result is not None else None
    if result is None or amounts is None or answer.poi_data is None:
        raise ProtocolError("an approval lacks its amount or its transaction.")
    instrument = result.payment_instrument_data
    card = instrument.card_data if instrument is not None else None
    acquirer = result.payment_acquirer_data
    return PaymentAnswered(
        reference=reference,
        amount_minor=nexo.to_minor(amounts.authorized_amount, amounts.currency),
        poi_transaction=transaction_name(answer.poi_data.poi_transaction_id.transaction_id),
        authorisation=_only(_APPROVAL_CODE, acquirer.approval_code if acquirer is not None else None),
        brand=_only(_BRAND, (card.payment_brand if card is not None else None) or _provider(instrument)),
        card=mask(card.masked_pan or card.masked_pan_too or "") if card is not None else "",
        signature=any(receipt.required_signature_flag for receipt in answer.payment_receipt),
    )


def _provider(instrument: nexo.PaymentInstrumentData | None) -> str | None:
    """Whose wallet paid."""
    account = instrument.stored_value_account_id if instrument is not None else None
    return account.stored_value_provider if account is not None else None


def _only(shape: re.Pattern[str], text: str | None) -> str:
    """A text of the shape that its field has; nothing else is kept of what a device may say."""
    return text if text is not None and shape.fullmatch(text) else ""


def transaction_name(transaction: str) -> str:
    """A transaction's name as it is kept; a star, and the device is asked for it again, where it is no plain name."""
    wiped = wipe(transaction)
    return wiped if _NAME.fullmatch(wiped) else "*"
