"""Status and measurements on a real broker, as any other tool reads them."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from terminald.broker import Message, parse_url
from terminald.clock import SystemClock
from terminald.mqtt import connect
from terminald.telemetry import CHANGED_AFTER_S, Telemetry
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.tills import eventually


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path) as broker:
        yield broker


@contextlib.asynccontextmanager
async def watching(mosquitto: Mosquitto) -> AsyncIterator[list[Message]]:
    seen: list[Message] = []
    async with connect(parse_url(mosquitto.url), "watcher") as watcher:
        await watcher.subscribe("pos/v1/#", seen.append, qos=0)
        yield seen


@contextlib.asynccontextmanager
async def telling(telemetry: Telemetry, mosquitto: Mosquitto) -> AsyncIterator[asyncio.Task[None]]:
    uplink = Uplink(
        brokers=[parse_url(mosquitto.url)], client_id="till-3", users=[telemetry], clock=SystemClock(), random=Random(1),
        will=telemetry.will,
    )  # fmt: skip
    task = asyncio.create_task(uplink.run(), name="uplink")
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def of(seen: list[Message], end: str) -> list[dict[str, Any]]:
    return [json.loads(message.payload) for message in seen if message.topic == f"pos/v1/till-3/{end}"]


async def test_status_and_measurements(mosquitto: Mosquitto) -> None:
    clock = SystemClock()
    facts: dict[str, str | int] = {"journal_depth": 12, "device_scanner": "ready"}
    telemetry = Telemetry(terminal="till-3", boot=clock.boot, facts=lambda: facts, clock=clock)
    async with watching(mosquitto) as seen:
        async with telling(telemetry, mosquitto):
            await eventually(lambda: len(of(seen, "tele/till")) == 1)
            (first,) = of(seen, "tele/till")
            assert first["v"] == facts
            assert (set(first), first["seq"]) == ({"ts", "clk", "seq", "v"}, 1)
            (status,) = of(seen, "status")
            assert (status["state"], status["boot_id"], status["connection"]) == ("online", clock.boot, 1)
        await eventually(lambda: [each["state"] for each in of(seen, "status")] == ["online", "offline"])
    async with watching(mosquitto) as seen:
        await eventually(lambda: len(seen) == 1)
        assert (seen[0].retain, of(seen, "status")[0]["state"]) == (True, "offline")


async def test_changes_are_told_soon_and_at_a_bounded_rate(mosquitto: Mosquitto) -> None:
    clock = SystemClock()
    count = 0

    def facts() -> dict[str, int]:
        return {"count": count}

    telemetry = Telemetry(terminal="till-3", boot=clock.boot, facts=facts, clock=clock)
    async with watching(mosquitto) as seen, telling(telemetry, mosquitto):
        await eventually(lambda: len(of(seen, "tele/till")) == 1)
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while loop.time() - began_s < 1.5 * CHANGED_AFTER_S:
            count += 1
            telemetry.notify()
            await asyncio.sleep(0.01)
        told = of(seen, "tele/till")
        assert len(told) == 2
        await eventually(lambda: of(seen, "tele/till")[-1]["v"] == {"count": count}, 2 * CHANGED_AFTER_S)


async def test_a_terminal_that_is_cut_off_is_told_offline_by_its_will(mosquitto: Mosquitto) -> None:
    clock = SystemClock()
    telemetry = Telemetry(terminal="till-3", boot=clock.boot, facts=dict, clock=clock)
    will = telemetry.will(7)
    assert will.topic == "pos/v1/till-3/status"
    assert json.loads(will.payload)["connection"] == 7
    async with watching(mosquitto) as seen, telling(telemetry, mosquitto):
        await eventually(lambda: len(of(seen, "status")) == 1)
        async with connect(parse_url(mosquitto.url), "till-3") as thief:  # the broker cuts the older of two namesakes
            offline = {"state": "offline", "connection": 1}
            await eventually(lambda: any(offline.items() <= each.items() for each in of(seen, "status")))
            assert thief.version == "5"
