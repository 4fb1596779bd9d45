"""The drivers of card readers on what umockdev makes: a hidraw node with its real ioctls, and a device on USB with the real
libusb and pyusb; udev's messages are real too.
"""

import asyncio
import ctypes.util
import json
import os
import re
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drivers.simulated.msr import magtek_report
from tests.drivers.hidraw_testbed import NODE
from tests.drivers.support import WAIT_S

LOYALTY = {1: b"%B6006490000000004^MEMBER/A^4912?", 2: b";6006490000000004=4912?"}
# A number that stands in no docstring of ours: the whole memory is searched for it.
PAYMENT = {1: b"%B4012888888881881^TEST/CARD^29121010000000000?", 2: b";4012888888881881=29121010000000000?"}
MEMBER = {"swiped": "loyalty", "number": "6006490000000004"}


def _is_installed() -> bool:
    try:
        ctypes.CDLL("libumockdev.so.0")
    except OSError:
        return False
    return True


pytestmark = pytest.mark.skipif(not _is_installed(), reason="umockdev is not installed (apt install libumockdev0)")


HIDRAW: tuple[str, dict[str, object], str, str] = ("msr-hidraw", {"path": NODE}, "Mag-Tek_Reader_B35F1F1", "hangup")
USB: tuple[str, dict[str, object], str, str] = ("msr-usb", {"vendor": 0x0801}, "usb-0801:0002 B35F1F1", "remove")


class Bench:
    """The testbed's process and that of the driver."""

    def __init__(self, testbed: Process, root: str, how: tuple[str, dict[str, object], str, str]) -> None:
        self._how, self._table, self.identity, self._pull = how
        self._testbed = testbed
        self._root = root
        self.driver: Process | None = None

    async def start(self, **table: object) -> dict[str, object]:
        """Starts the driver, and says what it says first."""
        arguments = ("tests/drivers/msr_child.py", self._how, json.dumps(self._table | table))
        self.driver = await _python(*arguments, UMOCKDEV_DIR=self._root)
        return await self.said()

    async def said(self) -> dict[str, object]:
        """The driver's next line."""
        assert self.driver is not None
        assert self.driver.stdout is not None
        found: dict[str, object] = json.loads(await _line(self.driver.stdout))
        return found

    async def command(self, *words: str) -> None:
        assert self._testbed.stdin is not None
        assert self._testbed.stdout is not None
        self._testbed.stdin.write((" ".join(words) + "\n").encode())
        assert await _line(self._testbed.stdout) == b"done\n"

    async def pull(self) -> None:
        await self.command(self._pull)

    async def swipe(self, report: bytes) -> dict[str, object]:
        await self.command("report", report.hex())
        return await self.said()


@pytest_asyncio.fixture(params=["hidraw", "usb"])
async def bench(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Bench]:
    testbed = await _python(f"tests/drivers/{request.param}_testbed.py", str(tmp_path))
    assert testbed.stdout is not None
    made = Bench(testbed, (await _line(testbed.stdout)).decode().strip(), HIDRAW if request.param == "hidraw" else USB)
    yield made
    for process in (made.driver, testbed):
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()


async def test_swipes(bench: Bench) -> None:
    assert await bench.start() == {"opened": bench.identity}
    assert await bench.swipe(magtek_report(LOYALTY)) == MEMBER
    assert await bench.swipe(magtek_report(PAYMENT)) == {"payment": True, "last": ""}
    assert await bench.swipe(magtek_report({}, failed=(1, 2))) == {"garbled": "unreadable", "track": 1}
    assert await bench.swipe(magtek_report(LOYALTY)) == MEMBER


@pytest.mark.parametrize("bench", ["hidraw"], indirect=True)
async def test_a_report_in_pieces(bench: Bench) -> None:
    await bench.start()
    report = magtek_report(LOYALTY)
    await bench.command("report", report[:100].hex())
    assert await bench.swipe(report[100:]) == MEMBER
    assert await bench.swipe(report[:100]) == {"garbled": "torn", "track": 0}
    assert await bench.swipe(report) == MEMBER


async def test_a_pulled_reader_is_gone_and_its_return_is_noticed(bench: Bench) -> None:
    await bench.start()
    await bench.swipe(magtek_report(LOYALTY))
    await bench.pull()
    assert await bench.said() == {"fault": "device-gone"}
    assert await bench.said() == {"facts": {"reads": 1, "bad_reads": 0}}
    await bench.command("add")
    assert await bench.said() == {"plugged": True}


@pytest.mark.parametrize("bench", ["usb"], indirect=True)
async def test_pulled_again_and_again_it_leaves_nothing_behind(bench: Bench) -> None:
    assert await bench.start() == {"opened": bench.identity}
    assert bench.driver is not None
    counts = []
    for turn in range(10):
        assert await bench.swipe(magtek_report(LOYALTY)) == MEMBER
        counts.append([len(os.listdir(f"/proc/{bench.driver.pid}/{what}")) for what in ("fd", "task")])
        await bench.pull()
        assert await bench.said() == {"fault": "device-gone"}
        assert await bench.said() == {"facts": {"reads": turn + 1, "bad_reads": 0}}
        await bench.command("add")
        assert await bench.said() == {"plugged": True}
        assert await bench.said() == {"opened": bench.identity}
    # The first threads are those of the pool that the opening uses; it grows to what it needs, and no further.
    assert counts[-1] == counts[len(counts) // 2]


@pytest.mark.parametrize("bench", ["usb"], indirect=True)
async def test_another_product_or_serial_number_is_not_ours(bench: Bench) -> None:
    assert await bench.start(serial="B000001") == {"fault": "device-absent"}
    assert bench.driver is not None
    await bench.driver.communicate()
    assert await bench.start(product=2, serial="B35F1F1") == {"opened": bench.identity}


async def test_a_refused_card_is_left_nowhere_in_the_drivers_memory(bench: Bench) -> None:
    """Its whole memory is searched, the kernel's buffers alone left out; a member's number is found there, so it would."""
    await bench.start()
    await bench.swipe(magtek_report(PAYMENT))
    await bench.swipe(magtek_report({2: b";7006490000001234=?"}))
    assert bench.driver is not None
    assert _in_memory(bench.driver.pid, b"4012888888881881") == 0
    assert _in_memory(bench.driver.pid, b"7006490000001234") == 0
    await bench.swipe(magtek_report(LOYALTY))
    assert _in_memory(bench.driver.pid, b"6006490000000004") > 0


def _in_memory(pid: int, wanted: bytes) -> int:
    """How often bytes stand in what a process of ours can write."""
    count = 0
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            area = re.match(r"([0-9a-f]+)-([0-9a-f]+) rw", line)
            if area is None:
                continue
            start, end = int(area[1], 16), int(area[2], 16)
            memory.seek(start)
            count += memory.read(end - start).count(wanted)
    return count


async def _python(*arguments: str, **variables: str) -> Process:
    """A Python of our own, from the root of the project, under umockdev's library."""
    environment = os.environ | {"LD_PRELOAD": "libumockdev-preload.so.0", "PYTHONPATH": "."} | variables
    return await asyncio.create_subprocess_exec(sys.executable, *arguments, stdin=PIPE, stdout=PIPE, env=environment)


async def _line(stream: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(4 * WAIT_S):
        return await stream.readline()
