"""What a payment device's answers about gift cards mean: done, certainly not done, or nothing settled. No I/O."""

from typing import Final

from core.card import wipe
from core.entries import StoredValueOperation
from core.events import (
    BalanceTold,
    BalanceUntold,
    GiftCardReserved,
    GiftCardUnreserved,
    StoredValueAnswered,
    StoredValueRefused,
)
from core.ports import DeviceBusy, ProtocolError
from drivers.codecs import nexo
from drivers.codecs.nexo_outcome import REASONS, transaction_name

TYPES: Final[dict[StoredValueOperation, str]] = {
    "activate": "Activate",
    "load": "Load",
    "unload": "Reverse",
    "cash-out": "Unload",
}
"""nexo's StoredValueTransactionType. What a sale put on a card is taken off by the reversal of that, as a whole."""


def value_outcome(
    answer: nexo.StoredValueResponse | None, reference: str, currency: str
) -> StoredValueAnswered | StoredValueRefused:
    """Raises ProtocolError or DeviceBusy where the answer does not settle what became of `reference`."""
    if answer is None:
        raise ProtocolError("an answer about a gift card has no body.")
    if answer.sale_data is not None and answer.sale_data.sale_transaction_id.transaction_id != wipe(reference):
        raise ProtocolError("an answer about a gift card carries another's reference.")
    match answer.response.result:
        case "Success":
            named = answer.poi_data.poi_transaction_id.transaction_id if answer.poi_data is not None else ""
            return StoredValueAnswered(
                reference=reference,
                poi_transaction=transaction_name(named) if named else "",
                balance_minor=_balance(answer, currency),
            )
        case "Failure" if answer.response.error_condition == "InProgress":
            raise DeviceBusy("the gift card is still being worked on.")
        case "Failure":
            return StoredValueRefused(reference=reference, reason=_reason(answer.response))
    raise ProtocolError("an answer about a gift card has an unknown result.")


def reservation_outcome(
    answer: nexo.StoredValueResponse | None, reference: str, masked: str, account: str, currency: str
) -> GiftCardReserved | GiftCardUnreserved:
    """Whether a gift card is held for us. Raises ProtocolError where the answer makes no sense."""
    if answer is None:
        raise ProtocolError("an answer about a gift card has no body.")
    if answer.response.result != "Success":
        return GiftCardUnreserved(reference=reference, reason=_reason(answer.response))
    if answer.poi_data is None:
        raise ProtocolError("a gift card was reserved without a transaction.")
    named = transaction_name(answer.poi_data.poi_transaction_id.transaction_id)
    if "*" in named:
        raise ProtocolError("a gift card was reserved under a name that cannot be kept.")
    return GiftCardReserved(
        reference=reference,
        card=masked,
        account=account,
        poi_transaction=named,
        balance_minor=_balance(answer, currency),
    )


def balance_outcome(
    answer: nexo.BalanceInquiryResponse | None, masked: str, currency: str
) -> BalanceTold | BalanceUntold:
    """What is on a gift card. Raises ProtocolError where the answer makes no sense."""
    if answer is None:
        raise ProtocolError("an answer about a balance has no body.")
    if answer.response.result != "Success":
        return BalanceUntold(card=masked, reason=_reason(answer.response))
    status = answer.payment_account_status
    if status is None or status.current_balance is None:
        raise ProtocolError("an answer about a balance lacks it.")
    if status.currency not in (None, currency):
        raise ProtocolError("a balance is in another currency.")
    return BalanceTold(card=masked, balance_minor=nexo.to_minor(status.current_balance, currency))


def _balance(answer: nexo.StoredValueResponse, currency: str) -> int | None:
    """What the first gift card holds now."""
    result = answer.stored_value_result[0] if answer.stored_value_result else None
    status = result.stored_value_account_status if result is not None else None
    if result is None or status is None or status.current_balance is None:
        return None
    if result.currency not in (None, currency):
        raise ProtocolError("a gift card is in another currency.")
    return nexo.to_minor(status.current_balance, currency)


def _reason(response: nexo.Response) -> str:
    return REASONS.get(response.error_condition or "", "declined")
