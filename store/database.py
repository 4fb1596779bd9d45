"""Encrypted databases (SQLCipher): opening, making and migrating them, and saying what is wrong with one.

A key is 48 bytes: 32 of AES-256 and 16 of salt. The salt is what a SQLCipher file begins with, so a file tells, without
being opened, whether it was made with this key; that is how a wrong key is told from a damaged file.

Two settings differ from what SQLCipher's documentation suggests. Pages are authenticated with HMAC-SHA256 instead of
SHA-512: processors have instructions for it (x86, Cortex-A76), and a commit spends most of its time there. And
`cipher_memory_security` stays off: wiping and locking every allocation took 64 of a commit's 128 microseconds without its
flush, and does not hide the key, which this process holds anyway.

A new database is made whole under another name and then renamed: a file under the right name is never half made, and an
empty one is a damaged one.
"""

import errno
import fcntl
import os
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Literal

from sqlcipher3 import dbapi2 as sqlcipher

from store.errors import (
    JournalDamaged,
    JournalError,
    JournalInUse,
    JournalMissing,
    JournalNewer,
    JournalNoSpace,
    JournalReadOnly,
    NotAJournal,
    WrongKey,
)

Schema = Literal["journal", "catalogue", "customers", "credentials", "history"]
"""The folders below `store/schema`."""

KEY_BYTES = 48
SALT_BYTES = 16
PAGE_BYTES = 4096
BUSY_TIMEOUT_MS = 5_000
_MAGIC = b"SQLite format 3\0"
_NAME = re.compile(r"(\d{4})_\w+\.sql")

# Primary result codes, https://sqlite.org/rescode.html
FULL = 13
_BUSY, _READONLY, _CORRUPT, _CANTOPEN, _NOTADB = 5, 8, 11, 14, 26


def open_database(
    path: Path, key: bytes, schema: Schema, *, fill: Callable[[sqlcipher.Connection], None] | None = None
) -> sqlcipher.Connection:
    """Opens a database for its one writer: WAL, synchronous=FULL, brought to the newest schema.

    One that is not there is made first; `fill` then runs before anybody can see it. The connection is in autocommit and
    may be handed from thread to thread, though not be used by two at once. Raises JournalError.
    """
    try:
        if not path.exists():
            with alone(path.parent):
                if not path.exists():
                    _make(path, key, schema, fill)
        _refuse_empty(path)
        connection = connect(path, key)
        try:
            # It is already, but where a rekey was cut off (store.keys_rotate).
            _use_log(connection)
            migrate(connection, schema)
            # As SQLite recommends for a REPLACE: its hidden delete runs the trigger that forbids deletes.
            connection.execute("PRAGMA recursive_triggers = ON")
        except BaseException:
            connection.close()
            raise
    except (sqlcipher.Error, OSError) as error:
        if isinstance(error, JournalError):
            raise
        raise explain(path, key, error) from error
    return connection


def read_database(path: Path, key: bytes) -> sqlcipher.Connection:
    """Opens a database to read it, beside its writer or without one. Raises JournalError."""
    try:
        if not path.exists():
            raise JournalMissing(f"there is no {path.name}")
        _refuse_empty(path)
        return connect(path, key, mode="ro")
    except (sqlcipher.Error, OSError) as error:
        if isinstance(error, JournalError):
            raise
        raise explain(path, key, error) from error


def connect(
    path: Path, key: bytes, *, mode: Literal["ro", "rw"] = "rw", exclusive: bool = False
) -> sqlcipher.Connection:
    """A connection that has read its first page. Raises what SQLite raises.

    With `exclusive` no other connection, of no process, gets in beside it; it is refused while there is one (busy).
    """
    assert len(key) == KEY_BYTES, f"a database key has {KEY_BYTES} bytes"
    connection = sqlcipher.connect(
        f"{path.absolute().as_uri()}?mode={mode}",
        uri=True,
        isolation_level=None,
        check_same_thread=False,
        timeout=BUSY_TIMEOUT_MS / 1000,
    )
    try:
        connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to standard error, past our log
        connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
        connection.execute("PRAGMA cipher_hmac_algorithm = HMAC_SHA256")
        if exclusive:
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
        connection.execute("PRAGMA synchronous = FULL")
    except BaseException:
        connection.close()
        raise
    return connection


