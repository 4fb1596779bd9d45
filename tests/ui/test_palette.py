"""The colours can be read by everybody, and stay apart where a terminal has only 256 of them."""

import pytest
from rich.color import Color, ColorSystem

from ui.merchant import palette

READ = (
    *[(colour, ground) for colour in ("TEXT", "MUTED", "AMBER", "GREEN", "RED") for ground in ("GROUND", "PANEL")],
    *[(colour, "STRIPE") for colour in ("TEXT", "MUTED")],
    *[(colour, ground) for colour in ("TEXT", "AMBER") for ground in ("RAISED",)],
    ("TEXT", "PAY"),
    ("TEXT", "BAR"),
    ("TEXT", "INFO"),
    ("GROUND", "PRESSED"),
    ("GROUND", "AMBER"),
    ("NEWEST_TEXT", "NEWEST"),
    ("WARNING_TEXT", "WARNING"),
    ("ERROR_TEXT", "ERROR"),
)
"""Texts and the grounds that they stand on."""

APART = (
    ("RAISED", "PAY"),
    ("RAISED", "PANEL"),
    ("RAISED", "GROUND"),
    ("PAY", "PANEL"),
    ("BAR", "PAY"),
    ("BAR", "GROUND"),
    ("ERROR", "BAR"),
    ("WARNING", "ERROR"),
    ("NEWEST", "AMBER"),
    ("MUTED", "TEXT"),
)


def colour(name: str) -> tuple[int, int, int]:
    red, green, blue = Color.parse(getattr(palette, name)).get_truecolor()
    return red, green, blue


def luminance(name: str) -> float:
    """Relative luminance (WCAG 2.2)."""
    parts = [part / 255 for part in colour(name)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize(("text", "ground"), READ)
def test_every_text_stands_out_from_its_ground(text: str, ground: str) -> None:
    assert contrast(text, ground) >= 7


@pytest.mark.parametrize(("mark", "ground"), [("AMBER", "PAY"), ("GREEN", "BAR"), ("AMBER", "BAR"), ("TEXT", "EDGE")])
def test_every_bold_mark_stands_out_from_its_ground(mark: str, ground: str) -> None:
    assert contrast(mark, ground) >= 4.5


@pytest.mark.parametrize(("one", "other"), APART)
def test_meanings_stay_apart_with_256_colours(one: str, other: str) -> None:
    first, second = (
        Color.parse(getattr(palette, name)).downgrade(ColorSystem.EIGHT_BIT).number for name in (one, other)
    )
    assert first != second
