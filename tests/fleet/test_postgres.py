"""Headquarters on a PostgreSQL server: several collectors at once, a server that crashes, and what only it can refuse."""

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random

import pytest

from core.delivery import compose, cut, encode
from core.ledger import Head, Record
from fleet.database import DatabaseAway, DatabaseForeign
from fleet.intake import Arrival, Presence, commit
from fleet.postgres import DatabaseCareless, Postgres
from fleet.report import summarize
from fleet.store import Server, locate, open_store, reading
from terminald.forwarder import Forwarder
from tests.brokers import Mosquitto
from tests.postgres import Cluster, cluster, need_postgres
from tests.records import chain, sales, start_of
from tests.tills import HURRIED, eventually, make_key, open_till

FLEET = (sys.executable, "-m", "fleet")
COLLECTORS = 3


@pytest.fixture
def server(postgres: Cluster, request: pytest.FixtureRequest) -> Server:
    """An empty database."""
    return postgres.database(request.node.name)


def batches(terminal: str, count: int) -> list[Arrival]:
    """All that a terminal sold, in small batches."""
    records = chain(sales(count), terminal=terminal, signing_key=make_key(4).public_key)
    prev, found = start_of(records), []
    rest: list[Record] = records
    while rest:
        some = cut(rest)[:7]
        found.append(Arrival(terminal, encode(compose(terminal, prev, some, make_key(4).sign))))
        prev, rest = Head(epoch=prev.epoch, seq=some[-1].seq, hash=some[-1].hash), rest[len(some) :]
    return found


def test_collectors_at_once_neither_lose_nor_double_nor_block_each_other(server: Server) -> None:
    """Each takes every batch of every terminal, in an order of its own, with the same signs of life."""
    terminals = [f"till-{number}" for number in range(6)]
    everything = [arrival for terminal in terminals for arrival in batches(terminal, 40)]
    beginnings = [batches(terminal, 40)[0] for terminal in terminals]

    def work(seed: int) -> None:
        rng = Random(seed)
        mine = rng.sample(everything, len(everything))
        store = open_store(server, now_ms=1)
        try:
            commit(store, beginnings, [], [], 1)
            for start in range(0, len(mine), 8):
                presences = [Presence(name, "online", "b", 1) for name in rng.sample(terminals, 6)]
                commit(store, mine[start : start + 8], [], presences, 1)
        finally:
            store.close()

    with ThreadPoolExecutor(COLLECTORS) as threads:
        list(threads.map(work, range(COLLECTORS)))
    report = summarize(server)
    assert (report.transactions, report.totals) == (6 * 40, {"EUR": 6 * sum(range(1, 41))})
    assert [(each.epochs[0].hwm, each.epochs[0].records, each.epochs[0].gaps) for each in report.terminals] == [
        (81, 81, 0)
    ] * 6
    assert not any(each.quarantined for each in report.terminals)


