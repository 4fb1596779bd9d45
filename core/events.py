"""What comes in: device facts, answers of the payment device and the operator's orders, in past tense.

Drivers emit the events of the first half under their own device's name; the control socket and the engine make the
others. Time is not in an event: it comes with the facts of a step.
"""

import enum
from typing import Literal

import msgspec

from core.entries import CardTotal, CashCount, CashMove
from core.permissions import Operator, Role
from core.stripe import CardKind, Opaque


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all events share."""

    @property
    def tag(self) -> str:
        """By which tables know its kind (``cash_keyed``)."""
        return str(self.__struct_config__.tag)


# --- from devices ------------------------------------------------------------------------------------------------


class Scanned(Event, frozen=True, kw_only=True, tag="scanned"):
    """A scanner delivered one whole code: UnifiedPOS ScanData, without prefix and terminator.

    `data` holds the bytes as ISO 8859-1 text, so that every byte survives; FNC1 as a separator is 0x1D. `aim` is the
    AIM symbology identifier without its ``]`` (``E0``) where the scanner sent one.
    """

    device: str
    data: str
    aim: str | None = None


class ScanFault(enum.StrEnum):
    """Why a scanner's bytes did not become a code."""

    TORN = "torn"
    OVERLONG = "overlong"
    BINARY = "binary"
    AMBIGUOUS = "ambiguous"
    """Two keyboard layouts read it as two different codes."""


class ScanGarbled(Event, frozen=True, kw_only=True, tag="scan_garbled"):
    """Bytes came that are no code: cut off in the middle, without an end, or not printable."""

    device: str
    fault: ScanFault
    length: int


class TagPresented(Event, frozen=True, kw_only=True, tag="tag_presented"):
    """A tag came into the reader's field. `uid` in hex (never journaled), `ndef` the text or URI of its first record."""

    device: str
    uid: str
    technology: str
    ndef: str | None = None


class TagTorn(Event, frozen=True, kw_only=True, tag="tag_torn"):
    """A tag left the field before it could be read whole."""

    device: str


class CardSwiped(Event, frozen=True, kw_only=True, tag="card_swiped"):
    """A card of the shop's own was swiped, or its chip was read. `number` is never journaled."""

    device: str
    kind: CardKind
    number: str

    def __repr__(self) -> str:
        """Without the number."""
        return f"CardSwiped(device={self.device!r}, kind={self.kind!r})"


class CardEncrypted(Event, frozen=True, kw_only=True, tag="card_encrypted"):
    """An encrypting reader delivered what it read: `data` as it came, with the key serial number that belongs to it.

    Both are carried to whoever can take a payment with them, and shown and kept nowhere.
    """

    device: str
    ksn: Opaque
    data: Opaque


class CardRefused(Event, frozen=True, kw_only=True, tag="card_refused"):
    """A card was swiped that the shop does not take in clear, or its chip is none of the shop's; what was read is wiped.

    `last` are the last digits of a number of no known range; of a payment card nothing is told.
    """

    device: str
    is_payment: bool
    last: str = ""


class CardFault(enum.StrEnum):
    """Why a stripe could not be read: UnifiedPOS MSR's START, END, PARITY and LRC, and what the reader itself says."""

    START = "start"
    END = "end"
    PARITY = "parity"
    LRC = "lrc"
    UNREADABLE = "unreadable"
    TORN = "torn"


class CardGarbled(Event, frozen=True, kw_only=True, tag="card_garbled"):
    """A swipe gave no number, or a chip went too early (TORN); `track` 0 is none in particular."""

    device: str
    fault: CardFault
    track: int = 0


class DrawerSensed(Event, frozen=True, kw_only=True, tag="drawer_sensed"):
    """The drawer's sensor changed."""

    device: str
    is_open: bool
    commanded: bool = False
    open_ms: int = 0


class DrawerFound(Event, frozen=True, kw_only=True, tag="drawer_found"):
    """How the drawer stands when its sensor is looked at for the first time since the start."""

    device: str
    is_open: bool


class DrawerLeftOpen(Event, frozen=True, kw_only=True, tag="drawer_left_open"):
    """The drawer has been open for too long; `again` where that was told before."""

    device: str
    open_ms: int
    again: bool = False


