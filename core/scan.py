"""What a scanned or typed code means, before anything is done with it: one code, one meaning, or a reason why it has none.

Sources: GS1 General Specifications (GTIN, restricted circulation numbers, coupons; `core.gs1`, `core.digital_link`), the
AIM symbology identifiers (ISO/IEC 15424), which decide where one was sent, and `core.wallet`. Nothing is guessed: what
can be read in two ways is rejected, and no code that is not understood is repeated to anybody.
"""

import re
from typing import Literal

import msgspec

from core import digital_link, gs1, receipt_code
from core.card import holds_card, is_card_number, wipe
from core.gift_card import is_gift_card
from core.gs1 import GS, CodeRejected, check_digit
from core.measure import VariableMeasure, amounts, layout_of
from core.money import Currency
from core.stripe import CardRange, is_issued, is_payment
from core.text import Message, message
from core.wallet import CPM_BEGIN, Wallet, check_cpm, is_mpm, payer_of

__all__ = [
    "CodeRules",
    "Kind",
    "Reading",
    "Scan",
    "VariableMeasure",
    "check_digit",
    "classify",
    "reading",
    "refusal",
    "shown",
]

Kind = Literal[
    "gtin", "gs1", "digital_link", "variable_measure", "wallet", "voucher", "receipt", "staff", "loyalty", "gift_card",
    "unknown", "rejected",
]  # fmt: skip
Method = Literal["scanned", "keyed"]

CODE_LENGTH_MAX = 2_048
"""Characters. A GS1 DataMatrix holds 2,335."""

GS1_AIMS = frozenset(("C1", "e0", "e1", "e2", "d2", "d5", "Q3", "Q4", "J1", "J4"))
_NUMBER_AIMS = frozenset(("E0", "E1", "E2", "E3", "E4", "I0", "I1"))
"""EAN/UPC and ITF: what they hold is a GTIN and nothing else."""
_AIM = re.compile(r"\]([A-Za-z][0-9A-Za-z])")
_CONTROL = re.compile(r"[\x00-\x1c\x1e\x1f\x7f]")
_OUTER = "".join(map(chr, (*range(0x1D), 0x1E, 0x1F, 0x20, 0x7F)))
"""What a scanner's prefix and suffix may leave around a code; FNC1 in front is a part of it."""
_GTIN_LENGTHS = (8, 12, 13, 14)
_EAN_LENGTHS = (12, 13)
"""What has so many digits and a wrong check digit was misread, whatever it begins with."""
_BETWEEN = re.compile("[ ,;|/-]+")
_ADD_ON_LENGTHS = (15, 18)
_RESTRICTED = re.compile(r"02|04|2")
"""GTIN-13 for restricted circulation: 020 to 029, 040 to 049, 200 to 299."""
_COUPON = re.compile(r"98[0-4]|99")
"""GTIN-13 for refund receipts (980), coupons of a currency area (981 to 984) and others (99)."""
_KEYS = frozenset(("00", "01", "02", "253", "255", "414", "8003", "8006", "8017", "8018"))
"""Identifiers with a check digit: an unmarked text that holds none of them is no element string."""
_BY_KEY: tuple[tuple[str, Kind], ...] = (("255", "voucher"), ("8110", "voucher"), ("8112", "voucher"),
                                         ("8017", "staff"), ("8018", "loyalty"))  # fmt: skip
"""GCN and coupon data; GSRN of who serves and of who is served."""


class CodeRules(msgspec.Struct, frozen=True, kw_only=True):
    """What a shop says of its own codes: layouts with a price or a weight inside, what others begin with, and its cards.

    `currency` is the shop's; None takes a price in any.
    """

    layouts: tuple[VariableMeasure, ...] = ()
    vouchers: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    loyalty: tuple[str, ...] = ()
    cards: tuple[CardRange, ...] = ()
    currency: Currency | None = None


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    """What a code means. `gtin` is the catalogue's key in 14 digits, `elements` are GS1 application identifiers.

    `identity` is the code itself where it stands for a person or a voucher: it is for a lookup, and is shown to nobody.
    `reason` says why a code is rejected, or what kept it from being more. `also` is the key of what a number of eight digits
    is too, as UPC-E, where nobody says which: it counts where the catalogue does not have `gtin`.
    """

    kind: Kind
    gtin: str | None = None
    elements: dict[str, str] = {}
    weight_g: int | None = None
    price_minor: int | None = None
    wallet: Wallet | None = None
    identity: str | None = None
    reason: str | None = None
    also: str | None = None


