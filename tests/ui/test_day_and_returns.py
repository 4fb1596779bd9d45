"""The till's day and goods that come back, on the screen: each order whole, what is told of it, nothing overlaps."""

from typing import Any

import msgspec
import pytest

from core import text
from core.entries import Report, ZReported
from core.money import currency
from core.takings import Row as TakingsRow
from core.takings import Takings, Tally
from core.view import ParkedView, TillView
from tests.ui.fake_till import FakeTill
from tests.ui.test_counter import watched
from tests.ui.views import IDLE, basket, last, sale, view
from ui.merchant.till_day import pieces_of

DAY = (
    "cash_move_keyed", "count_begun_keyed", "count_keyed", "x_report_keyed", "z_report_keyed", "paper_sale_keyed", "training_keyed",
)  # fmt: skip
BACK = ("return_keyed", "unreceipted_return_keyed", "transaction_void_keyed", "invoice_keyed")
COUNTING = TillView(state="counting", sessions=True, session=3)
REPORT = Report(
    session=3, business_day="2026-11-24", currency="EUR", began="2026-11-24T08:00", ended="2026-11-24T20:00",
    float_minor=20000, expected_minor=61240, counted_minor=61190, over_short_minor=-50,
    takings=Takings(sales=Tally(count=41, amount_minor=92010), tenders=(TakingsRow(kind="CASH", count=30, amount_minor=41240),)),
)  # fmt: skip


def sold(*lines: tuple[str, str, int, int, int]) -> dict[str, Any]:
    """The till's answer about a receipt: names, units, quantities, what of them is left, amounts."""
    given = [
        {"line": number, "name": name, "unit": unit, "quantity_milli": had, "left_milli": left, "amount_minor": amount}
        for number, (name, unit, had, left, amount) in enumerate(lines, 1)
    ]
    return {"number": 417, "business_day": "2026-11-24", "lines": given}


THREE = sold(
    ("Espresso", "each", 1000, 1000, 1290), ("Milk", "each", 4000, 3000, 387), ("Bananas", "kg", 642, 642, 128),
    ("Bread", "each", 1000, 0, 300),
)  # fmt: skip
RETURNS: tuple[tuple[str, list[tuple[str, dict[str, Any]]]], ...] = (
    ("f7 4 1 7 enter|1 enter f2", [("return.line", {"number": 417, "line": 1, "reason": "Damaged"})]),
    (
        "f7 4 1 7 enter|2 enter 2 enter f1",
        [("return.line", {"number": 417, "line": 2, "quantity_milli": 2000, "reason": "Changed mind"})],
    ),
    (
        "f7 4 1 7 enter|1 3 enter o l d enter",
        [
            ("return.line", {"number": 417, "line": 1, "reason": "old"}),
            ("return.line", {"number": 417, "line": 3, "reason": "old"}),
        ],
    ),
    ("f7 4 1 7 enter|1 2 3 4 enter f1", [("return.line", {"number": 417, "reason": "Changed mind"})]),
)


async def test_goods_come_back_by_their_receipt(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *BACK)), last=last())
    till.answers["return.receipt"] = THREE
    async with watched(till, (80, 24)) as screen:
        for keys, orders in RETURNS:
            till.orders.clear()
            first, rest = keys.split("|")
            await screen.press(*first.split())
            await screen.until(lambda: "What comes back of receipt 417" in screen.text())
            await screen.until(lambda: "Bananas" in screen.text())
            assert "0.642 kg" in screen.text()
            await screen.press(*rest.split())
            assert (await screen.orders(1 + len(orders)))[1:] == orders, keys


async def test_a_receipt_that_is_scanned_asks_what_comes_back(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *BACK)))
    till.answers["return.receipt"] = THREE
    async with watched(till) as screen:
        await screen.show(view(sale=sale(mode="ringing", receipts=(417,), allowed=BACK)))
        await screen.until(lambda: "What comes back of receipt 417" in screen.text())
        assert till.orders == [("return.receipt", {"number": 417})]


async def test_a_receipt_that_is_scanned_answers_the_question_for_it(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *BACK)))
    till.answers["return.receipt"] = THREE
    async with watched(till) as screen:
        await screen.press("f7")
        assert "Scan the receipt, or type its number" in screen.text()
        await screen.show(view(sale=sale(mode="ringing", receipts=(417,), allowed=BACK)))
        await screen.until(lambda: "What comes back of receipt 417" in screen.text())


