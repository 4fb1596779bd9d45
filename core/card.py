"""Keeps card data out of everything that came from outside: what looks like it is starred before anybody sees it.

A primary account number (ISO/IEC 7812) has 13 to 19 digits, here with single separators between them, and its last
digit is a Luhn check digit. Tracks are those of ISO/IEC 7813.
"""

import re
from typing import Any

_PAN_DIGITS_MIN = 13
_PAN_DIGITS_MAX = 19
_RUN = re.compile(rf"\d(?:[ ._-]?\d){{{_PAN_DIGITS_MIN - 1},}}")
_TRACK_1 = re.compile(r"%?[A-Z]?(\d[\d ]{10,20})\^[^^]{0,40}\^[^?]*\??")
_TRACK_2 = re.compile(r";?(\d{12,19})[=D]\d{4,}[^?\s]*\??")
_SCHEMES = frozenset((first, second) for first in (2, 3, 4, 5, 6) for second in range(10)) | {(8, 1), (8, 2), (9, 7)}
"""What the numbers of schemes begin with: Mastercard 2 and 5, Amex, Diners, JCB 3, Visa 4, others 6, RuPay 81 and 82, Troy 97."""
_DIGIT = re.compile(r"\d")
_MASKED = re.compile(r"[\d *#.Xx_-]*")
_LAST_DIGITS = re.compile(r"(\d{1,4})\D*\Z")


def wipe(text: str) -> str:
    """`text` with every run of digits that holds a card number starred but for the run's last four, and so every track.

    >>> wipe("card 4111 1111 1111 1111 ok"), wipe("till-3/000000000017"), wipe(";4111111111111111=29121010123?")
    ('card **** **** **** 1111 ok', 'till-3/000000000017', '**************************1111')
    """
    if "^" in text:
        text = _TRACK_1.sub(_last_four, text)
    if "=" in text or "D" in text:
        text = _TRACK_2.sub(_last_four, text)
    return _RUN.sub(_starred, text)


def holds_card(text: str) -> bool:
    """Whether `wipe` would find anything."""
    return wipe(text) != text


def wipe_all(value: Any) -> Any:
    """What came as JSON, with every text in it wiped, names of fields too, and None for a number that is a card's.

    13 digits are left: milliseconds of our time have as many.

    >>> wipe_all({"x": ["4111111111111111", 4111111111111111, 1795361327338]})
    {'x': ['************1111', None, 1795361327338]}
    """
    match value:
        case str():
            return wipe(value)
        case int() if value >= 10**_PAN_DIGITS_MIN and holds_card(str(value)):
            return None
        case dict():
            return {wipe_all(name): wipe_all(each) for name, each in value.items()}
        case list():
            return [wipe_all(each) for each in value]
    return value


def is_card_number(code: str) -> bool:
    """Whether the whole of a code may be a card's number.

    >>> is_card_number("4111111111111111"), is_card_number("4006381333931")
    (True, False)
    """
    if not (_PAN_DIGITS_MIN <= len(code) <= _PAN_DIGITS_MAX and code.isascii() and code.isdigit()):
        return False
    digits = [int(digit) for digit in code]
    return (digits[0], digits[1]) in _SCHEMES and _luhn(digits)


def mask(pan: str) -> str:
    """A card number, masked or not, as ``****`` and its last four digits; empty for anything else.

    >>> mask("541333 **** 9999"), mask("4111111111111111"), mask(";4111111111111111=2912?")
    ('****9999', '****1111', '')
    """
    last = _LAST_DIGITS.search(pan) if _MASKED.fullmatch(pan) else None
    return f"****{last[1]}" if last else ""


def _last_four(track: re.Match[str]) -> str:
    return track[1].replace(" ", "")[-4:].rjust(len(track[0]), "*")


def _starred(run: re.Match[str]) -> str:
    digits = [int(digit) for digit in _DIGIT.findall(run[0])]
    if not _holds_pan(digits):
        return run[0]
    starred_count = len(digits) - 4
    return _DIGIT.sub("*", run[0], count=starred_count)


def _holds_pan(digits: list[int]) -> bool:
    """Whether any 13 to 19 consecutive digits of a card scheme's range end in their own check digit."""
    if len(digits) > 4 * _PAN_DIGITS_MAX:  # so long a run nearly always holds one by chance: do not search it
        return True
    return any(
        tuple(digits[start : start + 2]) in _SCHEMES and _luhn(digits[start : start + length])
        for length in range(_PAN_DIGITS_MIN, _PAN_DIGITS_MAX + 1)
        for start in range(len(digits) - length + 1)
    )


def _luhn(digits: list[int]) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1, annex B) of those before it."""
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
