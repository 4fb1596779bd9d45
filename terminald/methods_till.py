"""The till's own day over the control socket: opening, moving and counting cash, closing, and its reports."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from core import events as v
from core.entries import CashCount, CashMove
from core.till_report import report_of
from core.view import till_view
from terminald.control import Method, Params
from terminald.engine import Engine
from terminald.orders import Keyed, Orders

TEXT_LENGTH_MAX = 4096


class ReasonParams(Keyed, frozen=True, kw_only=True):
    reason: str = ""


class DayParams(Keyed, frozen=True, kw_only=True):
    business_day: str


class Pieces(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """So many coins or notes of `unit_minor` each."""

    unit_minor: int
    count: int


class FloatParams(Keyed, frozen=True, kw_only=True):
    float_minor: int = 0
    counts: tuple[Pieces, ...] = ()


class MoveParams(Keyed, frozen=True, kw_only=True):
    amount_minor: int = 0
    reason: str = ""
    counts: tuple[Pieces, ...] = ()


class CountParams(Keyed, frozen=True, kw_only=True):
    amount_minor: int = 0
    counts: tuple[Pieces, ...] = ()


class CloseParams(Keyed, frozen=True, kw_only=True):
    end_day: bool = True
    open_payments: bool = False
    parked: bool = False


class ReportParams(Keyed, frozen=True, kw_only=True):
    paper: bool = True


class PaperParams(Keyed, frozen=True, kw_only=True):
    paper: str
    written: str


def till_methods(engine: Engine, orders: Orders) -> Mapping[str, Method[Any]]:
    """The method table."""

    def move(kind: CashMove, summary: str) -> Method[Any]:
        return orders.keyed(
            summary,
            MoveParams,
            lambda p: v.CashMoveKeyed(
                move=kind, amount_minor=p.amount_minor, reason=p.reason[:TEXT_LENGTH_MAX], counts=_counts(p.counts)
            ),
        )

    def with_report(method: Method[Any], report: Callable[[], object]) -> Method[Any]:
        async def carry_out(given: Any) -> object:
            told = await method.handler(given)
            assert isinstance(told, dict)
            return told | {"report": report()}

        return Method(summary=method.summary, params=method.params, handler=carry_out)

    def x() -> object:
        session = engine.till.books.session
        return report_of(engine.shop, engine.till, session, engine.local_time) if session is not None else None

    async def status(_: Params) -> object:
        till = engine.till
        return {
            **msgspec.structs.asdict(till_view(engine.shop, till)),
            "closing_forgotten": engine.closing_forgotten is not None,
            "open_payments": [
                {"reference": tender.reference, "amount_minor": tender.amount_minor, "phase": tender.phase}
                for tender in till.aside
            ],
        }

    return {
        "drawer.open": orders.keyed(
            "Opens the drawer without a sale, for a reason",
            ReasonParams,
            lambda p: v.DrawerKeyed(reason=p.reason[:TEXT_LENGTH_MAX]),
        ),
        "till.status": orders.read(
            "till.status",
            "How the till stands: its session, its business day, and card payments that are not settled",
            Params,
            status,
        ),
        "till.business_day": orders.keyed(
            "Says which business day it is, where the clock cannot vouch for it; the next opening goes by this",
            DayParams,
            lambda p: v.BusinessDayKeyed(business_day=p.business_day[:TEXT_LENGTH_MAX]),
        ),
        "till.open": orders.keyed(
            "Opens the till with a float, in one amount or by coins and notes",
            FloatParams,
            lambda p: v.TillOpenKeyed(float_minor=p.float_minor, counts=_counts(p.counts)),
        ),
        "till.loan": move("loan", "Brings cash from the safe into the till"),
        "till.pickup": move("pickup", "Takes cash out of the till, for the safe"),
        "till.paid_in": move("paid-in", "Puts cash into the till that is for no sale, for a reason"),
        "till.paid_out": move("paid-out", "Pays cash out of the till, for a reason"),
        "till.deposit": move("deposit", "Deposits cash of the till in the safe"),
        "till.begin_count": orders.keyed(
            "Begins to count the drawer; nothing is sold meanwhile, and the payment device ends its day",
            Keyed,
            lambda _: v.CountBegunKeyed(),
        ),
        "till.count": orders.keyed(
            "Takes what was counted in the drawer, in one amount or by coins and notes; what should be there is not told",
            CountParams,
            lambda p: v.CountKeyed(amount_minor=p.amount_minor, counts=_counts(p.counts)),
        ),
        "till.give_up_count": orders.keyed(
            "Gives the count up; the till sells on", Keyed, lambda _: v.CountGivenUpKeyed()
        ),
        "till.close": with_report(
            orders.keyed(
                "Closes the till with the last count and makes its Z report; the business day too, unless told otherwise",
                CloseParams,
                lambda p: v.TillCloseKeyed(end_day=p.end_day, open_payments=p.open_payments, parked=p.parked),
            ),
            lambda: engine.till.books.z,
        ),
        "report.x": with_report(
            orders.keyed(
                "How the session stands, on paper too unless told otherwise; it changes nothing",
                ReportParams,
                lambda p: v.XReportKeyed(paper=p.paper),
            ),
            x,
        ),
        "report.z": with_report(
            orders.keyed(
                "The last Z report, and a numbered copy of it on paper unless told otherwise",
                ReportParams,
                lambda p: v.ZReportKeyed(paper=p.paper),
            ),
            lambda: engine.till.books.z,
        ),
        "sale.by_hand": orders.keyed(
            "Begins to enter a sale that was written by hand: its own number, and the date that stands on it",
            PaperParams,
            lambda p: v.PaperSaleKeyed(paper=p.paper[:TEXT_LENGTH_MAX], written=p.written[:TEXT_LENGTH_MAX]),
        ),
    }


def _counts(pieces: tuple[Pieces, ...]) -> tuple[CashCount, ...]:
    return tuple(CashCount(unit_minor=each.unit_minor, count=each.count) for each in pieces)
