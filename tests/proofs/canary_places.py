"""Everywhere that a terminal and its headquarters keep something, made readable: what the canary is sought in.

Databases come twice: row by row, and page by page with all that was ever written on a page and not written over since,
in the file as in its log.
"""

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from core.ledger import Record
from store.backup_format import FOLDER, MANIFEST, database_key
from store.database import PAGE_BYTES, SALT_BYTES, connect
from store.keys import DATABASES, Keys
from store.mirror_format import Reader, unwrap

_IV_BYTES = 16
_RESERVED_BYTES = 48
"""At the end of a page: the initialisation vector, and HMAC-SHA256 [SQLCipher's design, zetetic.net/sqlcipher/design]."""
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_SQLITE = b"SQLite format 3\0"
_MIRROR = b'{"mirror":'

Place = tuple[str, bytes]


def places(root: Path, keys: Keys) -> Iterator[Place]:
    """All that lies below a folder: names, files as they are, and what the terminal's keys open."""
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        yield f"the name {name}", name.encode()
        if path.is_file():
            yield from _file(path, name, keys)


def _file(path: Path, name: str, keys: Keys) -> Iterator[Place]:
    content = path.read_bytes()
    yield name, content
    if name.endswith("-wal"):
        return  # its pages come with its database
    if content.startswith(_SQLITE):
        yield from ((f"rows of {name}", row) for row in _rows(sqlite3.connect(path)))
    elif content.startswith(_MIRROR):
        yield from ((f"records in {name}", each) for each in _mirrored(path, keys))
    elif (key := _key_of(path, content[:SALT_BYTES], keys)) is not None:
        log = path.with_name(path.name + "-wal")
        yield from ((f"pages of {name}", page) for page in _pages(content, key))
        if log.exists():
            yield from ((f"pages of {name}-wal", page) for page in _logged_pages(log.read_bytes(), key))
        yield from ((f"rows of {name}", row) for row in _rows(connect(path, key)))


def _key_of(path: Path, salt: bytes, keys: Keys) -> bytes | None:
    """The key of a database; None for a file of another kind."""
    for purpose in DATABASES:
        key: bytes = getattr(keys, purpose)
        if key[-SALT_BYTES:] == salt:
            return key
    if FOLDER in path.parts and (path.parent / MANIFEST).exists():
        files: list[Mapping[str, str]] = msgspec.json.decode((path.parent / MANIFEST).read_bytes().split(b"\n")[0])[
            "files"
        ]
        purpose = next((each["purpose"] for each in files if each["name"] == path.name), "")
        return database_key(keys.backup, purpose, salt) if purpose else None
    return None


def _pages(content: bytes, key: bytes) -> Iterator[bytes]:
    for start in range(0, len(content) - PAGE_BYTES + 1, PAGE_BYTES):
        yield _opened(content[start : start + PAGE_BYTES], key, is_first=start == 0)


def _logged_pages(content: bytes, key: bytes) -> Iterator[bytes]:
    """Of frames that count and of those that were written before the log started over (sqlite.org/fileformat2.html)."""
    step = _FRAME_HEADER_BYTES + PAGE_BYTES
    for start in range(_LOG_HEADER_BYTES, len(content) - step + 1, step):
        if number := int.from_bytes(content[start : start + 4], "big"):
            yield _opened(content[start + _FRAME_HEADER_BYTES : start + step], key, is_first=number == 1)


def _opened(page: bytes, key: bytes, *, is_first: bool) -> bytes:
    body = page[SALT_BYTES if is_first else 0 : -_RESERVED_BYTES]
    vector = page[-_RESERVED_BYTES:][:_IV_BYTES]
    decryptor = Cipher(algorithms.AES(key[:-SALT_BYTES]), modes.CBC(vector)).decryptor()
    plain = decryptor.update(body) + decryptor.finalize()
    if is_first and int.from_bytes(plain[:2], "big") != PAGE_BYTES:
        raise ValueError("a page did not open: what is sought in it would never be found")
    return plain


def _rows(connection: Any) -> Iterator[bytes]:
    """Every value of every table: bytes as they are, all else as text."""
    try:
        tables = connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall()
        for (table,) in tables:
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield b" | ".join(value if isinstance(value, bytes) else str(value).encode() for value in row)
    finally:
        connection.close()


def _mirrored(path: Path, keys: Keys) -> list[bytes]:
    found: list[bytes] = []

    def take(records: Sequence[Record]) -> None:
        found.extend(record.exact for record in records)

    with path.open("rb") as stream:
        reader = Reader(stream, path.stat().st_size)
        secret = unwrap(reader.header, keys.mirror)
        if secret is None:
            raise ValueError("a mirror did not open: what is sought in it would never be found")
        contents = reader.read(secret, take, salvage=True)
    return [*found, msgspec.json.encode(contents.base), contents.ack.encode()]
