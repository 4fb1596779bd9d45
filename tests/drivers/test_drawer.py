"""The cash drawer: RPi.GPIO on simulated pins, its sensor, and above all the end of every pulse."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.events import DrawerFound, DrawerLeftOpen, DrawerSensed, DrawerStuck
from core.ports import DeviceAbsent, DeviceGone
from drivers.drawer import GpioDrawer
from drivers.drawer_kicker import PULSE_MS_MAX
from drivers.options import GpioDrawerOptions
from drivers.simulated.drawer import SimulatedDrawer
from tests.drivers.support import Events, HostClock, Served, processes_that_mention, until

PULSE_MS = 60
SLACK_MS = 150.0
"""What a busy machine may add to a pulse before the test calls it too long."""


class Counter(Served):
    """A drawer's driver, served as its supervisor serves it, and its far end."""

    def __init__(self, folder: Path, **options: Any) -> None:
        self.events = Events()
        self.found: list[DrawerFound] = []
        self.far = SimulatedDrawer(
            folder / "bench" / "gpio",
            kick_level=0 if options.get("kick_level") == "low" else 1,
            open_level=0 if options.get("sensor_open_level") == "low" else 1,
        )
        values: dict[str, Any] = {"kick_pin": 17, "sensor_pin": 27, "pulse_ms": PULSE_MS} | options
        self.driver = GpioDrawer("drawer", GpioDrawerOptions(**values), self.events.append, HostClock())
        super().__init__(self.driver)

    async def open(self) -> None:
        """How it is found is no change."""
        await super().open()
        self.found += [event for event in self.events if isinstance(event, DrawerFound)]
        self.events[:] = [event for event in self.events if not isinstance(event, DrawerFound)]

    def kickers(self) -> list[int]:
        return processes_that_mention(f"TERMINALD_BENCH_GPIO={self.far.path}")

    async def close(self) -> None:
        await super().close()
        await until(lambda: not self.kickers())
        self.far.close()


def connected(counter: Counter, monkeypatch: pytest.MonkeyPatch) -> Counter:
    """Puts the bench's pins under RPi.GPIO, here and in the processes started from here."""
    environment = counter.far.environment()
    for key, value in environment.items():
        monkeypatch.setenv(key, value)
    monkeypatch.syspath_prepend(environment["PYTHONPATH"].split(os.pathsep)[0])
    return counter


@pytest_asyncio.fixture
async def counter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Counter]:
    made = connected(Counter(tmp_path), monkeypatch)
    await made.far.start()
    await made.open()
    yield made
    await made.close()


def opened(commanded: bool = True) -> DrawerSensed:
    return DrawerSensed(device="drawer", is_open=True, commanded=commanded)


async def test_a_kick_opens_it_by_one_bounded_pulse(counter: Counter) -> None:
    await counter.driver.kick()
    assert await counter.events.reach(1) == [opened()]
    await until(lambda: not counter.far.is_powered)
    (pulse,) = counter.far.pulses
    assert PULSE_MS <= pulse.length_ms < PULSE_MS + SLACK_MS


async def test_its_closing_says_how_long_it_was_open(counter: Counter) -> None:
    await counter.driver.kick()
    await counter.events.reach(1)
    await asyncio.sleep(0.2)
    counter.far.shut()
    closed = (await counter.events.reach(2))[1]
    assert isinstance(closed, DrawerSensed)
    assert not closed.is_open
    assert 200 <= closed.open_ms < 1000
    assert counter.driver.facts() == {"state": "closed", "kicks": 1, "openings": 1, "openings_uncommanded": 0}


async def test_an_opening_without_a_kick_is_another_fact(counter: Counter) -> None:
    counter.far.pry()
    assert await counter.events.reach(1) == [opened(commanded=False)]


async def test_one_kick_accounts_for_one_opening(counter: Counter) -> None:
    await counter.driver.kick()
    await counter.events.reach(1)
    counter.far.shut()
    await counter.events.reach(2)
    counter.far.pry()
    assert (await counter.events.reach(3))[2] == opened(commanded=False)


async def test_a_kick_long_ago_accounts_for_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = connected(Counter(tmp_path, commanded_window_s=0.1), monkeypatch)
    counter.far.is_jammed = True
    await counter.far.start()
    await counter.open()
    await counter.driver.kick()
    await counter.events.reach(1)
    counter.far.pry()
    assert (await counter.events.reach(2))[1] == opened(commanded=False)
    await counter.close()


