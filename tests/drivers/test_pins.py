"""Lights, tone, key lock, buttons and the case's switch: RPi.GPIO's real module on a simulated board."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.events import ButtonPressed, CaseOpened, KeyLockTurned
from core.ports import Device, DeviceAbsent, DeviceBusy, DeviceGone
from drivers import gpio, registry
from drivers.contacts import GpioButtons, GpioKeylock
from drivers.lights import GpioLights
from drivers.options import (
    GpioButtonsOptions,
    GpioKeylockOptions,
    GpioLightsOptions,
    GpioTamperOptions,
    GpioToneOptions,
)
from drivers.simulated.board import SimulatedBoard
from drivers.tamper import GpioTamperSwitch
from drivers.tone import PATTERNS, GpioTone
from tests.drivers.support import Events, HostClock, Served, until


@pytest_asyncio.fixture
async def board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SimulatedBoard]:
    made = SimulatedBoard(tmp_path / "gpio")
    for key, value in made.environment().items():
        monkeypatch.setenv(key, value)
    monkeypatch.syspath_prepend(made.environment()["PYTHONPATH"].split(os.pathsep)[0])
    await made.start()
    yield made
    while _serving:
        await _serving.pop().close()
    made.close()


_serving: list[Served] = []
"""What is let go of at the end of a test, however it ends."""


async def served(device: Device) -> Served:
    made = Served(device)
    await made.open()
    _serving.append(made)
    return made


async def test_one_lamp_is_lit_at_a_time(board: SimulatedBoard) -> None:
    lights = GpioLights(
        "lights", GpioLightsOptions(green_pin=5, yellow_pin=6, red_pin=13), Events().append, HostClock()
    )
    running = await served(lights)
    await until(lambda: board.outputs == {5: 0, 6: 0, 13: 0})
    for state, pin in (("ready", 5), ("busy", 6), ("attention", 13)):
        await lights.set(state)  # type: ignore[arg-type]
        await until(lambda pin=pin: [at for at, level in board.outputs.items() if level] == [pin])  # type: ignore[misc]
        assert lights.facts() == {"lights": state}
    await running.close()
    await until(lambda: not board.outputs)


async def test_lamps_that_a_low_level_lights(board: SimulatedBoard) -> None:
    lights = GpioLights("lights", GpioLightsOptions(red_pin=13, lit_level="low"), Events().append, HostClock())
    running = await served(lights)
    await until(lambda: board.outputs == {13: 1})
    await lights.set("attention")
    await until(lambda: board.outputs == {13: 0})
    await lights.set("busy")  # it has no lamp
    await until(lambda: board.outputs == {13: 1})
    await running.close()


async def test_a_tone_is_its_pattern(board: SimulatedBoard) -> None:
    tone = GpioTone("tone", GpioToneOptions(pin=12, pitch_hz=2000), Events().append, HostClock())
    running = await served(tone)
    for name, pattern in PATTERNS.items():
        before = len(board.waves)
        await tone.sound(name)
        await until(lambda: bool(board.waves) and not board.waves[-1].hz)
        told = board.waves[before:]
        begun = [wave for wave in told if wave.hz]
        assert [(wave.pin, wave.hz) for wave in begun] == [(12, 2000.0)] * len(pattern)
        ended = next(wave for wave in told if not wave.hz and wave.at_ns > begun[0].at_ns)
        assert (ended.at_ns - begun[0].at_ns) / 1e9 >= pattern[0][0] * 0.9
    await running.close()


async def test_a_tone_that_is_cancelled_ends_at_once(board: SimulatedBoard) -> None:
    tone = GpioTone("tone", GpioToneOptions(pin=12), Events().append, HostClock())
    running = await served(tone)
    sounding = asyncio.create_task(tone.sound("drawer-left-open"))
    await until(lambda: bool(board.waves))
    sounding.cancel()
    await until(lambda: not board.waves[-1].hz)
    await running.close()


def lock(events: Events, **options: Any) -> GpioKeylock:
    return GpioKeylock(
        "lock", GpioKeylockOptions(debounce_ms=5, **({"normal_pin": 5} | options)), events.append, HostClock()
    )


def turned(position: Any) -> KeyLockTurned:
    return KeyLockTurned(device="lock", position=position)


async def test_a_key_is_turned(board: SimulatedBoard) -> None:
    board.set(5, 0)
    board.set(6, 1)
    events = Events()
    keylock = lock(events, supervisor_pin=6)
    running = await served(keylock)
    assert events == [turned("normal")]
    board.set(5, 1)
    board.set(6, 0)
    await until(lambda: events[-1] == turned("supervisor"))
    board.set(6, 1)
    await until(lambda: events[-1] == turned("lock"))
    assert keylock.facts() == {"position": "lock"}
    await running.close()


async def test_between_two_contacts_the_key_is_where_it_was(board: SimulatedBoard) -> None:
    board.set(5, 0)
    board.set(6, 1)
    board.set(13, 1)
    events = Events()
    running = await served(lock(events, supervisor_pin=6, lock_pin=13))
    board.set(5, 1)
    await asyncio.sleep(0.05)
    board.set(6, 0)
    await events.reach(2)
    assert events == [turned("normal"), turned("supervisor")]
    await running.close()


async def test_a_button_gives_one_order_however_it_bounces(board: SimulatedBoard) -> None:
    board.set(5, 1)
    board.set(6, 0)  # held at the opening: not pressed
    events = Events()
    options = GpioButtonsOptions(no_sale_pin=5, cancel_pin=6, debounce_ms=10)
    running = await served(GpioButtons("buttons", options, events.append, HostClock()))
    for level in (0, 1, 0, 1, 0):
        board.set(5, level)
    await events.reach(1)
    await asyncio.sleep(0.1)
    assert events == [ButtonPressed(device="buttons", order="no-sale")]
    board.set(5, 1)
    await asyncio.sleep(0.05)
    board.set(5, 0)
    await events.reach(2)
    await running.close()


def case(events: Events, **options: Any) -> GpioTamperSwitch:
    return GpioTamperSwitch("case", GpioTamperOptions(pin=22, **options), events.append, HostClock())


async def test_an_opened_case_is_told_of_off_the_loop(board: SimulatedBoard) -> None:
    board.set(22, 0)
    heard: list[int] = []
    switch = GpioTamperSwitch(
        "case", GpioTamperOptions(pin=22), lambda _: heard.append(threading.get_ident()), HostClock()
    )
    running = await served(switch)
    assert heard == []
    board.set(22, 1)
    await until(lambda: bool(heard))
    assert heard[0] != threading.get_ident()
    await running.close()


async def test_a_case_that_is_found_open(board: SimulatedBoard) -> None:
    board.set(22, 1)
    events = Events()
    running = await served(case(events))
    assert events == [CaseOpened(device="case")]
    await running.close()


async def test_noise_on_the_wire_is_no_opening(board: SimulatedBoard) -> None:
    board.set(22, 0)
    events = Events()
    running = await served(case(events, confirm_ms=50))
    for level in (1, 0) * 20:
        board.set(22, level)
    await asyncio.sleep(0.2)
    assert events == []
    await running.close()


async def test_the_other_kind_of_switch(board: SimulatedBoard) -> None:
    board.set(22, 1)
    events = Events()
    running = await served(case(events, intact_level="high", pull="down"))
    assert events == []
    board.set(22, 0)
    assert await events.reach(1) == [CaseOpened(device="case")]
    await running.close()


async def test_a_pin_belongs_to_one_device(board: SimulatedBoard) -> None:
    running = await served(lock(Events()))
    with pytest.raises(DeviceBusy, match="pin 5 belongs to another device"):
        await lock(Events()).open()
    await running.close()


async def test_devices_share_a_board_and_let_go_of_it_together(board: SimulatedBoard) -> None:
    lights = GpioLights("lights", GpioLightsOptions(red_pin=13), Events().append, HostClock())
    first, second = await served(lights), await served(lock(Events()))
    await second.close()
    await lights.set("attention")
    await until(lambda: board.outputs == {13: 1})
    await first.close()
    third = await served(lights)
    await until(lambda: board.outputs == {13: 0})
    await third.close()


async def test_a_board_that_goes_away_is_found_out(board: SimulatedBoard, monkeypatch: pytest.MonkeyPatch) -> None:
    board.set(5, 0)
    running = await served(lock(Events()))
    board.set(5, 1)
    board.unplug()
    assert isinstance(await running.failure(), DeviceGone)
    await running.close()
    with pytest.raises(DeviceAbsent):
        await lock(Events()).open()
    board.plug()
    again = await served(lock(Events()))
    await again.close()


async def test_pins_that_are_not_open_are_gone() -> None:
    with pytest.raises(DeviceGone):
        gpio.Pins("lights").read(5)


@pytest.mark.parametrize(
    ("driver", "table", "message"),
    [
        ("lights-gpio", {}, "green_pin: give at least one of green_pin, yellow_pin, red_pin"),
        ("lights-gpio", {"green_pin": 5, "red_pin": 5}, "red_pin: 5 is green_pin already"),
        ("buttons-gpio", {"cash_pin": 54}, "cash_pin: 54 is not within 0 to 53"),
        ("keylock-gpio", {"normal_pin": 5, "lock_pin": 5}, "lock_pin: 5 is normal_pin already"),
    ],
)
def test_pins_that_cannot_be_meant(driver: str, table: dict[str, object], message: str) -> None:
    with pytest.raises(registry.OptionsRejected) as raised:
        registry.options_for(driver, table, "device.x")
    assert [fault.message for fault in raised.value.faults] == [message]
