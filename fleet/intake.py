"""How batches become rows: verify, insert, recompute the mark, commit, and only then acknowledge.

All the rules of what headquarters takes are here. Whatever comes twice changes nothing, and is not looked into again. A batch
that contradicts what is held is a fork: it goes to quarantine beside what is held. A batch that its terminal signed, word for
word, and that still cannot be taken goes to quarantine and the stream moves on. What may have been damaged or forged on its
way is kept as evidence and moves nothing: else whoever can write to the topic could make a terminal skip its sales.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from core.card import wipe
from core.delivery import (
    ACK_RANGES_MAX,
    Ack,
    Batch,
    BatchError,
    Header,
    Range,
    RecordUnreadable,
    Verified,
    check,
    decode,
    opening_key,
    wiped,
)
from core.ledger import GENESIS, link
from fleet.store import NUMBER_MAX, RECORD, RETAIL_TRANSACTION, Statements, Store
from fleet.twins import twins_of

EVIDENCE_MAX = 100
"""Unproven payloads kept of one terminal; of more, only the log tells."""
ANNOUNCED_MAX = 500
"""Epochs whose terminals are told of a backup at a time."""
GENERATION_MAX = 1 << 53
"""No honest generation comes near it: they begin at Unix milliseconds."""

_SEEN = """
INSERT INTO presence (terminal, seen_ms, state, boot, connection) VALUES (?, ?, ?, ?, ?)
ON CONFLICT (terminal) DO UPDATE SET
    seen_ms = excluded.seen_ms,
    state = CASE WHEN excluded.state IS NULL
                   OR presence.boot = excluded.boot AND presence.connection > excluded.connection
            THEN presence.state ELSE excluded.state END,
    boot = coalesce(excluded.boot, presence.boot),
    connection = CASE WHEN excluded.connection IS NULL
                        OR presence.boot = excluded.boot AND presence.connection > excluded.connection
                 THEN presence.connection ELSE excluded.connection END
"""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A batch as it came, under the name that the broker let it be published."""

    terminal: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Mark:
    """What a terminal, or the broker's retained copy, says that headquarters once acknowledged."""

    terminal: str
    epoch: str
    seq: int
    generation: int


@dataclass(frozen=True, slots=True)
class Presence:
    """A sign of life: a status (`connection` > 0), or anything else that a terminal told."""

    terminal: str
    state: str | None = None
    boot: str | None = None
    connection: int | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a batch was not taken, for the log: an alarm where a terminal's identity or history is in doubt.

    `taken` where it was taken all the same: what two terminals sold under one name are sales.
    """

    terminal: str
    code: str
    detail: str
    alarm: bool
    taken: bool = False


@dataclass(frozen=True, slots=True)
class Intake:
    """What one commit did: the acknowledgements to publish, and what was refused."""

    acks: tuple[tuple[str, Ack], ...]
    refusals: tuple[Refusal, ...]
    records: int
    raised: bool


class KeyUntrusted(BatchError):
    """Signed by another key than the one that this terminal is known by."""

    code: ClassVar[str] = "key-untrusted"


class TerminalUnknown(BatchError):
    """The terminal's first record, which names its key, has not come yet."""

    code: ClassVar[str] = "terminal-unknown"


class Forked(BatchError):
    """It contradicts records that are held."""

    code: ClassVar[str] = "fork"


_ALARMS = (KeyUntrusted, Forked)


def commit(
    database: Store, arrivals: Sequence[Arrival], marks: Iterable[Mark], presences: Iterable[Presence], now_ms: int
) -> Intake:
    """Takes what came, in one transaction that is on the medium when this returns. Raises DatabaseError."""
    with database.transaction() as statements:
        statements.lock(arrival.terminal for arrival in arrivals)
        intake = _Transaction(statements, now_ms)
        for arrival in arrivals:
            intake.take(arrival)
        for mark in marks:
            intake.compare(mark)
        for presence in sorted(presences, key=lambda each: each.terminal):  # two collectors write them in one order
            intake.see(presence)
        return intake.result()


