"""The till's day: opening, cash moves, counts, settlement, reports."""

from typing import Literal

import msgspec

from core.entries.base import Entry
from core.ledger import Stream
from core.takings import GrandTotal, Takings


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
