"""What the drivers' tests share: real time, a place for events, and cables that treat bytes badly."""

import asyncio
import os
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest

from core.events import DeviceEvent
from core.ledger import ClockQuality, Stamp
from core.ports import Device, DeviceError
from drivers.simulated.cable import Cable, Receive

WAIT_S = 3.0
"""The longest that a test waits for something that should happen at once."""
FAILURE_WAIT_S = 10.0
"""The longest until a driver has found out that its device hangs."""


class HostClock:
    """The host's time (core.ports.Clock)."""

    def stamp(self) -> Stamp:
        return Stamp(time_ms=time.time_ns() // 1_000_000, clock=ClockQuality.UNSYNCED, boot="test", mono_ms=0)

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class Served:
    """A driver as its supervisor has it: opened, then served by a task until it fails."""

    def __init__(self, driver: Device) -> None:
        self._driver = driver
        self._serving: asyncio.Task[None] | None = None

    async def open(self) -> None:
        await self._driver.open()
        self._serving = asyncio.create_task(self._driver.serve(), name="serve")

    async def failure(self) -> DeviceError:
        """What `serve` raised, once it did."""
        assert self._serving is not None
        with pytest.raises(DeviceError) as raised:
            async with asyncio.timeout(FAILURE_WAIT_S):
                await self._serving
        return raised.value

    async def close(self) -> None:
        self._driver.close()
        if self._serving is not None:
            await asyncio.wait((self._serving,))
            self._serving.exception()


class Events(list[DeviceEvent]):
    """What a driver emitted: pass `append` as its Emit."""

    async def reach(self, count: int) -> list[DeviceEvent]:
        """Waits until there are `count`; gives what is there."""
        await until(lambda: len(self) >= count)
        return self


async def until(holds: Callable[[], bool], within_s: float = WAIT_S) -> None:
    """Waits until it holds; the test fails after `within_s`."""
    async with asyncio.timeout(within_s):
        while not holds():
            await asyncio.sleep(0.002)


Manner = Literal["plain", "bytewise", "lossy", "delayed"]


class HostileCable:
    """Wraps a far end's cable: what passes, either way, comes in single bytes, with losses, or late."""

    def __init__(self, make: Callable[[Receive], Cable], receive: Receive, manner: Manner, seed: int) -> None:
        self._chance = random.Random(seed)
        self._manner = manner
        self._receive = receive
        self._cable = make(self._on_bytes)

    @property
    def plugged(self) -> bool:
        return self._cable.plugged

    def plug(self) -> None:
        self._cable.plug()

    def unplug(self) -> None:
        self._cable.unplug()

    def deaf(self, is_deaf: bool) -> None:
        self._cable.deaf(is_deaf)

    def close(self) -> None:
        self._cable.close()

    def send(self, data: bytes) -> None:
        self._pass(data, self._cable.send)

    def _on_bytes(self, data: bytes) -> None:
        self._pass(data, self._receive)

    def _pass(self, data: bytes, onwards: Receive) -> None:
        match self._manner:
            case "plain":
                onwards(data)
            case "bytewise":
                for byte in data:
                    onwards(bytes((byte,)))
            case "lossy":
                kept = bytes(byte for byte in data if self._chance.random() > 0.02)
                if kept:
                    onwards(kept)
            case "delayed":
                asyncio.get_running_loop().call_later(0.02, onwards, data)


def ignore(data: bytes) -> None:
    """A Receive that wants nothing."""


def processes_that_mention(text: str) -> list[int]:
    """The ids of the living processes, ours left out, that have `text` in their arguments or their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            said = (folder / "cmdline").read_bytes() + (folder / "environ").read_bytes()
            state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
        except (OSError, IndexError):
            continue
        if text.encode() in said and state != "Z" and int(folder.name) != os.getpid():
            found.append(int(folder.name))
    return found
