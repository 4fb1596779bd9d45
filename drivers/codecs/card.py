"""Keeps card numbers out of everything that came from outside: what looks like one is starred before anybody sees it.

A primary account number (ISO/IEC 7812) has 13 to 19 digits, here with single separators between them, and its last
digit is a Luhn check digit.
"""

import re

_PAN_DIGITS_MIN = 13
_PAN_DIGITS_MAX = 19
_RUN = re.compile(rf"\d(?:[ ._-]?\d){{{_PAN_DIGITS_MIN - 1},}}")
_DIGIT = re.compile(r"\d")
_LAST_DIGITS = re.compile(r"(\d{1,4})\D*\Z")


def wipe(text: str) -> str:
    """`text` with every run of digits that holds a card number starred but for the run's last four.

    >>> wipe("card 4111 1111 1111 1111 ok"), wipe("till-3/000000000017")
    ('card **** **** **** 1111 ok', 'till-3/000000000017')
    """
    return _RUN.sub(_starred, text)


def mask(pan: str) -> str:
    """A card number, masked or not, as ``****`` and its last four digits; empty when it has none.

    >>> mask("541333 **** 9999"), mask("4111111111111111"), mask("")
    ('****9999', '****1111', '')
    """
    last = _LAST_DIGITS.search(pan)
    return f"****{last[1]}" if last else ""


def _starred(run: re.Match[str]) -> str:
    digits = [int(digit) for digit in _DIGIT.findall(run[0])]
    if not _holds_pan(digits):
        return run[0]
    starred_count = len(digits) - 4
    return _DIGIT.sub("*", run[0], count=starred_count)


def _holds_pan(digits: list[int]) -> bool:
    """Whether any 13 to 19 consecutive digits end in their own check digit."""
    if len(digits) > 4 * _PAN_DIGITS_MAX:  # so long a run nearly always holds one by chance: do not search it
        return True
    return any(
        _luhn(digits[start : start + length])
        for length in range(_PAN_DIGITS_MIN, _PAN_DIGITS_MAX + 1)
        for start in range(len(digits) - length + 1)
    )


def _luhn(digits: list[int]) -> bool:
    """Whether the last digit is the Luhn check digit (ISO/IEC 7812-1, annex B) of those before it."""
    doubled = (sum(divmod(2 * digit, 10)) for digit in digits[-2::-2])
    return (sum(digits[-1::-2]) + sum(doubled)) % 10 == 0
