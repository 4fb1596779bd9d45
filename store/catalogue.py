"""What the shop sells, in an encrypted database of its own, so that an import never holds the sale.

A reader sees the whole of one version: what is imported or applied beside it (`store.catalogue_import`,
`store.catalogue_update`) is there from its next lookup on, all at once. A code that carries a price or a weight is looked
up with its value field zeroed and the check digit computed anew, and stands so in the catalogue.
"""

import logging
import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.catalogue import Item, Traits
from core.product_recall import ProductRecall
from core.promotion import Promotion
from store.catalogue_import import import_csv
from store.catalogue_rows import ALWAYS
from store.database import explain, open_database

__all__ = ["Card", "Catalogue", "Price", "Summary", "import_csv"]

CACHE_BYTES = 8 << 20
"""Pages kept decrypted. A shop of a million items is quicker with 64 MiB; a shop's usual few thousand need one."""

SEARCH_MAX = 200
_log = logging.getLogger(__name__)
_traits: msgspec.json.Decoder[Traits] = msgspec.json.Decoder(Traits)
_promotion: msgspec.json.Decoder[Promotion] = msgspec.json.Decoder(Promotion)
_WORD = re.compile(r"[^\W_]+")

_ITEM = "SELECT name, unit, price_minor, tax, dated, traits FROM item WHERE gtin = ?"
_CODE = (
    "SELECT b.item, b.pack, b.name, b.price_minor, b.dated, i.name, i.unit, i.price_minor, i.tax, i.dated,"
    " i.traits"
    " FROM barcode b JOIN item i ON i.gtin = b.item WHERE b.gtin = ?"
)
# The till's own list before everybody's; in a list, what is for a time before what always holds.
_PRICE = (
    "SELECT price_minor FROM price WHERE gtin = ? AND list IN (?, '') AND valid_from <= ? AND valid_to > ?"
    " ORDER BY list = '', valid_from DESC, valid_to LIMIT 1"
)
_SEARCH = (
    "SELECT i.gtin, i.name FROM search JOIN item i ON i.gtin = search.rowid WHERE search MATCH ?"
    " ORDER BY search.rowid LIMIT ?"
)
_RECALLS = "SELECT id, lot, reason, since FROM recall WHERE gtin = ? ORDER BY lot, id"
_COUNTS = "SELECT (SELECT count(*) FROM barcode), (SELECT count(*) FROM price), (SELECT count(*) FROM stock)"
_ON_HAND = (
    "SELECT s.quantity_milli - coalesce(d.quantity_milli, 0), s.as_of_ms"
    " FROM stock s LEFT JOIN sold d ON d.item = s.item WHERE s.item = ?"
)


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price beside the standing one; times are local, ``""`` where a side is open."""

    list: str
    valid_from: str
    valid_to: str
    price_minor: int


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """All that is known of a code: what it rings up at the time asked for, its other codes, prices and stock."""

    item: Item
    standing_minor: int | None
    codes: tuple[str, ...]
    prices: tuple[Price, ...]
    on_hand_milli: int | None
    stock_as_of_ms: int | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """What there is. `number` is 0 where nothing was ever imported; `taxes` counts items by tax code."""

    number: int
    hash: str
    kind: str
    applied_ms: int
    items: int
    codes: int
    prices: int
    counted: int
    taxes: dict[str, int]


class Catalogue:
    """The catalogue as the till reads it: `find` takes microseconds and may be called on the loop's thread."""

    def __init__(self, path: Path, key: bytes, *, price_list: str = "", cache_bytes: int = CACHE_BYTES) -> None:
        """Opens it, or makes an empty one. `key` is `Keys.catalogue`; `price_list` goes before everybody's prices.

        Raises JournalError.
        """
        self._path = path
        self._key = key
        self._price_list = price_list
        self._connection: Any = open_database(path, key, "catalogue")
        self._connection.execute(f"PRAGMA cache_size = {-cache_bytes // 1024}")
        self._cursor = self._connection.cursor()

    def find(self, gtin: str, at: str) -> Item | None:
        """The item of a GTIN in 14 digits, at its price at a local time (ISO 8601). Raises JournalError."""
        if not gtin.isdigit() or len(gtin) > 14:
            return None
        try:
            # All rows, though there is one at most: a statement that is not run to its end holds on to its version.
            rows = self._cursor.execute(_ITEM, (int(gtin),)).fetchall()
            if not rows or rows[0][4] or rows[0][5]:
                with self._one_version():
                    return self._find(gtin, at)
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        name, unit, price_minor, tax, _, _ = rows[0]
        return Item(gtin=gtin, name=name, unit=unit, unit_price_minor=price_minor, tax=tax)

    def recalls(self, gtins: Sequence[str]) -> tuple[ProductRecall, ...]:
        """The recalls of these GTINs (14 digits each), in microseconds. Raises JournalError."""
        return tuple(
            ProductRecall(id=id_, gtin=gtin, lot=lot, reason=reason, since=since)
            for gtin in gtins
            for id_, lot, reason, since in self._ask(_RECALLS, int(gtin))
        )

    def count(self) -> int:
        """How many items there are."""
        number: int = self._ask("SELECT count(*) FROM item")[0][0]
        return number

    def on_hand(self, gtin: str) -> int | None:
        """Thousandths of an item's unit on the shelf; None where its stock is not counted. Raises JournalError."""
        rows = self._ask(_ON_HAND, int(gtin))
        return rows[0][0] if rows else None

    def search(self, words: str, count_max: int = SEARCH_MAX) -> tuple[tuple[str, str], ...]:
        """GTIN and name of items with all the `words` in their name, in the order of GTINs; accents do not matter.

        Where no name has them whole, the last word may be the beginning of one. Raises JournalError.
        """
        quoted = " ".join(f'"{word}"' for word in _WORD.findall(unicodedata.normalize("NFC", words)))
        if not quoted:
            return ()
        rows: list[Any] = []
        for end in ("", "*"):
            rows = rows or self._ask(_SEARCH, quoted + end, min(count_max, SEARCH_MAX))
        return tuple((f"{gtin:014d}", name) for gtin, name in rows)

    def card(self, gtin: str, at: str) -> Card | None:
        """All that is known of a GTIN in 14 digits. Raises JournalError."""
        with self._one_version():
            item = self._find(gtin, at)
            if item is None:
                return None
            own = int(item.item or gtin)
            standing = self._ask(
                "SELECT price_minor FROM item WHERE gtin = ?1 UNION ALL SELECT price_minor FROM barcode WHERE gtin = ?1",
                int(gtin),
            )
            codes = self._ask("SELECT gtin FROM barcode WHERE item = ? ORDER BY gtin", own)
            prices = self._ask("SELECT list, valid_from, valid_to, price_minor FROM price WHERE gtin = ?", int(gtin))
            stock = self._ask(_ON_HAND, own)
        return Card(
            item=item,
            standing_minor=standing[0][0],
            codes=tuple(f"{code:014d}" for (code,) in codes),
            prices=tuple(
                Price(list=name, valid_from=since, valid_to="" if until == ALWAYS[1] else until, price_minor=amount)
                for name, since, until, amount in prices
            ),
            on_hand_milli=stock[0][0] if stock else None,
            stock_as_of_ms=stock[0][1] if stock else None,
        )

    def summary(self) -> Summary:
        """Which version this is, and how much there is of it. Reads every item. Raises JournalError."""
        with self._one_version():
            versions = self._ask("SELECT number, hash, kind, applied_ms FROM version ORDER BY number DESC LIMIT 1")
            number, hash_, kind, applied_ms = versions[0] if versions else (0, "", "", 0)
            taxes = dict(self._ask("SELECT tax, count(*) FROM item GROUP BY tax"))
            codes, prices, counted = self._ask(_COUNTS)[0]
        return Summary(
            number=number,
            hash=hash_,
            kind=kind,
            applied_ms=applied_ms,
            items=sum(taxes.values()),
            codes=codes,
            prices=prices,
            counted=counted,
            taxes=taxes,
        )

    def version(self) -> tuple[int, str]:
        """Number and hash of the version that there is. Takes microseconds. Raises JournalError."""
        rows = self._ask("SELECT number, hash FROM version ORDER BY number DESC LIMIT 1")
        return tuple(rows[0]) if rows else (0, "")

    def promotions(self) -> tuple[Promotion, ...]:
        """Headquarters' promotions; one that this software cannot read is left out. Raises JournalError."""
        found: list[Promotion] = []
        for id_, rule in self._ask("SELECT id, rule FROM promotion ORDER BY id"):
            try:
                found.append(_promotion.decode(rule))
            except msgspec.MsgspecError as error:
                _log.error("a promotion cannot be read and is left out", extra={"promotion": id_, "fault": str(error)})
        return tuple(found)

    def close(self) -> None:
        """May be called twice."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _find(self, gtin: str, at: str) -> Item | None:
        """As `find`, for what takes more than one question; all of them are asked of one version."""
        rows = self._ask(_ITEM, int(gtin))
        if rows:
            name, unit, price_minor, tax, dated, traits = rows[0]
            if dated:
                price_minor = self._price_at(gtin, at, price_minor)
            item = Item(gtin=gtin, name=name, unit=unit, unit_price_minor=price_minor, tax=tax)
            return _with_traits(item, traits)
        rows = self._ask(_CODE, int(gtin))
        if not rows:
            return None
        base, pack, own_name, own_minor, own_dated, name, unit, price_minor, tax, dated, traits = rows[0]
        item_gtin = f"{base:014d}"
        if own_dated:
            own_minor = self._price_at(gtin, at, own_minor)
        if own_minor is not None:
            name = own_name or (name if pack == 1 else f"{pack} \N{MULTIPLICATION SIGN} {name}")
            item = Item(
                gtin=gtin, name=name, unit=unit, unit_price_minor=own_minor, tax=tax, item=item_gtin, contains=pack
            )
            return _with_traits(item, traits)
        if dated:
            price_minor = self._price_at(item_gtin, at, price_minor)
        name = own_name if own_name and pack == 1 else name
        item = Item(gtin=gtin, name=name, unit=unit, unit_price_minor=price_minor, tax=tax, item=item_gtin, count=pack)
        return _with_traits(item, traits)

    def _price_at(self, gtin: str, at: str, standing_minor: int | None) -> int | None:
        rows = self._ask(_PRICE, int(gtin), self._price_list, at, at)
        return rows[0][0] if rows else standing_minor

    @contextmanager
    def _one_version(self) -> Iterator[None]:
        """What is asked inside is answered by one version, though another may be put in its place meanwhile."""
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _ask(self, sql: str, *values: object) -> list[Any]:
        try:
            rows: list[Any] = self._connection.execute(sql, values).fetchall()
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return rows


def _with_traits(item: Item, traits: str | None) -> Item:
    if traits is None:
        return item
    has = _traits.decode(traits)
    return msgspec.structs.replace(
        item, discountable=has.discountable, deposit=has.deposit, min_age=has.min_age, open_price=has.open_price
    )
