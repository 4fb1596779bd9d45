"""Status, what it is made of, measurements and alarms on a real broker, as any other tool reads them."""

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from core.telemetry import COUNTER, JOURNAL, LINK, SYSTEM, Values
from terminald.alarms import AlarmBook
from terminald.broker import Broker, ConnectionLost, Message, dial, parse_url
from terminald.clock import SystemClock
from terminald.mqtt import connect
from terminald.telemetry import CHANGED_AFTER_S, WILL_DELAY_S, Telemetry
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.tills import eventually


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path) as broker:
        yield broker


class Told:
    """A telemetry of made-up values on the real uplink."""

    def __init__(self, values: Mapping[str, Values], path: Path | None = None) -> None:
        self.clock = SystemClock()
        self.values = {name: dict(each) for name, each in values.items()}
        self.made_of: dict[str, str] = {}
        self.book = AlarmBook(path, settled_after_s=0.5)
        self.telemetry = Telemetry(
            terminal="till-3", boot=self.clock.boot, look=self._look, clock=self.clock, info=lambda: dict(self.made_of),
            book=self.book,
        )  # fmt: skip

    async def _look(self) -> Mapping[str, Values]:
        return {name: dict(each) for name, each in self.values.items()}

    @contextlib.asynccontextmanager
    async def telling(self, url: str) -> AsyncIterator[Uplink]:
        uplink = Uplink(
            brokers=[parse_url(url)], client_id="till-3", users=[self.telemetry], clock=self.clock, random=Random(1),
            will=self.telemetry.will,
        )  # fmt: skip
        tasks = [asyncio.create_task(uplink.run()), asyncio.create_task(self.telemetry.run())]
        try:
            yield uplink
        finally:
            for task in tasks:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


@contextlib.asynccontextmanager
async def watching(mosquitto: Mosquitto, name: str = "watcher") -> AsyncIterator[list[Message]]:
    seen: list[Message] = []
    async with connect(parse_url(mosquitto.url), name) as watcher:
        await watcher.subscribe("pos/v1/#", seen.append, qos=0)
        yield seen


def of(seen: list[Message], end: str) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in seen if message.topic == f"pos/v1/till-3/{end}"]


def alarms(seen: list[Message]) -> list[tuple[str, bool]]:
    """Each alarm's messages in order: its type, and whether it was raised."""
    stem = "pos/v1/till-3/alarm/"
    return [(each.topic.removeprefix(stem), bool(each.payload)) for each in seen if each.topic.startswith(stem)]


async def retained(mosquitto: Mosquitto) -> set[str]:
    """The topics that the broker holds something of."""
    async with watching(mosquitto, "late") as seen:
        await eventually(lambda: any(each.topic.endswith("/status") for each in seen))
        await asyncio.sleep(0.2)
        return {each.topic.removeprefix("pos/v1/till-3/") for each in seen if each.retain}


async def test_status_and_measurements(mosquitto: Mosquitto) -> None:
    values: dict[str, Values] = {JOURNAL.name: {"journal_depth": 12}, SYSTEM.name: {"room": "enough"}}
    told = Told(values)
    told.made_of = {"software": "1.2.3"}
    async with watching(mosquitto) as seen:
        async with told.telling(mosquitto.url):
            await eventually(lambda: len(of(seen, "tele/system")) == 1 and len(of(seen, "tele/alarms")) == 1)
            (first,) = of(seen, "tele/journal")
            assert first["v"] == values[JOURNAL.name]
            assert (set(first), first["seq"]) == ({"ts", "clk", "seq", "v"}, 1)
            assert of(seen, "tele/alarms")[0]["v"] == {"alarms": "", "alarm_count": 0, "worst": None}
            assert of(seen, "info")[0]["software"] == "1.2.3"
            (status,) = of(seen, "status")
            assert (status["state"], status["boot_id"], status["connection"]) == ("online", told.clock.boot, 1)
        await eventually(lambda: [each["state"] for each in of(seen, "status")] == ["online", "offline"])
    async with watching(mosquitto) as seen:
        await eventually(lambda: len(seen) == 2)
        assert all(each.retain for each in seen)
        assert of(seen, "status")[0]["state"] == "offline"


async def test_changes_are_told_soon_and_at_a_bounded_rate(mosquitto: Mosquitto) -> None:
    told = Told({COUNTER.name: {"transactions": 0}})
    async with watching(mosquitto) as seen, told.telling(mosquitto.url):
        await eventually(lambda: len(of(seen, "tele/counter")) == 1)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while loop.time() - began_s < 1.5 * CHANGED_AFTER_S:
            told.values[COUNTER.name] = {"transactions": int(1000 * (loop.time() - began_s))}
            told.telemetry.notify()
            await asyncio.sleep(0.01)
        assert len(of(seen, "tele/counter")) <= 3
        last = told.values[COUNTER.name]
        await eventually(lambda: of(seen, "tele/counter")[-1]["v"] == last, 3 * CHANGED_AFTER_S)


async def test_what_only_drifts_waits_for_the_heartbeat(mosquitto: Mosquitto) -> None:
    told = Told({SYSTEM.name: {"up_s": 1, "room": "enough"}})
    async with watching(mosquitto) as seen, told.telling(mosquitto.url):
        await eventually(lambda: len(of(seen, "tele/system")) == 1)
        told.values[SYSTEM.name] = {"up_s": 100, "room": "enough"}
        told.telemetry.notify()
        await asyncio.sleep(2 * CHANGED_AFTER_S)
        assert len(of(seen, "tele/system")) == 1
        told.values[SYSTEM.name] = {"up_s": 101, "room": "low"}
        told.telemetry.notify()
        await eventually(lambda: len(of(seen, "tele/system")) == 2)


