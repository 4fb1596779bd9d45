"""Epochs of a journal: founding the first, going on in the last, and opening another one.

An epoch is the name under which records are numbered. Whenever it cannot be ruled out that its numbers were used for other
records elsewhere, another epoch is opened: its first record says which epoch it follows, up to where, and why.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from core.entries import EpochOpened, decode, draft
from core.ledger import Head, Record, Stamp, open_record
from store.anchor import UNBOUND, Found, is_elsewhere
from store.chain import SEQ_BITS, Chain, Tail, number_in
from store.database import open_database
from store.errors import JournalDamaged

SEQ_MASK = (1 << SEQ_BITS) - 1
NUMBERS_SKIPPED = 1_000
"""Transaction numbers left out where the last one is known from the anchor: it may be a minute old."""
NUMBERS_SKIPPED_BLIND = 10_000
"""Transaction numbers left out where nobody knows how far they went."""

PRUNED = b""
INSERT_RECORD = "INSERT INTO record (position, exact, hash, key) VALUES (?, ?, ?, ?)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Founding:
    """What the first record of an epoch says, and where the journal is. `number` is the highest transaction number
    that is known to have been used before."""

    terminal: str
    signing_key: bytes
    stamp: Stamp
    reason: str = "first-boot"
    number: int = 0
    binding: bytes = UNBOUND


@dataclass(frozen=True, slots=True, kw_only=True)
class Cause:
    """Why an epoch is to be opened. `number` is the highest transaction number known, `skip` how many are left out
    above it; `lost_seq` the last record of the epoch before that is known to have been."""

    reason: str
    number: int = 0
    skip: int = 0
    lost_seq: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AdoptedEpoch:
    """Records of an epoch that another journal began: all from the one after `prev`, without a gap. `ack` is
    headquarters' newest answer with its mark, `state` the till's as a checkpoint has it with the seq of its record, if they
    are known."""

    prev: Head
    records: Sequence[Record]
    ack: tuple[int, bytes] | None = None
    state: tuple[int, bytes] | None = None


@dataclass(slots=True)
class Place:
    """Where the next record goes: the current epoch's ordinal and the end of its chain."""

    ordinal: int
    chain: Chain
    opened: EpochOpened | None = field(default=None)


def found(connection: Any, founding: Founding) -> None:
    """Opens the first epoch of a new journal: its random id, and the record that names it."""
    opened = EpochOpened(
        terminal=founding.terminal,
        reason=founding.reason,
        signing_key=founding.signing_key.hex(),
        number=founding.number,
    )
    connection.execute("BEGIN IMMEDIATE")
    _open(connection, 1, Chain(secrets.token_hex(16)), opened, founding.stamp)
    connection.execute("UPDATE anchoring SET binding = ?", (founding.binding,))
    connection.execute("COMMIT")


def found_adopted(
    path: Path, key: bytes, adopted: Sequence[AdoptedEpoch], founding: Founding, *, skip: int = NUMBERS_SKIPPED
) -> None:
    """Makes a journal of what another one held: its epochs in their order, then a new one that names the last of them.

    `founding.number` is the highest transaction number that the other journal is known to have used; those among the
    records are counted too, and `skip` more are left out. Raises JournalError: JournalDamaged where the records do not follow each other.
    """
    assert adopted, "nothing to adopt"
    assert not path.exists(), "a journal is never founded over another one"

    def fill(connection: Any) -> None:
        connection.execute("BEGIN IMMEDIATE")
        number = founding.number
        chain = Chain("")
        for ordinal, epoch in enumerate(adopted, 1):
            chain = _adopt(connection, ordinal, epoch)
            number = max(number, chain.number)
        chain.number = number
        place = Place(len(adopted), chain)
        open_next(connection, place, founding, Cause(reason=founding.reason, number=number, skip=skip))
        connection.execute("UPDATE anchoring SET binding = ?", (founding.binding,))
        connection.execute("COMMIT")

    open_database(path, key, "journal", fill=fill).close()


