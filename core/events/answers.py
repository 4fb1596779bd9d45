"""What becomes of what was asked of the world: payments, papers, the drawer."""

from core.entries import CardTotal
from core.events.base import Event


class PaymentAnswered(Event, frozen=True, kw_only=True, tag="payment_answered"):
    """The payment device approved `reference`; `signature` where the card asks for the customer's on paper."""

    reference: str
    amount_minor: int
    poi_transaction: str
    authorisation: str = ""
    brand: str = ""
    card: str = ""
    signature: bool = False


class PaymentRefused(Event, frozen=True, kw_only=True, tag="payment_refused"):
    """It is certain that `reference` moved no money: declined, aborted, busy, or not known to the device."""

    reference: str
    reason: str


class PaymentUnanswered(Event, frozen=True, kw_only=True, tag="payment_unanswered"):
    """No answer, or none that settles it: `reference` may or may not have moved money."""

    reference: str


class PaymentTakenBack(Event, frozen=True, kw_only=True, tag="payment_taken_back"):
    """The payment device confirmed the reversal of `reference`, or that there is nothing to reverse."""

    reference: str


class ReversalUnanswered(Event, frozen=True, kw_only=True, tag="reversal_unanswered"):
    """The reversal of `reference` has no certain outcome yet; it is asked for again."""

    reference: str


class GiftCardReserved(Event, frozen=True, kw_only=True, tag="gift_card_reserved"):
    """The payment device knows the gift card and holds it for us, under its own `poi_transaction`.

    `reference` is that of the asking; `balance_minor` is what is on it, None where it has not been sold yet.
    """

    reference: str
    card: str
    account: str
    poi_transaction: str
    balance_minor: int | None = None


class GiftCardUnreserved(Event, frozen=True, kw_only=True, tag="gift_card_unreserved"):
    """The payment device holds no gift card for us, or has not said so."""

    reference: str
    reason: str


class StoredValueAnswered(Event, frozen=True, kw_only=True, tag="stored_value_answered"):
    """The payment device has changed a gift card's value; `balance_minor` is what it holds now, where it told."""

    reference: str
    poi_transaction: str = ""
    balance_minor: int | None = None


class StoredValueRefused(Event, frozen=True, kw_only=True, tag="stored_value_refused"):
    """It is certain that a gift card's value is as it was."""

    reference: str
    reason: str


class StoredValueUnanswered(Event, frozen=True, kw_only=True, tag="stored_value_unanswered"):
    """No answer, or none that settles it: a gift card's value may have changed."""

    reference: str


class BalanceTold(Event, frozen=True, kw_only=True, tag="balance_told"):
    """What is on a gift card (`card` are its last digits)."""

    card: str
    balance_minor: int


class BalanceUntold(Event, frozen=True, kw_only=True, tag="balance_untold"):
    """What is on a gift card cannot be had."""

    card: str
    reason: str


class PaymentsTotalled(Event, frozen=True, kw_only=True, tag="payments_totalled"):
    """The payment device closed its period: its totals, and its own number for that. `fault` is why it told none.

    `ours` are our totals of that period, as they were when it was asked.
    """

    session: int
    ours: tuple[CardTotal, ...] = ()
    theirs: tuple[CardTotal, ...] = ()
    reconciliation: str = ""
    fault: str | None = None


class ReportTorn(Event, frozen=True, kw_only=True, tag="report_torn"):
    """The printer failed in the middle of a report: whether a paper came out is not known."""


class InvoiceTorn(Event, frozen=True, kw_only=True, tag="invoice_torn"):
    """The printer failed in the middle of an invoice: whether a paper came out is not known."""

    number: int


class ReceiptTaken(Event, frozen=True, kw_only=True, tag="receipt_taken"):
    """The printer took the whole receipt of transaction `number`."""

    number: int
    copy: int
    doubtful: bool = False


class ReceiptUncertain(Event, frozen=True, kw_only=True, tag="receipt_uncertain"):
    """The printer failed after the first byte of a receipt: whether a paper came out is not known."""

    number: int
    copy: int


class DrawerStuck(Event, frozen=True, kw_only=True, tag="drawer_stuck"):
    """The drawer could not be kicked open; `fault` is the DeviceError's code."""

    fault: str
