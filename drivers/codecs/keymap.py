"""Keys of a scanner that acts as a keyboard, as bytes: the US layout as data, without any display or console.

The numbers are those of Linux' input-event-codes.h, the positions those of the USB HID usage table for keyboards. A key
that stands for nothing becomes a NUL, so that a code with it is refused as binary and never silently shorter.
"""

from collections.abc import Iterable

_ROWS = (
    # first key, plain, with shift
    (2, "1234567890-=", "!@#$%^&*()_+"),
    (16, "qwertyuiop[]", "QWERTYUIOP{}"),
    (30, "asdfghjkl;'`", 'ASDFGHJKL:"~'),
    (43, "\\zxcvbnm,./", "|ZXCVBNM<>?"),
    (57, " ", " "),
    (86, "\\", "|"),
)
_ENTER, _TAB, _KEYPAD_ENTER = 28, 15, 96
_SHIFTS = frozenset((42, 54))
_CONTROLS = frozenset((29, 97))
_ALTS = frozenset((56, 100))
_SILENT = frozenset((58, 69, 70))
"""Caps, Num and Scroll Lock: a headless map has no locks."""
_KEYPAD_DIGITS = {71: 7, 72: 8, 73: 9, 75: 4, 76: 5, 77: 6, 79: 1, 80: 2, 81: 3, 82: 0}
_KEYPAD = {code: str(digit) for code, digit in _KEYPAD_DIGITS.items()} | {55: "*", 74: "-", 78: "+", 83: ".", 98: "/"}

PLAIN = {first + i: key for first, plain, _ in _ROWS for i, key in enumerate(plain)} | _KEYPAD
SHIFTED = {first + i: key for first, _, shifted in _ROWS for i, key in enumerate(shifted)} | _KEYPAD
_ENDS = {_ENTER: b"\r", _KEYPAD_ENTER: b"\r", _TAB: b"\t"}

ALT_DIGITS_MAX = 5

PRESSED = 1
RELEASED = 0


class KeyDecoder:
    """One scanner's keys in, bytes out: Enter is CR, Tab is HT, Ctrl+] and Alt+029 on the keypad are GS (FNC1)."""

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._alt_digits = ""

    def key(self, code: int, value: int) -> bytes:
        """The bytes that an EV_KEY event gives: none, or one. `value` 1 is pressed, 0 released, 2 repeated."""
        if code in _SHIFTS or code in _CONTROLS or code in _ALTS:
            return self._modifier(code, value)
        if value != PRESSED or code in _SILENT:
            return b""
        if self._held & _ALTS:
            return self._with_alt(code)
        if code in _ENDS:
            return _ENDS[code]
        character = (SHIFTED if self._held & _SHIFTS else PLAIN).get(code, "\0")
        if self._held & _CONTROLS:
            return bytes((ord(character.upper()) & 0x1F,)) if "@" <= character.upper() <= "_" else b"\0"
        return character.encode("ascii")

    def resync(self, held: Iterable[int]) -> None:
        """Events were lost: `held` are the keys that are down now."""
        self._held = set(held) & (_SHIFTS | _CONTROLS | _ALTS)
        self._alt_digits = ""

    def _modifier(self, code: int, value: int) -> bytes:
        if value != RELEASED:
            self._held.add(code)
            return b""
        self._held.discard(code)
        if code in _ALTS and self._alt_digits:
            digits, self._alt_digits = self._alt_digits, ""
            return bytes((int(digits) % 256,))
        return b""

    def _with_alt(self, code: int) -> bytes:
        """Alt with the keypad's digits spells a character's number; it comes when Alt is let go."""
        if code not in _KEYPAD_DIGITS or len(self._alt_digits) == ALT_DIGITS_MAX:
            return b"\0"
        self._alt_digits += str(_KEYPAD_DIGITS[code])
        return b""
