"""Looks through everything that headquarters holds: each record's hash, the chain, the terminal's signature at its top, and
that finance's rows are those of the records. Whatever was deleted, altered or put elsewhere is found."""

from collections.abc import Iterator

import msgspec

from core.entries import TransactionCompleted, decode
from core.ledger import GENESIS, Head, head_message, link, open_record, verify
from fleet.store import Address, Statements, reading

PAGE_RECORDS = 2_000
"""Records in memory at a time."""

Sale = tuple[int, str, str, int]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong: ``edit`` (hash or chain), ``gap`` (missing under the mark), ``signature``, ``finance``; at `seq`."""

    terminal: str
    epoch: str
    kind: str
    seq: int


def verify_all(address: Address) -> tuple[int, list[Finding]]:
    """How many records were looked at, and all that is wrong. Raises DatabaseError."""
    found: list[Finding] = []
    records = 0
    with reading(address) as statements:
        epochs = statements.execute(
            "SELECT e.terminal, e.epoch, e.hwm, e.top_seq, e.signature, t.signing_key FROM epoch e"
            " LEFT JOIN terminal t ON t.id = e.terminal ORDER BY e.terminal, e.epoch"
        ).fetchall()
        for terminal, epoch, hwm, top_seq, signature, key in epochs:
            passed = statements.execute(
                "SELECT first_seq, last_seq, last_hash FROM quarantine WHERE terminal = ? AND epoch = ? AND passed = 1",
                (terminal, epoch),
            ).fetchall()
            prev = 0
            prev_hash: bytes | None = GENESIS
            sold: dict[int, Sale] = {}
            for seq, exact, hash_ in _records(statements, terminal, epoch):
                records += 1
                if seq != prev + 1:
                    missing = _uncovered(prev + 1, min(seq - 1, hwm), passed)
                    if missing is not None:
                        found.append(Finding(terminal=terminal, epoch=epoch, kind="gap", seq=missing))
                    prev_hash = next((last_hash for _, last, last_hash in passed if last == seq - 1), None)
                if prev_hash is not None and link(prev_hash, exact) != hash_:
                    found.append(Finding(terminal=terminal, epoch=epoch, kind="edit", seq=seq))
                prev, prev_hash = seq, hash_
                if sale := _sale(exact):
                    sold[seq] = sale
            missing = _uncovered(prev + 1, hwm, passed)
            if missing is not None:
                found.append(Finding(terminal=terminal, epoch=epoch, kind="gap", seq=missing))
            head = head_message(terminal, Head(epoch=epoch, seq=prev, hash=prev_hash or GENESIS))
            if prev == top_seq and prev and (key is None or not verify(key, head, signature)):
                found.append(Finding(terminal=terminal, epoch=epoch, kind="signature", seq=prev))
            found += _finance(statements, terminal, epoch, sold)
    return records, found


def _records(statements: Statements, terminal: str, epoch: str) -> Iterator[tuple[int, bytes, bytes]]:
    after = 0
    while page := statements.execute(
        "SELECT seq, exact, hash FROM record WHERE terminal = ? AND epoch = ? AND seq > ? ORDER BY seq LIMIT ?",
        (terminal, epoch, after, PAGE_RECORDS),
    ).fetchall():
        yield from page
        after = page[-1][0]


def _uncovered(first: int, last: int, passed: list[tuple[int, int, bytes]]) -> int | None:
    """The first of a range that lies in no quarantine that the stream passed over."""
    for start, end, _ in sorted(passed):
        if start <= first <= end:
            first = end + 1
    return first if first <= last else None


def _sale(exact: bytes) -> Sale | None:
    if b"transaction_completed" not in exact:
        return None
    try:
        body = decode(open_record(exact).body)
    except ValueError:
        return None
    if not isinstance(body, TransactionCompleted):
        return None
    return (
        body.number,
        body.business_day.replace("\0", "\ufffd"),
        body.currency.replace("\0", "\ufffd"),
        body.total_minor,
    )


def _finance(statements: Statements, terminal: str, epoch: str, sold: dict[int, Sale]) -> Iterator[Finding]:
    rows = statements.execute(
        "SELECT seq, number, business_day, currency, total_minor FROM retail_transaction WHERE terminal = ? AND epoch = ?",
        (terminal, epoch),
    ).fetchall()
    kept = {seq: (number, day, currency.replace("\0", "\ufffd"), total) for seq, number, day, currency, total in rows}
    for seq in sorted(kept.keys() | sold.keys()):
        if kept.get(seq) != sold.get(seq):
            yield Finding(terminal=terminal, epoch=epoch, kind="finance", seq=seq)
