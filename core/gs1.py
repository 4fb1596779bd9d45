"""GS1 element strings taken apart: application identifiers with their values, and every rule that a value must keep.

Source: GS1 General Specifications, sections 3 (identifiers), 4.14 (which exclude each other), 7.8 (element strings and
their separator), 7.9 (check digits), 7.12 (centuries); `core.gs1_table` has the formats. Nothing is guessed: where a
scanner has lost a separator and a value can be read in two ways, the code is rejected.
"""

import re
from datetime import date
from itertools import pairwise

from core.gs1_table import Format, ai_at, format_of
from core.iso4217 import CODES

GS = "\x1d"
"""FNC1 as a separator."""

BRACKETED = re.compile(r"\(\d{2,4}\)")

_BRACKETED_AI = re.compile(r"(?<!\\)\((\d{2,4})\)")
_MEASURE = re.compile(r"3[1-6]\d\d|39[0-5]\d")
_ELEMENTS_MAX = 64
_EXCLUDES = {
    "01": ("02", "03", "37", "255", "8006"),
    "02": ("03", "255", "8026"),
    "03": ("37", "235", "8006"),
    "21": ("235",),
    "37": ("8006",),
    "255": ("415", "8006", "8020", "8026"),
    "8006": ("8026",),
    "8017": ("8018",),
}
"""Which cannot stand in one message; each pair once."""
_LOOSE = frozenset(("20", "22", "30", "37", "90", "91", "92", "93", "94", "95", "96", "97", "98", "99"))
"""So short, and with so free a value, that nearly every lot number has one in it by chance."""
_NAMES = frozenset(("10", "21"))
_PRICE = "392"
_COUPONS = frozenset(("8110", "8112"))
"""They stand alone, and their digits have a structure of their own."""


