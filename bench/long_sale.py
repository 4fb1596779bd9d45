"""A step in a sale of 500 lines with promotions on: what one more scan costs, from the event to the new total.

Each step is what the engine does with a scan, the store's answer given: `read`, `step`, each entry folded, and what the
basket comes to (which display and screen ask for). Every line is another item, so that no line is counted up.
"""

import time
from statistics import median

from core import events as v
from core.catalogue import Item
from core.fold import apply
from core.money import currency
from core.pricing import price
from core.promotion import Promotion, Rulebook
from core.sale import read, step
from core.scan import check_digit
from core.state import Shop, Till, basket_of
from core.step import Facts
from core.tax import TaxRate

LINES = 500
LINES_MEASURED = 50
DAY = "2026-11-24"
NOW = "2026-11-24T14:03:00+01:00"


def step_ms(rounds: int) -> float:
    """The median, over the last lines of so many sales, of milliseconds of the processor for a step."""
    shop = _shop()
    return median(taken for _ in range(rounds) for taken in _sale(shop))


def _sale(shop: Shop) -> list[float]:
    till, taken = Till(), []
    for number in range(LINES + LINES_MEASURED):
        event = v.Scanned(device="scanner", data=_gtin(number))
        item = Item(
            gtin=_gtin(number).zfill(14),
            name=f"Thing {number}",
            unit="each",
            unit_price_minor=99 + number,
            tax="AB"[number % 2],
        )
        began = time.thread_time()
        facts = Facts(business_day=DAY, local_time=NOW, question=read(shop, till, event, DAY), item=item)
        for entry in step(shop, till, event, facts).entries:
            till = apply(till, entry)
        basket = basket_of(till.sale)
        assert basket is not None
        discounts = price(shop, basket).discounts
        if number >= LINES:
            taken.append((time.thread_time() - began) * 1e3)
            assert len(discounts) > 10, "promotions are on"
    return taken


def _shop() -> Shop:
    """40 promotions: percentages and amounts on goods, sets, three for two, a threshold, a total rounded down."""
    items = [_gtin(number).zfill(14) for number in range(LINES)]
    promotions = [
        *(Promotion(id=f"p{n}", reason="10 % off", kind="percent", percent_bp=1_000, items=tuple(items[n : n + 5]))
          for n in range(0, 100, 5)),
        *(Promotion(id=f"m{n}", reason="any 3", kind="mix", buy=3, amount_minor=500, items=tuple(items[n : n + 10]))
          for n in range(50, 200, 10)),
        Promotion(id="three", reason="3 for 2", kind="buy-get", buy=2, get=1, percent_bp=10_000, items=tuple(items[200:260])),
        Promotion(id="each", reason="0.10 off", kind="amount", amount_minor=10, items=tuple(items[260:300])),
        Promotion(id="spend", reason="5.00 off", kind="amount", basket=True, spend_minor=10_000, amount_minor=500),
        Promotion(id="club", reason="2 % off", kind="percent", basket=True, percent_bp=200, group="club"),
        Promotion(id="even", reason="rounded", kind="round-down", amount_minor=5),
    ]  # fmt: skip
    return Shop(
        name="Shop",
        address=(),
        terminal="till-1",
        currency=currency("EUR"),
        taxes=(TaxRate(code="A", rate_bp=1_900), TaxRate(code="B", rate_bp=700)),
        promotions=Rulebook(promotions),
    )


def _gtin(number: int) -> str:
    payload = f"40{number:010d}"
    return payload + check_digit(payload)
