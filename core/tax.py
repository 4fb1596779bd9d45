"""Tax: a table of rates, and the totals by rate of what was sold. Rounded half up once for each rate, on its total."""

from collections.abc import Iterable

import msgspec

from core.entries import TaxTotal
from core.money import divide_half_up

_WHOLE_BP = 10_000


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A tax class of the shop: `rate_bp` in hundredths of a percent; `included` when prices contain the tax."""

    code: str
    rate_bp: int
    included: bool = True


def tax_totals(rates: Iterable[TaxRate], sold: Iterable[tuple[str, int]]) -> tuple[TaxTotal, ...]:
    """The tax table of `sold`, pairs of a tax class and an amount at shelf prices; rates that sold nothing are left out.

    An amount under a class that the table does not name is taken as free of tax, under that class's own name.
    """
    by_code: dict[str, int] = {}
    for code, amount_minor in sold:
        by_code[code] = by_code.get(code, 0) + amount_minor
    known = {rate.code: rate for rate in rates}
    return tuple(
        _total(known.get(code, TaxRate(code=code, rate_bp=0)), amount) for code, amount in sorted(by_code.items())
    )


def _total(rate: TaxRate, amount_minor: int) -> TaxTotal:
    if rate.included:
        tax_minor = divide_half_up(amount_minor * rate.rate_bp, _WHOLE_BP + rate.rate_bp)
        gross_minor = amount_minor
    else:
        tax_minor = divide_half_up(amount_minor * rate.rate_bp, _WHOLE_BP)
        gross_minor = amount_minor + tax_minor
    return TaxTotal(
        code=rate.code,
        rate_bp=rate.rate_bp,
        included=rate.included,
        gross_minor=gross_minor,
        net_minor=gross_minor - tax_minor,
        tax_minor=tax_minor,
    )
