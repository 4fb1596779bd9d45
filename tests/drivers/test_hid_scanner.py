"""The keyboard scanner's driver on an evdev node that umockdev makes: real evdev, real ioctls, real udev messages."""

import asyncio
import ctypes.util
import json
import os
import random
import struct
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.ports import ProtocolError
from drivers.hid_scanner import HidScanner
from drivers.options import HidScannerOptions
from tests.drivers.support import WAIT_S, Events, HostClock, Manner
from tests.drivers.typing_scanner import CAPS_LOCK, ENTER, LEFT_SHIFT, Keys, press, typed
from tests.drivers.umockdev_testbed import NODE

GAP_S = 0.1
"""As hid_child has it."""
PRELOAD = "libumockdev-preload.so.0"
EV_SYN, EV_KEY, SYN_REPORT, SYN_DROPPED = 0, 1, 0, 3


def _is_installed() -> bool:
    try:
        ctypes.CDLL("libumockdev.so.0")
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _is_installed(), reason="umockdev is not installed (apt install libumockdev0)")


class Bench:
    """The testbed's process and that of the driver."""

    def __init__(self, testbed: Process, root: str) -> None:
        self._testbed = testbed
        self._root = root
        self.driver: Process | None = None

    async def start(self, path: str = NODE, layout: str = "auto") -> dict[str, object]:
        self.driver = await _python("tests/drivers/hid_child.py", path, layout, UMOCKDEV_DIR=self._root)
        return await self.said()

    async def said(self) -> dict[str, object]:
        """The driver's next line."""
        assert self.driver is not None
        assert self.driver.stdout is not None
        found: dict[str, object] = json.loads(await _line(self.driver.stdout))
        return found

    async def command(self, *words: str) -> str:
        """What the testbed answers, without its ``done``."""
        assert self._testbed.stdin is not None
        assert self._testbed.stdout is not None
        self._testbed.stdin.write((" ".join(words) + "\n").encode())
        answer = (await _line(self._testbed.stdout)).decode().split()
        assert answer.pop() == "done"
        return " ".join(answer)

    async def type(self, text: str, layout: str = "us", end: Keys | None = None) -> None:
        await self.press(typed(text, layout, end))

    async def press(self, keys: Keys) -> None:
        await self.command("keys", b"".join(_key(*key) for key in keys).hex())


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    testbed = await _python("tests/drivers/umockdev_testbed.py", str(tmp_path))
    assert testbed.stdout is not None
    made = Bench(testbed, (await _line(testbed.stdout)).decode().strip())
    yield made
    for process in (made.driver, testbed):
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_a_typed_code_is_a_scan(bench: Bench) -> None:
    assert await bench.start(layout="us") == {"opened": "ACME_Scanner_S123"}
    await bench.type("]E04006381333931")
    assert await bench.said() == {"type": "scanned", "device": "scanner", "data": "4006381333931", "aim": "E0"}
    await bench.type('Az:/~"{|?&')
    assert await bench.said() == {"type": "scanned", "device": "scanner", "data": 'Az:/~"{|?&'}


@pytest.mark.parametrize("layout", ["us", "fr", "de", "cz"])
async def test_a_scanner_of_any_layout_works_at_once(bench: Bench, layout: str) -> None:
    await bench.start()
    await bench.type("4006381333931", layout)
    assert (await bench.said())["data"] == "4006381333931"
    await bench.type("https://id.gs1.org/01/04006381333931/10/AB-12", layout)
    assert (await bench.said())["data"] == "https://id.gs1.org/01/04006381333931/10/AB-12"


async def test_caps_lock_is_the_scanners_own_and_shown_as_a_host_shows_it(bench: Bench) -> None:
    await bench.start(layout="us")
    assert await bench.command("lights") == "off"
    await bench.press(press(CAPS_LOCK))
    await bench.type("abc", end=press(ENTER))
    assert (await bench.said())["data"] == "ABC"
    assert await bench.command("lights") == "on"


async def test_fnc1_typed_as_a_control_key(bench: Bench) -> None:
    await bench.start(layout="us")
    await bench.type("10A\x1d17261231")
    assert (await bench.said())["data"] == "10A\x1d17261231"


