"""Taking in a CSV file of goods: all of it or nothing, while the till sells.

The file is UTF-8; its first line names its columns, in any order: ``gtin,name,unit,price,tax`` and, where they are
needed, ``item,pack,list,valid_from,valid_to,stock`` (`store.catalogue_rows` says what they hold). It replaces all items,
codes and prices. Stock is replaced for items that the file counts; the others keep theirs.

Two passes, because memory is small and files are large:

1. Rows are read, checked and put aside in an encrypted database of their own (``*.import``, gone afterwards), sorted by
   GTIN. The catalogue has not been touched by then, and is not if anything is wrong.
2. One transaction empties the catalogue and fills it in order. Readers see the old version until its commit; a power cut
   leaves the old one. Meanwhile nobody else can write: the count of what was sold waits, and misses nothing.
"""

import csv
import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.card import wipe
from core.catalogue import COLUMNS, COLUMNS_NEEDED
from core.money import Currency
from store.catalogue_rows import RowReader
from store.catalogue_staging import Faults, Staging
from store.database import connect, explain, open_database
from store.errors import CatalogueRefused, JournalInUse

LINES_MAX = 5_000_000
LINE_BYTES_MAX = 64 << 10
VERSIONS_KEPT = 1_000
_CACHE_KIB = 32 << 10
_EMPTY = ("DELETE FROM item", "DELETE FROM barcode", "DELETE FROM price")
_FORGET = (
    "DELETE FROM stock WHERE item NOT IN (SELECT gtin FROM item)",
    "DELETE FROM sold WHERE item NOT IN (SELECT gtin FROM item)",
)
_COUNTS = (
    "SELECT (SELECT count(*) FROM item), (SELECT count(*) FROM barcode), (SELECT count(*) FROM price),"
    " (SELECT count(*) FROM stock)"
)


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What is there now: the version and how much there is of it."""

    number: int
    hash: str
    items: int
    codes: int
    prices: int
    counted: int


def import_csv(
    path: Path,
    key: bytes,
    source: Path,
    currency: Currency,
    taxes: Collection[str],
    *,
    number: int | None = None,
    now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
) -> Imported:
    """Makes the goods of a CSV file the catalogue at `path`. Blocks for seconds to minutes: call it off the loop.

    `taxes` are the codes that there are; `number` is the new version's (else the next). Raises CatalogueRefused, which
    names bad lines, and then nothing was taken; JournalInUse while another import runs; JournalError.
    """
    try:
        with _aside(path, key) as staging:
            digest = _read(source, RowReader(currency, taxes), staging)
            with closing(open_database(path, key, "catalogue")) as connection:
                connection.execute(f"PRAGMA cache_size = {-_CACHE_KIB}")
                imported = _replace(connection, staging, digest, number, now_ms())
                _give_room_back(connection)
    except sqlcipher.Error as error:
        raise explain(path, key, error) from error
    return imported


def _give_room_back(connection: Any) -> None:
    """The log is as long as the catalogue was: copies it over and empties it. A reader in the way puts that off."""
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    except sqlcipher.Error:
        pass  # what was imported is committed; the next one to write copies the log, and says what hinders it


@contextmanager
def _aside(path: Path, key: bytes) -> Iterator[Staging]:
    """A database beside the catalogue, for one import at a time. What a killed one left is overwritten."""
    aside = path.with_name(path.name + ".import")
    try:
        held = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain(path, key, error) from error
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalInUse(f"another import into {path.name} is running: wait for its end") from None
        try:
            os.ftruncate(held, 0)
            with closing(connect(aside, key)) as connection:
                yield Staging(connection)
        finally:
            aside.unlink(missing_ok=True)
    finally:
        os.close(held)


def _read(source: Path, reader: RowReader, staging: Staging) -> str:
    """Puts all rows aside and gives the file's SHA-256 (hex). Raises CatalogueRefused with the faults there are."""
    faults = Faults()
    digest = hashlib.sha256()
    rows = 0
    try:
        with source.open("rb") as file:
            for line, fields in _records(file, digest, faults):
                rows += 1
                try:
                    staging.add(line, reader.read(fields), faults)
                except ValueError as fault:
                    faults.add(line, str(fault))
    except OSError as error:
        raise CatalogueRefused((f"{source.name} cannot be read: {error.strerror}",)) from error
    staging.finish(faults)
    if not rows and not faults.count:
        raise CatalogueRefused((f"{source.name} holds no items",))
    faults.refuse()
    return digest.hexdigest()