class Reading(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An item's code understood: the catalogue's key (GTIN in 14 digits) and what else the code itself says.

    Dates are ISO 8601, `expires` a local time to the minute; `price_minor` and `weight_g` come from codes of variable
    measure. `quantity_milli` is what a person typed of goods that are measured at the counter, in thousandths of their unit;
    `also` is another key, where the catalogue does not have the first.
    """

    gtin: str
    method: Method
    price_minor: int | None = None
    weight_g: int | None = None
    lot: str | None = None
    serial: str | None = None
    use_by: str | None = None
    best_before: str | None = None
    sell_by: str | None = None
    expires: str | None = None
    quantity_milli: int | None = None
    also: str | None = None


_NO_RULES = CodeRules()


def classify(data: str, aim: str | None = None, rules: CodeRules = _NO_RULES, *, tendering: bool = False) -> Scan:
    """The meaning of one code. Wallets' numbers overlap others, so they count only while something is to be paid.

    `aim` is the symbology identifier without its ``]``; where there is none, one at the beginning of `data` is taken.
    """
    try:
        if len(data) in _GTIN_LENGTHS and data.isascii() and data.isdigit() and aim not in GS1_AIMS:
            return _number(data, aim, rules, tendering=tendering)  # nearly every scan
        text = data.lstrip(_OUTER).rstrip(_OUTER + GS)
        if aim is None and (found := _AIM.match(text)):
            aim, text = found[1], text[3:]
        return _classify(text, aim, rules, tendering=tendering)
    except CodeRejected as rejected:
        return Scan(kind="rejected", reason=rejected.reason)


def reading(scan: Scan, method: Method, today: str) -> Reading | None:
    """The item that a code stands for, with its dates in the century nearest to `today`; None where it is no item.

    An in-store number with zeroes for its value is the catalogue's key as people type it: it says no price, no weight.
    """
    if scan.gtin is None or scan.kind not in ("gtin", "gs1", "digital_link", "variable_measure"):
        return None
    year = int(today[:4])
    said = scan.elements
    dates = {ai: gs1.iso_date(said[ai], year) for ai in ("15", "16", "17") if ai in said}
    expires = said.get("7003")
    is_key = scan.kind == "variable_measure" and not (scan.price_minor or scan.weight_g)
    return Reading(
        gtin=scan.gtin,
        method=method,
        price_minor=None if is_key else scan.price_minor,
        weight_g=None if is_key else scan.weight_g,
        lot=wipe(said["10"]) if "10" in said else None,
        serial=wipe(said["21"]) if "21" in said else None,
        use_by=dates.get("17"),
        best_before=dates.get("15"),
        sell_by=dates.get("16"),
        expires=f"{gs1.iso_date(expires[:6], year)}T{expires[6:8]}:{expires[8:]}" if expires else None,
        also=scan.also,
    )


def warm() -> None:
    """Makes ready what element strings are read with, so that the first such scan is as quick as the next."""
    classify("0104006381333931172612311021", "C1")


_TOLD = {
    "card-number": "code-is-card",
    "glued": "codes-glued",
    "doubled": "codes-glued",
    "separator-lost": "code-separator-lost",
    "currency": "code-currency",
    "merchant-code": "code-of-merchant",
    "wallet-too-early": "wallet-too-early",
}


def refusal(scan: Scan, data: str) -> Message:
    """What is told of a code that is neither an item nor a person nor a voucher."""
    reason = scan.reason or ""
    if reason == "check-digit":
        return message("check-digit-wrong", code=shown(data) if data.isdigit() and len(data) <= 14 else "")
    if reason in _TOLD:
        return message(_TOLD[reason])
    if scan.kind == "rejected":
        return message("code-not-valid", length=len(data))
    return message("code-unknown", length=len(data))


def bare(data: str) -> str:
    """A code without what scanners put around it."""
    text = data.lstrip(_OUTER).rstrip(_OUTER + GS)
    return text[3:] if _AIM.match(text) else text


def shown(code: str) -> str:
    """A code that may be told to people: what could be a card's number, with zeros before it or not, keeps its last four
    digits alone."""
    return wipe(code)


# --- which kind --------------------------------------------------------------------------------------------------


def _classify(text: str, aim: str | None, rules: CodeRules, *, tendering: bool) -> Scan:
    if not text or text == GS:
        return Scan(kind="rejected", reason="empty")
    if len(text) > CODE_LENGTH_MAX:
        return Scan(kind="rejected", reason="length")
    if _CONTROL.search(text):
        return Scan(kind="rejected", reason="control-characters")
    is_marked = aim in GS1_AIMS
    is_number = text.isascii() and text.isdigit()
    if not is_marked and not is_number and (own := _own(text, rules)):
        return own
    if digital_link.SCHEME.match(text):
        return _link(text, rules)
    if is_marked or (GS in text and aim is None) or gs1.BRACKETED.match(text):
        return _elements(text, rules, is_marked=is_marked)
    if is_number:
        return _number(text, aim, rules, tendering=tendering)
    return _text(text, aim, rules, tendering=tendering)


def _number(digits: str, aim: str | None, rules: CodeRules, *, tendering: bool) -> Scan:
    length = len(digits)
    expanded = _expanded(digits) if length == 8 and aim in ("E0", None) else None
    if expanded and aim == "E0":
        return _gtin(expanded, rules)  # an EAN-8 would be ]E4
    if length in _GTIN_LENGTHS and check_digit(digits[:-1]) == digits[-1]:
        found = _own(digits, rules) or _gtin(digits, rules)
        return msgspec.structs.replace(found, also=expanded.zfill(14)) if expanded and found.kind == "gtin" else found
    if expanded:
        return _own(digits, rules) or _gtin(expanded, rules)
    if length in _ADD_ON_LENGTHS and aim == "E3" and check_digit(digits[:12]) == digits[12]:
        return _gtin(digits[:13], rules)
    is_card = is_card_number(digits)
    is_own = length not in _EAN_LENGTHS and aim not in _NUMBER_AIMS and not (is_card and is_payment(digits))
    if is_own and (own := _own(digits, rules)):
        return own
    payer = None if aim in _NUMBER_AIMS else payer_of(digits)
    if payer and tendering:
        return Scan(kind="wallet", wallet=payer)
    if length in _GTIN_LENGTHS and not (length == 14 and is_card):
        raise CodeRejected("check-digit")
    if is_card and (payer is None or is_issued(digits)):
        raise CodeRejected("card-number")
    parts = _glued(digits)
    if aim is None and (elements := _unmarked(digits, rules, is_also_glued=bool(parts))):
        return elements
    if parts:
        raise CodeRejected("doubled" if len(set(parts)) == 1 else "glued")
    if aim in _NUMBER_AIMS:
        raise CodeRejected("length")
    return Scan(kind="unknown", reason="wallet-too-early" if payer else "not-known")


def _text(text: str, aim: str | None, rules: CodeRules, *, tendering: bool) -> Scan:
    if text.startswith(receipt_code.PREFIX):
        try:
            receipt_code.parse(text)
        except ValueError:
            raise CodeRejected("receipt-damaged") from None
        return Scan(kind="receipt", identity=text)
    if text.startswith(CPM_BEGIN):
        check_cpm(text)
        return Scan(kind="wallet", wallet="emvco") if tendering else Scan(kind="unknown", reason="wallet-too-early")
    if is_mpm(text):
        return Scan(kind="unknown", reason="merchant-code")
    if aim in _NUMBER_AIMS:
        raise CodeRejected("value-characters")
    if aim is None and (elements := _unmarked(text, rules)):
        return elements
    if _is_run_together(text):
        raise CodeRejected("glued")
    if holds_card(text):
        raise CodeRejected("card-number")
    return Scan(kind="unknown", reason="not-known")


def _own(code: str, rules: CodeRules) -> Scan | None:
    """What the shop says its own codes begin with; the longest such beginning counts. A gift card's is its whole number."""
    if is_gift_card(code, rules.cards):
        return Scan(kind="gift_card", identity=code)
    kinds: tuple[tuple[Kind, tuple[str, ...]], ...] = (
        ("voucher", rules.vouchers),
        ("staff", rules.staff),
        ("loyalty", rules.loyalty),
    )
    found = [(len(prefix), kind) for kind, prefixes in kinds for prefix in prefixes if code.startswith(prefix)]
    return Scan(kind=max(found)[1], identity=code) if found else None


