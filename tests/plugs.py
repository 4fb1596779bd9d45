"""A USB bus of the tests' own, by umockdev: devices are plugged in and pulled out under a real daemon's nose."""

import asyncio
import contextlib
import ctypes
import os
import shutil
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

from tests.drivers.typing_scanner import Keys, typed
from tests.shim.boundary import built

PRELOAD = "libumockdev-preload.so.0"
GUARD = Path(__file__).with_name("drivers") / "umockdev_guard.c"
WAIT_S = 12.0
_EVENT = struct.Struct("@llHHi")
"""struct input_event: seconds, microseconds, type, code, value [linux/input.h]."""


def is_installed() -> bool:
    """Whether umockdev can run here, and what guards a process before it can be built."""
    try:
        ctypes.CDLL("libumockdev.so.0")
    except OSError:
        return False
    return shutil.which("cc") is not None or shutil.which("gcc") is not None


def preload() -> str:
    """What a process is started with to see a testbed: LD_PRELOAD."""
    return f"{built(GUARD)} {PRELOAD}"


class Bus:
    """The testbed's process. `environment` is that of a daemon which is to see this bus and no other."""

    def __init__(self, testbed: Process, root: str) -> None:
        self._testbed = testbed
        self.environment = {"LD_PRELOAD": preload(), "UMOCKDEV_DIR": root}

    async def plug(
        self, name: str, kind: str, usb_id: str = "0c2e:0b61", *, serial: str = "-", port: str = "1.1"
    ) -> None:
        """Plugs in a device; `kind` is ``keyboard``, ``hidraw`` or ``acm``."""
        vendor, _, product = usb_id.partition(":")
        await self._command("plug", name, kind, vendor, product, serial, port)

    async def unplug(self, name: str) -> None:
        """Pulls its cable."""
        await self._command("unplug", name)

    async def vanish(self, name: str) -> None:
        """udev says that it went, and whoever has it open hears nothing."""
        await self._command("vanish", name)

    async def send(self, name: str, data: bytes) -> None:
        """A serial device sends bytes."""
        await self._command("send", name, data.hex())

    async def type(self, name: str, text: str, layout: str = "us") -> None:
        """A keyboard types, and presses Enter."""
        await self.press(name, typed(text, layout))

    async def press(self, name: str, keys: Keys) -> None:
        """A keyboard's keys go down and up."""
        events = b"".join(_EVENT.pack(0, 0, 1, key, down) + _EVENT.pack(0, 0, 0, 0, 0) for key, down in keys)
        await self._command("send", name, events.hex())

    async def _command(self, *words: str) -> None:
        assert self._testbed.stdin is not None
        assert self._testbed.stdout is not None
        self._testbed.stdin.write((" ".join(words) + "\n").encode())
        async with asyncio.timeout(WAIT_S):
            answer = await self._testbed.stdout.readline()
        assert answer == b"done\n", f"the testbed ended at: {' '.join(words)}"


@contextlib.asynccontextmanager
async def usb_bus(folder: Path) -> AsyncIterator[Bus]:
    """A bus with nothing on it. `folder` exists, and is its own."""
    environment = os.environ | {"LD_PRELOAD": preload(), "PYTHONPATH": ".", "UMOCKDEV_GUARD_WAITS": "1"}
    program = "tests/drivers/umockdev_plugs.py"
    testbed = await asyncio.create_subprocess_exec(
        sys.executable, program, str(folder), stdin=PIPE, stdout=PIPE, env=environment
    )
    assert testbed.stdout is not None
    try:
        async with asyncio.timeout(WAIT_S):
            root = (await testbed.stdout.readline()).decode().strip()
        yield Bus(testbed, root)
    finally:
        if testbed.returncode is None:
            testbed.kill()
        await testbed.communicate()
