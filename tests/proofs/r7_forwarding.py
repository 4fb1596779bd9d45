"""R7: what a till sold is what headquarters counts, cent for cent, whatever lies between them.

A real mosquitto is killed and forgets; a man in the middle on both sides acknowledges and loses, doubles and delays;
the collector dies at its commits. Then the same with two collectors on a PostgreSQL server that crashes (c), and with a
database that is put back to an older copy of itself now and then, as after a restore (d). Two properties are looked at: the
multiset of sales at the end, and that no acknowledgement ever promises more than the database holds at that moment. Mutants
show that the run can see (b): a forwarder that believes the broker's answer, one that forgets on a new connection what was on
its way, a collector that acknowledges before it commits, and one that does not tell that it was restored.
"""

import asyncio
import contextlib
import shutil
import sqlite3
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

import msgspec

from bench.registry import CannotRun, Proof, Result, Scale, cannot, exactly
from core.delivery import Ack
from fleet.collector import Collector
from fleet.database import DatabaseAway
from fleet.intake import commit
from fleet.store import Address, Server, Statements, Store, open_store, reading
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.mqtt import Connection
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, find_mosquitto
from tests.hostile import PASS, PUBLISH, Fate, Judge, Packet, Way, malice, meddling
from tests.postgres import Cluster, cluster, find_postgres
from tests.tills import HURRIED, Till, eventually, make_key, open_till

HEADQUARTERS = make_key(9)
GROUPS_MAX = 5_000
"""Sales are made a few at a time, so that there are many batches; of many sales more at a time."""
SALES_A_GROUP = 4
CRASH_EVERY = 8
"""Commits from one death of the collector before its commit to the next, and as many between two just after it."""
MUTANT_SALES = 120
MUTANT_PATIENCE_S = 6.0
"""A mutant may never come to an end; what it did wrong until then is seen."""
RESTORE_PATIENCE_S = 60.0
"""What the older database lacks has to be acknowledged first: else a restore takes nothing away."""
SETTLE_S = 0.5


