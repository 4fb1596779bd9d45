"""Keyboard layouts as data: French by hand, all of them against X's keyboard data."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codecs.keymap import Keyboard
from drivers.codecs.layouts import _ROWS, ALTGR, CAPS, LAYOUTS, NOTHING, SHIFT, layout
from tests.drivers.typing_scanner import CAPS_LOCK, LEFT_ALT, LEFT_CTRL, Keys, held, press, typed
from tests.drivers.xkb import Xkb

XKB = {
    "us": "us", "uk": "gb", "fr": "fr", "be": "be", "de": "de", "ch-de": "ch", "ch-fr": "ch:fr", "it": "it", "es": "es",
    "pt": "pt", "se": "se", "dk": "dk", "no": "no", "ca-fr": "ca", "ca": "ca:multix", "jp": "jp", "cz": "cz",
}  # fmt: skip
"""X's name of each."""

WINDOWS = {
    # Its key between Shift and Z, which US keyboards do not have.
    "us": {(0, 86), (1, 86)},
    "uk": {(2, 41)},
    # Shift+² is nothing; ~ and ` with AltGr wait for a letter.
    "fr": {(1, 41), (2, 3), (2, 8)},
    "be": {(2, 5), (2, 6)},
    "ch-de": {(2, 2), (2, 5), (2, 6)},
    "ch-fr": {(2, 2), (2, 5), (2, 6)},
    # The euro sign on the 5; ~ with AltGr waits for a letter.
    "es": {(2, 5), (2, 6)},
    "pt": {(2, 6)},
    "dk": {(2, 6)},
    "no": {(2, 6)},
    "ca": {(2, 27)},
    # Japanese keyboards have no key 86 and nothing on Shift+0.
    "jp": {(0, 86), (1, 86), (1, 11)},
    # AltGr with a digit waits for a letter, as Czech needs its accents.
    "cz": {(2, key) for key in (2, 3, 4, 6, 8, 10, 12, 13, 26, 27, 40, 43)},
}
"""Where Windows, and so a scanner, differs from X: level and key."""

LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
CODE_CHARACTERS = LETTERS + "0123456789" + " -.$/+%:_()=?&*#\"',;"
"""What nearly all codes are made of; every layout has a key or two for each."""


def read(keys: Keys, name: str) -> str:
    keyboard = Keyboard()
    return layout(name).read([stroke for key in keys if (stroke := keyboard.key(*key)) is not None])


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_key_means_what_x_says(name: str) -> None:
    try:
        theirs = Xkb(*XKB[name].split(":"))
    except OSError as error:
        pytest.skip(f"{error} (apt install libxkbcommon0 xkb-data)")
    differing = set()
    for level, with_ in enumerate((0, SHIFT, ALTGR, SHIFT | ALTGR)):
        for key in (key for row in _ROWS for key in row):
            ours, their = layout(name).cells.get(key | with_), theirs.character(key, level)
            if ours is None and (level > 1 or their is None or key in _ROWS[-1]):
                continue  # X gives far more keys a meaning with AltGr
            if ours == NOTHING and their is not None and ord(their) > 0xFF:
                continue
            if ours != their:
                differing.add((level, key))
    assert differing == WINDOWS.get(name, set())


@pytest.mark.parametrize("name", LAYOUTS)
@given(st.text(st.sampled_from(CODE_CHARACTERS), max_size=30))
def test_what_codes_are_made_of_can_be_typed(name: str, text: str) -> None:
    assert read(typed(text, name, end=[]), name) == text


@pytest.mark.parametrize("name", ["us", "uk", "fr", "de", "ch-de", "ch-fr", "es", "se", "dk", "ca-fr"])
@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=30))
def test_these_layouts_have_all_of_ascii(name: str, text: str) -> None:
    assert read(typed(text, name, end=[]), name) == text


def test_french_by_hand() -> None:
    """As printed on the keys of a French keyboard."""
    digits_row = [key for code in range(2, 14) for key in press(code)]
    assert read(digits_row, "fr") == "&é\"'(-è_çà)="
    assert read(held(42, digits_row), "fr") == "1234567890°+"
    assert (
        read([key for code in (4, 5, 6, 7, 9, 10, 11, 12, 13) for key in held(100, press(code))], "fr") == "#{[|\\^@]}"
    )
    assert read([key for code in (16, 17, 30, 39, 40, 43, 44, 50, 51, 52, 53, 86) for key in press(code)], "fr") == (
        "azqmù*w,;:!<"
    )


def test_french_accents_wait_for_the_next_key() -> None:
    circumflex, diaeresis, grave = press(26), held(42, press(26)), held(100, press(8))
    e, x, space = press(18), press(45), press(57)
    assert read(circumflex + e + diaeresis + e + grave + e, "fr") == "êëè"
    assert read(circumflex + space + grave + space, "fr") == "^`"
    assert read(circumflex + x, "fr") == "^x"
    assert read(circumflex + circumflex, "fr") == "^^"
    assert read(circumflex, "fr") == "^"


def test_french_caps_lock_is_a_shift_lock() -> None:
    digits = [key for code in range(2, 12) for key in press(code)]
    assert read([*press(CAPS_LOCK), *digits, *press(16)], "fr") == "1234567890A"
    assert read([*press(CAPS_LOCK), *held(42, press(2)), *held(42, press(16))], "fr") == "&a"
    assert read([*press(CAPS_LOCK), *press(86), *held(100, press(4))], "fr") == "<#"


def test_elsewhere_caps_lock_is_for_letters() -> None:
    assert read([*press(CAPS_LOCK), *press(2), *press(16), *press(39), *press(12)], "de") == "1QÖß"
    assert read([*press(CAPS_LOCK), *press(39)], "ch-de") == "ö", "its Shift gives an é"


def test_altgr_may_be_typed_as_control_and_alt() -> None:
    assert read(held(LEFT_CTRL, held(LEFT_ALT, press(9))), "de") == "["


def test_a_letter_beyond_a_byte_is_told_as_nothing() -> None:
    assert read(press(3), "cz") == NOTHING
    assert read(press(13) + press(18), "cz") == "é"


def test_a_japanese_keyboard_has_keys_of_its_own() -> None:
    assert read(press(124) + press(89) + held(42, press(89)) + press(26), "jp") == "\\\\_@"


@given(st.sampled_from(list(LAYOUTS)), st.lists(st.integers(-255, CAPS * 2)))
def test_any_strokes_give_single_bytes(name: str, strokes: list[int]) -> None:
    layout(name).read(strokes).encode("latin-1")
