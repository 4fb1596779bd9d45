"""What the menu and its questions lead to: each order whole, refusals answered, a supervisor's PIN kept nowhere."""

import gc
from typing import Any

import msgspec
import pytest

from core import text
from core.view import OperatorView, ParkedView, TaxClassView, View
from tests.ui.fake_till import FakeTill
from tests.ui.test_counter import watched
from tests.ui.views import IDLE, RINGING, basket, notice, sale, view
from ui.merchant.actions import ACTIONS, FLOWS, MENU
from ui.merchant.lines import Lines
from ui.merchant.parking import _since
from ui.merchant.questions import QUICK_MAX

GOODS = ("price_check_keyed", "item_keyed", "deposit_return_keyed")
SELLING = (*RINGING, *GOODS, "account_keyed", "coupon_presented", "suspend_keyed")
PRICES = ("line_discount_keyed", "total_discount_keyed", "price_keyed", "tax_exemption_keyed")
TAXES = (TaxClassView(code="A", rate_bp=700), TaxClassView(code="B", rate_bp=1950))
PIN = tuple("730915")


def shop(**changes: Any) -> View:
    """A view of a shop with two taxes."""
    whole = view(**changes)
    return msgspec.structs.replace(whole, shop=msgspec.structs.replace(whole.shop, taxes=TAXES))


OPEN = shop(sale=sale(basket(), allowed=(*SELLING, *PRICES)))
ORDERS: tuple[tuple[str, tuple[str, dict[str, Any]]], ...] = (
    ("f10 k 4 2 enter", ("sale.price_check", {"data": "42"})),
    ("f10 c A 7 x enter", ("sale.coupon", {"code": "A7x"})),
    ("f10 l 1 1 2 . 5 enter f1", ("sale.line_discount", {"percent_bp": 1250, "reason": "Damaged"})),
    ("up up f10 l 2 1 enter r e d enter", ("sale.line_discount", {"amount_minor": 100, "reason": "red", "line": 5})),
    ("f10 l 3", ("sale.line_discount", {})),
    ("f10 d 1 1 0 enter f3", ("sale.total_discount", {"percent_bp": 1000, "reason": "Goodwill"})),
    ("f10 p 0 enter f1", ("sale.price", {"unit_price_minor": 0, "reason": "Price on the shelf"})),
    ("f10 t f1 enter", ("sale.tax_exemption", {"reason": "Diplomat"})),
    ("f10 t f1 D 9 enter", ("sale.tax_exemption", {"reason": "Diplomat", "certificate": "D9"})),
    (
        "f10 n 4 2 enter f3 1 . 5 enter 2",
        ("sale.item", {"data": "42", "name": "Bakery", "unit_price_minor": 150, "tax": "B"}),
    ),
    ("f10 e 4 2 enter 6 enter", ("sale.deposit_return", {"data": "42", "count": 6})),
    ("f6 enter", ("sale.suspend", {})),
    ("f6 m e i enter", ("sale.suspend", {"label": "mei"})),
    ("f5 1 5 enter", ("sale.card", {"amount_minor": 500})),
    ("f5 2 V 7 enter", ("sale.scan", {"data": "V7"})),
    ("f5 3", ("sale.account", {})),
    ("f10 escape f10 l escape delete", ("sale.void", {})),
)


async def test_the_menu_leads_to_orders(till: FakeTill) -> None:
    till.view = OPEN
    async with watched(till) as screen:
        for keys, order in ORDERS:
            till.orders.clear()
            await screen.press(*keys.split())
            assert await screen.orders(1) == [order], keys
            assert not screen.counter.panel_open
            screen.app.query_one(Lines).choose(0)


async def test_the_menu_is_touched(till: FakeTill) -> None:
    till.view = OPEN
    async with watched(till, (80, 24)) as screen:
        for name in ("more", "l", "quick-0", "quick-1", "enter", "quick-2"):
            await screen.touch(name)
        order = ("sale.line_discount", {"percent_bp": 1000, "reason": "Goodwill"})
        assert await screen.orders(1) == [order]


