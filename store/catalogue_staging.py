"""Where the rows of a file of goods wait until all of them are known to be good: a database that may be lost.

What can only be said of a row in the light of others is found here: a GTIN that stands there twice, a code of an item
that the file does not have, prices that hold at the same time.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from core.card import wipe
from store.catalogue_rows import CodeRow, ItemRow, PriceRow
from store.errors import CatalogueRefused

FAULTS_MAX = 100
"""So many faults are named; the others are counted."""

_BATCH = 2_000
_CACHE_KIB = 64 << 10

_TABLES = """
CREATE TABLE item (
    gtin INTEGER PRIMARY KEY, name TEXT, unit TEXT, price_minor INTEGER, tax TEXT, stock_milli INTEGER, traits TEXT,
    line INTEGER
) STRICT;
CREATE TABLE barcode (
    gtin INTEGER PRIMARY KEY, item INTEGER, pack INTEGER, name TEXT, price_minor INTEGER, line INTEGER
) STRICT;
CREATE TABLE price (
    gtin INTEGER, list TEXT, valid_from TEXT, valid_to TEXT, price_minor INTEGER, line INTEGER,
    PRIMARY KEY (gtin, list, valid_from, valid_to)
) STRICT, WITHOUT ROWID;
"""

_CHECKS = (
    (
        "SELECT b.line, b.gtin FROM {codes} b JOIN item i ON i.gtin = b.gtin",
        "{0:014d} is an item itself, and cannot stand for another",
    ),
    (
        "SELECT b.line, b.item FROM {codes} b LEFT JOIN item i ON i.gtin = b.item WHERE i.gtin IS NULL",
        "there is no item {0:014d}",
    ),
    (
        "SELECT b.line, b.item FROM {codes} b JOIN item i ON i.gtin = b.item WHERE i.unit != 'each' AND b.pack != 1",
        "{0:014d} is not sold by the piece, and there are no packs of it",
    ),
    (
        "SELECT p.line, p.gtin FROM {prices} p LEFT JOIN item i ON i.gtin = p.gtin LEFT JOIN barcode b"
        " ON b.gtin = p.gtin WHERE i.gtin IS NULL AND b.gtin IS NULL",
        "there is no item {0:014d}",
    ),
    (
        "SELECT line, gtin, before_from, before_to FROM (SELECT p.line, p.gtin, p.valid_from,"
        " lag(p.valid_from) OVER w AS before_from, lag(p.valid_to) OVER w AS before_to"
        " FROM {prices} p WHERE NOT (p.valid_from = '' AND p.valid_to = '9999')"
        " WINDOW w AS (PARTITION BY p.gtin, p.list ORDER BY p.valid_from, p.valid_to))"
        " WHERE valid_from < before_to",
        "this price of {0:014d} overlaps with the one from {1!r} to {2!r}",
    ),
)
"""What is asked of codes and prices with their lines (tables or queries); each answer is a fault."""


class Faults:
    """What is wrong with a file: the first so many by their lines, and how many there are."""

    def __init__(self) -> None:
        self.count = 0
        self._named: list[tuple[int, str]] = []

    def add(self, line: int, text: str) -> None:
        """One fault; line 0 is of the file as a whole."""
        self.count += 1
        if len(self._named) < FAULTS_MAX:
            self._named.append((line, wipe(text)))

    def refuse(self) -> None:
        """Raises CatalogueRefused where there is one."""
        if self.count:
            named = tuple(f"line {line}: {text}" for line, text in sorted(self._named))
            raise CatalogueRefused(named, self.count)


class Staging:
    """Rows by their lines, in a new encrypted database that nobody else has open."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        # Whatever becomes of this file, it is not read again.
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
        connection.executescript(_TABLES)
        connection.execute("BEGIN")
        self._batches: dict[type, list[tuple[Any, ...]]] = {kind: [] for kind in _INTO}

    def add(self, line: int, row: ItemRow | CodeRow | PriceRow, faults: Faults) -> None:
        """Puts a row aside. That another has its place already is found later."""
        batch = self._batches[type(row)]
        batch.append((*row, line))
        if len(batch) >= _BATCH:
            self._flush(type(row), faults)

    def finish(self, faults: Faults) -> None:
        """All rows are there: what is wrong between them is found, if each of them is good by itself."""
        for kind in _INTO:
            self._flush(kind, faults)
        if not faults.count:
            check(self._connection, faults, codes="barcode", prices="price")

    def rows(self) -> Iterator[tuple[str, Iterable[tuple[Any, ...]]]]:
        """Statements for the catalogue, each with its rows, in the order of its table."""
        yield (
            "INSERT INTO item (gtin, name, unit, price_minor, tax, traits, dated) VALUES (?, ?, ?, ?, ?, ?, ?)",
            self._connection.execute(
                "SELECT gtin, name, unit, price_minor, tax, traits, EXISTS (SELECT 1 FROM price p WHERE p.gtin = i.gtin)"
                " FROM item i ORDER BY gtin"
            ),
        )
        yield (
            "INSERT INTO barcode (gtin, item, pack, name, price_minor, dated) VALUES (?, ?, ?, ?, ?, ?)",
            self._connection.execute(
                "SELECT gtin, item, pack, name, price_minor, EXISTS (SELECT 1 FROM price p WHERE p.gtin = b.gtin)"
                " FROM barcode b ORDER BY gtin"
            ),
        )
        yield (
            "INSERT INTO price (gtin, list, valid_from, valid_to, price_minor) VALUES (?, ?, ?, ?, ?)",
            self._connection.execute(
                "SELECT gtin, list, valid_from, valid_to, price_minor FROM price"
                " ORDER BY gtin, list, valid_from, valid_to"
            ),
        )

    def counted(self) -> Iterable[tuple[int, int]]:
        """Items whose stock the file tells, with thousandths of their unit."""
        rows: Iterable[tuple[int, int]] = self._connection.execute(
            "SELECT gtin, stock_milli FROM item WHERE stock_milli IS NOT NULL ORDER BY gtin"
        )
        return rows

    def _flush(self, kind: type, faults: Faults) -> None:
        batch = self._batches[kind]
        into, where, width = _INTO[kind]
        done = self._connection.executemany(into, batch).rowcount if batch else 0
        if done != len(batch):
            for row in batch:
                (line,) = self._connection.execute(where, row[:width]).fetchone()
                if line != row[-1]:
                    what = "this price of " if width > 1 else ""
                    faults.add(row[-1], f"{what}{row[0]:014d} stands in line {line} already")
        batch.clear()


_INTO: dict[type, tuple[str, str, int]] = {
    ItemRow: ("INSERT OR IGNORE INTO item VALUES (?, ?, ?, ?, ?, ?, ?, ?)", "SELECT line FROM item WHERE gtin = ?", 1),
    CodeRow: ("INSERT OR IGNORE INTO barcode VALUES (?, ?, ?, ?, ?, ?)", "SELECT line FROM barcode WHERE gtin = ?", 1),
    PriceRow: (
        "INSERT OR IGNORE INTO price VALUES (?, ?, ?, ?, ?, ?)",
        "SELECT line FROM price WHERE gtin = ? AND list = ? AND valid_from = ? AND valid_to = ?",
        4,
    ),
}


def check(connection: Any, faults: Faults, *, codes: str, prices: str) -> None:
    """Adds what is wrong between rows; `codes` and `prices` are tables or queries of these with a column `line`."""
    for question, words in _CHECKS:
        for line, *values in connection.execute(question.format(codes=codes, prices=prices)):
            faults.add(line or 0, words.format(*values))