def announce(database: Store, now_ms: int) -> tuple[tuple[str, Ack], ...]:
    """What terminals are to be told though they sent nothing: a backup was made, or people decided. Raises DatabaseError."""
    with database.transaction() as statements:
        untold = statements.execute(
            "SELECT terminal, epoch FROM epoch WHERE archived_hwm > told_archived ORDER BY terminal, epoch LIMIT ?",
            (ANNOUNCED_MAX,),
        ).fetchall()
        if not untold:
            return ()
        statements.lock(terminal for terminal, _ in untold)
        intake = _Transaction(statements, now_ms)
        for place in untold:
            intake.tell(*place)
        return intake.result().acks


def trust(database: Store, terminal: str, public_key: bytes, now_ms: int) -> None:
    """Pins the key that a terminal is known by from now on. Raises DatabaseError."""
    with database.transaction() as statements:
        pin(statements, terminal, public_key, now_ms)


def pin(statements: Statements, terminal: str, public_key: bytes, now_ms: int) -> None:
    """As `trust`, in a transaction of which it is a part."""
    statements.execute(
        "INSERT INTO terminal (id, signing_key, trust, trusted_ms) VALUES (?, ?, 'pinned', ?)"
        " ON CONFLICT (id) DO UPDATE SET signing_key = excluded.signing_key, trust = 'pinned',"
        " trusted_ms = excluded.trusted_ms",
        (terminal, public_key, now_ms),
    )


@dataclass(slots=True)
class _Epoch:
    """A row of `epoch`, and what this transaction did to it."""

    terminal: str
    epoch: str
    hwm: int = 0
    hash_at_hwm: bytes = GENESIS
    archived_hwm: int = 0
    top_seq: int = 0
    signature: bytes = b""
    gaps: tuple[Range, ...] = ()
    changed: bool = False
    fault: str | None = None


