"""What an item usually costs and how much of it is bought at once, from its own last sales: what is far outside is asked about.

It is a question against slips of the finger, never a rule: confirmed, anything that is allowed is taken.
"""

from collections.abc import Sequence
from statistics import median_low

import msgspec

SALES_MIN = 20
"""Of fewer sales nothing is said."""
PRICE_FACTOR = 3
QUANTITY_FACTOR = 5
QUANTITY_MILLI_MIN = 10_000
"""Below ten pieces no quantity is unusual."""


class Usual(msgspec.Struct, frozen=True, kw_only=True):
    """The range and the median of an item's last sales: prices for one unit, and thousandths of a unit at once."""

    price_minor: int
    price_low_minor: int
    price_high_minor: int
    quantity_milli: int
    quantity_high_milli: int

    def is_price(self, unit_price_minor: int) -> bool:
        """Whether a price for one unit is near what it was."""
        return (
            self.price_low_minor <= PRICE_FACTOR * unit_price_minor
            and unit_price_minor <= PRICE_FACTOR * self.price_high_minor
        )

    def is_quantity(self, quantity_milli: int) -> bool:
        """Whether a quantity is near what was bought at once."""
        return quantity_milli <= max(QUANTITY_FACTOR * self.quantity_high_milli, QUANTITY_MILLI_MIN)


def usual_of(sold: Sequence[tuple[int, int]]) -> Usual | None:
    """From pairs of a price for one unit and thousandths of a unit, one for each sale; None where there are too few."""
    if len(sold) < SALES_MIN:
        return None
    prices = [price for price, _ in sold]
    quantities = [quantity for _, quantity in sold]
    return Usual(
        price_minor=median_low(prices),
        price_low_minor=min(prices),
        price_high_minor=max(prices),
        quantity_milli=median_low(quantities),
        quantity_high_milli=max(quantities),
    )
