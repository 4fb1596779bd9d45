"""Money: exact in every direction, for currencies with none to four decimal places."""

from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.iso4217 import EXPONENTS, NUMBERS
from core.money import (
    Currency,
    Rounding,
    currency,
    currency_number,
    divide_half_up,
    extend,
    is_currency,
    round_to,
    share,
)

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


def test_the_list_of_iso_4217() -> None:
    assert len(NUMBERS) == len(set(NUMBERS.values())) == len(EXPONENTS) > 150
    assert all(len(code) == 3 and len(number) == 3 and number.isdigit() for code, number in NUMBERS.items())
    assert [currency_number(code) for code in ("EUR", "USD", "JPY", "CNY", "KWD", "CHF")] == [
        "978", "840", "392", "156", "414", "756",
    ]  # fmt: skip
    assert is_currency("TND")
    assert not is_currency("EUX")


_MODES: dict[Rounding, str] = {"half-up": ROUND_HALF_UP, "half-even": ROUND_HALF_EVEN, "down": ROUND_DOWN}


@given(AMOUNTS, st.integers(1, 10_000), st.sampled_from(sorted(_MODES)))
def test_rounding_to_the_smallest_coin(amount_minor: int, unit_minor: int, mode: Rounding) -> None:
    units = (Decimal(amount_minor) / unit_minor).quantize(Decimal(1), rounding=_MODES[mode])
    assert round_to(amount_minor, unit_minor, mode) == units * unit_minor


@given(st.lists(st.integers(0, 10**6), min_size=1, max_size=20), st.integers(0, 10**9))
def test_shares_add_up_and_are_as_near_as_can_be(weights: list[int], amount_minor: int) -> None:
    parts = share(amount_minor, weights)
    if sum(weights) == 0:
        assert not any(parts)
        return
    assert sum(parts) == amount_minor
    for part, weight in zip(parts, weights, strict=True):
        assert abs(part * sum(weights) - amount_minor * weight) < sum(weights)
        assert amount_minor > sum(weights) or part <= weight
