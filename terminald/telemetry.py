"""The terminal's health over MQTT: a retained status with a will, what it is made of, groups of flat JSON, and alarms.

What is told, and how often, is declared in `core.telemetry`; what is an alarm, in `core.alarms`. One loop looks, whether
there is a connection or not, so that an alarm has its true beginning.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping

import msgspec

from core import nesting, topics
from core.alarms import Alarm, judge
from core.card import wipe_all
from core.ports import Clock
from core.telemetry import ALARMS, GROUPS, LINK, Group, Value, Values, moved
from terminald.alarms import AlarmBook
from terminald.broker import Message, PublishRefused, SubscriptionRefused, Will
from terminald.mqtt import Connection, Handler

LOOK_S = 10.0
"""What changes without a word is noticed at most so late."""
CHANGED_AFTER_S = 1.0
"""Changes are looked at this often at most."""
INFO_AFTER_S = 10.0
"""And what the terminal is made of is told this often at most."""
TAKEN_OVER_S = 3600.0
"""So long it is remembered that somebody else spoke under our name."""
WILL_DELAY_S = 30
"""A terminal that is back by then was never offline to anybody."""
STRANGERS_MAX = 64
RETAINED_LISTEN_S = 5.0
"""How long after connecting the broker is listened to for alarms that it still holds of us."""
STATUS_BYTES_MAX = 1024

Look = Callable[[], Awaitable[Mapping[str, Values]]]
"""The values of all groups but that of the alarms, by the group's name."""

_log = logging.getLogger(__name__)


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """Whether a terminal is there. Of two, the one of the higher `connection` of a boot is the newer."""

    state: str
    boot_id: str
    connection: int
    ts: int


