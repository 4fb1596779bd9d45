"""Weights and prices that a code itself carries: in-store numbers of variable measure, and GS1 elements that say so.

Sources: GS1 General Specifications 2.1.12 (variable measure), 3.6 and 3.8 (measures and amounts), 7.9.2 to 7.9.4 (the
price's own check digit). The layout of in-store numbers is national, hence configuration.
"""

from typing import Literal

import msgspec

from core.gs1 import CodeRejected, check_digit
from core.iso4217 import CODES
from core.money import Currency, currency, divide_half_up

_LOCAL_EXPONENT = 2
"""Decimal places of a price whose currency nobody has named."""

# Results of the four ways in which digits are weighted, by digit [GS1 General Specifications 7.9.2].
_TWO_MINUS = (0, 2, 4, 6, 8, 9, 1, 3, 5, 7)
_THREE = (0, 3, 6, 9, 2, 5, 8, 1, 4, 7)
_FIVE_PLUS = (0, 5, 1, 6, 2, 7, 3, 8, 4, 9)
_FIVE_MINUS = (0, 5, 9, 4, 8, 3, 7, 2, 6, 1)


class VariableMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """An in-store EAN-13 that carries a price or a weight: prefix, item reference, value, check digit.

    `value` says whether the `value_digits` are minor units of currency or grams. With `value_check` a check digit of
    the value's own stands before it. A UPC-A that begins with 2 is an EAN-13 that begins with ``02``.
    """

    prefix: str
    item_digits: int
    value_digits: int
    value: Literal["price", "weight"]
    value_check: bool = False

    def value_of(self, ean: str) -> int:
        """The value in a code. Raises CodeRejected where its own check digit is wrong."""
        begin = len(self.prefix) + self.item_digits + self.value_check
        digits = ean[begin : begin + self.value_digits]
        if self.value_check and value_check_digit(digits) != ean[begin - 1]:
            raise CodeRejected("check-digit")
        return int(digits)

    def key_of(self, ean: str) -> str:
        """The number that the catalogue knows the item by: without the value, and its check digit computed anew."""
        begin = len(self.prefix) + self.item_digits
        end = begin + self.value_check + self.value_digits
        payload = ean[:begin] + "0" * (end - begin) + ean[end:-1]
        return payload + check_digit(payload)


class Amounts(msgspec.Struct, frozen=True, kw_only=True):
    """What elements say of weight and price."""

    weight_g: int | None = None
    price_minor: int | None = None


def layout_of(ean: str, layouts: tuple[VariableMeasure, ...]) -> VariableMeasure | None:
    """The layout of an in-store EAN-13: the one with the longest prefix that it begins with."""
    fitting = [layout for layout in layouts if ean.startswith(layout.prefix)]
    return max(fitting, key=lambda layout: len(layout.prefix), default=None)


def value_check_digit(digits: str) -> str:
    """The check digit of a price or weight of four or five digits.

    >>> value_check_digit("2875"), value_check_digit("14685")
    ('9', '6')
    """
    values = [int(digit) for digit in digits]
    if len(values) == 4:
        weighed = zip((_TWO_MINUS, _TWO_MINUS, _THREE, _FIVE_MINUS), values, strict=True)
        return str(3 * sum(table[value] for table, value in weighed) % 10)
    tables = (_FIVE_PLUS, _TWO_MINUS, _FIVE_MINUS, _FIVE_PLUS, _TWO_MINUS)
    missing = -sum(table[value] for table, value in zip(tables, values, strict=True)) % 10
    return str(_FIVE_MINUS.index(missing))


def amounts(elements: dict[str, str], own: Currency | None) -> Amounts:
    """Net weight in kilograms (AI 310n, to the gram) and price (392n in the shop's currency, 393n in a named one).

    Raises CodeRejected for a price in another currency, or in parts of its minor unit.
    """
    weight_g = price_minor = None
    for ai, value in elements.items():
        match ai[:3]:
            case "310" if len(ai) == 4:
                weight_g = divide_half_up(int(value) * 1000, 10 ** int(ai[3]))
            case "392" if len(ai) == 4:
                price_minor = _minor(value, int(ai[3]), own.exponent if own else _LOCAL_EXPONENT)
            case "393" if len(ai) == 4:
                named = currency(CODES[value[:3]])
                if own is not None and named.code != own.code:
                    raise CodeRejected("currency")
                price_minor = _minor(value[3:], int(ai[3]), named.exponent)
    return Amounts(weight_g=weight_g, price_minor=price_minor)


def _minor(digits: str, places: int, exponent: int) -> int:
    amount, part = divmod(int(digits) * 10**exponent, 10**places)
    if part:
        raise CodeRejected("price")
    return int(amount)