def run(scale: Scale) -> Iterable[Result]:
    """The honest pair, and then the mutants."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    sales = scale.pick(smoke=500, commit=100_000, release=1_000_000)
    kills = scale.pick(smoke=1, commit=10, release=200)
    patience_s = 30 + sales / 500
    found = asyncio.run(_shop(sales, Random(7), Forwarder, Collector, kills=kills, patience_s=patience_s))
    print(
        f"{found.harmed} publishes lost, doubled or delayed, {found.crashes} crashes of the collector", file=sys.stderr
    )
    yield _honest(found, sales, "a", "lost, doubled, altered or promised too early")
    mutants = asyncio.run(_mutants())
    caught = sum(mutant.wrong > 0 for mutant in mutants)
    yield exactly(caught, len(mutants), part="b", what=f"mutants caught of {len(mutants)}")
    yield from _on_a_server(scale, kills)
    yield from _restored(scale)


async def _mutants() -> Sequence["_Found"]:
    return await asyncio.gather(
        _shop(MUTANT_SALES, Random(8), ClearsOnPuback, Collector, drop=0.3),
        _shop(MUTANT_SALES, Random(9), Forwarder, AcknowledgesFirst),
        _shop(MUTANT_SALES, Random(11), ForgetsOnReconnect, Collector, kills=5, drop=0.6),
        _shop(MUTANT_SALES, Random(12), Forwarder, TellsOfNoRestore, restores=1),
    )


def _on_a_server(scale: Scale, kills: int) -> Iterable[Result]:
    """Two collectors that die at their commits, and their server too."""
    if find_postgres() is None:
        yield cannot("PostgreSQL's server is not installed (Debian: postgresql)", part="c")
        return
    sales = scale.pick(smoke=60, commit=10_000, release=500_000)
    patience_s = 30 + sales / 100
    with cluster() as server:
        shop = _shop(sales, Random(10), Forwarder, Collector, kills=kills, patience_s=patience_s, server=server)
        found = asyncio.run(shop)
    print(f"{found.crashes} crashes of two collectors, {found.restarts} of their PostgreSQL server", file=sys.stderr)
    if not found.restarts:
        raise RuntimeError("the server was never restarted: the run shows nothing")
    yield _honest(found, sales, "c", "wrong with two collectors and a PostgreSQL server that crashes")


def _restored(scale: Scale) -> Iterable[Result]:
    """A database that goes back in time."""
    sales, restores = scale.pick(smoke=200, commit=10_000, release=200_000), scale.pick(smoke=1, commit=8, release=100)
    found = asyncio.run(
        _shop(sales, Random(13), Forwarder, Collector, kills=1, restores=restores, patience_s=30 + sales / 100)
    )
    print(f"{found.restores} restores of an older database", file=sys.stderr)
    if found.restores != restores:
        raise RuntimeError("the database was not restored as often: the run shows nothing")
    yield _honest(found, sales, "d", "wrong with a database that was restored from an older one")


PROOFS = [Proof(id="R7", title="forwarding over a hostile broker", parts=("a", "b", "c", "d"), run=run)]


def _honest(found: "_Found", sales: int, part: str, what: str) -> Result:
    if not found.harmed or not found.crashes:
        raise RuntimeError("nothing hostile happened: the run shows nothing")
    if found.waiting:
        raise TimeoutError(f"{found.waiting} records were not acknowledged in time")
    return exactly(found.wrong, 0, part=part, what=f"of {sales} sales {what}")


class ClearsOnPuback(Forwarder):
    """A mutant: what the broker has taken is delivered."""

    @property
    def acknowledged_seq(self) -> int:
        return self._window.sent.seq if self._window and not self._window.flights else 0

    def _answered(self, answer: asyncio.Future[int]) -> None:
        if self._window is not None and not answer.cancelled() and answer.exception() is None:
            self._window._flights.clear()
            self._wake.set()


class ForgetsOnReconnect(Forwarder):
    """A mutant: what was on its way when the connection broke is taken for sent."""

    async def serve(self, connection: Connection, number: int) -> None:
        await self.load()
        assert self._window is not None
        self._window._flights.clear()
        await super().serve(connection, number)


class TellsOfNoRestore(Collector):
    """A mutant: its answers are of one generation, whatever became of its database."""

    def _acknowledge(self, connection: Connection, acks: Iterable[tuple[str, Ack]]) -> None:
        told = [(terminal, msgspec.structs.replace(ack, collector_generation=1)) for terminal, ack in acks]
        super()._acknowledge(connection, told)


class AcknowledgesFirst(Collector):
    """A mutant: answers, and then commits."""

    async def _work(self, connection: Connection) -> None:
        arrivals = [waiting.arrival for waiting in self._waiting]
        with contextlib.suppress(_Rehearsed):
            with self._database.transaction() as open_transaction:
                intake = commit(_Rehearsal(open_transaction), arrivals, [], [], 1)  # type: ignore[arg-type] # a mutant
                self._answer(connection, list(self._waiting), intake)
                raise _Rehearsed
        await super()._work(connection)


class _Rehearsed(Exception):
    """A transaction that is taken back."""


class _Rehearsal:
    """A database that is in a transaction already."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Statements]:
        yield self._statements


class _Crash(Exception):
    """The collector's process dies at a commit."""


@dataclass(slots=True)
class _Found:
    """What was wrong: sales that differ, and acknowledgements beyond what was committed. And how hostile it was."""

    differing: int = 0
    early: int = 0
    waiting: int = 0
    harmed: int = 0
    commits: int = 0
    crashes: int = 0
    restarts: int = 0
    restores: int = 0

    @property
    def wrong(self) -> int:
        return self.differing + self.early


