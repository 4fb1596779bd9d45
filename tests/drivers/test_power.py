"""The board's power: what the firmware's bits mean, dips between two looks, and what a broken file is called."""

import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from core.events import PowerSensed
from core.ports import DeviceAbsent, DeviceGone, ProtocolError
from drivers.codecs.throttled import FLAGS, PowerState, decode, encode
from drivers.options import RpiPowerOptions
from drivers.power import RpiPower, find
from tests.drivers.support import Events, HostClock, Served, until

_LENGTH = 12
flags = st.frozensets(st.sampled_from(FLAGS))


@given(flags, flags)
def test_the_bits_come_through(now: frozenset[str], has_been: frozenset[str]) -> None:
    state = PowerState(now=now, has_been=has_been)
    assert decode(encode(state)) == state


@given(st.binary(max_size=20))
def test_noise_is_a_value_error_or_bits(text: bytes) -> None:
    with contextlib.suppress(ValueError):
        assert decode(text).now <= set(FLAGS)


@pytest.mark.parametrize(("text", "now"), [(b"0x50005\n", {"under-voltage", "throttled"}), (b"1\n", {"under-voltage"})])
def test_as_the_kernel_writes_it(text: bytes, now: set[str]) -> None:
    assert decode(text).now == now


class Board(Served):
    """A driver and its firmware's file."""

    def __init__(self, folder: Path, **options: float) -> None:
        self.file = folder / "get_throttled"
        self.say(b"0\n")
        self.events = Events()
        chosen = RpiPowerOptions(path=self.file, poll_ms=20, **({"recover_s": 0.2} | options))
        self.driver = RpiPower("power", chosen, self.events.append, HostClock())
        super().__init__(self.driver)

    def say(self, text: bytes) -> None:
        """As sysfs does: the same file, other bytes, and never a part of them."""
        self.file.touch()
        if text:
            with self.file.open("r+b", buffering=0) as file:
                file.write(text.ljust(_LENGTH))
        else:
            os.truncate(self.file, 0)


@pytest_asyncio.fixture
async def board(tmp_path: Path) -> AsyncIterator[Board]:
    made = Board(tmp_path)
    await made.open()
    yield made
    await made.close()


def weak(*flags: str) -> PowerSensed:
    return PowerSensed(device="power", weak=True, flags=flags)


async def test_under_voltage_and_its_end(board: Board) -> None:
    board.say(b"50001\n")
    assert await board.events.reach(1) == [weak("throttled", "under-voltage")]
    board.say(b"50000\n")
    assert (await board.events.reach(2))[1] == PowerSensed(device="power", weak=False)
    assert board.driver.facts() == {"power": "ok", "dips": 1}


async def test_a_dip_between_two_looks(board: Board) -> None:
    board.say(b"10000\n")
    assert await board.events.reach(1) == [weak("under-voltage")]
    assert (await board.events.reach(2))[1].weak is False  # type: ignore[union-attr]


async def test_heat_alone_blocks_nothing(board: Board) -> None:
    board.say(b"8\n")
    await until(lambda: board.driver.facts()["power"] == "temperature-limit")
    assert board.events == []


async def test_a_flickering_supply_is_told_of_once(board: Board) -> None:
    for _ in range(10):
        for text in (b"1\n", b"0\n"):
            board.say(text)
            shown = "ok" if text == b"0\n" else "under-voltage"
            await until(lambda shown=shown: board.driver.facts()["power"] == shown)  # type: ignore[misc]
    await board.events.reach(2)
    assert [event.weak for event in board.events] == [True, False]  # type: ignore[union-attr]


async def test_what_was_before_the_opening_is_no_news(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.say(b"50000\n")
    await board.open()
    await until(lambda: board.driver.facts()["power"] == "ok")
    assert board.events == []
    await board.close()


async def test_weak_from_the_first_look(tmp_path: Path) -> None:
    board = Board(tmp_path)
    board.say(b"5\n")
    await board.open()
    assert board.events == [weak("throttled", "under-voltage")]
    await board.close()


@pytest.mark.parametrize(("text", "fault"), [(b"", DeviceGone), (b"error=1\n", ProtocolError)])
async def test_a_firmware_that_says_something_else(board: Board, text: bytes, fault: type[Exception]) -> None:
    board.say(text)
    assert isinstance(await board.failure(), fault)


async def test_a_power_that_came_back_while_nobody_could_look(board: Board) -> None:
    """Else the till would go on refusing money for good."""
    board.say(b"50001\n")
    await board.events.reach(1)
    board.say(b"")
    assert isinstance(await board.failure(), DeviceGone)
    board.driver.close()
    board.say(b"50000\n")
    await board.open()
    assert (await board.events.reach(2))[1:] == [PowerSensed(device="power", weak=False)]


async def test_no_such_file(tmp_path: Path) -> None:
    board = Board(tmp_path)
    os.unlink(board.file)
    with pytest.raises(DeviceAbsent):
        await board.open()
    board.driver.close()


def test_where_it_is_looked_for(tmp_path: Path) -> None:
    firmware, hwmon = tmp_path / "get_throttled", tmp_path / "hwmon"
    assert find(firmware, hwmon) is None
    for name, kind in (("hwmon0", "cpu_thermal"), ("hwmon1", "rpi_volt")):
        (hwmon / name).mkdir(parents=True)
        (hwmon / name / "name").write_text(kind + "\n")
        (hwmon / name / "in0_lcrit_alarm").write_text("0\n")
    assert find(firmware, hwmon) == hwmon / "hwmon1" / "in0_lcrit_alarm"
    firmware.write_text("0\n")
    assert find(firmware, hwmon) == firmware
