"""What a till has taken, summed up: the rows of its X and Z reports, and the grand totals that never go back to zero.

These are values that add up and nothing else; what entry adds to which of them is in `core.till`.
"""

from collections.abc import Iterable

import msgspec


class Tally(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How often, and how much in all (minor units)."""

    count: int = 0
    amount_minor: int = 0

    def add(self, amount_minor: int, count: int = 1) -> "Tally":
        """The tally with one more."""
        return Tally(count=self.count + count, amount_minor=self.amount_minor + amount_minor)


class Row(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A tally of one kind: of tender (ARTS TenderTypeCode), of cash moved, or of one operator."""

    kind: str
    count: int = 0
    amount_minor: int = 0


class TaxRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was sold at one rate, less what was given back. Rates as in `core.entries.TaxTotal`; a class with several has
    one row for the class."""

    code: str
    rate_bp: int
    included: bool = True
    more_ppm: int = 0
    exempt: bool = False
    gross_minor: int = 0
    net_minor: int = 0
    tax_minor: int = 0


class Takings(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What was taken in one session. Refunds and moves of cash out of the till count up from zero.

    `sales` are completed transactions, without what came back in them, which is in `refunds`; `undone` are sales that were
    made undone as a whole (POSLog post-void), of this session or of one before. `cancelled` baskets that were given up and `voided` lines that were taken back,
    neither of which is in any other row. `discounts` counts transactions that had any. `tenders` is what was taken, change
    already given back, `refund_tenders` what was given back. `written` are the sales, of all, that had been written by hand.
    `rounding_minor` is what cash paid more than the totals (less, below zero). `absolute_minor` is what changed hands,
    whichever way: it can never go down. `gift_cards` were sold or loaded and `gift_cards_back` taken back: the shop owes that
    money, it is in `tenders` and in no other row.
    """

    sales: Tally = Tally()
    refunds: Tally = Tally()
    undone: Tally = Tally()
    cancelled: Tally = Tally()
    voided: Tally = Tally()
    discounts: Tally = Tally()
    written: Tally = Tally()
    gift_cards: Tally = Tally()
    gift_cards_back: Tally = Tally()
    no_sales: int = 0
    copies: int = 0
    rounding_minor: int = 0
    absolute_minor: int = 0
    tenders: tuple[Row, ...] = ()
    refund_tenders: tuple[Row, ...] = ()
    moves: tuple[Row, ...] = ()
    taxes: tuple[TaxRow, ...] = ()
    operators: tuple[Row, ...] = ()


class GrandTotal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that was sold in a period: a shift, a day (``2026-11-24``), a month, a year, or ever (``""``).

    `amount_minor` is sales less what went back; `absolute_minor` adds that too, and so can never go down.
    """

    period: str
    count: int = 0
    amount_minor: int = 0
    absolute_minor: int = 0


def rolled(total: GrandTotal, period: str, shift: GrandTotal) -> GrandTotal:
    """A period's total with a shift in it; a new period begins at zero."""
    was = total if total.period == period else GrandTotal(period=period)
    return GrandTotal(
        period=period,
        count=was.count + shift.count,
        amount_minor=was.amount_minor + shift.amount_minor,
        absolute_minor=was.absolute_minor + shift.absolute_minor,
    )


def counted(rows: tuple[Row, ...], kind: str, amount_minor: int, count: int = 1) -> tuple[Row, ...]:
    """The rows with one more of a kind, in the order of their kinds."""
    by_kind = {row.kind: row for row in rows}
    was = by_kind.get(kind, Row(kind=kind))
    by_kind[kind] = Row(kind=kind, count=was.count + count, amount_minor=was.amount_minor + amount_minor)
    return tuple(by_kind[each] for each in sorted(by_kind))


def less(taken: Takings, told: Takings) -> Takings:
    """What is left of it without what was told before."""
    return Takings(
        sales=_fewer(taken.sales, told.sales),
        refunds=_fewer(taken.refunds, told.refunds),
        undone=_fewer(taken.undone, told.undone),
        cancelled=_fewer(taken.cancelled, told.cancelled),
        voided=_fewer(taken.voided, told.voided),
        discounts=_fewer(taken.discounts, told.discounts),
        written=_fewer(taken.written, told.written),
        gift_cards=_fewer(taken.gift_cards, told.gift_cards),
        gift_cards_back=_fewer(taken.gift_cards_back, told.gift_cards_back),
        no_sales=taken.no_sales - told.no_sales,
        copies=taken.copies - told.copies,
        rounding_minor=taken.rounding_minor - told.rounding_minor,
        absolute_minor=taken.absolute_minor - told.absolute_minor,
        tenders=_without(taken.tenders, told.tenders),
        refund_tenders=_without(taken.refund_tenders, told.refund_tenders),
        moves=_without(taken.moves, told.moves),
        operators=_without(taken.operators, told.operators),
        taxes=tuple(row for row in taxed(taken.taxes, told.taxes, -1) if row.gross_minor or row.net_minor),
    )


def _fewer(tally: Tally, told: Tally) -> Tally:
    return tally.add(-told.amount_minor, -told.count)


def _without(rows: tuple[Row, ...], told: tuple[Row, ...]) -> tuple[Row, ...]:
    for row in told:
        rows = counted(rows, row.kind, -row.amount_minor, -row.count)
    return tuple(row for row in rows if row.count or row.amount_minor)


def amount_of(rows: Iterable[Row], kind: str) -> int:
    """What one kind comes to (minor units)."""
    return sum(row.amount_minor for row in rows if row.kind == kind)


def taxed(rows: tuple[TaxRow, ...], more: Iterable[TaxRow], sign: int = 1) -> tuple[TaxRow, ...]:
    """The rows with more added to them, or with `sign` -1 taken off; rates of their own rows, in order."""
    by_rate = {_rate(row): row for row in rows}
    for row in more:
        was = by_rate.get(_rate(row), TaxRow(code=row.code, rate_bp=row.rate_bp))
        by_rate[_rate(row)] = msgspec.structs.replace(
            row,
            gross_minor=was.gross_minor + sign * row.gross_minor,
            net_minor=was.net_minor + sign * row.net_minor,
            tax_minor=was.tax_minor + sign * row.tax_minor,
        )
    return tuple(by_rate[key] for key in sorted(by_rate))


def _rate(row: TaxRow) -> tuple[str, int, int, bool, bool]:
    return row.code, row.rate_bp, row.more_ppm, row.included, row.exempt
