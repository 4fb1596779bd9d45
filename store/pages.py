"""The pages of a journal's file: which cannot be read, which records were on them, and whether they belong together.

SQLCipher authenticates each page, so a damaged one shows when it is read; an older one of the same file does not. After a
page that cannot be read a connection is of no more use: whatever is tried next gets one of its own.
"""

import os
import re
import time
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from store.chain import SEQ_BITS
from store.database import PAGE_BYTES, connect, prepare

RACES_MAX = 3
_RACE_PAUSE_S = 0.2
_LOG_HEADER_BYTES = 32
_FRAME_HEADER_BYTES = 24
_PAGE_IN_REPORT = re.compile(r"\bpage (\d+)")


def bad_pages(path: Path, key: bytes) -> list[int]:
    """The pages of the file that fail their authentication, but for those that the log has a newer version of.

    Beside a running daemon, which has a log, a page may just be written: what is seen once only does not count.
    """
    bad: set[int] | None = None
    log = path.with_name(path.name + "-wal")
    for attempt in range(RACES_MAX if log.exists() and log.stat().st_size else 1):
        if attempt:
            time.sleep(_RACE_PAUSE_S)
        connection = connect(path, key, mode="ro")
        try:
            report = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        finally:
            connection.close()
        seen = {int(match[1]) for (line,) in report if (match := _PAGE_IN_REPORT.search(line))}
        seen -= logged_pages(path)
        bad = seen if bad is None else bad & seen
        if not bad:
            return []
    return sorted(bad or ())


def is_cut(path: Path, connection: Any) -> bool:
    """Whether the file and its log together are shorter than the database in them."""
    pages: int = connection.execute("PRAGMA page_count").fetchone()[0]
    return path.stat().st_size < pages * PAGE_BYTES and max(logged_pages(path), default=0) < pages


def is_cut_off(path: Path, key: bytes) -> bool:
    """Whether a file that does not open has nothing else wrong with it than that its last pages are missing."""
    connection = sqlcipher.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
    try:
        prepare(connection, key)
        report = connection.execute("PRAGMA cipher_integrity_check").fetchall()
    except sqlcipher.Error:
        return False
    finally:
        connection.close()
    return all("invalid size" in line for (line,) in report)


def unsound(connection: Any) -> str | None:
    """What is wrong with how the pages hang together. Each is authentic, so they are not of one time."""
    (state,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    return None if state == "ok" else " ".join(str(state).replace("*** in database main ***", "").split())


def next_readable(path: Path, key: bytes, position: int) -> int | None:
    """The first record at `position` or after it that can be read; None where none can, up to the end of its epoch."""
    low, step = position, 1
    end = (position >> SEQ_BITS) + 1 << SEQ_BITS
    while not _can_read(path, key, low + step):
        low, step = low + step, step * 2
        if low + step >= end:
            return None
    high = low + step
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _can_read(path, key, middle) else (middle, high)
    return _at_or_after(path, key, high)


def logged_pages(path: Path) -> set[int]:
    """The pages of which the write-ahead log has a version. Frame headers are not encrypted (sqlite.org/fileformat2.html)."""
    try:
        content = path.with_name(path.name + "-wal").open("rb")
    except FileNotFoundError:
        return set()
    pages = set()
    with content as log:
        salts = log.read(_LOG_HEADER_BYTES)[16:24]
        while len(header := log.read(_FRAME_HEADER_BYTES)) == _FRAME_HEADER_BYTES and header[8:16] == salts:
            pages.add(int.from_bytes(header[:4], "big"))
            log.seek(PAGE_BYTES, os.SEEK_CUR)
    return pages


def _can_read(path: Path, key: bytes, position: int) -> bool:
    try:
        _at_or_after(path, key, position)
    except sqlcipher.Error:
        return False
    return True


def _at_or_after(path: Path, key: bytes, position: int) -> int | None:
    connection = connect(path, key, mode="ro")
    try:
        row = connection.execute(
            "SELECT position, exact, hash FROM record WHERE position >= ? ORDER BY position LIMIT 1", (position,)
        ).fetchone()
        return int(row[0]) if row else None
    finally:
        connection.close()
