"""A run from beginning to end: terminals connect, sell and deliver; then their tally is held against headquarters'."""

import asyncio
import contextlib
import gc
import math
import resource
import secrets
import signal
import ssl
import string
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

from fleet.refusal import Refused
from fleet.simulator.journal import LINES, Plan
from fleet.simulator.report import Batches, Cost, Difference, Sales, Sessions, SimulationReport
from fleet.simulator.tally import Outage, Tally
from fleet.simulator.terminal import Terminal
from fleet.store import Address, reading
from terminald.broker import Broker, CertificateUnusable
from terminald.mqtt import CONNECT_TIMEOUT_S
from terminald.tls import context_of

CONNECT_RATE = 500.0
"""First connections a second."""
DRAIN_TIMEOUT_S = 300.0
PROGRESS_EVERY_S = 5.0
LOOK_EVERY_S = 0.1
DIFFERENCES_SHOWN_MAX = 20
GOODBYES_S = 1.0
RUN_LETTERS = 5
_FILES_OF_OUR_OWN = 64
_STOPS = (signal.SIGTERM, signal.SIGINT)


class SimulateError(Refused):
    """The run cannot be made; the message says what to change."""

    code = "simulate"
    remedy = "Change that, and start it again."


@dataclass(frozen=True, kw_only=True)
class Wanted:
    """What a run is to be."""

    terminals: int
    sales_per_hour: float
    minutes: float
    broker: Broker
    ack_key: bytes
    database: Address | None = None
    seed: int = 1
    backlog_days: float = 0.0
    lines: int = LINES
    connect_rate: float = CONNECT_RATE
    drain_timeout_s: float = DRAIN_TIMEOUT_S
    telemetry: bool = True


def simulate(wanted: Wanted, *, say: Callable[[str], None]) -> SimulationReport:
    """Makes the run. Raises SimulateError, and fleet.database.DatabaseError where the database cannot be read."""
    _need_files(wanted.terminals)
    try:
        context = context_of(wanted.broker.tls) if wanted.broker.tls is not None else None
    except CertificateUnusable as error:
        raise SimulateError(str(error)) from error
    if wanted.database is not None:
        with reading(wanted.database):  # not only after the run
            pass
    return asyncio.run(_run(wanted, context, say))


async def _run(wanted: Wanted, context: ssl.SSLContext | None, say: Callable[[str], None]) -> SimulationReport:
    return await Run(wanted, context, say).run()