def open_next(
    connection: Any, place: Place, founding: Founding, cause: Cause, stamp: Stamp | None = None
) -> tuple[Place, EpochOpened]:
    """Opens the epoch after the current one, within a transaction that is open."""
    head = place.chain.head
    opened = EpochOpened(
        terminal=founding.terminal,
        reason=cause.reason,
        signing_key=founding.signing_key.hex(),
        previous_epoch=head.epoch,
        previous_seq=head.seq,
        previous_head=head.hash.hex(),
        number=max(place.chain.number, cause.number) + cause.skip,
        lost_seq=cause.lost_seq if cause.lost_seq > head.seq else 0,
    )
    chain = Chain(secrets.token_hex(16))
    _open(connection, place.ordinal + 1, chain, opened, stamp or founding.stamp)
    return Place(place.ordinal + 1, chain, opened), opened


def resume(connection: Any) -> Place:
    """The end of the current epoch, checked from the last checkpoint on. Raises JournalDamaged."""
    last = connection.execute("SELECT ordinal, id FROM epoch ORDER BY ordinal DESC LIMIT 1").fetchone()
    if last is None:
        raise JournalDamaged("the journal has no epoch")
    ordinal, epoch = last
    chain = Chain(epoch, _kept_tail(connection, ordinal, epoch))
    rows = connection.execute(
        "SELECT position, exact, hash, key FROM record WHERE position > ? AND position < ? ORDER BY position",
        (ordinal << SEQ_BITS | chain.head.seq, (ordinal + 1) << SEQ_BITS),
    )
    for position, exact, hash_, key in rows:
        if finding := chain.check(position & SEQ_MASK, exact, hash_, key):
            raise JournalDamaged(finding)
    if chain.head.seq == 0:
        raise JournalDamaged("the journal has no records")
    if chain.number == 0:
        chain.number = _last_number(connection)
    return Place(ordinal, chain)


def judge(connection: Any, place: Place, anchor: Found, binding: bytes) -> Cause | None:
    """Whether the journal can go on in its epoch, as far as the anchor beside it and the place where it is tell."""
    kept, bound = connection.execute("SELECT kept, binding FROM anchoring").fetchone()
    known = anchor.anchor
    if known is None:
        if not kept:
            return None  # the first start that makes one
        reason = "anchor-foreign" if anchor.state == "foreign" else "anchor-lost"
        return Cause(reason=reason, skip=NUMBERS_SKIPPED_BLIND)
    number = known.number
    row = connection.execute("SELECT ordinal FROM epoch WHERE id = ?", (known.epoch,)).fetchone()
    if row is None:  # the epoch that was begun since is missing with all its records
        return Cause(reason="rollback", number=number, skip=NUMBERS_SKIPPED)
    hash_ = hash_at(connection, row[0], known.seq)
    if hash_ is None:
        if lost_beyond(connection, known.epoch) < known.seq:
            return Cause(reason="rollback", number=number, skip=NUMBERS_SKIPPED, lost_seq=known.seq)
    elif hash_ not in (known.hash, PRUNED):
        return Cause(reason="fork", number=number, skip=NUMBERS_SKIPPED, lost_seq=known.seq)
    if is_elsewhere(bound, binding) or is_elsewhere(known.binding, binding):
        return Cause(reason="copied", number=number, skip=NUMBERS_SKIPPED_BLIND)
    return None


def hash_at(connection: Any, ordinal: int, seq: int) -> bytes | None:
    """The chain's hash at a record, also at one that was pruned last; None where the journal does not reach there.

    Of a record that was pruned before, nobody knows the hash here: `PRUNED`.
    """
    row = connection.execute("SELECT hash FROM record WHERE position = ?", (ordinal << SEQ_BITS | seq,)).fetchone()
    if row is not None:
        return bytes(row[0])
    tail = base(connection, ordinal)
    if tail is None or seq > tail.seq:
        return None
    return bytes.fromhex(tail.hash) if seq == tail.seq else PRUNED


def base(connection: Any, ordinal: int) -> Tail | None:
    """Where the records of an epoch begin in this journal, if not with its first one. Raises JournalDamaged."""
    row = connection.execute("SELECT tail, seq FROM base WHERE ordinal = ?", (ordinal,)).fetchone()
    if row is None:
        return None
    tail = decode_tail(row[0], "the place where an epoch begins")
    if tail.seq != row[1]:
        raise JournalDamaged("the place where an epoch begins is not the one that it says")
    return tail


def decode_tail(content: bytes, what: str) -> Tail:
    """A tail as it is kept. Raises JournalDamaged."""
    try:
        return msgspec.json.decode(content, type=Tail)
    except (ValueError, RecursionError) as error:
        raise JournalDamaged(f"{what} cannot be read: {error}") from error


