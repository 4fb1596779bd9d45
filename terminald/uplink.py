"""A lasting connection to the broker: connects again for ever, and lets several users share each connection."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Protocol

from paho.mqtt.enums import MQTTProtocolVersion

from core.ports import Clock
from core.window import spread_s
from terminald.broker import Broker, ConnectionLost, Dial, MqttError, Will, dial
from terminald.mqtt import Connection, connect

USEFUL_AFTER_S = 1.0
"""A connection that held this long halves the backoff: a broker that restarts now and then is soon back, and one that
falls over under its fleet again and again is still left alone for longer."""
STEADY_AFTER_S = 10.0
"""A connection that held this long starts the next backoff from the beginning."""
EARLIER_AFTER_S = 300.0
"""How often, give or take a half, a terminal on a later broker looks whether an earlier one lets it in."""
UNHEARD_AFTER_S = 60.0
"""A broker that lets us in and where nobody listens for so long is left for the next, where there are several."""

_log = logging.getLogger(__name__)


class User(Protocol):
    """Works on a connection as long as it lasts."""

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on the nth connection (from 1) until cancelled, when it is lost. Raises MqttError to begin anew."""


class _Elsewhere(Exception):
    """Another broker is to be tried: the one at `place`."""

    def __init__(self, place: int) -> None:
        super().__init__()
        self.place = place


