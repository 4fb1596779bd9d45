"""Money: whole minor units and the currency they belong to (ISO 4217). A float never touches an amount."""

import msgspec

# Decimal places by ISO 4217 currency code; what is not listed has two.
_EXPONENTS = {
    **dict.fromkeys(
        ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF",
         "XPF"), 0
    ),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
    **dict.fromkeys(("CLF", "UYW"), 4),
}  # fmt: skip


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
    """The currency of an ISO 4217 code."""
    return Currency(code=code, exponent=_EXPONENTS.get(code, 2))


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
