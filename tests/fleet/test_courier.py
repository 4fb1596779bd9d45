"""Orders over a real broker: told, answered, taken off it; broker, collector and terminals may come and go."""

import asyncio
import contextlib
import json
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt import publish
from paho.mqtt.enums import CallbackAPIVersion

from core import topics
from core.order_results import Result, State, encode_result
from core.orders import Order
from fleet.courier import Courier
from fleet.dispatch import Draft, cancel, give
from fleet.orders_report import Dispatch, shown
from fleet.registry import Filter, put
from fleet.store import Address, open_store
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, amqtt, mosquitto_in
from tests.fleet.far_terminals import FarTerminal, at_work
from tests.fleet.test_dispatch import MAX, SUE
from tests.tills import eventually, make_key

KEY = make_key(5)
NAMES = ("till-1", "till-2")


@contextlib.asynccontextmanager
async def carrying(address: Address, url: str) -> AsyncIterator[None]:
    """A courier at work."""
    clock = SystemClock()
    courier = Courier(database=open_store(address, now_ms=clock.stamp().time_ms), key=KEY, clock=clock)
    uplink = Uplink(brokers=[parse_url(url)], client_id="headquarters", users=[courier], clock=clock, random=Random(2))
    task = asyncio.create_task(uplink.run(), name="courier")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        courier.close()


def order(address: Address, kind: str = "ping", valid_ms: int = 3_600_000, names: Sequence[str] = NAMES) -> int:
    now_ms = SystemClock().stamp().time_ms
    with contextlib.closing(open_store(address, now_ms=now_ms)) as store, store.transaction() as statements:
        for name in names:
            put(statements, name, now_ms)
        draft = Draft(kind=kind, params={}, wanted=Filter(terminals=tuple(names)), valid_ms=valid_ms)
        return give(statements, KEY, MAX, draft, now_ms)


def stands(address: Address, number: int) -> Dispatch:
    return shown(address, number, 0)


def is_so(address: Address, number: int, **counts: int) -> Callable[[], bool]:
    return lambda: stands(address, number).counts == counts


def retained(mosquitto: Mosquitto) -> list[str]:
    """The topics of orders and answers that lie on the broker, by a plain client. Blocks for a moment."""
    found: list[str] = []
    client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv5)
    client.on_message = lambda _c, _u, message: found.append(message.topic) if message.retain else None
    client.connect("127.0.0.1", int(mosquitto.url.rpartition(":")[2]))
    client.loop_start()
    client.subscribe("pos/v1/+/cmd/#")
    time.sleep(0.5)
    client.loop_stop()
    client.disconnect()
    return found


async def eventually_lies(mosquitto: Mosquitto, wanted: Callable[[list[str]], bool]) -> None:
    """Waits until what lies on the broker is as wanted."""
    async with asyncio.timeout(30.0):
        while not wanted(await asyncio.to_thread(retained, mosquitto)):
            await asyncio.sleep(0.05)


async def say(mosquitto: Mosquitto, topic: str, payload: str) -> None:
    """Publishes as anybody could."""
    port = int(mosquitto.url.rpartition(":")[2])
    await asyncio.to_thread(publish.single, topic, payload, qos=1, hostname="127.0.0.1", port=port)


async def test_an_order_is_told_answered_and_taken_off_the_broker(address: Address, mosquitto: Mosquitto) -> None:
    tills = [FarTerminal(name, KEY.public_key) for name in NAMES]
    async with carrying(address, mosquitto.url), at_work(mosquitto.url, *tills):
        number = order(address)
        await eventually(lambda: stands(address, number).state == "done")
        assert stands(address, number).counts == {"successful": 2}
        assert [[each.order for each in till.done] for till in tills] == [["ping"], ["ping"]]
        await eventually_lies(mosquitto, lambda found: not found)


async def test_a_broker_of_3_1_1_alone(tmp_path: Path) -> None:
    till = FarTerminal("till-1", KEY.public_key)
    address = tmp_path / "hq.db"
    async with amqtt() as url, carrying(address, url), at_work(url, till):
        number = order(address, names=["till-1"])
        await eventually(is_so(address, number, successful=1))


