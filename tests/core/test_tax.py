"""Tax: one rounding for each rate, on its total, and every cent of what was sold in some row."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from core.tax import TaxRate, tax_totals

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
