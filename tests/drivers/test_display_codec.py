"""The rows of a customer's display: laid out, drawn, and read back by a screen, in whatever pieces they come."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.codecs.display import CLEAR, TABLES, Dialect, Screen, draw, lay_out, set_up

dialects = st.sampled_from(("escpos", "cd5220"))
texts = st.text(st.characters(codec="cp850", min_codepoint=0x20, exclude_characters="\x7f"), max_size=30)


@pytest.mark.parametrize(
    ("left", "right", "row"),
    [
        ("Milk", "1.29", "Milk            1.29"),
        ("A very long name of an item", "1.29", "A very long nam 1.29"),
        ("Corner Shop", "", "Corner Shop         "),
        ("", "1.29", "                1.29"),
        ("x", "123456789012345678901234", "56789012345678901234"),
        ("bad\x1b@\r", "\n1", "bad?@?            ?1"),
    ],
)
def test_a_row(left: str, right: str, row: str) -> None:
    assert lay_out(left, right, 20) == row


@given(st.text(max_size=60), st.text(max_size=60), st.integers(16, 40))
def test_a_row_is_as_long_as_the_display(left: str, right: str, columns: int) -> None:
    assert len(lay_out(left, right, columns)) == columns


@given(dialects, texts, texts, texts, texts)
def test_what_is_drawn_is_what_is_read(dialect: Dialect, a: str, b: str, c: str, d: str) -> None:
    rows = lay_out(a, b, 20), lay_out(c, d, 20)
    screen = Screen(dialect)
    screen.feed(CLEAR + set_up(dialect, "CP850") + draw(dialect, "CP850", rows))
    assert screen.rows == rows


@given(dialects, st.lists(st.integers(1, 7), min_size=1))
def test_pieces_make_no_difference(dialect: Dialect, sizes: list[int]) -> None:
    rows = lay_out("Bratäpfel", "2.50", 20), lay_out("TOTAL EUR", "2.50", 20)
    data = CLEAR + set_up(dialect, "CP850") + draw(dialect, "CP850", rows)
    screen, place = Screen(dialect), 0
    while place < len(data):
        for size in sizes:
            screen.feed(data[place : place + size])
            place += size
    assert screen.rows == rows


@given(dialects, st.binary(max_size=200))
def test_after_noise_the_next_drawing_but_one_is_right(dialect: Dialect, noise: bytes) -> None:
    rows = lay_out("Milk", "1.29", 20), lay_out("TOTAL EUR", "1.29", 20)
    drawing = set_up(dialect, "CP850") + draw(dialect, "CP850", rows)
    screen = Screen(dialect)
    screen.feed(noise + drawing + drawing)
    assert screen.rows == rows


@pytest.mark.parametrize("dialect", ["escpos", "cd5220"])
def test_each_character_table_has_its_number(dialect: Dialect) -> None:
    for codepage in TABLES[dialect]:
        screen = Screen(dialect)
        rows = lay_out("Größe", "7.00", 20), lay_out("café", "", 20)
        screen.feed(set_up(dialect, codepage) + draw(dialect, codepage, rows))
        assert screen.rows == rows


def test_what_a_table_does_not_have_is_a_question_mark() -> None:
    screen = Screen("cd5220")
    screen.feed(set_up("cd5220", "CP850") + draw("cd5220", "CP850", (lay_out("牛奶", "1", 20), lay_out("", "", 20))))
    assert screen.rows[0] == "??                 1"
