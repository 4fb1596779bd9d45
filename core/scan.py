"""What a scanned or typed code means, before anything is done with it.

Sources: GS1 General Specifications (GTIN check digit, element strings, restricted circulation numbers); the element
strings themselves are taken apart by biip. The AIM symbology identifier (ISO/IEC 15424) decides where one was sent.
"""

from typing import Literal

import msgspec

from core.card import wipe
from core.text import Message, message

_GS = "\x1d"
_GS1_AIM = {"C1", "e0", "e1", "e2", "d2", "Q3", "J1"}
_GTIN_LENGTHS = {8, 12, 13, 14}
_CODE_LENGTH_MAX = 128


class VariableMeasure(msgspec.Struct, frozen=True, kw_only=True):
    """An in-store EAN-13 that carries a price or a weight: prefix, item reference, value, check digit.

    Its layout is national (GS1 restricted circulation numbers), hence configuration: `prefix` (``21``), `item_digits`
    and `value_digits` after it; `value` says whether these are minor units of currency or grams.
    """

    prefix: str
    item_digits: int
    value_digits: int
    value: Literal["price", "weight"]


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """A code understood: the catalogue's key (GTIN in 14 digits) and what else the code itself says.

    Dates are ISO 8601; `price_minor` and `weight_g` come from codes of variable measure.
    """

    gtin: str
    method: Literal["scanned", "keyed"]
    price_minor: int | None = None
    weight_g: int | None = None
    lot: str | None = None
    use_by: str | None = None
    best_before: str | None = None


def classify(
    data: str, aim: str | None, method: Literal["scanned", "keyed"], layouts: tuple[VariableMeasure, ...] = ()
) -> Reading | Message:
    """The meaning of one code, or why it has none: ``check-digit-wrong``, ``code-not-valid`` or ``code-unknown``."""
    if not data or len(data) > _CODE_LENGTH_MAX:
        return message("code-not-valid", length=len(data))
    if aim in _GS1_AIM or _GS in data or (len(data) > 16 and data.startswith(("01", "(01)"))):
        return _element_strings(data, method)
    if not (data.isascii() and data.isdigit() and len(data) in _GTIN_LENGTHS):
        return message("code-unknown", length=len(data))
    if check_digit(data[:-1]) != data[-1]:
        return message("check-digit-wrong", code=shown(data))
    return _variable_measure(data, method, layouts) or Reading(gtin=data.zfill(14), method=method)


def shown(code: str) -> str:
    """A code that may be told to people: what could be a card's number, with zeros before it or not, keeps its last four
    digits alone."""
    return wipe(code)


def warm() -> None:
    """Loads what `classify` needs for element strings, so that the first such scan is as quick as the next."""
    _element_strings("0100000000000000", "keyed")


def check_digit(payload: str) -> str:
    """The GS1 check digit of a number without it: weights 3 and 1 from the right, modulo 10.

    >>> check_digit("400638133393")
    '1'
    """
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(payload)))
    return str(-total % 10)


def _variable_measure(
    data: str, method: Literal["scanned", "keyed"], layouts: tuple[VariableMeasure, ...]
) -> Reading | None:
    if len(data) != 13:
        return None
    for layout in layouts:
        if not data.startswith(layout.prefix):
            continue
        item_end = len(layout.prefix) + layout.item_digits
        value_end = item_end + layout.value_digits
        value = int(data[item_end:value_end])
        payload = data[:item_end] + "0" * layout.value_digits + data[value_end:-1]
        gtin = (payload + check_digit(payload)).zfill(14)
        if layout.value == "price":
            return Reading(gtin=gtin, method=method, price_minor=value)
        return Reading(gtin=gtin, method=method, weight_g=value)
    return None


def _element_strings(data: str, method: Literal["scanned", "keyed"]) -> Reading | Message:
    from biip import ParseConfig, ParseError  # its tables of GS1 prefixes take longer to load than all the rest
    from biip.gs1_messages import GS1Message

    text = data.removeprefix(_GS)
    try:
        parsed = GS1Message.parse_hri(text) if text.startswith("(") else GS1Message.parse(text, config=ParseConfig())
    except (ParseError, ValueError):
        return message("code-not-valid", length=len(data))
    values = {element.ai.ai: element for element in parsed.element_strings}
    gtin = values.get("01")
    if gtin is None:
        return message("code-unknown", length=len(data))
    if check_digit(gtin.value[:-1]) != gtin.value[-1]:
        return message("check-digit-wrong", code=shown(gtin.value))
    dates = {ai: values[ai].date for ai in ("15", "17") if ai in values}
    if any(date is None for date in dates.values()):
        return message("code-not-valid", length=len(data))
    return Reading(
        gtin=gtin.value,
        method=method,
        lot=wipe(values["10"].value) if "10" in values else None,
        use_by=str(dates["17"]) if "17" in dates else None,
        best_before=str(dates["15"]) if "15" in dates else None,
    )
