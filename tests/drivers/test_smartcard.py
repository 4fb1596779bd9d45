"""Chip cards by the real PC/SC service and pyscard, with Debian's virtual reader and a card of our own at its far end."""

import asyncio
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.ports import LibraryMissing
from drivers.codecs.apdu import (
    READ_FIRST_FILE,
    ForbiddenCommand,
    allowed,
    get_response,
    is_payment,
    number_in,
    select,
)
from drivers.options import SmartCardOptions
from drivers.smartcard import PcscReader
from tests.drivers.support import FAILURE_WAIT_S, Events, HostClock

VPCD = Path("/usr/lib/pcsc/drivers/serial/libifdvpcd.so")
NAMESPACES = ("unshare", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
TABLE = {"member_aid": "F05445524D4D454D", "staff_aid": "F05445524D535446"}


def _why_not() -> str:
    if importlib.util.find_spec("smartcard") is None:
        return (
            "pyscard is not installed (apt install libpcsclite-dev swig gcc; pip install -r requirements/smartcard.txt)"
        )
    if shutil.which("pcscd") is None or not VPCD.exists():
        return "the virtual reader is not installed (apt install pcscd vsmartcard-vpcd)"
    if subprocess.run([*NAMESPACES, "true"], capture_output=True, check=False).returncode:
        return "namespaces cannot be made here (unshare --map-root-user --mount)"
    return ""


WHY_NOT = _why_not()
needs_pcsc = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


class Bench:
    """The bench's process, in a mount namespace of its own: its PC/SC service is nobody else's."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def said(self) -> dict[str, object]:
        assert self._process.stdout is not None
        async with asyncio.timeout(FAILURE_WAIT_S):
            found: dict[str, object] = json.loads(await self._process.stdout.readline())
        return found

    async def order(self, *words: str) -> list[dict[str, object]]:
        """What was said until the order was done."""
        assert self._process.stdin is not None
        self._process.stdin.write((" ".join(words) + "\n").encode())
        said = [await self.said()]
        while "done" not in said[-1]:
            said.append(await self.said())
        return said[:-1]

    async def put(self, card: str) -> dict[str, object]:
        """What a card gave; it is out again afterwards."""
        said = await self.order("put", card)
        found = said[0] if said else await self.said()
        await self.order("pull")
        return found


@pytest_asyncio.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = await asyncio.create_subprocess_exec(
        *(*NAMESPACES, sys.executable, "tests/drivers/pcsc_bench.py"),
        *(str(tmp_path), str(port), json.dumps(TABLE)),
        stdin=PIPE,
        stdout=PIPE,
        env=os.environ | {"PYTHONPATH": "."},
    )
    made = Bench(process)
    assert await made.said() == {"ready": True}
    yield made
    assert process.stdin is not None
    process.stdin.close()
    try:
        async with asyncio.timeout(FAILURE_WAIT_S):
            await process.wait()
    except TimeoutError:
        process.kill()  # and with it all that is in its namespace
        await process.wait()


@needs_pcsc
async def test_cards_of_the_shop_and_others(bench: Bench) -> None:
    await bench.order("start")
    await bench.order("open")
    assert await bench.said() == {"opened": "Counter 00 00"}
    assert await bench.put("member") == {"card": "loyalty", "number": "M-000017"}
    assert await bench.put("staff") == {"card": "staff", "number": "0042"}
    assert await bench.put("file") == {"card": "loyalty", "number": "M-000019"}
    assert await bench.put("both") == {"card": "loyalty", "number": "M-000018"}
    assert await bench.put("mute") == {"payment": False}
    assert await bench.put("payment") == {"payment": False}
    assert await bench.put("disguised") == {"payment": True}
    assert await bench.put("member") == {"card": "loyalty", "number": "M-000017"}
    (asked,) = await bench.order("apdus")
    assert asked["payment"] == 0
    assert asked["apdus"] == [f"00a4040008{TABLE['member_aid'].lower()}00", f"00a4040008{TABLE['staff_aid'].lower()}00",
                              READ_FIRST_FILE.hex()]  # fmt: skip


@needs_pcsc
async def test_a_card_torn_away_in_mid_read(bench: Bench) -> None:
    await bench.order("start")
    await bench.order("open")
    await bench.said()
    assert await bench.put("torn") == {"garbled": "torn"}
    assert await bench.put("member") == {"card": "loyalty", "number": "M-000017"}


@needs_pcsc
async def test_the_reader_is_pulled_and_comes_back(bench: Bench) -> None:
    await bench.order("open")
    said = await bench.said()
    assert (said["fault"], "apt-get install pcscd" in str(said["why"])) == ("device-absent", True)
    for _ in range(3):
        await bench.order("start")
        await bench.order("open")
        assert await bench.said() == {"opened": "Counter 00 00"}
        assert await bench.put("member") == {"card": "loyalty", "number": "M-000017"}
        said_in_stopping = await bench.order("stop")
        said = said_in_stopping[0] if said_in_stopping else await bench.said()
        assert said["fault"] == "device-gone"


async def test_without_the_library_it_is_said_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # A module of this name that cannot be imported stands before the real one.
    (tmp_path / "smartcard.py").write_text("raise ImportError")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    driver = PcscReader("cards", SmartCardOptions(member_aid=TABLE["member_aid"]), Events().append, HostClock())
    with pytest.raises(LibraryMissing, match="apt-get install pcscd"):
        await driver.open()
    driver.close()


# --- what may be said to a card ---------------------------------------------------------------------------------------

PAYMENT_AIDS = (
    b"1PAY.SYS.DDF01", b"2PAY.SYS.DDF01", bytes.fromhex("A0000000031010"), bytes.fromhex("A0000000041010"),
    bytes.fromhex("A00000002501"), bytes.fromhex("A0000001523010"), bytes.fromhex("A000000333010101"),
    bytes.fromhex("A0000000651010"), bytes.fromhex("A0000000421010"), bytes.fromhex("D27600002547410100"),
    bytes.fromhex("A000000003"), bytes.fromhex("A000000003101001"),
)  # fmt: skip


@pytest.mark.parametrize("aid", PAYMENT_AIDS, ids=lambda aid: aid.hex())
def test_no_payment_application_is_selected(aid: bytes) -> None:
    for length in range(len(aid) + 1):
        part = aid[:length]
        assert length < 5 or is_payment(part)
        with pytest.raises(ForbiddenCommand):
            select(part)
        with pytest.raises(ForbiddenCommand):
            allowed(bytes((0, 0xA4, 4, 0, length)) + part + b"\0", (part,))
        with pytest.raises(ValueError, match="member_aid"):
            SmartCardOptions(member_aid=part.hex() or "00")


def test_nothing_else_is_said() -> None:
    ours = bytes.fromhex(TABLE["member_aid"])
    for command in (select(ours), READ_FIRST_FILE, READ_FIRST_FILE[:-1] + b"\x20", get_response(16)):
        assert allowed(command, (ours,)) == command
    for forbidden in (
        "00a4040008f05445524d53544600",  # another application
        "00a4000c023f00",  # a file by its identifier
        "00b2010c00",  # READ RECORD
        "80ca9f3600",  # GET DATA
        "80a8000002830000",  # GET PROCESSING OPTIONS
        "0020008008",  # VERIFY
        "",
    ):
        with pytest.raises(ForbiddenCommand):
            allowed(bytes.fromhex(forbidden), (ours,))


def test_where_the_number_is() -> None:
    assert number_in(bytes.fromhex("6f0ea50c530a") + b"M-00000017") == "M-00000017"
    assert number_in(b"\x53\x04" + b"0042" + b"\xff" * 20) == "0042"
    for answer in (b"", b"\x53", b"\x53\x03" + b"004", b"\x53\x04" + b"00\xff2", b"\x6f\x05\x84"):
        assert number_in(answer) is None
