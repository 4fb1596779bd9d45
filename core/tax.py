"""Tax: the shop's table of tax classes, and the totals of what was sold, class by class.

A class has a rate, or several: then each has its part in the class's row. A rate may be charged on the taxes before it
too (compound). A class may be exempt, which is another thing than a rate of zero. Rounded half up, once for each class on
its total or once for each line, as the shop's law has it. With prices that include tax the tax of a class is rounded as a
whole, and its parts are shared out by largest remainder; with tax on top each part is rounded. So all adds up exactly.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from core.entries import TaxPart, TaxTotal
from core.money import divide_half_up, share

_WHOLE_PPM = 1_000_000

TaxRounding = Literal["total", "line"]


class TaxRate(msgspec.Struct, frozen=True, kw_only=True):
    """A tax class of the shop: `rate_bp` in hundredths of a percent; `included` when prices contain the tax.

    `more_ppm` is what of the rate hundredths of a percent do not hold, in millionths: 9.975 % is 997 and 50. `parts` are
    the rates of a class that has several; then it has none of its own. `compound` is one that is charged on the taxes
    before it too.
    """

    code: str
    rate_bp: int = 0
    included: bool = True
    more_ppm: int = 0
    compound: bool = False
    exempt: bool = False
    parts: tuple["TaxRate", ...] = ()

    @property
    def rate_ppm(self) -> int:
        """The whole rate in millionths."""
        return 100 * self.rate_bp + self.more_ppm


def tax_totals(
    rates: Iterable[TaxRate],
    sold: Iterable[tuple[str, int]],
    *,
    rounding: TaxRounding = "total",
    exempted: bool = False,
) -> tuple[TaxTotal, ...]:
    """The tax table of `sold`, pairs of a tax class and an amount at shelf prices; rates that sold nothing are left out.

    `exempted` is a customer who pays no tax: what prices include of it is taken off. An amount under a class that the
    table does not name is taken as free of tax, under that class's own name.
    """
    by_code: dict[str, list[int]] = {}
    for code, amount_minor in sold:
        amounts = by_code.setdefault(code, [])
        if rounding == "line" or not amounts:
            amounts.append(amount_minor)
        else:
            amounts[0] += amount_minor
    known = {rate.code: rate for rate in rates}
    return tuple(
        _total(known.get(code, TaxRate(code=code)), amounts, exempted) for code, amounts in sorted(by_code.items())
    )


def by_rate(totals: Iterable[TaxTotal]) -> tuple[TaxPart, ...]:
    """The same taxes by rate instead of by class; a rate that several classes have is one row."""
    rows: dict[str, TaxPart] = {}
    for total in totals:
        own = TaxPart(
            code=total.code,
            rate_bp=total.rate_bp,
            more_ppm=total.more_ppm,
            taxable_minor=total.net_minor,
            tax_minor=total.tax_minor,
        )
        for part in total.parts or (own,):
            was = rows.get(part.code)
            rows[part.code] = part if was is None else _added(was, part)
    return tuple(row for _, row in sorted(rows.items()))


def _added(one: TaxPart, other: TaxPart) -> TaxPart:
    return msgspec.structs.replace(
        one, taxable_minor=one.taxable_minor + other.taxable_minor, tax_minor=one.tax_minor + other.tax_minor
    )


def _total(rate: TaxRate, amounts: Sequence[int], exempted: bool) -> TaxTotal:
    taxed = [_taxes(rate, amount) for amount in amounts]
    by_part = [sum(column) for column in zip(*taxed, strict=True)]
    tax_minor = sum(by_part)
    net_minor = sum(amounts) - tax_minor if rate.included else sum(amounts)
    free = rate.exempt or exempted
    return TaxTotal(
        code=rate.code,
        rate_bp=rate.rate_bp,
        more_ppm=rate.more_ppm,
        included=rate.included,
        gross_minor=net_minor if free else net_minor + tax_minor,
        net_minor=net_minor,
        tax_minor=0 if free else tax_minor,
        exempt=free,
        exempt_tax_minor=tax_minor if free else 0,
        parts=() if free else _parts(rate, net_minor, by_part),
    )


def _taxes(rate: TaxRate, amount_minor: int) -> list[int]:
    """The tax on an amount by part: one figure for a class with one rate."""
    parts = rate.parts or (rate,)
    if rate.exempt:
        return [0] * len(parts)
    if not rate.included:
        return _on_top(parts, amount_minor)
    if len(parts) == 1:
        return [divide_half_up(amount_minor * rate.rate_ppm, _WHOLE_PPM + rate.rate_ppm)]
    # As fractions of the net amount over one denominator, so that a tax on a tax is exact.
    whole = _WHOLE_PPM ** len(parts)
    weights: list[int] = []
    for part in parts:
        base = whole + (sum(weights) if part.compound else 0)
        weights.append(base * part.rate_ppm // _WHOLE_PPM)
    tax_minor = divide_half_up(amount_minor * sum(weights), whole + sum(weights))
    sign = -1 if tax_minor < 0 else 1
    return [sign * part_minor for part_minor in share(abs(tax_minor), weights)]


def _on_top(parts: Sequence[TaxRate], amount_minor: int) -> list[int]:
    taxes: list[int] = []
    for part in parts:
        base = amount_minor + (sum(taxes) if part.compound else 0)
        taxes.append(divide_half_up(base * part.rate_ppm, _WHOLE_PPM))
    return taxes


def _parts(rate: TaxRate, net_minor: int, by_part: Sequence[int]) -> tuple[TaxPart, ...]:
    return tuple(
        TaxPart(
            code=part.code,
            rate_bp=part.rate_bp,
            more_ppm=part.more_ppm,
            taxable_minor=net_minor + (sum(by_part[:place]) if part.compound else 0),
            tax_minor=by_part[place],
        )
        for place, part in enumerate(rate.parts)
    )
