"""The till's own day: opening, moving and counting its cash, settling it, its reports, and sales written by hand.

None of it happens while a basket is open. Counting is blind: from its beginning to the settlement nothing tells what
should be in the drawer. Whatever was counted, the till closes; so it does without the payment device's answer.
"""

from collections.abc import Sequence
from datetime import date, timedelta
from typing import assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.card import holds_card
from core.payment import CASH_MINOR_MAX
from core.state import Idle, Shop, Till
from core.step import Facts, Step, refuse
from core.text import message
from core.till import Session
from core.till_report import differs, net_minor, report_document, report_of

REASON_LENGTH_MAX = 100
PAPER_LENGTH_MAX = 40
KINDS_MAX = 64
NAMES_MAX = 5
"""Kinds of coins and notes in one count."""
PIECES_MAX = 1_000_000

TillEvent = (
    v.BusinessDayKeyed | v.TillOpenKeyed | v.CashMoveKeyed | v.CountBegunKeyed | v.CountKeyed | v.CountGivenUpKeyed
    | v.TillCloseKeyed | v.XReportKeyed | v.ZReportKeyed | v.PaperSaleKeyed | v.PaymentsTotalled | v.ReportTorn
)  # fmt: skip


def order(shop: Shop, till: Till, event: TillEvent, facts: Facts) -> Step:
    """What follows from an order about the till, or from the payment device's end of day."""
    match event:
        case v.PaymentsTotalled():
            return _totalled(event)
        case v.ReportTorn():
            return Step(notice=message("report-not-printed"), level="error")
        case v.XReportKeyed():
            return _x(shop, till, event, facts)
        case v.ZReportKeyed():
            return _z_again(shop, till, event)
    if not isinstance(till.sale, Idle):
        return refuse("sale-open")
    match event:
        case v.BusinessDayKeyed():
            return _confirm_day(till, event)
        case v.TillOpenKeyed():
            return _open(shop, till, event, facts)
        case v.CashMoveKeyed():
            return _move(shop, till, event)
        case v.CountBegunKeyed():
            return _begin_count(shop, till, facts)
        case v.CountKeyed():
            return _count(shop, till, event, facts)
        case v.CountGivenUpKeyed():
            return _give_count_up(till)
        case v.TillCloseKeyed():
            return _close(shop, till, event, facts)
        case v.PaperSaleKeyed():
            return _paper_sale(shop, till, event, facts)
    assert_never(event)


def no_sale_now(shop: Shop, till: Till, facts: Facts) -> Step | None:
    """Why no transaction may begin, by headquarters' word or by the till's own day; None where one may."""
    if till.orders.locked is not None:
        return refuse("terminal-locked", text=till.orders.locked)
    session = till.books.session
    if session is not None and session.counting:
        return refuse("till-counting")
    if not shop.till_sessions:
        return None
    if session is None or session.itself:
        return refuse("till-closed")
    if is_overdue(shop, till, facts.business_day, facts.local_time):
        return refuse("closing-forgotten", business_day=session.business_day)
    return None


def till_orders(shop: Shop, till: Till) -> tuple[str, ...]:
    """The tags of the operator's events that an idle till takes, by whether it is open, closed or being counted."""
    session = till.books.session
    if session is not None and session.counting:
        closing = ("till_close_keyed",) if session.counted_minor is not None else ()
        return ("count_keyed", "count_given_up_keyed", *closing)
    opening = ("business_day_keyed", "till_open_keyed") if not _is_open(till) else ()
    if shop.till_sessions and not _is_open(till):
        return opening
    goods = ("code_keyed", "item_keyed", "deposit_return_keyed", "paper_sale_keyed")
    resumable = ("resume_keyed",) if till.parked else ()
    back = ("return_keyed", "unreceipted_return_keyed", "transaction_void_keyed", "gift_card_return_keyed")
    return (
        *goods,
        *gift_card_orders(shop),
        *back,
        *resumable,
        *opening,
        "cash_move_keyed",
        "count_begun_keyed",
        "count_keyed",
    )


def gift_card_orders(shop: Shop) -> tuple[str, ...]:
    """The tags of what a shop does with gift cards, by its configuration."""
    sells = ("gift_card_sale_keyed",) if shop.gift_card_minor_max else ()
    return (*sells, "gift_card_cash_out_keyed") if shop.gift_card_cash_out_minor_max else sells


