"""What is kept: the bodies of the journal's records, in past tense. Folding them in order gives the till's state.

No personal data and no tag's UID stands in any of them, and never a card number beyond its last four digits.
"""

from typing import Any, ClassVar, Literal, get_args

import msgspec

from core import nesting
from core.catalogue import Item
from core.ledger import Draft, Stream
from core.permissions import Role
from core.scan import Reading
from core.takings import GrandTotal, Takings


class Entry(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all entries share: the stream they go to and whether they move money (see `core.ledger.Draft`)."""

    STREAM: ClassVar[Stream] = Stream.SALES
    MOVES_MONEY: ClassVar[bool] = False


RESTORED = "restored"
"""The reason of an epoch that was opened in a restored backup: the epoch that it names may have gone on elsewhere, and
headquarters may send back what followed."""


class EpochOpened(Entry, tag="epoch_opened", frozen=True, kw_only=True):
    """The first record of an epoch: what came before it, and the key that its heads are signed with (hex).

    `number` is at least the highest transaction number used before; the next one is above it. `lost_seq`, where it is
    above `previous_seq`, is the last record that the epoch before is known to have had, and that this journal has not.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    terminal: str
    reason: str
    signing_key: str
    previous_epoch: str | None = None
    previous_seq: int = 0
    previous_head: str | None = None
    number: int = 0
    lost_seq: int = 0


class DaemonStarted(Entry, tag="daemon_started", frozen=True, kw_only=True):
    """The daemon came up; `clean` says whether the run before had said goodbye."""

    STREAM = Stream.TECHNICAL
    software: str
    clean: bool


class DaemonStopped(Entry, tag="daemon_stopped", frozen=True, kw_only=True):
    """The daemon was asked to stop, and finished what was in hand."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True


class RecordsReturned(Entry, tag="records_returned", frozen=True, kw_only=True):
    """After a restore: headquarters sent back records `first` to `last` of `epoch`, which the backup did not have; `first`
    is above `last` where it had none. The chain's hash at the last is `head` (hex).

    `transactions` sales were completed in them, of which those of the newest business day are summed up; `number` is the
    highest transaction number. `unsettled` are references of payments whose end is in no record, for people to look
    into. `fault` says why there may be more that could not be had. `z` is the last Z report among them.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: str
    first: int
    last: int
    head: str
    transactions: int = 0
    number: int = 0
    business_day: str = ""
    day_transactions: int = 0
    day_amount_minor: int = 0
    unsettled: tuple[str, ...] = ()
    fault: str | None = None
    z: "ZReported | None" = None


class JournalVerified(Entry, tag="journal_verified", frozen=True, kw_only=True):
    """A pass over the whole journal: how many records were looked at, and what was found (`store.findings`).

    `first` and `last` are the records that are bad or missing.
    """

    STREAM = Stream.TECHNICAL
    records: int
    kind: str | None = None
    first: int | None = None
    last: int | None = None


class SegmentPruned(Entry, tag="segment_pruned", frozen=True, kw_only=True):
    """The tombstone of records that headquarters has archived and that this terminal holds no more.

    They are `first` to `last` of `epoch`, `count` of them; hashes (hex) are the chain's before the first, at the first
    and at the last. `signature` (hex) is the terminal's over `core.ledger.tombstone_message`.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: str
    first: int
    last: int
    count: int
    prev_hash: str
    first_hash: str
    last_hash: str
    signature: str


class ClockStepped(Entry, tag="clock_stepped", frozen=True, kw_only=True):
    """The wall clock went another way than the boot's own, or is believed again: a step of `offset_ms` since the record before.

    `doubted` is the last day (ISO 8601) that was believed, None where the clock is believed now.
    """

    STREAM = Stream.TECHNICAL
    offset_ms: int
    doubted: str | None = None


class TransactionOpened(Entry, tag="transaction_opened", frozen=True, kw_only=True):
    """A RetailTransaction began. `number` is the POSLog SequenceNumber and never comes again on this terminal.

    `began` is the shop's local time (POSLog BeginDateTime, ISO 8601): prices and promotions are those of this moment.
    `paper` is the own number of a sale that was written by hand while the terminal was dead, `written` its date.
    """

    number: int
    business_day: str
    currency: str
    began: str = ""
    operator: str = ""
    paper: str = ""
    written: str = ""


Weighed = Literal["scale", "scale-net", "keyed"]
"""Where a weight comes from: the scale, the scale with a tare taken off, or a person's hand."""


class WeightAwaited(Entry, tag="weight_awaited", frozen=True, kw_only=True):
    """An item that is sold by weight was rung up without one: the sale waits for it."""

    item: Item
    reading: Reading


class WeighingGivenUp(Entry, tag="weighing_given_up", frozen=True, kw_only=True):
    """The item that waited for its weight is not sold."""


class ItemProvided(Entry, tag="item_provided", frozen=True, kw_only=True):
    """An item that the catalogue does not have was given a name and a price at the counter (POSLog ItemNotFound).

    This terminal sells it by that until the catalogue has it; headquarters learns of it by this record.
    """

    gtin: str
    name: str
    unit_price_minor: int
    tax: str
    operator: str = ""
    approver: str = ""


class OutlierNoticed(Entry, tag="outlier_noticed", frozen=True, kw_only=True):
    """A price for one unit, or thousandths of a unit at once, far outside what an item's last sales had (median `usual`).

    `taken` says whether it was confirmed and taken, else it was only asked about.
    """

    STREAM = Stream.TECHNICAL
    about: Literal["price", "quantity"]
    gtin: str
    value: int
    usual: int
    taken: bool = False


class ItemHeld(Entry, tag="item_held", frozen=True, kw_only=True):
    """An item waits for an answer: whether the customer has its `min_age` (POSLog AgeRestriction), what it costs, or how much
    of it there is, where it is sold by a `unit` that the counter measures."""

    about: Literal["age", "price", "quantity"]
    gtin: str
    name: str
    reading: Reading
    min_age: int = 0
    unit: str = ""


class AgeChecked(Entry, tag="age_checked", frozen=True, kw_only=True):
    """The operator looked whether the customer is `min_age` years old. It holds for the whole basket."""

    min_age: int
    passed: bool
    operator: str = ""


class HeldItemGivenUp(Entry, tag="held_item_given_up", frozen=True, kw_only=True):
    """The item that waited for an answer is not sold."""


class TransactionLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finished transaction (POSLog TransactionLink), and a line of it; number 0 where nobody knows which it was."""

    terminal: str = ""
    epoch: str = ""
    number: int = 0
    line: int = 0


class ItemAdded(Entry, tag="item_added", frozen=True, kw_only=True):
    """A line was rung up. `quantity_milli` is in thousandths of `unit`; `amount_minor` is the ExtendedAmount.

    `item` is the GTIN of the item where `gtin` is another code of it, of which one unit of the line holds `contains`.
    `weighed` says where the weight of a line comes from that was weighed at the counter; what is measured is ``keyed``.
    `linked` is the line of the goods whose deposit this is; a deposit that was given back has a quantity below zero.
    So have goods that come back (POSLog Return): `returned` says of which sale's line, `reason` why.
    """

    line: int
    gtin: str
    name: str
    unit: str
    quantity_milli: int
    unit_price_minor: int
    amount_minor: int
    tax: str
    entry_method: str
    lot: str | None = None
    serial: str | None = None
    use_by: str | None = None
    best_before: str | None = None
    item: str | None = None
    contains: int = 1
    discountable: bool = True
    weighed: Weighed | None = None
    linked: int = 0
    returned: TransactionLink | None = None
    reason: str = ""


class QuantityChanged(Entry, tag="quantity_changed", frozen=True, kw_only=True):
    """A line's quantity is another now, and so is its amount."""

    line: int
    quantity_milli: int
    amount_minor: int


class LineVoided(Entry, tag="line_voided", frozen=True, kw_only=True):
    """A line was taken back before payment; it stays visible, struck through."""

    line: int
    operator: str = ""
    approver: str = ""


class ItemRefused(Entry, tag="item_refused", frozen=True, kw_only=True):
    """A scan did not become a line (POSLog ItemNotFound and the like); `reason` is the message's id."""

    STREAM = Stream.TECHNICAL
    reason: str
    gtin: str | None = None
    lot: str | None = None


class CustomerIdentified(Entry, tag="customer_identified", frozen=True, kw_only=True):
    """A loyalty tag was presented. `customer` is a random reference that means nothing outside the customer store."""

    customer: str


# --- what changes a price ---------------------------------------------------------------------------------------------


class DiscountShare(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one discount takes off one line."""

    line: int
    amount_minor: int


class Discount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A discount as it was applied (POSLog RetailPriceModifier): what for, how much, and off which lines.

    `promotion` is the promotion's id, none for a discount that a person gave. `shares` add up to `amount_minor`; both
    count up from zero, though the price goes down. `whole` is one on the basket as one, which its lines share.
    """

    reason: str
    amount_minor: int
    shares: tuple[DiscountShare, ...]
    promotion: str = ""
    whole: bool = False


class DiscountsApplied(Entry, tag="discounts_applied", frozen=True, kw_only=True):
    """Payment begins: these are all discounts of the basket, the ones that persons gave included.

    They stand in place of any said before, until goods change again. A replay needs no promotion's rules.
    """

    discounts: tuple[Discount, ...] = ()


class CouponTaken(Entry, tag="coupon_taken", frozen=True, kw_only=True):
    """A coupon was presented (GS1 AI 255, or a voucher's code); whether it pays off is in DiscountsApplied.

    `once` is one that is taken a single time, in whatever sale.
    """

    coupon: str
    promotion: str
    once: bool = False


class DiscountGiven(Entry, tag="discount_given", frozen=True, kw_only=True):
    """A person gave a discount on a line, or on the whole where `line` is 0, in place of one given there before.

    It is a part in hundredths of a percent, or an amount. `operator` gave it, `approver` allowed it where he may not.
    """

    line: int
    reason: str
    percent_bp: int = 0
    amount_minor: int = 0
    operator: str = ""
    approver: str = ""


class DiscountWithdrawn(Entry, tag="discount_withdrawn", frozen=True, kw_only=True):
    """The discount that a person gave on a line, or on the whole where `line` is 0, was taken back."""

    line: int


class PriceOverridden(Entry, tag="price_overridden", frozen=True, kw_only=True):
    """A line's price for one unit is another (POSLog RegularSalesUnitPrice and ActualSalesUnitPrice), and so its amount."""

    line: int
    regular_unit_price_minor: int
    unit_price_minor: int
    amount_minor: int
    reason: str
    operator: str = ""
    approver: str = ""


class TaxExempted(Entry, tag="tax_exempted", frozen=True, kw_only=True):
    """The customer pays no tax on this sale (POSLog TaxExemption). `certificate` is the number of his organisation's.

    With neither reason nor certificate the exemption was taken back.
    """

    reason: str = ""
    certificate: str = ""
    operator: str = ""
    approver: str = ""


# --- money ------------------------------------------------------------------------------------------------------------


class CashTendered(Entry, tag="cash_tendered", frozen=True, kw_only=True):
    """Cash was taken towards the sale; more than is due leads to change at completion."""

    MOVES_MONEY = True
    tender: int
    amount_minor: int


class VoucherTendered(Entry, tag="voucher_tendered", frozen=True, kw_only=True):
    """A voucher of the shop's own was taken, for good; of its value `forfeited_minor` is lost."""

    MOVES_MONEY = True
    tender: int
    voucher: str
    amount_minor: int
    forfeited_minor: int = 0


class AccountCharged(Entry, tag="account_charged", frozen=True, kw_only=True):
    """What a customer will be billed for by headquarters (`customer` as in CustomerIdentified), once its transaction is
    completed; `reference` names it."""

    MOVES_MONEY = True
    tender: int
    reference: str
    customer: str
    amount_minor: int


class AccountCredited(Entry, tag="account_credited", frozen=True, kw_only=True):
    """Money for goods that came back, taken off what the customer is billed for by the charge `original`."""

    MOVES_MONEY = True
    tender: int
    original: str
    customer: str
    amount_minor: int


class RefundableTender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can still go back to a tender that a finished sale was paid with; `reference` is that payment's."""

    kind: str
    reference: str
    amount_minor: int
    poi_transaction: str = ""
    brand: str = ""
    card: str = ""
    customer: str = ""


class ReturnBegun(Entry, tag="return_begun", frozen=True, kw_only=True):
    """The open basket takes goods back that a finished sale has sold, of which so much money can still go back.

    With a `void_reason` the whole of it is made undone (POSLog post-void), and its `coupons` for a single time are good again.
    """

    link: TransactionLink
    business_day: str
    refundable_minor: int
    tenders: tuple[RefundableTender, ...] = ()
    void_reason: str = ""
    coupons: tuple[str, ...] = ()
    operator: str = ""
    approver: str = ""


class ReturnUnreceipted(Entry, tag="return_unreceipted", frozen=True, kw_only=True):
    """A line comes back that no receipt was shown for; who took it, and who allowed it."""

    line: int
    reason: str
    operator: str = ""
    approver: str = ""


class CashRefunded(Entry, tag="cash_refunded", frozen=True, kw_only=True):
    """Cash was given back for goods."""

    MOVES_MONEY = True
    tender: int
    amount_minor: int
    operator: str = ""
    approver: str = ""


DeviceTender = Literal["CREDIT", "MOBILE", "STORED_VALUE"]
"""The kinds of tender that the payment device moves: a card, a gift card, and a phone's wallet, for which ODM has no
TenderTypeCode (it is called as nexo's PaymentInstrumentType)."""
DEVICE_TENDERS: tuple[DeviceTender, ...] = get_args(DeviceTender)


class RefundRequested(Entry, tag="refund_requested", frozen=True, kw_only=True):
    """The intent to give money back to the card, gift card or wallet of the payment `original`, durable before the device hears of it.

    It has a `reference` of its own; PaymentApproved, PaymentDeclined and PaymentUnknown say what became of it.
    """

    MOVES_MONEY = True
    tender: int
    reference: str
    amount_minor: int
    original: str
    poi_transaction: str
    operator: str = ""
    approver: str = ""
    kind: DeviceTender = "CREDIT"


class PaymentRequested(Entry, tag="payment_requested", frozen=True, kw_only=True):
    """The intent to charge a card or a wallet, durable before the payment device hears of it. `reference` is asked about
    later; a wallet's code is not in here. Of a gift card there are its last digits and its `account`, as in GiftCardAdded.
    """

    MOVES_MONEY = True
    tender: int
    reference: str
    amount_minor: int
    kind: DeviceTender = "CREDIT"
    card: str = ""
    account: str = ""


class PaymentApproved(Entry, tag="payment_approved", frozen=True, kw_only=True):
    """The payment device approved. `card` is masked to the last four digits; `poi_transaction` is the device's own id.

    `signature` says that the card asks for the customer's, on the merchant's copy.
    """

    MOVES_MONEY = True
    reference: str
    amount_minor: int
    poi_transaction: str
    authorisation: str = ""
    brand: str = ""
    card: str = ""
    signature: bool = False


class PaymentDeclined(Entry, tag="payment_declined", frozen=True, kw_only=True):
    """No money moved, and this is certain: declined, aborted, or not known to the payment device."""

    MOVES_MONEY = True
    reference: str
    reason: str


class PaymentUnknown(Entry, tag="payment_unknown", frozen=True, kw_only=True):
    """No answer came: the outcome is unknown until the device has been asked about `reference`."""

    MOVES_MONEY = True
    reference: str


class PaymentSetAside(Entry, tag="payment_set_aside", frozen=True, kw_only=True):
    """The sale goes on without this payment; should it prove approved, it is reversed."""

    MOVES_MONEY = True
    reference: str


class ReversalRequested(Entry, tag="reversal_requested", frozen=True, kw_only=True):
    """An approved payment is to be taken back, durable before the payment device hears of it."""

    MOVES_MONEY = True
    reference: str


class PaymentReversed(Entry, tag="payment_reversed", frozen=True, kw_only=True):
    """The payment device confirmed that the approved amount was given back."""

    MOVES_MONEY = True
    reference: str


# --- stored value -----------------------------------------------------------------------------------------------------


class GiftCardAwaited(Entry, tag="gift_card_awaited", frozen=True, kw_only=True):
    """A gift card is to be sold with so much on it, or what is left on one is to be paid out (`cash_out`): the sale waits until
    one is shown."""

    amount_minor: int
    cash_out: bool = False


class GiftCardGivenUp(Entry, tag="gift_card_given_up", frozen=True, kw_only=True):
    """The gift card that the sale waited for is not sold."""


StoredValueOperation = Literal["activate", "load", "unload", "cash-out"]
"""What the payment device does with a gift card: makes a new one good, adds to one that is, takes that back, or takes off what
is left."""


class GiftCardAdded(Entry, tag="gift_card_added", frozen=True, kw_only=True):
    """A line sells a gift card, or loads one (ARTS stored value): money that the shop owes, and no turnover, so it has no tax.

    `card` are its last digits, `account` a random reference that means nothing outside the customer store. The payment
    device has reserved it under its own `reservation`; it is worth nothing before the sale is paid for.
    """

    line: int
    amount_minor: int
    card: str
    account: str = ""
    reservation: str = ""
    operation: StoredValueOperation = "activate"


class GiftCardReturned(Entry, tag="gift_card_returned", frozen=True, kw_only=True):
    """What a finished sale had put on a gift card has been taken off it again, or what was left; `amount_minor` is below zero.

    `returned` says of which sale's line (number 0: of none in particular), `original` is the reference of what is made undone.
    """

    line: int
    amount_minor: int
    card: str
    returned: TransactionLink
    original: str
    account: str = ""
    reason: str = ""
    operator: str = ""
    approver: str = ""


class StoredValueRequested(Entry, tag="stored_value_requested", frozen=True, kw_only=True):
    """The intent to have a gift card's value changed, durable before the payment device hears of it; never sent twice.

    `number` and `line` are of the transaction that it follows from. `original` is the reservation's name on the device's
    side, and where a sale is taken back our reference of what it put there; `link` is that sale's line then.
    """

    MOVES_MONEY = True
    reference: str
    operation: StoredValueOperation
    amount_minor: int
    number: int
    line: int
    card: str
    original: str
    account: str = ""
    link: TransactionLink | None = None
    reason: str = ""
    operator: str = ""
    approver: str = ""


class StoredValueApproved(Entry, tag="stored_value_approved", frozen=True, kw_only=True):
    """The payment device has done it. `balance_minor` is what is on the card now, where it told."""

    MOVES_MONEY = True
    reference: str
    poi_transaction: str = ""
    balance_minor: int | None = None


class StoredValueRefused(Entry, tag="stored_value_refused", frozen=True, kw_only=True):
    """The card's value is as it was, and this is certain."""

    MOVES_MONEY = True
    reference: str
    reason: str


class StoredValueUnknown(Entry, tag="stored_value_unknown", frozen=True, kw_only=True):
    """No answer came: whether the card's value changed is unknown until the device has been asked about `reference`."""

    MOVES_MONEY = True
    reference: str


class StoredValueSetAside(Entry, tag="stored_value_set_aside", frozen=True, kw_only=True):
    """Nobody waits for the value to be taken off the card; no money was given for it."""

    MOVES_MONEY = True
    reference: str


class StoredValueLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A gift card in a finished transaction: sold or loaded, below zero taken back. `reference` is asked about."""

    line: int
    amount_minor: int
    card: str
    account: str = ""
    reference: str = ""
    returned: TransactionLink | None = None


class TaxPart(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One of several rates of a tax class: what it was charged on, and the tax. `more_ppm` is as in TaxTotal."""

    code: str
    rate_bp: int
    taxable_minor: int
    tax_minor: int
    more_ppm: int = 0


class TaxTotal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One row of the tax table: a rate in hundredths of a percent, what was sold at it, and the tax in it.

    `more_ppm` is what of the rate hundredths of a percent do not hold, in millionths. A class of several rates has a rate
    of 0 here, and its `parts` say which; their taxes add up to the row's. `exempt` is free of tax by law or by the
    customer's exemption, which a rate of 0 is not; `exempt_tax_minor` is what the tax would have been (POSLog
    ExemptTaxAmount).
    """

    code: str
    rate_bp: int
    included: bool
    gross_minor: int
    net_minor: int
    tax_minor: int
    more_ppm: int = 0
    exempt: bool = False
    exempt_tax_minor: int = 0
    parts: tuple[TaxPart, ...] = ()


class TenderTotal(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken by one kind of tender (ARTS TenderTypeCode), change already given back."""

    kind: str
    amount_minor: int


class RefundTotal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What goods of one finished sale were credited with, tax included; above zero."""

    link: TransactionLink
    amount_minor: int


class TransactionCompleted(Entry, tag="transaction_completed", frozen=True, kw_only=True):
    """The sale is final: its total, taxes, tenders and change. `ended` is the shop's local time (ISO 8601).

    `rounding_minor` is what cash paid more than the total (less, below zero) because there are no smaller coins: tenders
    add up to total and rounding. `discount_minor` is what all discounts took off; the total is without it.
    `epoch` is the journal's: it stands in the receipt's code. `paper` and `written` are as at its opening.

    Where goods came back the total may be below zero, and so are the tenders that money went back to; `returns` are the
    lines that came back, which come to `returned_minor`, and `refunds` say what sales they were of. `voids` is the sale
    that is made undone. Gift cards that were sold or taken back are in `stored_value` and in no total: tenders add up to
    total, rounding and these.
    """

    MOVES_MONEY = True
    number: int
    business_day: str
    currency: str
    lines: int
    total_minor: int
    change_minor: int
    taxes: tuple[TaxTotal, ...]
    tenders: tuple[TenderTotal, ...]
    ended: str = ""
    customer: str | None = None
    rounding_minor: int = 0
    discount_minor: int = 0
    epoch: str = ""
    operator: str = ""
    paper: str = ""
    written: str = ""
    returns: int = 0
    returned_minor: int = 0
    refunds: tuple[RefundTotal, ...] = ()
    voids: TransactionLink | None = None
    stored_value: tuple[StoredValueLine, ...] = ()

    @property
    def stored_value_minor(self) -> int:
        """What gift cards come to: sold, less taken back."""
        return sum(line.amount_minor for line in self.stored_value)


class TransactionVoided(Entry, tag="transaction_voided", frozen=True, kw_only=True):
    """A finished transaction was made undone, by the transaction `number` that is completed with this. Its `coupons` for a
    single time are the customer's again."""

    MOVES_MONEY = True
    number: int
    link: TransactionLink
    reason: str
    total_minor: int
    coupons: tuple[str, ...] = ()
    operator: str = ""
    approver: str = ""


class TransactionCancelled(Entry, tag="transaction_cancelled", frozen=True, kw_only=True):
    """The basket was given up; whatever had been paid was given back first."""

    MOVES_MONEY = True
    number: int
    reason: str
    returned_minor: int = 0
    operator: str = ""
    approver: str = ""


class TransactionSuspended(Entry, tag="transaction_suspended", frozen=True, kw_only=True):
    """The open basket was put aside (POSLog TransactionStatus Suspended); `label` is the name to find it by."""

    MOVES_MONEY = True
    number: int
    label: str = ""
    operator: str = ""
    approver: str = ""


class TransactionResumed(Entry, tag="transaction_resumed", frozen=True, kw_only=True):
    """A basket that was put aside is open again (POSLog SuspendedRetrieved), as of another day and local time."""

    number: int
    business_day: str
    began: str
    operator: str = ""
    approver: str = ""


class LineRepriced(Entry, tag="line_repriced", frozen=True, kw_only=True):
    """A line's price for one unit is what the catalogue says now: its basket had been put aside meanwhile."""

    line: int
    unit_price_minor: int
    amount_minor: int


class ReceiptPrinted(Entry, tag="receipt_printed", frozen=True, kw_only=True):
    """The printer took a whole receipt. `copy` is 0 for the first, then counts; `doubtful` says it was so marked."""

    number: int
    copy: int
    doubtful: bool = False


class CopyOrdered(Entry, tag="copy_ordered", frozen=True, kw_only=True):
    """A copy of a receipt was asked for. Each has a number of its own, whether it comes out of the printer or not."""

    STREAM = Stream.COPIES
    number: int
    copy: int
    operator: str = ""
    approver: str = ""


class InvoiceOrdered(Entry, tag="invoice_ordered", frozen=True, kw_only=True):
    """An invoice for a finished sale was asked for: `copy` is 0 for the first, then counts. The buyer is not in it."""

    number: int
    copy: int
    operator: str = ""


class DrawerCommanded(Entry, tag="drawer_commanded", frozen=True, kw_only=True):
    """The operator had the drawer opened without a sale (ARTS no sale), for a reason; durable before the kick."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    reason: str = ""
    operator: str = ""
    approver: str = ""


class DrawerOpened(Entry, tag="drawer_opened", frozen=True, kw_only=True):
    """The drawer's sensor saw it open; `commanded` says whether a kick came shortly before."""

    STREAM = Stream.TILL
    commanded: bool


class DrawerFound(Entry, tag="drawer_found", frozen=True, kw_only=True):
    """The drawer stands otherwise than it was last seen: it moved while nobody looked."""

    STREAM = Stream.TILL
    is_open: bool


class DrawerLeftOpen(Entry, tag="drawer_left_open", frozen=True, kw_only=True):
    """The drawer has been open for longer than is allowed."""

    STREAM = Stream.TILL
    open_ms: int


class DrawerStayedShut(Entry, tag="drawer_stayed_shut", frozen=True, kw_only=True):
    """The drawer was to open and did not; `fault` is why, or ``drawer-shut`` where its sensor saw nothing."""

    STREAM = Stream.TILL
    fault: str


class DrawerClosed(Entry, tag="drawer_closed", frozen=True, kw_only=True):
    """The drawer's sensor saw it closed after `open_ms`."""

    STREAM = Stream.TILL
    open_ms: int


# --- who works here ---------------------------------------------------------------------------------------------------

# An entry's `operator` is who was signed on, its `approver` who allowed it where he might not: ids, and `core.operators`
# fills them in. Nobody's name stands here.


class OperatorSignedOn(Entry, tag="operator_signed_on", frozen=True, kw_only=True):
    """Somebody signed on (ARTS control transaction), or again at a till that was locked."""

    STREAM = Stream.TILL
    operator: str
    role: Role
    by: Literal["pin", "badge"] = "pin"


class OperatorSignedOff(Entry, tag="operator_signed_off", frozen=True, kw_only=True):
    """Somebody signed off, or another signed on in his place."""

    STREAM = Stream.TILL
    operator: str
    reason: Literal["keyed", "replaced"] = "keyed"


class SignOnRefused(Entry, tag="sign_on_refused", frozen=True, kw_only=True):
    """Somebody could not sign on; `subject` is an operator's id where there is one, and never what was typed."""

    STREAM = Stream.TILL
    reason: Literal["denied", "locked", "unknown"]
    subject: str = ""


class TillLocked(Entry, tag="till_locked", frozen=True, kw_only=True):
    """The till takes nothing until its operator, or a supervisor, signs on; an open basket stays as it is."""

    STREAM = Stream.TILL
    reason: Literal["keyed", "idle", "restart"]
    operator: str = ""


class OperatorAdministered(Entry, tag="operator_administered", frozen=True, kw_only=True):
    """An operator was made, changed or removed; durable before it is done. `role` is his from then on."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    subject: str
    change: Literal["added", "removed", "role", "pin", "badge", "unlocked"]
    role: Role | None = None
    operator: str = ""
    approver: str = ""


class ClaimOpened(Entry, tag="claim_opened", frozen=True, kw_only=True):
    """Whoever stands before the screen may become the till's owner for a while, though there are supervisors: nobody of
    them knows his PIN any more. `by` says who allowed it, `reference` the recovery key's id or the order."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    by: Literal["recovery-key", "headquarters"]
    reference: str


# --- the till ---------------------------------------------------------------------------------------------------------


class CashCount(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """So many coins or notes of `unit_minor` each."""

    unit_minor: int
    count: int


class BusinessDayConfirmed(Entry, tag="business_day_confirmed", frozen=True, kw_only=True):
    """A supervisor said which business day it is (ISO 8601); the next opening of the till goes by it."""

    STREAM = Stream.TILL
    business_day: str
    operator: str = ""
    approver: str = ""


class TillOpened(Entry, tag="till_opened", frozen=True, kw_only=True):
    """A session of the till began, with a float in its drawer (ARTS till loan at opening).

    `session` counts up for ever; all that follows until it is settled is of `business_day`. `began` is local time.
    `confirmed` says that a person vouched for the day, because the clock could not.
    """

    STREAM = Stream.TILL
    MOVES_MONEY = True
    session: int
    business_day: str
    float_minor: int
    counts: tuple[CashCount, ...] = ()
    began: str = ""
    confirmed: bool = False
    operator: str = ""
    approver: str = ""


CashMove = Literal["loan", "pickup", "paid-in", "paid-out", "deposit"]
"""Into the till: a loan from the safe, money paid in. Out of it: picked up, paid out, deposited in the safe."""


class CashMoved(Entry, tag="cash_moved", frozen=True, kw_only=True):
    """Cash went into the till or out of it without a sale (ARTS TenderControlTransaction). The amount counts up."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    move: CashMove
    amount_minor: int
    reason: str = ""
    counts: tuple[CashCount, ...] = ()
    operator: str = ""
    approver: str = ""


class CountBegun(Entry, tag="count_begun", frozen=True, kw_only=True):
    """The till is being counted: nothing is sold until it is settled, or the count is given up."""

    STREAM = Stream.TILL
    operator: str = ""
    approver: str = ""


class CountGivenUp(Entry, tag="count_given_up", frozen=True, kw_only=True):
    """The till sells on; what was counted does not count."""

    STREAM = Stream.TILL
    operator: str = ""
    approver: str = ""


class TillCounted(Entry, tag="till_counted", frozen=True, kw_only=True):
    """The cash in the drawer was counted, by whoever did not see what it should come to. The last count counts."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    amount_minor: int
    counts: tuple[CashCount, ...] = ()
    operator: str = ""
    approver: str = ""


class CardTotal(msgspec.Struct, frozen=True, kw_only=True):
    """Card payments of one kind: charged (``debit``), given back (``credit``), or a charge taken back."""

    kind: Literal["debit", "credit", "reverse-debit", "reverse-credit"]
    count: int
    amount_minor: int


class PaymentsReconciled(Entry, tag="payments_reconciled", frozen=True, kw_only=True):
    """The payment device closed its period and told its totals (nexo SaleReconciliation), beside ours for that period.

    `fault` is why it told none. `reconciliation` is its own number for it. A difference stops nothing.
    """

    STREAM = Stream.TILL
    MOVES_MONEY = True
    session: int
    ours: tuple[CardTotal, ...] = ()
    theirs: tuple[CardTotal, ...] = ()
    reconciliation: str = ""
    fault: str | None = None


class PaymentOpen(msgspec.Struct, frozen=True, kw_only=True):
    """A card payment that is not settled while a day closes: it is in no total."""

    reference: str
    amount_minor: int
    phase: str


class BasketParked(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that is put aside while a day closes: it is in no total. `amount_minor` is before discounts."""

    number: int
    amount_minor: int


class TillSettled(Entry, tag="till_settled", frozen=True, kw_only=True):
    """A session ended (ARTS TillSettlementTransaction): what should be in the drawer against what was counted.

    `over_short_minor` is what was counted too much, below zero too little.
    """

    STREAM = Stream.TILL
    MOVES_MONEY = True
    session: int
    business_day: str
    expected_minor: int
    counted_minor: int
    over_short_minor: int
    ended: str = ""
    operator: str = ""
    approver: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a session stands: what X and Z reports say. `counted_minor` is None until the drawer has been counted.

    `first` and `last` are the transaction numbers used, 0 for none. The grand totals are with this session in them: of the
    shift itself, of its business day, month and year, and of all time.
    """

    session: int
    business_day: str
    currency: str
    began: str
    ended: str
    float_minor: int
    expected_minor: int
    counted_minor: int | None = None
    over_short_minor: int = 0
    counts: tuple[CashCount, ...] = ()
    takings: Takings = Takings()
    first: int = 0
    last: int = 0
    shift: GrandTotal = GrandTotal(period="")
    day: GrandTotal = GrandTotal(period="")
    month: GrandTotal = GrandTotal(period="")
    year: GrandTotal = GrandTotal(period="")
    perpetual: GrandTotal = GrandTotal(period="")
    reconciled: tuple[PaymentsReconciled, ...] = ()
    open_payments: tuple[PaymentOpen, ...] = ()
    parked: tuple[BasketParked, ...] = ()


class ZReported(Entry, tag="z_reported", frozen=True, kw_only=True):
    """The report of a session that was settled, whole; `number` counts up for ever and is never set back.

    `day_closed`: nothing more is sold on that business day.
    """

    STREAM = Stream.TOTALS
    MOVES_MONEY = True
    number: int
    report: Report
    day_closed: bool = False
    operator: str = ""
    approver: str = ""


class ReportCopied(Entry, tag="report_copied", frozen=True, kw_only=True):
    """A copy of a Z report was asked for; each has a number of its own."""

    STREAM = Stream.COPIES
    number: int
    copy: int
    operator: str = ""
    approver: str = ""


class TrainingBegun(Entry, tag="training_begun", frozen=True, kw_only=True):
    """From here on what is sold is for training, until TrainingEnded; its transactions are numbered from `number`."""

    STREAM = Stream.TILL
    number: int
    operator: str = ""
    approver: str = ""


class TrainingEnded(Entry, tag="training_ended", frozen=True, kw_only=True):
    """Training is over."""

    STREAM = Stream.TILL
    operator: str = ""
    approver: str = ""


class Trained(Entry, tag="trained", frozen=True, kw_only=True):
    """What would have been kept, had it not been training. It counts for nothing outside of it."""

    STREAM = Stream.TRAINING
    entry: "AnyEntry"


class KeyLockTurned(Entry, tag="key_lock_turned", frozen=True, kw_only=True):
    """The key lock stands at another position, by UnifiedPOS' names (``lock``, ``normal``, ``supervisor``)."""

    STREAM = Stream.TILL
    position: str


class PowerChanged(Entry, tag="power_changed", frozen=True, kw_only=True):
    """The board's power became too weak for a tender, or strong enough; `flags` are the firmware's."""

    STREAM = Stream.TECHNICAL
    weak: bool
    flags: tuple[str, ...] = ()


class CaseOpened(Entry, tag="case_opened", frozen=True, kw_only=True):
    """The terminal's case had been opened at `opened_ms`, and its keys left the memory; kept after the release.

    `incident` names it, `released_ms` is when headquarters' order of that `counter` was carried out, `role` whose it was.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    incident: str
    opened_ms: int
    released_ms: int
    counter: int
    role: str


class OrderTaken(Entry, tag="order_taken", frozen=True, kw_only=True):
    """Headquarters' signed order was taken (`core.orders.Order`): its number counts no second time.

    `refused` is the code where it was rejected at once, for the reason `why`; `params` are left out then.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    order: str
    epoch: int
    counter: int
    role: str
    issuer: str
    not_after_ms: int
    issued_ms: int = 0
    not_before_ms: int = 0
    seconded: str = ""
    params: dict[str, Any] = {}
    refused: str = ""
    why: str = ""


class OrderBegun(Entry, tag="order_begun", frozen=True, kw_only=True):
    """It is carried out from here on. `mark` is what tells, after a power cut, how far it came."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    mark: str = ""


class OrderEnded(Entry, tag="order_ended", frozen=True, kw_only=True):
    """What became of it: a state of `core.order_results`, and why."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    order: str
    state: str
    code: str = ""
    text: str = ""


class OrderTold(Entry, tag="order_told", frozen=True, kw_only=True):
    """The broker has its end; a start does not tell it once more."""

    STREAM = Stream.TECHNICAL
    id: str


class TerminalLocked(Entry, tag="terminal_locked", frozen=True, kw_only=True):
    """No new sale begins from here on; the screen shows `text`. By the order of this id."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    order: str
    text: str


class TerminalUnlocked(Entry, tag="terminal_unlocked", frozen=True, kw_only=True):
    """It sells again."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    order: str


class NotePosted(Entry, tag="note_posted", frozen=True, kw_only=True):
    """A line for people in the shop stands on the screen from here on, until somebody has seen it."""

    STREAM = Stream.TECHNICAL
    order: str
    text: str


class NoteSeen(Entry, tag="note_seen", frozen=True, kw_only=True):
    """Somebody has."""

    STREAM = Stream.TECHNICAL
    order: str
    operator: str = ""


class ConfigurationOrdered(Entry, tag="configuration_ordered", frozen=True, kw_only=True):
    """What became of a configuration of headquarters' (`core.desired`): its document's hash, and who gave it, where known."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: int
    version: int
    hash: str
    state: str
    code: str = ""
    issuer: str = ""
    role: str = ""


OrderEntry = (
    OrderTaken | OrderBegun | OrderEnded | OrderTold | TerminalLocked | TerminalUnlocked | NotePosted | NoteSeen
)
"""What is kept of headquarters' orders."""


class DeviceReported(Entry, tag="device_reported", frozen=True, kw_only=True):
    """A device became ready, or stopped being so; `fault` is the error's code."""

    STREAM = Stream.TECHNICAL
    device: str
    phase: str
    fault: str | None = None


AnyEntry = (
    EpochOpened | DaemonStarted | DaemonStopped | TransactionOpened | WeightAwaited | WeighingGivenUp | ItemAdded | QuantityChanged | LineVoided
    | ItemRefused | CustomerIdentified | CashTendered | PaymentRequested | PaymentApproved | PaymentDeclined
    | PaymentUnknown | PaymentSetAside | ReversalRequested | PaymentReversed | TransactionCompleted
    | TransactionCancelled | ReceiptPrinted | CopyOrdered | InvoiceOrdered | DrawerCommanded | DrawerOpened | DrawerFound | DrawerLeftOpen
    | DrawerStayedShut
    | DrawerClosed | KeyLockTurned | PowerChanged | CaseOpened | OrderEntry | ConfigurationOrdered | DeviceReported | RecordsReturned | JournalVerified | SegmentPruned | ClockStepped
    | ItemHeld | AgeChecked | HeldItemGivenUp | ItemProvided | OutlierNoticed
    | TrainingBegun | TrainingEnded | Trained
    | OperatorSignedOn | OperatorSignedOff | SignOnRefused | TillLocked | ClaimOpened | OperatorAdministered
    | TransactionSuspended | TransactionResumed | LineRepriced
    | BusinessDayConfirmed | TillOpened | CashMoved | CountBegun | CountGivenUp | TillCounted | PaymentsReconciled | TillSettled
    | ZReported | ReportCopied
    | VoucherTendered | AccountCharged | AccountCredited
    | ReturnBegun | ReturnUnreceipted | CashRefunded | RefundRequested | TransactionVoided
    | DiscountsApplied | CouponTaken | DiscountGiven | DiscountWithdrawn | PriceOverridden | TaxExempted
    | GiftCardAwaited | GiftCardGivenUp | GiftCardAdded | GiftCardReturned
    | StoredValueRequested | StoredValueApproved | StoredValueRefused | StoredValueUnknown | StoredValueSetAside
)  # fmt: skip

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


def encode(entry: AnyEntry) -> bytes:
    """An entry's JSON, as it goes into a record's body."""
    return _encoder.encode(entry)


def decode(body: bytes | msgspec.Raw) -> AnyEntry:
    """The entry in a record's body. Raises msgspec.DecodeError or ValidationError (ValueErrors) on anything else."""
    return nesting.decode(_decoder, body)


def draft(entry: AnyEntry) -> Draft:
    """An entry made ready for the journal."""
    return Draft(stream=entry.STREAM, body=encode(entry), moves_money=entry.MOVES_MONEY)
