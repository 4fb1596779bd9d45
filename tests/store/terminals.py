"""A terminal's encrypted files with something in each, under keys that can be looked after; no daemon."""

from pathlib import Path
from typing import Any

from store.database import Schema, connect, open_database
from store.keys import DATABASES, Keys, KeyStore

CONTENTS: dict[Schema, tuple[str, str, tuple[Any, ...]]] = {
    "journal": (
        "INSERT INTO record (position, exact, hash, key) VALUES (?, ?, ?, ?)",
        "SELECT position, exact, hash, key FROM record WHERE position >= 1000 ORDER BY position",
        (1_000, b"{}" * 200, bytes(32), "key"),
    ),
    "customers": (
        "INSERT INTO customer (tag, reference) VALUES (?, ?)",
        "SELECT tag, reference FROM customer ORDER BY tag",
        (bytes(32), "0" * 32),
    ),
    "credentials": (
        "INSERT INTO pin (subject, hash) VALUES (?, ?)",
        "SELECT subject, hash FROM pin ORDER BY subject",
        ("owner", "hash"),
    ),
}
"""How a row is put into a database, and how all of them are read."""


def fill(store: KeyStore, rows: int = 40) -> None:
    """Makes the databases and puts rows into them."""
    keys = store.load()
    for purpose in CONTENTS:
        connection = open_database(store.databases[purpose], getattr(keys, purpose), purpose)
        insert_rows(connection, purpose, range(rows if purpose != "credentials" else 1))
        connection.close()


def insert_rows(connection: Any, purpose: Schema, numbers: range) -> None:
    """Puts rows into an open database, all in one transaction."""
    insert, _, first = CONTENTS[purpose]
    connection.execute("BEGIN")
    for number in numbers:
        connection.execute(insert, tuple(_vary(value, number) for value in first))
    connection.execute("COMMIT")


def contents(store: KeyStore, keys: Keys) -> dict[str, list[Any]]:
    """All rows of the databases that there are."""
    found: dict[str, list[Any]] = {}
    for purpose, (_, select, _) in CONTENTS.items():
        connection = connect(store.databases[purpose], getattr(keys, purpose))
        found[purpose] = connection.execute(select).fetchall()
        connection.close()
    return found


def sole_openers(store: KeyStore, secrets: dict[tuple[str, int], bytes]) -> dict[str, list[int]]:
    """For each database that there is, the generations of its key that open it: there must be one."""
    return {
        purpose: [generation for (name, generation), key in secrets.items() if name == purpose and _opens(path, key)]
        for purpose in DATABASES
        if (path := store.databases[purpose]).exists()
    }


def _opens(path: Path, key: bytes) -> bool:
    try:
        connect(path, key).close()
    except Exception:
        return False
    return True


def _vary(value: Any, number: int) -> Any:
    match value:
        case int():
            return value + number
        case bytes():
            return number.to_bytes(4, "big") + value[4:]
        case str() if value.isdigit():
            return f"{number:0{len(value)}}"
    return f"{value}{number}" if number else value
