"""The receipt printer's driver against the far end of its cable: on a pty as a serial printer, and on a TCP port."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from PIL import Image

from core.document import Cut, Document, Logo, QrCode, Rule, Text
from core.events import PaperStatus, PrinterSensed
from core.ports import (
    CoverOpen,
    DeviceAbsent,
    DeviceError,
    DeviceGone,
    DeviceStalled,
    PaperOut,
    PrinterFault,
    PrinterOffline,
    PrintInterrupted,
)
from drivers.codecs.escpos_paper import RasterPrinted
from drivers.options import EscposPrinterOptions
from drivers.printer import EscposPrinter
from drivers.simulated.cable import Cable, PtyCable, Receive, TcpCable
from drivers.simulated.printer import Paper, SimulatedPrinter
from tests.drivers.support import Events, HostClock, HostileCable, Manner, until


def receipt(number: int = 1) -> Document:
    return Document(
        elements=(
            Text(left="Corner Shop", style="centre-large"),
            Text(left=f"Receipt {number}"),
            Text(left="Äpfel", right="4,58 €"),
            Rule(),
            Text(left="Total", right="4,58 €", style="bold"),
            QrCode(data=f"https://example.org/{number}"),
            Cut(),
        )
    )


class Till:
    """A printer's driver and its far end."""

    def __init__(self, place: Path | int | Callable[[Receive], Cable], options: dict[str, object]) -> None:
        self.papers: list[Paper] = []
        self.events = Events()
        self.far = SimulatedPrinter(place, self.papers.append)
        if isinstance(place, int):
            options = {"host": "127.0.0.1", "port": self.far.port} | options
        made = EscposPrinterOptions(**(SHORT | options))  # type: ignore[arg-type]  # a table's values
        self.driver = EscposPrinter("printer", made, self.events.append, HostClock())

    def close(self) -> None:
        self.driver.close()
        self.far.close()

    async def reopen(self) -> None:
        self.driver.close()
        await self.driver.open()


SHORT: dict[str, object] = {"write_timeout_s": 0.3, "status_timeout_s": 0.2, "print_timeout_s": 0.4}


@pytest_asyncio.fixture(params=["pty", "tcp"])
async def till(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Till]:
    path = tmp_path / "printer"
    made = Till(path, {"path": path}) if request.param == "pty" else Till(0, {})
    await made.driver.open()
    yield made
    made.close()


def sensed(*, online: bool = True, cover_open: bool = False, paper: PaperStatus = PaperStatus.OK) -> PrinterSensed:
    return PrinterSensed(device="printer", online=online, cover_open=cover_open, paper=paper)


async def test_a_receipt_comes_out_whole(till: Till) -> None:
    await till.driver.print(receipt())
    (paper,) = till.papers
    assert not paper.torn
    assert paper.qr == ("https://example.org/1",)
    assert paper.text.splitlines() == [
        "          Corner Shop",
        "Receipt 1",
        "Äpfel                               4,58 €",
        "-" * 42,
        "Total                               4,58 €",
        "        [QR https://example.org/1]",
    ]
    assert till.far.not_understood == []
    assert till.driver.facts() == {"paper": "ok", "state": "ok", "printed": 1, "interruptions": 0}


async def test_the_shops_logo_heads_the_paper(tmp_path: Path) -> None:
    Image.new("1", (384, 90)).save(tmp_path / "logo.png")
    made = Till(tmp_path / "printer", {"path": tmp_path / "printer", "logo": tmp_path / "logo.png"})
    await made.driver.open()
    await made.driver.print(Document(elements=(Logo(), *receipt().elements)))
    assert made.papers[0].text.splitlines()[:2] == ["            [picture 384 x 90]", "          Corner Shop"]
    assert made.papers[0].marks[0] == RasterPrinted(width=384, rows=(b"\xff" * 48,) * 90)
    made.close()


@pytest.mark.parametrize("content", [None, b"no picture"])
async def test_a_logo_that_cannot_be_printed_costs_the_logo_alone(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "logo.png").write_bytes(content)
    made = Till(tmp_path / "printer", {"path": tmp_path / "printer", "logo": tmp_path / "logo.png"})
    await made.driver.open()
    await made.driver.print(Document(elements=(Logo(), *receipt().elements)))
    assert made.papers[0].text.splitlines()[0] == "          Corner Shop"
    assert made.driver.facts()["logo"] in ("No such file or directory", "it is no PNG or BMP picture")
    made.close()


async def test_a_printer_made_for_china(tmp_path: Path) -> None:
    made = Till(tmp_path / "printer", {"path": tmp_path / "printer", "codepage": "GB18030"})
    await made.driver.open()
    await made.driver.print(Document(elements=(Text(left="龙井茶 50 克", right="¥38.00"), Cut())))
    assert made.papers[0].text == "龙井茶 50 克" + " " * 23 + "\N{FULLWIDTH YEN SIGN}38.00\n"
    made.close()


async def test_print_returns_after_the_cut(till: Till) -> None:
    for number in range(20):
        await till.driver.print(receipt(number))
        assert len(till.papers) == number + 1


