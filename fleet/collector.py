"""Broker -> one commit for all that waits -> signed acknowledgement -> only then the broker's.

Killed at any instant it loses nothing: what was not committed was not acknowledged, and terminals send it again; what
was committed and not acknowledged comes again too, changes nothing, and is acknowledged then.
"""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Annotated

import msgspec

from core import nesting, topics
from core.card import wipe
from core.delivery import Ack, AckError, encode_ack, open_ack
from core.ports import Clock, Signer
from fleet.database import DatabaseAway
from fleet.intake import Arrival, Intake, Mark, Presence, announce, commit
from fleet.keys import shared_group
from fleet.store import NUMBER_MAX, Store
from fleet.told import Measurements
from terminald.broker import Message
from terminald.mqtt import Connection

GROUP_BATCHES_MAX = 16
"""Batches in one transaction."""
WAITING_MAX = 128
"""Messages that wait for a commit; then reading stops, and the rest waits at the broker."""
MARKS_LISTEN_S = 5.0
"""How long the retained acknowledgements are listened to after connecting."""
PRESENCE_EVERY_S = 2.0
"""Signs of life alone are written at most this often."""
RETRY_S = 0.2
RETRY_S_MAX = 5.0
"""Pauses while a database server is away, from the first, doubling, to the longest."""
ANNOUNCE_EVERY_S = 10.0
"""How often it is looked whether a backup was made, or people decided about a quarantine."""
TERMINALS_MAX = 100_000
"""Terminals whose sign of life may wait to be written."""

_log = logging.getLogger(__name__)


class _Status(msgspec.Struct, frozen=True):
    state: str
    boot_id: str
    connection: Annotated[int, msgspec.Meta(ge=0, le=NUMBER_MAX)]


_status_decoder = msgspec.json.Decoder(_Status)


@dataclass(frozen=True, slots=True)
class _Waiting:
    message: Message
    arrival: Arrival


