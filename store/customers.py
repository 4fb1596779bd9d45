"""Who a tag belongs to: its UID leads to a random reference, which alone goes into records.

The UID itself is not kept. Without the pepper a UID of 4 or 7 bytes could be found by trying all of them.
"""

import hmac
import secrets
import threading
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from sqlcipher3 import dbapi2 as sqlcipher

from store.database import explain, open_database


class Customers:
    """The customer store. Its calls block for a lookup, or for one flush when a tag is seen for the first time."""

    def __init__(self, path: Path, key: bytes, pepper: bytes) -> None:
        """Opens it, or makes it. `key` and `pepper` are `Keys.customers` and `Keys.tag_pepper`. Raises JournalError."""
        self._path = path
        self._key = key
        self._pepper = pepper
        self._one = threading.Lock()
        self._connection: Any = open_database(path, key, "customers")

    def identify(self, uid: str) -> str:
        """The reference (32 hex digits) of a tag's UID (hex), made and durable at first sight.

        Raises ValueError for what is no UID, and JournalError.
        """
        tag = hmac.digest(self._pepper, _bytes(uid), "sha256")
        try:
            with self._one:
                self._connection.execute(
                    "INSERT INTO customer (tag, reference) SELECT ?1, ?2"
                    " WHERE NOT EXISTS (SELECT 1 FROM customer WHERE tag = ?1)",
                    (tag, secrets.token_hex(16)),
                )
                reference: str = self._connection.execute(
                    "SELECT reference FROM customer WHERE tag = ?", (tag,)
                ).fetchone()[0]
        except sqlcipher.Error as error:
            raise explain(self._path, self._key, error) from error
        return reference

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


def _bytes(uid: str) -> bytes:
    try:
        found = bytes.fromhex(uid.replace(":", ""))
    except ValueError:
        found = b""
    if not found:
        raise ValueError("a tag's UID is a number of bytes in hex")  # and the UID itself goes into no message
    return found
