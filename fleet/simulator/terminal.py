"""One simulated terminal: a journal that is made up, the real batches and window, and a light session with the broker.

It does what `terminald.forwarder`, `terminald.telemetry` and `terminald.uplink` do with a connection, without their tasks:
one timer says when it has something to do next.
"""

import asyncio
import math
from typing import Protocol, cast

import msgspec

from core import topics
from core.delivery import BATCH_BYTES_MAX, BATCH_RECORDS_MAX, AckError, compose, cut, encode, open_ack
from core.window import Flight, Sizing, Verdict, Window, spread_s
from fleet.simulator import packets
from fleet.simulator.health import Health, info, state_of
from fleet.simulator.journal import START, Place, Plan, SimulatedJournal
from fleet.simulator.packets import Malformed, Packet, Reader
from fleet.simulator.tally import Tally
from terminald.broker import Broker
from terminald.mqtt import CONNECT_TIMEOUT_S, KEEPALIVE_S
from terminald.uplink import STEADY_AFTER_S, USEFUL_AFTER_S

KEPT_BYTES_MAX = 4096
"""A larger batch is made again if it must be sent again: the backlogs of thousands would not fit into memory."""
MARK_RECORDS = 2_000
"""A place is remembered each so many records, from where an earlier one can be found again."""
NOBODY_LISTENS = 16

_encoder = msgspec.json.Encoder()


class Surroundings(Protocol):
    """What all terminals of a run share."""

    plan: Plan
    broker: Broker
    ack_key: bytes
    tally: Tally
    telemetry: bool

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The one loop."""

    def wall_ms(self, now_s: float) -> int:
        """Unix milliseconds at a time of the loop's clock."""

    def chance(self) -> float:
        """Evenly from 0 to less than 1."""

    def dial(self, terminal: "Terminal") -> None:
        """Begins to connect; `Terminal.connection_made` or `Terminal.refused` follows."""

    def went_online(self) -> None:
        """A session is open."""

    def went_offline(self) -> None:
        """It is no more."""


