"""The keeper of a device: it opens again for ever, says each fault once, and lets a broken cable cost nothing."""

import asyncio
import contextlib
import itertools
import weakref
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from core.events import AnyEvent, DeviceChanged, DevicePhase
from core.ports import DeviceAbsent, DeviceDenied, DeviceGone, DeviceStalled
from store.device_book import DeviceBook
from terminald.clock import SystemClock
from terminald.supervisor import BACKOFF_MAX_S, BACKOFF_MIN_S, Supervisor
from tests.countertop import until
from tests.jumping_clock import JumpingClock
from tests.terminald.devices import FakeDevice


class Kept:
    """A device with its keeper; `plug` is the watcher's word that something was plugged in."""

    def __init__(self, device: FakeDevice) -> None:
        self.device = device
        self.said: list[DeviceChanged] = []
        self.plug = asyncio.Event()
        self.keeper = Supervisor(
            name="scanner", kind="Scanner", device=device, emit=self._say, clock=SystemClock(), jitter=lambda: 0.0
        )

    @property
    def phases(self) -> list[str]:
        return [event.phase.value for event in self.said]

    async def plugged(self) -> None:
        await self.plug.wait()
        self.plug.clear()

    def _say(self, event: AnyEvent) -> None:
        assert isinstance(event, DeviceChanged)
        self.said.append(event)


@contextlib.asynccontextmanager
async def kept(device: FakeDevice) -> AsyncIterator[Kept]:
    made = Kept(device)
    running = asyncio.create_task(made.keeper.run(made.plugged), name="keeper")
    try:
        yield made
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_a_device_that_works() -> None:
    async with kept(FakeDevice()) as kept_device:
        await kept_device.keeper.ready.wait()
        assert kept_device.phases == ["opening", "ready"]
        assert kept_device.keeper.fault is None
    assert kept_device.device.closed == 1
    assert not kept_device.keeper.ready.is_set()


async def test_a_device_that_vanishes_comes_back_by_itself() -> None:
    async with kept(FakeDevice()) as kept_device:
        await kept_device.keeper.ready.wait()
        kept_device.device.broken.set()
        await until(lambda: kept_device.device.opened == 2, "the second opening")
        await kept_device.keeper.ready.wait()
        assert kept_device.phases == ["opening", "ready", "absent", "opening", "ready"]
        assert kept_device.keeper.faults == 1


async def test_a_fault_that_stays_is_said_once() -> None:
    device = FakeDevice(itertools.repeat(DeviceDenied("scanner: not allowed")))
    async with kept(device) as kept_device:
        await until(lambda: device.opened == 3, "three openings")
        assert kept_device.phases.count("stalled") == 1
        assert (kept_device.keeper.faults, kept_device.keeper.fault) == (1, "device-denied")
        assert kept_device.keeper.remedy == DeviceDenied.remedy
        assert device.closed == 3


async def test_another_fault_is_said_too() -> None:
    device = FakeDevice(iter([DeviceAbsent("none"), DeviceDenied("not allowed"), None]))
    async with kept(device) as kept_device:
        await kept_device.keeper.ready.wait()
        faults = [event.fault for event in kept_device.said if event.phase is not DevicePhase.OPENING]
        assert faults == ["device-absent", "device-denied", None]


async def test_plugging_in_ends_the_pause() -> None:
    """After a row of failures the pause is long; a cable that is put in is not kept waiting."""
    device = FakeDevice(itertools.chain(itertools.repeat(DeviceAbsent("none"), 4), itertools.repeat(None)))
    async with kept(device) as kept_device:
        for opened in (1, 2, 3, 4):
            await until(lambda opened=opened: device.opened == opened, f"opening {opened}")  # type: ignore[misc]
            kept_device.plug.set()
        async with asyncio.timeout(BACKOFF_MIN_S):
            await kept_device.keeper.ready.wait()


async def test_pauses_grow() -> None:
    device = FakeDevice(itertools.repeat(DeviceAbsent("none")))
    async with kept(device):
        await asyncio.sleep(1.0)
    at_least_s = [BACKOFF_MIN_S * 2**failure * 0.5 for failure in range(4)]
    assert sum(at_least_s[:3]) < 1.0 < sum(at_least_s)
    assert 2 <= device.opened <= 4
    assert BACKOFF_MAX_S < 60.0


async def test_a_stalled_device_is_not_an_absent_one() -> None:
    async with kept(FakeDevice()) as kept_device:
        await kept_device.keeper.ready.wait()
        kept_device.device.fault = DeviceStalled("scanner: no answer")
        kept_device.device.broken.set()
        await until(lambda: "stalled" in kept_device.phases, "the fault")