class _Past:
    """An older copy of an embedded database, and that it is to be put in its place."""

    def __init__(self, database: Address) -> None:
        self._database = database
        self.is_due = False

    def copy(self) -> None:
        """What the database holds now is what a restore will bring back."""
        assert isinstance(self._database, Path)
        with contextlib.closing(sqlite3.connect(self._database)) as now, contextlib.closing(self._older()) as older:
            now.backup(older)

    def put_back(self) -> None:
        """While nobody has it open."""
        assert isinstance(self._database, Path)
        for more in ("-wal", "-shm"):
            self._database.with_name(self._database.name + more).unlink(missing_ok=True)
        shutil.copy(f"{self._database}.older", self._database)
        self.is_due = False

    def _older(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self._database}.older")


class _CrashingStore:
    """A database whose collector dies at some commits, before or after them, and when an older one is to take its place."""

    def __init__(self, store: Store, found: _Found, past: _Past) -> None:
        self._store = store
        self._past = past
        self._found = found
        self.close = store.close

    @property
    def address(self) -> Address:
        return self._store.address

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Statements]:
        self._found.commits += 1
        turn = self._found.commits % CRASH_EVERY
        with self._store.transaction() as statements:
            yield statements
            if turn == CRASH_EVERY // 2:
                raise _Crash
        if turn == 0 or self._past.is_due:
            raise _Crash


async def _shop(
    sales: int,
    rng: Random,
    forwarder_type: type[Forwarder],
    collector_type: type[Collector],
    *,
    kills: int = 0,
    drop: float = 0.05,
    patience_s: float = MUTANT_PATIENCE_S,
    server: Cluster | None = None,
    restores: int = 0,
) -> _Found:
    """A day of selling through all that; what was wrong at its end. With a server: two collectors, and it crashes too."""
    found = _Found()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder)
        broker.start()
        database = server.database("r7") if server else folder / "headquarters.db"
        past = _Past(database)
        harm = _counting(found, malice(rng, drop=drop, double=0.1, delay=0.2, delay_max_s=0.05))
        try:
            async with (
                meddling(broker.port, harm) as near,
                meddling(broker.port, _watching(database, found, harm)) as far,
                _collecting(collector_type, database, far, rng, found, "headquarters", past),
                _collecting(collector_type, database, far, rng, found, "other", past)
                if server
                else contextlib.nullcontext(),
                open_till(folder) as till,
                _forwarding(forwarder_type, till, near) as forwarder,
            ):
                mishaps = _Mishaps(
                    broker, server, past, found, groups=_groups(sales), kills=kills, restores=restores, rng=rng
                )
                await _sell(till, forwarder, sales, rng, mishaps)
                with contextlib.suppress(TimeoutError):
                    await eventually(lambda: forwarder.acknowledged_seq == till.journal.synced.seq, patience_s)
                found.waiting = till.journal.synced.seq - forwarder.acknowledged_seq
                await asyncio.sleep(SETTLE_S)
                found.differing = _differing(database, till)
        finally:
            broker.stop()
    return found


