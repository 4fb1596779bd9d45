"""Gift cards by the merchant's keys: sold, looked at, paid with, taken back, against a till that records what it is told."""

from typing import Any

import msgspec

from tests.ui.fake_till import FakeTill
from tests.ui.test_counter import watched
from tests.ui.views import IDLE, RINGING, basket, last, line, sale, view

SELLS = ("gift_card_sale_keyed", "balance_keyed", "price_check_keyed")
SOLD: dict[str, Any] = {
    "number": 417,
    "business_day": "2026-11-24",
    "lines": [
        {"line": 1, "name": "Milk", "unit": "each", "quantity_milli": 1000, "left_milli": 1000, "amount_minor": 129}
    ],
    "gift_cards": [
        {"line": 2, "card": "****0004", "amount_minor": 5000, "came_back": False},
        {"line": 3, "card": "****0012", "amount_minor": 1000, "came_back": True},
    ],
}


async def test_one_is_sold_with_any_amount_or_one_of_the_shops(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, *SELLS)))
    async with watched(till, (80, 24)) as screen:
        await screen.press("f3", "f1", "2", "5", "enter")
        assert await screen.orders(1) == [("gift.sell", {"amount_minor": 2500})]
        till.orders.clear()
        shown = view(sale=sale(allowed=(*IDLE, *SELLS)))
        shop = msgspec.structs.replace(shown.shop, gift_card_amounts_minor=(1000, 5000))
        await screen.show(msgspec.structs.replace(shown, shop=shop))
        await screen.press("f3", "f1")
        assert "50.00 EUR" in screen.text()
        await screen.press("2")
        assert await screen.orders(1) == [("gift.sell", {"amount_minor": 5000})]


async def test_one_that_is_awaited_can_be_typed_or_left(till: FakeTill) -> None:
    waits = sale(basket(1), mode="loading", loading_minor=2500, allowed=("code_keyed", "cancel_keyed"))
    till.view = view(sale=waits)
    async with watched(till, (80, 24)) as screen:
        await screen.until(lambda: "A gift card is sold with 25.00" in screen.text())
        await screen.press("f3")
        assert "Swipe or scan it, or type its number" in screen.text()
        await screen.press(*"6006490000000004", "enter")
        assert await screen.orders(1) == [("sale.scan", {"data": "6006490000000004"})]
        await screen.press("f1")
        assert "has not been shown" in screen.told()
        await screen.press("escape")
        assert await screen.orders(2) == [("sale.scan", {"data": "6006490000000004"}), ("sale.cancel", {})]


async def test_its_balance_and_paying_with_it(till: FakeTill) -> None:
    till.view = view(sale=sale(basket(2), allowed=(*RINGING, *SELLS, "account_keyed")))
    async with watched(till, (80, 24)) as screen:
        await screen.press("f10", "k", *"600649", "enter")
        assert await screen.orders(1) == [("sale.price_check", {"data": "600649"})]
        await screen.press("f5")
        assert "Gift card" in screen.text()
        await screen.press("3", *"600649", "enter")
        assert (await screen.orders(2))[1:] == [("sale.scan", {"data": "600649"})]


async def test_what_is_left_is_paid_out(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, "return_keyed", "gift_card_cash_out_keyed")), last=last())
    async with watched(till, (80, 24)) as screen:
        await screen.press("f7")
        assert "Card's rest" in screen.text()
        await screen.press("f3")
        assert await screen.orders(1) == [("gift.cash_out", {})]
        await screen.show(view(sale=sale(basket(1), mode="loading", allowed=("code_keyed", "cancel_keyed"))))
        await screen.until(lambda: "What is left on a gift card is paid out" in screen.text())


async def test_it_stands_among_the_lines(till: FakeTill) -> None:
    gift = line(2, "Gift card ****0004", "", "each", 1000, 5000, {"gift_card": True})
    till.view = view(sale=sale((*basket(1), gift), allowed=RINGING))
    async with watched(till, (80, 24)) as screen:
        assert "Gift card ****0004" in screen.text()
        assert "50.00" in screen.text()


async def test_one_comes_back_by_its_receipt_after_the_goods(till: FakeTill) -> None:
    till.view = view(sale=sale(allowed=(*IDLE, "return_keyed")), last=last())
    till.answers["return.receipt"] = SOLD
    async with watched(till, (80, 24)) as screen:
        await screen.press("f7", "4", "1", "7", "enter")
        await screen.until(lambda: "Gift card ****0004" in screen.text())
        await screen.press("1", "2", "enter", "f1")
        reason = {"number": 417, "reason": "Changed mind"}
        assert (await screen.orders(3))[1:] == [
            ("return.line", {**reason, "line": 1}),
            ("gift.return", {**reason, "line": 2}),
        ]
