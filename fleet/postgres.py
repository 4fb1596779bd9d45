"""Headquarters' database on a PostgreSQL server (13 or newer), for any number of collectors at once.

A collector keeps one connection. Within a transaction it holds an advisory lock on each terminal that it takes batches
of, all taken at the beginning and in one order, so that two collectors neither count a mark twice nor wait for each
other in a circle. A lost server is no error of the collector's: `DatabaseAway` says that the same transaction may be run
again.
"""

import contextlib
import functools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Self, cast

import psycopg
from psycopg.conninfo import conninfo_to_dict

from fleet.database import DatabaseAbsent, DatabaseAway, DatabaseError, DatabaseForeign, DatabaseFull
from fleet.store import Rows, Server, Statements, Table

CONNECT_TIMEOUT_S = 10
STATEMENT_TIMEOUT_S = 60
"""A server that hangs is left, and the transaction run again."""
COPY_ROWS_MIN = 64
"""Fewer rows are not worth the questions that a copy takes."""
_SCHEMA = Path(__file__).with_name("schema") / "postgres"
_SETTINGS = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "application_name": "terminald-fleet",
    "keepalives_idle": 15,
    "tcp_user_timeout": STATEMENT_TIMEOUT_S * 1000,
}
_MIGRATION = 0x7465726D
_TERMINALS = 0x7465726E
"""Our two spaces of advisory locks: `term`, `tern`."""


class DatabaseCareless(DatabaseError):
    """The server says that a commit is done before it is on its medium (fsync is off): no sale may rest on that."""

    code = "database-careless"
    remedy = "Set fsync = on and full_page_writes = on in the server's postgresql.conf, and restart the server."


def check(server: Server) -> Server:
    """The same address. Raises ValueError where it is none."""
    try:
        if not conninfo_to_dict(server.url).get("dbname"):
            raise ValueError("the address names no database: postgresql://[user[:password]@]host[:port]/database")
    except psycopg.Error:
        raise ValueError("a PostgreSQL address is postgresql://[user[:password]@]host[:port]/database") from None
    return server


class Postgres:
    """The writing connection, opened again where it was lost. Used by one thread at a time."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._connection: psycopg.Connection | None = None

    @classmethod
    def open(cls, server: Server, *, now_ms: int) -> Self:
        """Connects, and makes the tables that are not there. Raises DatabaseError."""
        opened = cls(server)
        try:
            with opened._within() as connection:
                _set_up(connection, now_ms)
        except BaseException:
            opened.close()
            raise
        return opened

    @property
    def address(self) -> Server:
        """Where it is."""
        return self._server

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Statements]:
        """One transaction, on the server's medium when the block has ended. Raises DatabaseError."""
        with self._within() as connection:
            yield _Statements(connection)

    def close(self) -> None:
        """Lets go of the connection. May be called twice."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @contextlib.contextmanager
    def _within(self) -> Iterator[psycopg.Connection]:
        try:
            if self._connection is None:
                self._connection = _connect(self._server)
            with self._connection.transaction():
                yield self._connection
        except psycopg.Error as error:
            if self._connection is not None and (self._connection.broken or self._connection.closed):
                self.close()
            raise _explained(self._server, error) from error


@contextlib.contextmanager
def reading(server: Server) -> Iterator[Statements]:
    """Statements that see one state of the database, and change nothing. Raises DatabaseError."""
    try:
        with contextlib.closing(_connect(server)) as connection:
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
            connection.read_only = True
            with connection.transaction():
                yield _Statements(connection)
    except psycopg.errors.UndefinedTable as error:
        raise DatabaseAbsent("no collector has made its tables in this PostgreSQL database yet") from error
    except psycopg.Error as error:
        raise _explained(server, error) from error


class _Statements:
    """SQL as both databases have it, to psycopg."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self._connection = connection

    def execute(self, sql: str, parameters: Sequence[Any] = (), /) -> Rows:
        """Runs one statement."""
        cursor = self._connection.cursor(binary=True)
        return cast(Rows, cursor.execute(_translated(sql), [_text(value) for value in parameters]))

    def insert(self, table: Table, rows: Sequence[Sequence[Any]], *, fresh: bool = False) -> int:
        """Adds the rows that are not there yet, by one statement with an array for each column.

        Many that should all be new are copied in: PostgreSQL then writes them in pages, and not one by one with a look
        for each whether it is there.
        """
        if fresh and len(rows) >= COPY_ROWS_MIN:
            try:
                with self._connection.transaction():  # within ours: what fails in it spoils nothing before
                    self._copy(table, rows)
                return len(rows)
            except psycopg.errors.UniqueViolation:
                pass
        if not rows:
            return 0
        return self._connection.execute(_insertion(table), _columns(table, rows)).rowcount

    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Puts rows in the place of those with the same keys, by one statement."""
        if rows:
            self._connection.execute(_replacement(table), _columns(table, rows))

    def _copy(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        with self._connection.cursor() as cursor, cursor.copy(_copying(table)) as copy:
            copy.set_types(table.types)
            for row in rows:
                copy.write_row([_text(value) for value in row])

    def lock(self, terminals: Iterable[str]) -> None:
        """Waits for any other collector that is at work on one of them."""
        names = sorted(set(terminals))
        if names:
            self._connection.execute(
                "SELECT pg_advisory_xact_lock(%s, key) FROM"
                " (SELECT DISTINCT hashtext(name) AS key FROM unnest(%s::text[]) name ORDER BY 1) keys",
                (_TERMINALS, names),
            )


def _connect(server: Server) -> psycopg.Connection:
    given = conninfo_to_dict(server.url)
    settings: dict[str, Any] = {key: value for key, value in _SETTINGS.items() if key not in given}
    connection = psycopg.connect(server.url, autocommit=True, **settings)
    try:
        connection.execute(f"SET statement_timeout = {STATEMENT_TIMEOUT_S * 1000}")
        if _is_lazy(connection):
            connection.execute("SET synchronous_commit = on")
    except BaseException:
        connection.close()
        raise
    return connection


def _is_lazy(connection: psycopg.Connection) -> bool:
    """Whether commits would not wait for the medium; stricter settings than ours are left as they are."""
    return _setting(connection, "synchronous_commit") in ("off", "local")


def _setting(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute("SELECT current_setting(%s)", (name,)).fetchone()
    assert row is not None
    return str(row[0])


def _set_up(connection: psycopg.Connection, now_ms: int) -> None:
    """Brings the tables to this version's; several collectors may start at once."""
    if _setting(connection, "fsync") != "on" or _setting(connection, "full_page_writes") != "on":
        raise DatabaseCareless("this PostgreSQL server does not flush what it commits")
    if _setting(connection, "server_encoding") != "UTF8":
        raise DatabaseForeign("this PostgreSQL database is not encoded in UTF-8")
    connection.execute(f"SELECT pg_advisory_xact_lock({_MIGRATION}, 0)")
    connection.execute("CREATE TABLE IF NOT EXISTS schema_step (number integer PRIMARY KEY)")
    row = connection.execute("SELECT coalesce(max(number), 0) FROM schema_step").fetchone()
    assert row is not None
    steps = sorted(_SCHEMA.glob("*.sql"))
    if row[0] > len(steps):
        raise DatabaseForeign("this PostgreSQL database is of a newer version of the collector")
    for number, step in enumerate(steps[row[0] :], row[0] + 1):
        connection.execute(step.read_bytes())
        connection.execute("INSERT INTO schema_step VALUES (%s)", (number,))
    # A database that is made anew starts above every generation that an earlier one can have reached.
    connection.execute("INSERT INTO headquarters (id, generation) VALUES (1, %s) ON CONFLICT DO NOTHING", (now_ms,))


