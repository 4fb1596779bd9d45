"""The flows of the till's day: opened with a float, cash in and out, counted blind, closed, and its reports."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import msgspec

from core import entries as e
from core.language import later
from core.money import Currency
from core.takings import Tally
from ui.merchant.flows import Answers, Ask, Flow, Order, Paper, in_turn, plain_order
from ui.merchant.questions import Question, Quick, named
from ui.merchant.selling import reason_question
from ui.say import say

_PIECES: Mapping[str, tuple[int, ...]] = {
    "EUR": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000),
    "CNY": (10, 50, 100, 500, 1000, 2000, 5000, 10000),
    "USD": (1, 5, 10, 25, 50, 100, 200, 500, 1000, 2000, 5000, 10000),
    "GBP": (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000),
    "JPY": (1, 5, 10, 50, 100, 500, 1000, 2000, 5000, 10000),
}
"""Coins and notes in use, in minor units; of other currencies all in steps of 1, 2 and 5 that a drawer may hold."""
_STEPS = tuple(step * 10**power for power in range(5) for step in (1, 2, 5))
_MOVES = (
    Quick(label=later("Change from the safe"), text="loan"),
    Quick(label=later("To the safe"), text="pickup"),
    Quick(label=later("Paid in"), text="paid_in"),
    Quick(label=later("Paid out"), text="paid_out"),
)
_MOVE_REASONS = (later("Change"), later("Cleaning"), later("Postage"), later("Delivery"), later("Advance"))


_PAPER_LENGTH_MAX = 40
_DAYS_OFFERED = 3


def pieces_of(currency: Currency) -> tuple[int, ...]:
    """The coins and notes to count, the largest first."""
    return tuple(reversed(_PIECES.get(currency.code, _STEPS)))


def _float(_: Ask) -> Question:
    hint = say("How much cash lies in the drawer")
    return Question(name="float", kind="amount", title=say("Open the till"), hint=hint, accept=later("Open"), zero=True)


def _which_move(_: Ask) -> Question:
    return Question(name="move", kind="choice", title=say("Cash in or out"), quick=_MOVES)


def _move_amount(_: Ask) -> Question:
    return Question(name="amount", kind="amount", title=say("How much"), accept=later("Next"))


def _move_reason(_: Ask) -> Question:
    return reason_question(title=say("What the cash is for"), quick=named(*_MOVE_REASONS))


def _count(about: Ask, answers: Answers) -> Question | None:
    if "counts" in answers:
        return None
    aside = len(about.sale.parked)
    title = say("Count the drawer")
    if aside:
        title = say.plural("Count the drawer, {count} basket aside", "Count the drawer, {count} baskets aside", aside)
    return Question(
        name="counts", kind="pieces", title=title, accept=later("Counted"),
        pieces=pieces_of(about.currency),
    )  # fmt: skip


def _order_count(_: Ask, answers: Answers) -> Order:
    """``5000:3,100:12``: so many of each."""
    pairs = (each.split(":") for each in answers["counts"].split(",") if each)
    return "till.count", {"counts": [{"unit_minor": int(unit), "count": int(count)} for unit, count in pairs]}


def _close(about: Ask) -> Question:
    counted = about.currency.format(about.view.till.counted_minor or 0)
    asked = say("Counted: {amount}.\nClose the till and the business day?", amount=counted)
    return Question(name="sure", kind="confirm", title=asked, accept=later("Close it"), no=later("Not yet"))


def _day(about: Ask) -> Question:
    return Question(
        name="day", kind="text", title=say("Which business day is it"), hint=say("As 2026-11-24"), length_max=10,
        quick=named(about.view.day.business_day) if about.view.day.business_day else (),
    )  # fmt: skip


def _told(about: Ask, answer: object) -> Paper | None:
    """The report that came with an answer, as rows."""
    report = answer.get("report") if isinstance(answer, dict) else None
    if report is None:
        return None
    if "number" in report:
        z = msgspec.convert(report, e.ZReported)
        return say("Z REPORT {number}", number=z.number), report_rows(z.report, about.currency)
    return say("X REPORT"), report_rows(msgspec.convert(report, e.Report), about.currency)


def report_rows(report: e.Report, currency: Currency) -> tuple[tuple[str, str], ...]:
    """What a merchant looks for in a report; the whole of it is on the paper."""
    money, taken = currency.format, report.takings

    def tally(name: str, counted: Tally) -> tuple[tuple[str, str], ...]:
        return ((f"{name}  {counted.count}", money(counted.amount_minor)),) if counted.count else ()

    kinds = {
        "CASH": say("Cash"),
        "CREDIT": say("Card"),
        "MOBILE": say("Phone"),
        "STORED_VALUE": say("Gift card"),
        "VOUCHER": say("Voucher"),
        "CUST_ACCT": say("On account"),
    }
    rows = [
        (say("Business day"), report.business_day),
        *tally(say("Sales"), taken.sales),
        *tally(say("Refunds"), taken.refunds),
        *tally(say("Discounts"), taken.discounts),
        *tally(say("Gift cards sold"), taken.gift_cards),
        *tally(say("Gift cards taken back"), taken.gift_cards_back),
        *((f"{kinds.get(row.kind, row.kind)}  {row.count}", money(row.amount_minor)) for row in taken.tenders),
        (say("Float"), money(report.float_minor)),
        (say("Should be in the drawer"), money(report.expected_minor)),
    ]
    if report.counted_minor is not None:
        off = report.over_short_minor
        name = say("Over") if off > 0 else say("Short") if off < 0 else say("Over or short")
        rows += [(say("Counted"), money(report.counted_minor)), (name, money(abs(off)))]
    return tuple(rows)


def _paper_number(_: Ask) -> Question:
    return Question(
        name="paper", kind="text", title=say("A sale that was written by hand"), hint=say("Type the number on the paper"),
        accept=later("Next"), length_max=_PAPER_LENGTH_MAX,
    )  # fmt: skip


def _paper_date(about: Ask) -> Question:
    view = about.view
    known = view.till.business_day or view.day.business_day
    now = datetime.fromtimestamp(view.time_ms / 1000, tz=UTC).astimezone()
    today = date.fromisoformat(known) if known else now.date()
    return Question(
        name="written", kind="text", title=say("The date on the paper"), hint=say("As 2026-11-24"), accept=later("Begin"),
        quick=named(*_days_back(today)), length_max=len("2026-11-24"),
    )  # fmt: skip


def _days_back(newest: date) -> tuple[str, ...]:
    """The last days, the newest first."""
    return tuple((newest - timedelta(days=back)).isoformat() for back in range(_DAYS_OFFERED))


def _training(_: Ask) -> Question:
    asked = say("Begin training?\nNothing is really sold until it is ended.")
    return Question(name="sure", kind="confirm", title=asked, accept=later("Begin"), no=later("Not now"))


COUNT = Flow(name="count", label=later("Count again"), event="count_keyed", ask=_count, order=_order_count)
FLOWS = (
    Flow(name="note-seen", label=later("Message read"), event="note_seen_keyed", order=plain_order("note.seen")),
    Flow(
        name="open-till", label=later("Open till"), event="till_open_keyed", ask=in_turn(_float),
        order=lambda about, said: ("till.open", {"float_minor": about.currency.parse(said["float"])}),
    ),
    Flow(
        name="move", label=later("Cash in, out"), event="cash_move_keyed",
        ask=in_turn(_which_move, _move_amount, _move_reason),
        order=lambda about, said: (
            f"till.{said['move']}", {"amount_minor": about.currency.parse(said["amount"]), "reason": said["reason"]}
        ),
    ),
    Flow(
        name="begin-count", label=later("Count till"), event="count_begun_keyed", order=plain_order("till.begin_count")
    ),
    COUNT,
    Flow(
        name="stop-count", label=later("Stop count"), event="count_given_up_keyed",
        order=plain_order("till.give_up_count"),
    ),
    Flow(
        name="close-till", label=later("Close till"), event="till_close_keyed", ask=in_turn(_close),
        order=lambda _, said: ("till.close", {}) if said["sure"] == "yes" else None, told=_told,
    ),
    Flow(name="x", label=later("X report"), event="x_report_keyed", order=plain_order("report.x"), told=_told),
    Flow(name="z", label=later("Z report"), event="z_report_keyed", order=plain_order("report.z"), told=_told),
    Flow(
        name="by-hand", label=later("By hand"), event="paper_sale_keyed", ask=in_turn(_paper_number, _paper_date),
        order=lambda _, said: ("sale.by_hand", {"paper": said["paper"].strip(), "written": said["written"].strip()}),
    ),
    Flow(
        name="training", label=later("Training"), event="training_keyed", ask=in_turn(_training),
        order=lambda _, said: ("till.training", {"on": True}) if said["sure"] == "yes" else None,
    ),
    Flow(
        name="end-training", label=later("End training"), event="training_keyed",
        order=lambda _about, _said: ("till.training", {"on": False}),
    ),
    Flow(
        name="day", label=later("Business day"), event="business_day_keyed", ask=in_turn(_day),
        order=lambda _, said: ("till.business_day", {"business_day": said["day"].strip()}),
    ),
)  # fmt: skip