async def test_what_cannot_be_done_now_keeps_its_place_and_says_why(till: FakeTill) -> None:
    till.view = shop(sale=sale(allowed=(*IDLE, *GOODS)))
    async with watched(till) as screen:
        await screen.press("f10", "l")
        assert "No sale is open" in screen.told()
        assert screen.counter.panel_open
        assert "Line discount" in screen.text()
        await screen.press("escape", "f6")
        assert "No basket was put aside" in screen.told()
        assert till.orders == []


async def test_an_unknown_item_is_added_without_typing_its_code_again(till: FakeTill) -> None:
    unknown = notice(1, "error", "item-not-found", code="4006381333931")
    till.view = msgspec.structs.replace(OPEN, notice=unknown)
    async with watched(till) as screen:
        await screen.press("f10", "n")
        assert "4006381333931" in screen.text()
        await screen.press(*"Rye", "enter", "2", "enter", "1")
        added = {"data": "4006381333931", "name": "Rye", "unit_price_minor": 200, "tax": "A"}
        assert await screen.orders(1) == [("sale.item", added)]


async def test_a_tax_that_was_taken_off_is_charged_again(till: FakeTill) -> None:
    till.view = shop(sale=sale(basket(), exempt=True, allowed=(*SELLING, *PRICES)))
    async with watched(till) as screen:
        await screen.press("f10")
        assert "Charge tax" in screen.text()
        await screen.press("t")
        assert await screen.orders(1) == [("sale.tax_exemption", {})]


async def test_what_a_supervisor_must_allow_is_sent_again_with_his_pin(till: FakeTill) -> None:
    till.view = shop(sale=sale(basket(), allowed=SELLING, supervised=PRICES))
    till.refusal = text.message("supervisor-needed")
    async with watched(till) as screen:
        await screen.press("f10", "p", "1", "enter", "f1")
        order = ("sale.price", {"unit_price_minor": 100, "reason": "Price on the shelf"})
        assert await screen.orders(1) == [order]
        await screen.until(lambda: "This takes a supervisor" in screen.told())
        till.refusal = None
        pin = "".join(PIN)
        await screen.press("2", "enter", *pin)
        assert pin not in screen.text()
        assert "\N{BULLET}" * len(pin) in screen.text()
        await screen.press("enter")
        assert await screen.orders(2) == [order, (order[0], {**order[1], "approver": "2", "approver_pin": pin})]
        till.orders.clear()
        await screen.until(lambda: not screen.counter.panel_open)
        gc.collect()
        assert not [each for each in gc.get_objects() if isinstance(each, dict) and _holds(each, pin)]


def _holds(each: dict[Any, Any], pin: str) -> bool:
    return any(isinstance(value, str) and value == pin for value in list(each.values()))


async def test_nobody_sells_before_he_has_signed_on(till: FakeTill) -> None:
    till.view = shop(operator=OperatorView(sign_on=True), sale=sale(allowed=()))
    async with watched(till) as screen:
        assert "Sign on to sell" in screen.text()
        await screen.press("escape", "1", "7", "enter", *PIN)
        assert "".join(PIN) not in screen.text()
        till.refusal = text.message("pin-wrong", tries=4)
        await screen.press("enter")
        assert await screen.orders(1) == [("operator.sign_on", {"operator": "17", "pin": "".join(PIN)})]
        await screen.until(lambda: "Tries left: 4" in screen.told())
        assert "your number" in screen.text()
        signed_on = OperatorView(sign_on=True, id="17", role="cashier")
        await screen.show(shop(operator=signed_on, sale=sale(allowed=(*IDLE, "lock_keyed", "sign_off_keyed"))))
        assert not screen.counter.panel_open
        assert "operator 17" in screen.text()
        till.refusal = None
        till.orders.clear()
        await screen.press("f10", "q", "f10", "o")
        assert await screen.orders(2) == [("operator.lock", {}), ("operator.sign_off", {})]


async def test_what_headquarters_says_is_read_by_a_key_of_the_menu(till: FakeTill) -> None:
    said = text.message("headquarters-says", text="Close at six")
    till.view = shop(sale=sale(allowed=(*IDLE, "note_seen_keyed")), conditions=(said,))
    async with watched(till) as screen:
        assert "Headquarters says: 'Close at six'." in screen.text()
        await screen.press("f10", "r")
        assert await screen.orders(1) == [("note.seen", {})]