async def test_a_bouncing_contact_is_one_change(counter: Counter) -> None:
    counter.far.bounce(20)
    await asyncio.sleep(0.1)
    assert counter.events == []
    counter.far.pry()
    counter.far.bounce(20)
    await asyncio.sleep(0.1)
    assert counter.events == [opened(commanded=False)]


async def test_every_kick_of_a_busy_counter_counts(counter: Counter) -> None:
    await asyncio.gather(*(counter.driver.kick() for _ in range(3)))
    await until(lambda: len(counter.far.pulses) == 3 and not counter.far.is_powered)
    assert all(PULSE_MS <= pulse.length_ms < PULSE_MS + SLACK_MS for pulse in counter.far.pulses)


@pytest.mark.parametrize("options", [{"kick_level": "low"}, {"sensor_open_level": "low"}, {"sensor_pin": None}])
async def test_other_wirings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: dict[str, Any]) -> None:
    counter = connected(Counter(tmp_path, **options), monkeypatch)
    await counter.far.start()
    await counter.open()
    assert not counter.far.is_powered
    await counter.driver.kick()
    await until(lambda: counter.far.is_open)
    if options.get("sensor_pin", 27) is not None:
        assert await counter.events.reach(1) == [opened()]
    await counter.close()
    assert len(counter.far.pulses) == 1


async def test_a_drawer_that_stays_shut_after_a_kick_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = connected(Counter(tmp_path, commanded_window_s=0.1), monkeypatch)
    counter.far.is_jammed = True
    await counter.far.start()
    await counter.open()
    await counter.driver.kick()
    assert await counter.events.reach(1) == [DrawerStuck(fault="drawer-shut")]
    await counter.close()


async def test_a_drawer_that_is_left_open_is_told_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter = connected(Counter(tmp_path, left_open_s=0.2), monkeypatch)
    await counter.far.start()
    await counter.open()
    counter.far.pry()
    _, first, second = await counter.events.reach(3)
    assert isinstance(first, DrawerLeftOpen)
    assert isinstance(second, DrawerLeftOpen)
    assert (first.again, second.again) == (False, True)
    assert 200 <= first.open_ms < second.open_ms
    counter.far.shut()
    count = len(await counter.events.reach(4))
    await asyncio.sleep(0.3)
    assert len(counter.events) == count
    await counter.close()


async def test_how_it_is_found_is_no_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = connected(Counter(tmp_path), monkeypatch)
    counter.far.pry()
    await counter.far.start()
    await counter.open()
    assert counter.driver.facts()["state"] == "open"
    assert counter.found == [DrawerFound(device="drawer", is_open=True)]
    counter.far.shut()
    (closed,) = await counter.events.reach(1)
    assert isinstance(closed, DrawerSensed)
    assert not closed.is_open
    await counter.close()


async def test_the_pins_go_and_come_back(counter: Counter) -> None:
    counter.far.unplug()
    with pytest.raises(DeviceGone):
        await counter.driver.kick()
    assert isinstance(await counter.failure(), DeviceGone)
    counter.driver.close()
    with pytest.raises(DeviceGone, match="not open"):
        await counter.driver.kick()
    with pytest.raises(DeviceAbsent):
        await counter.driver.open()
    counter.far.pry()
    counter.far.plug()
    await counter.open()
    assert await counter.events.reach(1) == [opened()]  # while nobody looked, and shortly after a kick was asked for
    counter.far.shut()
    await counter.events.reach(2)
    await counter.driver.kick()
    assert (await counter.events.reach(3))[2] == opened()


async def test_nowhere_near_a_raspberry_pi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    counter = connected(Counter(tmp_path), monkeypatch)
    monkeypatch.delenv("TERMINALD_BENCH_GPIO")
    with pytest.raises(DeviceAbsent, match="gpiochip"):
        await counter.driver.open()


# --- the end of every pulse -------------------------------------------------------------------------------------------

