"""A keyboard scanner's keys as strokes, read under the US layout."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codecs.keymap import Keyboard
from drivers.codecs.layouts import layout
from tests.drivers.typing_scanner import (
    BRACKET,
    CAPS_LOCK,
    ENTER,
    KEYPAD,
    LEFT_ALT,
    LEFT_CTRL,
    LEFT_SHIFT,
    RIGHT_ALT,
    TAB,
    Keys,
    alt_code,
    held,
    press,
    typed,
)  # fmt: skip

RIGHT_SHIFT, A, F1, F8, KEYPAD_ENTER = 54, 30, 59, 66, 96


def read(keys: Keys, keyboard: Keyboard | None = None) -> str:
    keyboard = keyboard or Keyboard()
    strokes = [stroke for key in keys if (stroke := keyboard.key(*key)) is not None]
    return layout("us").read(strokes)


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)))
def test_every_printable_character_can_be_typed(text: str) -> None:
    assert read(typed(text, end=[])) == text


def test_the_us_layout_by_example() -> None:
    assert read([key for code in (16, 30, 44, 2, 11) for key in press(code)]) == "qaz10"
    assert read(held(LEFT_SHIFT, [key for code in (16, 3, 39, BRACKET) for key in press(code)])) == "Q@:}"


def test_enter_and_tab_end_a_code() -> None:
    assert read(press(ENTER) + press(KEYPAD_ENTER) + press(TAB)) == "\r\r\t"


def test_either_shift_may_be_let_go_first() -> None:
    both = [(LEFT_SHIFT, 1), (RIGHT_SHIFT, 1), (LEFT_SHIFT, 0), *press(A), (RIGHT_SHIFT, 0), *press(A)]
    assert read(both) == "Aa"


@pytest.mark.parametrize(
    "keys",
    [
        held(LEFT_CTRL, press(BRACKET)),
        alt_code("029"),
        alt_code("0029"),
        alt_code("29"),
        held(RIGHT_ALT, [key for digit in "029" for key in press(KEYPAD[digit])]),
        press(F8),
    ],
)
def test_every_form_of_fnc1(keys: Keys) -> None:
    assert read(keys + press(A), Keyboard(fnc1_key="f8")) == "\x1da"


def test_a_character_by_its_number() -> None:
    assert read(alt_code("65") + alt_code("0233") + alt_code("130")) == "Aéé"
    assert read(alt_code("0128") + alt_code("0129")) == "\0\0", "the euro sign is no single byte, 129 is nothing"


def test_characters_by_number_are_the_same_under_every_layout() -> None:
    keyboard = Keyboard()
    keys = [key for character in "]E04006381333931" for key in alt_code(f"{ord(character):04}")]
    strokes = [stroke for key in keys if (stroke := keyboard.key(*key)) is not None]
    assert layout("fr").read(strokes) == layout("cz").read(strokes) == "]E04006381333931"


def test_the_keypad_gives_digits_whatever_its_lock_says() -> None:
    assert read(press(69) + [key for digit in "0123456789" for key in press(KEYPAD[digit])]) == "0123456789"


def test_a_key_that_stands_for_nothing_is_not_swallowed() -> None:
    assert read(press(F1)) == "\0"
    assert read(press(F8)) == "\0"
    assert read(held(LEFT_ALT, press(A))) == "\0"


def test_caps_lock_turns_letters_around_until_it_is_pressed_again() -> None:
    assert read([*press(CAPS_LOCK), *typed("aB1", end=[]), *press(CAPS_LOCK), *typed("a", end=[])]) == "Ab1a"


def test_repeats_change_nothing() -> None:
    assert read([(A, 1), (A, 2), (A, 0)]) == "a"


def test_after_a_loss_the_keys_that_are_down_count() -> None:
    keyboard = Keyboard()
    keyboard.key(LEFT_SHIFT, 1)
    keyboard.resync([])
    assert read(press(A), keyboard) == "a"
    keyboard.resync([RIGHT_SHIFT, A])
    assert read(press(A), keyboard) == "A"


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(-1, 3))))
def test_any_keys_give_at_most_a_character_each(events: Keys) -> None:
    keyboard = Keyboard()
    assert all(len(read([event], keyboard)) <= 1 for event in events)
