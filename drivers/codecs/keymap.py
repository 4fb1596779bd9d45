"""Keys of a scanner that acts as a keyboard, as strokes: what is held is known, which layout it means is not yet.

The numbers are those of Linux' input-event-codes.h, the positions those of the USB HID usage table for keyboards. What
is the same under every layout is told outright: the keypad, control keys, codes typed with Alt, and the ends of a code.
A key that stands for nothing becomes a NUL, so that a code with it is refused as binary and never silently shorter.
"""

from collections.abc import Iterable

from drivers.codecs.layouts import ALTGR, CAPS, NOTHING, SHIFT, layout, literal

_ENTER, _TAB, _KEYPAD_ENTER, _CAPS_LOCK = 28, 15, 96, 58
_SHIFTS = frozenset((42, 54))
_CONTROLS = frozenset((29, 97))
_LEFT_ALT, _RIGHT_ALT = 56, 100
_ALTS = frozenset((_LEFT_ALT, _RIGHT_ALT))
_MODIFIERS = _SHIFTS | _CONTROLS | _ALTS
_SILENT = frozenset((69, 70))
"""Num and Scroll Lock: the keypad always gives digits."""
_KEYPAD_DIGITS = {71: 7, 72: 8, 73: 9, 75: 4, 76: 5, 77: 6, 79: 1, 80: 2, 81: 3, 82: 0}
_KEYPAD = {code: str(digit) for code, digit in _KEYPAD_DIGITS.items()} | {55: "*", 74: "-", 78: "+", 83: ".", 98: "/"}
_TYPED = frozenset((*range(2, 14), *range(16, 28), *range(30, 42), *range(43, 54), 57, 86, 89, 124))
"""The keys whose character is the layout's affair."""
_GS = "\x1d"

ENTER, TAB = literal("\r"), literal("\t")
_ENDS = {_ENTER: ENTER, _KEYPAD_ENTER: ENTER, _TAB: TAB}
FUNCTION_KEYS = {f"f{number}": code for number, code in zip(range(1, 13), (*range(59, 69), 87, 88), strict=True)}

ALT_DIGITS_MAX = 5
DOS_CODE_PAGE = "cp850"
"""What Alt and a number without a leading zero counts in, under Western Windows; with one it is Windows-1252."""

PRESSED = 1
RELEASED = 0


class Keyboard:
    """One scanner's key events in, strokes out, each an int that `layouts.Layout.read` takes.

    Enter is `ENTER`, Tab is `TAB`. GS (FNC1) is Ctrl+], Alt+029 on the keypad, or the function key `fnc1_key`.
    `is_caps` is whether Caps Lock is on.
    """

    def __init__(self, fnc1_key: str = "none") -> None:
        self.is_caps = False
        self._held: set[int] = set()
        self._alt_digits = ""
        self._fnc1 = FUNCTION_KEYS.get(fnc1_key)

    def key(self, code: int, value: int) -> int | None:
        """The stroke that an EV_KEY event completes, if any. `value` 1 is pressed, 0 released, 2 repeated."""
        if code in _MODIFIERS:
            return self._modifier(code, value)
        if value != PRESSED or code in _SILENT:
            return None
        if code in _TYPED and not self._held:
            return code | CAPS if self.is_caps else code
        return self._unusual(code)

    def resync(self, held: Iterable[int], is_caps: bool = False) -> None:
        """Events were lost: `held` are the keys that are down now."""
        self._held = set(held) & _MODIFIERS
        self._alt_digits = ""
        self.is_caps = is_caps

    def _unusual(self, code: int) -> int | None:
        if code == _CAPS_LOCK:
            self.is_caps = not self.is_caps
            return None
        if code in _ENDS and not self._held & _ALTS:
            return _ENDS[code]
        if self._held & _ALTS and code in _KEYPAD_DIGITS:
            return self._alt_digit(code)
        if code == self._fnc1:
            return literal(_GS)
        if code in _KEYPAD and not self._held & _ALTS:
            return literal(_KEYPAD[code])
        if code not in _TYPED:
            return literal(NOTHING)
        return self._chord(code)

    def _chord(self, code: int) -> int:
        """A key of the layout with what is held. AltGr is the right Alt key, or Ctrl with the left one."""
        control = bool(self._held & _CONTROLS)
        altgr = _RIGHT_ALT in self._held or (control and _LEFT_ALT in self._held)
        if _LEFT_ALT in self._held and not altgr:
            return literal(NOTHING)
        if control and not altgr:
            return literal(_control(code))
        with_ = (SHIFT if self._held & _SHIFTS else 0) | (ALTGR if altgr else 0) | (CAPS if self.is_caps else 0)
        return code | with_

    def _modifier(self, code: int, value: int) -> int | None:
        if value != RELEASED:
            self._held.add(code)
            return None
        self._held.discard(code)
        if code in _ALTS and self._alt_digits:
            digits, self._alt_digits = self._alt_digits, ""
            return literal(_by_number(digits))
        return None

    def _alt_digit(self, code: int) -> int | None:
        """Alt with the keypad's digits spells a character's number; it comes when Alt is let go."""
        if len(self._alt_digits) == ALT_DIGITS_MAX:
            return literal(NOTHING)
        self._alt_digits += str(_KEYPAD_DIGITS[code])
        return None


def _control(code: int) -> str:
    """A control character by the key's place on a US keyboard: scanners mean places here, whatever the layout."""
    character = layout("us").cells.get(code, NOTHING).upper()
    return chr(ord(character) & 0x1F) if "@" <= character <= "_" else NOTHING


def _by_number(digits: str) -> str:
    """The character of ``029`` or ``130``, as Windows numbers them; NOTHING where it is no single byte."""
    number = int(digits) % 256
    if number < 0x80:
        return chr(number)
    try:
        character = bytes((number,)).decode("cp1252" if digits[0] == "0" else DOS_CODE_PAGE)
    except UnicodeDecodeError:
        return NOTHING
    return character if ord(character) < 0x100 else NOTHING
