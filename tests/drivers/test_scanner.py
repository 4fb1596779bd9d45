"""The serial scanner's driver on the far end of a real pty: good scans, bad scans, bad cables."""

import asyncio
import random
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.events import ScanFault, ScanGarbled, Scanned
from core.ports import Clock, DeviceAbsent, DeviceGone
from drivers.options import SerialScannerOptions
from drivers.scanner import SerialScanner
from drivers.simulated.cable import PtyCable, Receive
from drivers.simulated.scanner import SimulatedScanner
from tests.drivers.support import Events, HostClock, HostileCable, Manner, ignore, until

CODES = ["4006381333931", "90311017", "036000291452", "]d20104006381333931\x1d10A\x1d17261231", "2012345006789"]
GAP_S = 0.06


class Counter:
    """A scanner's driver and its far end."""

    def __init__(self, folder: Path, name: str = "scanner", clock: Clock | None = None) -> None:
        self.events = Events()
        self.far = SimulatedScanner(folder / name)
        options = SerialScannerOptions(path=folder / name, gap_s=GAP_S)
        self.driver = SerialScanner(name, options, self.events.append, clock or HostClock())

    def close(self) -> None:
        self.driver.close()
        self.far.close()


@pytest_asyncio.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path)
    await made.driver.open()
    yield made
    made.close()


def counted(counter: Counter) -> tuple[str | int, str | int]:
    """Reads and bad reads."""
    facts = counter.driver.facts()
    return facts["reads"], facts["bad_reads"]


def scanned(data: str, device: str = "scanner", aim: str | None = None) -> Scanned:
    return Scanned(device=device, data=data, aim=aim)


async def test_a_scan_becomes_an_event(counter: Counter) -> None:
    counter.far.scan(b"]E04006381333931")
    assert await counter.events.reach(1) == [scanned("4006381333931", aim="E0")]
    assert counted(counter) == (1, 0)


async def test_a_till_that_was_held_up_in_the_middle_of_a_code_reads_all_of_it(counter: Counter) -> None:
    """What was not looked at for long came without a pause, as far as anybody knows: no tail of it is another code."""
    counter.far.send(b"400638133")
    await asyncio.sleep(GAP_S / 4)
    counter.far.send(b"3931\r")
    time.sleep(3 * GAP_S)  # noqa: ASYNC251  # the loop stands still
    assert await counter.events.reach(1) == [scanned("4006381333931")]
    assert counted(counter) == (1, 0)


async def test_a_code_that_was_torn_while_the_till_was_held_up_is_torn(counter: Counter) -> None:
    counter.far.send(b"400638133")
    await asyncio.sleep(GAP_S / 4)
    time.sleep(3 * GAP_S)  # noqa: ASYNC251  # the loop stands still
    assert await counter.events.reach(1) == [ScanGarbled(device="scanner", fault=ScanFault.TORN, length=9)]


async def test_a_torn_scan_is_told_after_the_pause_and_does_not_spoil_the_next(counter: Counter) -> None:
    counter.far.send(b"400638")
    torn = ScanGarbled(device="scanner", fault=ScanFault.TORN, length=6)
    assert await counter.events.reach(1) == [torn]
    counter.far.scan(b"90311017")
    assert await counter.events.reach(2) == [torn, scanned("90311017")]
    assert counted(counter) == (1, 1)


async def test_doubled_scans_are_two(counter: Counter) -> None:
    counter.far.send(b"90311017\r90311017\r")
    assert await counter.events.reach(2) == [scanned("90311017")] * 2


async def test_a_binary_scan_is_refused(counter: Counter) -> None:
    counter.far.scan(bytes(range(9)) + b"4006")
    assert await counter.events.reach(1) == [ScanGarbled(device="scanner", fault=ScanFault.BINARY, length=13)]


async def test_a_scan_without_end_is_refused_and_bounded(counter: Counter) -> None:
    for _ in range(10):
        counter.far.send(b"7" * 1000)
    counter.far.send(b"\r")
    counter.far.scan(b"90311017")
    overlong = ScanGarbled(device="scanner", fault=ScanFault.OVERLONG, length=2049)
    assert await counter.events.reach(2) == [overlong, scanned("90311017")]


async def test_interleaved_scanners_never_mix(tmp_path: Path) -> None:
    counters = [Counter(tmp_path, f"scanner{i}") for i in range(3)]
    for counter in counters:
        await counter.driver.open()
    chance = random.Random(7)
    wires = [[bytes((byte,)) for byte in (f"{i}00638{i}\r".encode() * 5)] for i in range(3)]
    while any(wires):
        wire = chance.choice([wire for wire in wires if wire])
        counters[wires.index(wire)].far.send(wire.pop(0))
        await asyncio.sleep(0)
    for i, counter in enumerate(counters):
        assert await counter.events.reach(5) == [scanned(f"{i}00638{i}", f"scanner{i}")] * 5
        counter.close()


