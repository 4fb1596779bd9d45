"""Gift cards over the control socket. One is shown, or pays, by `sale.scan` with its number, as by a swipe."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from core import events as v
from core.goods import LINES_MAX
from terminald.control import Method
from terminald.orders import Keyed, Orders

TEXT_LENGTH_MAX = 1_024


class SellParams(Keyed, frozen=True, kw_only=True):
    amount_minor: int


class BalanceParams(Keyed, frozen=True, kw_only=True):
    data: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)]


class GiftCardReturnParams(Keyed, frozen=True, kw_only=True):
    number: Annotated[int, msgspec.Meta(ge=0, le=10**10)] = 0
    line: Annotated[int, msgspec.Meta(ge=0, le=LINES_MAX)] = 0
    reason: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)] = ""


def gift_card_methods(orders: Orders) -> Mapping[str, Method[Any]]:
    """The methods of this area."""
    return {
        "gift.sell": orders.keyed(
            "Sells a gift card, or loads one, with so much in minor units; which one is shown next",
            SellParams,
            lambda p: v.GiftCardSaleKeyed(amount_minor=p.amount_minor),
        ),
        "gift.balance": orders.keyed(
            "Asks what is on a gift card, by its number; the answer is a notice",
            BalanceParams,
            lambda p: v.BalanceKeyed(data=p.data),
        ),
        "gift.cash_out": orders.keyed(
            "Pays out what is left on a gift card, up to the shop's limit; which one is shown next",
            Keyed,
            lambda _: v.GiftCardCashOutKeyed(),
        ),
        "gift.return": orders.keyed(
            "Takes a gift card of a finished sale back: a line of it, or its only one; number 0 is the receipt shown last",
            GiftCardReturnParams,
            lambda p: v.GiftCardReturnKeyed(number=p.number, line=p.line, reason=p.reason),
        ),
    }