async def test_goods_without_a_receipt_and_a_sale_that_never_was(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *BACK)), last=last())
    async with watched(till) as screen:
        await screen.press("f7")
        await screen.touch("quick-1")
        await screen.press("4", "2", "enter", "2", "enter", "f2", "f10", "u", "f2")
        unreceipted = {"data": "42", "quantity_milli": 2000, "reason": "Damaged"}
        assert await screen.orders(2) == [
            ("return.unreceipted", unreceipted),
            ("return.void", {"reason": "Rung up twice"}),
        ]


async def test_a_receipt_of_which_nothing_is_left_is_told(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *BACK)))
    till.answers["return.receipt"] = sold(("Bread", "each", 1000, 0, 300))
    async with watched(till) as screen:
        await screen.press("f7", "9", "enter")
        await screen.until(lambda: "All of receipt 9 came back before" in screen.told())
        assert not screen.counter.panel_open


async def test_what_is_given_back_is_large_and_one_key_away(till: FakeTill) -> None:
    lines = (msgspec.structs.replace(basket(1)[0], quantity_milli=-1000, amount_minor=-1290),)
    till.view = view(sale=sale(lines, owed_minor=1290, due_minor=-1290))
    async with watched(till) as screen:
        assert "TO GIVE BACK EUR" in screen.text()
        await screen.press("f1")
        assert await screen.orders(1) == [("sale.cash", {})]


DAYS: tuple[tuple[str, tuple[str, dict[str, Any]]], ...] = (
    ("f10 m 1 5 0 enter f1", ("till.loan", {"amount_minor": 5000, "reason": "Change"})),
    ("f10 m 4 1 2 . 5 enter t e a enter", ("till.paid_out", {"amount_minor": 1250, "reason": "tea"})),
    ("f10 w", ("till.begin_count", {})),
    ("f10 x", ("report.x", {})),
    ("f10 a 4 1 1 enter", ("receipt.reprint", {"number": 411})),
    ("f10 i 4 1 1 enter A c m e enter enter enter", ("receipt.invoice", {"number": 411, "name": "Acme"})),
    (
        "f10 i 4 1 1 enter A c m e enter D E 1 enter enter",
        ("receipt.invoice", {"number": 411, "name": "Acme", "tax_number": "DE1"}),
    ),
    (
        "f10 i 4 1 1 enter A c m e enter enter M i l l enter Y o r k enter enter",
        ("receipt.invoice", {"number": 411, "name": "Acme", "address": ["Mill", "York"]}),
    ),
    (
        "f10 i 4 1 1 enter A c m e enter enter M enter Y enter Z enter U K enter",
        ("receipt.invoice", {"number": 411, "name": "Acme", "address": ["M", "Y", "Z", "UK"]}),
    ),
    ("f10 h 8 8 enter 2 0 2 6 - 1 1 - 2 3 enter", ("sale.by_hand", {"paper": "88", "written": "2026-11-23"})),
    ("f10 h A 9 enter f2", ("sale.by_hand", {"paper": "A9", "written": "2026-11-23"})),
    ("f10 v enter", ("till.training", {"on": True})),
)


async def test_the_day_leads_to_orders(till: FakeTill) -> None:
    opened = TillView(state="open", sessions=True, session=3)
    till.view = view(sale=sale(allowed=(*IDLE, *DAY, *BACK)), till=opened)
    async with watched(till) as screen:
        for keys, order in DAYS:
            till.orders.clear()
            await screen.press(*keys.split())
            assert await screen.orders(1) == [order], keys