def report_orders(till: Till) -> tuple[str, ...]:
    """The tags of the reports that can be had, whatever the sale is at."""
    session = till.books.session
    running = ("x_report_keyed",) if session is not None and not session.counting else ()
    return (*running, *(("z_report_keyed",) if till.books.z is not None else ()))


def business_day(shop: Shop, today: str, local_time: str) -> str:
    """The business day (ISO 8601) of a moment: until the shop's day ends, the night belongs to the day before.

    `today` is the date that is believed; where the clock says another one its hour says nothing either.
    """
    if shop.day_end_hour and local_time[:10] == today and int(local_time[11:13]) < shop.day_end_hour:
        return (date.fromisoformat(today) - timedelta(days=1)).isoformat()
    return today


def day_of_sale(shop: Shop, till: Till, facts: Facts) -> str:
    """The business day that a transaction is of: that of the session, wherever midnight falls."""
    session = till.books.session
    if session is not None and not session.itself and session.business_day:
        return session.business_day
    return business_day(shop, facts.business_day, facts.local_time)


def is_overdue(shop: Shop, till: Till, today: str, local_time: str) -> bool:
    """Whether the open session is of a business day that is over: its closing was forgotten."""
    session = till.books.session
    if session is None or session.itself or not session.began:
        return False
    now = business_day(shop, today, local_time)
    # Where a person vouched for the day, the clock only tells that the night has passed since.
    return session.business_day < now and business_day(shop, session.began[:10], session.began) < now


def written_by_hand(till: Till, taken: Step) -> Step:
    """Lines of a sale that was written by hand were entered by hand, however their code came."""
    if isinstance(till.sale, Idle) or not till.sale.basket.paper:
        return taken
    entries = tuple(
        msgspec.structs.replace(entry, entry_method="manual") if isinstance(entry, e.ItemAdded) else entry
        for entry in taken.entries
    )
    return msgspec.structs.replace(taken, entries=entries)


# --- opening --------------------------------------------------------------------------------------------------------


def _confirm_day(till: Till, event: v.BusinessDayKeyed) -> Step:
    session = till.books.session
    if session is not None and session.counting:
        return refuse("till-counting")
    if session is not None and not session.itself:
        return refuse("till-open", business_day=session.business_day)
    if not _is_date(event.business_day):
        return refuse("date-not-valid")
    if event.business_day <= till.books.closed_day:
        return refuse("day-closed", business_day=till.books.closed_day)
    confirmed = e.BusinessDayConfirmed(business_day=event.business_day)
    return Step(entries=(confirmed,), notice=message("day-confirmed", business_day=event.business_day))


def _open(shop: Shop, till: Till, event: v.TillOpenKeyed, facts: Facts) -> Step:
    session = till.books.session
    if session is not None and not session.itself:
        late = is_overdue(shop, till, facts.business_day, facts.local_time)
        return refuse("closing-forgotten" if late else "till-open", business_day=session.business_day)
    if session is not None and session.counting:
        return refuse("till-counting")
    day = till.books.confirmed_day or business_day(shop, facts.business_day, facts.local_time)
    if not till.books.confirmed_day and not facts.clock_sure:
        return refuse("date-not-confirmed", business_day=day)
    if day <= till.books.closed_day:
        return refuse("day-closed", business_day=till.books.closed_day)
    amount_minor = _amount(event.float_minor, event.counts)
    if isinstance(amount_minor, Step):
        return amount_minor
    opened = e.TillOpened(
        session=till.books.settled + 1,
        business_day=day,
        float_minor=amount_minor,
        counts=event.counts,
        began=facts.local_time,
        confirmed=bool(till.books.confirmed_day),
    )
    return Step(
        entries=(opened,),
        effects=(x.OpenDrawer(),),
        notice=message("till-opened", business_day=day, amount_minor=amount_minor),
    )


# --- cash without a sale --------------------------------------------------------------------------------------------


def _move(shop: Shop, till: Till, event: v.CashMoveKeyed) -> Step:
    if (closed := _not_open(shop, till)) is not None:
        return closed
    if till.books.session is not None and till.books.session.counting:
        return refuse("till-counting")
    amount_minor = _amount(event.amount_minor, event.counts)
    if isinstance(amount_minor, Step):
        return amount_minor
    if amount_minor == 0:
        return refuse("amount-not-positive")
    if amount_minor > shop.move_minor_max:
        return refuse("amount-too-large", amount_minor=shop.move_minor_max)
    reason = " ".join(event.reason.split())
    if not reason and event.move in ("paid-in", "paid-out"):
        return refuse("reason-needed")
    if len(reason) > REASON_LENGTH_MAX or not reason.isprintable() or holds_card(reason):
        return refuse("reason-not-valid")
    moved = e.CashMoved(move=event.move, amount_minor=amount_minor, reason=reason, counts=event.counts)
    return Step(
        entries=(moved,),
        effects=(x.OpenDrawer(),),
        notice=message(f"cash-{event.move}", amount_minor=amount_minor),
    )


