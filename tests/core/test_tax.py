"""Tax: one rounding for each rate, on its total, and every cent of what was sold in some row."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from core.tax import TaxRate, TaxRounding, by_rate, tax_totals

CODES = st.sampled_from("ABC")
SOLD = st.lists(st.tuples(st.sampled_from("ABCX"), st.integers(0, 10**9)), max_size=30)
RATES = st.lists(
    st.builds(TaxRate, code=CODES, rate_bp=st.integers(0, 9_999), included=st.booleans()),
    max_size=3,
    unique_by=lambda rate: rate.code,
)


@given(RATES, SOLD)
def test_rows_add_up(rates: list[TaxRate], sold: list[tuple[str, int]]) -> None:
    totals = tax_totals(rates, sold)
    assert [total.code for total in totals] == sorted({code for code, _ in sold})
    for total in totals:
        shelf_minor = sum(amount for code, amount in sold if code == total.code)
        assert total.gross_minor == total.net_minor + total.tax_minor
        assert (total.gross_minor if total.included else total.net_minor) == shelf_minor


@given(RATES, SOLD)
def test_tax_is_within_half_a_cent_of_the_exact_one(rates: list[TaxRate], sold: list[tuple[str, int]]) -> None:
    for total in tax_totals(rates, sold):
        exact = Fraction(total.net_minor * total.rate_bp, 10_000)
        if not total.included:
            assert abs(exact - total.tax_minor) <= Fraction(1, 2)
        else:
            assert abs(
                Fraction(total.gross_minor * total.rate_bp, 10_000 + total.rate_bp) - total.tax_minor
            ) <= Fraction(1, 2)


@given(RATES, SOLD, st.randoms(use_true_random=False))
def test_the_order_of_the_goods_changes_nothing(
    rates: list[TaxRate], sold: list[tuple[str, int]], random: object
) -> None:
    assert tax_totals(rates, sold) == tax_totals(reversed(rates), reversed(sold))


def test_a_class_without_a_rate_is_free_of_tax() -> None:
    (total,) = tax_totals([], [("Z", 500)])
    assert (total.code, total.rate_bp, total.gross_minor, total.tax_minor) == ("Z", 0, 500, 0)


def test_rounding_is_on_the_total_of_a_rate() -> None:
    """Three lines of 0.05 at 19 %: 0.15 holds 0.02 of tax; by the line it would be 0.03."""
    (total,) = tax_totals([TaxRate(code="A", rate_bp=1900)], [("A", 5)] * 3)
    assert total.tax_minor == 2


def test_tax_on_top() -> None:
    (total,) = tax_totals([TaxRate(code="A", rate_bp=825, included=False)], [("A", 1000)])
    assert (total.net_minor, total.tax_minor, total.gross_minor) == (1000, 83, 1083)


SEVERAL = st.builds(
    lambda code, included, parts: TaxRate(
        code=code,
        included=included,
        parts=tuple(
            TaxRate(code=f"{code}{place}", rate_bp=rate, more_ppm=more, compound=compound, included=included)
            for place, (rate, more, compound) in enumerate(parts)
        ),
    ),
    CODES,
    st.booleans(),
    st.lists(st.tuples(st.integers(0, 3_000), st.integers(0, 99), st.booleans()), min_size=2, max_size=3),
)
ROUNDINGS: st.SearchStrategy[TaxRounding] = st.sampled_from(("total", "line"))
MANY = st.lists(SEVERAL, max_size=3, unique_by=lambda rate: rate.code)
ANY_SOLD = st.lists(st.tuples(st.sampled_from("ABCX"), st.integers(-(10**6), 10**6)), max_size=20)


@given(MANY, ANY_SOLD, ROUNDINGS, st.booleans())
def test_rows_and_their_parts_add_up(
    rates: list[TaxRate], sold: list[tuple[str, int]], rounding: TaxRounding, exempted: bool
) -> None:
    totals = tax_totals(rates, sold, rounding=rounding, exempted=exempted)
    for total in totals:
        shelf_minor = sum(amount for code, amount in sold if code == total.code)
        assert total.gross_minor == total.net_minor + total.tax_minor
        assert shelf_minor == total.net_minor + (total.tax_minor + total.exempt_tax_minor if total.included else 0)
        if total.parts:
            assert sum(part.tax_minor for part in total.parts) == total.tax_minor
        if exempted:
            assert (total.tax_minor, total.exempt) == (0, True)
    assert sum(row.tax_minor for row in by_rate(totals)) == sum(total.tax_minor for total in totals)


@given(MANY, st.integers(0, 10**9))
def test_several_rates_are_within_a_cent_each_of_the_exact_ones(rates: list[TaxRate], amount_minor: int) -> None:
    for rate in rates:
        (total,) = tax_totals([rate], [(rate.code, amount_minor)])
        factor = Fraction(1)
        for part in rate.parts:
            factor += Fraction(part.rate_ppm, 1_000_000) * (factor if part.compound else 1)
        exact = amount_minor - amount_minor / factor if rate.included else amount_minor * (factor - 1)
        # On top, each part is rounded, and a compound one on a base that was.
        assert abs(total.tax_minor - exact) <= (Fraction(1, 2) if rate.included else len(rate.parts))


def test_rounding_by_the_line() -> None:
    """Three lines of 0.05 at 19 %, each with 0.01 of tax."""
    (total,) = tax_totals([TaxRate(code="A", rate_bp=1900)], [("A", 5)] * 3, rounding="line")
    assert total.tax_minor == 3


def test_a_rate_with_three_decimal_places_and_a_tax_on_a_tax() -> None:
    gst = TaxRate(code="GST", rate_bp=500, included=False)
    qst = TaxRate(code="QST", rate_bp=997, more_ppm=50, included=False, compound=True)
    both = TaxRate(code="Q", included=False, parts=(gst, qst))
    (total,) = tax_totals([gst, qst, both], [("Q", 10_000)])
    assert [(part.code, part.taxable_minor, part.tax_minor) for part in total.parts] == [
        ("GST", 10_000, 500),
        ("QST", 10_500, 1_047),
    ]
    (row, other) = by_rate(tax_totals([gst, qst, both], [("Q", 10_000), ("GST", 100)]))
    assert (row.code, row.taxable_minor, row.tax_minor) == ("GST", 10_100, 505)
    assert other.code == "QST"


def test_exempt_is_not_zero() -> None:
    zero, exempt = TaxRate(code="N"), TaxRate(code="Z", exempt=True)
    totals = tax_totals([zero, exempt], [("N", 100), ("Z", 100)])
    assert [(total.code, total.exempt, total.tax_minor) for total in totals] == [("N", False, 0), ("Z", True, 0)]
