"""Headquarters' embedded database: one SQLite file with WAL and full flushes, written under a lock.

SQLite up to 3.51.2 can damage a WAL when two connections write or checkpoint it at the same instant. So every writing
transaction, with the checkpoint that its commit may make, holds a lock on a file beside the database, and readers
neither write nor checkpoint.
"""

import contextlib
import fcntl
import functools
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    from fleet.store import Rows, Statements, Table

BUSY_TIMEOUT_S = 10.0
WAL_PAGES_MAX = 4096
"""How far the WAL grows before a commit brings it into the file: 16 MiB."""
_SCHEMA = Path(__file__).with_name("schema")


class DatabaseError(Exception):
    """Headquarters' database cannot be used. `code` is stable, `remedy` tells what to do."""

    code: ClassVar[str] = "database"
    remedy: ClassVar[str] = "Look at the disk and the rights of the database's folder, then start the collector again."


class DatabaseAbsent(DatabaseError, FileNotFoundError):
    """There is no such database."""

    code = "database-absent"
    remedy = "Give the path of a database that `terminald-fleet collect` has made."


class DatabaseNotWritable(DatabaseError, PermissionError):
    """It cannot be made, opened or written: rights, a full disk, a broken one."""

    code = "database-not-writable"


class DatabaseAway(DatabaseError, ConnectionError):
    """The database server cannot be reached, restarts, or is too busy. The collector tries again until it answers."""

    code = "database-away"
    remedy = "Look at the server and the network between: terminals keep their sales until it is back."


class DatabaseFull(DatabaseAway):
    """The database server has no room left. The collector tries again until it has."""

    code = "database-full"
    remedy = "Make room on the server's disk: terminals keep their sales until there is."


class DatabaseForeign(DatabaseError, ValueError):
    """The file is something else, or of a newer version of this program."""

    code = "database-foreign"
    remedy = "Give another path: this file is not a database that this version of the collector made."


def locate(url: str) -> Path:
    """The file of a plain path or of ``sqlite:///relative``, ``sqlite:////absolute``. Raises ValueError."""
    scheme, colon, rest = url.partition("://")
    if not colon:
        return Path(url)
    if scheme != "sqlite":
        raise ValueError(f"{scheme}:// is not supported: give a path, sqlite:///path or postgresql://host/database")
    if not rest.startswith("/") or rest == "/":
        raise ValueError("a SQLite address is sqlite:///relative/path or sqlite:////absolute/path")
    return Path(rest[1:])


class Database:
    """The writing connection. Used by one thread at a time."""

    def __init__(self, path: Path, connection: sqlite3.Connection, lock: int) -> None:
        self.path = path
        self._connection = connection
        self._lock = lock

    @classmethod
    def open(cls, path: Path, *, now_ms: int) -> Self:
        """Opens the database, or makes it. Raises DatabaseError."""
        try:
            lock = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise DatabaseNotWritable(f"{path}: {error.strerror}") from error
        connection: sqlite3.Connection | None = None
        try:
            connection = sqlite3.connect(path, BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            database = cls(path, connection, lock)
            with database._locked():
                database._set_up(now_ms)
        except BaseException as error:
            if connection is not None:
                connection.close()
            os.close(lock)
            if isinstance(error, sqlite3.Error):
                raise _explained(path, error) from error
            raise
        return database

    @property
    def address(self) -> Path:
        """Where it is."""
        return self.path

    @contextlib.contextmanager
    def transaction(self) -> Iterator["Statements"]:
        """One transaction, on the medium when the block has ended. Raises DatabaseError, having changed nothing."""
        with self._locked():
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield _Statements(self._connection)
                    self._connection.execute("COMMIT")
                except BaseException:
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise _explained(self.path, error) from error

    def close(self) -> None:
        """Lets go of the file. May be called twice."""
        if self._lock < 0:
            return
        with self._locked():
            self._connection.close()
        os.close(self._lock)
        self._lock = -1

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            fcntl.flock(self._lock, fcntl.LOCK_UN)

    def _set_up(self, now_ms: int) -> None:
        run = self._connection.execute
        steps = sorted(_SCHEMA.glob("*.sql"))
        (version,) = run("PRAGMA user_version").fetchone()
        (tables,) = run("SELECT count(*) FROM sqlite_schema").fetchone()
        if version > len(steps) or (version == 0 and tables):
            raise DatabaseForeign(f"{self.path} is no database of this version of the collector")
        run("PRAGMA journal_mode = WAL")
        run("PRAGMA synchronous = FULL")
        run(f"PRAGMA wal_autocheckpoint = {WAL_PAGES_MAX}")
        run("BEGIN IMMEDIATE")
        for number, step in enumerate(steps[version:], version + 1):
            for statement in _statements(step.read_text("utf-8")):
                run(statement)
            run(f"PRAGMA user_version = {number}")
        # A database that is made anew starts above every generation that an earlier one can have reached.
        run("INSERT INTO headquarters (id, generation) VALUES (1, ?) ON CONFLICT DO NOTHING", (now_ms,))
        run("COMMIT")


class _Statements:
    """A connection's statements, within its transaction."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self.execute: Callable[..., Rows] = connection.execute

    def insert(self, table: "Table", rows: Sequence[Sequence[Any]], *, fresh: bool = False) -> int:
        """Adds the rows that are not there yet."""
        return self._connection.executemany(_insertion(table), rows).rowcount if rows else 0

    def put(self, table: "Table", rows: Sequence[Sequence[Any]]) -> None:
        """Puts rows in the place of those with the same keys."""
        if rows:
            self._connection.executemany(_replacement(table), rows)

    def lock(self, terminals: Iterable[str]) -> None:
        """A transaction that writes is alone anyway."""


@functools.cache
def _insertion(table: "Table") -> str:
    places = ", ".join("?" * len(table.columns))
    return f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places}) ON CONFLICT DO NOTHING"  # noqa: S608 # our own names


@functools.cache
def _replacement(table: "Table") -> str:
    places = ", ".join("?" * len(table.columns))
    news = ", ".join(f"{name} = excluded.{name}" for name in table.columns if name not in table.keys)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) VALUES ({places})"  # noqa: S608 # our own names
        f" ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET {news}"
    )


@contextlib.contextmanager
def reading(path: Path) -> Iterator["Statements"]:
    """Statements that see one state of the database, and changes nothing. Raises DatabaseError."""
    if not path.exists():
        raise DatabaseAbsent(f"there is no {path}")
    try:
        connection = sqlite3.connect(
            f"{path.absolute().as_uri()}?mode=ro", BUSY_TIMEOUT_S, uri=True, isolation_level=None
        )
        try:
            connection.execute("BEGIN")
            yield _Statements(connection)
        finally:
            connection.close()
    except sqlite3.Error as error:
        raise _explained(path, error) from error


def _statements(script: str) -> Iterator[str]:
    """The statements of a script one by one: `executescript` would commit a transaction that is open."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def _explained(path: Path, error: sqlite3.Error) -> DatabaseError:
    name = getattr(error, "sqlite_errorname", "") or ""
    if name.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
        return DatabaseForeign(f"{path}: {error}")
    return DatabaseNotWritable(f"{path}: {error} {name}".rstrip())