# --- items -------------------------------------------------------------------------------------------------------


def _gtin(digits: str, rules: CodeRules) -> Scan:
    gtin = digits.zfill(14)
    if len(digits) == 8 or not gtin.startswith("0"):
        return Scan(kind="gtin", gtin=gtin)
    ean = gtin[1:]
    if _RESTRICTED.match(ean):
        layout = layout_of(ean, rules.layouts)
        if layout is None or len(digits) == 14:  # in 14 digits it is no label, but the catalogue's key
            return Scan(kind="variable_measure", gtin=gtin, reason="no-value" if layout else "no-layout")
        value = layout.value_of(ean)
        key = layout.key_of(ean).zfill(14)
        if layout.value == "price":
            return Scan(kind="variable_measure", gtin=key, price_minor=value)
        return Scan(kind="variable_measure", gtin=key, weight_g=value)
    if _COUPON.match(ean):
        return Scan(kind="voucher", gtin=gtin, identity=ean)
    return Scan(kind="gtin", gtin=gtin)


def _elements(text: str, rules: CodeRules, *, is_marked: bool) -> Scan:
    if _AIM.search(text, 1):
        raise CodeRejected("glued")  # no value holds a "]"
    is_bracketed = gs1.BRACKETED.match(text) is not None
    said = gs1.parse_bracketed(text) if is_bracketed else gs1.parse(text, is_marked=is_marked)
    return _meant("gs1", said, rules)