class PaperStatus(enum.StrEnum):
    """What a printer says of its paper."""

    OK = "ok"
    NEAR_END = "near_end"
    OUT = "out"
    UNKNOWN = "unknown"


class PrinterSensed(Event, frozen=True, kw_only=True, tag="printer_sensed"):
    """The printer's status changed."""

    device: str
    online: bool
    cover_open: bool
    paper: PaperStatus


KeyPosition = Literal["lock", "normal", "supervisor"]
"""UnifiedPOS LOCK_KP_LOCK, LOCK_KP_NORM and LOCK_KP_SUPR."""


class KeyLockTurned(Event, frozen=True, kw_only=True, tag="key_lock_turned"):
    """The key lock stands at another position, or was looked at for the first time."""

    device: str
    position: KeyPosition


ButtonOrder = Literal["no-sale", "cancel", "reprint", "cash", "card"]


class ButtonPressed(Event, frozen=True, kw_only=True, tag="button_pressed"):
    """A button of the counter was pressed; the configuration says which order it gives."""

    device: str
    order: ButtonOrder


class CaseOpened(Event, frozen=True, kw_only=True, tag="case_opened"):
    """The terminal's case was opened. The only event that may come on another thread than the event loop's."""

    device: str


class PowerSensed(Event, frozen=True, kw_only=True, tag="power_sensed"):
    """The board's power became too weak, or strong enough again; `flags` are the firmware's (``under-voltage``)."""

    device: str
    weak: bool
    flags: tuple[str, ...] = ()


class WeightCondition(enum.StrEnum):
    """What a scale says of its platter. Only a stable weight may be sold by."""

    STABLE = "stable"
    MOVING = "moving"
    OVERLOAD = "overload"
    UNDERLOAD = "underload"


class WeightSensed(Event, frozen=True, kw_only=True, tag="weight_sensed"):
    """A scale's reading changed while a weight is wanted (UnifiedPOS Scale).

    `weight_g` is what it shows while it is stable, a tare taken off already where `net` says so; else 0.
    `cleared` says that the scale has been at zero since the last weight that was sold.
    `reference` is that of the asking: what was said to an earlier one must not count for another item.
    """

    device: str
    condition: WeightCondition
    weight_g: int = 0
    net: bool = False
    cleared: bool = False
    reference: str = ""


class DevicePhase(enum.StrEnum):
    """Where a device stands in its supervised life."""

    ABSENT = "absent"
    OPENING = "opening"
    READY = "ready"
    STALLED = "stalled"


class DeviceChanged(Event, frozen=True, kw_only=True, tag="device_changed"):
    """A device's supervisor moved it to another phase; `fault` is the DeviceError's code, `detail` for technicians.

    `is_new`: it works for the first time, and no configuration names it.
    """

    device: str
    phase: DevicePhase
    fault: str | None = None
    detail: str = ""
    is_new: bool = False


# --- answers of the world ----------------------------------------------------------------------------------------


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


# --- from the operator -------------------------------------------------------------------------------------------


class CodeKeyed(Event, frozen=True, kw_only=True, tag="code_keyed"):
    """A code was typed by hand."""

    data: str


class QuantityKeyed(Event, frozen=True, kw_only=True, tag="quantity_keyed"):
    """A line gets another quantity, in thousandths of its unit; or so much is sold of the item that waits for it. `line` 0 is
    the last one.

    `confirmed` takes one that is far outside what is usual.
    """

    quantity_milli: int
    line: int = 0
    confirmed: bool = False


class WeightKeyed(Event, frozen=True, kw_only=True, tag="weight_keyed"):
    """The weight of what waits to be weighed was typed by hand."""

    weight_g: int


class VoidKeyed(Event, frozen=True, kw_only=True, tag="void_keyed"):
    """A line is taken back. `line` 0 is the last one."""

    line: int = 0


class CouponPresented(Event, frozen=True, kw_only=True, tag="coupon_presented"):
    """A coupon: the digits of GS1 AI 255, or the code of a voucher."""

    code: str


