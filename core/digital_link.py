"""GS1 Digital Link URIs: an item's identifiers as a web address of any domain.

Source: GS1 Digital Link Standard: URI Syntax. The path ends in a primary key with its qualifiers in their order; further
elements follow as a query. What a query says beyond that, and the fragment, is the web's and is left alone.
"""

import re

from core.gs1 import CodeRejected, collect
from core.gs1_table import ai_at

SCHEME = re.compile(r"https?://", re.IGNORECASE)

_URI = re.compile(r"https?://([^/?#]+)([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.IGNORECASE)
_LEGAL = re.compile(r"[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_DATE = re.compile(r"\d{6}", re.ASCII)
_ONE_OF_THE_KEYS = re.compile(r"/(?:01|gtin)/\d{8}", re.IGNORECASE)
_QUALIFIERS: dict[str, tuple[tuple[str, ...], ...]] = {
    "01": (("22", "10", "21"), ("235",)),
    "8006": (("22", "10", "21"),),
    "414": (("254",), ("7040",)),
    "415": (("8020",),),
    "417": (("7040",),),
    "8004": (("7040",),),
    "8010": (("8011",),),
    "8017": (("8019",),),
    "8018": (("8019",),),
    **dict.fromkeys(("00", "253", "255", "401", "402", "8003", "8013"), ()),
}
"""Each primary key with the qualifiers that may follow it, in their order."""
_SHORT_NAMES = {
    "gtin": "01", "cpv": "22", "lot": "10", "ser": "21", "itip": "8006", "sscc": "00", "gdti": "253", "gcn": "255",
    "ginc": "401", "gsin": "402", "gln": "414", "party": "417", "grai": "8003", "giai": "8004", "cpid": "8010",
    "gsrnp": "8017", "gsrn": "8018", "srin": "8019",
}  # fmt: skip
"""What the standard's first version allowed in place of numbers; such labels are still printed."""


def parse(uri: str) -> dict[str, str] | None:
    """The elements that a Digital Link carries; None for any other address. Raises CodeRejected."""
    found = _URI.fullmatch(uri)
    if found is None or not _LEGAL.fullmatch(uri):
        raise CodeRejected("uri")
    _, path, query = found.groups()
    pairs = _path(path)
    if pairs is None:
        return None
    names = [ai for ai, _ in pairs]
    if not any(_is_in_order(names[1:], order) for order in (*_QUALIFIERS[names[0]], ())):
        raise CodeRejected("qualifier-order")
    pairs += _query(query or "")
    if len({ai for ai, _ in pairs}) != len(pairs):
        raise CodeRejected("duplicate-ai")
    return collect([(ai, value.zfill(14) if _is_short_gtin(ai, value) else value) for ai, value in pairs])


def _path(path: str) -> list[tuple[str, str]] | None:
    """The primary key and what follows it, sought from the end: anything may stand before. None where there is none."""
    segments = path.removesuffix("/").split("/")[1:]
    for at in range(len(segments) - 2, -1, -2):
        ai = _ai(segments[at])
        if ai is None:
            break
        if ai in _QUALIFIERS:
            pairs = zip(segments[at::2], segments[at + 1 :: 2], strict=True)
            return [(_ai(name) or "", _decoded(value)) for name, value in pairs]
    if _ONE_OF_THE_KEYS.search(path):
        raise CodeRejected("uri-path")
    return None


def _query(query: str) -> list[tuple[str, str]]:
    """The elements of a query. Its other parameters have names that are no numbers."""
    pairs: list[tuple[str, str]] = []
    for parameter in re.split("[&;]", query):
        name, is_given, value = parameter.partition("=")
        if name.lower() == "exp" and _DATE.fullmatch(value):
            name = "17"  # the one short name of the first version that is no path's
        if not is_given or not name.isdigit():
            continue
        if ai_at(name, 0) != name:
            raise CodeRejected("unknown-ai")
        pairs.append((name, _decoded(value.replace("+", " "))))
    return pairs


def _ai(name: str) -> str | None:
    """The application identifier that a segment names."""
    ai = _SHORT_NAMES.get(name.lower(), name)
    return ai if ai_at(ai, 0) == ai else None


def _decoded(value: str) -> str:
    """Without percent-encoding, as ISO 8859-1. Raises CodeRejected where that is broken."""
    if len(_ESCAPE.findall(value)) != value.count("%"):
        raise CodeRejected("uri")
    return _ESCAPE.sub(lambda escape: chr(int(escape[1], 16)), value)


def _is_short_gtin(ai: str, value: str) -> bool:
    return ai == "01" and len(value) in (8, 12, 13) and value.isascii() and value.isdigit()


def _is_in_order(names: list[str], order: tuple[str, ...]) -> bool:
    left = iter(order)
    return all(name in left for name in names)