@functools.cache
def _translated(sql: str) -> str:
    return sql.replace("%", "%%").replace("?", "%s")


def _columns(table: Table, rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """An array for each column."""
    return [
        [_text(value) for value in column] if type_ == "text" else list(column)
        for type_, column in zip(table.types, zip(*rows, strict=True), strict=True)
    ]


@functools.cache
def _replacement(table: Table) -> str:
    arrays = ", ".join(f"%b::{type_}[]" for type_ in table.types)
    news = ", ".join(f"{name} = excluded.{name}" for name in table.columns if name not in table.keys)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) SELECT * FROM unnest({arrays})"  # noqa: S608 # our own names
        f" ON CONFLICT ({', '.join(table.keys)}) DO UPDATE SET {news}"
    )


@functools.cache
def _insertion(table: Table) -> str:
    arrays = ", ".join(f"%b::{type_}[]" for type_ in table.types)
    return (
        f"INSERT INTO {table.name} ({', '.join(table.columns)}) SELECT * FROM unnest({arrays}) ON CONFLICT DO NOTHING"  # noqa: S608 # our own names
    )


@functools.cache
def _copying(table: Table) -> str:
    return f"COPY {table.name} ({', '.join(table.columns)}) FROM STDIN (FORMAT BINARY)"


def _text(value: object) -> object:
    """A NUL is the one character that JSON can say and PostgreSQL's text cannot hold."""
    return value.replace("\0", "\ufffd") if isinstance(value, str) and "\0" in value else value


def _explained(server: Server, error: psycopg.Error) -> DatabaseError:
    """What happened, without the address: it may hold a password."""
    said = str(error).partition("\n")[0]
    state = error.sqlstate or ""
    if state == "53100":
        return DatabaseFull(f"{server}: {said}")
    lost = not state and isinstance(error, psycopg.OperationalError)
    if lost or state[:2] in ("08", "40", "53", "58") or state[:3] == "57P" or state in ("55P03", "57014", "25006"):
        return DatabaseAway(f"{server}: {said}")
    return DatabaseError(f"{server}: {said} {state}".rstrip())