class CodeRejected(ValueError):
    """A code is not what it seems to be. `reason` is a stable name for why (`core.scan.REASONS`)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def parse(text: str, *, is_marked: bool) -> dict[str, str]:
    """Application identifiers and values of an element string as scanners send it, with or without leading FNC1.

    `is_marked` says that a symbology identifier has named it one. Raises CodeRejected.
    """
    content = text.removeprefix(GS)
    pairs = _split(content)
    elements = collect(pairs)
    if GS not in content and pairs:
        ai, value = pairs[-1]
        _refuse_second_reading(ai, value, dict(pairs[:-1]), is_marked=is_marked)
    return elements


def parse_bracketed(text: str) -> dict[str, str]:
    r"""The same of the form that is printed for people, ``(01)04006381333931(10)A17``; ``\(`` is a bracket of a value.

    Raises CodeRejected.
    """
    found = list(_BRACKETED_AI.finditer(text))
    if not found or found[0].start():
        raise CodeRejected("unknown-ai")
    ends = [later.start() for _, later in pairwise(found)] + [len(text)]
    return collect(
        [(ai[1], text[ai.end() : end].replace("\\(", "(").strip()) for ai, end in zip(found, ends, strict=True)]
    )


def collect(pairs: list[tuple[str, str]]) -> dict[str, str]:
    """Elements in their order, checked each by itself and all together. Raises CodeRejected."""
    if not pairs or len(pairs) > _ELEMENTS_MAX:
        raise CodeRejected("length")
    elements: dict[str, str] = {}
    for ai, value in pairs:
        form = format_of(ai)
        if form is None:
            raise CodeRejected("unknown-ai")
        check_value(form, value)
        if ai == "01" and ai in elements:
            raise CodeRejected("doubled" if elements[ai] == value else "glued")
        if elements.setdefault(ai, value) != value:
            raise CodeRejected("duplicate-ai")
    families: dict[str, str] = {}
    for ai in elements:
        if _MEASURE.fullmatch(ai) and families.setdefault(ai[:3], ai) != ai:
            raise CodeRejected("excluded-ai")  # the same measure twice, with other decimals
        if any(other in elements for other in _EXCLUDES.get(ai, ())):
            raise CodeRejected("excluded-ai")
    if "392" in families and "393" in families:
        raise CodeRejected("excluded-ai")
    return elements


def check_value(form: Format, value: str) -> None:
    """Raises CodeRejected for a value that is not as its identifier wants it."""
    if not form.length_min <= len(value) <= form.length_max:
        raise CodeRejected("value-length")
    found = form.pattern.fullmatch(value)
    if found is None:
        raise CodeRejected("value-characters")
    for check, part in zip(form.checks, found.groups(), strict=True):
        if check and part is not None:
            _check(check, part)


def check_digit(payload: str) -> str:
    """The GS1 check digit of a number without it: weights 3 and 1 from the right, modulo 10.

    >>> check_digit("400638133393")
    '1'
    """
    raw = payload.encode()  # sums of bytes run in C
    odd, even = raw[-1::-2], raw[-2::-2]
    return str(-(3 * sum(odd) + sum(even) - 48 * (3 * len(odd) + len(even))) % 10)


def iso_date(yymmdd: str, year: int) -> str:
    """A date as ISO 8601 in the century that is nearest to `year`; day 00 is the month's last.

    >>> iso_date("260200", 2026), iso_date("991231", 2026), iso_date("760101", 2026)
    ('2026-02-28', '1999-12-31', '2076-01-01')
    """
    ahead = int(yymmdd[:2]) - year % 100
    century = year // 100 + (1 if ahead <= -50 else -1 if ahead >= 51 else 0)
    return _day(century * 100 + int(yymmdd[:2]), int(yymmdd[2:4]), int(yymmdd[4:])).isoformat()


# --- taking apart ------------------------------------------------------------------------------------------------


def _split(content: str) -> list[tuple[str, str]]:
    """Identifiers and values as they follow on each other. Raises CodeRejected where they cannot be told apart.

    A value of one length only ends there, separator or not. Any other ends at the separator, or with the code.
    """
    pairs: list[tuple[str, str]] = []
    at = 0
    while at < len(content):
        ai = ai_at(content, at)
        form = format_of(ai) if ai else None
        if ai is None or form is None or len(pairs) >= _ELEMENTS_MAX:
            raise CodeRejected("unknown-ai")
        at += len(ai)
        end = content.find(GS, at)
        end = len(content) if end < 0 else end
        if form.length_min == form.length_max:
            if end - at < form.length_max:
                raise CodeRejected("value-length")
            end = at + form.length_max
        elif end - at > form.length_max:
            raise CodeRejected("value-length" if GS in content else "separator-lost")
        pairs.append((ai, content[at:end]))
        at = end + 1 if content[end : end + 1] == GS else end
    return pairs


def _refuse_second_reading(ai: str, value: str, before: dict[str, str], *, is_marked: bool) -> None:
    """Raises CodeRejected where the last value of a code without any separator may hold further elements."""
    form = format_of(ai)
    if form is None or form.length_min == form.length_max or ai in _COUPONS:
        return
    for cut in range(max(1, form.length_min), len(value)):
        following = ai_at(value, cut)
        if following is None or following in _LOOSE:
            continue
        if ai.startswith(_PRICE) and not value[:cut].strip("0"):
            continue  # nothing costs nothing
        if is_marked and following in _NAMES and (cut < 2 or len(value) - cut - len(following) < 2):
            continue  # a scanner that names its symbols rarely loses the separator, and lots do hold 10 and 21
        try:
            check_value(form, value[:cut])
            collect([*before.items(), (ai, value[:cut]), *_split(value[cut:])])
        except CodeRejected:
            continue
        raise CodeRejected("separator-lost")


# --- what a value must be ----------------------------------------------------------------------------------------


def _check(kind: str, part: str) -> None:
    match kind:
        case "c":
            if check_digit(part[:-1]) != part[-1]:
                raise CodeRejected("check-digit")
        case "d" | "D":
            _check_date(2000 + int(part[:2]), part[2:4], part[4:], may_lack_day=kind == "d")
        case "E":
            _check_date(int(part[:4]), part[4:6], part[6:], may_lack_day=False)
        case "t":
            if not (int(part[:2]) < 24 and int(part[2:]) < 60):
                raise CodeRejected("date")
        case "h" | "m":
            if int(part) >= (24 if kind == "h" else 60):
                raise CodeRejected("date")
        case "i":
            if part not in CODES:
                raise CodeRejected("currency")


def _check_date(year: int, month: str, day: str, *, may_lack_day: bool) -> None:
    try:
        if day == "00" and not may_lack_day:
            raise ValueError("a day is needed")
        _day(year, int(month), int(day))
    except ValueError:
        raise CodeRejected("date") from None


def _day(year: int, month: int, day: int) -> date:
    """A day of the calendar; day 0 is the month's last. Raises ValueError."""
    if day:
        return date(year, month, day)
    if month == 12:
        return date(year, 12, 31)
    return date.fromordinal(date(year, month + 1, 1).toordinal() - 1)
