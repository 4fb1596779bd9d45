"""A customer's display over hostile cables: a slow or lost one is never waited for, and comes back right."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from core.effects import ShowOnDisplay
from core.ports import DeviceAbsent, DeviceGone, DeviceStalled
from drivers.codecs.display import Dialect
from drivers.display import SerialDisplay
from drivers.options import Cd5220DisplayOptions, EscposDisplayOptions
from drivers.simulated.cable import Cable, Receive
from drivers.simulated.display import SimulatedDisplay
from tests.drivers.support import Events, HostClock, HostileCable, Manner, Served, until

MILK = ShowOnDisplay(upper=("Milk", "1.29"), lower=("TOTAL EUR", "1.29"))
ROWS = ("Milk            1.29", "TOTAL EUR       1.29")
EMPTY = (" " * 20, " " * 20)


class Counter(Served):
    """A display's driver and its far end."""

    def __init__(self, folder: Path, dialect: Dialect, manner: Manner = "plain", refresh_s: float = 10.0) -> None:
        link = folder / "display"

        def hostile(make: Callable[[Receive], Cable], receive: Receive) -> Cable:
            return HostileCable(make, receive, manner, seed=7)

        self.far = SimulatedDisplay(link, dialect, wire=hostile)
        kind = EscposDisplayOptions if dialect == "escpos" else Cd5220DisplayOptions
        self.driver = SerialDisplay("display", kind(path=link, refresh_s=refresh_s), Events().append, HostClock())
        super().__init__(self.driver)

    async def close(self) -> None:
        await super().close()
        self.far.close()


@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
@pytest.mark.parametrize("dialect", ["escpos", "cd5220"])
async def test_the_customer_reads_what_is_shown(tmp_path: Path, dialect: Dialect, manner: Manner) -> None:
    counter = Counter(tmp_path, dialect, manner)
    await counter.open()
    await counter.driver.show(MILK)
    await until(lambda: counter.far.rows == ROWS)
    await counter.driver.show(ShowOnDisplay(upper=("Thank you", "")))
    await until(lambda: counter.far.rows == ("Thank you           ", " " * 20))
    assert counter.driver.facts() == {"shown": 2}
    await counter.close()


@pytest.mark.parametrize("dialect", ["escpos", "cd5220"])
async def test_a_line_that_loses_bytes_is_mended_by_the_next_drawing(tmp_path: Path, dialect: Dialect) -> None:
    counter = Counter(tmp_path, dialect, "lossy", refresh_s=0.1)
    await counter.open()
    await counter.driver.show(MILK)
    await until(lambda: counter.far.rows == ROWS)
    await counter.close()


async def test_one_that_was_switched_off_and_on_is_drawn_anew(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "cd5220", refresh_s=0.1)
    await counter.open()
    await counter.driver.show(MILK)
    await until(lambda: counter.far.rows == ROWS)
    counter.far.power_cycle()
    assert counter.far.rows == EMPTY
    await until(lambda: counter.far.rows == ROWS)
    await counter.close()


async def test_a_pulled_cable_is_found_out_and_it_opens_again(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "escpos")
    await counter.open()
    counter.far.unplug()
    assert isinstance(await counter.failure(), DeviceGone)
    with pytest.raises(DeviceGone):
        await counter.driver.show(MILK)
    counter.driver.close()
    counter.far.plug()
    await counter.open()
    await counter.driver.show(MILK)
    await until(lambda: counter.far.rows == ROWS)
    await counter.close()


async def test_a_display_that_takes_nothing_is_stalled_and_nobody_waits_long(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "escpos")
    await counter.open()
    counter.far.stall(True)

    async def fill_the_pty() -> None:
        while True:
            await counter.driver.show(MILK)

    with pytest.raises(DeviceStalled):
        await asyncio.wait_for(fill_the_pty(), 10.0)
    assert isinstance(await counter.failure(), DeviceStalled)
    await counter.close()


async def test_none_is_plugged_in(tmp_path: Path) -> None:
    counter = Counter(tmp_path, "escpos")
    counter.far.unplug()
    with pytest.raises(DeviceAbsent):
        await counter.open()
    counter.far.close()
