"""What the shop sells, in an encrypted database of its own, so that an import never holds a sale.

An import replaces the whole catalogue by a CSV file in one transaction: the file is what the shop sells. Readers see it
from their next lookup on. A code that carries a price or a weight is looked up with its value field zeroed and the check
digit computed anew, and stands so in the file.
"""

import csv
from collections.abc import Collection, Iterator
from contextlib import closing
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO, Literal, Self

from sqlcipher3 import dbapi2 as sqlcipher

from core.catalogue import Item
from core.money import Currency
from core.scan import check_digit
from store.database import explain, open_database
from store.errors import CatalogueRefused

HEADER = ("gtin", "name", "unit", "price", "tax")
ITEMS_MAX = 1_000_000
NAME_LENGTH_MAX = 100
PRICE_MINOR_MAX = 10**12
_GTIN_LENGTHS = (8, 12, 13, 14)


class Catalogue:
    """The catalogue as the till reads it: `find` takes microseconds and may be called on the loop's thread."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens it, or makes an empty one. `key` is `Keys.catalogue`. Raises JournalError."""
        self._path = path
        self._key = key
        self._connection: Any = open_database(path, key, "catalogue")

    def find(self, gtin: str) -> Item | None:
        """The item of a GTIN in 14 digits. Raises JournalError where the file cannot be read."""
        try:
            row = self._connection.execute(
                "SELECT name, unit, unit_price_minor, tax FROM item WHERE gtin = ?", (gtin,)
            ).fetchone()
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return row and Item(gtin=gtin, name=row[0], unit=row[1], unit_price_minor=row[2], tax=row[3])

    def count(self) -> int:
        """How many items there are."""
        number: int = self._connection.execute("SELECT count(*) FROM item").fetchone()[0]
        return number

    def close(self) -> None:
        """May be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def import_csv(path: Path, key: bytes, source: Path, currency: Currency, taxes: Collection[str]) -> int:
    """Makes the items of a CSV file the catalogue at `path`; gives their number. Blocks: call it off the loop.

    The file is UTF-8 with the header ``gtin,name,unit,price,tax``; a price is for one unit, decimal, in `currency`;
    `taxes` are the codes that there are. Raises CatalogueRefused, which names every bad line; then nothing was taken.
    """
    items = _read(source, currency, taxes)
    try:
        with closing(open_database(path, key, "catalogue")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.execute("DELETE FROM item")
                connection.executemany(
                    "INSERT INTO item (gtin, name, unit, unit_price_minor, tax) VALUES (?, ?, ?, ?, ?)",
                    [(item.gtin, item.name, item.unit, item.unit_price_minor, item.tax) for item in items],
                )
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
    except sqlcipher.Error as error:
        raise explain(path, key, error) from error
    return len(items)


def _read(source: Path, currency: Currency, taxes: Collection[str]) -> list[Item]:
    """All items of a file, or CatalogueRefused with all its faults."""
    items: dict[str, tuple[int, Item]] = {}
    faults: list[str] = []
    try:
        with source.open("rb") as file:
            for line, row in _rows(file):
                try:
                    item = _item(row, currency, taxes)
                    if item.gtin in items:
                        raise ValueError(f"{row['gtin']} stands in line {items[item.gtin][0]} already")
                    items[item.gtin] = line, item
                except ValueError as fault:
                    faults.append(f"line {line}: {fault}")
    except CatalogueRefused as refused:
        faults += refused.faults
    except OSError as error:
        faults.append(f"{source.name} cannot be read: {error.strerror}")
    if not items and not faults:
        faults.append(f"{source.name} holds no items")
    if faults:
        raise CatalogueRefused(tuple(faults))
    return [item for _, item in items.values()]


def _rows(file: BinaryIO) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row with its line number. Raises CatalogueRefused where the file is not, or no longer, such a file."""
    reader = csv.reader((line.decode("utf-8").removeprefix("\ufeff") for line in file), strict=True)
    try:
        header = tuple(next(reader, ()))
        if header != HEADER:
            raise CatalogueRefused((f"line 1: the header is {','.join(header)!r}, and must be {','.join(HEADER)!r}",))
        for row in reader:
            if reader.line_num > ITEMS_MAX:
                raise CatalogueRefused((f"line {reader.line_num}: more than {ITEMS_MAX} lines",))
            if len(row) == len(HEADER):
                yield reader.line_num, dict(zip(HEADER, row, strict=True))
            elif row:
                yield reader.line_num, {}
    except (csv.Error, UnicodeDecodeError) as error:
        raise CatalogueRefused((f"line {reader.line_num + 1}: not a CSV file in UTF-8: {error}",)) from error


def _item(row: dict[str, str], currency: Currency, taxes: Collection[str]) -> Item:
    """The item of a row. Raises ValueError that names all that is wrong with it."""
    if not row:
        raise ValueError(f"there must be {len(HEADER)} columns")
    faults = [fault for fault in (_gtin_fault(row["gtin"]), _name_fault(row["name"])) if fault]
    unit: Literal["each", "kg"] = "kg" if row["unit"] == "kg" else "each"
    if row["unit"] not in ("each", "kg"):
        faults.append(f"unit {row['unit']!r} is neither each nor kg")
    price_minor = 0
    try:
        price_minor = currency.parse(row["price"])
    except ValueError as fault:
        faults.append(f"price {fault}")
    if price_minor > PRICE_MINOR_MAX:
        faults.append(f"price {row['price']} is too high")
    if row["tax"] not in taxes:
        faults.append(f"tax {row['tax']!r} is none of {', '.join(sorted(taxes))}")
    if faults:
        raise ValueError("; ".join(faults))
    return Item(gtin=row["gtin"].zfill(14), name=row["name"], unit=unit, unit_price_minor=price_minor, tax=row["tax"])


def _gtin_fault(gtin: str) -> str | None:
    if not (gtin.isascii() and gtin.isdigit() and len(gtin) in _GTIN_LENGTHS):
        return f"{gtin!r} is no GTIN: 8, 12, 13 or 14 digits"
    if check_digit(gtin[:-1]) != gtin[-1]:
        return f"{gtin} has the check digit {gtin[-1]}, and should have {check_digit(gtin[:-1])}"
    return None


def _name_fault(name: str) -> str | None:
    if not name.strip():
        return "the name is empty"
    if len(name) > NAME_LENGTH_MAX or not name.isprintable():
        return f"the name is longer than {NAME_LENGTH_MAX} characters, or holds some that cannot be printed"
    return None
