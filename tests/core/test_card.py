"""What looks like card data is starred, whatever it stands in; what does not stays as it is."""

import pytest

from core.card import holds_card, mask, wipe, wipe_all


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("4111111111111111", "************1111"),
        ("4111-1111-1111-1111", "****-****-****-1111"),
        ("card 378282246310005 declined", "card ***********0005 declined"),
        ("LOT4111111111111111", "LOT************1111"),
        (";4111111111111111=29121010000000123?", 32 * "*" + "1111"),
        ("%B4111111111111111^DOE/JANE^29121010000000123?", 42 * "*" + "1111"),
        ("4111111111111111D29121010000000123F", 31 * "*" + "1111"),
        ("two 5555555555554444, 6011111111111117", "two ************4444, ************1117"),
    ],
)
def test_card_data_is_starred(text: str, left: str) -> None:
    assert wipe(text) == left
    assert holds_card(text)


@pytest.mark.parametrize(
    "text",
    [
        "4006381333931",  # a GTIN, and no card's check digit
        "08715700421360",  # a GTIN whose digits pass Luhn, in no scheme's range
        "4111111111111112",
        "till-3/000000000017",
        "2026-11-24T18:00",
        "",
    ],
)
def test_other_numbers_stay(text: str) -> None:
    assert wipe(text) == text
    assert not holds_card(text)


@pytest.mark.parametrize(
    ("pan", "shown"),
    [
        ("541333******9999", "****9999"),
        ("541333 XXXX 9999", "****9999"),
        ("4111111111111111", "****1111"),
        (";4111111111111111=29121010000000123?", ""),
        ("DOE/JANE 1234", ""),
        ("", ""),
    ],
)
def test_a_masked_number_shows_four_digits_and_nothing_else(pan: str, shown: str) -> None:
    assert mask(pan) == shown


def test_what_came_as_json_is_wiped_to_the_last_field() -> None:
    told = {
        "4111111111111111": [4111111111111111, {"x": "4111111111111111"}],
        "ts": 2000000000008,
        "on": True,
        "f": 1.5,
    }
    assert wipe_all(told) == {
        "************1111": [None, {"x": "************1111"}],
        "ts": 2000000000008,
        "on": True,
        "f": 1.5,
    }