@pytest.fixture
def crew(server: Server, mosquitto: Mosquitto, tmp_path: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Collector processes on one shared subscription; `crew[n]` may be killed and started again by `start`."""
    (tmp_path / "key").write_text((bytes([9]) * 32).hex())  # as make_key(9)
    (tmp_path / "key").chmod(0o400)
    running: list[subprocess.Popen[bytes]] = []
    yield running
    for process in running:
        process.kill()
        process.wait()


def start(server: Server, broker: str, folder: Path) -> subprocess.Popen[bytes]:
    words = ("collect", "--broker", broker, "--database", server.url, "--key", str(folder / "key"))
    with (folder / "collectors.log").open("ab") as log:
        return subprocess.Popen([*FLEET, *words], stdout=log, stderr=log)


async def test_collectors_that_are_killed_while_they_share(
    server: Server, postgres: Cluster, mosquitto: Mosquitto, tmp_path: Path, crew: list[subprocess.Popen[bytes]]
) -> None:
    """One after another dies in the middle, and the server crashes once: each sale is there once, to the cent."""
    crew += [start(server, mosquitto.url, tmp_path) for _ in range(2)]
    (tmp_path / "till").mkdir()
    async with open_till(tmp_path / "till") as till:
        forwarder = Forwarder(
            terminal=till.name, journal=till.journal, signer=till.key, ack_key=make_key(9).public_key,
            clock=till.clock, random=Random(1), pacing=HURRIED,
        )  # fmt: skip
        running = asyncio.create_task(till.uplink(forwarder, mosquitto.url).run(), name="forwarder")
        try:
            for turn in range(8):
                await till.sell_many(25, Random(turn))
                forwarder.notify()
                if turn % 3 == 1:
                    await eventually(lambda: forwarder.acknowledged_seq > 0, 30)
                    victim = crew.pop(0)
                    victim.send_signal(signal.SIGKILL)
                    victim.wait()
                    crew.append(start(server, mosquitto.url, tmp_path))
                if turn == 4:
                    await asyncio.to_thread(postgres.stop, "immediate")
                    await asyncio.to_thread(postgres.start)
            await eventually(lambda: forwarder.acknowledged_seq == till.journal.synced.seq, 45)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        with reading(server) as statements:
            rows = statements.execute("SELECT number, total_minor FROM retail_transaction").fetchall()
        assert sorted(rows) == sorted(till.tally.items())


def test_a_server_that_is_away_is_named_and_the_same_store_goes_on(postgres: Cluster, server: Server) -> None:
    store = open_store(server, now_ms=1)
    try:
        commit(store, batches("till-1", 3)[:1], [], [], 1)
        postgres.stop("immediate")
        with pytest.raises(DatabaseAway):
            commit(store, batches("till-1", 3), [], [], 1)
        with pytest.raises(DatabaseAway):
            commit(store, batches("till-1", 3), [], [], 1)
        postgres.start()
        commit(store, batches("till-1", 3), [], [], 1)
        assert summarize(server).transactions == 3
    finally:
        postgres.start()  # the other tests need it, whatever became of this one
        store.close()


def test_a_server_that_does_not_flush_is_refused() -> None:
    need_postgres()
    with cluster("-c fsync=off") as careless:
        careless.sql("postgres", "CREATE DATABASE hq")
        with pytest.raises(DatabaseCareless):
            open_store(careless.server("hq"), now_ms=1)


def test_tables_of_a_newer_version_are_refused(server: Server) -> None:
    with contextlib.closing(Postgres.open(server, now_ms=1)) as store, store.transaction() as statements:
        statements.execute("INSERT INTO schema_step VALUES (99)")
    with pytest.raises(DatabaseForeign):
        open_store(server, now_ms=1)


def test_records_lie_by_terminal_and_sales_by_day(server: Server) -> None:
    store = open_store(server, now_ms=1)
    try:
        commit(store, batches("till-1", 3) + batches("till-2", 3), [], [], 1)
    finally:
        store.close()
    with reading(server) as statements:
        run = statements.execute
        places = run("SELECT terminal, tableoid::regclass::text FROM record GROUP BY 1, 2 ORDER BY 1").fetchall()
        assert [terminal for terminal, _ in places] == ["till-1", "till-2"]
        assert run("SELECT DISTINCT tableoid::regclass::text FROM retail_transaction").fetchall() == [
            ("retail_transaction_2026_q4",)
        ]


def test_records_that_are_held_without_a_mark_are_taken_once(server: Server) -> None:
    """Somebody took the marks away by hand: what is copied in as new is there already."""
    records = chain(sales(100), terminal="till-1", signing_key=make_key(4).public_key)
    arrival = Arrival("till-1", encode(compose("till-1", start_of(records), records, make_key(4).sign)))
    with contextlib.closing(open_store(server, now_ms=1)) as store:
        commit(store, [arrival], [], [], 1)
        with store.transaction() as statements:
            statements.execute("DELETE FROM epoch")
        ((_, ack),) = commit(store, [arrival, *batches("till-2", 3)[:1]], [], [], 1).acks[:1]
        assert ack.hwm == len(records)
        assert summarize(server).terminals[0].epochs[0].records == len(records)


def test_an_address_is_never_shown() -> None:
    server = locate("postgresql://collector:secret@db.example.com/hq")
    assert "secret" not in f"{server} {server!r}"