async def test_receipts_wait_for_each_other(till: Till) -> None:
    async with asyncio.TaskGroup() as group:
        for number in range(5):
            group.create_task(till.driver.print(receipt(number)), name=f"receipt {number}")
    assert [paper.qr[0][-1] for paper in till.papers] == list("01234")
    assert not any(paper.torn for paper in till.papers)


async def test_its_state_is_sensed(till: Till) -> None:
    assert await till.events.reach(1) == [sensed()]
    # Status Back was switched on behind the first answer.
    await asyncio.sleep(0.05)
    till.far.set_near_end(True)
    assert (await till.events.reach(2))[1] == sensed(paper=PaperStatus.NEAR_END)
    till.far.set_cover_open(True)
    assert (await till.events.reach(3))[2] == sensed(online=False, cover_open=True, paper=PaperStatus.NEAR_END)
    till.far.set_cover_open(False)
    await till.events.reach(4)
    till.far.set_paper_out(True)
    assert (await till.events.reach(5))[4] == sensed(online=False, paper=PaperStatus.OUT)
    assert till.driver.facts()["paper"] == "out"


async def test_no_paper_is_told_before_the_first_byte(till: Till) -> None:
    till.far.set_paper_out(True)
    with pytest.raises(PaperOut):
        await till.driver.print(receipt())
    till.far.set_paper_out(False)
    await till.driver.print(receipt())
    assert len(till.papers) == 1


async def test_an_open_cover_is_told_before_the_first_byte(till: Till) -> None:
    till.far.set_cover_open(True)
    till.far.set_paper_out(True)
    with pytest.raises(CoverOpen):
        await till.driver.print(receipt())
    assert till.papers == []
    assert till.far.marks == []


async def test_an_offline_printer_is_told_before_the_first_byte(till: Till) -> None:
    till.far.set_offline(True)
    with pytest.raises(PrinterOffline):
        await till.driver.print(receipt())
    till.far.set_offline(False)
    await till.driver.print(receipt())
    assert len(till.papers) == 1


async def test_the_paper_ends_in_mid_receipt(till: Till) -> None:
    await asyncio.sleep(0.05)
    till.far.lines_left = 3
    with pytest.raises(PrintInterrupted) as caught:
        await till.driver.print(receipt())
    assert not isinstance(caught.value, PrinterFault)
    assert len(till.far.marks) == 3
    assert till.papers == []
    with pytest.raises(PaperOut):
        await till.driver.print(receipt(2))


async def test_the_answer_to_an_interrupted_receipt_does_not_confirm_the_next(till: Till) -> None:
    await till.driver.print(receipt(1))
    till.far.lines_left = 3
    with pytest.raises(PrintInterrupted):
        await till.driver.print(receipt(2))
    till.far.line_s = 0.01
    till.far.set_paper_out(False)
    till.far.lines_left = 7
    # The rest of receipt 2 comes out first, and is answered for; then 3 is cut short by the end of the paper.
    with pytest.raises(PrintInterrupted):
        await till.driver.print(receipt(3))
    assert [paper.qr for paper in till.papers] == [("https://example.org/1",), ("https://example.org/2",)]
    till.far.set_paper_out(False)
    await till.driver.print(receipt(4))
    assert [paper.qr[0][-1] for paper in till.papers] == list("1234")
    assert till.driver.facts()["interruptions"] == 2


async def test_a_stalled_printer_is_told_before_the_first_byte_and_opened_anew(till: Till) -> None:
    till.far.set_stalled(True)
    serving = asyncio.create_task(till.driver.serve(), name="serve")
    began_s = time.monotonic()
    with pytest.raises(PrinterOffline, match="does not answer"):
        await till.driver.print(receipt())
    assert time.monotonic() - began_s < 0.3
    with pytest.raises(DeviceStalled):
        await serving
    till.driver.close()
    with pytest.raises(DeviceStalled):
        await till.driver.open()
    till.far.set_stalled(False)
    await till.reopen()
    await till.driver.print(receipt())
    assert [paper.torn for paper in till.papers] == [False]


async def test_a_printer_that_stalls_in_mid_receipt(till: Till) -> None:
    _stall_at_line(till, 3)
    serving = asyncio.create_task(till.driver.serve(), name="serve")
    with pytest.raises(DeviceStalled) as caught:
        await till.driver.print(receipt())
    assert not isinstance(caught.value, PrinterFault)
    with pytest.raises(DeviceStalled):
        await serving
    till.driver.close()


async def test_a_power_cycle_in_mid_receipt_tears_it_and_the_next_is_clean(till: Till) -> None:
    await till.driver.print(receipt(1))
    _on_line(till, 3, till.far.power_off)
    with pytest.raises(DeviceError) as caught:
        await till.driver.print(receipt(2))
    assert not isinstance(caught.value, PrinterFault)
    till.far.power_on()
    await till.reopen()
    await till.driver.print(receipt(3))
    assert [paper.torn for paper in till.papers] == [False, True, False]
    assert till.papers[1].text.splitlines() == [
        "          Corner Shop",
        "Receipt 2",
        "Äpfel                               4,58 €",
    ]
    assert till.papers[2].qr == ("https://example.org/3",)