class Collector:
    """Takes the terminals' batches into the database; a `terminald.uplink.User`.

    `shared`: other collectors may take batches into the same database. Of each batch the broker gives one of them, and
    what it lost by the death of one comes again from the terminal.
    """

    def __init__(self, *, database: Store, key: Signer, clock: Clock, shared: bool = False) -> None:
        self._database = database
        self._shared = shared
        self._key = key
        self._clock = clock
        # A flush of the database must not hold up pings and other messages: they gather for the next group.
        self._thread = ThreadPoolExecutor(1, "database")
        self._waiting: deque[_Waiting] = deque()
        self._marks: dict[tuple[str, str], Mark] = {}
        self._presences: dict[str, Presence] = {}
        self._wake = asyncio.Event()
        self._paused = False
        self._announce_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled; what is in hand is finished first. Raises MqttError, DatabaseError."""
        self._waiting.clear()
        self._paused = False
        await connection.subscribe(topics.EVERY_ACK, self._on_ack, qos=0)
        await connection.subscribe(topics.EVERY_STATUS, lambda message: self._on_status(connection, message))
        batches = (
            topics.shared(shared_group(self._key, "batches"), topics.EVERY_BATCH)
            if self._shared
            else topics.EVERY_BATCH
        )
        await connection.subscribe(batches, lambda message: self._on_batch(connection, message))
        asyncio.get_running_loop().call_later(MARKS_LISTEN_S, connection.unsubscribe, topics.EVERY_ACK)
        while True:
            await self._wake.wait()
            self._wake.clear()
            await self._work(connection)

    def heard(self, terminal: str, measurements: Measurements | None) -> None:
        """A terminal gave a sign of life, and perhaps said how far headquarters once signed for its records."""
        self._note(Presence(terminal))
        if measurements is not None:
            values = measurements.v
            self._mark(Mark(terminal, values.epoch, values.hwm, values.generation))

    async def finish(self) -> None:
        """Writes down what was heard of the terminals since the last commit. Raises DatabaseError."""
        marks, presences = self._take_heard()
        if marks or presences:
            now_ms = self._clock.stamp().time_ms
            try:
                await asyncio.get_running_loop().run_in_executor(
                    self._thread, commit, self._database, [], marks, presences, now_ms
                )
            except DatabaseAway as error:  # nothing of it is money, and all of it is said again
                _log.warning("signs of life were not written down: %s", error)

    def close(self) -> None:
        """Lets go of thread and database. May be called twice."""
        self._thread.shutdown()
        self._database.close()

    async def _work(self, connection: Connection) -> None:
        """One commit, and the answers that it allows."""
        group = [self._waiting.popleft() for _ in range(min(len(self._waiting), GROUP_BATCHES_MAX))]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        marks, presences = self._take_heard()
        arrivals = [waiting.arrival for waiting in group]
        intake: Intake | None = None
        pause_s = RETRY_S
        while intake is None:
            work = asyncio.get_running_loop().run_in_executor(
                self._thread, commit, self._database, arrivals, marks, presences, self._clock.stamp().time_ms
            )
            try:
                intake = await asyncio.shield(work)
            except asyncio.CancelledError:
                with contextlib.suppress(DatabaseAway):
                    self._answer(connection, group, await work)
                raise
            except DatabaseAway as error:
                _log.critical("%s: %s; nothing is acknowledged until it is back. %s", error.code, error, error.remedy)
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, RETRY_S_MAX)
        self._answer(connection, group, intake)
        await self._announce(connection)
        if self._waiting:
            self._wake.set()
        if self._paused and len(self._waiting) <= WAITING_MAX // 2:
            self._paused = False
            connection.resume()

    async def _announce(self, connection: Connection) -> None:
        """Tells terminals what is due though they did not ask. What the broker loses of it, the next batch's answer says."""
        loop = asyncio.get_running_loop()
        if loop.time() < self._announce_at_s:
            return
        self._announce_at_s = loop.time() + ANNOUNCE_EVERY_S
        try:
            acks = await asyncio.shield(
                loop.run_in_executor(self._thread, announce, self._database, self._clock.stamp().time_ms)
            )
        except DatabaseAway as error:
            _log.warning("terminals were not told of backups: %s", error)
            return
        self._acknowledge(connection, acks)

    def _acknowledge(self, connection: Connection, acks: Iterable[tuple[str, Ack]]) -> None:
        for terminal, ack in acks:
            answer = connection.publish(topics.ack(terminal), encode_ack(terminal, ack, self._key.sign), retain=True)
            answer.add_done_callback(_complain)

    def _answer(self, connection: Connection, group: list[_Waiting], intake: Intake) -> None:
        for refusal in intake.refusals:
            level = logging.CRITICAL if refusal.alarm else logging.ERROR
            taken = "taken" if refusal.taken else "not taken"
            _log.log(level, "batch of %s %s: %s: %s", refusal.terminal, taken, refusal.code, refusal.detail)
        if intake.raised:
            _log.critical("this database holds less than it once acknowledged: terminals are asked to send again")
        self._acknowledge(connection, intake.acks)
        for waiting in group:
            connection.acknowledge(waiting.message)

    def _take_heard(self) -> tuple[tuple[Mark, ...], tuple[Presence, ...]]:
        heard = tuple(self._marks.values()), tuple(self._presences.values())
        self._marks.clear()
        self._presences.clear()
        return heard

    # --- what comes in ---

    def _on_batch(self, connection: Connection, message: Message) -> None:
        terminal = _terminal_of(message)
        if terminal is None:
            connection.acknowledge(message)
            return
        self._waiting.append(_Waiting(message, Arrival(terminal, message.payload)))
        self._wake.set()
        if len(self._waiting) >= WAITING_MAX and not self._paused:
            self._paused = True
            connection.pause()

    def _on_status(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        terminal = _terminal_of(message)
        try:
            status = nesting.decode(_status_decoder, message.payload)
        except ValueError:
            return
        if terminal is not None:
            self._note(Presence(terminal, wipe(status.state)[:16], wipe(status.boot_id)[:64], status.connection))

    def _on_ack(self, message: Message) -> None:
        """A retained acknowledgement, perhaps from before this database was restored; our own come back too."""
        terminal = _terminal_of(message)
        if terminal is None or not message.retain:
            return
        try:
            ack = open_ack(terminal, message.payload, self._key.public_key)
        except AckError:
            return
        self._mark(Mark(terminal, ack.epoch, ack.hwm, ack.collector_generation))

    def _note(self, presence: Presence) -> None:
        before = self._presences.get(presence.terminal, Presence(presence.terminal))
        if len(self._presences) < TERMINALS_MAX:
            self._presences[presence.terminal] = presence if presence.state is not None else before
            self._later()

    def _mark(self, mark: Mark) -> None:
        if not mark.epoch or (mark.seq <= 0 and mark.generation <= 0) or len(self._marks) >= TERMINALS_MAX:
            return
        before = self._marks.get((mark.terminal, mark.epoch), mark)
        self._marks[mark.terminal, mark.epoch] = max(before, mark, key=lambda each: (each.generation, each.seq))
        self._later()

    def _later(self) -> None:
        """Work that is in no hurry and goes with the next batch, or by itself after a while."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(PRESENCE_EVERY_S, self._wake.set)


def _terminal_of(message: Message) -> str | None:
    try:
        return topics.terminal_of(message.topic)
    except ValueError:
        _log.warning("a message came under a name that no terminal can have")
        return None


def _complain(answer: asyncio.Future[int]) -> None:
    if not answer.cancelled() and (error := answer.exception()) is not None:
        _log.error("an acknowledgement was not taken by the broker: %s", error)
