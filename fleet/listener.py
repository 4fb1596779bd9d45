"""Broker -> what terminals tell of themselves -> database. Apart from the money: neither waits for the other."""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from core import topics
from core.ports import Clock
from fleet.database import DatabaseAway
from fleet.own_alarms import NEVER_MS, Silence
from fleet.store import Store
from fleet.told import Change, Heard, Measurements, Standing, change_of, keep, measurements_of, report_of
from terminald.broker import Message
from terminald.mqtt import Connection

KEEP_EVERY_S: Final = 2.0
"""What was heard is written this often at most."""
LOOK_EVERY_S: Final = 30.0
"""And it is looked this often at least whether headquarters itself has something to raise."""
RETRY_S: Final = 5.0
REPORTS_MAX: Final = 500_000
CHANGES_MAX: Final = 20_000
"""What may wait for a database that is away; the newest stays out then, and is told again by its terminal."""

_log = logging.getLogger(__name__)


class Listener:
    """Keeps the last word of each terminal's topics, and their alarms; a `terminald.uplink.User`.

    `groups` is the filter by which telemetry comes: of several collectors each may have its share of it. Alarms and what
    terminals are made of come to all, because no broker gives a shared subscription what is retained.

    `heard` is called with each terminal that gave a sign of life, and its measurements where they came; `noted` when
    somebody is to be told of an alarm.
    """

    def __init__(
        self,
        *,
        database: Store,
        clock: Clock,
        groups: str = topics.EVERY_TELE,
        heard: Callable[[str, Measurements | None], None] = lambda terminal, measurements: None,
        noted: Callable[[], None] | None = None,
        silent_after_s: float | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._groups = groups
        self._heard_of = heard
        self._noted = noted
        self._silent_after_s = silent_after_s
        self._listening_ms: int | None = None
        self._thread = ThreadPoolExecutor(1, "listener")
        self._heard = Heard()
        self._news = asyncio.Event()

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError, DatabaseError."""
        await connection.subscribe(topics.EVERY_ALARM, lambda message: self._on_alarm(connection, message))
        await connection.subscribe(topics.EVERY_INFO, self._on_report, qos=0)
        await connection.subscribe(self._groups, self._on_report, qos=0)
        self._listening_ms = self._now_ms()
        try:
            await self._work()
        finally:
            self._listening_ms = None

    async def _work(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._news.wait()
                    await asyncio.sleep(KEEP_EVERY_S)
            await self._keep()

    async def finish(self) -> None:
        """Writes what was heard last. Raises DatabaseError."""
        if self._news.is_set():
            await self._keep()

    def close(self) -> None:
        """Lets go of thread and database. May be called twice."""
        self._thread.shutdown()
        self._database.close()

    async def _keep(self) -> None:
        heard, self._heard = self._heard, Heard()
        self._news.clear()
        silence = self._silence()
        work = asyncio.get_running_loop().run_in_executor(
            self._thread,
            lambda: keep(self._database, heard, self._now_ms(), notify=self._noted is not None, silence=silence),
        )
        try:
            notices = await asyncio.shield(work)
        except asyncio.CancelledError:
            with contextlib.suppress(DatabaseAway):
                await work
            raise
        except DatabaseAway as error:
            _log.warning("what terminals tell was not written down, and is tried again: %s", error)
            self._take_back(heard)
            await asyncio.sleep(RETRY_S)
            return
        if notices and self._noted is not None:
            self._noted()

    def _silence(self) -> Silence:
        after_ms = NEVER_MS if self._silent_after_s is None else round(self._silent_after_s * 1000)
        return Silence(after_ms, self._now_ms() if self._listening_ms is None else self._listening_ms)

    def _take_back(self, heard: Heard) -> None:
        """What came meanwhile is newer."""
        self._heard.reports = heard.reports | self._heard.reports
        self._heard.changes = heard.changes + self._heard.changes
        self._news.set()

    def _now_ms(self) -> int:
        return self._clock.stamp().time_ms

    # --- what comes in ---

    def _on_alarm(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        self._take_alarm(message)

    def _take_alarm(self, message: Message) -> None:
        try:
            terminal = topics.terminal_of(message.topic)
            change = change_of(terminal, message.topic, message.payload)
        except ValueError:
            return
        if change is not None:
            self._change(change)

    def _on_report(self, message: Message) -> None:
        try:
            terminal = topics.terminal_of(message.topic)
            report = report_of(terminal, message.topic, message.payload)
            is_group = report is not None and report.topic != "info"
            measurements = measurements_of(message.payload) if is_group else None
        except ValueError:
            return
        if report is None:
            return
        self._heard_of(terminal, measurements)
        place = report.terminal, report.topic
        if place in self._heard.reports or len(self._heard.reports) < REPORTS_MAX:
            self._heard.reports[place] = report
            self._news.set()
        if measurements is not None and measurements.v.alarms is not None:
            self._change(Standing(terminal, measurements.ts, frozenset(measurements.v.alarms.split())))

    def _change(self, change: Change | Standing) -> None:
        if len(self._heard.changes) < CHANGES_MAX:
            self._heard.changes.append(change)
            self._news.set()
