"""The terminal's health over MQTT: a retained status with a will, and one group of flat JSON.

Flat, because Node-RED, Telegraf and Home Assistant read flat JSON as it is.
"""

import asyncio
from collections.abc import Callable, Mapping

import msgspec

from core import topics
from core.ports import Clock
from terminald.broker import Will
from terminald.mqtt import Connection

GROUP = "till"
EVERY_S = 10.0
CHANGED_AFTER_S = 1.0
"""A change is told at most this often."""

Facts = Mapping[str, str | int | float | bool | None]


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
    v: dict[str, str | int | float | bool | None]


class Telemetry:
    """Tells status and measurements on each connection; a `terminald.uplink.User`, and the maker of its will."""

    def __init__(self, *, terminal: str, boot: str, facts: Callable[[], Facts], clock: Clock) -> None:
        self._terminal = terminal
        self._boot = boot
        self._facts = facts
        self._clock = clock
        self._seq = 0
        self._changed = asyncio.Event()

    def will(self, number: int) -> Will:
        """What the broker tells of us when the nth connection breaks."""
        return Will(topic=topics.status(self._terminal), payload=self._status("offline", number))

    def notify(self) -> None:
        """Something that `facts` tells has changed: tell it soon."""
        self._changed.set()

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled; then says that the terminal goes offline."""
        topic = topics.status(self._terminal)
        connection.publish(topic, self._status("online", number), retain=True)
        try:
            while True:
                self._changed.clear()
                self._tell(connection)
                await self._clock.sleep(CHANGED_AFTER_S)
                try:
                    async with asyncio.timeout(EVERY_S - CHANGED_AFTER_S):
                        await self._changed.wait()
                except TimeoutError:
                    pass
        finally:
            connection.publish(topic, self._status("offline", number), retain=True)

    def _tell(self, connection: Connection) -> None:
        stamp = self._clock.stamp()
        self._seq += 1
        message = Measurements(ts=stamp.time_ms, clk=stamp.clock.value, seq=self._seq, v=dict(self._facts()))
        connection.publish(topics.tele(self._terminal, GROUP), msgspec.json.encode(message), qos=0)

    def _status(self, state: str, number: int) -> bytes:
        return msgspec.json.encode(
            Status(state=state, boot_id=self._boot, connection=number, ts=self._clock.stamp().time_ms)
        )