class Terminal(asyncio.Protocol):
    """A terminal and its session."""

    __slots__ = (
        "_around", "_attempt", "_before", "_began_s", "_boot", "_connection", "_health", "_heard_s", "_marks", "_next_dial_s", "_on_line", "_opened_s",
        "_packet", "_pinged_s", "_reader", "_sent", "_sizing", "_spoke_s", "_timer", "_transport",
        "backlog_open", "fault", "journal", "online", "stopped", "window",
    )  # fmt: skip

    def __init__(self, around: Surroundings, number: int) -> None:
        self.journal = SimulatedJournal(around.plan, number)
        self.window = Window(self.journal.head(START), 0)
        self.online = self.stopped = False
        self.backlog_open = True
        self.fault: str | None = None
        """Why its journal can never be delivered: a code."""
        self._around = around
        self._sent = START
        self._before: dict[int, Place] = {}
        self._marks: list[Place] = [START]
        self._transport: asyncio.Transport | None = None
        self._on_line: dict[int, Flight] = {}
        self._sizing = Sizing()
        self._reader = Reader()
        self._timer: asyncio.TimerHandle | None = None
        self._boot = self.journal.epoch[16:]
        self._connection = self._attempt = self._packet = 0
        self._began_s = self._opened_s = self._heard_s = self._spoke_s = 0.0
        self._health = Health()
        self._pinged_s: float | None = None
        self._next_dial_s = math.inf

    # --- the session ---

    def start(self, at_s: float) -> None:
        """Connects at a time of the loop's clock, and from then on whenever the connection is lost."""
        self._next_dial_s = at_s
        self._arm()

    def stop(self) -> None:
        """Says goodbye, and stays away."""
        self.stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._transport is not None:
            if self.online:
                self._publish(topics.status(self.journal.name), self._status("offline"), retain=True)
                self._write(packets.GOODBYE)
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The socket is there: asks the broker to let us in."""
        self._transport = cast(asyncio.Transport, transport)
        self._reader = Reader()
        broker = self._around.broker
        self._heard_s = self._around.loop.time()
        self._pinged_s = None
        self._connection += 1
        self._write(
            packets.connect(
                self.journal.name, KEEPALIVE_S, username=broker.username, password=broker.password,
                will_topic=topics.status(self.journal.name), will=self._status("offline"),
            )
        )  # fmt: skip
        self._arm()

    def refused(self, code: str) -> None:
        """There will be no connection this time."""
        self._around.tally.faults[code] += 1
        self._again()

    def connection_lost(self, exc: Exception | None) -> None:
        """The session is over."""
        self._transport = None
        if self.online:
            self.online = False
            if not self.stopped:
                self._around.went_offline()
        self._again()

    def data_received(self, data: bytes) -> None:
        """Whatever the broker says."""
        self._heard_s = self._around.loop.time()
        self._pinged_s = None
        try:
            for packet in self._reader.feed(data):
                self._take(packet)
        except Malformed:
            self._break("broker-malformed")
            return
        self._work()

    def _again(self) -> None:
        """As `terminald.uplink.Uplink`: the longer it held, the sooner the next."""
        if self.stopped:
            return
        now_s = self._around.loop.time()
        held_s = now_s - self._began_s
        before = 0 if held_s > STEADY_AFTER_S else self._attempt // 2 if held_s > USEFUL_AFTER_S else self._attempt
        self._attempt = before + 1
        pause_s = spread_s(self._attempt, self._around.chance())
        self._next_dial_s = now_s + pause_s
        self._arm()

    def _break(self, code: str) -> None:
        self._around.tally.faults[code] += 1
        if self._transport is not None:
            self._transport.abort()

    def _take(self, packet: Packet) -> None:
        match packet.kind:
            case packets.CONNACK if packets.reason_of(packet) >= 0x80:
                self._break("broker-refused")
            case packets.CONNACK:
                name = self.journal.name
                filters = (topics.ack(name), topics.status(name), topics.orders(name), topics.desired(name))
                self._write(packets.subscribe(self._number(), filters))
            case packets.SUBACK if packets.reason_of(packet) >= 0x80:
                self._break("subscription-refused")
            case packets.SUBACK:
                self._open()
            case packets.PUBACK:
                reason = packets.reason_of(packet)
                self._off_line(packets.number_of(packet), reason)
                if reason >= 0x80:
                    self._around.tally.faults["publish-refused"] += 1
                elif reason == NOBODY_LISTENS:
                    self._around.tally.faults["headquarters-absent"] += 1
            case packets.PUBLISH:
                message = packets.published(packet)
                if message.packet:
                    self._write(packets.puback(message.packet))
                if message.topic == topics.ack(self.journal.name):  # else its own status, or an order: not simulated
                    self._take_ack(message.payload)
            case packets.DISCONNECT:
                self._break("connection-lost")
            case _:
                pass

    def _open(self) -> None:
        """The broker listens and will tell us: as `Forwarder.serve` and `Telemetry.serve` begin."""
        if self.online:
            return
        self.online = True
        self._opened_s = now_s = self._around.loop.time()
        self._around.tally.connected(now_s - self._began_s)
        self._around.went_online()
        self._publish(topics.status(self.journal.name), self._status("online"), retain=True)
        if self._around.telemetry:
            self._publish(topics.info(self.journal.name), info(self._around.wall_ms(now_s)), retain=True)
            self._health.connected()
        self._on_line.clear()
        if self.window.reconnected():
            self._sizing.lost()
        if self.window.largest()[0] > self._sizing.bytes_max:
            self.window.land()
            self._sent = self._walk(self.window.sent.seq)
            self._before.clear()

    # --- the records ---

    @property
    def reaches(self) -> int:
        """The last record that the journal holds now."""
        around = self._around
        return self.journal.reaches(around.plan.sold(self.journal.number, around.wall_ms(around.loop.time())))

    def _take_ack(self, payload: bytes) -> None:
        around, window = self._around, self.window
        try:
            ack = open_ack(self.journal.name, payload, around.ack_key)
        except AckError as error:
            around.tally.faults[error.code] += 1
            return
        reaches = self.reaches
        own_hash = window.hash_at(ack.hwm)
        if own_hash is None and ack.epoch == self.journal.epoch and ack.hwm <= reaches:
            own_hash = self._walk(ack.hwm).hash
        before = window.acknowledged.seq
        now_s = around.loop.time()
        match window.take(ack, reaches, own_hash, now_s):
            case Verdict.AHEAD | Verdict.FORKED:
                self.fault = "journal-behind"
                around.tally.faults[self.fault] += 1
            case Verdict.ADVANCED:
                self._advanced(before, ack.hwm, around.wall_ms(now_s))
            case Verdict.REPLAY:
                around.tally.replays += 1
            case _:
                pass
        if ack.fault is not None:
            around.tally.faults[f"headquarters: {ack.fault.partition(':')[0]}"] += 1
        if window.sent.seq != self._sent.seq:
            self._sent = self._walk(window.sent.seq)
        held = {flight.first for flight in window.due(math.inf)}
        self._before = {first: place for first, place in self._before.items() if first in held}

    def _advanced(self, before: int, hwm: int, now_ms: int) -> None:
        around, plan = self._around, self._around.plan
        first, last = self.journal.sales_to(before) + 1, self.journal.sales_to(hwm)
        opened_ms = around.wall_ms(self._opened_s)
        for sale in range(max(first, plan.backlog_sales + 1), last + 1):
            sold_ms = plan.time_ms(self.journal.number, sale)
            if sold_ms >= opened_ms:
                around.tally.delivered.add(now_ms - sold_ms)
        if self.backlog_open and last >= plan.backlog_sales:
            self.backlog_open = False
            around.tally.backlogs_open -= 1

    def _off_line(self, number: int, reason: int) -> None:
        """The broker answered a publish."""
        flight = self._on_line.pop(number, None)
        if flight is not None:
            taken_s = self.window.was_answered(flight, self._around.loop.time())
            if reason < 0x80:
                self._sizing.took(flight.size_bytes, taken_s)

    def _fill(self) -> None:
        """Cuts batches until the window is full or the journal's end is reached."""
        reaches = self.reaches
        while self.window.has_room and self._sent.seq < reaches and self.fault is None:
            payload, place, size_bytes = self._batch(
                self._sent, min(BATCH_RECORDS_MAX, reaches - self._sent.seq), self._sizing.bytes_max
            )
            self._before[self._sent.seq + 1] = self._sent
            kept = payload if len(payload) <= KEPT_BYTES_MAX else b""
            self.window.launch(self._sent.seq + 1, self.journal.head(place), kept, size_bytes)
            if place.seq // MARK_RECORDS > self._marks[-1].seq // MARK_RECORDS:
                self._marks.append(place)
            self._sent = place
            if self._transport is not None and not kept:
                self._send(self.window.due(math.inf)[-1], payload)

    def _batch(self, place: Place, count: int, bytes_max: int = BATCH_BYTES_MAX) -> tuple[bytes, Place, int]:
        records, places = self.journal.read(place, count)
        some = cut(records, bytes_max)
        acked = (self.window.acknowledged.seq, self.window.generation)
        batch = compose(self.journal.name, self.journal.head(place), some, self.journal.sign, acked=acked)
        self._around.tally.composed += len(some)
        return encode(batch), places[len(some) - 1], sum(len(record.exact) for record in some)

    def _walk(self, seq: int) -> Place:
        """A place anywhere in the journal, from the nearest that is remembered."""
        place = max((mark for mark in (*self._marks, self._sent) if mark.seq <= seq), key=lambda mark: mark.seq)
        while place.seq < seq:
            place = self.journal.read(place, min(BATCH_RECORDS_MAX, seq - place.seq))[1][-1]
        return place

    def _send(self, flight: Flight, payload: bytes) -> None:
        tally = self._around.tally
        tally.batches += 1
        tally.again += flight.attempts > 0
        tally.batch_bytes += len(payload)
        self.window.was_sent(flight, self._around.loop.time(), self._around.chance())
        self.window.handed_over(flight)
        self._on_line[self._publish(topics.batch(self.journal.name), payload)] = flight

    # --- what is due ---

    def _work(self) -> None:
        """Does what is due, and sets the timer for what is due next."""
        if self._transport is not None and self.online:
            now_s = self._around.loop.time()
            self._fill()
            if self.fault is None:
                for flight in self.window.due(now_s):
                    place = self._before[flight.first]
                    self._send(flight, flight.payload or self._batch(place, flight.head.seq - place.seq)[0])
            if self._around.telemetry:
                self._tell(now_s)
            if now_s >= self._ping_at_s:
                if self._pinged_s is not None:
                    self._break("broker-silent")
                    return
                self._pinged_s = now_s
                self._write(packets.PING)
        self._arm()

    @property
    def _ping_at_s(self) -> float:
        """As paho: what is owed to a keep-alive, in either direction, and the end of patience after it."""
        return KEEPALIVE_S + (min(self._spoke_s, self._heard_s) if self._pinged_s is None else self._pinged_s)

    def _arm(self) -> None:
        """The one timer, for whatever comes first."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self.stopped:
            return
        loop = self._around.loop
        if self._transport is None:
            if self._next_dial_s < math.inf:
                self._timer = loop.call_at(self._next_dial_s, self._dial)
            return
        if not self.online:
            self._timer = loop.call_at(self._began_s + CONNECT_TIMEOUT_S, self._break, "broker-unreachable")
            return
        due_s = min(self.window.next_due_s() or math.inf, self._ping_at_s, self._next_sale_s())
        if self._around.telemetry:
            due_s = min(due_s, self._health.due_s(self._state))
        self._timer = loop.call_at(due_s, self._work)

    def _next_sale_s(self) -> float:
        plan, loop = self._around.plan, self._around.loop
        if not plan.sales_per_hour or not self.window.has_room:
            return math.inf
        now_s = loop.time()
        now_ms = self._around.wall_ms(now_s)
        number = self.journal.number
        at_ms = plan.time_ms(number, plan.sold(number, now_ms) + 1)
        return math.inf if at_ms > plan.ends_ms else now_s + max(at_ms - now_ms, 1) / 1000

    def _dial(self) -> None:
        self._timer = None
        self._next_dial_s = math.inf
        self._began_s = self._around.loop.time()
        self._around.dial(self)

    def _tell(self, now_s: float) -> None:
        for group, message in self._health.due(now_s, self._around.wall_ms(now_s), self.journal.epoch, self._state):
            self._write(packets.publish(topics.tele(self.journal.name, group), message))
            self._around.tally.told += 1

    @property
    def _state(self) -> dict[str, tuple[int, ...]]:
        reaches = self.reaches
        return state_of(reaches, self.window.acknowledged.seq, self.window.generation, self.journal.sales_to(reaches))

    def _status(self, state: str) -> bytes:
        ts = self._around.wall_ms(self._around.loop.time())
        return _encoder.encode({"state": state, "boot_id": self._boot, "connection": self._connection, "ts": ts})

    def _publish(self, topic: str, payload: bytes, *, retain: bool = False) -> int:
        number = self._number()
        self._write(packets.publish(topic, payload, packet=number, retain=retain))
        return number

    def _number(self) -> int:
        """A packet's number, from 1 to 65,535; long before it comes again it was answered."""
        self._packet = self._packet % 65_535 + 1
        return self._packet

    def _write(self, data: bytes) -> None:
        if self._transport is not None:
            self._spoke_s = self._around.loop.time()
            self._transport.write(data)
