"""A cash drawer on a printer's connector: kicked and seen through the printer's real driver on a real pty."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.document import Cut, Document, Text
from core.events import DrawerFound, DrawerSensed, DrawerStuck
from core.ports import DeviceAbsent, DeviceGone, PaperOut
from drivers.drawer_printer import PrinterDrawer
from drivers.options import EscposPrinterOptions, PrinterDrawerOptions
from drivers.printer import EscposPrinter
from drivers.simulated.printer import Paper, SimulatedPrinter
from tests.drivers.support import Events, HostClock, Served, ignore, until

RECEIPT = Document(elements=(Text(left="Whole milk 1 l", right="1.29"), Cut()))


class Counter:
    """A drawer's driver, its printer's, and the far end of the one cable that they share."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.events = Events()
        self.papers: list[Paper] = []
        self.far = SimulatedPrinter(folder / "printer", self.papers.append)
        self.printer = EscposPrinter(
            "printer",
            EscposPrinterOptions(path=folder / "printer", health_interval_s=0.2),
            lambda event: ignore(b""),
            HostClock(),
        )
        drawer_options = PrinterDrawerOptions(printer="printer", **{"commanded_window_s": 0.3} | options)
        self.drawer = PrinterDrawer("drawer", drawer_options, self.events.append, HostClock())
        self.drawer.attach(self.printer)
        self.printing = Served(self.printer)
        self.serving = Served(self.drawer)

    async def open(self) -> None:
        await self.printing.open()
        await self.serving.open()

    async def close(self) -> None:
        await self.serving.close()
        await self.printing.close()
        self.far.close()


@pytest_asyncio.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path)
    await made.open()
    assert await made.events.reach(1) == [DrawerFound(device="drawer", is_open=False)]
    made.events.clear()
    yield made
    await made.close()


def opened(commanded: bool = True) -> DrawerSensed:
    return DrawerSensed(device="drawer", is_open=True, commanded=commanded)


async def test_a_kick_opens_it_and_its_closing_is_seen(counter: Counter) -> None:
    await counter.drawer.kick()
    assert await counter.events.reach(1) == [opened()]
    counter.far.shut_drawer()
    closed = (await counter.events.reach(2))[1]
    assert isinstance(closed, DrawerSensed)
    assert not closed.is_open
    assert counter.drawer.facts() == {"state": "closed", "kicks": 1, "openings": 1, "openings_uncommanded": 0}
    assert counter.far.kicks == 1


async def test_an_opening_without_a_kick(counter: Counter) -> None:
    counter.far.pry_drawer()
    assert await counter.events.reach(1) == [opened(commanded=False)]


async def test_a_jammed_drawer_is_told(counter: Counter) -> None:
    counter.far.drawer_jammed = True
    await counter.drawer.kick()
    assert await counter.events.reach(1) == [DrawerStuck(fault="drawer-shut")]


async def test_without_paper_it_opens_now_or_not_at_all(counter: Counter) -> None:
    counter.far.set_paper_out(True)
    with pytest.raises(PaperOut):
        await counter.drawer.kick()
    counter.far.set_paper_out(False)
    await counter.printer.print(RECEIPT)
    assert counter.far.kicks == 0


async def test_a_real_time_pulse_needs_no_paper(tmp_path: Path) -> None:
    counter = Counter(tmp_path, pulse="realtime")
    await counter.open()
    counter.far.set_paper_out(True)
    await counter.drawer.kick()
    assert (await counter.events.reach(2))[1] == opened()
    await counter.close()


async def test_a_kick_beside_a_receipt_leaves_it_whole(counter: Counter) -> None:
    counter.far.line_s = 0.02
    printing = asyncio.create_task(counter.printer.print(RECEIPT), name="print")
    await asyncio.sleep(0)
    await counter.drawer.kick()
    await printing
    assert await counter.events.reach(1) == [opened()]
    assert [paper.torn for paper in counter.papers] == [False]
    assert counter.far.not_understood == []


async def test_the_drawer_goes_and_comes_with_its_printer(counter: Counter) -> None:
    counter.far.unplug()
    assert isinstance(await counter.printing.failure(), DeviceGone)
    counter.printer.close()
    assert isinstance(await counter.serving.failure(), DeviceGone)
    counter.drawer.close()
    with pytest.raises(DeviceAbsent):
        await counter.drawer.open()
    with pytest.raises(DeviceGone):
        await counter.drawer.kick()
    waiting = asyncio.create_task(counter.drawer.plugged(), name="plugged")
    counter.far.plug()
    await counter.printing.open()
    await asyncio.wait_for(waiting, 3.0)
    await counter.serving.open()
    await counter.drawer.kick()
    await until(lambda: opened() in counter.events)


async def test_without_a_sensor_nothing_is_seen(tmp_path: Path) -> None:
    counter = Counter(tmp_path, sensor_open_level="none")
    await counter.open()
    await counter.drawer.kick()
    await until(lambda: counter.far.drawer_open)
    assert counter.events == []
    assert counter.drawer.facts()["state"] == "unknown"
    await counter.close()