async def test_a_terminal_that_comes_later_finds_its_order(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    async with carrying(address, mosquitto.url):
        number = order(address)
        await eventually(is_so(address, number, published=2))
        await eventually_lies(mosquitto, lambda found: len(found) == 2)
        till = FarTerminal("till-1", KEY.public_key)
        async with at_work(mosquitto.url, till):
            await eventually(is_so(address, number, published=1, successful=1))
        assert stands(address, number).state == "open"


async def test_what_is_taken_back_is_never_done(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    async with carrying(address, mosquitto.url):
        number = order(address)
        await eventually(is_so(address, number, published=2))
        with contextlib.closing(open_store(address, now_ms=1)) as store:
            assert cancel(store, KEY, SUE, number, SystemClock().stamp().time_ms) == 2
        await eventually_lies(mosquitto, lambda found: not found)
        till = FarTerminal("till-1", KEY.public_key)
        async with at_work(mosquitto.url, till):
            later = order(address, names=["till-1"])
            await eventually(is_so(address, later, successful=1))
        assert len(till.done) == 1


async def test_the_broker_forgets_what_is_over_by_itself(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    async with carrying(address, mosquitto.url):
        number = order(address, valid_ms=2_000)
        await eventually(is_so(address, number, published=2))
    await eventually_lies(mosquitto, lambda found: not found)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
async def test_a_broker_that_lost_its_memory_is_told_again(
    tmp_path: Path, mosquitto: Mosquitto, number: signal.Signals
) -> None:
    address = tmp_path / "hq.db"
    async with carrying(address, mosquitto.url):
        sent = order(address)
        await eventually(is_so(address, sent, published=2))
        mosquitto.stop(number)
        meanwhile = order(address, names=["till-1"])
        mosquitto.start()
        till = FarTerminal("till-1", KEY.public_key)
        async with at_work(mosquitto.url, till):
            await eventually(is_so(address, meanwhile, successful=1))
            await eventually(is_so(address, sent, published=1, successful=1))
        assert sorted(each.counter for each in till.done) == sorted({each.counter for each in till.done})


async def test_a_collector_that_died_in_between_is_followed_by_the_next(tmp_path: Path, mosquitto: Mosquitto) -> None:
    """What terminals said meanwhile lies on the broker."""
    address = tmp_path / "hq.db"
    till = FarTerminal("till-1", KEY.public_key)
    async with carrying(address, mosquitto.url):
        number = order(address, names=["till-1"])
        await eventually(is_so(address, number, published=1))
    async with at_work(mosquitto.url, till):
        await eventually(lambda: len(till.done) == 1)
        await eventually_lies(mosquitto, lambda found: any(topic.endswith("/res") for topic in found))
    async with carrying(address, mosquitto.url):
        await eventually(is_so(address, number, successful=1))


async def test_two_couriers_and_a_crowd(address: Address, mosquitto: Mosquitto) -> None:
    names = [f"till-{number:03d}" for number in range(30)]

    def mostly(each: Order) -> Sequence[State]:
        return ("accepted", "failed") if each.terminal.endswith("7") else ("accepted", "running", "successful")

    tills = [FarTerminal(name, KEY.public_key, mostly) for name in names]
    async with carrying(address, mosquitto.url), at_work(mosquitto.url, *tills):
        clock = SystemClock()
        courier = Courier(database=open_store(address, now_ms=1), key=KEY, clock=clock)
        second = Uplink(
            brokers=[parse_url(mosquitto.url)], client_id="second", users=[courier], clock=clock, random=Random(3)
        )
        task = asyncio.create_task(second.run(), name="second")
        try:
            numbers = [order(address, names=names) for _ in range(3)]
            for number in numbers:
                await eventually(is_so(address, number, successful=27, failed=3), 60.0)
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            courier.close()
    assert [len(till.done) for till in tills] == [3] * 30


async def test_what_is_no_answer_is_passed_over(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    async with carrying(address, mosquitto.url):
        number = order(address, names=["till-1"])
        await eventually(is_so(address, number, published=1))
        (told,) = stands(address, number).terminals
        topic = topics.result("till-1", "ping", told.id)
        fair = {"id": told.id, "order": "ping", "state": "successful", "ts": 1}
        for where, said in (
            (topic, "{"),
            (topic, "[" * 5000),
            (topic, json.dumps(fair | {"id": "another"})),
            (topic, json.dumps(fair | {"state": "splendid"})),
            (topic, "x" * 70_000),
            ("pos/v1/bad name/cmd/ping/1/res", json.dumps(fair)),
            (topics.result("till-1", "ping", "other"), json.dumps(fair)),
            (topics.result("till-2", "ping", told.id), json.dumps(fair)),
        ):
            await say(mosquitto, where, said)
        assert stands(address, number).counts == {"published": 1}
        await say(mosquitto, topic, json.dumps(fair))
        await eventually(is_so(address, number, successful=1))


async def test_a_broker_that_drops_answers_is_listened_to_again(tmp_path: Path) -> None:
    """It keeps a few messages for a reader that is slow; of a fleet that answers at once it has many more."""
    address = tmp_path / "hq.db"
    names = [f"till-{number:03d}" for number in range(200)]
    with mosquitto_in(tmp_path, "allow_anonymous true\nmax_queued_messages 1") as broker:
        number = order(address, names=names)
        async with carrying(address, broker.url):
            await eventually(is_so(address, number, published=200), 60.0)
            said: Any = [
                (
                    topics.result(each.terminal, "ping", each.id),
                    encode_result(Result(id=each.id, order="ping", state="successful", ts=1)), 1, True,
                )
                for each in stands(address, number).terminals
            ]  # fmt: skip
            publish.multiple(said, hostname="127.0.0.1", port=broker.port)  # meanwhile the courier reads nothing
            await eventually(is_so(address, number, successful=200), 90.0)
