"""Money: whole minor units and the currency they belong to (ISO 4217). A float never touches an amount."""

from collections.abc import Sequence
from typing import Literal

import msgspec

from core.iso4217 import EXPONENTS, NUMBERS

Rounding = Literal["half-up", "half-even", "down"]
"""Halves away from zero, halves to the even multiple, or always towards zero."""


class Currency(msgspec.Struct, frozen=True, kw_only=True):
    """An ISO 4217 currency: its three-letter code and how many decimal places its minor unit has."""

    code: str
    exponent: int

    def format(self, amount_minor: int) -> str:
        """An amount as a person reads it, without the currency's name: ``-1,234.56`` for -123456 EUR cents."""
        sign = "-" if amount_minor < 0 else ""
        whole, part = divmod(abs(amount_minor), 10**self.exponent)
        return f"{sign}{whole:,}" + (f".{part:0{self.exponent}d}" if self.exponent else "")

    def parse(self, text: str) -> int:
        """Minor units from what a person typed (``12.5``, ``12,50``, ``12``). Raises ValueError that names the fault."""
        whole, _, part = text.strip().replace(",", ".").partition(".")
        if not (whole + part).isascii() or not (whole + part).isdigit():
            raise ValueError(f"{text!r} is not an amount: digits and one decimal point are")
        if len(part) > self.exponent:
            raise ValueError(f"{text!r} has more than {self.exponent} decimal places of {self.code}")
        minor_per_unit: int = 10**self.exponent
        return int(whole or "0") * minor_per_unit + int(part.ljust(self.exponent, "0") or "0")


def currency(code: str) -> Currency:
    """The currency of an ISO 4217 code; one that the list does not have is taken to have two decimal places."""
    return Currency(code=code, exponent=EXPONENTS.get(code, 2))


def is_currency(code: str) -> bool:
    """Whether ISO 4217 lists it."""
    return code in NUMBERS


def currency_number(code: str) -> str:
    """The three digits of ISO 4217 (``978`` for EUR). Raises KeyError."""
    return NUMBERS[code]


def round_to(amount_minor: int, unit_minor: int, rounding: Rounding) -> int:
    """The multiple of `unit_minor` (above zero) next to an amount; the same on both sides of zero.

    >>> round_to(998, 5, "half-up"), round_to(-1025, 50, "half-even"), round_to(999, 100, "down")
    (1000, -1000, 900)
    """
    sign = -1 if amount_minor < 0 else 1
    count, rest = divmod(abs(amount_minor), unit_minor)
    if rounding != "down" and (
        2 * rest > unit_minor or (2 * rest == unit_minor and (rounding == "half-up" or count % 2))
    ):
        count += 1
    return sign * count * unit_minor


def share(amount_minor: int, weights: Sequence[int]) -> list[int]:
    """An amount of zero or more in parts like the weights, by largest remainder: the parts add up to it exactly.

    Weights are zero or more, and not all zero where there is something to share. The first of equal remainders gets
    more. While the amount is no more than the sum of the weights, no part is more than its weight.
    """
    whole = sum(weights)
    if amount_minor == 0 or whole == 0:
        return [0] * len(weights)
    if len(weights) == 1:
        return [amount_minor]
    parts = [amount_minor * weight // whole for weight in weights]
    short = amount_minor - sum(parts)
    if short:
        # Python's sort is stable, so that equal remainders stay in their order.
        rests = [-(amount_minor * weight % whole) for weight in weights]
        for place in sorted(range(len(weights)), key=rests.__getitem__)[:short]:
            parts[place] += 1
    return parts


def divide_half_up(numerator: int, denominator: int) -> int:
    """``numerator / denominator`` rounded to the nearest integer, halves away from zero; denominator above zero.

    >>> divide_half_up(5, 2), divide_half_up(-5, 2), divide_half_up(4, 3)
    (3, -3, 1)
    """
    sign = -1 if numerator < 0 else 1
    return sign * ((2 * abs(numerator) + denominator) // (2 * denominator))


def extend(unit_price_minor: int, quantity_milli: int) -> int:
    """A line's amount (POSLog ExtendedAmount): price for one unit times thousandths of a unit, rounded half up."""
    return divide_half_up(unit_price_minor * quantity_milli, 1000)
