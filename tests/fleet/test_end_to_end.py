"""A till's journal, a real broker, the real collector, the signed acknowledgement back to the journal."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from random import Random

import pytest

from fleet.collector import Collector
from fleet.database import Database
from fleet.report import Report, summarize
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, amqtt
from tests.tills import Till, eventually, make_key, open_till

HEADQUARTERS = make_key(9)


@contextlib.asynccontextmanager
async def collecting(folder: Path, url: str) -> AsyncIterator[Callable[[], Report]]:
    """A collector at work; gives what it holds."""
    path = folder / "headquarters.db"
    clock = SystemClock()
    collector = Collector(database=Database.open(path, now_ms=clock.stamp().time_ms), key=HEADQUARTERS, clock=clock)
    uplink = Uplink(
        brokers=[parse_url(url)], client_id="headquarters", users=[collector], clock=clock, random=Random(2),
        session_expiry_s=60,
    )  # fmt: skip
    task = asyncio.create_task(uplink.run(), name="collector")
    try:
        yield lambda: summarize(path)
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        collector.close()


@contextlib.asynccontextmanager
async def forwarding(till: Till, url: str) -> AsyncIterator[Forwarder]:
    """The till's forwarder at work."""
    forwarder = till.forwarder(HEADQUARTERS.public_key)
    task = asyncio.create_task(till.uplink(forwarder, url).run(), name="forwarder")
    try:
        yield forwarder
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def is_drained(till: Till, forwarder: Forwarder) -> bool:
    return forwarder.acknowledged_seq == till.journal.synced.seq


def agree(report: Report, till: Till) -> None:
    assert report.transactions == len(till.tally)
    assert report.totals == {"EUR": sum(till.tally.values())}


async def test_sales_reach_headquarters(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with open_till(tmp_path) as till, collecting(tmp_path, mosquitto.url) as report:
        async with forwarding(till, mosquitto.url) as forwarder:
            for amount_minor in (199, 250, 1999):
                await till.sell(amount_minor, items=3)
                forwarder.notify()
            await eventually(lambda: is_drained(till, forwarder))
            kept = await till.journal.acknowledged(till.journal.head.epoch)
            assert kept is not None
            assert kept.seq == till.journal.head.seq
            agree(report(), till)
            assert forwarder.fault is None


async def test_sales_reach_headquarters_through_a_broker_of_3_1_1_alone(tmp_path: Path) -> None:
    async with amqtt() as url, open_till(tmp_path) as till, collecting(tmp_path, url) as report:
        await till.sell_many(300, Random(1))
        async with forwarding(till, url) as forwarder:
            await eventually(lambda: is_drained(till, forwarder))
            agree(report(), till)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_stops_loses_nothing(tmp_path: Path, mosquitto: Mosquitto, number: int) -> None:
    async with open_till(tmp_path) as till, collecting(tmp_path, mosquitto.url) as report:
        async with forwarding(till, mosquitto.url) as forwarder:
            await till.sell_many(1500, Random(1))
            forwarder.notify()
            await eventually(lambda: forwarder.acknowledged_seq > 0)
            mosquitto.stop(number)
            await till.sell_many(500, Random(2))
            forwarder.notify()
            await asyncio.sleep(0.2)
            mosquitto.start()
            await eventually(lambda: is_drained(till, forwarder))
            agree(report(), till)