def prepare(connection: sqlcipher.Connection, key: bytes) -> None:
    """Says how the file is encrypted, before anything is read of it."""
    connection.execute("PRAGMA cipher_log_level = NONE")  # it would write to standard error, past our log
    connection.execute(f"PRAGMA key = \"x'{key.hex()}'\"")
    connection.execute("PRAGMA cipher_hmac_algorithm = HMAC_SHA256")


def migrate(connection: sqlcipher.Connection, schema: Schema) -> None:
    """Runs the scripts that this database has not seen, in order, each in a transaction with its number."""
    have: int = connection.execute("PRAGMA user_version").fetchone()[0]
    scripts = _scripts(schema)
    if have > len(scripts):
        raise JournalNewer(f"its schema is number {have}, this software knows {len(scripts)}")
    for number, script in enumerate(scripts[have:], have + 1):
        try:
            connection.executescript(f"BEGIN IMMEDIATE;\n{script}\nPRAGMA user_version = {number};\nCOMMIT;")
        except BaseException:
            if connection.in_transaction:
                connection.rollback()
            raise


def explain(path: Path, key: bytes, error: Exception) -> JournalError:
    """What an error of SQLite or of the system means for this file, by its result code and by the file's own bytes."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    number = getattr(error, "errno", 0)
    if code == FULL or number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return JournalNoSpace(f"there is no room left for {path.name}")
    if code in (_READONLY, _CANTOPEN) or number in (errno.EACCES, errno.EPERM, errno.EROFS):
        return JournalReadOnly(f"{path.name} cannot be opened or written: {error}")
    if code == _BUSY:
        return JournalInUse(f"{path.name} is held by another process")
    if code in (_NOTADB, _CORRUPT):
        return _judge(path, key)
    return JournalError(f"{path.name}: {error}")


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Two that make something in a folder at the same moment do it one after the other."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def claim(path: Path) -> int:
    """A descriptor that holds the one writer's lock, beside the database. Raises JournalInUse and the like."""
    try:
        descriptor = os.open(path.with_name(path.name + ".lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise explain(path, b"", error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalInUse(f"{path.name} is held by another process") from None
    return descriptor


def sync_folder(folder: Path) -> None:
    """The names in a folder are on the medium when this returns."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _make(path: Path, key: bytes, schema: Schema, fill: Callable[[sqlcipher.Connection], None] | None) -> None:
    new = path.with_name(path.name + ".new")
    for name in (new.name, f"{new.name}-wal", f"{new.name}-shm", f"{new.name}-journal"):
        path.with_name(name).unlink(missing_ok=True)
    os.close(os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    connection = connect(new, key)
    try:
        connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        _use_log(connection)
        migrate(connection, schema)
        if fill is not None:
            fill(connection)
        # Closing would fold the write-ahead log into the file too, and keep its errors to itself.
        connection.execute("PRAGMA wal_checkpoint(RESTART)")
    finally:
        connection.close()
    new.rename(path)
    sync_folder(path.parent)


def _use_log(connection: sqlcipher.Connection) -> None:
    """Switches the write-ahead log on. SQLite keeps the reason to itself where it cannot, and stays without."""
    (mode,) = connection.execute("PRAGMA journal_mode = WAL").fetchone()
    if mode != "wal":
        raise OSError(errno.EIO, "the write-ahead log cannot be switched on")


def _refuse_empty(path: Path) -> None:
    if path.stat().st_size == 0:  # SQLite would take it for a new database
        raise JournalDamaged(f"{path.name} is empty: it was cut off")


def _scripts(schema: Schema) -> list[str]:
    found = sorted(
        (int(match[1]), entry)
        for entry in (files("store") / "schema" / schema).iterdir()
        if (match := _NAME.fullmatch(entry.name))
    )
    assert [number for number, _ in found] == list(range(1, len(found) + 1)), (
        f"schema {schema} is not numbered 1, 2, .."
    )
    return [entry.read_text("utf-8") for _, entry in found]


def _judge(path: Path, key: bytes) -> JournalError:
    size = path.stat().st_size
    with path.open("rb") as file:
        page = file.read(PAGE_BYTES)
    if page[:SALT_BYTES] == key[-SALT_BYTES:]:
        return JournalDamaged(f"{path.name} was made with this key and is cut off or altered ({size} bytes)")
    # 4 KB of ciphertext hold all byte values but a few; nearly nothing else does.
    if page.startswith(_MAGIC) or len(page) < PAGE_BYTES or len(set(page)) < 240:
        return NotAJournal(f"{path.name} is not an encrypted database of this terminal")
    return WrongKey(f"{path.name} was made with another key")
