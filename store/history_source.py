"""Folds the journal into `store.history`, beside a running daemon or without one."""

from pathlib import Path

from sqlcipher3 import dbapi2 as sqlcipher

from core.ledger import Record
from store.database import explain, read_database
from store.history import History
from store.records import SEQ_BITS

PAGE_RECORDS = 500
"""Of a few hundred kB: what Python once took for a page it keeps."""
_SEQ_MASK = (1 << SEQ_BITS) - 1


def catch_up(history: History, journal: Path, key: bytes, pages_max: int | None = None) -> int:
    """Folds what the journal has beyond the cursor, `pages_max` pages at most; returns how many records that were.

    Where the record at the cursor is not the one that was folded (a power cut took it before it was synced, or the
    journal was put back), everything is folded anew. Raises JournalError.
    """
    connection = read_database(journal, key)
    try:
        connection.execute("PRAGMA cache_size = -256")  # each page is read once
        position = _position(history, connection)
        folded = pages = 0
        while pages_max is None or pages < pages_max:
            records = _page(connection, position)
            if not records:
                break
            history.fold([record for _, record in records])
            position = records[-1][0]
            folded += len(records)
            pages += 1
    except sqlcipher.Error as error:
        raise explain(journal, key, error) from error
    finally:
        connection.close()
    return folded


def _position(history: History, connection: sqlcipher.Connection) -> int:
    cursor = history.cursor()
    if cursor is None:
        return -1
    row = connection.execute(
        "SELECT r.position, r.hash FROM epoch e JOIN record r ON r.position = (e.ordinal << ?) + ? WHERE e.id = ?",
        (SEQ_BITS, cursor.seq, cursor.epoch),
    ).fetchone()
    if row is not None and row[1] == cursor.hash:
        return int(row[0])
    history.clear()
    return -1


def _page(connection: sqlcipher.Connection, position: int) -> list[tuple[int, Record]]:
    rows = connection.execute(
        "SELECT r.position, e.id, r.exact, r.hash FROM record r JOIN epoch e ON e.ordinal = r.position >> ?"
        " WHERE r.position > ? ORDER BY r.position LIMIT ?",
        (SEQ_BITS, position, PAGE_RECORDS),
    ).fetchall()
    return [(row[0], Record(epoch=row[1], seq=row[0] & _SEQ_MASK, exact=row[2], hash=row[3])) for row in rows]