async def test_the_first_owner_is_made_on_the_screen(till: FakeTill) -> None:
    till.view = shop(operator=OperatorView(sign_on=True, claim="4711"), sale=sale(allowed=()))
    async with watched(till, (80, 24)) as screen:
        assert "Type 4711" in screen.text()
        await screen.press(*"4711", "enter", "1", "enter", *PIN, "enter", "1", "enter")
        assert "The two PINs are not the same" in screen.told()
        await screen.press(*"4711", "enter", "1", "enter", *PIN, "enter", *PIN, "enter")
        pin = "".join(PIN)
        assert await screen.orders(1) == [("operator.claim", {"claim": "4711", "operator": "1", "pin": pin})]


async def test_a_locked_till_offers_its_operator(till: FakeTill) -> None:
    locked = OperatorView(sign_on=True, id="17", role="cashier", locked=True)
    till.view = shop(operator=locked, sale=sale(basket(), allowed=()))
    async with watched(till, (80, 24)) as screen:
        assert "Locked by operator 17" in screen.text()
        await screen.touch("quick-0")
        await screen.press(*PIN, "enter")
        assert await screen.orders(1) == [("operator.sign_on", {"operator": "17", "pin": "".join(PIN)})]


def parked(count: int) -> tuple[ParkedView, ...]:
    """So many baskets that were put aside."""
    return tuple(
        ParkedView(number=400 + each, label="Mei" if each == 1 else "", lines=each, total_minor=1234 * each, began="")
        for each in range(1, count + 1)
    )


@pytest.mark.parametrize("keys", ["f6 2", "f6 down enter", "f6 down down up enter"])
async def test_a_basket_is_taken_up_again(till: FakeTill, keys: str) -> None:
    till.view = shop(sale=sale(parked=parked(3), allowed=(*IDLE, "resume_keyed")))
    async with watched(till, (80, 24)) as screen:
        assert "Resume 3" in screen.text()
        await screen.press("f6")
        await screen.until(lambda: "Mei" in screen.text())
        assert "number 402" in screen.text()
        assert "24.68" in screen.text()
        await screen.press("escape", *keys.split())
        assert await screen.orders(1) == [("sale.resume", {"number": 402})]


async def test_the_only_basket_is_taken_up_at_once(till: FakeTill) -> None:
    till.view = shop(sale=sale(parked=parked(1), allowed=(*IDLE, "resume_keyed")))
    async with watched(till) as screen:
        await screen.press("f6")
        assert await screen.orders(1) == [("sale.resume", {"number": 401})]


def test_how_long_ago_is_told() -> None:
    began = "2026-11-24T12:00:00+00:00"
    noon_ms = 1795521600000
    for after_s, told in ((5, "just now"), (300, "5 min ago"), (3 * 3600, "3 h ago"), (3 * 86400, "3 days ago")):
        assert _since(began, noon_ms + after_s * 1000) == told
    assert _since("", noon_ms) == ""


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (180, 50), (52, 33)])
async def test_the_menu_and_every_question_fit(till: FakeTill, size: tuple[int, int]) -> None:
    """All words of the menu can be read, and no part of a question is cut off at the screen's end."""
    till.view = msgspec.structs.replace(OPEN, operator=OperatorView(sign_on=True, id="17", role="supervisor"))
    async with watched(till, size) as screen:
        await screen.press("f10")
        await screen.pilot.pause()
        shown = screen.text()
        for entry in MENU:
            assert FLOWS[entry.flow].label in shown, f"{entry.flow}\n{shown}"
        assert "Back" in shown, shown
        for keys in ("l", "1", "1 0 enter", "escape f10 n", "1 enter", "x enter", "1 enter", "escape f1"):
            await screen.press(*keys.split())
            await screen.pilot.pause()
            assert "Back" in screen.text(), f"{keys}\n{screen.text()}"
        await screen.press("escape")


def test_keys_and_letters_are_each_for_one_thing() -> None:
    assert len({entry.letter for entry in MENU}) == len(MENU)
    assert len({action.key for action in ACTIONS}) == len(ACTIONS)
    assert {entry.flow for entry in MENU} <= set(FLOWS)
    assert QUICK_MAX == 9, "a digit chooses each"
