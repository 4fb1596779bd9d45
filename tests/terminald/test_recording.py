"""`terminald devices record` and `replay`, beside a daemon and without one."""

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from demo import goods
from terminald.cli import CANNOT
from tests.countertop import NUTELLA, PATIENCE_S, Countertop, countertop, until
from tests.plugs import Bus, is_installed, usb_bus

PAN = "4111111111111111"
BARILLA = goods.by_gtin("8076800195057")
"""Cola's number could be a card's, and is masked."""


class Desk:
    """A counter, a shell beside it, and a file to record to."""

    def __init__(self, counter: Countertop, file: Path) -> None:
        self.counter = counter
        self.file = file
        self.bus: Bus | None = None

    async def begin(self, *words: str) -> Process:
        environment = os.environ | (self.bus.environment if self.bus is not None else {})
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "terminald", "devices", *words, stdin=PIPE, stdout=PIPE, stderr=PIPE, env=environment
        )

    async def record(self, name: str) -> Process:
        """Returns once it records."""
        config = str(self.counter.layout.config)
        process = await self.begin("record", name, str(self.file), "--json", "--config", config)
        await until(lambda: self.file.exists() and self.file.stat().st_size > 0, "the recording's heading")
        return process

    async def run(self, *words: str) -> tuple[int | None, str]:
        return await ended(await self.begin(*words))


async def ended(process: Process) -> tuple[int | None, str]:
    async with asyncio.timeout(PATIENCE_S):
        out, err = await process.communicate()
    return process.returncode, out.decode() + err.decode()


async def stopped(process: Process) -> dict[str, object]:
    """As with Ctrl-C."""
    process.send_signal(signal.SIGINT)
    status, said = await ended(process)
    assert status == 0, said
    found: dict[str, object] = json.loads(said)
    return found


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with countertop(tmp_path / "shop", ("scanner", "printer", "card"), start=False) as counter:
        yield Desk(counter, tmp_path / "scanner.jsonl")


async def test_what_a_scanner_sent_is_read_again(desk: Desk) -> None:
    await desk.counter.start()
    recording = await desk.record("scanner")
    await desk.counter.ring_up(goods.scan_bytes(NUTELLA), goods.scan_bytes(BARILLA))
    said = await stopped(recording)
    assert said["lost"] == 0
    status, events = await desk.run("replay", str(desk.file))
    assert status == 0, events
    assert [json.loads(line)["data"] for line in events.splitlines() if "scanned" in line] == [
        NUTELLA.gtin,
        BARILLA.gtin,
    ]


async def test_a_card_is_in_no_recording(desk: Desk) -> None:
    await desk.counter.start()
    recording = await desk.record("scanner")
    for byte in f"{PAN}\r".encode():
        desk.counter.bench.scanner.send(bytes((byte,)))
    await desk.counter.ring_up(goods.scan_bytes(NUTELLA))
    await stopped(recording)
    text = desk.file.read_text()
    traffic = b"".join(bytes.fromhex(json.loads(line)["data"]) for line in text.splitlines()[1:])
    assert PAN.encode() not in traffic
    assert b"************1111\r" in traffic


async def test_a_payment_device_is_not_recorded(desk: Desk) -> None:
    config = str(desk.counter.layout.config)
    for running in (False, True):
        if running:
            await desk.counter.start()
        status, said = await desk.run("record", "card", str(desk.file), "--config", config)
        assert status == CANNOT
        assert "not kept" in said or "device-not-recorded" in said
        assert not desk.file.exists()


async def test_a_printer_both_ways_without_a_daemon(desk: Desk) -> None:
    config = str(desk.counter.layout.config)
    status, said = await desk.run("record", "printer", str(desk.file), "--seconds", "2", "--config", config)
    assert status == 0, said
    sources = {json.loads(line)["source"] for line in desk.file.read_text().splitlines()[1:]}
    assert sources == {"device", "till"}, said


async def test_a_recording_is_a_device_for_the_daemon(desk: Desk, tmp_path: Path) -> None:
    desk.file.write_text(
        '{"recording":1,"device":"scanner","driver":"scanner-serial","started_ms":1}\n'
        + json.dumps({"at_ms": 20, "source": "device", "data": (goods.scan_bytes(NUTELLA) + b"\r").hex()})
    )
    desk.counter.bench.scanner.unplug()
    twin = await desk.begin("replay", str(desk.file), "--link", str(desk.counter.layout.bench / "scanner"))
    assert twin.stdout is not None
    assert twin.stdin is not None
    async with asyncio.timeout(PATIENCE_S):
        assert b"is the device" in await twin.stdout.readline()
    await desk.counter.start()
    twin.stdin.write(b"\n")
    await desk.counter.see(lambda view: len(view.sale.lines) == 1, "the recorded scan")
    await ended(twin)


async def test_no_file_is_written_over(desk: Desk) -> None:
    desk.file.write_text("kept")
    status, said = await desk.run("record", "scanner", str(desk.file), "--config", str(desk.counter.layout.config))
    assert (status, desk.file.read_text()) == (CANNOT, "kept")
    assert "is there already" in said


async def test_what_is_no_recording(desk: Desk) -> None:
    desk.file.write_text("nothing\n")
    status, said = await desk.run("replay", str(desk.file))
    assert status == CANNOT
    assert "line 1 is no line of a recording" in said


@pytest.mark.skipif(not is_installed(), reason="umockdev is not installed (apt install libumockdev0)")
async def test_a_keyboard_scanner(desk: Desk, tmp_path: Path) -> None:
    async with usb_bus(tmp_path) as desk.bus:
        with desk.counter.layout.config.open("a") as file:
            file.write('[device.wedge]\ndriver = "scanner-hid"\nserial = "W1"\n')
        desk.counter.environment = desk.bus.environment
        await desk.bus.plug("wedge", "keyboard", serial="W1")
        await desk.counter.start("wedge")
        recording = await desk.record("wedge")
        await desk.bus.type("wedge", NUTELLA.gtin)
        await desk.bus.type("wedge", PAN)
        await desk.bus.type("wedge", BARILLA.gtin)
        await desk.counter.see(lambda view: len(view.sale.lines) == 2, "two goods")
        await stopped(recording)
        status, events = await desk.run("replay", str(desk.file))
        assert status == 0, events
        read = [json.loads(line)["data"] for line in events.splitlines()]
        assert (read[0], read[-1], len(read)) == (NUTELLA.gtin, BARILLA.gtin, 3)
        assert PAN not in events
    desk.bus = None
