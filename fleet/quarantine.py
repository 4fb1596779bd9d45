"""Looking into what was not taken, and deciding about it.

Evidence is never deleted: a decision stands beside it. Released, a batch goes once more the way that any batch goes, and
is taken only if it can be now (after `trust`, or after an update that knows more). Dropped, it counts no more as open:
what it says was sold is booked by people, or not at all.
"""

import hashlib
from collections.abc import Iterator
from typing import ClassVar

import msgspec

from core.delivery import BatchError, decode
from core.ledger import link, open_record
from fleet.database import DatabaseError
from fleet.intake import Arrival, Forked, Refusal, commit
from fleet.store import Address, Statements, Store, reading
from fleet.twins import Twins, twins_of

_COLUMNS = "id, terminal, reason, detail, epoch, first_seq, last_seq, passed, times, received_ms, settled_ms, decision"


class QuarantineError(DatabaseError):
    """There is no such batch in quarantine, or it is decided already."""

    code: ClassVar[str] = "quarantine"
    remedy: ClassVar[str] = "`terminald-fleet quarantine list` names those that are open."


class Held(msgspec.Struct, frozen=True, kw_only=True):
    """A batch in quarantine. `settled_ms`: it was taken after all, or somebody decided (`decision`)."""

    id: int
    terminal: str
    reason: str
    detail: str
    epoch: str | None
    first: int | None
    last: int | None
    passed: bool
    times: int
    received_ms: int
    settled_ms: int | None
    decision: str | None


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A record of such a batch. `held`: ``same``, ``other`` where headquarters holds another in its place, ``none``."""

    seq: int
    held: str
    type: str
    time_ms: int
    body: msgspec.Raw


class Fork(msgspec.Struct, frozen=True, kw_only=True):
    """One history contradicts another: batches in quarantine, and epochs that cannot be of one terminal."""

    terminal: str
    batches: tuple[Held, ...]
    twins: tuple[Twins, ...]


def listed(address: Address, terminal: str | None = None, *, settled: bool = False) -> list[Held]:
    """What lies in quarantine, the oldest first. Raises DatabaseError."""
    with reading(address) as statements:
        return [
            each
            for each in _all(statements, f"SELECT {_COLUMNS} FROM quarantine ORDER BY id")  # noqa: S608 # our own names
            if terminal in (None, each.terminal) and (settled or each.settled_ms is None)
        ]


def shown(address: Address, number: int) -> tuple[Held, list[Line]]:
    """A batch, and its records as far as they can be read. Raises DatabaseError."""
    with reading(address) as statements:
        held, payload = _one(statements, number)
        return held, list(_lines(statements, held, payload))


def release(store: Store, number: int, now_ms: int) -> tuple[Refusal, ...]:
    """Tries to take a batch once more; why it could not be, or nothing. Raises DatabaseError."""
    with store.transaction() as statements:
        held, payload = _one(statements, number)
        (digest,) = statements.execute("SELECT digest FROM quarantine WHERE id = ?", (number,)).fetchone()
        is_starred = digest != hashlib.sha256(payload).digest()
    if held.settled_ms is not None:
        raise QuarantineError(f"{number} is settled already")
    if is_starred:
        raise QuarantineError(
            f"{number} had digits like a card's, which were starred before it was kept; its terminal sends it again by itself"
        )
    intake = commit(store, [Arrival(held.terminal, payload)], [], [], now_ms)
    refusals = tuple(refusal for refusal in intake.refusals if not refusal.taken)
    if not refusals:
        _decide(store, held, "released", "", now_ms)
    return refusals


def drop(store: Store, number: int, why: str, now_ms: int) -> None:
    """Settles a batch without taking it. Raises DatabaseError."""
    with store.transaction() as statements:
        held, _ = _one(statements, number)
    if held.settled_ms is not None:
        raise QuarantineError(f"{number} is settled already")
    _decide(store, held, "dropped", why, now_ms)


def forks(address: Address) -> list[Fork]:
    """All that says that there may be two of one terminal. Raises DatabaseError."""
    with reading(address) as statements:
        names = [name for (name,) in statements.execute("SELECT id FROM terminal ORDER BY id").fetchall()]
        batches = [
            each
            for each in _all(statements, f"SELECT {_COLUMNS} FROM quarantine ORDER BY id")  # noqa: S608 # our own names
            if each.reason == Forked.code and each.settled_ms is None
        ]
        found = [
            Fork(
                terminal=name,
                batches=tuple(each for each in batches if each.terminal == name),
                twins=tuple(twins_of(statements, name)),
            )
            for name in names
        ]
    return [fork for fork in found if fork.batches or fork.twins]


def _all(statements: Statements, sql: str, *parameters: object) -> list[Held]:
    names = Held.__struct_fields__
    return [
        msgspec.convert(dict(zip(names, (*row[:7], bool(row[7]), *row[8:]), strict=True)), Held)
        for row in statements.execute(sql, parameters).fetchall()
    ]


def _one(statements: Statements, number: int) -> tuple[Held, bytes]:
    found = _all(statements, f"SELECT {_COLUMNS} FROM quarantine WHERE id = ?", number)  # noqa: S608 # our own names
    if not found:
        raise QuarantineError(f"there is no {number} in quarantine")
    (payload,) = statements.execute("SELECT payload FROM quarantine WHERE id = ?", (number,)).fetchone()
    return found[0], payload


def _lines(statements: Statements, held: Held, payload: bytes) -> Iterator[Line]:
    try:
        batch = decode(payload)
    except BatchError:
        return
    header = batch.header
    hash_ = bytes.fromhex(header.prev_hash)
    there = dict(
        statements.execute(
            "SELECT seq, hash FROM record WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?",
            (held.terminal, header.epoch, header.first, header.last),
        ).fetchall()
    )
    for seq, exact in enumerate(batch.lines, header.first):
        hash_ = link(hash_, exact)
        try:
            envelope = open_record(exact)
            kind = msgspec.json.decode(envelope.body, type=dict[str, msgspec.Raw]).get("type")
            name = msgspec.json.decode(kind, type=str) if kind is not None else ""
        except (ValueError, RecursionError):
            return
        same = "none" if seq not in there else "same" if there[seq] == hash_ else "other"
        yield Line(seq=seq, held=same, type=name, time_ms=envelope.time_ms, body=envelope.body)


def _decide(store: Store, held: Held, decision: str, why: str, now_ms: int) -> None:
    with store.transaction() as statements:
        statements.lock([held.terminal])
        statements.execute(
            "UPDATE quarantine SET settled_ms = coalesce(settled_ms, ?), decision = ?, decided_why = ? WHERE id = ?",
            (now_ms, decision, why, held.id),
        )
        # The terminal is told: what is no more in quarantine may be forgotten there once it is archived.
        statements.execute(
            "UPDATE epoch SET told_archived = -1 WHERE terminal = ? AND epoch = ?", (held.terminal, held.epoch)
        )