# --- counting and closing -------------------------------------------------------------------------------------------


def _begin_count(shop: Shop, till: Till, facts: Facts) -> Step:
    if (closed := _not_open(shop, till)) is not None:
        return closed
    if _session(till).counting:
        return refuse("till-counting")
    return Step(
        entries=(*_begun_itself(shop, till, facts), e.CountBegun()),
        effects=(x.OpenDrawer(), _reconcile(shop, till)),
        notice=message("count-begun-parked", **_parked(till)) if till.parked else message("count-begun"),
        level="warning" if till.parked else "info",
    )


def _parked(till: Till) -> dict[str, str | int]:
    """What is told of the baskets that are put aside."""
    names = [one.label or str(one.basket.number) for one in till.parked]
    more = ", ..." if len(names) > NAMES_MAX else ""
    return {"count": len(names), "names": ", ".join(names[:NAMES_MAX]) + more}


def _begun_itself(shop: Shop, till: Till, facts: Facts) -> tuple[e.AnyEntry, ...]:
    """Where nobody opens sessions, one that has not begun by anything done begins with its count."""
    session = till.books.session
    if session is not None and session.business_day:
        return ()
    day = business_day(shop, facts.business_day, facts.local_time)
    return (
        e.TillOpened(session=_session(till).number, business_day=day, float_minor=0, began=facts.local_time),
    )  # fmt: skip


def _count(shop: Shop, till: Till, event: v.CountKeyed, facts: Facts) -> Step:
    if (closed := _not_open(shop, till)) is not None:
        return closed
    amount_minor = _amount(event.amount_minor, event.counts)
    if isinstance(amount_minor, Step):
        return amount_minor
    begun = Step() if _session(till).counting else _begin_count(shop, till, facts)
    counted = e.TillCounted(amount_minor=amount_minor, counts=event.counts)
    effects = tuple(effect for effect in begun.effects if not isinstance(effect, x.OpenDrawer))
    return Step(
        entries=(*begun.entries, counted),
        effects=effects,
        notice=message("till-counted", amount_minor=amount_minor),
    )


def _give_count_up(till: Till) -> Step:
    session = till.books.session
    if session is None or not session.counting:
        return refuse("not-counting")
    return Step(entries=(e.CountGivenUp(),), notice=message("count-given-up"))


def _close(shop: Shop, till: Till, event: v.TillCloseKeyed, facts: Facts) -> Step:
    if (closed := _not_open(shop, till)) is not None:
        return closed
    session = till.books.session
    if session is None or not session.counting or session.counted_minor is None:
        return refuse("till-not-counted")
    count = len(till.aside) + len(till.gifts)
    if count and event.end_day and not event.open_payments:
        open_minor = sum(tender.amount_minor for tender in till.aside)
        open_minor += sum(order.asked.amount_minor for order in till.gifts)
        return refuse("payments-open", count=count, amount_minor=open_minor)
    if till.parked and event.end_day and not event.parked:
        return refuse("baskets-parked", **_parked(till))
    report = report_of(shop, till, session, facts.local_time)
    over_short_minor = session.counted_minor - report.expected_minor
    settled = e.TillSettled(
        session=session.number,
        business_day=session.business_day,
        expected_minor=report.expected_minor,
        counted_minor=session.counted_minor,
        over_short_minor=over_short_minor,
        ended=facts.local_time,
    )
    number = till.books.z.number + 1 if till.books.z is not None else 1
    z = e.ZReported(number=number, day_closed=event.end_day, report=report)
    return Step(
        entries=(settled, z),
        effects=(x.PrintReport(document=report_document(shop, report, z=z)),),
        notice=message("till-settled", number=number, over_short_minor=over_short_minor),
        level="warning" if over_short_minor else "info",
    )


# --- the payment device's end of day --------------------------------------------------------------------------------


def _reconcile(shop: Shop, till: Till) -> x.ReconcilePayments:
    ours = tuple(total for total in (till.books.charged, till.books.credited, till.books.reversed) if total.count)
    return x.ReconcilePayments(session=_session(till).number, currency=shop.currency.code, ours=ours)


