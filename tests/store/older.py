"""Databases as earlier software made them: the first schema with rows in it, brought on by the scripts of its time.

Scripts are never changed once they are out; so the numbered ones are all that is needed to make each earlier version. A
new schema, or another first script, is caught by `FIRST` lacking it.
"""

import asyncio
import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, get_args

import msgspec
from argon2 import PasswordHasher

from core import entries as e
from core.catalogue import UNITS
from core.fold import apply
from core.history import Assembler, Transaction
from core.ledger import Draft, Record
from core.state import Till
from store.catalogue import Catalogue
from store.chain import SEQ_BITS, Chain
from store.credentials import Credentials, Granted, Moment, Role
from store.customers import Customers
from store.database import PAGE_BYTES, Schema, connect
from store.history import History, Query
from store.journal import SqlJournal
from store.verify import verify_journal
from tests.store.journals import KEY, SIGNING_KEY, STAMP
from tests.tills import sale

PEPPER = bytes(range(32))
PIN = "271828"
NOON = "2026-11-24T12:00:00+01:00"
ITEMS = 300
SALES = 12
EPOCH = "0123456789abcdef" * 2
CUSTOMERS = {bytes([4, number] * 3): hashlib.sha256(bytes([number])).hexdigest()[:32] for number in range(30)}
_HASHER = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1)


@dataclass(frozen=True, slots=True)
class First:
    """The rows of a schema's first version, and what is wrong with a database that should hold them ("" for nothing).

    `seems` opens it with the present code, as the terminal does.
    """

    fill: Callable[[Any], None]
    seems: Callable[[Path], str]


def versions(schema: Schema) -> int:
    """How many there are."""
    return len(_scripts(schema))


def make(schema: Schema, version: int, path: Path) -> Path:
    """A database of an earlier version, closed."""
    path.touch(mode=0o600)
    connection = connect(path, KEY)
    connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
    connection.execute("PRAGMA journal_mode = WAL")
    for number, script in enumerate(_scripts(schema)[:version], 1):
        connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        if number == 1:
            connection.execute("BEGIN IMMEDIATE")
            FIRST[schema].fill(connection)
            connection.execute("COMMIT")
    connection.close()
    return path


def shape(path: Path) -> tuple[int, list[Any]]:
    """A database's version, and what its tables, columns, indexes and triggers are."""
    connection = connect(path, KEY)
    try:
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        things = connection.execute(
            "SELECT type, name, tbl_name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name"
        ).fetchall()
        columns = [
            (name, column[1:])
            for kind, name, _ in things
            if kind == "table"
            for column in connection.execute(f"PRAGMA table_xinfo('{name}')")
        ]
        triggers = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger' ORDER BY name")
        return version, [things, columns, triggers.fetchall()]
    finally:
        connection.close()


def is_sound(path: Path) -> bool:
    """Whether every page is what it should be."""
    connection = connect(path, KEY)
    try:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the cipher's own check gives false alarms
        rows = connection.execute("PRAGMA integrity_check").fetchall()
        return bool(rows == [("ok",)]) and not connection.execute("PRAGMA cipher_integrity_check").fetchall()
    finally:
        connection.close()


def _scripts(schema: Schema) -> list[str]:
    folder = files("store") / "schema" / schema
    return [entry.read_text("utf-8") for entry in sorted(folder.iterdir(), key=lambda entry: entry.name)]


# --- the journal -------------------------------------------------------------------------------------------------


def _entries() -> list[e.AnyEntry]:
    """Sales, a technical entry between them, and a basket that is open."""
    kept: list[e.AnyEntry] = [
        e.EpochOpened(terminal="till-1", reason="first-boot", signing_key=SIGNING_KEY.hex()),
        e.DaemonStarted(software="1", clean=True),
    ]
    for number in range(1, SALES + 1):
        kept += sale(number, 100 * number, items=number % 4 + 1)
        kept.append(e.DeviceReported(device="scanner", phase="ready"))
    return [*kept, *sale(SALES + 1, 500)[:2]]


def _records() -> list[Record]:
    chain = Chain(EPOCH)
    records = []
    for entry in _entries():
        draft: Draft = e.draft(entry)
        record = chain.seal(draft, STAMP, _key_of(entry))
        chain.take(record, draft.stream)
        records.append(record)
    return records


def _key_of(entry: e.AnyEntry) -> str | None:
    return f"key-{entry.number}" if isinstance(entry, e.TransactionOpened) else None


def _fill_journal(connection: Any) -> None:
    entries, records = _entries(), _records()
    connection.execute("INSERT INTO epoch VALUES (1, ?)", (EPOCH,))
    connection.executemany(
        "INSERT INTO record VALUES (?, ?, ?, ?)",
        [(1 << SEQ_BITS | record.seq, record.exact, record.hash, _key_of(entry))
         for entry, record in zip(entries, records, strict=True)],
    )  # fmt: skip
    connection.execute("INSERT INTO outbox VALUES (?, ?, ?)", (EPOCH, 40, b"ack"))
    chain, till = Chain(EPOCH), Till()
    for entry, record in zip(entries[:30], records, strict=False):
        chain.take(record, e.draft(entry).stream)
        till = apply(till, entry)
    tail = chain.tail()
    whole = {"seq": tail.seq, "hash": tail.hash, "streams": tail.streams}
    connection.execute(
        "INSERT INTO checkpoint VALUES (1, ?, ?, ?, ?, ?)",
        (EPOCH, tail.seq, msgspec.json.encode((1, till)), tail.seq, msgspec.json.encode(whole)),
    )


