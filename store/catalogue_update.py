"""Applying an update (`core.catalogue`) to the catalogue: on top of the right version alone, and whole or not at all.

The file is read twice: first to see that it is whole and unaltered, then to apply it in one transaction, hashed once
more in case somebody writes to it meanwhile. The till sells on; its lookups see the old version until the commit.
"""

import hashlib
import io
import time
from collections.abc import Callable, Collection, Generator
from contextlib import closing
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import zstandard
from sqlcipher3 import dbapi2 as sqlcipher

from core.catalogue import Change, UpdateEnd, UpdateHead, UpdateTorn, check_update, read_change
from core.money import Currency
from core.promotion import faults as faults_of
from store.catalogue_import import add_version
from store.catalogue_rows import CodeRow, ItemRow, PriceRow, RowReader, read_gtin, read_stock, read_validity
from store.catalogue_staging import Faults, check
from store.database import explain, open_database
from store.errors import CatalogueUpdateTorn, CatalogueVersionOther
from store.product_recalls import lift_recall, put_recall, recall_of

CHANGES_MAX = 200_000
"""More than that is a whole catalogue: import it."""

LINE_BYTES_MAX = 16 << 10
BYTES_MAX = 256 << 20
"""Of an update unpacked: a few bytes of zstd may hold any number of them."""

_ZSTD = b"\x28\xb5\x2f\xfd"

_TOUCHED = (
    "CREATE TEMP TABLE touched (line INTEGER, gtin INTEGER, list TEXT, valid_from TEXT, valid_to TEXT)",
    "CREATE INDEX temp.touched_gtin ON touched (gtin)",
)
_DATED = (
    "UPDATE item SET dated = EXISTS (SELECT 1 FROM price p WHERE p.gtin = item.gtin)"
    " WHERE gtin IN (SELECT gtin FROM touched)",
    "UPDATE barcode SET dated = EXISTS (SELECT 1 FROM price p WHERE p.gtin = barcode.gtin)"
    " WHERE gtin IN (SELECT gtin FROM touched)",
)
_CODES = (
    "(SELECT b.*, t.line FROM touched t JOIN barcode b ON b.gtin = t.gtin"
    " UNION ALL SELECT b.*, t.line FROM touched t JOIN barcode b ON b.item = t.gtin)"
)
_PRICES = (
    "(SELECT p.*, coalesce((SELECT t.line FROM touched t WHERE t.gtin = p.gtin AND t.list = p.list"
    " AND t.valid_from = p.valid_from AND t.valid_to = p.valid_to), 0) AS line"
    " FROM price p WHERE p.gtin IN (SELECT gtin FROM touched))"
)


class Applied(msgspec.Struct, frozen=True, kw_only=True):
    """The version that there is now; `already` where it was applied before and nothing was done."""

    number: int
    hash: str
    changes: int
    already: bool = False


