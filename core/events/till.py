"""What the operator keys of the till's day."""

from core.entries import CashCount, CashMove
from core.events.base import Event


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
