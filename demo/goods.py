"""What the demonstration's shop sells: real products under their real GTINs, and what a scanner says of them.

Prices and taxes are the shop's own. GTINs and names: Open Food Facts (openfoodfacts.org). Bananas carry a number of the
shop (GS1 restricted circulation, prefix 21). Symbology identifiers: ISO/IEC 15424; element strings: GS1 General
Specifications.
"""

import csv
from datetime import date, timedelta
from pathlib import Path
from typing import Literal

import msgspec

from core.money import currency
from core.scan import check_digit

CURRENCY = currency("EUR")
CSV = Path(__file__).with_name("goods.csv")
"""In the form of the catalogue's import: header ``gtin,name,unit,price,tax``."""

Symbology = Literal["EAN-13", "EAN-8", "UPC-A", "in-store", "DataMatrix"]

_IN_STORE_PREFIX = "21"
_ITEM_END = 7
_VALUE_MINOR_MAX = 99_999
_DATED = "3033490004743"
_LOT = "A17"
_SHELF_LIFE = timedelta(days=12)


class Good(msgspec.Struct, frozen=True, kw_only=True):
    """A product. `gtin` as it stands on the pack: 8, 12 or 13 digits; `price_minor` is for one `unit`, tax included."""

    gtin: str
    name: str
    unit: Literal["each", "kg"]
    price_minor: int
    tax: str

    @property
    def key(self) -> str:
        """The catalogue's key: 14 digits."""
        return self.gtin.zfill(14)

    @property
    def symbology(self) -> Symbology:
        """What is printed on the pack."""
        if self.gtin.startswith(_IN_STORE_PREFIX) and len(self.gtin) == 13:
            return "in-store"
        if self.gtin == _DATED:
            return "DataMatrix"
        return "EAN-8" if len(self.gtin) == 8 else "UPC-A" if len(self.gtin) == 12 else "EAN-13"


def load(path: Path = CSV) -> tuple[Good, ...]:
    """The goods of a file in the catalogue's form, in its order."""
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(
            Good(
                gtin=row["gtin"],
                name=row["name"],
                unit="kg" if row["unit"] == "kg" else "each",
                price_minor=CURRENCY.parse(row["price"]),
                tax=row["tax"],
            )
            for row in csv.DictReader(file)
        )


def scan_bytes(good: Good, *, price_minor: int | None = None, use_by: date | None = None, lot: str = _LOT) -> bytes:
    """A code as the scanner sends it, with its symbology identifier and without its terminator.

    `price_minor` is what the label of a weighed good says (else the price of 1 kg). A `use_by` makes it a GS1
    DataMatrix with lot and date.
    """
    if use_by is not None:
        return f"]d201{good.key}17{use_by:%y%m%d}10{lot}".encode()
    match good.symbology:
        case "in-store":
            return weighed(good, good.price_minor if price_minor is None else price_minor)
        case "DataMatrix":
            return f"]d201{good.key}10{lot}".encode()
        case "EAN-8":
            return f"]E4{good.gtin}".encode()
        case "EAN-13" | "UPC-A":
            return f"]E0{good.gtin.zfill(13)}".encode()  # a UPC-A is sent in 13 digits under this identifier


def weighed(good: Good, price_minor: int) -> bytes:
    """The shop's own label with the price in it, 0 to 99,999 minor units."""
    assert 0 <= price_minor <= _VALUE_MINOR_MAX, "the label has five digits for the price"
    payload = f"{good.gtin[:_ITEM_END]}{price_minor:05d}"
    return f"]E0{payload}{check_digit(payload)}".encode()


def yoghurt(today: date) -> bytes:
    """The dated good's DataMatrix, in date."""
    return scan_bytes(by_gtin(_DATED), use_by=today + _SHELF_LIFE)


def expired_yoghurt(today: date) -> bytes:
    """The same, past its use-by date: it may not be sold."""
    return scan_bytes(by_gtin(_DATED), use_by=today - timedelta(days=2), lot="A09")


def by_gtin(gtin: str) -> Good:
    """The good of a GTIN as it stands on the pack. Raises KeyError."""
    return _BY_GTIN[gtin]


GOODS = load()
_BY_GTIN = {good.gtin: good for good in GOODS}

BANANAS = next(good for good in GOODS if good.unit == "kg")
YOGHURT = by_gtin(_DATED)

UNKNOWN = b"]E04006381333931"
"""A real product that the shop does not sell: a fineliner."""
MISREAD = b"]E03017620422008"
"""Nutella with its last digit misread: the check digit is wrong."""
