"""Journal -> batches -> broker -> headquarters' signed acknowledgement -> journal.

What to send when is decided in `core.window`; here are the journal, the connection and the waiting. The broker's own
answers change nothing: a record is delivered once headquarters has signed for it.
"""

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from random import Random
from typing import Protocol

from core import topics
from core.delivery import (
    BATCH_DECODED_BYTES_MAX,
    BATCH_RECORDS_MAX,
    Ack,
    AckError,
    BatchError,
    compose,
    cut,
    encode,
    open_ack,
)
from core.entries import EpochOpened, decode
from core.ledger import Head, Record, open_record
from core.ports import Clock, Journal, Signer
from core.window import STEADY, Flight, Pacing, Sizing, Verdict, Window
from terminald.broker import Congested, ConnectionLost, Message, PublishRefused
from terminald.mqtt import Connection
from terminald.outbound import NOBODY_LISTENS

LINGER_S = 0.02
"""How long a moved head waits for more records while a batch is on its way; where none is, it goes at once."""
ACKS_WAITING_MAX = 16
"""Acknowledgements that wait to be read; they are cumulative, so the oldest may go."""
EPOCHS_MAX = 64
"""How far back the epochs before this one are followed for records not yet delivered."""
HELD_LOOK_AGAIN_S = 60.0
PARTING_MAX = 4
"""Batches of an epoch that is left behind, sent once although they cannot be acknowledged: 2,000 records."""
SENT_IN_VAIN = 3
"""So often a batch is sent whose acknowledgement cannot come, because headquarters lost what came before it."""

_log = logging.getLogger(__name__)


class Acknowledged(Protocol):
    """What the journal keeps of an epoch's newest acknowledgement."""

    @property
    def seq(self) -> int:
        """The mark."""

    @property
    def ack(self) -> bytes:
        """Headquarters' signed answer, as it came."""


class Outbox(Journal, Protocol):
    """The journal with headquarters' cursor beside it."""

    async def acknowledge(self, epoch: str, seq: int, ack: bytes) -> None:
        """Keeps headquarters' newest answer; a restored headquarters may lower the mark."""

    async def acknowledged(self, epoch: str) -> Acknowledged | None:
        """The newest answer kept for an epoch."""

    async def base(self, epoch: str) -> Head:
        """The head before the first record that the journal has of an epoch."""


