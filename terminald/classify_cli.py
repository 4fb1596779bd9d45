"""What the command `terminald classify` does: raw scans from standard input, one a line, each answered by one JSON object.

A line ends with LF, or CR LF. A group separator is the byte 0x1D or the text ``<GS>``; a symbology identifier may stand in
front (``]d2``). An answer is written out at once, so that the command can stand in a pipe; it needs neither a daemon nor
a configuration.

``kind``, and where they apply ``gtin``, ``elements``, ``weight_g``, ``price_minor``, ``wallet``, ``reason``
"""

import argparse
import sys
from collections.abc import Iterator
from typing import BinaryIO

import msgspec

from core.card import wipe
from core.gs1_table import format_of
from core.scan import CODE_LENGTH_MAX, CodeRules, Scan, classify
from terminald.cli import CANNOT, load_config

_LINE_BYTES_MAX = 4 * CODE_LENGTH_MAX
_SHOWN = ("gtin", "also", "elements", "weight_g", "price_minor", "wallet", "reason")
"""A badge's, a customer's or a voucher's number is not among them."""


def classify_lines(given: argparse.Namespace) -> int:
    """Answers each line of standard input until it ends."""
    rules = CodeRules()
    if given.config is not None:
        config = load_config(given.config)
        if config is None:
            return CANNOT
        rules = config.shop.code_rules()
    tendering = given.state == "tendering"
    out = sys.stdout.buffer
    for line in _lines(sys.stdin.buffer):
        scan = classify(line.decode("latin-1").replace("<GS>", "\x1d"), None, rules, tendering=tendering)
        out.write(msgspec.json.encode(_told(scan)) + b"\n")
        out.flush()
    return 0


def _told(scan: Scan) -> dict[str, object]:
    said = {name: getattr(scan, name) for name in _SHOWN}
    said["elements"] = {ai: _element(ai, value) for ai, value in scan.elements.items()}
    return {"kind": scan.kind} | {name: value for name, value in said.items() if value not in (None, {})}


def _element(ai: str, value: str) -> str:
    """A value without what may be a card's number. A part that ends in GS1's check digit is GS1's own number, and every
    seventh GTIN, most SSCCs, would pass for a card's."""
    form = format_of(ai)
    found = form.pattern.fullmatch(value) if form is not None else None
    if form is None or found is None:
        return wipe(value)
    return "".join(
        part if check == "c" else wipe(part) for check, part in zip(form.checks, found.groups(""), strict=True)
    )


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """The lines without their ends; of one that is too long a beginning that is too long as well."""
    while line := source.readline(_LINE_BYTES_MAX):
        rest = line
        while rest and not rest.endswith(b"\n"):
            rest = source.readline(_LINE_BYTES_MAX)
        yield line.removesuffix(b"\n").removesuffix(b"\r")
