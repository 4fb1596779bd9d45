"""When batches are sent, and sent again: the terminal's side of delivery as a state machine without I/O.

All its rules are here. At most `FLIGHTS_MAX` batches are unacknowledged; each is sent again, with growing and jittered
pauses, until headquarters' signed mark has passed it, whatever the broker said of it. Time (monotonic seconds) and
chance (``0 <= jitter < 1``) come in as data.
"""

import enum
from dataclasses import dataclass

from core.delivery import BATCH_BYTES_MAX, Ack
from core.ledger import Head

FLIGHTS_MAX = 4
RESEND_AFTER_S = 4.0
RESEND_AFTER_MAX_S = 60.0
GAP_RESEND_AFTER_S = 0.5
UNANSWERED_AFTER_S = 60.0
"""A batch that the broker has not answered is not sent once more before that: on a slow line it is still on its way."""
RECONNECT_AFTER_S = 1.0
RECONNECT_AFTER_MAX_S = 30.0
BATCH_S = 5.0
"""A batch is to take the line for so long at most, so that nothing waits behind it for longer."""
BATCH_BYTES_MIN = 4 << 10


def backoff_s(attempt: int, jitter: float, base_s: float, max_s: float) -> float:
    """The pause after the nth attempt (from 1): doubling from `base_s` up to `max_s`, then half of it to one and a half."""
    return float(min(base_s * 2 ** min(attempt - 1, 30), max_s)) * (0.5 + jitter)


def spread_s(attempt: int, jitter: float) -> float:
    """The pause before the nth attempt (from 1) to connect again: anything from none to a bound that doubles.

    A fleet that lost its broker at one moment comes back evenly over that time (full jitter), not at one moment.
    """
    return float(min(RECONNECT_AFTER_S * 2 ** min(attempt - 1, 30), RECONNECT_AFTER_MAX_S)) * jitter


@dataclass(frozen=True, slots=True, kw_only=True)
class Pacing:
    """The pause before a batch is sent again: after the first time, and at most."""

    resend_after_s: float = RESEND_AFTER_S
    resend_after_max_s: float = RESEND_AFTER_MAX_S


STEADY = Pacing()


@dataclass(slots=True, kw_only=True)
class Flight:
    """A batch on its way: its range, its payload, how often it was sent and when it is sent again.

    `size_bytes` are its records', unpacked. While it is `on_line`, it was handed over and the broker has not answered.
    """

    first: int
    head: Head
    payload: bytes
    size_bytes: int = 0
    attempts: int = 0
    pause_s: float = 0.0
    sent_s: float = 0.0
    due_s: float = 0.0
    on_line: bool = False


