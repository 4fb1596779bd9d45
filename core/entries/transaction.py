"""A transaction from its beginning to its end, and the totals that it ends with."""

import msgspec

from core.entries.base import Entry
from core.entries.gift_cards import StoredValueLine
from core.entries.goods import TransactionLink


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