def _open(connection: Any, ordinal: int, chain: Chain, opened: EpochOpened, stamp: Stamp) -> None:
    made = draft(opened)
    record = chain.seal(made, stamp, None)
    connection.execute("INSERT INTO epoch (ordinal, id) VALUES (?, ?)", (ordinal, chain.head.epoch))
    connection.execute(INSERT_RECORD, (ordinal << SEQ_BITS | record.seq, record.exact, record.hash, None))
    chain.take(record, made.stream)


def _adopt(connection: Any, ordinal: int, epoch: AdoptedEpoch) -> Chain:
    prev = epoch.prev
    tail = Tail(seq=prev.seq, hash=prev.hash.hex(), streams={}, partial=True) if prev.seq else None
    connection.execute("INSERT INTO epoch (ordinal, id) VALUES (?, ?)", (ordinal, prev.epoch))
    if tail is not None:
        connection.execute(
            "INSERT INTO base (ordinal, seq, tail, tombstone) VALUES (?, ?, ?, NULL)",
            (ordinal, prev.seq, msgspec.json.encode(tail)),
        )
    chain = Chain(prev.epoch, tail)
    state_seq, state = epoch.state or (-1, b"")
    _keep_state(connection, chain, state_seq, state)
    for record in epoch.records:
        key = open_record(record.exact).key
        if finding := chain.check(record.seq, record.exact, record.hash, key):
            raise JournalDamaged(f"the records that are adopted do not follow each other: {finding}")
        connection.execute(INSERT_RECORD, (ordinal << SEQ_BITS | record.seq, record.exact, record.hash, key))
        _keep_state(connection, chain, state_seq, state)
    if epoch.ack is not None:
        connection.execute("INSERT INTO outbox (epoch, seq, ack) VALUES (?, ?, ?)", (prev.epoch, *epoch.ack))
    return chain


def _keep_state(connection: Any, chain: Chain, seq: int, state: bytes) -> None:
    if chain.head.seq == seq:
        save_checkpoint(connection, chain, seq, state)


def save_checkpoint(connection: Any, chain: Chain, seq: int, state: bytes) -> None:
    """Keeps the till's state after record `seq`, with the end of the chain as it is now."""
    tail = chain.tail()
    connection.execute(
        "INSERT INTO checkpoint (epoch, seq, state, tail_seq, tail, digest) VALUES (?, ?, ?, ?, ?, ?)",
        (chain.head.epoch, seq, state, tail.seq, msgspec.json.encode(tail), hashlib.sha256(state).digest()),
    )


def _kept_tail(connection: Any, ordinal: int, epoch: str) -> Tail | None:
    """Where to go on from: the last checkpoint, or the place where the epoch begins in this journal."""
    begun = base(connection, ordinal)
    kept = connection.execute(
        "SELECT tail FROM checkpoint WHERE epoch = ? ORDER BY id DESC LIMIT 1", (epoch,)
    ).fetchone()
    if kept is None:
        return begun
    tail = decode_tail(kept[0], "the last checkpoint")
    if begun is not None and tail.seq <= begun.seq:
        return begun
    if hash_at(connection, ordinal, tail.seq) != bytes.fromhex(tail.hash):
        raise JournalDamaged(f"record {tail.seq} is not the one that the checkpoint names")
    return tail


def lost_beyond(connection: Any, epoch: str) -> int:
    """The last record of an epoch that one opened after it says to be lost; 0 where none does."""
    rows = connection.execute(
        "SELECT r.exact FROM epoch e JOIN record r ON r.position = (e.ordinal << ?) + 1", (SEQ_BITS,)
    )
    entries = [_opening(exact) for (exact,) in rows]
    return max((each.lost_seq for each in entries if each is not None and each.previous_epoch == epoch), default=0)


def _opening(exact: bytes) -> EpochOpened | None:
    try:
        opened = decode(open_record(exact).body)
    except ValueError:
        return None
    return opened if isinstance(opened, EpochOpened) else None


def _last_number(connection: Any) -> int:
    """The newest transaction number, looked for from the end: records made before it was kept do not tell."""
    for (exact,) in connection.execute("SELECT exact FROM record ORDER BY position DESC"):
        if number := number_in(exact):
            return number
    return 0