def _unmarked(text: str, rules: CodeRules, *, is_also_glued: bool = False) -> Scan | None:
    """An element string that nothing has named one: its key must be there, and its check digit right.

    None where it is none. Raises CodeRejected where it begins as one with a GTIN and goes on in a way that cannot be read.
    """
    begins = text.startswith("01") and len(text) >= 16 and text[2:16].isdigit()
    try:
        said = gs1.parse(text, is_marked=False)
    except CodeRejected as rejected:
        if begins and not is_also_glued and (len(text) > 16 or rejected.reason == "check-digit"):
            raise
        return None
    if _KEYS.isdisjoint(said) or (is_also_glued and not _is_certain(said)):
        return None
    return _meant("gs1", said, rules)


def _is_certain(said: dict[str, str]) -> bool:
    """Whether an element string of digits alone is hardly anything else: a GTIN, dates and measures."""
    return "01" in said and all(len(ai) == 4 or ai in ("01", "11", "13", "15", "16", "17") for ai in said)


def _link(text: str, rules: CodeRules) -> Scan:
    if digital_link.SCHEME.search(text, 1):
        raise CodeRejected("glued")
    said = digital_link.parse(text)
    if said is None:
        return Scan(kind="unknown", reason="address")
    return _meant("digital_link", said, rules)


def _meant(kind: Kind, said: dict[str, str], rules: CodeRules) -> Scan:
    """What elements mean to a till."""
    measured = amounts(said, rules.currency)
    for ai, other in _BY_KEY:
        if ai in said and "01" not in said:
            return Scan(kind=other, elements=said, identity=said[ai])
    return Scan(
        kind=kind,
        gtin=said.get("01"),
        elements=said,
        weight_g=measured.weight_g,
        price_minor=measured.price_minor,
    )


# --- what came wrong ---------------------------------------------------------------------------------------------


def _expanded(digits: str) -> str | None:
    """UPC-E as the UPC-A that it stands for, where its check digit says so (GS1 General Specifications 5.2.2.4.2)."""
    system, body, last = digits[0], digits[1:7], digits[6]
    if system not in "01":
        return None
    if last in "012":
        payload = system + body[:2] + last + "0000" + body[2:5]
    elif last == "3":
        payload = system + body[:3] + "00000" + body[3:5]
    elif last == "4":
        payload = system + body[:4] + "00000" + body[4]
    else:
        payload = system + body[:5] + "0000" + last
    return payload + digits[7] if check_digit(payload) == digits[7] else None


def _glued(digits: str) -> tuple[str, ...]:
    """The GTINs that ran together without a terminator, two or three of them; none where it cannot be."""
    for length in _GTIN_LENGTHS:
        head, rest = digits[:length], digits[length:]
        if len(rest) < min(_GTIN_LENGTHS) or not _is_gtin(head):
            continue
        if len(rest) in _GTIN_LENGTHS and _is_gtin(rest):
            return head, rest
        if len(digits) <= 3 * max(_GTIN_LENGTHS) and (more := _glued(rest)):
            return head, *more
    return ()


def _is_gtin(digits: str) -> bool:
    """Whether the check digit is right; zeros alone are no number."""
    return check_digit(digits[:-1]) == digits[-1] and bool(digits.strip("0"))


def _is_whole(text: str) -> bool:
    return len(text) in _GTIN_LENGTHS and text.isdigit() and _is_gtin(text)


def _is_run_together(text: str) -> bool:
    """Whether another code begins inside a text: a symbology identifier, an address or a number behind a number."""
    parts = _BETWEEN.split(text)
    if len(parts) > 1 and text.isascii() and all(_is_whole(part) for part in parts):
        return True
    inside = _AIM.search(text, 1)
    if inside and text[: inside.start()].isdigit():
        return True
    address = digital_link.SCHEME.search(text, 1)
    return address is not None and text[: address.start()].isdigit()
