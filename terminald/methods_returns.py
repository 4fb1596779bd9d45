"""What can come back of a receipt, over the control socket: the screen chooses from it, the orders are in `methods`."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

import msgspec

from core.gift_returns import came_back
from core.history import Original
from core.ports import JournalError
from core.returns import returned_milli
from core.state import Basket, basket_of
from core.text import message
from terminald.control import Method, Params, Refused
from terminald.engine import Engine
from terminald.orders import Orders

_NO_BASKET = Basket(number=0, business_day="")


class ReceiptParams(Params, frozen=True, kw_only=True):
    number: Annotated[int, msgspec.Meta(ge=1, le=10**12)]


def return_methods(
    engine: Engine, orders: Orders, original: Callable[[int, str], Awaitable[Original | None]]
) -> Mapping[str, Method[Any]]:
    """The method table. `original` finds a finished sale by its number."""

    async def receipt(given: ReceiptParams) -> object:
        try:
            found = await original(given.number, "")
        except (TimeoutError, JournalError):
            raise Refused(message("history-not-ready")) from None
        if found is None:
            raise Refused(message("receipt-not-found", number=given.number))
        basket = basket_of(engine.till.sale) or _NO_BASKET
        return {
            "number": found.sold.number,
            "business_day": found.sold.business_day,
            "lines": [
                {
                    "line": line.line,
                    "name": line.name,
                    "unit": line.unit,
                    "quantity_milli": line.quantity_milli,
                    "left_milli": max(0, line.quantity_milli - returned_milli(found, basket, line)),
                    "amount_minor": line.amount_minor - line.discount_minor,
                }
                for line in found.sold.lines
                if line.quantity_milli > 0 and not line.linked
            ],
            "gift_cards": [
                {
                    "line": gift.line,
                    "card": gift.card,
                    "amount_minor": gift.amount_minor,
                    "came_back": came_back(found, basket, gift.line),
                }
                for gift in found.sold.stored_value
                if gift.returned is None
            ],
        }

    return {
        "return.receipt": orders.read(
            "return.receipt",
            "What a receipt was for, how much of each line can still come back, and which gift cards",
            ReceiptParams,
            receipt,
        ),
    }