class Sizing:
    """How many bytes of records a batch may hold: fewer where the line is slow, so that no batch takes it for long."""

    def __init__(self) -> None:
        self.bytes_max = BATCH_BYTES_MAX

    def took(self, size_bytes: int, taken_s: float) -> None:
        """A batch was on its way to the broker for so long."""
        if taken_s > BATCH_S:
            self._set(min(int(size_bytes * BATCH_S / taken_s), self.bytes_max))
        elif taken_s < BATCH_S / 4 and 2 * size_bytes > self.bytes_max:
            self._set(2 * self.bytes_max)

    def lost(self) -> None:
        """The connection ended before the broker answered."""
        self._set(self.bytes_max // 2)

    def _set(self, bytes_max: int) -> None:
        self.bytes_max = min(max(bytes_max, BATCH_BYTES_MIN), BATCH_BYTES_MAX)


class Verdict(enum.Enum):
    """What an acknowledgement meant."""

    ADVANCED = enum.auto()
    """The mark moved up; keep it."""
    REPEATED = enum.auto()
    """The mark that was known."""
    STALE = enum.auto()
    """Older than what is known: a lower generation, or a lower mark of the same one. Ignored."""
    REPLAY = enum.auto()
    """A restored headquarters holds less than it once did; keep it, and send again from there."""
    OTHER_EPOCH = enum.auto()
    """Of another epoch than the one being sent."""
    AHEAD = enum.auto()
    """Headquarters holds more than this journal: the journal went back in time. Nothing is sent."""
    FORKED = enum.auto()
    """Headquarters holds another record in this journal's place: a copy of this terminal was at work. Nothing is sent."""


class Window:
    """What is in flight of one epoch, from what headquarters acknowledged up to what was last cut into a batch."""

    def __init__(self, acknowledged: Head, generation: int, pacing: Pacing = STEADY) -> None:
        self.acknowledged = acknowledged
        self.generation = generation
        self.sent = acknowledged
        self.quarantined: tuple[tuple[int, int], ...] = ()
        self._pacing = pacing
        self._flights: list[Flight] = []
        self._answered_s = 0.0

    @property
    def has_room(self) -> bool:
        """Whether another batch may be launched."""
        return len(self._flights) < FLIGHTS_MAX

    @property
    def flights(self) -> int:
        """Batches in the air."""
        return len(self._flights)

    def launch(self, first: int, head: Head, payload: bytes, size_bytes: int = 0) -> None:
        """Puts the next batch into the air; it is due at once."""
        assert self.has_room
        assert (head.epoch, first) == (self.sent.epoch, self.sent.seq + 1)
        self._flights.append(Flight(first=first, head=head, payload=payload, size_bytes=size_bytes))
        self.sent = head

    def land(self) -> None:
        """Takes back all that is in the air: it is to be cut anew from the mark on."""
        self._flights.clear()
        self.sent = self.acknowledged

    def due(self, now_s: float) -> tuple[Flight, ...]:
        """What is to be sent now, the lowest first."""
        return tuple(flight for flight in self._flights if _due_s(flight) <= now_s)

    def next_due_s(self) -> float | None:
        """When something is due next."""
        return min(map(_due_s, self._flights), default=None)

    def was_sent(self, flight: Flight, now_s: float, jitter: float) -> None:
        """A flight was handed to the broker: when to hand it over again if no mark passes it."""
        flight.attempts += 1
        pacing = self._pacing
        flight.pause_s = backoff_s(flight.attempts, jitter, pacing.resend_after_s, pacing.resend_after_max_s)
        flight.sent_s, flight.due_s = now_s, now_s + flight.pause_s

    def handed_over(self, flight: Flight) -> None:
        """The connection has it, and will say when the broker answers: it is not sent once more meanwhile."""
        flight.on_line = True

    def was_answered(self, flight: Flight, now_s: float) -> float:
        """The broker has it, or refused it: headquarters' time to acknowledge counts from now. How long the line took."""
        flight.on_line = False
        flight.due_s = now_s + flight.pause_s
        taken_s = now_s - max(flight.sent_s, self._answered_s)
        self._answered_s = now_s
        return taken_s

    def reconnected(self) -> bool:
        """A new connection: what was in flight on the old one is due at once, and counts from the start.

        Whether the old one ended while the broker had not answered something.
        """
        unanswered = any(flight.on_line for flight in self._flights)
        for flight in self._flights:
            flight.attempts, flight.due_s, flight.on_line = 0, 0.0, False
        return unanswered

    def largest(self) -> tuple[int, int]:
        """The most bytes that one in the air has: of records, and of payload."""
        sizes = [(flight.size_bytes, len(flight.payload)) for flight in self._flights]
        return max((size for size, _ in sizes), default=0), max((payload for _, payload in sizes), default=0)

    def hash_at(self, seq: int) -> bytes | None:
        """Our own hash at a place, where it is at hand without reading the journal."""
        heads = (self.acknowledged, *(flight.head for flight in self._flights))
        return next((head.hash for head in heads if head.seq == seq), None)

    def take(self, ack: Ack, synced_seq: int, own_hash: bytes | None, now_s: float) -> Verdict:
        """Folds in an acknowledgement whose signature was verified.

        `synced_seq` is how far the journal reaches; `own_hash` its hash at the mark, needed unless the mark is ahead.
        """
        if ack.epoch != self.acknowledged.epoch:
            return Verdict.OTHER_EPOCH
        if ack.collector_generation < self.generation:
            return Verdict.STALE
        newer = ack.collector_generation > self.generation
        if ack.hwm < self.acknowledged.seq and not newer:
            return Verdict.STALE
        if ack.hwm > synced_seq:
            return Verdict.AHEAD
        if own_hash is None or own_hash.hex() != ack.hash_at_hwm:
            return Verdict.FORKED
        self.quarantined = ack.quarantined
        self._hurry(ack.gaps, now_s)
        before = self.acknowledged
        if ack.hwm == before.seq and not newer:
            return Verdict.REPEATED
        self.generation = ack.collector_generation
        self.acknowledged = Head(epoch=ack.epoch, seq=ack.hwm, hash=own_hash)
        if ack.hwm < before.seq:
            self._flights.clear()
            self.sent = self.acknowledged
            return Verdict.REPLAY
        self._flights = [flight for flight in self._flights if flight.head.seq > ack.hwm]
        if self.sent.seq < ack.hwm:
            self.sent = self.acknowledged
        return Verdict.ADVANCED

    def _hurry(self, gaps: tuple[tuple[int, int], ...], now_s: float) -> None:
        """What headquarters misses while it holds later records was lost on the way: do not wait the whole pause."""
        for flight in self._flights:
            if any(first <= flight.head.seq and flight.first <= last for first, last in gaps):
                flight.due_s = min(flight.due_s, now_s + GAP_RESEND_AFTER_S * max(flight.attempts, 1))


def _due_s(flight: Flight) -> float:
    return max(flight.due_s, flight.sent_s + UNANSWERED_AFTER_S) if flight.on_line else flight.due_s