class LineDiscountKeyed(Event, frozen=True, kw_only=True, tag="line_discount_keyed"):
    """A discount on a line, in hundredths of a percent or as an amount; with neither the line's is taken back.

    `line` 0 is the last one.
    """

    reason: str = ""
    line: int = 0
    percent_bp: int = 0
    amount_minor: int = 0


class TotalDiscountKeyed(Event, frozen=True, kw_only=True, tag="total_discount_keyed"):
    """As LineDiscountKeyed, on the whole basket."""

    reason: str = ""
    percent_bp: int = 0
    amount_minor: int = 0


class PriceKeyed(Event, frozen=True, kw_only=True, tag="price_keyed"):
    """A line gets another price for one unit. `line` 0 is the last one."""

    unit_price_minor: int
    reason: str = ""
    line: int = 0
    confirmed: bool = False


class TaxExemptionKeyed(Event, frozen=True, kw_only=True, tag="tax_exemption_keyed"):
    """The customer pays no tax, for a reason; without one the exemption is taken back."""

    reason: str = ""
    certificate: str = ""


class ItemKeyed(Event, frozen=True, kw_only=True, tag="item_keyed"):
    """A name and a price for an item that the catalogue does not have; it is sold by them at once."""

    data: str
    name: str
    unit_price_minor: int
    tax: str


class AgeKeyed(Event, frozen=True, kw_only=True, tag="age_keyed"):
    """Whether the customer is as old as the item that waits asks for."""

    of_age: bool


class OpenPriceKeyed(Event, frozen=True, kw_only=True, tag="open_price_keyed"):
    """The price for one unit of the item that waits for it."""

    unit_price_minor: int
    confirmed: bool = False


class PriceCheckKeyed(Event, frozen=True, kw_only=True, tag="price_check_keyed"):
    """What a code costs is asked; nothing is sold."""

    data: str


class DepositReturnKeyed(Event, frozen=True, kw_only=True, tag="deposit_return_keyed"):
    """Empties are given back: so many of what a code stands for, which has a deposit."""

    data: str
    count: int = 1


class SuspendKeyed(Event, frozen=True, kw_only=True, tag="suspend_keyed"):
    """The basket is put aside for another customer, under a name."""

    label: str = ""


class ResumeKeyed(Event, frozen=True, kw_only=True, tag="resume_keyed"):
    """A basket that was put aside is taken up again, by its number or its name; with neither the only one."""

    number: int = 0
    label: str = ""


class ReturnKeyed(Event, frozen=True, kw_only=True, tag="return_keyed"):
    """Goods come back that a finished sale has sold: of a line of it, or all where `line` is 0.

    `number` is the transaction's; 0 the one whose receipt was shown last. Without a quantity all that is left comes back.
    """

    number: int = 0
    line: int = 0
    quantity_milli: int | None = None
    reason: str = ""


class UnreceiptedReturnKeyed(Event, frozen=True, kw_only=True, tag="unreceipted_return_keyed"):
    """Goods come back without a receipt, at the catalogue's price or a lower one; a quantity in thousandths of the unit."""

    data: str
    reason: str
    quantity_milli: int = 1000
    unit_price_minor: int | None = None


class TransactionVoidKeyed(Event, frozen=True, kw_only=True, tag="transaction_void_keyed"):
    """A finished transaction of this day is to be made undone; `number` 0 is the last one."""

    reason: str
    number: int = 0


class CashKeyed(Event, frozen=True, kw_only=True, tag="cash_keyed"):
    """Cash was put on the counter; None means exactly what is due."""

    amount_minor: int | None = None


class CardKeyed(Event, frozen=True, kw_only=True, tag="card_keyed"):
    """A card pays; None means all that is due."""

    amount_minor: int | None = None


class AccountKeyed(Event, frozen=True, kw_only=True, tag="account_keyed"):
    """The customer's account pays, or is credited; None means all that is due, or owed."""

    amount_minor: int | None = None


class GiftCardSaleKeyed(Event, frozen=True, kw_only=True, tag="gift_card_sale_keyed"):
    """A gift card is to be sold, or loaded, with so much; which one is shown next."""

    amount_minor: int