class _Transaction:
    """The work of one transaction."""

    def __init__(self, statements: Statements, now_ms: int) -> None:
        self._statements = statements
        self._run = statements.execute
        self._now_ms = now_ms
        self._epochs: dict[tuple[str, str], _Epoch] = {}
        self._touched: dict[tuple[str, str], _Epoch] = {}
        self._refusals: list[Refusal] = []
        self._begun: set[str] = set()
        self._fresh_records: list[tuple[object, ...]] = []
        self._fresh_sales: list[tuple[object, ...]] = []
        self._records = 0
        self._raised = False
        (self._generation,) = self._run("SELECT generation FROM headquarters").fetchone()

    def take(self, arrival: Arrival) -> None:
        """Stores a batch, or puts it into quarantine."""
        try:
            batch = decode(arrival.payload)
            if self._is_held(arrival.terminal, batch.header):
                self._settle(arrival.terminal, batch.header)
                self._answer_again(arrival.terminal, batch.header)
                return
            verified = self._verified(arrival.terminal, batch)
            self._store(arrival.terminal, verified)
        except BatchError as error:
            self._refuse(arrival, error)
            if error.header is None or error.header.terminal != arrival.terminal:
                return
            header = error.header
        else:
            header = verified.header
            self._epoch(arrival.terminal, header.epoch).fault = None
        self._answer_again(arrival.terminal, header)

    def compare(self, mark: Mark) -> None:
        """Notices that this database was restored from an older state: more was acknowledged than it holds, or in the name
        of a later generation, which the terminal goes by even where it holds nothing of what it was told then."""
        epoch = self._epoch(mark.terminal, mark.epoch)
        if mark.generation > GENERATION_MAX or (mark.seq <= epoch.hwm and mark.generation <= self._generation):
            return
        self._touched[epoch.terminal, epoch.epoch] = epoch
        if mark.generation >= self._generation:
            raised = max(mark.generation + 1, self._now_ms)
            (self._generation,) = self._run(
                "UPDATE headquarters SET generation = CASE WHEN generation < ? THEN ? ELSE generation END"
                " RETURNING generation",
                (raised, raised),
            ).fetchone()
            self._raised = True

    def tell(self, terminal: str, epoch: str) -> None:
        """The terminal hears of this epoch."""
        self._touched[terminal, epoch] = self._epoch(terminal, epoch)
        self._run("UPDATE epoch SET told_archived = archived_hwm WHERE terminal = ? AND epoch = ?", (terminal, epoch))

    def see(self, presence: Presence) -> None:
        """Notes a sign of life; a status of an older connection of the same boot changes nothing."""
        self._run(
            _SEEN,
            (presence.terminal, self._now_ms, presence.state, presence.boot, presence.connection),
        )

    def result(self) -> Intake:
        """Writes the marks, and says what is to be acknowledged."""
        self._flush()
        for epoch in self._epochs.values():
            if epoch.changed:
                self._run(
                    "INSERT INTO epoch (terminal, epoch, hwm, hash_at_hwm, archived_hwm, top_seq, signature) VALUES"
                    " (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (terminal, epoch) DO UPDATE SET hwm = excluded.hwm,"
                    " hash_at_hwm = excluded.hash_at_hwm, top_seq = excluded.top_seq, signature = excluded.signature",
                    (
                        epoch.terminal,
                        epoch.epoch,
                        epoch.hwm,
                        epoch.hash_at_hwm,
                        epoch.archived_hwm,
                        epoch.top_seq,
                        epoch.signature,
                    ),
                )
        for terminal in sorted(self._begun):
            for twins in twins_of(self._statements, terminal):
                self._refusals.append(Refusal(terminal, Forked.code, str(twins), alarm=True, taken=True))
        acks = tuple((epoch.terminal, self._ack(epoch)) for epoch in self._touched.values())
        return Intake(acks, tuple(self._refusals), self._records, self._raised)

    def _answer_again(self, terminal: str, header: Header) -> None:
        self._touched[terminal, header.epoch] = self._epoch(terminal, header.epoch)
        self.compare(Mark(terminal, header.epoch, header.acked_seq, header.acked_generation))

    # --- verifying ---

    def _is_held(self, terminal: str, header: Header) -> bool:
        """Whether all of it is held, by its own word: then there is nothing to take, whoever says it and whatever it is.

        A fleet that comes back at once sends most of its batches more than once; to verify each again would keep those
        waiting that are new.
        """
        epoch = self._epoch(terminal, header.epoch)
        if header.terminal != terminal or header.last > epoch.hwm:
            return False
        held = self._hashes(epoch, header.last, header.last)
        if held.get(header.last, b"").hex() != header.last_hash:
            return False
        (count,) = self._run(
            "SELECT count(*) FROM record WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?",
            (terminal, header.epoch, header.first, header.last),
        ).fetchone()
        return bool(count == header.count)

    def _verified(self, terminal: str, batch: Batch) -> Verified:
        """What the batch proves under the key that the terminal is known by, or on first use under its own."""
        row = self._run("SELECT signing_key FROM terminal WHERE id = ?", (terminal,)).fetchone()
        announced = opening_key(batch)
        key = row[0] if row else announced
        if key is None:
            raise TerminalUnknown(f"nothing is known of {terminal}, and this is not its first record", batch.header)
        if announced is not None and announced != key:
            raise KeyUntrusted(
                f"{terminal} comes with the key {announced.hex()}, and is known by {key.hex()}; if that is right:"
                f" terminald-fleet trust {terminal} {announced.hex()}",
                batch.header,
            )
        verified = check(batch, terminal, key)
        if row is None:
            self._run(
                "INSERT INTO terminal (id, signing_key, trust, trusted_ms) VALUES (?, ?, 'first-use', ?)",
                (terminal, key, self._now_ms),
            )
        return verified

    # --- storing ---

    def _store(self, terminal: str, verified: Verified) -> None:
        header, records = verified.header, verified.records
        _check_numbers(verified)
        epoch = self._epoch(terminal, header.epoch)
        self._check_joints(epoch, verified)
        place = (terminal, header.epoch)
        rows = [(*place, record.seq, record.exact, record.hash) for record in records]
        sales = [
            (*place, item.seq, item.sale.number, item.sale.business_day, item.sale.currency,
             item.sale.total_minor, item.sale.change_minor, item.time_ms, self._now_ms)
            for item in verified.completed
        ]  # fmt: skip
        if header.first > epoch.top_seq:  # none of them can be held, and nobody else may add them now
            self._fresh_records += rows
            self._fresh_sales += sales
            added = len(rows)
        else:
            added = self._statements.insert(RECORD, rows)
            self._statements.insert(RETAIL_TRANSACTION, sales)
        self._settle(terminal, header)
        self._records += added
        if verified.opened is not None and verified.opened.previous_epoch is not None and added:
            self._begun.add(terminal)
        in_order = epoch.top_seq <= epoch.hwm and header.first <= epoch.hwm + 1
        if header.last > epoch.top_seq:
            epoch.top_seq, epoch.signature = header.last, bytes.fromhex(header.signature)
        epoch.changed = True
        if in_order and header.last >= epoch.hwm:
            epoch.hwm, epoch.hash_at_hwm = header.last, records[-1].hash
        else:
            self._recount(epoch)

    def _settle(self, terminal: str, header: Header) -> None:
        """What was damaged on its way has come whole."""
        self._run(
            "UPDATE quarantine SET settled_ms = ? WHERE terminal = ? AND epoch = ? AND first_seq >= ? AND last_seq <= ?"
            " AND reason != ?",
            (self._now_ms, terminal, header.epoch, header.first, header.last, Forked.code),
        )

    def _check_joints(self, epoch: _Epoch, verified: Verified) -> None:
        """Nothing held may contradict the batch: the record before, those in its place, the one after."""
        header, records = verified.header, verified.records
        if header.first == epoch.hwm + 1 and epoch.top_seq <= epoch.hwm:
            held = {epoch.hwm: epoch.hash_at_hwm} if epoch.hwm else {}
        else:
            held = self._hashes(epoch, header.first - 1, header.last + 1)
        hashes = {header.first - 1: bytes.fromhex(header.prev_hash)} | {record.seq: record.hash for record in records}
        for seq, hash_ in held.items():
            if seq <= header.last and hashes[seq] != hash_:
                raise Forked(f"record {seq} of {header.epoch} is held with another hash", header)
        if header.last + 1 in held:
            (exact,) = self._run(
                "SELECT exact FROM record WHERE terminal = ? AND epoch = ? AND seq = ?",
                (epoch.terminal, epoch.epoch, header.last + 1),
            ).fetchone()
            if link(records[-1].hash, exact) != held[header.last + 1]:
                raise Forked(f"record {header.last + 1} of {header.epoch} is held and does not follow", header)

    def _flush(self) -> None:
        """Hands the database what several batches brought, at once: that costs less, and is due before records are read."""
        if self._fresh_records:
            self._statements.insert(RECORD, self._fresh_records, fresh=True)
            self._statements.insert(RETAIL_TRANSACTION, self._fresh_sales, fresh=True)
            self._fresh_records, self._fresh_sales = [], []

    def _hashes(self, epoch: _Epoch, first: int, last: int) -> dict[int, bytes]:
        self._flush()
        rows = self._run(
            "SELECT seq, hash FROM record WHERE terminal = ? AND epoch = ? AND seq BETWEEN ? AND ?",
            (epoch.terminal, epoch.epoch, first, last),
        )
        return dict(rows.fetchall())

    # --- marks ---

    def _epoch(self, terminal: str, name: str) -> _Epoch:
        found = self._epochs.get((terminal, name))
        if found is None:
            row = self._run(
                "SELECT hwm, hash_at_hwm, archived_hwm, top_seq, signature FROM epoch WHERE terminal = ? AND epoch = ?",
                (terminal, name),
            ).fetchone()
            found = self._epochs[terminal, name] = _Epoch(terminal, name, *(row or ()))
            if found.top_seq > found.hwm:
                self._recount(found)
        return found

    def _recount(self, epoch: _Epoch) -> None:
        """The mark and the gaps anew, from what is held and what was passed above the mark."""
        self._flush()
        place = (epoch.terminal, epoch.epoch, epoch.hwm)
        covered = [
            (seq, seq, hash_)
            for seq, hash_ in self._run(
                "SELECT seq, hash FROM record WHERE terminal = ? AND epoch = ? AND seq > ? ORDER BY seq", place
            )
        ]
        covered += self._run(
            "SELECT first_seq, last_seq, last_hash FROM quarantine WHERE terminal = ? AND epoch = ? AND last_seq > ?"
            " AND passed = 1 ORDER BY first_seq",
            place,
        ).fetchall()
        gaps: list[Range] = []
        reached = epoch.hwm
        for first, last, hash_ in sorted(covered):
            if first > reached + 1:
                gaps.append((reached + 1, first - 1))
            if last > reached:
                reached = last
                if not gaps:
                    epoch.hwm, epoch.hash_at_hwm = last, hash_
        epoch.gaps = tuple(gaps[:ACK_RANGES_MAX])

    def _ack(self, epoch: _Epoch) -> Ack:
        quarantined = self._run(
            "SELECT DISTINCT first_seq, last_seq FROM quarantine WHERE terminal = ? AND epoch = ?"
            " AND (passed = 1 OR reason = ?) AND settled_ms IS NULL ORDER BY first_seq LIMIT ?",
            (epoch.terminal, epoch.epoch, Forked.code, ACK_RANGES_MAX),
        ).fetchall()
        return Ack(
            epoch=epoch.epoch, hwm=epoch.hwm, archived_hwm=epoch.archived_hwm, gaps=epoch.gaps,
            quarantined=tuple(quarantined), hash_at_hwm=epoch.hash_at_hwm.hex(),
            collector_generation=self._generation, fault=epoch.fault,
        )  # fmt: skip

    # --- refusing ---

    def _refuse(self, arrival: Arrival, error: BatchError) -> None:
        """Keeps the payload as evidence; where it is proven to be the terminal's own word, the stream moves on."""
        detail = wipe(str(error))
        self._refusals.append(Refusal(arrival.terminal, error.code, detail, isinstance(error, _ALARMS)))
        if isinstance(error, TerminalUnknown):
            return
        header = error.header if error.header and error.header.terminal == arrival.terminal else None
        digest = hashlib.sha256(arrival.payload).digest()
        (known,) = self._run("SELECT count(*) FROM quarantine WHERE terminal = ?", (arrival.terminal,)).fetchone()
        place = (header.epoch, header.first, header.last, header.head.hash) if header else (None, None, None, None)
        if known < EVIDENCE_MAX or error.proven:
            evidence = arrival.payload if error.proven else wiped(arrival.payload)
            self._run(
                "INSERT INTO quarantine (terminal, digest, reason, detail, epoch, first_seq, last_seq, last_hash,"
                " passed, payload, times, received_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, ?, 0, ?)"
                " ON CONFLICT DO NOTHING",
                (arrival.terminal, digest, error.code, detail, *place, evidence, self._now_ms),
            )
        self._run(
            "UPDATE quarantine SET times = times + 1 WHERE terminal = ? AND digest = ?", (arrival.terminal, digest)
        )
        if header is None:
            return
        epoch = self._epoch(arrival.terminal, header.epoch)
        epoch.fault = f"{error.code}: {detail}"
        if error.proven and self._joins(epoch, header):
            self._run("UPDATE quarantine SET passed = 1 WHERE terminal = ? AND digest = ?", (arrival.terminal, digest))
            if header.last > epoch.top_seq:
                epoch.top_seq, epoch.signature = header.last, bytes.fromhex(header.signature)
            epoch.changed = True
            self._recount(epoch)

    def _joins(self, epoch: _Epoch, header: Header) -> bool:
        """Whether a batch begins where the record before it, if held, ends."""
        before = self._hashes(epoch, header.first - 1, header.first - 1)
        return bytes.fromhex(header.prev_hash) == before.get(header.first - 1, bytes.fromhex(header.prev_hash))


def _check_numbers(verified: Verified) -> None:
    """A sum that no database can hold is poison, not a reason to stop."""
    for item in verified.completed:
        sale = item.sale
        numbers = (sale.number, sale.total_minor, sale.change_minor, item.time_ms)
        if not all(-NUMBER_MAX <= number <= NUMBER_MAX for number in numbers):
            raise RecordUnreadable(f"record {item.seq} holds a number beyond 64 bits", verified.header)
