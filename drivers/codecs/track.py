"""The tracks of a magnetic stripe: ISO/IEC 7811-6 characters, parity and LRC; where ISO/IEC 7813 puts the number.

Everything is read where it lies, in the caller's own bytearray, so that the caller can wipe it; nothing here keeps a
copy. Errors are UnifiedPOS MSR's: START, END, PARITY, LRC.
"""

from typing import Final

from core.events import CardFault

LENGTH_MAX: Final = {1: 79, 2: 40, 3: 107}
"""Characters of a track, both sentinels and the LRC with them."""
_STARTS: Final = {1: b"%", 2: b";", 3: b";+%"}
_END = ord("?")
_BASE: Final = {7: 0x20, 5: 0x30}
"""A character's value counts from here: six bits and parity on track 1, four and parity on the others."""


def number_of(text: memoryview, track: int) -> memoryview | CardFault:
    """The digits of the number in a track's characters, start sentinel first; none where the track begins with others.

    What follows the end sentinel is its LRC, checked where it is there. Spaces inside the number are closed up, in
    place. Track 3 is checked alike and its digits are those after the sentinel (ISO/IEC 4909 puts two more before).
    """
    if not text or text[0] not in _STARTS[track]:
        return CardFault.START
    base = _BASE[7 if text[0] == ord("%") else 5]
    end = next((place for place, character in enumerate(text) if character == _END), None)
    if end is None or len(text) > LENGTH_MAX[track] or len(text) - end > 2:
        return CardFault.END
    if not all(base <= character < base + (64 if base == 0x20 else 16) for character in text):
        return CardFault.PARITY
    if len(text) - end == 2 and lrc(text[: end + 1], base) != text[end + 1] - base:
        return CardFault.LRC
    return _digits(text[1:end])


def lrc(text: memoryview | bytes, base: int) -> int:
    """The exclusive or of all characters' values, both sentinels with them (ISO/IEC 7811-6, even parity over columns)."""
    value = 0
    for character in text:
        value ^= character - base
    return value


def characters(bits: memoryview, track: int, *, lowest_first: bool = False) -> bytearray | CardFault:
    """A track's characters, sentinels included and LRC checked, from its bits as the head saw them, highest bit first.

    The card may have passed either way. The caller wipes what it gets.
    """
    width = 7 if track == 1 else 5
    forwards = _characters(bits, width, backwards=False, lowest_first=lowest_first)
    if not isinstance(forwards, CardFault):
        return forwards
    backwards = _characters(bits, width, backwards=True, lowest_first=lowest_first)
    return backwards if forwards is CardFault.START or not isinstance(backwards, CardFault) else forwards


def _digits(field: memoryview) -> memoryview:
    """The digits that the field begins with, after a format code's letter."""
    start = 1 if field[:1] and 0x41 <= field[0] <= 0x5A else 0
    kept = start
    for place in range(start, len(field)):
        character = field[place]
        if character == 0x20:
            continue
        if not 0x30 <= character <= 0x39:
            break
        field[kept] = character
        kept += 1
    return field[start:kept]


def _characters(bits: memoryview, width: int, *, backwards: bool, lowest_first: bool) -> bytearray | CardFault:
    count = 8 * len(bits)

    def bit(place: int) -> int:
        place = count - 1 - place if backwards else place
        return bits[place >> 3] >> (place & 7 if lowest_first else 7 - (place & 7)) & 1

    # Clocking zeros come first; both start sentinels begin with a one.
    place = next((place for place in range(count) if bit(place)), count)
    base = _BASE[width]
    text = bytearray()
    sum_value = 0
    while place + width <= count:
        value = sum(bit(place + weight) << weight for weight in range(width))
        place += width
        is_odd = value.bit_count() % 2 == 1
        value &= (1 << (width - 1)) - 1
        if not text and (value != (5 if width == 7 else 11) or not is_odd):
            return CardFault.START
        if text[-1:] == b"?":
            if any(bit(after) for after in range(place, count)):
                return _wiped(text, CardFault.END)  # read the wrong way, a stripe may look like a short one by chance
            return _wiped(text, CardFault.PARITY) if not is_odd else _checked(text, sum_value == value)
        if not is_odd:
            return _wiped(text, CardFault.PARITY)
        sum_value ^= value
        text.append(base + value)
    return _wiped(text, CardFault.END if text else CardFault.START)


def _checked(text: bytearray, is_right: bool) -> bytearray | CardFault:
    return text if is_right else _wiped(text, CardFault.LRC)


def _wiped(text: bytearray, fault: CardFault) -> CardFault:
    text[:] = bytes(len(text))
    return fault