async def test_a_power_cycle_between_receipts_loses_nothing(till: Till) -> None:
    await till.driver.print(receipt(1))
    till.far.power_off()
    till.far.power_on()
    try:
        await till.driver.print(receipt(2))
    except PrinterOffline:
        # On a network the connection went with the power; it is known that nothing was printed.
        await till.reopen()
        await till.driver.print(receipt(2))
    till.far.set_paper_out(True)
    await until(lambda: till.events[-1] == sensed(online=False, paper=PaperStatus.OUT))
    assert [paper.qr[0][-1] for paper in till.papers] == list("12")


async def test_an_idle_printer_that_is_switched_off_is_found_out(tmp_path: Path) -> None:
    till = Till(tmp_path / "printer", {"path": tmp_path / "printer", "health_interval_s": 0.1})
    await till.driver.open()
    serving = asyncio.create_task(till.driver.serve(), name="serve")
    await asyncio.sleep(0.25)
    assert not serving.done()
    till.far.power_off()
    async with asyncio.timeout(1.0):
        with pytest.raises(DeviceStalled):
            await serving
    till.close()


async def test_a_pulled_cable(till: Till) -> None:
    serving = asyncio.create_task(till.driver.serve(), name="serve")
    await asyncio.sleep(0.01)
    till.far.unplug()
    with pytest.raises(DeviceGone):
        await serving
    with pytest.raises(PrinterOffline):
        await till.driver.print(receipt())
    till.driver.close()
    with pytest.raises(PrinterOffline):
        await till.driver.print(receipt())
    with pytest.raises(DeviceAbsent):
        await till.driver.open()
    till.far.plug()
    await till.driver.open()
    await till.driver.print(receipt())
    assert len(till.papers) == 1


async def test_a_cable_pulled_in_mid_receipt(till: Till) -> None:
    _on_line(till, 3, till.far.unplug)
    with pytest.raises(DeviceGone):
        await till.driver.print(receipt())


async def test_a_daemon_that_dies_in_mid_receipt_leaves_no_trace_in_the_next(till: Till) -> None:
    till.far.lines_left = 3
    with pytest.raises(PrintInterrupted):
        await till.driver.print(receipt(1))
    till.far.power_off()
    till.far.set_paper_out(False)
    till.far.power_on()
    await till.reopen()
    await till.driver.print(receipt(2))
    assert [paper.torn for paper in till.papers] == [True, False]
    assert till.papers[1].qr == ("https://example.org/2",)
    assert "Receipt 1" not in till.papers[1].text


@pytest.mark.parametrize("kind", ["pty", "tcp"])
@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
async def test_a_hostile_wire_that_loses_nothing(tmp_path: Path, manner: Manner, kind: str) -> None:
    till = _hostile(tmp_path, manner, kind, seed=1)
    await till.driver.open()
    for number in range(3):
        await till.driver.print(receipt(number))
    assert [paper.qr[0][-1] for paper in till.papers] == list("012")
    assert not any(paper.torn for paper in till.papers)
    till.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_lossy_wire_ends_every_print_in_time(tmp_path: Path, seed: int) -> None:
    till = _hostile(tmp_path, "lossy", "pty", seed)
    printed = 0
    for number in range(6):
        async with asyncio.timeout(1.5):
            try:
                await till.reopen()
                await till.driver.print(receipt(number))
            except DeviceError:
                continue
        printed += 1
    assert till.driver.facts()["printed"] == printed
    till.close()


def _on_line(till: Till, count: int, act: Callable[[], None]) -> None:
    """Lets `act` happen when so many more lines are on the paper."""
    lines = 0

    def on_mark(mark: object) -> None:
        nonlocal lines
        lines += 1
        if lines == count:
            act()

    till.far.on_mark = on_mark


def _stall_at_line(till: Till, count: int) -> None:
    def jam() -> None:
        # It prints no further and says nothing more, not even why.
        till.far.set_stalled(True)
        till.far.set_offline(True)

    _on_line(till, count, jam)


def _hostile(folder: Path, manner: Manner, kind: str, seed: int) -> Till:
    made: list[TcpCable] = []

    def far_end(receive: Receive) -> Cable:
        if kind == "pty":
            return PtyCable(folder / "printer", receive)
        made.append(TcpCable(receive))
        return made[0]

    def cable(receive: Receive) -> Cable:
        return HostileCable(far_end, receive, manner, seed)

    options: dict[str, object] = {"host": "127.0.0.1", "port": 9} if kind == "tcp" else {"path": folder / "printer"}
    till = Till(cable, options)
    if kind == "tcp":
        options["port"] = made[0].port
        made_options = EscposPrinterOptions(**(SHORT | options))  # type: ignore[arg-type]  # a table's values
        till.driver = EscposPrinter("printer", made_options, till.events.append, HostClock())
    return till
