"""A scanner that acts as a keyboard: what it types for a code, under the layout that it is set to."""

from collections.abc import Iterator

from drivers.codecs.layouts import ALTGR, CAPS, SHIFT, Layout, layout

ENTER, TAB, LEFT_SHIFT, LEFT_CTRL, LEFT_ALT, RIGHT_ALT, CAPS_LOCK, SPACE, BRACKET = 28, 15, 42, 29, 56, 100, 58, 57, 27
KEYPAD = dict(zip("0123456789", (82, 79, 80, 81, 75, 76, 77, 71, 72, 73), strict=True))

Keys = list[tuple[int, int]]
"""EV_KEY events: key and value."""


def press(code: int) -> Keys:
    return [(code, 1), (code, 0)]


def held(code: int, keys: Keys) -> Keys:
    return [(code, 1), *keys, (code, 0)]


def alt_code(digits: str) -> Keys:
    """A character by its number on the keypad."""
    return held(LEFT_ALT, [key for digit in digits for key in press(KEYPAD[digit])])


FNC1_AS_CONTROL = held(LEFT_CTRL, press(BRACKET))


def typed(text: str, set_to: str = "us", end: Keys | None = None) -> Keys:
    """As the scanner types it, a GS as Ctrl+]. Raises KeyError for what the layout has no key for."""
    keys = [key for character in text for key in _character(character, layout(set_to))]
    return keys + (press(ENTER) if end is None else end)


def _character(character: str, its: Layout) -> Iterator[tuple[int, int]]:
    if character == "\x1d":
        yield from FNC1_AS_CONTROL
        return
    for strokes in _ways(its, character):
        for stroke in strokes:
            keys = press(stroke & (SHIFT - 1))
            if stroke & ALTGR:
                keys = held(RIGHT_ALT, keys)
            if stroke & SHIFT:
                keys = held(LEFT_SHIFT, keys)
            yield from keys
        return
    raise KeyError(character)


def _ways(its: Layout, character: str) -> Iterator[tuple[int, ...]]:
    """The strokes that give a character: a key, or a dead key and the space bar."""
    plain = sorted(stroke for stroke in its.cells if not stroke & CAPS)
    yield from ((stroke,) for stroke in plain if its.cells[stroke] == character and its.read([stroke]) == character)
    yield from ((stroke, SPACE) for stroke in plain if its.read([stroke, SPACE]) == character)