def _groups(sales: int) -> int:
    return min(sales // SALES_A_GROUP, GROUPS_MAX)


async def _sell(till: Till, forwarder: Forwarder, sales: int, rng: Random, mishaps: "_Mishaps") -> None:
    """Sells, a few at a time so that there are many batches, while this and that happens."""
    groups = _groups(sales)
    for group in range(groups):
        await till.sell_many(sales * (group + 1) // groups - sales * group // groups, rng)
        forwarder.notify()
        await mishaps.after(group, till, forwarder)
        await asyncio.sleep(0.005)


class _Mishaps:
    """What happens after which group of sales: broker and server die, headquarters is restored from an older copy."""

    def __init__(
        self,
        broker: Mosquitto,
        server: Cluster | None,
        past: _Past,
        found: _Found,
        *,
        groups: int,
        kills: int,
        restores: int,
        rng: Random,
    ) -> None:
        self._broker = broker
        self._server = server
        self._past = past
        self._found = found
        self._copied_seq = 0
        self._deaths = set(rng.sample(range(groups), kills))
        self._crashes = set(rng.sample(range(groups), kills)) if server else set[int]()
        step = groups // (restores + 1) if restores else groups
        self._copies = {number * step + step // 2 for number in range(restores)}
        self._restores = {(number + 1) * step for number in range(restores)}

    async def after(self, group: int, till: Till, forwarder: Forwarder) -> None:
        """Returns once what was to happen has happened."""
        if group in self._deaths:
            self._broker.stop(9)
            self._broker.start()
        if self._server is not None and group in self._crashes:
            await asyncio.to_thread(self._server.stop, "immediate")
            await asyncio.to_thread(self._server.start)
            self._found.restarts += 1
        if group in self._copies:
            await asyncio.to_thread(self._past.copy)
            self._copied_seq = till.journal.synced.seq
        if group in self._restores:
            await eventually(lambda: forwarder.acknowledged_seq > self._copied_seq, RESTORE_PATIENCE_S)
            self._past.is_due = True  # the collector dies at its next commit, and finds the older database


def _differing(database: Address, till: Till) -> int:
    with reading(database) as statements:
        rows = statements.execute("SELECT number, total_minor FROM retail_transaction").fetchall()
    there, here = Counter(rows), Counter(till.tally.items())
    return sum(((there - here) + (here - there)).values())


def _counting(found: _Found, harm: Judge) -> Judge:
    def judge(packet: Packet) -> Fate:
        fate = harm(packet)
        found.harmed += fate is not PASS
        return fate

    return judge


def _watching(database: Address, found: _Found, harm: Judge) -> Judge:
    """Looks, at each acknowledgement that leaves the collector, whether the database holds what it promises."""

    def judge(packet: Packet) -> Fate:
        if packet.way is Way.UP and packet.kind == PUBLISH and packet.topic.endswith("money/ack"):
            start = packet.raw.index(b'{"ack"')
            ack = msgspec.json.decode(packet.raw[start:])["ack"]
            with reading(database) as statements:
                row = statements.execute("SELECT hwm FROM epoch WHERE epoch = ?", (ack["epoch"],)).fetchone()
            found.early += ack["hwm"] > (row[0] if row else 0)
        return harm(packet)

    return judge


@contextlib.asynccontextmanager
async def _collecting(
    collector_type: type[Collector], address: Address, url: str, rng: Random, found: _Found, name: str, past: _Past
) -> AsyncIterator[None]:
    """A collector that is started again whenever it has died."""
    clock = SystemClock()
    shared = isinstance(address, Server)

    async def live() -> None:
        while True:
            try:
                database = _CrashingStore(open_store(address, now_ms=clock.stamp().time_ms), found, past)
            except DatabaseAway:
                await asyncio.sleep(SETTLE_S)
                continue
            collector = collector_type(database=database, key=HEADQUARTERS, clock=clock, shared=shared)
            uplink = Uplink(
                brokers=[parse_url(url)], client_id=name, users=[collector], clock=clock, random=rng,
                session_expiry_s=0 if shared else 60,
            )  # fmt: skip
            try:
                await uplink.run()
            except* _Crash:
                found.crashes += 1
            finally:
                collector.close()
            if past.is_due:
                await asyncio.sleep(SETTLE_S)  # its last words have been heard, and are not judged by what comes now
                past.put_back()
                found.restores += 1

    async with _task(live(), "collector"):
        yield


@contextlib.asynccontextmanager
async def _forwarding(forwarder_type: type[Forwarder], till: Till, url: str) -> AsyncIterator[Forwarder]:
    forwarder = forwarder_type(
        terminal=till.name, journal=till.journal, signer=till.key, ack_key=HEADQUARTERS.public_key, clock=till.clock,
        random=Random(1), pacing=HURRIED,
    )  # fmt: skip
    async with _task(till.uplink(forwarder, url).run(), "forwarder"):
        yield forwarder


@contextlib.asynccontextmanager
async def _task(work: Coroutine[None, None, None], name: str) -> AsyncIterator[None]:
    task = asyncio.create_task(work, name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