def apply_update(
    path: Path,
    key: bytes,
    source: Path,
    currency: Currency,
    taxes: Collection[str],
    *,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Applied:
    """Applies an update, plain or packed with zstd. Blocks: call it off the loop. The same one again changes nothing.

    Raises CatalogueUpdateTorn, CatalogueVersionOther, CatalogueRefused (with its bad lines), and then nothing was
    applied; OSError where the file cannot be read; JournalError.
    """
    try:
        with closing(_lines(source)) as lines:
            head, end = check_update(lines)
        with closing(open_database(path, key, "catalogue")) as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                if _is_applied(connection, head, end):
                    connection.rollback()
                    return Applied(number=head.to_number, hash=end.sha256, changes=0, already=True)
                _apply(connection, source, end, RowReader(currency, taxes), now_ms())
                add_version(connection, head.to_number, end.sha256, "update", now_ms())
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise
    except UpdateTorn as error:
        raise CatalogueUpdateTorn(f"{source.name} cannot be applied: {error}") from error
    except sqlcipher.Error as error:
        raise explain(path, key, error) from error
    return Applied(number=head.to_number, hash=end.sha256, changes=end.lines)


def _is_applied(connection: Any, head: UpdateHead, end: UpdateEnd) -> bool:
    """Whether it was applied before. Raises CatalogueVersionOther where it does not fit."""
    kept = dict(connection.execute("SELECT number, hash FROM version").fetchall())
    if kept.get(head.to_number) == end.sha256:
        return True
    number = max(kept, default=0)
    has = kept.get(number, "")
    if (head.from_number, head.from_hash) != (number, has) or head.to_number <= number:
        raise CatalogueVersionOther(
            f"the update leads from version {head.from_number} ({head.from_hash[:12] or 'empty'}) to"
            f" {head.to_number}, and the catalogue has version {number} ({has[:12] or 'empty'})"
        )
    return False


def _apply(connection: Any, source: Path, end: UpdateEnd, reader: RowReader, now_ms: int) -> None:
    faults = Faults()
    digest = hashlib.sha256()
    for statement in _TOUCHED:
        connection.execute(statement)
    changes = _Changes(connection, reader, now_ms)
    with closing(_lines(source)) as lines:
        held = b""
        for number, line in enumerate(lines):
            digest.update(held)
            if number > 1:
                try:
                    changes.take(number, read_change(held))
                except ValueError as fault:
                    faults.add(number, str(fault))
            held = line
    if digest.hexdigest() != end.sha256:
        raise UpdateTorn("it was altered while it was read")
    if not faults.count:
        check(connection, faults, codes=_CODES, prices=_PRICES)
    faults.refuse()
    for statement in _DATED:
        connection.execute(statement)


class _Changes:
    """Carries out one change after another in the open transaction. Each raises ValueError that names what is wrong."""

    def __init__(self, connection: Any, reader: RowReader, now_ms: int) -> None:
        self._connection = connection
        self._reader = reader
        self._now_ms = now_ms

    def take(self, line: int, change: Change) -> None:
        match change.op:
            case "put":
                self._put(line, self._reader.read(change.fields()))
            case "stock":
                self._stock(change)
            case "drop":
                self._drop(line, change)
            case "put-promotion":
                self._put_promotion(change)
            case "recall":
                _only(change, "gtin", "id", "lot", "reason", "since")
                put_recall(self._connection, recall_of(change.gtin, change.lot, change.id, change.reason, change.since))
            case "lift-recall":
                _only(change, "id")
                if not lift_recall(self._connection, change.id):
                    raise ValueError(f"there is no recall {change.id!r}")
            case "drop-promotion":
                _only(change, "id")
                if not self._do("DELETE FROM promotion WHERE id = ?", change.id):
                    raise ValueError(f"there is no promotion {change.id!r}")

    def _put(self, line: int, row: ItemRow | CodeRow | PriceRow) -> None:
        match row:
            case ItemRow():
                self._forget_name(row.gtin)
                self._do(
                    "INSERT OR REPLACE INTO item (gtin, name, unit, price_minor, tax, traits) VALUES (?, ?, ?, ?, ?, ?)",
                    *(*row[:5], row.traits),
                )
                self._do("INSERT INTO search (rowid, name) VALUES (?, ?)", row.gtin, row.name)
                if row.stock_milli is not None:
                    self._count(row.gtin, row.stock_milli)
            case CodeRow():
                self._do(
                    "INSERT OR REPLACE INTO barcode (gtin, item, pack, name, price_minor) VALUES (?, ?, ?, ?, ?)", *row
                )
            case PriceRow():
                self._do("INSERT OR REPLACE INTO price VALUES (?, ?, ?, ?, ?)", *row)
        keys = row[1:4] if isinstance(row, PriceRow) else (None, None, None)
        self._do("INSERT INTO touched VALUES (?, ?, ?, ?, ?)", line, row.gtin, *keys)

    def _put_promotion(self, change: Change) -> None:
        _only(change, "promotion")
        if change.promotion is None:
            raise ValueError("put-promotion has no promotion")
        if wrong := faults_of(change.promotion):
            raise ValueError("; ".join(wrong))
        rule = msgspec.json.encode(change.promotion).decode()
        self._do("INSERT OR REPLACE INTO promotion (id, rule) VALUES (?, ?)", change.promotion.id, rule)

    def _stock(self, change: Change) -> None:
        gtin = read_gtin(change.gtin)
        _only(change, "gtin", "stock")
        faults: list[str] = []
        quantity_milli = read_stock(change.stock, faults)
        if faults:
            raise ValueError(faults[0])
        if not self._connection.execute("SELECT 1 FROM item WHERE gtin = ?", (gtin,)).fetchone():
            raise ValueError(f"there is no item {gtin:014d}")
        self._count(gtin, quantity_milli)

    def _drop(self, line: int, change: Change) -> None:
        gtin = read_gtin(change.gtin)
        _only(change, "gtin", "list", "valid_from", "valid_to")
        is_price = bool(change.list or change.valid_from or change.valid_to)
        if is_price:
            faults: list[str] = []
            validity = read_validity(change.fields(), faults)
            if faults:
                raise ValueError("; ".join(faults))
            dropped = self._do(
                "DELETE FROM price WHERE gtin = ? AND list = ? AND valid_from = ? AND valid_to = ?",
                *(gtin, change.list, *validity),
            )
            self._do("INSERT INTO touched (line, gtin) VALUES (?, ?)", line, gtin)
        else:
            dropped = self._drop_all(gtin)
        if not dropped:
            raise ValueError(f"there is no such price of {gtin:014d}" if is_price else f"there is no {gtin:014d}")

    def _drop_all(self, gtin: int) -> int:
        """An item with all that hangs on it, or a code with its prices."""
        self._forget_name(gtin)
        self._do("DELETE FROM price WHERE gtin IN (SELECT gtin FROM barcode WHERE item = ?)", gtin)
        self._do("DELETE FROM price WHERE gtin = ?", gtin)
        self._do("DELETE FROM stock WHERE item = ?", gtin)
        self._do("DELETE FROM sold WHERE item = ?", gtin)
        self._do("DELETE FROM barcode WHERE item = ?", gtin)
        return self._do("DELETE FROM item WHERE gtin = ?", gtin) + self._do("DELETE FROM barcode WHERE gtin = ?", gtin)

    def _count(self, item: int, quantity_milli: int) -> None:
        self._do(
            "INSERT OR REPLACE INTO stock (item, quantity_milli, as_of_ms) VALUES (?, ?, ?)",
            *(item, quantity_milli, self._now_ms),
        )
        self._do("DELETE FROM sold WHERE item = ?", item)

    def _forget_name(self, gtin: int) -> None:
        """The search index keeps no names, and must be told which one goes."""
        self._do("INSERT INTO search (search, rowid, name) SELECT 'delete', gtin, name FROM item WHERE gtin = ?", gtin)

    def _do(self, sql: str, *values: object) -> int:
        count: int = self._connection.execute(sql, values).rowcount
        return count


def _only(change: Change, *names: str) -> None:
    """Raises ValueError where a change says more than it can mean."""
    more = [name for name in change.__struct_fields__[1:] if getattr(change, name) and name not in names]
    if more:
        raise ValueError(f"{change.op} has no {', '.join(more)}")


def _lines(source: Path) -> Generator[bytes, None, None]:
    """The lines of an update, unpacked. Raises UpdateTorn where it cannot be, or is too long; OSError."""
    with source.open("rb") as file:
        packed = file.read(len(_ZSTD)) == _ZSTD
        file.seek(0)
        unpacked: BinaryIO = (
            io.BufferedReader(zstandard.ZstdDecompressor(max_window_size=BYTES_MAX).stream_reader(file))
            if packed
            else file
        )
        size = count = 0
        try:
            while line := unpacked.readline(LINE_BYTES_MAX):
                size += len(line)
                count += 1
                if not line.endswith(b"\n") or size > BYTES_MAX or count > CHANGES_MAX + 2:
                    raise UpdateTorn(f"it was cut off, or is larger than an update may be, in line {count}")
                yield line
        except zstandard.ZstdError as error:
            raise UpdateTorn(f"it cannot be unpacked: {error}") from error
