"""Finished transactions, ready to be asked about by day, operator, item, tender and receipt number.

A projection of the journal in an encrypted file of its own, so that asking never holds a sale: records are folded in
batches from a cursor that is kept in the same transaction as what was folded, hence exact after a power cut. A file that
is lost or damaged is folded again from the journal.
"""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Annotated, Any, Self

import msgspec
from sqlcipher3 import dbapi2 as sqlcipher

from core.history import Assembler, Open, Original, Transaction
from core.ledger import Record
from store.database import explain, open_database

FOUND_MAX = 10_000
_CACHE_KIB = 512
_LAST_DAY = "9999-12-31"


Day = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$")]


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked for: all that is given must hold. Days are ISO 8601 and inclusive.

    The newest come first: by business day, and within one in the order of the journal.
    """

    number: int | None = None
    from_day: Day | None = None
    to_day: Day | None = None
    gtin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{1,14}$")] | None = None
    tender: str | None = None
    operator: str | None = None
    status: str | None = None
    limit: int = 100


class Cursor(msgspec.Struct, frozen=True, kw_only=True):
    """How far the journal was folded: record `seq` of `epoch`, with this hash, is the last one in."""

    epoch: str
    seq: int
    hash: bytes


class History:
    """The projection. Its calls block: call them off the loop. One lock serves all threads."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens it, or makes an empty one. Raises JournalError."""
        self._path = path
        self._key = key
        self._one = threading.Lock()
        self._connection: Any = open_database(path, key, "history")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        self._connection.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")

    def cursor(self) -> Cursor | None:
        """Where to go on folding; None for a new file."""
        rows = self._run("SELECT epoch, seq, hash FROM cursor")
        return Cursor(epoch=rows[0][0], seq=rows[0][1], hash=rows[0][2]) if rows else None

    def clear(self) -> None:
        """Forgets everything at once, to be folded again. Raises JournalError."""
        tables = ("sale_link", "sale_tender", "sale_item", "sale", "cursor")
        statements = ";".join(f"DELETE FROM {table}" for table in tables)  # noqa: S608 (our own words)
        try:
            with self._one:
                self._connection.executescript(f"BEGIN IMMEDIATE;{statements};COMMIT;")
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error

    def fold(self, records: Sequence[Record]) -> int:
        """Takes in the records that follow the cursor, all or none; returns how many transactions they ended."""
        if not records:
            return 0
        with self._one:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    folded = self._fold(records)
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:  # a full disk has rolled it back already
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlcipher.Error as error:
                raise explain(self._path, self._key, error) from error
        return folded

    def find(self, query: Query) -> list[Transaction]:
        """The transactions that fit, the newest first; `query.limit` and FOUND_MAX bound their number."""
        if query.status == "cancelled" and query.tender is not None:
            return []  # what was cancelled has no tenders, and they need not be looked through
        sql, values = _select(query)
        return [_decoder.decode(row[0]) for row in self._run(sql, *values)]

    def original(self, number: int, epoch: str = "") -> Original | None:
        """The newest completed transaction of this number, of `epoch` where that is given, and what came back of it."""
        found = [
            sold
            for sold in self.find(Query(number=number, status="completed", limit=FOUND_MAX))
            if not epoch or sold.epoch == epoch
        ]
        if not found:
            return None
        sold = max(found, key=lambda each: each.time_ms)
        linked = self._run(
            "SELECT whole FROM sale_link JOIN sale ON id = sale WHERE sale_link.epoch = ? AND sale_link.number = ?"
            " ORDER BY id",
            sold.epoch,
            sold.number,
        )
        return Original(sold=sold, later=tuple(_decoder.decode(row[0]) for row in linked))

    def walk(self, query: Query, page: int = 1_000) -> Iterator[Transaction]:
        """All that fit, the oldest first, without a bound: for an export."""
        where, values = _where(query)
        if query.gtin is not None:
            where += (
                " AND EXISTS (SELECT 1 FROM sale_item i WHERE i.gtin = ? AND i.sale = id"
                " AND i.day = CAST(replace(business_day, '-', '') AS INTEGER))"
            )
            values.append(query.gtin.zfill(14))
        last = 0
        while True:
            sql = f"SELECT id, whole FROM sale WHERE {where} AND id > ? ORDER BY id LIMIT ?"  # noqa: S608 (our own words)
            rows = self._run(sql, *values, last, page)
            for id_, whole in rows:
                yield _decoder.decode(whole)
                last = id_
            if len(rows) < page:
                return

    def count(self) -> int:
        """How many transactions are in it."""
        return int(self._run("SELECT count(*) FROM sale")[0][0])

    def close(self) -> None:
        """May be called twice; waits for what another thread does: to close a connection in use ends the process."""
        with self._one:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _fold(self, records: Sequence[Record]) -> int:
        kept = self._connection.execute("SELECT open FROM cursor").fetchone()
        assembler = _assembler(kept[0]) if kept else Assembler()
        folded = 0
        for record in records:
            transaction = assembler.take(record)
            if transaction is not None:
                self._add(transaction)
                folded += 1
        self._connection.execute(
            "INSERT INTO cursor (one, epoch, seq, hash, open) VALUES (1, ?, ?, ?, ?) ON CONFLICT (one) DO UPDATE"
            " SET epoch = excluded.epoch, seq = excluded.seq, hash = excluded.hash, open = excluded.open",
            (
                records[-1].epoch,
                records[-1].seq,
                records[-1].hash,
                msgspec.json.encode((assembler.open, assembler.parked)),
            ),
        )
        return folded

    def _add(self, sold: Transaction) -> None:
        added = self._connection.execute(
            "INSERT INTO sale (epoch, seq, number, status, business_day, operator, total_minor, whole)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                sold.epoch,
                sold.seq,
                sold.number,
                sold.status,
                sold.business_day,
                sold.operator,
                sold.total_minor,
                msgspec.json.encode(sold),
            ),
        ).lastrowid
        day = _day(sold.business_day)
        self._connection.executemany(
            "INSERT INTO sale_item (gtin, day, sale, cancelled) VALUES (?, ?, ?, ?)",
            [(gtin, day, added, sold.status == "cancelled") for gtin in {line.gtin for line in sold.lines}],
        )
        self._connection.executemany(
            "INSERT INTO sale_tender (kind, day, sale) VALUES (?, ?, ?)",
            [(tender.kind, day, added) for tender in sold.tenders],
        )
        if sold.status == "completed":
            links = (
                {line.returned for line in sold.lines} | {gift.returned for gift in sold.stored_value} | {sold.voids}
            )
            self._connection.executemany(
                "INSERT INTO sale_link (epoch, number, sale) VALUES (?, ?, ?)",
                {(link.epoch, link.number, added) for link in links if link is not None and link.number},
            )

    def _run(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        try:
            with self._one:
                rows: list[tuple[Any, ...]] = self._connection.execute(sql, values).fetchall()
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return rows


_decoder = msgspec.json.Decoder(Transaction)
_rest_decoder = msgspec.json.Decoder(tuple[Open | None, tuple[Open, ...]] | Open | None)


def _assembler(kept: bytes) -> Assembler:
    """What was remembered of transactions that had not ended; the software before knew of one at a time."""
    rest = _rest_decoder.decode(kept)
    return Assembler(*rest) if isinstance(rest, tuple) else Assembler(rest)


def _select(query: Query) -> tuple[str, list[object]]:
    """One walk along the index of the rarest thing asked for: the newest business day first, and its newest sale."""
    where, values = _where(query)
    order = "business_day DESC, id DESC"
    if query.number is not None:
        source = "sale INDEXED BY sale_number"
    elif query.gtin is not None:
        source, where, values = _by_day(query, "sale_item", "gtin", query.gtin.zfill(14), where, values)
        order = "found.day DESC, found.sale DESC"
        if query.status is not None:
            where += f" AND found.cancelled = {query.status == 'cancelled':d}"
    elif query.status == "cancelled":
        source, where = "sale INDEXED BY sale_cancelled", f"{where} AND status = 'cancelled'"
    elif query.operator is not None:
        source = "sale INDEXED BY sale_operator"
    elif query.tender is not None:
        source, where, values = _by_day(query, "sale_tender", "kind", query.tender, where, values)
        order = "found.day DESC, found.sale DESC"
    else:
        source = "sale INDEXED BY sale_day"
    limit = max(1, min(query.limit, FOUND_MAX))
    return f"SELECT whole FROM {source} WHERE {where} ORDER BY {order} LIMIT ?", [*values, limit]  # noqa: S608 (our own words)


def _by_day(
    query: Query, table: str, column: str, value: str, where: str, values: list[object]
) -> tuple[str, str, list[object]]:
    """Source, conditions and values of a walk along a table that has the business day beside what is looked for."""
    source = f"{table} AS found CROSS JOIN sale ON id = found.sale"
    days = f"found.{column} = ? AND found.day BETWEEN ? AND ?"
    return source, f"{days} AND {where}", [value, _day(query.from_day or ""), _day(query.to_day or _LAST_DAY), *values]


def _day(business_day: str) -> int:
    return int(business_day.replace("-", "") or 0)


def _where(query: Query) -> tuple[str, list[object]]:
    """The conditions of a query but the item, and their values; never words from outside."""
    conditions: list[tuple[str, object]] = [
        ("number = ?", query.number),
        ("business_day >= ?", query.from_day),
        ("business_day <= ?", query.to_day),
        ("operator = ?", query.operator),
        ("status = ?", query.status),
        (
            "EXISTS (SELECT 1 FROM sale_tender t WHERE t.kind = ? AND t.sale = id"
            " AND t.day = CAST(replace(business_day, '-', '') AS INTEGER))",
            query.tender,
        ),
    ]
    given = [(sql, value) for sql, value in conditions if value is not None]
    return " AND ".join(sql for sql, _ in given) or "1", [value for _, value in given]
