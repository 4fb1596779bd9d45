"""What is to be put on paper, before any printer's language: the receipt composes it, a printer's codec draws it."""

from typing import Literal

import msgspec


class Text(msgspec.Struct, frozen=True, kw_only=True, tag="text"):
    """One printed line: `left` from the left margin, `right` against the right one; `style` applies to the whole."""

    left: str = ""
    right: str = ""
    style: Literal["plain", "bold", "large", "centre", "centre-large"] = "plain"


class Rule(msgspec.Struct, frozen=True, kw_only=True, tag="rule"):
    """A line across the paper."""


class Feed(msgspec.Struct, frozen=True, kw_only=True, tag="feed"):
    """Empty lines."""

    lines: int = 1


class QrCode(msgspec.Struct, frozen=True, kw_only=True, tag="qr"):
    """A QR code, centred. `to_sign` is a receipt's code that the terminal signs before it is printed."""

    data: str
    to_sign: bool = False


class Barcode(msgspec.Struct, frozen=True, kw_only=True, tag="barcode"):
    """A bar code with its text below, centred: 12 or 13 digits as EAN-13, printable ASCII as Code 128."""

    kind: Literal["ean13", "code128"]
    data: str


class Logo(msgspec.Struct, frozen=True, kw_only=True, tag="logo"):
    """The shop's picture, where the printer has been given one."""


class Cut(msgspec.Struct, frozen=True, kw_only=True, tag="cut"):
    """The paper is fed out and cut."""


Element = Text | Rule | Feed | QrCode | Barcode | Logo | Cut


class Document(msgspec.Struct, frozen=True, kw_only=True):
    """A whole piece of paper, from the first line to the cut."""

    elements: tuple[Element, ...]
