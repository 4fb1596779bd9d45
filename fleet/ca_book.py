"""What the authorities have issued and revoked, and who asks to be enrolled: one SQLite file beside their keys.

It is not headquarters' database: collectors need no key of an authority, and there is one authority where there may be
many collectors. A certificate is in the book, on the medium, before it leaves the house.
"""

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from fleet.refusal import Refused

BUSY_TIMEOUT_S = 10.0
_VERSION = 1

_TABLES = """
CREATE TABLE certificate (
    serial      TEXT PRIMARY KEY,
    authority   TEXT NOT NULL,
    name        TEXT NOT NULL,
    purpose     TEXT NOT NULL,
    hosts       TEXT NOT NULL,
    public_key  BLOB NOT NULL,
    begins_ms   INTEGER NOT NULL,
    ends_ms     INTEGER NOT NULL,
    pem         BLOB NOT NULL,
    folder      TEXT NOT NULL,
    issued_ms   INTEGER NOT NULL,
    revoked_ms  INTEGER,
    why         TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX certificate_name ON certificate (authority, name, issued_ms);

CREATE TABLE setting (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;

-- state: waiting, approved, refused. doubt: why a person should look twice, or nothing.
CREATE TABLE request (
    code        TEXT PRIMARY KEY,
    wanted      TEXT NOT NULL,
    csr         BLOB NOT NULL,
    journal_key BLOB NOT NULL,
    address     TEXT NOT NULL,
    about       TEXT NOT NULL,
    first_ms    INTEGER NOT NULL,
    last_ms     INTEGER NOT NULL,
    state       TEXT NOT NULL,
    doubt       TEXT NOT NULL,
    terminal    TEXT NOT NULL DEFAULT '',
    serial      TEXT NOT NULL DEFAULT '',
    decided_ms  INTEGER
) STRICT;

CREATE INDEX request_waiting ON request (address, last_ms) WHERE state = 'waiting';

-- Codes that were approved before their terminals asked.
CREATE TABLE expected (
    code        TEXT PRIMARY KEY,
    terminal    TEXT NOT NULL,
    workstation TEXT NOT NULL,
    who         TEXT NOT NULL,
    time_ms     INTEGER NOT NULL
) STRICT;

-- Who is where, and the journal's key that a terminal proved when it was enrolled.
CREATE TABLE terminal (
    id          TEXT PRIMARY KEY,
    workstation TEXT NOT NULL,
    journal_key BLOB NOT NULL,
    enrolled_ms INTEGER NOT NULL
) STRICT;

-- Two claim one identity; until a person has settled it.
CREATE TABLE clash (
    id         INTEGER PRIMARY KEY,
    terminal   TEXT NOT NULL,
    what       TEXT NOT NULL,
    address    TEXT NOT NULL,
    first_ms   INTEGER NOT NULL,
    last_ms    INTEGER NOT NULL,
    times      INTEGER NOT NULL,
    settled_ms INTEGER
) STRICT;
"""


class BookUnusable(Refused):
    """The authorities' folder cannot be used."""

    code = "ca-folder"
    remedy = "Give --ca-folder the folder that `terminald-fleet ca init` made, as the user whom it belongs to."


class Issued(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate in the book. `serial` is hexadecimal; `folder` is where a server's or a program's is kept up."""

    serial: str
    authority: str
    name: str
    purpose: str
    hosts: str
    public_key: bytes
    begins_ms: int
    ends_ms: int
    pem: bytes
    folder: str
    issued_ms: int
    revoked_ms: int | None = None
    why: str = ""


_COLUMNS = ", ".join(Issued.__struct_fields__)
_SELECT = f"SELECT {_COLUMNS} FROM certificate"  # noqa: S608 # names of ours
_INSERT = f"INSERT INTO certificate ({_COLUMNS}) VALUES ({', '.join('?' * len(Issued.__struct_fields__))})"  # noqa: S608 # names of ours


class Book:
    """Opened for each piece of work; several processes may."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @classmethod
    @contextlib.contextmanager
    def open(cls, path: Path, *, make: bool = False) -> Iterator["Book"]:
        """One transaction: all of it is on the medium when the block has ended, or none. Raises BookUnusable."""
        if not make and not path.exists():
            raise BookUnusable(f"there is no authority in {path.parent}")
        try:
            connection = sqlite3.connect(path, BUSY_TIMEOUT_S, isolation_level=None)
            try:
                connection.execute("PRAGMA synchronous = FULL")
                connection.execute("BEGIN IMMEDIATE")
                _set_up(connection, path)
                yield cls(connection)
                connection.execute("COMMIT")
            finally:
                connection.close()
        except sqlite3.Error as error:
            raise BookUnusable(f"{path}: {error}") from error

    def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
        """Runs one statement."""
        return self._connection.execute(sql, parameters)

    def enter(self, issued: Issued) -> None:
        """Adds a certificate."""
        self.execute(_INSERT, *msgspec.structs.astuple(issued))

    def issued(self, where: str = "1", *parameters: Any) -> list[Issued]:
        """The certificates for which it is so, the oldest first."""
        rows = self.execute(f"{_SELECT} WHERE {where} ORDER BY issued_ms, rowid", *parameters)
        return [Issued(**dict(zip(Issued.__struct_fields__, row, strict=True))) for row in rows]

    def newest(self, authority: str, name: str) -> Issued | None:
        """The last certificate of a name that was not revoked."""
        found = self.issued("authority = ? AND name = ? AND revoked_ms IS NULL", authority, name)
        return found[-1] if found else None

    def setting(self, name: str) -> str:
        """What was set, or nothing."""
        row = self.execute("SELECT value FROM setting WHERE name = ?", name).fetchone()
        return str(row[0]) if row else ""

    def set(self, name: str, value: str) -> None:
        """Sets it."""
        self.execute("INSERT OR REPLACE INTO setting (name, value) VALUES (?, ?)", name, value)


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version == _VERSION:
        return
    if version != 0 or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise BookUnusable(f"{path} is something else, or of a newer version of this program")
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            connection.execute(statement)
    connection.execute(f"PRAGMA user_version = {_VERSION}")