class BalanceKeyed(Event, frozen=True, kw_only=True, tag="balance_keyed"):
    """What is on a gift card is asked, by its number; nothing is sold, and nothing is paid."""

    data: str

    def __repr__(self) -> str:
        """Without the number."""
        return "BalanceKeyed()"


class GiftCardCashOutKeyed(Event, frozen=True, kw_only=True, tag="gift_card_cash_out_keyed"):
    """What is left on a gift card is to be paid out, where it is no more than the shop's limit; which one is shown next."""


class GiftCardReturnKeyed(Event, frozen=True, kw_only=True, tag="gift_card_return_keyed"):
    """What a finished sale put on a gift card is to be taken off it: of a line of it, or the only one where `line` is 0.

    `number` is the transaction's; 0 the one whose receipt was shown last.
    """

    number: int = 0
    line: int = 0
    reason: str = ""


class CancelKeyed(Event, frozen=True, kw_only=True, tag="cancel_keyed"):
    """While a card is being paid: stop that payment. Else: give up the basket."""


class ReprintKeyed(Event, frozen=True, kw_only=True, tag="reprint_keyed"):
    """A copy of a receipt is wanted; `number` 0 is the last one."""

    number: int = 0


class InvoiceKeyed(Event, frozen=True, kw_only=True, tag="invoice_keyed"):
    """An invoice for a finished sale is wanted; `number` 0 is the last one. What is said of the buyer is kept nowhere."""

    name: str
    number: int = 0
    tax_number: str = ""
    address: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the buyer."""
        return f"InvoiceKeyed(number={self.number})"


class DrawerKeyed(Event, frozen=True, kw_only=True, tag="drawer_keyed"):
    """The drawer is to be opened without a sale, for a reason."""

    reason: str = ""


# --- the till ----------------------------------------------------------------------------------------------------


class BusinessDayKeyed(Event, frozen=True, kw_only=True, tag="business_day_keyed"):
    """Which business day it is (ISO 8601): the next opening of the till goes by this, and not by the clock."""

    business_day: str


class TillOpenKeyed(Event, frozen=True, kw_only=True, tag="till_open_keyed"):
    """A session begins, with a float: one amount, or counted by coins and notes."""

    float_minor: int = 0
    counts: tuple[CashCount, ...] = ()


class CashMoveKeyed(Event, frozen=True, kw_only=True, tag="cash_move_keyed"):
    """Cash goes into the till or out of it without a sale: one amount, or counted by coins and notes."""

    move: CashMove
    amount_minor: int = 0
    reason: str = ""
    counts: tuple[CashCount, ...] = ()


class CountBegunKeyed(Event, frozen=True, kw_only=True, tag="count_begun_keyed"):
    """The drawer is going to be counted; nothing is sold meanwhile."""


class CountKeyed(Event, frozen=True, kw_only=True, tag="count_keyed"):
    """What was counted in the drawer: one amount, or by coins and notes. The last count counts."""

    amount_minor: int = 0
    counts: tuple[CashCount, ...] = ()


class CountGivenUpKeyed(Event, frozen=True, kw_only=True, tag="count_given_up_keyed"):
    """The count is given up; the till sells on."""


class TillCloseKeyed(Event, frozen=True, kw_only=True, tag="till_close_keyed"):
    """The session ends with what was counted last, and its Z report is made.

    `end_day`: the business day is closed too. `open_payments` lets it close with card payments that are not settled,
    `parked` with baskets that are put aside: a supervisor decides that.
    """

    end_day: bool = True
    open_payments: bool = False
    parked: bool = False


class XReportKeyed(Event, frozen=True, kw_only=True, tag="x_report_keyed"):
    """How the session stands is wanted, and on `paper`; it changes nothing."""

    paper: bool = True


class ZReportKeyed(Event, frozen=True, kw_only=True, tag="z_report_keyed"):
    """The last Z report is wanted, and a copy of it on `paper`."""

    paper: bool = True


class PaperSaleKeyed(Event, frozen=True, kw_only=True, tag="paper_sale_keyed"):
    """A sale that was written by hand is entered now: its own number `paper`, and the date that stands on it (ISO 8601)."""

    paper: str
    written: str


# --- who works here ----------------------------------------------------------------------------------------------


class LockKeyed(Event, frozen=True, kw_only=True, tag="lock_keyed"):
    """The operator leaves the till for a while: nothing is taken until he, or a supervisor, signs on again."""


class SignOffKeyed(Event, frozen=True, kw_only=True, tag="sign_off_keyed"):
    """The operator goes."""


Change = Literal["added", "removed", "role", "pin", "badge", "unlocked"]


class NoteSeenKeyed(Event, frozen=True, kw_only=True, tag="note_seen_keyed"):
    """Somebody has seen the oldest of headquarters' lines on the screen."""


