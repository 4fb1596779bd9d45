"""What headquarters asks of a database, whichever keeps it: the embedded SQLite file, or a PostgreSQL server.

The SQL of both is one: parameters are ``?``, whole numbers stay within 64 bits, truth is 0 or 1, bytes are bytes. What
differs between them (how much is inserted at once, who waits for whom) is behind `Statements`.
"""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from fleet import database as embedded

NUMBER_MAX = (1 << 63) - 1
"""The largest whole number that both databases hold."""


@dataclass(frozen=True, slots=True)
class Server:
    """A PostgreSQL database. The address may hold a password, and is never shown."""

    url: str = field(repr=False)

    def __str__(self) -> str:
        return "the PostgreSQL server"


Address = Path | Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that takes many rows at once: its columns, PostgreSQL's types of them, and those that name a row."""

    name: str
    columns: tuple[str, ...]
    types: tuple[str, ...]
    keys: tuple[str, ...] = ()


RECORD = Table(
    name="record",
    columns=("terminal", "epoch", "seq", "exact", "hash"),
    types=("text", "text", "bigint", "bytea", "bytea"),
)
RETAIL_TRANSACTION = Table(
    name="retail_transaction",
    columns=(
        "terminal", "epoch", "seq", "number", "business_day", "currency", "total_minor", "change_minor", "time_ms",
        "stored_ms",
    ),
    types=("text", "text", "bigint", "bigint", "text", "text", "bigint", "bigint", "bigint", "bigint"),
)  # fmt: skip


class Rows(Protocol):
    """What a statement gave."""

    @property
    def rowcount(self) -> int:
        """Rows that it changed."""

    def fetchone(self) -> Any:
        """The next row, a tuple, or None."""

    def fetchall(self) -> list[Any]:
        """All rows that are left."""

    def __iter__(self) -> Iterator[Any]: ...


class Statements(Protocol):
    """What can be done within a transaction."""

    def execute(self, sql: str, parameters: Sequence[Any] = ..., /) -> Rows:
        """Runs one statement."""

    def insert(self, table: Table, rows: Sequence[Sequence[Any]], *, fresh: bool = False) -> int:
        """Adds the rows that are not there yet; how many those were. `fresh`: none should be, which may be quicker."""

    def put(self, table: Table, rows: Sequence[Sequence[Any]]) -> None:
        """Puts rows in the place of those with the same keys; no two of them have the same."""

    def lock(self, terminals: Iterable[str]) -> None:
        """Keeps every other collector from these terminals until the transaction's end."""


class Store(Protocol):
    """The writing side. Used by one thread at a time."""

    @property
    def address(self) -> Address:
        """Where it is."""

    def transaction(self) -> contextlib.AbstractContextManager[Statements]:
        """One transaction, on the medium when the block has ended. Raises DatabaseError.

        It has changed nothing then, except where the connection was lost at its very end (`DatabaseAway`): whatever is
        done in it can be done again.
        """

    def close(self) -> None:
        """Lets go of it. May be called twice."""


def locate(url: str) -> Address:
    """The database of a path, of ``sqlite:////absolute/path`` or of ``postgresql://host/name``. Raises ValueError."""
    if url.partition("://")[0] in ("postgresql", "postgres"):
        from fleet.postgres import check

        return check(Server(url))
    return embedded.locate(url)


def open_store(address: Address, *, now_ms: int) -> Store:
    """Opens a database, or makes its tables. Raises DatabaseError."""
    if isinstance(address, Server):
        from fleet.postgres import Postgres

        return Postgres.open(address, now_ms=now_ms)
    return embedded.Database.open(address, now_ms=now_ms)


def open_made(address: Address, *, now_ms: int) -> Store:
    """Opens a database that a collector has made. Raises DatabaseAbsent, DatabaseError."""
    with reading(address) as statements:
        if statements.execute("SELECT 1 FROM headquarters").fetchone() is None:
            raise embedded.DatabaseAbsent(f"no collector has made its tables in {address} yet")
    return open_store(address, now_ms=now_ms)


@contextlib.contextmanager
def reading(address: Address) -> Iterator[Statements]:
    """Statements that see one state of a database, and change nothing. Raises DatabaseError."""
    if isinstance(address, Server):
        from fleet import postgres

        with postgres.reading(address) as statements:
            yield statements
    else:
        with embedded.reading(address) as statements:
            yield statements
