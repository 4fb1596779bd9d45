"""`terminald devices` beside a daemon and without one, on a bus of umockdev's."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from terminald.cli import CANNOT, FINDING
from terminald.config import load
from terminald.direct import InUse, opened
from tests.countertop import PATIENCE_S, Countertop, countertop
from tests.plugs import Bus, is_installed, usb_bus

pytestmark = pytest.mark.skipif(not is_installed(), reason="umockdev is not installed (apt install libumockdev0)")

DESK = '[device.desk]\ndriver = "scanner-serial"\nvendor = "05e0:1701"\n'
ZEBRA, HONEYWELL = "05e0:1701", "0c2e:0b61"


class Shell:
    """Runs `terminald devices` as a technician does."""

    def __init__(self, counter: Countertop, bus: Bus) -> None:
        self.counter = counter
        self.bus = bus

    async def configure(self, tables: str) -> None:
        with self.counter.layout.config.open("a") as file:
            file.write(tables)

    async def start(self) -> None:
        self.counter.environment = self.bus.environment
        await self.counter.start("drawer")

    async def begin(self, *words: str) -> asyncio.subprocess.Process:
        command = ["-m", "terminald", "devices", *words, "--config", str(self.counter.layout.config)]
        environment = os.environ | self.bus.environment
        return await asyncio.create_subprocess_exec(sys.executable, *command, stdout=PIPE, stderr=PIPE, env=environment)

    async def run(self, *words: str) -> tuple[int | None, str]:
        """Its status, and what it prints on both streams."""
        process = await self.begin(*words)
        async with asyncio.timeout(PATIENCE_S):
            out, err = await process.communicate()
        return process.returncode, out.decode() + err.decode()

    async def json(self, *words: str) -> dict[str, object]:
        found: dict[str, object] = json.loads((await self.run(*words, "--json"))[1])
        return found

    async def ready(self, name: str) -> None:
        await self.counter.see(
            lambda view: any(d.name == name and d.phase == "ready" for d in view.devices), f"{name} ready"
        )


@pytest_asyncio.fixture
async def shell(tmp_path: Path) -> AsyncIterator[Shell]:
    async with usb_bus(tmp_path) as bus, countertop(tmp_path / "shop", ("drawer",), start=False) as counter:
        yield Shell(counter, bus)


async def test_list_and_test_beside_the_daemon(shell: Shell) -> None:
    await shell.configure(DESK)
    await shell.start()
    await shell.bus.plug("a", "acm", ZEBRA, serial="Z-77", port="1.4")
    await shell.ready("desk")
    await shell.bus.send("a", b"4006381333931\r")
    await shell.counter.see(lambda view: any(d.detail.get("reads") == 1 for d in view.devices), "a read")
    status, shown = await shell.run("list")
    assert status == 0
    assert "identity=Maker_1701_Z-77" in shown
    assert max(map(len, shown.splitlines())) <= 80
    assert "at=pci-0:usb-0:1.4:1.0" in shown
    assert "reads=1" in shown
    assert await shell.json("test", "desk") == {
        "name": "desk", "works": True, "fault": None, "remedy": "", "through": "daemon"
    }  # fmt: skip
    await shell.bus.unplug("a")
    await shell.counter.see(lambda view: any(d.phase == "absent" for d in view.devices), "its absence")
    status, shown = await shell.run("test", "desk")
    assert status == FINDING
    assert "device-" in shown
    for name in ("dask", "4111111111111111"):
        status, shown = await shell.run("test", name)
        assert status == CANNOT
        assert "device-not-known" in shown
        assert "4111" not in shown


async def test_list_and_test_without_a_daemon(shell: Shell) -> None:
    await shell.configure(DESK + '[device.till]\ndriver = "scanner-serial"\npath = "nowhere"\n')
    await shell.bus.plug("a", "acm", ZEBRA, serial="Z-77")
    said = await shell.json("list")
    devices = {device["name"]: device for device in said["devices"]}  # type: ignore[attr-defined]
    assert said["running"] is False
    assert {name: device["phase"] for name, device in devices.items()} == {
        "drawer": "not-looked-at", "desk": "plugged-in", "till": "absent"
    }  # fmt: skip
    assert devices["desk"]["place"] == "pci-0:usb-0:1.1:1.0"
    assert (await shell.json("test", "desk"))["works"] is True
    tried = await shell.json("test", "till")
    assert (tried["works"], tried["fault"], tried["through"]) == (False, "device-absent", "driver")
    status, shown = await shell.run("test", "dask")
    assert status == CANNOT
    assert "there are: drawer, desk, till" in shown


async def test_one_program_at_a_time_has_a_device(shell: Shell) -> None:
    await shell.configure('[device.desk]\ndriver = "scanner-serial"\npath = "../bench/scanner"\n')
    shell.counter.bench.scanner.plug()
    config = load(shell.counter.layout.config)
    async with opened(config, "desk", lambda _: None):
        status, shown = await shell.run("test", "desk")
        assert status == CANNOT
        assert "another program" in shown
        with pytest.raises(InUse):
            async with opened(config, "desk", lambda _: None):
                pass
    assert (await shell.run("test", "desk"))[0] == 0


async def test_what_is_suggested_is_a_table_that_works(shell: Shell) -> None:
    await shell.bus.plug("a", "keyboard", HONEYWELL, serial="S1", port="1.1")
    await shell.bus.plug("b", "acm", "1234:5678", port="1.2")
    await shell.bus.plug("c", "keyboard", "046d:c31c", port="1.3")
    suggested = (await shell.json("suggest"))["devices"]
    assert isinstance(suggested, list)
    by_path = {each["port_path"]: each for each in suggested}
    assert len(by_path) == 3
    assert "works without a table" in by_path["pci-0:usb-0:1.1:1.0"]["table"]
    assert "nobody can type on it" in by_path["pci-0:usb-0:1.3:1.0"]["table"]
    unknown = by_path["pci-0:usb-0:1.2:1.0"]
    assert (unknown["driver"], unknown["vendor"], unknown["maker"]) == ("scanner-serial", "1234", "")
    await shell.configure(unknown["table"] + "\n" + by_path["pci-0:usb-0:1.1:1.0"]["table"] + "\n")
    await shell.start()
    await shell.ready(unknown["name"])
    await shell.ready("scanner-s1")
    left = (await shell.json("suggest"))["devices"]
    assert isinstance(left, list)
    assert [each["port_path"] for each in left] == ["pci-0:usb-0:1.3:1.0"]


async def test_nothing_is_plugged_in(shell: Shell) -> None:
    status, shown = await shell.run("suggest")
    assert (status, shown.strip()) == (0, "# Nothing is plugged in that no table has.")


async def test_watch_tells_each_change(shell: Shell) -> None:
    status, shown = await shell.run("watch")
    assert status == FINDING
    assert "control.sock" in shown
    await shell.start()
    watching = await shell.begin("watch", "--json")
    assert watching.stdout is not None
    try:
        async with asyncio.timeout(PATIENCE_S):
            assert json.loads(await watching.stdout.readline())["name"] == "drawer"
            await shell.bus.plug("a", "acm", ZEBRA, serial="Z-77")
            phases: list[str] = []
            while phases[-1:] != ["ready"]:
                told = json.loads(await watching.stdout.readline())
                phases += [told["phase"]] if told["name"] == "scanner-z-77" else []
            await shell.bus.unplug("a")
            while phases[-1:] != ["absent"]:
                told = json.loads(await watching.stdout.readline())
                phases += [told["phase"]] if told["name"] == "scanner-z-77" else []
    finally:
        watching.terminate()
        await watching.communicate()