class Run:
    """A run in progress (`fleet.simulator.terminal.Surroundings`). Made within a loop."""

    def __init__(self, wanted: Wanted, context: ssl.SSLContext | None, say: Callable[[str], None]) -> None:
        self.loop = asyncio.get_running_loop()
        self.broker = wanted.broker
        self.ack_key = wanted.ack_key
        self.telemetry = wanted.telemetry
        self.tally = Tally(backlogs_open=wanted.terminals)
        self._wanted = wanted
        self._context = context
        self._say = say
        self._random = Random(wanted.seed)
        self.chance = self._random.random
        self._began_s = self.loop.time()
        self._began_ms = time.time_ns() // 1_000_000
        self.plan = Plan(
            run="".join(secrets.choice(string.ascii_lowercase) for _ in range(RUN_LETTERS)),
            seed=wanted.seed, terminals=wanted.terminals, sales_per_hour=wanted.sales_per_hour, lines=wanted.lines,
            backlog_days=wanted.backlog_days, begins_ms=self._began_ms,
            ends_ms=self._began_ms + round(wanted.minutes * 60_000),
        )  # fmt: skip
        self._terminals: list[Terminal] = []
        self._dialling: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._backlog_drained_s: float | None = None
        self._first_s: float | None = None
        self._online99_s: float | None = None
        self._progress_at_s = PROGRESS_EVERY_S

    # --- what the terminals ask ---

    def wall_ms(self, now_s: float) -> int:
        """Unix milliseconds at a time of the loop's clock."""
        return self._began_ms + round((now_s - self._began_s) * 1000)

    def dial(self, terminal: Terminal) -> None:
        """Begins to connect."""
        task = self.loop.create_task(self._connect(terminal), name="dial")
        self._dialling.add(task)
        task.add_done_callback(self._dialling.discard)

    def went_online(self) -> None:
        """Looks whether the fleet is back."""
        tally, now_s = self.tally, self._elapsed_s()
        tally.online += 1
        tally.online_max = max(tally.online_max, tally.online)
        if self._first_s is None:
            self._first_s = now_s
        whole = tally.online >= 0.99 * self.plan.terminals
        if whole and self._online99_s is None:
            self._online99_s = now_s
        outage = tally.outages[-1] if tally.outages else None
        if outage is not None and outage.online99_s is None:
            if outage.back_s is None:
                outage.back_s = now_s
            if whole:
                outage.online99_s = now_s

    def went_offline(self) -> None:
        """Looks whether the broker is gone."""
        tally = self.tally
        tally.online -= 1
        tally.lost += 1
        is_over = not tally.outages or tally.outages[-1].online99_s is not None
        if is_over and self._online99_s is not None and tally.online < self.plan.terminals / 2:
            tally.outages.append(Outage(self._elapsed_s()))

    async def _connect(self, terminal: Terminal) -> None:
        broker = self.broker
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                await self.loop.create_connection(
                    lambda: terminal, broker.host, broker.port, ssl=self._context,
                    server_hostname=broker.host if self._context is not None else None,
                )  # fmt: skip
        except (OSError, TimeoutError):
            terminal.refused("broker-unreachable")

    # --- the run ---

    async def run(self) -> SimulationReport:
        """All of it."""
        for number in _STOPS:
            self.loop.add_signal_handler(number, self._stop.set)
        try:
            before_kib, cpu_s = _resident_kib(), time.process_time()
            self._make()
            after_kib = before_kib
            selling_s = self._wanted.minutes * 60
            while not self._stop.is_set() and self._elapsed_s() < selling_s:
                await self._look()
                after_kib = max(after_kib, _resident_kib())
            self._end_selling()
            drained_s = await self._drain()
            after_kib = max(after_kib, _resident_kib())
            wall_s, cpu_s = self._elapsed_s(), time.process_time() - cpu_s
            await self._part()
        finally:
            for number in _STOPS:
                self.loop.remove_signal_handler(number)
        cost = Cost(
            wall_s=wall_s, cpu_s=cpu_s, cpu_pct=100 * cpu_s / wall_s, rss_mib=after_kib / 1024,
            kib_a_session=(after_kib - before_kib) / self.plan.terminals,
            cpu_us_a_session_second=1e6 * cpu_s / wall_s / self.plan.terminals,
        )  # fmt: skip
        return self._report(cost, drained_s)

    def _make(self) -> None:
        for number in range(1, self.plan.terminals + 1):
            terminal = Terminal(self, number)
            terminal.start(self._began_s + (number - 1) / self._wanted.connect_rate)
            self._terminals.append(terminal)
        gc.collect()
        gc.freeze()  # what lives to the end need not be looked through again and again

    async def _look(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOOK_EVERY_S):
                await self._stop.wait()
        elapsed_s = self._elapsed_s()
        if self._backlog_drained_s is None and self.tally.backlogs_open == 0:
            self._backlog_drained_s = elapsed_s
        if elapsed_s >= self._progress_at_s:
            self._progress_at_s = elapsed_s + PROGRESS_EVERY_S
            tally = self.tally
            self._say(
                f"{elapsed_s:.0f} s: {tally.online} of {self.plan.terminals} online, {self._waiting()} records wait,"
                f" {tally.backlogs_open} backlogs, {tally.batches} batches sent, {tally.again} again"
            )

    def _end_selling(self) -> None:
        self._stop.clear()
        now_ms = self.wall_ms(self.loop.time())
        if now_ms < self.plan.ends_ms:
            self.plan.ends_ms = now_ms

    async def _drain(self) -> float | None:
        """Until all is acknowledged; how long that took, None where it did not come to an end."""
        began_s = self._elapsed_s()
        while (waiting := self._waiting()) and not self._stop.is_set():
            if self._elapsed_s() - began_s > self._wanted.drain_timeout_s:
                self._say(
                    f"{waiting} records are not acknowledged {self._wanted.drain_timeout_s:g} s after the last sale"
                )
                return None
            await self._look()
        if self.tally.backlogs_open == 0 and self._backlog_drained_s is None:
            self._backlog_drained_s = self._elapsed_s()
        return None if waiting else self._elapsed_s() - began_s

    async def _part(self) -> None:
        for task in self._dialling:
            task.cancel()
        for terminal in self._terminals:
            terminal.stop()
        await asyncio.sleep(GOODBYES_S)

    def _elapsed_s(self) -> float:
        return self.loop.time() - self._began_s

    def _waiting(self) -> int:
        return sum(max(each.reaches - each.window.acknowledged.seq, 0) for each in self._terminals)

    # --- the oracle ---

    def _report(self, cost: Cost, drained_s: float | None) -> SimulationReport:
        wanted, tally, plan = self._wanted, self.tally, self.plan
        stored = _stored(wanted.database, plan) if wanted.database is not None else None
        differences = list(self._differences(stored))
        sold = [self._sold(each) for each in self._terminals]
        acknowledged = [self._acknowledged(each) for each in self._terminals]
        delivered = sum(each.window.acknowledged.seq for each in self._terminals)
        return SimulationReport(
            run=plan.run, terminals=plan.terminals, sales_per_hour=plan.sales_per_hour, minutes=wanted.minutes,
            backlog_days=plan.backlog_days, seed=plan.seed, whole=not differences, sold=_sum(sold),
            acknowledged=_sum(acknowledged), stored=None if stored is None else _sum(stored.values()),
            differing=len(differences), differences=tuple(differences[:DIFFERENCES_SHOWN_MAX]),
            delivered_ms_p50=tally.delivered.percentile_ms(50), delivered_ms_p99=tally.delivered.percentile_ms(99),
            delivered_ms_max=tally.delivered.longest_ms if tally.delivered.count else None,
            backlog_drained_s=self._backlog_drained_s if plan.backlog_sales else None, drained_after_s=drained_s,
            records_a_second=delivered / cost.wall_s,
            sessions=Sessions(
                online_max=tally.online_max, connects=tally.connects, lost=tally.lost,
                connect_ms_p50=tally.connecting.percentile_ms(50), connect_ms_p99=tally.connecting.percentile_ms(99),
                first_s=self._first_s, online99_s=self._online99_s,
            ),
            outages=tuple(tally.outages),
            batches=Batches(
                sent=tally.batches, again=tally.again, bytes=tally.batch_bytes, records=tally.composed,
                telemetry=tally.told,
            ),
            faults=dict(tally.faults), cost=cost,
        )  # fmt: skip

    def _differences(self, stored: dict[str, Sales] | None) -> Iterator[Difference]:
        for terminal in self._terminals:
            sold, acknowledged = self._sold(terminal), self._acknowledged(terminal)
            held = None if stored is None else stored.get(terminal.journal.name, Sales(0, 0))
            reaches = terminal.window.acknowledged.seq == terminal.reaches and not terminal.window.quarantined
            if acknowledged != sold or not reaches or (held is not None and held != sold):
                yield Difference(
                    terminal=terminal.journal.name, sold=sold, acknowledged=acknowledged.sales, stored=held
                )

    def _sold(self, terminal: Terminal) -> Sales:
        """Out of the plan: nothing that was sent has a part in it."""
        return self._first(terminal, self.plan.sold(terminal.journal.number, math.inf))

    def _acknowledged(self, terminal: Terminal) -> Sales:
        return self._first(terminal, terminal.journal.sales_to(terminal.window.acknowledged.seq))

    def _first(self, terminal: Terminal, count: int) -> Sales:
        total = self.plan.total_minor
        return Sales(count, sum(total(terminal.journal.number, sale) for sale in range(1, count + 1)))


def _stored(database: Address, plan: Plan) -> dict[str, Sales]:
    """What headquarters holds of this run's terminals; a number that stands there twice counts twice."""
    with reading(database) as statements:
        rows = statements.execute(
            "SELECT terminal, count(*), CAST(sum(total_minor) AS BIGINT) FROM retail_transaction"
            " WHERE terminal >= ? AND terminal < ? GROUP BY terminal",
            (f"sim-{plan.run}-", f"sim-{plan.run}."),  # the character after the dash
        )
        return {terminal: Sales(count, amount_minor) for terminal, count, amount_minor in rows}


def _sum(sales: Iterable[Sales]) -> Sales:
    each = list(sales)
    return Sales(sum(one.sales for one in each), sum(one.amount_minor for one in each))


def _need_files(terminals: int) -> None:
    """Raises SimulateError where this process may not have so many sockets."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = terminals + _FILES_OF_OUR_OWN
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise SimulateError(
            f"{terminals} sessions need {needed} open files, and this process may have {hard}:"
            f" run it under `prlimit --nofile={needed}` as root, or simulate fewer terminals"
        )
    if soft != resource.RLIM_INFINITY and needed > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _resident_kib() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 1024