class OperatorAdministered(Event, frozen=True, kw_only=True, tag="operator_administered"):
    """An operator is to be made, changed or removed; the store does it once this is kept. `role` is his from now on."""

    subject: str
    change: Change
    role: Role | None = None


class TrainingKeyed(Event, frozen=True, kw_only=True, tag="training_keyed"):
    """Training is to begin, or to end (`core.training`)."""

    on: bool


# --- from the engine ---------------------------------------------------------------------------------------------


SignOnOutcome = Literal["granted", "denied", "locked", "unknown"]


class OperatorChecked(Event, frozen=True, kw_only=True, tag="operator_checked"):
    """What came of a PIN that somebody signed on with: no client says this, the daemon does, which asked the store.

    `operator` is who it was; of an id that nobody has, nothing is repeated. `tries_left` and `left_ms` (of a lock) are for
    the one who tried.
    """

    outcome: SignOnOutcome
    operator: Operator | None = None
    tries_left: int = 0
    left_ms: int = 0


class TillIdled(Event, frozen=True, kw_only=True, tag="till_idled"):
    """Nobody has touched the till for as long as the configuration allows."""


class Booted(Event, frozen=True, kw_only=True, tag="booted"):
    """The journal was replayed; what was pending is resolved now."""


DeviceEvent = (
    Scanned
    | ScanGarbled
    | TagPresented
    | TagTorn
    | CardSwiped
    | CardEncrypted
    | CardRefused
    | CardGarbled
    | DrawerSensed
    | DrawerFound
    | DrawerLeftOpen
    | DrawerStuck
    | PrinterSensed
    | WeightSensed
    | KeyLockTurned
    | ButtonPressed
    | CaseOpened
    | PowerSensed
    | DeviceChanged
)

AnyEvent = (
    DeviceEvent | PaymentAnswered | PaymentRefused | PaymentUnanswered | PaymentTakenBack | ReversalUnanswered
    | ReceiptTaken | ReceiptUncertain | CodeKeyed | QuantityKeyed | WeightKeyed | VoidKeyed | CashKeyed | CardKeyed | CancelKeyed | ReprintKeyed
    | ItemKeyed | AgeKeyed | OpenPriceKeyed | PriceCheckKeyed | DepositReturnKeyed
    | LockKeyed | SignOffKeyed | NoteSeenKeyed | TrainingKeyed | OperatorAdministered | OperatorChecked | TillIdled
    | BusinessDayKeyed | TillOpenKeyed | CashMoveKeyed | CountBegunKeyed | CountKeyed | CountGivenUpKeyed
    | TillCloseKeyed | XReportKeyed | ZReportKeyed | PaperSaleKeyed | PaymentsTotalled | ReportTorn
    | InvoiceKeyed | InvoiceTorn
    | SuspendKeyed | ResumeKeyed | ReturnKeyed | UnreceiptedReturnKeyed | TransactionVoidKeyed | AccountKeyed
    | GiftCardSaleKeyed | GiftCardCashOutKeyed | BalanceKeyed | GiftCardReturnKeyed | GiftCardReserved | GiftCardUnreserved
    | StoredValueAnswered | StoredValueRefused | StoredValueUnanswered | BalanceTold | BalanceUntold
    | DrawerKeyed | Booted | CouponPresented | LineDiscountKeyed | TotalDiscountKeyed | PriceKeyed | TaxExemptionKeyed
)  # fmt: skip