def _seems_journal(path: Path) -> str:
    async def look() -> str:
        async with await SqlJournal.open(
            path, KEY, terminal="till-1", signing_key=SIGNING_KEY, stamp=STAMP, frames_warm=8
        ) as journal:
            records = [record async for record in journal.replay()]
            if records[: len(expected)] != expected:
                return f"{len(records)} records are there, and not the ones that were"
            if journal.opened is not None:
                return f"another epoch was opened: {journal.opened.reason}"
            acknowledged = await journal.acknowledged(EPOCH)
            if acknowledged is None or (acknowledged.seq, acknowledged.ack) != (40, b"ack"):
                return "headquarters' acknowledgement is lost"
            if await journal.find("key-3") is None:
                return "an idempotency key is lost"
            kept = await journal.load_checkpoint()
            if kept is None or kept.seq != 30:
                return "the checkpoint is lost"
            await journal.append([e.draft(e.DrawerCommanded())], STAMP)
        return ""

    expected = _records()
    wrong = asyncio.run(look())
    found = verify_journal(path, KEY)
    return wrong or ("" if found.whole else f"it is not whole: {found.finding}")


# --- the others --------------------------------------------------------------------------------------------------


def _fill_catalogue(connection: Any) -> None:
    connection.executemany(
        "INSERT INTO item VALUES (?, ?, ?, ?, ?)",
        [(f"{number:014}", f"Thing {number}", "each", number, "A") for number in range(ITEMS)],
    )


def _seems_catalogue(path: Path) -> str:
    with Catalogue(path, KEY) as catalogue:
        if catalogue.count() != ITEMS:
            return f"it has {catalogue.count()} items"
        for number in range(ITEMS):
            item = catalogue.find(f"{number:014}", NOON)
            if item is None or (item.name, item.unit_price_minor) != (f"Thing {number}", number):
                return f"item {number} is {item}"
        for unit in UNITS:
            catalogue._connection.execute("UPDATE item SET unit = ? WHERE gtin = 1", (unit,))
        catalogue._connection.execute("INSERT INTO search (search, rank) VALUES ('integrity-check', 1)")
        return "" if catalogue.search("thing 77") else "nothing is found by its name"


def _fill_customers(connection: Any) -> None:
    connection.executemany(
        "INSERT INTO customer (tag, reference) VALUES (?, ?)",
        [(hmac.digest(PEPPER, uid, "sha256"), reference) for uid, reference in CUSTOMERS.items()],
    )


def _seems_customers(path: Path) -> str:
    with Customers(path, KEY, PEPPER) as customers:
        wrong = [uid for uid, reference in CUSTOMERS.items() if customers.identify(uid.hex()) != reference]
    return f"{len(wrong)} customers are others now" if wrong else ""


def _fill_credentials(connection: Any) -> None:
    hash_ = _HASHER.hash(hmac.digest(PEPPER, f"{Role.OWNER}\0{PIN}".encode(), "sha256"))
    connection.execute("INSERT INTO pin VALUES (?, ?, 2, 0)", (Role.OWNER.value, hash_))


def _seems_credentials(path: Path) -> str:
    with Credentials(path, KEY, PEPPER) as credentials:
        answer = credentials.check(Role.OWNER, PIN, Moment(boot="b1", up_ms=0))
    return "" if isinstance(answer, Granted) else f"the owner's PIN is {answer}"


def _transactions() -> list[Transaction]:
    assembler = Assembler()
    return [sold for record in _records() if (sold := assembler.take(record)) is not None]


def _fill_history(connection: Any) -> None:
    for id_, sold in enumerate(_transactions(), 1):
        connection.execute(
            "INSERT INTO sale VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (id_, sold.epoch, sold.seq, sold.number, sold.status, sold.business_day, sold.operator, sold.total_minor,
             msgspec.json.encode(sold)),
        )  # fmt: skip
        connection.execute("INSERT INTO sale_item VALUES (?, ?)", (sold.lines[0].gtin.zfill(14), id_))
        connection.execute("INSERT INTO sale_tender VALUES ('CASH', ?)", (id_,))
    last = _records()[-1]
    connection.execute("INSERT INTO cursor VALUES (1, ?, ?, ?, ?)", (EPOCH, last.seq, last.hash, b"null"))


def _seems_history(path: Path) -> str:
    expected = _transactions()[::-1]
    with History(path, KEY) as history:
        cursor = history.cursor()
        if cursor is None or cursor.seq != _records()[-1].seq:
            return "its place in the journal is lost"
        day = expected[0].business_day
        for query in (Query(), Query(tender="CASH"), Query(gtin="4006381333931"), Query(from_day=day, to_day=day)):
            if history.find(query) != expected:
                return f"{query} finds {len(history.find(query))} transactions"
        return "" if history.find(Query(number=3)) == [expected[-3]] else "a receipt is not found by its number"


FIRST: dict[Schema, First] = {
    "journal": First(_fill_journal, _seems_journal),
    "catalogue": First(_fill_catalogue, _seems_catalogue),
    "customers": First(_fill_customers, _seems_customers),
    "credentials": First(_fill_credentials, _seems_credentials),
    "history": First(_fill_history, _seems_history),
}
SCHEMAS: tuple[Schema, ...] = get_args(Schema)
