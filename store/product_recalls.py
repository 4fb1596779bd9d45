"""Recalled goods in the catalogue's database: put there by hand or by an update, and outliving every import.

A till asks for them with each scan (`store.catalogue.Catalogue.recalls`), so that one that is put while a sale is open
counts for that sale too.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import date
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.card import holds_card
from core.product_recall import ProductRecall
from store.catalogue_rows import read_gtin
from store.database import explain, open_database

LOT_LENGTH_MAX = 20
"""GS1 AI 10."""
ID_LENGTH_MAX = 40
REASON_LENGTH_MAX = 100
RECALLS_MAX = 100_000


class ProductRecalls:
    """The recalls of a catalogue, for those who look after them."""

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key

    def add(self, recall: ProductRecall) -> None:
        """Takes goods off sale; the same again changes its reason. Raises ValueError, JournalError."""
        with self._opened() as connection:
            if connection.execute("SELECT count(*) FROM recall").fetchone()[0] >= RECALLS_MAX:
                raise ValueError(f"there are {RECALLS_MAX} recalls already: lift those that are over")
            put_recall(connection, recall)

    def lift(self, id_: str) -> int:
        """Ends a recall, and says of how many goods or lots. Raises JournalError."""
        with self._opened() as connection:
            return lift_recall(connection, id_)

    def list(self) -> tuple[ProductRecall, ...]:
        """All of them, by their ids. Raises JournalError."""
        with self._opened() as connection:
            rows = connection.execute(
                "SELECT gtin, lot, id, reason, since FROM recall ORDER BY id, gtin, lot"
            ).fetchall()
        return tuple(
            ProductRecall(gtin=f"{gtin:014d}", lot=lot, id=id_, reason=reason, since=since)
            for gtin, lot, id_, reason, since in rows
        )

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        try:
            with closing(open_database(self._path, self._key, "catalogue")) as connection:
                connection.execute("BEGIN IMMEDIATE")
                try:
                    yield connection
                except BaseException:
                    connection.rollback()
                    raise
                connection.execute("COMMIT")
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error


def recall_of(gtin: str, lot: str, id_: str, reason: str, since: str) -> ProductRecall:
    """A recall as people and updates write it. Raises ValueError that names what is wrong."""
    number = read_gtin(gtin)
    for name, text, length_max, is_needed in (
        ("lot", lot, LOT_LENGTH_MAX, False),
        ("id", id_, ID_LENGTH_MAX, True),
        ("reason", reason, REASON_LENGTH_MAX, True),
    ):
        if (is_needed and not text.strip()) or len(text) > length_max or not text.isprintable():
            raise ValueError(f"{name} {text[:length_max]!r} must be {is_needed:d} to {length_max} printable characters")
    if holds_card(id_) or holds_card(reason):
        raise ValueError("the recall holds what may be a card's number")
    if since:
        try:
            date.fromisoformat(since)
        except ValueError:
            raise ValueError(f"since {since!r} is no date such as 2026-11-20") from None
    return ProductRecall(gtin=f"{number:014d}", lot=lot, id=id_, reason=reason, since=since)


def put_recall(connection: Any, recall: ProductRecall) -> None:
    """Writes a recall down in the open transaction."""
    connection.execute(
        "INSERT OR REPLACE INTO recall (gtin, lot, id, reason, since) VALUES (?, ?, ?, ?, ?)",
        (int(recall.gtin), recall.lot, recall.id, recall.reason, recall.since),
    )


def lift_recall(connection: Any, id_: str) -> int:
    """Removes a recall in the open transaction; how many goods or lots it had."""
    count: int = connection.execute("DELETE FROM recall WHERE id = ?", (id_,)).rowcount
    return count