DAEMON = f"""
    import asyncio, sys
    from drivers.drawer import GpioDrawer
    from drivers.options import GpioDrawerOptions
    from tests.drivers.support import HostClock

    async def main():
        options = GpioDrawerOptions(kick_pin=17, sensor_pin=27, pulse_ms={PULSE_MS})
        drawer = GpioDrawer("drawer", options, lambda event: None, HostClock())
        await drawer.open()
        async with asyncio.TaskGroup() as group:
            group.create_task(drawer.serve())
            await drawer.kick()
            print("kicked", flush=True)
            await asyncio.sleep(60)

    asyncio.run(main())
"""


def _daemon(far: SimulatedDrawer) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DAEMON)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        env=os.environ | far.environment(),
    )


@pytest.mark.parametrize("into_the_pulse_ms", [0, 10, 30, 55, 80])
async def test_a_daemon_killed_in_mid_pulse_leaves_no_coil_powered(tmp_path: Path, into_the_pulse_ms: int) -> None:
    counter = Counter(tmp_path)
    await counter.far.start()
    with _daemon(counter.far) as daemon:
        await until(lambda: counter.far.is_powered, within_s=10)
        await asyncio.sleep(into_the_pulse_ms / 1000)
        daemon.kill()
        await until(lambda: not counter.far.is_powered)
        await until(lambda: not counter.kickers())
    (pulse,) = counter.far.pulses
    assert pulse.length_ms < PULSE_MS + SLACK_MS
    counter.far.close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
async def test_a_kicker_told_to_stop_ends_its_pulse_first(counter: Counter, number: signal.Signals) -> None:
    (pid,) = counter.kickers()
    await counter.driver.kick()
    await until(lambda: counter.far.is_powered)
    os.kill(pid, number)
    await until(lambda: not counter.far.is_powered)
    assert counter.far.pulses[0].length_ms >= PULSE_MS
    await counter.driver.kick()
    assert len(counter.far.pulses) == 2


async def test_closing_in_mid_pulse_neither_shortens_nor_lengthens_it(counter: Counter) -> None:
    await counter.driver.kick()
    await until(lambda: counter.far.is_powered)
    counter.driver.close()
    await until(lambda: not counter.far.is_powered)
    assert PULSE_MS <= counter.far.pulses[0].length_ms < PULSE_MS + SLACK_MS


async def test_a_kicker_killed_in_mid_pulse_is_made_good_by_the_next(counter: Counter) -> None:
    """Nothing in user space can prevent it; the line falls as soon as the driver is opened again."""
    (pid,) = counter.kickers()
    await counter.driver.kick()
    await until(lambda: counter.far.is_powered)
    os.kill(pid, signal.SIGKILL)
    assert isinstance(await counter.failure(), DeviceGone)
    counter.driver.close()
    await counter.open()
    assert not counter.far.is_powered


async def test_a_kick_that_a_dead_daemon_asked_for_is_not_made(tmp_path: Path) -> None:
    far = SimulatedDrawer(tmp_path / "gpio")
    await far.start()
    script = f"""
        import subprocess, sys, time
        kicker = subprocess.Popen(
            [sys.executable, "-m", "drivers.drawer_kicker", "17", "high", "{PULSE_MS}"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        assert kicker.stdout.readline() == b"ready\\n"
        kicker.stdin.write(b"kick\\nkick\\nkick\\n")
        kicker.stdin.flush()
        assert kicker.stdout.readline() == b"on\\n"
        import os, signal
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(script),
        cwd=Path(__file__).parents[2],
        env=os.environ | far.environment(),
    )
    assert await process.wait() == -signal.SIGKILL
    await until(lambda: not processes_that_mention(f"TERMINALD_BENCH_GPIO={far.path}"))
    await until(lambda: not far.is_powered)
    assert len(far.pulses) == 1
    far.close()


async def test_no_configuration_makes_a_pulse_longer_than_the_bound(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="pulse_ms"):
        GpioDrawerOptions(kick_pin=17, pulse_ms=PULSE_MS_MAX + 1)
    far = SimulatedDrawer(tmp_path / "gpio")
    await far.start()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "drivers.drawer_kicker", "17", "high", "60000"),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        cwd=Path(__file__).parents[2],
        env=os.environ | far.environment(),
    )
    await process.communicate(b"kick\n")
    await until(lambda: len(far.pulses) == 1 and not far.is_powered)
    assert far.pulses[0].length_ms < PULSE_MS_MAX + SLACK_MS
    far.close()