async def test_a_fragment_is_told_and_never_prefixes_the_next(bench: Bench) -> None:
    await bench.start()
    await bench.type("400638", end=[])
    assert await bench.said() == {"type": "scan_garbled", "device": "scanner", "fault": "torn", "length": 6}
    await bench.type("90311017")
    assert (await bench.said())["data"] == "90311017"


async def test_after_a_dropped_packet_the_rest_of_the_code_is_no_code(bench: Bench) -> None:
    await bench.start(layout="us")
    dropped = _event(EV_SYN, SYN_DROPPED, 0) + _event(EV_KEY, LEFT_SHIFT, 1) + _event(EV_SYN, SYN_REPORT, 0)
    code, rest = (b"".join(_key(*key) for key in keys) for keys in (typed("400638", end=[]), typed("3931")))
    await bench.command("keys", (code + dropped + rest).hex())
    assert await bench.said() == {"type": "scan_garbled", "device": "scanner", "fault": "torn", "length": 6}
    await bench.type("bcd")
    # In lower case: the shift key that went down in the lost part is not held by the device.
    assert (await bench.said())["data"] == "bcd"


@pytest.mark.parametrize("manner", ["plain", "bytewise", "lossy", "delayed"])
async def test_a_hostile_cable_spoils_no_code(bench: Bench, manner: Manner) -> None:
    """In single bytes, late, or with packets that the kernel says it dropped: whole codes, or a word that one was torn."""
    await bench.start(layout="us")
    rng = random.Random(5)
    codes = ["4006381333931", "036000291452", "AZ-19/x", "90311017"] * 3
    for code in codes[:2] if manner == "bytewise" else codes:
        events = [_key(*key) for key in typed(code)]
        if manner == "lossy":
            first = rng.randrange(len(events) - 2)
            del events[first : first + rng.randrange(1, 12)]
            events.insert(first, _event(EV_SYN, SYN_DROPPED, 0) + _event(EV_SYN, SYN_REPORT, 0))
        wire = b"".join(events)
        size = {"bytewise": 1, "delayed": 96}.get(manner, len(wire))
        for at in range(0, len(wire), size):
            await bench.command("keys", wire[at : at + size].hex())
            if manner == "delayed":
                await asyncio.sleep(0.005)
        said = await bench.said()
        if manner == "lossy":
            # Where the terminator was lost too, the pause tells that nothing more comes.
            assert (said["type"], said.get("fault")) == ("scan_garbled", "torn")
            await asyncio.sleep(2 * GAP_S)
        else:
            assert said["data"] == code


async def test_a_pulled_scanner_is_gone_and_its_return_is_noticed(bench: Bench) -> None:
    await bench.start()
    await bench.type("90311017")
    await bench.said()
    await bench.command("hangup")
    assert await bench.said() == {"fault": "device-gone"}
    facts = (await bench.said())["facts"]
    assert isinstance(facts, dict)
    assert (facts["reads"], facts["bad_reads"]) == (1, 0)
    await bench.command("add")
    assert await bench.said() == {"plugged": True}


async def test_nothing_there_is_absent(bench: Bench) -> None:
    assert await bench.start("/dev/input/event6") == {"fault": "device-absent"}


async def test_a_node_that_is_no_input_device() -> None:
    driver = HidScanner("scanner", HidScannerOptions(path=Path("/dev/null")), Events().append, HostClock())
    with pytest.raises(ProtocolError):
        await driver.open()
    driver.close()


def _event(kind: int, code: int, value: int) -> bytes:
    return struct.pack("@llHHi", 0, 0, kind, code, value)


def _key(code: int, value: int) -> bytes:
    return _event(EV_KEY, code, value) + _event(EV_SYN, SYN_REPORT, 0)


async def _python(*arguments: str, **variables: str) -> Process:
    """A Python of our own, from the root of the project, under umockdev's library."""
    environment = os.environ | {"LD_PRELOAD": PRELOAD, "PYTHONPATH": "."} | variables
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=environment)


async def _line(stream: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(4 * WAIT_S):
        return await stream.readline()