def _totalled(event: v.PaymentsTotalled) -> Step:
    kept = e.PaymentsReconciled(
        session=event.session,
        ours=event.ours,
        theirs=event.theirs,
        reconciliation=event.reconciliation,
        fault=event.fault,
    )
    if event.fault is not None:
        return Step(entries=(kept,), notice=message("reconciliation-missing", fault=event.fault), level="warning")
    off_minor = net_minor(event.theirs) - net_minor(event.ours)
    if not differs(kept):
        return Step(entries=(kept,), notice=message("reconciliation-agrees"))
    return Step(entries=(kept,), notice=message("reconciliation-differs", difference_minor=off_minor), level="warning")


# --- reports --------------------------------------------------------------------------------------------------------


def _x(shop: Shop, till: Till, event: v.XReportKeyed, facts: Facts) -> Step:
    session = till.books.session
    if session is None:
        return refuse("till-closed")
    if session.counting:
        return refuse("till-counting")
    report = report_of(shop, till, session, facts.local_time)
    effects = (x.PrintReport(document=report_document(shop, report)),) if event.paper else ()
    return Step(effects=effects, notice=message("x-reported"))


def _z_again(shop: Shop, till: Till, event: v.ZReportKeyed) -> Step:
    z = till.books.z
    if z is None:
        return refuse("no-z-report")
    if not event.paper:
        return Step(notice=message("z-reported", number=z.number))
    copy = till.books.copies + 1
    return Step(
        entries=(e.ReportCopied(number=z.number, copy=copy),),
        effects=(x.PrintReport(document=report_document(shop, z.report, z=z, copy=copy)),),
        notice=message("z-copied", number=z.number, copy=copy),
    )


# --- sales written by hand ------------------------------------------------------------------------------------------


def _paper_sale(shop: Shop, till: Till, event: v.PaperSaleKeyed, facts: Facts) -> Step:
    if (blocked := no_sale_now(shop, till, facts)) is not None:
        return blocked
    if facts.blocked is not None:
        return refuse(facts.blocked)
    paper = " ".join(event.paper.split())
    if not paper or len(paper) > PAPER_LENGTH_MAX or not paper.isprintable() or holds_card(paper):
        return refuse("paper-number-not-valid")
    if not _is_date(event.written) or event.written > facts.business_day:
        return refuse("date-not-valid")
    if paper in till.books.papers or any(paper == one.basket.paper for one in till.parked):
        return refuse("paper-entered", paper=paper)
    opened = e.TransactionOpened(
        number=till.next_number,
        business_day=day_of_sale(shop, till, facts),
        currency=shop.currency.code,
        began=facts.local_time,
        paper=paper,
        written=event.written,
    )
    return Step(entries=(opened,), notice=message("paper-begun", paper=paper, written=event.written))


# --- what all of them look at ---------------------------------------------------------------------------------------


def _is_open(till: Till) -> bool:
    return till.books.session is not None and not till.books.session.itself


def _not_open(shop: Shop, till: Till) -> Step | None:
    return refuse("till-closed") if shop.till_sessions and not _is_open(till) else None


def _session(till: Till) -> Session:
    """The session that is open, or the one that begins by itself."""
    return till.books.session or Session(number=till.books.settled + 1, itself=True)


def _amount(amount_minor: int, counts: Sequence[e.CashCount]) -> int | Step:
    """What was named in one amount or counted; a refusal where it cannot be."""
    if len(counts) > KINDS_MAX:
        return refuse("count-not-valid")
    for each in counts:
        if not 0 < each.unit_minor <= CASH_MINOR_MAX or not 0 <= each.count <= PIECES_MAX:
            return refuse("count-not-valid")
    if len({each.unit_minor for each in counts}) != len(counts):
        return refuse("count-not-valid")
    summed_minor = sum(each.unit_minor * each.count for each in counts)
    if counts and amount_minor not in (0, summed_minor):
        return refuse("count-not-the-amount", amount_minor=summed_minor)
    named_minor = summed_minor if counts else amount_minor
    if named_minor < 0:
        return refuse("amount-negative")
    if named_minor > 10 * CASH_MINOR_MAX:
        return refuse("amount-too-large", amount_minor=10 * CASH_MINOR_MAX)
    return named_minor


def _is_date(text: str) -> bool:
    try:
        return len(text) == len("2026-11-24") and bool(date.fromisoformat(text))
    except ValueError:
        return False
