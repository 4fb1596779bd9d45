"""Carries orders and configurations between database and broker: publishes what is due, takes in answers, clears what is over.

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
from core.desired import decode_reported
from core.order_results import ENDS, decode_result
from core.ports import Clock, Signer
from fleet import answers, configure
from fleet.answers import Heard, Outgoing
from fleet.configure import Posting, Said
from fleet.database import DatabaseAway
from fleet.store import Store
from terminald.broker import ConnectionLost, Message, MqttError
from terminald.mqtt import Connection

LOOK_EVERY_S = 1.0
"""How soon an order that somebody gives is published."""
SWEEP_EVERY_S = 5.0
SWEEP_SOON_S = 0.2
LISTEN_AFTER_S = 2.0
LISTEN_AFTER_MAX_S = 600.0
"""So long after the last news what is retained is looked at again; then after twice as long, up to the longest."""
HEARD_MAX = 100_000
"""Words of terminals that wait to be written down; more are heard again later."""
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
        self._heard: dict[tuple[str, str], Heard | Said] = {}
        self._wake = asyncio.Event()
        self._sweep_at_s = 0.0
        self._listen_at_s = 0.0
        self._listen_after_s = LISTEN_AFTER_S

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError, DatabaseError."""
        self._stir()
        await self._listen(connection)
        is_first = True
        while True:
            try:
                if is_first:  # another broker, or the same without its memory
                    await self._run(answers.publish_again, self._database, self._now_ms())
                    await self._run(configure.publish_again, self._database)
                    is_first = False
                await self._work(connection)
                if self._clock.monotonic_s() >= self._listen_at_s:
                    self._listen_after_s = min(2 * self._listen_after_s, LISTEN_AFTER_MAX_S)
                    self._listen_at_s = self._clock.monotonic_s() + self._listen_after_s
                    await self._listen(connection)
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

    async def _listen(self, connection: Connection) -> None:
        """Subscribes, and so gets what is retained once more: a broker drops what a slow reader has not fetched.

        (mosquitto keeps 1,000 messages for a client, unless it is told otherwise; of a fleet that answers at once it has more.)
        """
        await connection.subscribe(topics.EVERY_RESULT, lambda each: self._hear(connection, each, _result(each)))
        await connection.subscribe(topics.EVERY_REPORTED, lambda each: self._hear(connection, each, _report(each)))

    def _stir(self) -> None:
        """Something is going on: what gets lost of it is asked for soon."""
        self._listen_after_s = LISTEN_AFTER_S
        self._listen_at_s = self._clock.monotonic_s() + LISTEN_AFTER_S

    async def _work(self, connection: Connection) -> None:
        await self._take_in()
        if self._clock.monotonic_s() >= self._sweep_at_s:
            self._sweep_at_s = self._clock.monotonic_s() + SWEEP_EVERY_S
            await self._run(answers.sweep, self._database, self._key, self._now_ms())
        while outgoing := await self._run(answers.claim, self._database, self._now_ms()):
            done = await self._publish(connection, outgoing)
            await self._run(answers.published, self._database, done, self._now_ms())
            await self._take_in()
        while postings := await self._run(configure.claim, self._database, self._now_ms()):
            posted = await self._post(connection, postings)
            await self._run(configure.published, self._database, posted, self._now_ms())
            self._stir()

    async def _take_in(self) -> None:
        """Writes down what was heard."""
        taken, self._heard = self._heard, {}
        words = [word for word in taken.values() if isinstance(word, Heard)]
        reports = [word for word in taken.values() if isinstance(word, Said)]
        try:
            is_news = bool(words) and await self._run(answers.record, self._database, words, self._now_ms())
            if is_news:
                self._stir()
            if reports:
                await self._run(configure.record, self._database, reports, self._now_ms())
        except DatabaseAway:
            self._heard = taken | self._heard
            raise
        if any(word.result.state in ENDS for word in words):  # an order may be done, and the next wave due
            self._sweep_at_s = min(self._sweep_at_s, self._clock.monotonic_s() + SWEEP_SOON_S)

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
                self._stir()
            except ConnectionLost:
                raise
            except MqttError as error:
                _log.error("order %s was not taken by the broker: %s: %s", each.id, error.code, error)
        return done

    async def _post(self, connection: Connection, postings: Sequence[Posting]) -> list[Posting]:
        """Those configurations that the broker took. Raises ConnectionLost."""
        sent = [(each, connection.publish(each.topic, each.payload, retain=True)) for each in postings]
        done = []
        for each, future in sent:
            try:
                await future
                done.append(each)
            except ConnectionLost:
                raise
            except MqttError as error:
                _log.error("the configuration of %s was not taken by the broker: %s", each.terminal, error)
        return done

    def _hear(self, connection: Connection, message: Message, word: Heard | Said | None) -> None:
        """Keeps a terminal's newest word of each order. The broker is told so at once: what we lose of it is retained there."""
        connection.acknowledge(message)
        if word is None:
            return
        about = word.result.id if isinstance(word, Heard) else ""
        if len(self._heard) < HEARD_MAX:
            self._heard[word.terminal, about] = word
        self._wake.set()

    async def _run(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._thread, work, *arguments))

    def _now_ms(self) -> int:
        return self._clock.stamp().time_ms


def _result(message: Message) -> Heard | None:
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


def _report(message: Message) -> Said | None:
    """A terminal's word about its configuration, or None."""
    if not message.payload:
        return None
    try:
        return Said(terminal=topics.terminal_of(message.topic), reported=decode_reported(message.payload))
    except ValueError as error:
        _log.warning("a terminal's word about its configuration cannot be read: %s", error)
        return None
