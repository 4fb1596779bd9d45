"""Carries orders between database and broker: publishes what is due, takes in what terminals answer, clears what is over.

It decides nothing: all that is to be done stands in the database before it is done, and a courier that is killed is
followed by the next. Several may be at work on one database.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from core import topics
from core.order_results import ENDS, decode_result
from core.ports import Clock, Signer
from fleet import answers
from fleet.answers import Heard, Outgoing
from fleet.database import DatabaseAway
from fleet.store import Store
from terminald.broker import ConnectionLost, Message, MqttError
from terminald.mqtt import Connection

LOOK_EVERY_S = 1.0
"""How soon an order that somebody gives is published."""
SWEEP_EVERY_S = 5.0
AWAY_S = 5.0
"""The pause after the database server did not answer."""

T = TypeVar("T")
_log = logging.getLogger(__name__)


class Courier:
    """A `terminald.uplink.User` with a connection to the database of its own."""

    def __init__(self, *, database: Store, key: Signer, clock: Clock) -> None:
        self._database = database
        self._key = key
        self._clock = clock
        self._thread = ThreadPoolExecutor(1, "orders")
        # Bounded by what the broker sends before we acknowledge one (`terminald.mqtt.RECEIVE_MAX`).
        self._heard: list[tuple[Message, Heard]] = []
        self._wake = asyncio.Event()
        self._sweep_at_s = 0.0

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError, DatabaseError."""
        self._heard.clear()
        await connection.subscribe(topics.EVERY_RESULT, lambda message: self._on_result(connection, message))
        is_first = True
        while True:
            try:
                if is_first:  # another broker, or the same without its memory
                    await self._run(answers.publish_again, self._database, self._now_ms())
                    is_first = False
                await self._work(connection)
            except DatabaseAway as error:
                _log.warning("orders wait: %s", error)
                await asyncio.sleep(AWAY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._wake.wait()
            self._wake.clear()

    def close(self) -> None:
        """Lets go of thread and database. May be called twice."""
        self._thread.shutdown()
        self._database.close()

    async def _work(self, connection: Connection) -> None:
        taken = self._heard[:]
        if taken:
            await self._run(answers.record, self._database, [heard for _, heard in taken], self._now_ms())
            del self._heard[: len(taken)]
            if any(heard.result.state in ENDS for _, heard in taken):
                self._sweep_at_s = 0.0  # an order may be done, and the next wave due
            for message, _ in taken:
                connection.acknowledge(message)
        if self._clock.monotonic_s() >= self._sweep_at_s:
            self._sweep_at_s = self._clock.monotonic_s() + SWEEP_EVERY_S
            await self._run(answers.sweep, self._database, self._key, self._now_ms())
        while outgoing := await self._run(answers.claim, self._database, self._now_ms()):
            done = await self._publish(connection, outgoing)
            await self._run(answers.published, self._database, done, self._now_ms())

    async def _publish(self, connection: Connection, outgoing: Sequence[Outgoing]) -> list[Outgoing]:
        """Those that the broker took. Raises ConnectionLost; a claim lapses by itself."""
        sent = [
            (
                each,
                [connection.publish(topic, each.payload, retain=True, expiry_s=each.expiry_s) for topic in each.topics],
            )
            for each in outgoing
        ]
        done = []
        for each, futures in sent:
            try:
                await asyncio.gather(*futures)
                done.append(each)
            except ConnectionLost:
                raise
            except MqttError as error:
                _log.error("order %s was not taken by the broker: %s: %s", each.id, error.code, error)
        return done

    def _on_result(self, connection: Connection, message: Message) -> None:
        heard = _heard(message)
        if heard is None:
            connection.acknowledge(message)
            return
        self._heard.append((message, heard))
        self._wake.set()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments))

    def _now_ms(self) -> int:
        return self._clock.stamp().time_ms


def _heard(message: Message) -> Heard | None:
    """A terminal's word about an order; None for what is none, or was cleared, perhaps by ourselves."""
    if not message.payload:
        return None
    try:
        terminal = topics.terminal_of(message.topic)
        kind, id_ = topics.order_of(message.topic)
        result = decode_result(message.payload)
        if result.id != id_:
            raise ValueError("it names another order than its topic does")
    except ValueError as error:
        _log.warning("a terminal's word about an order cannot be read: %s", error)
        return None
    return Heard(terminal=terminal, kind=kind, result=result)