class Uplink:
    """Connects, lets its users work on the connection, and connects again for ever, after jittered pauses.

    Of several brokers it takes the first that lets it in; on a later one it tries those before it now and then, and goes
    back. One where nobody listens to what we send is left for the next: headquarters has to be found, not a broker. The version of MQTT that a broker took is tried first the next time, as long as this object lives.
    """

    def __init__(
        self,
        *,
        brokers: Sequence[Broker],
        client_id: str,
        users: Sequence[User],
        clock: Clock,
        random: Random,
        will: Callable[[int], Will] | None = None,
        on_change: Callable[[], None] = lambda: None,
        session_expiry_s: int = 0,
        earlier_after_s: float = EARLIER_AFTER_S,
        unheard_after_s: float = UNHEARD_AFTER_S,
        dial: Dial = dial,
    ) -> None:
        self.connected = False
        self.fault: str | None = None
        """Why there is no connection, for technicians: a stable code, a colon and the details."""
        self._brokers = tuple(brokers)
        self._place = 0
        self._client_id = client_id
        self._users = users
        self._clock = clock
        self._random = random
        self._will = will
        self._on_change = on_change
        self._session_expiry_s = session_expiry_s
        self._earlier_after_s = earlier_after_s
        self._unheard_after_s = unheard_after_s
        self._dial = dial
        self.last_fault: str | None = None
        """Why the connection before this one ended."""
        self._number = 0
        self._versions = [MQTTProtocolVersion.MQTTv5] * len(self._brokers)
        self._connected_s: float | None = None
        self._connection_now: Connection | None = None
        self._refusals = 0
        self._refusal: str | None = None

    @property
    def number(self) -> int:
        """How many connections were tried."""
        return self._number

    @property
    def broker(self) -> str:
        """The broker's address, without credentials."""
        return str(self._brokers[self._place])

    @property
    def version(self) -> str:
        """The version of MQTT that is spoken, or tried first."""
        return "5" if self._versions[self._place] == MQTTProtocolVersion.MQTTv5 else "3.1.1"

    @property
    def connected_s(self) -> int:
        """How long this connection has lasted; 0 without one."""
        return int(self._clock.monotonic_s() - self._connected_s) if self._connected_s is not None else 0

    @property
    def refusals(self) -> int:
        """Publishes that a broker refused since the start."""
        return self._refusals + (self._connection_now.refusals if self._connection_now is not None else 0)

    @property
    def refusal(self) -> str | None:
        """The reason of the last of them."""
        now = self._connection_now
        return now.refusal if now is not None and now.refusal is not None else self._refusal

    async def run(self) -> None:
        """Runs until cancelled, and then says goodbye to the broker."""
        attempt = 0
        while True:
            began_s, self.connected = self._clock.monotonic_s(), False
            error = await self._connection()
            _heed_cancellation()
            if isinstance(error, _Elsewhere):
                self._place = error.place
                continue
            held_s = self._clock.monotonic_s() - began_s
            served = self.connected and held_s > USEFUL_AFTER_S
            self._place = 0 if served else (self._place + 1) % len(self._brokers)
            attempt = 1 + (0 if held_s > STEADY_AFTER_S else attempt // 2 if held_s > USEFUL_AFTER_S else attempt)
            self.last_fault = f"{error.code}: {error}"
            self._say(False, self.last_fault)
            pause_s = spread_s(attempt, self._random.random())
            _log.warning("not connected: %s: %s; again in %.1f s", error.code, error, pause_s)
            await self._clock.sleep(pause_s)

    async def _connection(self) -> MqttError | _Elsewhere:
        """One connection from beginning to end; why it ended."""
        self._number += 1
        will = self._will(self._number) if self._will is not None else None
        ends: list[MqttError | _Elsewhere] = []
        try:
            place = self._place
            async with self._connect(place, will) as connection:
                self._versions[place] = connection.protocol
                self._connection_now = connection
                self._connected_s = self._clock.monotonic_s()
                _log.info("connected to %s by MQTT %s", self._brokers[place], connection.version)
                self._say(True, None)
                async with asyncio.TaskGroup() as group:
                    for user in self._users:
                        name = f"mqtt-{type(user).__name__.lower()}"
                        group.create_task(user.serve(connection, self._number), name=name)
                    if place:
                        group.create_task(self._look_back(place), name="mqtt-earlier-broker")
                    if len(self._brokers) > 1:
                        group.create_task(self._look_on(connection, place), name="mqtt-next-broker")
                    await connection.lost()
        except* (MqttError, _Elsewhere) as errors:
            ends = [error for error in errors.exceptions if isinstance(error, MqttError | _Elsewhere)]
        finally:
            self._refusals, self._refusal = self.refusals, self.refusal
            self._connection_now = self._connected_s = None
        return ends[0] if ends else ConnectionLost("the connection ended")

    def _connect(self, place: int, will: Will | None) -> AbstractAsyncContextManager[Connection]:
        return connect(
            self._brokers[place],
            self._client_id,
            will=will,
            session_expiry_s=self._session_expiry_s,
            first=self._versions[place],
            dial=self._dial,
        )

    async def _look_back(self, place: int) -> None:
        """While a later broker serves: tries those before it, and raises _Elsewhere once one lets us in."""
        while True:
            await self._clock.sleep(self._earlier_after_s * (0.5 + self._random.random()))
            for earlier in range(place):
                try:
                    async with self._connect(earlier, None):
                        pass
                except MqttError as error:
                    _log.info("%s does not serve yet: %s", self._brokers[earlier], error)
                else:
                    raise _Elsewhere(earlier)

    async def _look_on(self, connection: Connection, place: int) -> None:
        """Where headquarters is at another broker: raises _Elsewhere once nobody has listened here for too long."""
        while True:
            await self._clock.sleep(self._unheard_after_s * (0.5 + self._random.random()))
            if connection.unheard_s > self._unheard_after_s:
                _log.warning("nobody listens at %s: the next broker is tried", self._brokers[place])
                raise _Elsewhere((place + 1) % len(self._brokers))

    def _say(self, connected: bool, fault: str | None) -> None:
        self.connected, self.fault = connected, fault
        self._on_change()


def _heed_cancellation() -> None:
    """Before Python 3.13 a TaskGroup that is already ending on an error forgets a cancellation from outside.

    The count tells, as long as the group's own body was still running when the error came: here it waits for the
    connection's end.
    """
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError
