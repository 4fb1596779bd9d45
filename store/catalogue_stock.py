"""What this terminal sold of each item since its stock was counted, kept in the catalogue with the place that it has
reached in the journal.

Both change in one transaction. It is not flushed: after a power cut both are as they were before, and what was lost is
folded from the journal once more. So nothing counts twice and nothing is missed, and it costs the medium no flush.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from sqlcipher3 import dbapi2 as sqlcipher

from store.database import explain, open_database


class Place(NamedTuple):
    """A record of the journal: all up to it is counted. `seq` 0 is before an epoch's first."""

    epoch: str
    seq: int


class SoldStock:
    """The sold quantities of one catalogue. Every method blocks, and waits for an import that is under way.

    Opened at the first use; closed, it is opened anew by the next. Each raises JournalError, JournalInUse where an import
    takes longer than SQLite waits: then nothing was done, and it may be tried again.
    """

    def __init__(self, path: Path, key: bytes) -> None:
        self._path = path
        self._key = key
        self._connection: Any = None
        self._one = threading.Lock()

    def place(self) -> Place | None:
        """How far the journal is counted; None where it never was."""
        with self._opened() as connection:
            row = connection.execute("SELECT epoch, seq FROM sold_cursor").fetchone()
        return Place(*row) if row else None

    def keep(self, place: Place, sold: Mapping[str, int]) -> None:
        """Adds thousandths of a unit by GTIN, of items whose stock is counted, and moves the place."""
        with self._opened() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                connection.executemany(
                    "INSERT INTO sold (item, quantity_milli) SELECT item, ? FROM stock WHERE item = ?"
                    " ON CONFLICT (item) DO UPDATE SET quantity_milli = quantity_milli + excluded.quantity_milli",
                    [(quantity_milli, int(item)) for item, quantity_milli in sold.items()],
                )
                connection.execute("INSERT OR REPLACE INTO sold_cursor (only, epoch, seq) VALUES (1, ?, ?)", place)
                connection.execute("COMMIT")
            except BaseException:
                connection.rollback()
                raise

    def close(self) -> None:
        """May be called twice; waits for what another thread does."""
        with self._one:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    @contextmanager
    def _opened(self) -> Iterator[Any]:
        with self._one:
            try:
                if self._connection is None:
                    self._connection = open_database(self._path, self._key, "catalogue")
                    self._connection.execute("PRAGMA synchronous = NORMAL")
                yield self._connection
            except sqlcipher.Error as error:
                raise explain(self._path, self._key, error) from error