async def test_an_alarm_is_retained_until_it_is_over(mosquitto: Mosquitto) -> None:
    told = Told({SYSTEM.name: {"room": "low"}})
    async with watching(mosquitto) as seen, told.telling(mosquitto.url):
        await eventually(lambda: alarms(seen) == [("disk-low", True)])
        (alarm,) = of(seen, "alarm/disk-low")
        assert set(alarm) == {"ts", "clk", "since", "severity", "text", "v"}
        assert (alarm["severity"], alarm["text"]) == ("minor", "The disk is nearly full.")
        assert "alarm/disk-low" in await retained(mosquitto)
        told.values[SYSTEM.name] = {"room": "enough"}
        told.telemetry.notify()
        await eventually(lambda: alarms(seen) == [("disk-low", True), ("disk-low", False)])
        assert "alarm/disk-low" not in await retained(mosquitto)


async def test_an_alarm_keeps_its_beginning_over_a_restart_and_ends_after_it(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    book = tmp_path / "alarms.json"
    low: dict[str, Values] = {SYSTEM.name: {"room": "low", "clock_doubtful": True}}
    async with watching(mosquitto) as seen:
        told = Told(low, book)
        async with told.telling(mosquitto.url):
            await eventually(lambda: len(alarms(seen)) == 2)
            await eventually(book.exists)
        (before,) = of(seen, "alarm/disk-low")
        seen.clear()
        # The clock was set while the terminal was off; what the broker holds of a version before is nobody's.
        async with connect(parse_url(mosquitto.url), "earlier") as earlier:
            await earlier.publish("pos/v1/till-3/alarm/of-another-version", b"{}", retain=True)
        seen.clear()
        told = Told({SYSTEM.name: {"room": "low", "clock_doubtful": False}}, book)
        async with told.telling(mosquitto.url):
            await eventually(lambda: ("clock-off", False) in alarms(seen))
            await eventually(lambda: ("of-another-version", False) in alarms(seen))
            assert of(seen, "alarm/disk-low")[0]["since"] == before["since"]
    left = await retained(mosquitto)
    assert {topic for topic in left if topic.startswith("alarm/")} == {"alarm/disk-low"}


async def test_an_alarm_that_came_and_went_without_a_connection_is_told_afterwards(mosquitto: Mosquitto) -> None:
    told = Told({SYSTEM.name: {"room": "low"}})
    async with watching(mosquitto) as seen:
        looking = asyncio.create_task(told.telemetry.run())
        await eventually(lambda: bool(told.book.raised))
        told.values[SYSTEM.name] = {"room": "enough"}
        told.telemetry.notify()
        await eventually(lambda: not told.book.raised)
        looking.cancel()
        async with told.telling(mosquitto.url):
            await eventually(lambda: alarms(seen) == [("disk-low", True), ("disk-low", False)])


async def test_a_terminal_that_is_cut_off_is_told_offline_by_its_will(mosquitto: Mosquitto) -> None:
    will = Told({}).telemetry.will(7)
    assert will.topic == "pos/v1/till-3/status"
    assert will.delay_s == WILL_DELAY_S
    sockets: list[socket.socket] = []

    async def dial_and_keep(where: Broker) -> socket.socket:
        sockets.append(await dial(where))
        return sockets[-1]

    async with watching(mosquitto) as seen:
        hurried, broker = replace(will, delay_s=1), parse_url(mosquitto.url)
        with contextlib.suppress(ConnectionLost):
            async with connect(broker, "till-3", will=hurried, dial=dial_and_keep) as till:
                sockets[0].shutdown(socket.SHUT_RDWR)
                await till.lost()
        offline = {"state": "offline", "connection": 7}
        await eventually(lambda: any(offline.items() <= each.items() for each in of(seen, "status")))


async def test_two_of_one_name_are_an_alarm_at_both(mosquitto: Mosquitto) -> None:
    first, second = Told({}), Told({})
    async with watching(mosquitto) as seen, first.telling(mosquitto.url), second.telling(mosquitto.url):
        await eventually(lambda: ("identity-clash", True) in alarms(seen), 40.0)
        assert of(seen, "alarm/identity-clash")[0]["v"]["times"] >= 2


async def test_a_terminal_that_restarts_is_not_its_own_namesake(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with watching(mosquitto) as seen:
        for _ in range(3):
            told = Told({LINK.name: {}})
            async with told.telling(mosquitto.url):
                await eventually(lambda: bool(of(seen, "tele/link")))
                async with connect(parse_url(mosquitto.url), "till-3"):  # thrown out, and back again
                    seen.clear()
                await eventually(lambda: bool(of(seen, "tele/link")))
                assert of(seen, "tele/link")[-1]["v"] == {"taken_over": 0}
            seen.clear()


async def test_card_numbers_leave_in_nothing_that_is_told(mosquitto: Mosquitto) -> None:
    card = "4111111111111111"
    told = Told({COUNTER.name: {"mode": card, "drawers_forced": card}})
    told.made_of = {"shop": f"Shop {card}"}
    async with watching(mosquitto) as seen, told.telling(mosquitto.url):
        await eventually(
            lambda: bool(of(seen, "alarm/drawer-forced") and of(seen, "info") and of(seen, "tele/counter"))
        )
        assert not [each for each in seen if card.encode() in each.payload]
