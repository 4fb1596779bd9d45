"""Records of former epochs that come back from headquarters after a restore, and which records led to the present.

A restored journal goes on in a new epoch, which names the record where its backup ended. What the terminal did after that,
before its medium was lost, comes back under the names it had: as records of the former epoch beyond that one, and as
epochs that were opened since. They belong to the journal, and the till's state does not follow from them: it is the
fold of the line of epochs from the present one back, each up to the record that the next one names.
"""

from collections.abc import Sequence
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, decode
from core.ledger import GENESIS, Record, open_record
from store.chain import SEQ_BITS, Chain, Tail
from store.epochs import INSERT_RECORD, PRUNED, SEQ_MASK, base, hash_at
from store.errors import JournalError, RecordsRefused

LINE_SQL = (
    "SELECT e.ordinal, e.id, r.exact FROM epoch e LEFT JOIN record r ON r.position = (e.ordinal << ?) + 1"
    " ORDER BY e.ordinal"
)
"""What `line` is made from; takes SEQ_BITS."""


def line(rows: Sequence[tuple[int, str, bytes | None]]) -> list[tuple[int, int]]:
    """The epochs that led to the last one, the first of them first: each one's ordinal, and the last seq that counts.

    An epoch whose first record is not here (it was adopted from the middle) follows the one before it.
    """
    places = {epoch: index for index, (_, epoch, _) in enumerate(rows)}
    found: list[tuple[int, int]] = []
    index, last = len(rows) - 1, SEQ_MASK
    while index >= 0:
        ordinal, _, exact = rows[index]
        found.append((ordinal, last))
        opened = opening(exact) if exact is not None else None
        if opened is None:
            index, last = index - 1, SEQ_MASK
        elif opened.previous_epoch in places and places[opened.previous_epoch] < index:
            index, last = places[opened.previous_epoch], opened.previous_seq
        else:
            break
    return found[::-1]


def opening(exact: bytes) -> EpochOpened | None:
    """What an epoch's first record says."""
    try:
        opened = decode(open_record(exact).body)
    except ValueError:
        return None
    return opened if isinstance(opened, EpochOpened) else None


def take_back(connection: Any, current: int, records: Sequence[Record]) -> JournalError | None:
    """Adds records of one former epoch, which follow the last one of it here, within a transaction that is open.

    `current` is the ordinal of the present epoch. All are added, or none and the reason is given. Raises what SQLite raises.
    """
    connection.execute("SAVEPOINT back")
    refused = _take_back(connection, current, records)
    if refused is not None:
        connection.execute("ROLLBACK TO back")
    connection.execute("RELEASE back")
    return refused


def _take_back(connection: Any, current: int, records: Sequence[Record]) -> JournalError | None:
    epoch = records[0].epoch
    row = connection.execute("SELECT ordinal FROM epoch WHERE id = ?", (epoch,)).fetchone()
    ordinal = row[0] if row else _new_place(connection, current, records[0])
    if ordinal is None:
        return RecordsRefused(f"epoch {epoch} follows none that is here, or there is no place left for it")
    if ordinal >= current:
        return RecordsRefused(f"epoch {epoch} is the present one")
    if row is None:
        connection.execute("INSERT INTO epoch (ordinal, id) VALUES (?, ?)", (ordinal, epoch))
    chain = _end(connection, ordinal, epoch)
    for record in records:
        key = open_record(record.exact).key
        if finding := chain.check(record.seq, record.exact, record.hash, key):
            return RecordsRefused(f"of epoch {epoch}, {finding}")
        try:
            connection.execute(INSERT_RECORD, (ordinal << SEQ_BITS | record.seq, record.exact, record.hash, key))
        except sqlcipher.IntegrityError:
            return RecordsRefused(f"record {record.seq} of epoch {epoch} has the idempotency key of another record")
    return None


def _new_place(connection: Any, current: int, first: Record) -> int | None:
    """A free ordinal for an epoch that is not here: after the one that it names, before the present one."""
    opened = opening(first.exact)
    if opened is None or opened.previous_epoch is None:
        return None
    row = connection.execute("SELECT ordinal FROM epoch WHERE id = ?", (opened.previous_epoch,)).fetchone()
    if row is None or (hash_at(connection, row[0], opened.previous_seq) or PRUNED).hex() != opened.previous_head:
        return None
    taken = {each for (each,) in connection.execute("SELECT ordinal FROM epoch")}
    return next((place for place in range(row[0] + 1, current) if place not in taken), None)


def _end(connection: Any, ordinal: int, epoch: str) -> Chain:
    """The end of an epoch's chain here. What the streams' chains are there is not looked up: `journal verify` sees it."""
    (position,) = connection.execute(
        "SELECT max(position) FROM record WHERE position > ? AND position < ?",
        (ordinal << SEQ_BITS, ordinal + 1 << SEQ_BITS),
    ).fetchone()
    begun = base(connection, ordinal)
    seq = max(position & SEQ_MASK if position is not None else 0, begun.seq if begun is not None else 0)
    if seq == 0:
        return Chain(epoch)
    hash_ = hash_at(connection, ordinal, seq) or GENESIS
    return Chain(epoch, Tail(seq=seq, hash=hash_.hex(), streams={}, partial=True))
