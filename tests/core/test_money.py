"""Money: exact in every direction, for currencies with none to four decimal places."""

from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.money import Currency, currency, divide_half_up, extend

CURRENCIES = st.sampled_from([currency(code) for code in ("EUR", "JPY", "KWD", "CLF")])
AMOUNTS = st.integers(-(10**15), 10**15)


@given(CURRENCIES, AMOUNTS)
def test_what_is_shown_is_the_exact_amount(money: Currency, amount_minor: int) -> None:
    shown = Decimal(money.format(amount_minor).replace(",", ""))
    assert shown.scaleb(money.exponent) == amount_minor


@given(CURRENCIES, st.integers(0, 10**15), st.sampled_from(".,"))
def test_what_is_typed_as_it_is_shown_is_the_same_amount(money: Currency, amount_minor: int, point: str) -> None:
    typed = money.format(amount_minor).replace(",", "").replace(".", point)
    assert money.parse(f" {typed} ") == amount_minor


@given(CURRENCIES, st.text())
def test_any_typed_text_is_an_amount_or_named_as_none(money: Currency, text: str) -> None:
    try:
        assert money.parse(text) >= 0
    except ValueError as error:
        assert repr(text) in str(error)  # noqa: PT017  # either outcome is right, and both are checked


@pytest.mark.parametrize("text", ["", ".", "-1", "1e3", "1.234", "1,234.56", "٣", "0x10", "1 2", "NaN", "+1"])
def test_what_is_no_amount_of_euros(text: str) -> None:
    with pytest.raises(ValueError, match=r"amount|decimal places"):
        currency("EUR").parse(text)


@pytest.mark.parametrize(
    ("text", "amount_minor"), [("12", 1200), ("12.5", 1250), ("12,50", 1250), (".5", 50), ("7.", 700)]
)
def test_amounts_as_people_type_them(text: str, amount_minor: int) -> None:
    assert currency("EUR").parse(text) == amount_minor


@given(st.integers(), st.integers(1, 10**12))
def test_halves_go_away_from_zero(numerator: int, denominator: int) -> None:
    quotient = divide_half_up(numerator, denominator)
    assert abs(2 * quotient * denominator - 2 * numerator) <= denominator
    assert divide_half_up(-numerator, denominator) == -quotient


@given(st.integers(0, 10**9), st.integers(0, 10**7))
def test_a_line_is_price_times_quantity(unit_price_minor: int, quantity_milli: int) -> None:
    exact = Decimal(unit_price_minor) * quantity_milli / 1000
    assert extend(unit_price_minor, quantity_milli) == exact.quantize(Decimal(1), rounding=ROUND_HALF_UP)


@pytest.mark.parametrize(
    ("code", "exponent"),
    [("EUR", 2), ("USD", 2), ("JPY", 0), ("UGX", 0), ("XOF", 0), ("TND", 3), ("IQD", 3), ("CLF", 4)],
)
def test_decimal_places_of_iso_4217(code: str, exponent: int) -> None:
    assert currency(code).exponent == exponent