class Forwarder:
    """Sends the journal's synced records to headquarters until all are acknowledged; a `terminald.uplink.User`."""

    def __init__(
        self,
        *,
        terminal: str,
        journal: Outbox,
        signer: Signer,
        ack_key: bytes,
        clock: Clock,
        random: Random,
        pacing: Pacing = STEADY,
        on_change: Callable[[], None] = lambda: None,
    ) -> None:
        self.fault: str | None = None
        """Why records are not being acknowledged, for technicians: a stable code, a colon and the details."""
        self.ahead: Ack | None = None
        """Headquarters' proof that this journal went back in time or was copied: a new epoch is called for."""
        self._terminal = terminal
        self._journal = journal
        self._signer = signer
        self._ack_key = ack_key
        self._clock = clock
        self._random = random
        self._pacing = pacing
        self._on_change = on_change
        self._window: Window | None = None
        self._sizing = Sizing()
        self._payload_bytes_max = BATCH_DECODED_BYTES_MAX
        self._acks: deque[bytes] = deque(maxlen=ACKS_WAITING_MAX)
        self._left_behind: set[str] = set()
        self._parting: list[bytes] = []
        self._lacking: str | None = None
        self._look_again = False
        self._moved = False
        self._more = False
        self._wake = asyncio.Event()

    @property
    def acknowledged_seq(self) -> int:
        """How far headquarters holds the current epoch."""
        window = self._window
        return window.acknowledged.seq if window and window.acknowledged.epoch == self._journal.synced.epoch else 0

    @property
    def generation(self) -> int:
        """The collector's generation that acknowledged last."""
        return self._window.generation if self._window else 0

    @property
    def quarantined(self) -> int:
        """Records that headquarters keeps apart because it cannot take them."""
        return sum(last - first + 1 for first, last in self._window.quarantined) if self._window else 0

    def notify(self) -> None:
        """The journal's synced head moved."""
        self._moved = True
        self._wake.set()

    def look_again(self) -> None:
        """Epochs that were left behind have their records back: they are looked at once more."""
        self._look_again = True
        self.notify()

    async def load(self) -> None:
        """Reads from the journal where headquarters stands, if that was not done before."""
        if self._window is None:
            self._window = await self._open_window(await self._oldest_undelivered())
            self._on_change()

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError."""
        await self.load()
        assert self._window is not None
        if self._window.reconnected():
            self._sizing.lost()
        records_bytes, payload_bytes = self._window.largest()
        self._payload_bytes_max = connection.payload_bytes_max
        if records_bytes > self._sizing.bytes_max or payload_bytes > self._payload_bytes_max:
            self._window.land()
        await connection.subscribe(topics.ack(self._terminal), lambda message: self._on_ack(connection, message))
        while True:
            self._wake.clear()
            await self._take_acks()
            await self._fill()
            self._send(connection)
            if not self._more:
                await self._wait()

    # --- what comes in ---

    def _on_ack(self, connection: Connection, message: Message) -> None:
        self._acks.append(message.payload)
        connection.acknowledge(message)
        self._wake.set()

    async def _take_acks(self) -> None:
        while self._acks:
            payload = self._acks.popleft()
            try:
                ack = open_ack(self._terminal, payload, self._ack_key)
            except AckError as error:
                self._say(f"{error.code}: {error}")
            else:
                await self._take_ack(ack, payload)

    async def _take_ack(self, ack: Ack, payload: bytes) -> None:
        window = self._window
        assert window is not None
        if await self._reaches_too_far_back(ack):
            return
        own_hash = window.hash_at(ack.hwm)
        if own_hash is None and ack.epoch == window.acknowledged.epoch:
            own_hash = await self._hash_at(ack.epoch, ack.hwm)
        synced = self._journal.synced
        synced_seq = synced.seq if synced.epoch == ack.epoch else ack.hwm
        quarantined = window.quarantined
        verdict = window.take(ack, synced_seq, own_hash, self._clock.monotonic_s())
        match verdict:
            case Verdict.STALE | Verdict.OTHER_EPOCH:
                return
            case Verdict.AHEAD | Verdict.FORKED:
                self.ahead = ack
                await self._leave_behind()
                self._say(
                    f"journal-behind: headquarters holds records up to {ack.hwm} that this journal, which reaches"
                    f" {synced.seq}, does not have; was an old copy of this terminal started?"
                )
                return
            case Verdict.ADVANCED | Verdict.REPLAY:
                await self._journal.acknowledge(ack.epoch, ack.hwm, payload)
            case Verdict.REPEATED:
                pass
        if window.quarantined != quarantined:
            _log.error("headquarters put records into quarantine: %s", window.quarantined)
        self.ahead = None
        self._say(f"headquarters: {ack.fault}" if ack.fault else None)

    async def _reaches_too_far_back(self, ack: Ack) -> bool:
        """Whether headquarters wants records that another medium had, and that this journal never did."""
        window = self._window
        assert window is not None
        base = await self._journal.base(ack.epoch)
        if ack.epoch != window.acknowledged.epoch or ack.hwm >= base.seq:
            return False
        if ack.collector_generation > window.generation:
            self._window = Window(base, ack.collector_generation, self._pacing)
            self._lacking = ack.epoch
            _log.error("headquarters has lost records %s to %s, which are not here", ack.hwm + 1, base.seq)
        if self._lacking == ack.epoch:
            self._say(f"headquarters-lacks: it has lost records {ack.hwm + 1} to {base.seq}, which are not here")
        return True

    # --- what goes out ---

    async def _fill(self) -> None:
        """Cuts the next batch from the journal, unless the window is full or the journal's synced end is reached.

        One at a time: headquarters takes the first while we make the second.
        """
        self._moved = self._more = False
        await self._leave_behind()
        while self._window is not None and self._window.has_room and self.ahead is None:
            sent, synced = self._window.sent, self._journal.synced
            if (sent.epoch, sent.seq) == (synced.epoch, synced.seq):
                return
            records = cut(await self._journal.read(sent.epoch, sent.seq, BATCH_RECORDS_MAX), self._sizing.bytes_max)
            if not records:
                if sent.epoch == synced.epoch or (self._window.flights and not self._was_sent_in_vain()):
                    return
                self._window = await self._open_window(await self._oldest_undelivered())
                continue
            self._more = self._launch(sent, records) and self._window.has_room
            return

    def _launch(self, sent: Head, records: Sequence[Record]) -> bool:
        """Puts a batch of as many of the records into the air as the broker takes in one message; whether that went."""
        window = self._window
        assert window is not None
        acked = (window.acknowledged.seq, window.generation)
        while True:
            try:
                batch = compose(self._terminal, sent, records, self._signer.sign, acked=acked)
            except (BatchError, ValueError) as error:
                self._say(f"journal-damaged: {error}; run terminald journal verify")
                return False
            payload = encode(batch)
            if len(payload) <= self._payload_bytes_max:
                break
            if len(records) == 1:
                self._say(
                    f"batch-too-large: the broker takes messages of {self._payload_bytes_max} bytes, and record {sent.seq + 1}"
                    f" makes one of {len(payload)}; raise its max_packet_size"
                )
                return False
            records = records[: len(records) // 2]
        size_bytes = sum(len(record.exact) for record in records)
        window.launch(batch.header.first, batch.header.head, payload, size_bytes)
        return True

    def _was_sent_in_vain(self) -> bool:
        """Whether an epoch whose mark cannot rise any more was sent often enough; the next one is not to wait for it."""
        window = self._window
        assert window is not None
        if self._lacking != window.sent.epoch or any(each.attempts < SENT_IN_VAIN for each in window.due(math.inf)):
            return False
        self._left_behind.add(window.sent.epoch)
        return True

    def _send(self, connection: Connection) -> None:
        window, now_s = self._window, self._clock.monotonic_s()
        if window is None or self.ahead is not None:
            return
        while self._parting:
            connection.publish(topics.batch(self._terminal), self._parting.pop(0)).add_done_callback(self._answered)
        for flight in window.due(now_s):
            if flight.attempts and self.fault is None:
                self._say(f"headquarters-silent: records {flight.first} to {flight.head.seq} are not acknowledged")
            window.was_sent(flight, now_s, self._random.random())
            window.handed_over(flight)
            answer = connection.publish(topics.batch(self._terminal), flight.payload)
            answer.add_done_callback(self._answered)
            answer.add_done_callback(partial(self._off_line, window, flight))

    def _off_line(self, window: Window, flight: Flight, answer: asyncio.Future[int]) -> None:
        """The broker's answer, or that there will be none."""
        if answer.cancelled() or isinstance(answer.exception(), ConnectionLost):
            return  # the next connection sends it at once
        taken_s = window.was_answered(flight, self._clock.monotonic_s())
        if answer.exception() is None:
            self._sizing.took(flight.size_bytes, taken_s)
        self._wake.set()

    def _answered(self, answer: asyncio.Future[int]) -> None:
        """The broker's answer to a publish: tells technicians something, and delivers nothing."""
        if answer.cancelled():
            return
        error = answer.exception()
        if isinstance(error, PublishRefused | Congested):
            self._say(f"{error.code}: {error}")
        elif error is None and answer.result() == NOBODY_LISTENS and self.fault is None:
            self._say("headquarters-absent: the broker has no collector that listens")

    async def _wait(self) -> None:
        """Until something is to be done: an acknowledgement, a moved head, or a batch due again."""
        due_s = self._window.next_due_s() if self._window is not None and self.ahead is None else None
        pause_s = HELD_LOOK_AGAIN_S if due_s is None else max(due_s - self._clock.monotonic_s(), 0.0)
        try:
            async with asyncio.timeout(min(pause_s, HELD_LOOK_AGAIN_S)):
                await self._wake.wait()
        except TimeoutError:
            return
        if self._moved and not self._acks and self._window is not None and self._window.flights:
            await self._clock.sleep(LINGER_S)

    # --- where headquarters stands ---

    async def _oldest_undelivered(self) -> str:
        """The oldest epoch of this journal that headquarters does not hold whole, else the current one."""
        epoch = oldest = self._journal.synced.epoch
        for _ in range(EPOCHS_MAX):
            first = await self._journal.read(epoch, 0, 1)
            if not first:
                return oldest
            oldest = epoch
            opened = decode(open_record(first[0].exact).body)
            if not isinstance(opened, EpochOpened) or opened.previous_epoch is None:
                return oldest
            epoch = opened.previous_epoch
            if epoch in self._left_behind or await self._is_delivered(epoch):
                return oldest
        return oldest

    async def _leave_behind(self) -> None:
        """Where headquarters proved that an epoch of ours is not the true one, a newer epoch takes its place."""
        if self.ahead is not None and self.ahead.epoch != self._journal.synced.epoch:
            self._left_behind.add(self.ahead.epoch)
            if self._window is not None and self._window.sent.epoch == self.ahead.epoch:
                self._parting = await self._cut_rest(self._window.sent)
            self.ahead = None
            self._window = await self._open_window(await self._oldest_undelivered())
        if self._look_again:
            self._look_again = False
            self._left_behind.clear()
            self._window = await self._open_window(await self._oldest_undelivered())

    async def _cut_rest(self, sent: Head) -> list[bytes]:
        """What an epoch that is left behind still had to say: headquarters puts it aside for people, as a fork."""
        payloads: list[bytes] = []
        while len(payloads) < PARTING_MAX and (
            records := cut(await self._journal.read(sent.epoch, sent.seq, BATCH_RECORDS_MAX))
        ):
            batch = compose(self._terminal, sent, records, self._signer.sign)
            payloads.append(encode(batch))
            sent = batch.header.head
        return payloads

    async def _is_delivered(self, epoch: str) -> bool:
        mark = (await self._mark(epoch)).seq
        return mark > 0 and not await self._journal.read(epoch, mark, 1)

    async def _mark(self, epoch: str) -> Head:
        return (await self._open_window(epoch)).acknowledged

    async def _open_window(self, epoch: str) -> Window:
        """A window from the kept acknowledgement on; from the epoch's beginning where none can be believed."""
        kept = await self._journal.acknowledged(epoch)
        if kept is not None:
            try:
                ack = open_ack(self._terminal, kept.ack, self._ack_key)
            except AckError:
                _log.warning("the kept acknowledgement is not of this headquarters: everything is sent again")
            else:
                own_hash = await self._hash_at(epoch, ack.hwm)
                if own_hash is not None:
                    return Window(Head(epoch=epoch, seq=ack.hwm, hash=own_hash), ack.collector_generation, self._pacing)
        return Window(await self._journal.base(epoch), 0, self._pacing)

    async def _hash_at(self, epoch: str, seq: int) -> bytes | None:
        base = await self._journal.base(epoch)
        if seq <= base.seq:
            return base.hash if seq == base.seq else None
        records = await self._journal.read(epoch, seq - 1, 1)
        return records[0].hash if records and records[0].seq == seq else None

    def _say(self, fault: str | None) -> None:
        if fault != self.fault:
            if fault is not None:
                _log.warning("not acknowledged: %s", fault)
            self.fault = fault
        self._on_change()
