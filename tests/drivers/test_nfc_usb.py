"""NFC readers on USB: nfcpy with its own transport and the real libusb, on a usbdevfs that umockdev makes."""

import asyncio
import ctypes
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from drivers.codecs import ndef
from tests.drivers.usb_testbed import NODE

WAIT_S = 15.0
BADGE, CARD = "04a1b2c3d4e5f6", "08112233"
LOYALTY = ndef.text_message("loyalty:4711").hex()
LINK = ndef.uri_message("https://www.example.com").hex()


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

    async def start(self) -> dict[str, object]:
        """Starts the driver, and gives what it says first."""
        self.driver = await _python("tests/drivers/nfc_child.py", NODE, UMOCKDEV_DIR=self._root)
        return await self.said()

    async def open_again(self) -> dict[str, object]:
        assert self.driver is not None
        assert self.driver.stdin is not None
        self.driver.stdin.write(b"again\n")
        return await self.said()

    async def said(self) -> dict[str, object]:
        """The driver's next line."""
        assert self.driver is not None
        assert self.driver.stdout is not None
        found: dict[str, object] = json.loads(await _line(self.driver.stdout))
        return found

    async def far(self, *words: str) -> str:
        """A command to the testbed, and its answer."""
        assert self._testbed.stdin is not None
        assert self._testbed.stdout is not None
        self._testbed.stdin.write((" ".join(words) + "\n").encode())
        return (await _line(self._testbed.stdout)).decode().strip()

    async def take_away(self) -> None:
        """Takes the tag away and waits until tags are looked for again."""
        await self.far("take")
        before = int(await self.far("senses"))
        async with asyncio.timeout(WAIT_S):
            while int(await self.far("senses")) < before + 2:
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(params=["acr122u", "scl3711"])
async def bench(request: pytest.FixtureRequest) -> AsyncIterator[Bench]:
    testbed = await _python("tests/drivers/nfc_usb_testbed.py", request.param)
    assert testbed.stdout is not None
    made = Bench(testbed, (await _line(testbed.stdout)).decode().strip())
    yield made
    for process in (made.driver, testbed):
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()


def chipset(bench: Bench, opened: dict[str, object]) -> str:
    assert opened["opened"] == "pci-0:usb-0:1"
    return str(opened["chipset"])


async def test_tags_of_both_types_are_read(bench: Bench) -> None:
    assert chipset(bench, await bench.start()) in ("PN532v1.6", "PN533v2.7")
    await bench.far("type2", BADGE, LOYALTY)
    assert await bench.said() == {"uid": BADGE, "technology": "Type2Tag", "ndef": "loyalty:4711"}
    await bench.take_away()
    await bench.far("type4", CARD, LINK)
    assert await bench.said() == {"uid": CARD, "technology": "Type4Tag", "ndef": "https://www.example.com"}


async def test_a_tag_pulled_away_in_mid_read(bench: Bench) -> None:
    await bench.start()
    await bench.far("type2", BADGE, ndef.text_message("x" * 100).hex(), "3")
    assert await bench.said() == {"event": "TagTorn"}
    await bench.far("type2", BADGE, LOYALTY)
    assert (await bench.said())["ndef"] == "loyalty:4711"


async def test_a_payment_card_is_asked_for_nothing(bench: Bench) -> None:
    await bench.start()
    await bench.far("type4", CARD, "-")
    assert await bench.said() == {"uid": CARD, "technology": "Type4Tag", "ndef": None}
    await asyncio.sleep(0.3)
    apdus = [bytes.fromhex(apdu) for apdu in (await bench.far("apdus")).split()]
    selected = {apdu[5 : 5 + apdu[4]] for apdu in apdus if apdu[1:3] == b"\xa4\x04"}
    assert selected == {bytes.fromhex("d2760000850101"), bytes.fromhex("d2760000850100")}  # NDEF 2.0 and 1.0 alone


async def test_a_pulled_reader_is_gone_and_comes_back(bench: Bench) -> None:
    await bench.start()
    await bench.far("type2", BADGE, LOYALTY)
    await bench.said()
    await bench.far("remove")
    assert (await bench.said())["fault"] == "device-gone"
    assert (await bench.open_again())["fault"] in ("device-gone", "device-absent")
    await bench.far("take")
    await bench.far("add")
    assert "opened" in await bench.open_again()
    await bench.far("type2", BADGE, LOYALTY)
    assert (await bench.said())["uid"] == BADGE


async def _python(*arguments: str, **environment: str) -> Process:
    library = "libumockdev-preload.so.0"
    return await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        stdin=PIPE,
        stdout=PIPE,
        cwd=Path(__file__).parents[2],
        env={**os.environ, "LD_PRELOAD": library, "PYTHONPATH": str(Path(__file__).parents[2]), **environment},
    )


async def _line(stream: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(WAIT_S):
        line = await stream.readline()
    assert line, "the process has ended"
    return line