async def test_a_fault_of_ours_is_not_retried() -> None:
    """What is no DeviceError ends the daemon, and the device is let go of."""
    device = FakeDevice()
    made = Kept(device)
    device.fault = ZeroDivisionError("ours")
    device.broken.set()
    with pytest.raises(ZeroDivisionError):
        await made.keeper.run(made.plugged)
    assert (device.opened, device.closed) == (1, 1)


class MuteDevice(FakeDevice):
    """Open, and as `answer` says alive, dead, or silent."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: DeviceGone | None = None

    async def probe(self) -> None:
        if self.answer is not None:
            raise self.answer


async def test_a_device_that_is_open_and_dead_is_found_out() -> None:
    device = MuteDevice()
    async with kept(device) as kept_device:
        await kept_device.keeper.ready.wait()
        assert await kept_device.keeper.probe() is None
        assert device.opened == 1
        device.answer = DeviceGone("scanner: its node is gone")
        assert await kept_device.keeper.probe() is device.answer
        device.answer = None
        await until(lambda: device.opened == 2, "the second opening")
        await kept_device.keeper.ready.wait()
        assert kept_device.phases == ["opening", "ready", "absent", "opening", "ready"]


async def test_one_that_cannot_be_asked_is_let_be() -> None:
    async with kept(FakeDevice()) as kept_device:
        await kept_device.keeper.ready.wait()
        assert await kept_device.keeper.probe() is None


async def test_what_a_failed_opening_left_half_open_is_let_go_of() -> None:
    """Libraries that fail while they open a node (evdev) close it when they are forgotten, and not before."""

    class HalfOpen:
        pass

    left: list[weakref.ref[HalfOpen]] = []

    class Failing(FakeDevice):
        async def open(self) -> None:
            await super().open()
            if self.opened == 1:
                half = HalfOpen()
                left.append(weakref.ref(half))
                raise DeviceGone("half open") from OSError("no such device")

    async with kept(Failing()) as kept_device:
        await kept_device.keeper.ready.wait()
        assert [half() for half in left] == [None]


async def test_a_life_is_ended_from_outside() -> None:
    """udev says that it went, and its driver waits for ever."""
    async with kept(FakeDevice()) as kept_device:
        kept_device.keeper.end(DeviceGone("before it is open, nothing happens"))
        await kept_device.keeper.ready.wait()
        kept_device.keeper.end(DeviceGone("it went"))
        await until(lambda: kept_device.device.opened == 2, "the second opening")
        assert "absent" in kept_device.phases


async def test_that_a_pulled_device_is_away_is_no_second_fault() -> None:
    device = FakeDevice(iter([None, DeviceAbsent("away"), DeviceAbsent("away"), None]))
    device.fault = DeviceGone("pulled")
    async with kept(device) as kept_device:
        await kept_device.keeper.ready.wait()
        device.broken.set()
        await until(lambda: device.opened == 4, "the fourth opening")
        assert kept_device.keeper.faults == 1


async def test_a_plug_event_makes_the_next_pause_short_again() -> None:
    device = FakeDevice(itertools.repeat(DeviceAbsent("none")))
    async with kept(device) as kept_device:
        for opened in range(1, 7):
            await until(lambda opened=opened: device.opened >= opened, f"opening {opened}")  # type: ignore[misc]
            kept_device.plug.set()
        opened = device.opened
        # The seventh pause would be at least 8 s long.
        await until(lambda: device.opened > opened + 1, "an opening after a short pause")


async def test_the_time_between_faults_is_kept(tmp_path: Path) -> None:
    book = DeviceBook(tmp_path / "devices.json")
    clock = JumpingClock()
    device = FakeDevice()
    keeper = Supervisor(
        name="scanner", kind="Scanner", device=device, emit=lambda _: None, clock=clock, jitter=lambda: 0.0, book=book
    )
    plug = asyncio.Event()

    async def plugged() -> None:
        await plug.wait()
        plug.clear()

    running = asyncio.create_task(keeper.run(plugged), name="keeper")
    for worked_s in (100, 300):
        await keeper.ready.wait()
        clock.pass_ms(worked_s * 1000)
        device.broken.set()
        await until(lambda: keeper.fault is not None, "the fault")
        plug.set()
    await keeper.ready.wait()
    assert keeper.between_faults_s == 200
    clock.pass_ms(200_000)
    assert keeper.between_faults_s == 300
    running.cancel()
    await asyncio.wait([running])
    book.save()
    again = DeviceBook(tmp_path / "devices.json")
    assert again.past("device").between_faults_s == 300
    assert again.past("device").faults == 2
    assert again.holder_of("scanner") == "device"