async def test_a_closed_till_is_opened_with_its_float(till: FakeTill) -> None:
    closed = TillView(state="closed", sessions=True)
    till.view = view(sale=sale(allowed=("till_open_keyed", "business_day_keyed")), till=closed)
    async with watched(till, (80, 24)) as screen:
        assert "The till is closed" in screen.text()
        await screen.press("f1")
        assert "The till is closed: nothing is sold" in screen.told()
        await screen.press("f10", "g", "2", "0", "0", "enter", "f10", "b", *"2026-11-24", "enter")
        assert await screen.orders(2) == [
            ("till.open", {"float_minor": 20000}),
            ("till.business_day", {"business_day": "2026-11-24"}),
        ]


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (180, 50)])
async def test_the_drawer_is_counted_blind_and_the_difference_is_told_after_closing(
    till: FakeTill, size: tuple[int, int]
) -> None:
    opened = TillView(state="open", sessions=True, session=3)
    till.view = view(sale=sale(allowed=(*IDLE, *DAY)), till=opened)
    counting = ("count_keyed", "count_given_up_keyed")
    async with watched(till, size) as screen:
        await screen.show(view(sale=sale(allowed=counting), till=COUNTING))
        shown = screen.text()
        for unit in ("200.00", "50.00", "0.01"):
            assert unit in shown
        assert "612" not in shown, "counting is blind"
        await screen.press("1", "2", "backspace", "enter", "enter", "down", "up", "down", "7", "f1")
        counts = [{"unit_minor": 20000, "count": 1}, {"unit_minor": 2000, "count": 7}]
        assert (await screen.orders(1))[-1][0] == "till.count"
        given = till.orders[0][1]["counts"]
        assert given[0] == counts[0]
        assert given[1]["count"] == 7
        counted = msgspec.structs.replace(COUNTING, counted_minor=61190)
        await screen.show(view(sale=sale(allowed=(*counting, "till_close_keyed")), till=counted))
        assert not screen.counter.panel_open
        till.answers["till.close"] = {"report": msgspec.to_builtins(ZReported(number=9, report=REPORT))}
        await screen.press("f10", "y")
        assert "Counted: 611.90." in screen.text()
        await screen.press("enter")
        await screen.until(lambda: "Z REPORT 9" in screen.text())
        shown = screen.text()
        for words in ("Short", "0.50", "612.40", "611.90", "Sales  41", "920.10", "Cash  30"):
            assert words in shown, words
        await screen.press("escape")
        assert "Z REPORT" not in screen.text()
        assert (await screen.orders(2))[1:] == [("till.close", {})]


async def test_what_blocks_closing_is_told(till: FakeTill) -> None:
    counted = msgspec.structs.replace(COUNTING, counted_minor=100)
    till.view = view(sale=sale(allowed=("count_keyed", "count_given_up_keyed", "till_close_keyed")), till=counted)
    till.refusal = text.message("payments-open", count=1, amount_minor=500)
    async with watched(till) as screen:
        await screen.press("f10", "y", "enter")
        await screen.until(lambda: "1 card payments of 5.00 in all are not settled" in screen.told())
        await screen.until(lambda: "Close without these card payments?" in screen.text())
        till.refusal = None
        await screen.press("escape", "f10", "g")
        assert (await screen.orders(2))[1:] == [("till.give_up_count", {})]


async def test_a_till_is_closed_without_open_payments_after_a_question(till: FakeTill) -> None:
    counted = msgspec.structs.replace(COUNTING, counted_minor=100)
    till.view = view(sale=sale(allowed=("count_keyed", "count_given_up_keyed", "till_close_keyed")), till=counted)
    till.refusal = text.message("payments-open", count=1, amount_minor=500)
    async with watched(till) as screen:
        await screen.press("f10", "y", "enter")
        await screen.until(lambda: "Close without these card payments?" in screen.text())
        till.refusal = None
        await screen.press("enter")
        assert await screen.orders(2) == [("till.close", {}), ("till.close", {"open_payments": True})]


async def test_a_till_is_closed_over_parked_baskets_by_a_supervisor(till: FakeTill) -> None:
    counted = msgspec.structs.replace(COUNTING, counted_minor=100)
    closing = view(sale=sale(allowed=("count_keyed", "count_given_up_keyed", "till_close_keyed")), till=counted)
    till.view = closing
    till.refusal = text.message("baskets-parked", count=1, names="Mei")
    mei = ParkedView(number=7, label="Mei", lines=1, total_minor=379, began="")
    async with watched(till) as screen:
        await screen.show(
            view(sale=sale(allowed=("count_keyed", "count_given_up_keyed"), parked=(mei,)), till=COUNTING)
        )
        await screen.press("f10", "w")
        assert "Count the drawer, 1 basket aside" in screen.text()
        await screen.press("escape")
        await screen.show(closing)
        await screen.press("f10", "y", "enter")
        await screen.until(lambda: "Close over these baskets?" in screen.text())
        assert "Put aside still: Mei" in screen.told()
        till.refusal = text.message("supervisor-needed")
        await screen.press("enter")
        await screen.until(lambda: "This takes a supervisor" in screen.text())
        till.refusal = None
        await screen.press("1", "enter", *"384751", "enter")
        closed = {"parked": True, "approver": "1", "approver_pin": "384751"}
        assert (await screen.orders(3))[-1] == ("till.close", closed)


def test_coins_and_notes_are_those_of_the_currency() -> None:
    assert pieces_of(currency("EUR"))[0] == 20000
    assert pieces_of(currency("JPY"))[-1] == 1
    assert pieces_of(currency("XTS")) == tuple(sorted(pieces_of(currency("XTS")), reverse=True))