async def test_a_pulled_cable_in_mid_scan(counter: Counter) -> None:
    counter.far.send(b"400638")
    await asyncio.sleep(0.02)
    counter.far.unplug()
    with pytest.raises(DeviceGone):
        await counter.driver.serve()
    counter.driver.close()
    counter.driver.close()
    assert counter.events == [ScanGarbled(device="scanner", fault=ScanFault.TORN, length=6)]
    with pytest.raises(DeviceAbsent):
        await counter.driver.open()
    counter.driver.close()
    counter.far.plug()
    before = counter.driver.identity
    await counter.driver.open()
    assert counter.driver.identity == before
    counter.far.scan(b"90311017")
    assert (await counter.events.reach(2))[1] == scanned("90311017")


async def test_scans_from_before_the_opening_belong_to_nobody(counter: Counter) -> None:
    counter.driver.close()
    counter.far.scan(b"4006381333931")
    await counter.driver.open()
    counter.far.scan(b"90311017")
    assert await counter.events.reach(1) == [scanned("90311017")]


async def test_a_scanner_set_to_seven_bits_on_a_line_of_eight(tmp_path: Path) -> None:
    far, events = SimulatedScanner(tmp_path / "scanner", terminator=b""), Events()
    options = SerialScannerOptions(path=tmp_path / "scanner", gap_s=GAP_S, software_parity="even")
    driver = SerialScanner("scanner", options, events.append, HostClock())
    await driver.open()
    far.scan(bytes(byte | 0x80 if byte.bit_count() & 1 else byte for byte in b"4006381333931\r"))
    assert await events.reach(1) == [scanned("4006381333931")]
    driver.close()
    far.close()


async def test_without_a_terminator_a_pause_ends_a_code(tmp_path: Path) -> None:
    far, events = SimulatedScanner(tmp_path / "scanner", terminator=b""), Events()
    options = SerialScannerOptions(path=tmp_path / "scanner", gap_s=GAP_S, terminator="none")
    driver = SerialScanner("scanner", options, events.append, HostClock())
    await driver.open()
    for number, code in enumerate(("4006381333931", "90311017"), start=1):
        far.scan(code.encode())
        assert (await events.reach(number))[-1] == scanned(code)
    driver.close()
    far.close()


async def test_a_line_at_the_wrong_speed_is_told(counter: Counter) -> None:
    for number in range(1, 4):
        counter.far.send(b"\xf8\x9c\x06\x98\xe6\x80\xf8\x18\x9e")
        await counter.events.reach(number)
    assert counter.driver.facts()["quality"] == "check-baud"


async def test_serve_runs_until_it_is_cancelled(counter: Counter) -> None:
    with pytest.raises(TimeoutError) as caught:
        async with asyncio.timeout(0.05):
            await counter.driver.serve()
    assert not isinstance(caught.value, DeviceGone)


@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
async def test_a_hostile_wire_that_loses_nothing_delays_but_spoils_nothing(tmp_path: Path, manner: Manner) -> None:
    events, cable = await _hostile(tmp_path, manner, seed=1, rounds=4)
    whole = [event for event in events if isinstance(event, Scanned)]
    assert [event.data for event in whole] == [code.removeprefix("]d2") for code in CODES * 4]
    assert whole == events
    cable.close()


@pytest.mark.parametrize("seed", range(3))
async def test_a_lossy_wire_never_joins_two_scans(tmp_path: Path, seed: int) -> None:
    events, cable = await _hostile(tmp_path, "lossy", seed, rounds=4)
    expected = [code.removeprefix("]d2") for code in CODES * 4]
    for event in events:
        if isinstance(event, Scanned):
            # What is left of a code may be a shorter one, which its check digit finds out; it is never two codes.
            assert any(_is_part(event.data, code) for code in CODES)
    assert len(events) == len(expected)
    assert any(event not in [scanned(code) for code in expected] for event in events)
    cable.close()


async def _hostile(folder: Path, manner: Manner, seed: int, rounds: int) -> tuple[Events, HostileCable]:
    """Scans all codes, a pause between them; gives what the driver made of it."""
    events = Events()

    def make(receive: Receive) -> PtyCable:
        return PtyCable(folder / "scanner", receive)

    cable = HostileCable(make, ignore, manner, seed)
    cable.plug()
    options = SerialScannerOptions(path=folder / "scanner", gap_s=GAP_S)
    driver = SerialScanner("scanner", options, events.append, HostClock())
    await driver.open()
    for number, code in enumerate(CODES * rounds, start=1):
        cable.send(code.encode() + b"\r")
        await until(lambda number=number: len(events) >= number)  # type: ignore[misc]  # mypy has no lambda defaults
    driver.close()
    return events, cable


def _is_part(part: str, whole: str) -> bool:
    """Whether `part` is `whole` with some characters left out."""
    rest = iter(whole)
    return all(character in rest for character in part)