def _records(file: BinaryIO, digest: Any, faults: Faults) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Each record as fields in the order of `COLUMNS`, with the number of the line that it begins on."""
    reader = csv.reader(_lines(file, digest, faults), strict=True)
    began = 1
    try:
        columns = next(reader, [])
        if not columns and faults.count:
            return
        places = _places(columns)
        while True:
            began = reader.line_num + 1  # a record whose quotes hold line breaks is named by the line it begins on
            record = next(reader, None)
            if record is None:
                return
            if len(record) == len(columns):
                record.append("")
                yield began, tuple([record[place] for place in places])
            elif record:
                faults.add(began, f"there must be {len(columns)} columns, not {len(record)}")
    except csv.Error as error:
        faults.add(began, f"not CSV, and what follows could not be read: {_words(error)}")


def _places(columns: list[str]) -> list[int]:
    """Where in a record each of `COLUMNS` stands; what the file does not have is found at the end, where nothing is."""
    missing = [name for name in COLUMNS_NEEDED if name not in columns]
    unknown = [name for name in columns if name not in COLUMNS]
    twice = sorted({name for name in columns if columns.count(name) > 1})
    for names, words in ((missing, "lacks"), (unknown, "has unknown columns"), (twice, "has twice")):
        if names:
            raise CatalogueRefused(
                (
                    f"line 1: the header {words} {', '.join(repr(wipe(name)[:50]) for name in names[:20])};"
                    f" it must name {','.join(COLUMNS_NEEDED)} and may name {','.join(COLUMNS[len(COLUMNS_NEEDED) :])}",
                )
            )
    return [columns.index(name) if name in columns else len(columns) for name in COLUMNS]


def _words(error: csv.Error) -> str:
    return "a quote is opened and never closed" if "unexpected end of data" in str(error) else str(error)


def _lines(file: BinaryIO, digest: Any, faults: Faults) -> Iterator[str]:
    """The lines of a file as text, hashed as they are."""
    for number in range(1, LINES_MAX + 2):
        raw = file.readline(LINE_BYTES_MAX)
        if not raw:
            return
        digest.update(raw)
        if number == 1:
            raw = raw.removeprefix(b"\xef\xbb\xbf")
        if len(raw) == LINE_BYTES_MAX and not raw.endswith(b"\n"):
            faults.add(number, f"longer than {LINE_BYTES_MAX} bytes, and what follows was not read")
            return
        try:
            yield raw.decode()
        except UnicodeDecodeError as error:
            faults.add(number, f"byte 0x{raw[error.start]:02X} is not UTF-8: save the file as UTF-8")
            yield raw.decode(errors="replace")
    faults.add(LINES_MAX + 1, f"more than {LINES_MAX} lines")


def _replace(connection: Any, staging: Staging, digest: str, number: int | None, now_ms: int) -> Imported:
    """The one transaction in which the catalogue becomes another."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in _EMPTY:
            connection.execute(statement)
        for into, rows in staging.rows():
            connection.executemany(into, rows)
        connection.execute("INSERT INTO search (search) VALUES ('rebuild')")
        connection.executemany(
            "INSERT OR REPLACE INTO stock (item, quantity_milli, as_of_ms) VALUES (?, ?, ?)",
            ((item, quantity_milli, now_ms) for item, quantity_milli in staging.counted()),
        )
        connection.executemany("DELETE FROM sold WHERE item = ?", ((item,) for item, _ in staging.counted()))
        for statement in _FORGET:
            connection.execute(statement)
        number = add_version(connection, number, digest, "whole", now_ms)
        items, codes, prices, counted = connection.execute(_COUNTS).fetchone()
        connection.execute("COMMIT")
    except BaseException:
        connection.rollback()
        raise
    return Imported(number=number, hash=digest, items=items, codes=codes, prices=prices, counted=counted)


def add_version(connection: Any, number: int | None, digest: str, kind: str, now_ms: int) -> int:
    """Writes down which version this is from now on, and gives its number; older ones are kept for a while."""
    newest = connection.execute("SELECT coalesce(max(number), 0) FROM version").fetchone()[0]
    if number is None:
        number = newest + 1
    elif number <= newest:
        # A whole catalogue may go back; the versions that it undoes must not be taken for applied.
        connection.execute("DELETE FROM version WHERE number >= ?", (number,))
    connection.execute(
        "INSERT INTO version (number, hash, kind, applied_ms) VALUES (?, ?, ?, ?)", (number, digest, kind, now_ms)
    )
    connection.execute("DELETE FROM version WHERE number <= ?", (number - VERSIONS_KEPT,))
    return number