class Measurements(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a group: `ts` in Unix milliseconds, the clock's quality, a counter of this boot, the values."""

    ts: int
    clk: str
    seq: int
    v: dict[str, Value]


_status_decoder = msgspec.json.Decoder(Status)


class Telemetry:
    """Looks, judges and tells; a `terminald.uplink.User`, and the maker of its will.

    `info` gives the retained message of that name but for its time, or nothing where there is none to tell.
    """

    def __init__(
        self,
        *,
        terminal: str,
        boot: str,
        look: Look,
        clock: Clock,
        info: Callable[[], Values] = dict,
        book: AlarmBook | None = None,
    ) -> None:
        self._terminal = terminal
        self._boot = boot
        self._look = look
        self._info = info
        self._clock = clock
        self._book = book or AlarmBook(None)
        self._seq = 0
        self._changed = asyncio.Event()
        self._connection: Connection | None = None
        self._told: dict[str, tuple[Values, float]] = {}
        self._strangers_s: deque[float] = deque(maxlen=STRANGERS_MAX)
        self._visited: set[str] = set()
        """Brokers that this start's status was told to: what another start told there since is a namesake's."""

    def will(self, number: int) -> Will:
        """What the broker tells of us when the nth connection breaks."""
        return Will(topic=topics.status(self._terminal), payload=self._status("offline", number), delay_s=WILL_DELAY_S)

    def notify(self) -> None:
        """Something that is told has changed: look soon."""
        self._changed.set()

    async def run(self) -> None:
        """Looks until cancelled, and tells whoever is connected."""
        while True:
            self._changed.clear()
            groups = dict(await self._look())
            now_s = self._clock.monotonic_s()
            own = {"taken_over": self._taken_over(now_s)}
            if LINK.name in groups:
                groups[LINK.name] = {**groups[LINK.name], **own}
            found = judge(own | {name: value for values in groups.values() for name, value in values.items()})
            if self._book.take(found, self._clock.stamp(), now_s):
                await asyncio.to_thread(self._book.write, self._book.news())
            groups[ALARMS.name] = self._book.values()
            pause_s = self._tell(groups, now_s)
            if (due_s := self._book.due_in_s(now_s)) is not None:
                pause_s = min(pause_s, due_s)
            await self._wait(now_s, max(pause_s, CHANGED_AFTER_S))

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled; then says that the terminal goes offline."""
        topic = topics.status(self._terminal)
        was_here = connection.broker in self._visited
        if was_here:  # else what is retained may be our own of the run before
            await self._subscribe(connection, topic, self._on_status)
        connection.publish(topic, self._status("online", number), retain=True)
        self._visited.add(connection.broker)
        try:
            if not was_here:
                await self._subscribe(connection, topic, self._on_status)
            await self._tell_alarms_anew(connection)
            self._told.clear()
            self._connection = connection
            self._changed.set()
            await asyncio.Event().wait()
        finally:
            self._connection = None
            connection.publish(topic, self._status("offline", number), retain=True)

    async def _wait(self, since_s: float, limit_s: float) -> None:
        """Until something changed, and not sooner than CHANGED_AFTER_S; one waking where nothing did."""
        try:
            async with asyncio.timeout(limit_s):
                await self._changed.wait()
        except TimeoutError:
            return
        rest_s = since_s + CHANGED_AFTER_S - self._clock.monotonic_s()
        if rest_s > 0:
            await self._clock.sleep(rest_s)

    # --- what is told --------------------------------------------------------------------------------------------

    def _tell(self, groups: Mapping[str, Values], now_s: float) -> float:
        """Tells what is due; after how long something is due again."""
        connection = self._connection
        if connection is None:
            return LOOK_S
        for type_, alarm in self._book.untold():
            self._tell_alarm(connection, type_, alarm)
        pause_s = LOOK_S
        info = self._info()
        if info and self._is_due("info", info, INFO_AFTER_S, now_s):
            body = msgspec.json.encode(wipe_all({"ts": self._clock.stamp().time_ms, **info}))
            connection.publish(topics.info(self._terminal), body, retain=True)
            self._told["info"] = info, now_s
        for group in GROUPS:
            if group.name in groups:
                pause_s = min(pause_s, self._tell_group(connection, group, groups[group.name], now_s))
        return pause_s

    def _tell_group(self, connection: Connection, group: Group, values: Values, now_s: float) -> float:
        before, told_s = self._told.get(group.name, ({}, float("-inf")))
        silent_s = now_s - told_s
        has_moved = moved(group.fields, before, values)
        if silent_s < group.heartbeat_s and not (has_moved and silent_s >= group.floor_s):
            return group.floor_s - silent_s if has_moved else group.heartbeat_s - silent_s
        stamp = self._clock.stamp()
        self._seq += 1
        message = Measurements(ts=stamp.time_ms, clk=stamp.clock.value, seq=self._seq, v=wipe_all(dict(values)))
        connection.publish(topics.tele(self._terminal, group.name), msgspec.json.encode(message), qos=0)
        self._told[group.name] = values, now_s
        return group.heartbeat_s

    def _is_due(self, name: str, values: Values, floor_s: float, now_s: float) -> bool:
        before, told_s = self._told.get(name, ({}, float("-inf")))
        return values != before and now_s - told_s >= floor_s

    def _status(self, state: str, number: int) -> bytes:
        return msgspec.json.encode(
            Status(state=state, boot_id=self._boot, connection=number, ts=self._clock.stamp().time_ms)
        )

    # --- who else is there ---------------------------------------------------------------------------------------

    def _on_status(self, message: Message) -> None:
        self.hear_status(message.payload)

    def hear_status(self, payload: bytes) -> None:
        """Of another start than ours: the broker lets one of two namesakes in at a time, so each throws the other out."""
        try:
            status = nesting.decode(_status_decoder, payload[:STATUS_BYTES_MAX])
        except ValueError:
            return
        if status.boot_id != self._boot:
            self._strangers_s.append(self._clock.monotonic_s())
            self.notify()

    def _taken_over(self, now_s: float) -> int:
        return sum(now_s - at_s < TAKEN_OVER_S for at_s in self._strangers_s)

    # --- alarms --------------------------------------------------------------------------------------------------

    async def _tell_alarms_anew(self, connection: Connection) -> None:
        """First what came and went unheard, then how it stands. What the broker holds besides is cleared."""
        for type_, alarm in self._book.untold():
            if alarm is None or alarm is not self._book.raised.get(type_):
                self._tell_alarm(connection, type_, alarm)
        for type_, raised in self._book.raised.items():
            self._tell_alarm(connection, type_, raised)
        every = topics.every_alarm(self._terminal)
        if await self._subscribe(connection, every, lambda message: self._on_retained(connection, message)):
            asyncio.get_running_loop().call_later(RETAINED_LISTEN_S, connection.unsubscribe, every)

    async def _subscribe(self, connection: Connection, topic: str, handler: Handler) -> bool:
        """What a terminal reads of its own; where the broker forbids it, it does without."""
        try:
            await connection.subscribe(topic, handler, qos=0)
        except SubscriptionRefused as error:
            _log.warning("the broker's access list is older than this terminal: %s", error)
            return False
        return True

    def _on_retained(self, connection: Connection, message: Message) -> None:
        type_ = message.topic.rpartition("/")[2]
        if message.retain and message.payload and type_ not in self._book.raised:
            connection.publish(message.topic, b"", retain=True)

    def _tell_alarm(self, connection: Connection, type_: str, alarm: Alarm | None) -> None:
        body = msgspec.json.encode(wipe_all(msgspec.to_builtins(alarm))) if alarm is not None else b""
        connection.publish(topics.alarm(self._terminal, type_), body, retain=True).add_done_callback(_complain)


def _complain(answer: asyncio.Future[int]) -> None:
    if not answer.cancelled() and isinstance(error := answer.exception(), PublishRefused):
        _log.error("an alarm was not taken by the broker: %s", error)
