"""A keyboard scanner's keys as bytes."""

from hypothesis import given
from hypothesis import strategies as st

from drivers.codecs.keymap import PLAIN, SHIFTED, KeyDecoder

ENTER, TAB, LEFT_SHIFT, RIGHT_SHIFT, LEFT_CTRL, LEFT_ALT, CAPS_LOCK, F1, BRACKET = 28, 15, 42, 54, 29, 56, 58, 59, 27
KEYPAD = {"0": 82, "2": 80, "9": 73}


def press(keys: KeyDecoder, code: int) -> bytes:
    return keys.key(code, 1) + keys.key(code, 0)


def type_(keys: KeyDecoder, text: str, shift: int = LEFT_SHIFT) -> bytes:
    """As a scanner does: shift is pressed and let go around each character that needs it."""
    plain = {character: code for code, character in reversed(PLAIN.items())}
    shifted = {character: code for code, character in reversed(SHIFTED.items())}
    typed = b""
    for character in text:
        if character in plain:
            typed += press(keys, plain[character])
        else:
            typed += keys.key(shift, 1) + press(keys, shifted[character]) + keys.key(shift, 0)
    return typed


@given(st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E)), st.sampled_from([LEFT_SHIFT, RIGHT_SHIFT]))
def test_every_printable_character_can_be_typed(text: str, shift: int) -> None:
    assert type_(KeyDecoder(), text, shift) == text.encode()


def test_the_us_layout_by_example() -> None:
    keys = KeyDecoder()
    assert [press(keys, code) for code in (16, 30, 44, 2, 11)] == [b"q", b"a", b"z", b"1", b"0"]
    keys.key(LEFT_SHIFT, 1)
    assert [press(keys, code) for code in (16, 3, 39, BRACKET)] == [b"Q", b"@", b":", b"}"]


def test_enter_and_tab_end_a_code() -> None:
    keys = KeyDecoder()
    assert press(keys, ENTER) + press(keys, 96) + press(keys, TAB) == b"\r\r\t"


def test_either_shift_may_be_let_go_first() -> None:
    keys = KeyDecoder()
    keys.key(LEFT_SHIFT, 1), keys.key(RIGHT_SHIFT, 1), keys.key(LEFT_SHIFT, 0)
    assert press(keys, 30) == b"A"
    keys.key(RIGHT_SHIFT, 0)
    assert press(keys, 30) == b"a"


def test_fnc1_as_a_control_key() -> None:
    keys = KeyDecoder()
    keys.key(LEFT_CTRL, 1)
    assert press(keys, BRACKET) == b"\x1d"


def test_fnc1_as_alt_029() -> None:
    keys = KeyDecoder()
    keys.key(LEFT_ALT, 1)
    assert b"".join(press(keys, KEYPAD[digit]) for digit in "029") == b""
    assert keys.key(LEFT_ALT, 0) == b"\x1d"
    assert press(keys, 30) == b"a"


def test_a_key_that_stands_for_nothing_is_not_swallowed() -> None:
    assert press(KeyDecoder(), F1) == b"\0"


def test_locks_and_repeats_change_nothing() -> None:
    keys = KeyDecoder()
    assert press(keys, CAPS_LOCK) == b""
    assert keys.key(30, 1) + keys.key(30, 2) + keys.key(30, 0) == b"a"


def test_after_a_loss_the_keys_that_are_down_count() -> None:
    keys = KeyDecoder()
    keys.key(LEFT_SHIFT, 1)
    keys.resync([])
    assert press(keys, 30) == b"a"
    keys.resync([RIGHT_SHIFT, 30])
    assert press(keys, 30) == b"A"


@given(st.lists(st.tuples(st.integers(0, 0xFFFF), st.integers(-1, 3))))
def test_any_keys_give_at_most_a_byte_each(events: list[tuple[int, int]]) -> None:
    keys = KeyDecoder()
    assert all(len(keys.key(code, value)) <= 1 for code, value in events)
