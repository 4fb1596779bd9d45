"""Displays, lights and the tone: the newest state wins, nothing queues, and nobody waits for them."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from core import effects as x
from core.ports import DeviceGone
from terminald.clock import SystemClock
from terminald.signs import Signs
from terminald.supervisor import Supervisor
from tests.countertop import until
from tests.terminald.devices import FakeDevice, FakeSign


class Counter:
    """Signs over supervised devices."""

    def __init__(self, **devices: FakeDevice) -> None:
        self.keepers = [
            Supervisor(name=kind, kind=kind, device=device, emit=self._changed, clock=SystemClock(), jitter=lambda: 0.0)
            for kind, device in devices.items()
        ]
        self.signs = Signs(self.keepers, SystemClock())

    def show(self, text: str) -> None:
        self.signs.perform(x.ShowOnDisplay(upper=(text, "")))

    def _changed(self, event: object) -> None:
        self.signs.device_changed()


@contextlib.asynccontextmanager
async def counter(**devices: FakeDevice) -> AsyncIterator[Counter]:
    made = Counter(**devices)

    async def never() -> None:
        await asyncio.Event().wait()

    running = [
        asyncio.create_task(made.signs.run(), name="signs"),
        *(asyncio.create_task(keeper.run(never), name=keeper.name) for keeper in made.keepers),
    ]
    for keeper in made.keepers:
        await keeper.ready.wait()
    try:
        yield made
    finally:
        for task in running:
            task.cancel()
        await asyncio.wait(running)


async def test_each_class_is_told_its_own() -> None:
    display, lights, tone = FakeSign(), FakeSign(), FakeSign()
    async with counter(LineDisplay=display, Lights=lights, ToneIndicator=tone) as at:
        at.show("Milk")
        at.signs.perform(x.SetLights(state="busy"))
        at.signs.perform(x.SoundTone(tone="refused"))
        await until(lambda: bool(display.told and lights.told and tone.told), "the signs")
    assert (display.told, lights.told, tone.told) == (["Milk"], ["busy"], ["refused"])


async def test_a_slow_display_shows_the_newest_and_nothing_in_between() -> None:
    display = FakeSign()
    async with counter(LineDisplay=display) as at:
        display.free.clear()
        for number in range(10_000):
            at.show(str(number))
            if number % 1000 == 0:
                await asyncio.sleep(0)
        display.free.set()
        await until(lambda: display.told[-1:] == ["9999"], "the newest")
        assert len(display.told) <= 2


async def test_what_stands_already_is_not_sent_again() -> None:
    display = FakeSign()
    async with counter(LineDisplay=display) as at:
        for text in ("Milk", "Milk", "Bread"):
            at.show(text)
            await asyncio.sleep(0.01)
        await until(lambda: display.told[-1:] == ["Bread"], "the newest")
        assert display.told == ["Milk", "Bread"]


async def test_a_display_that_comes_back_is_told_again() -> None:
    display = FakeSign()
    async with counter(LineDisplay=display) as at:
        at.show("Milk")
        await until(lambda: display.told == ["Milk"], "the text")
        display.fault = DeviceGone("display: unplugged")
        display.broken.set()
        await until(lambda: at.keepers[0].phase == "absent", "the unplugging")
        await until(lambda: display.told == ["Milk", "Milk"], "the text again")


async def test_a_fault_costs_one_try_and_the_newest_is_shown_after_it() -> None:
    display = FakeSign()
    async with counter(LineDisplay=display) as at:
        display.jam = DeviceGone("display: unplugged")
        at.show("Milk")
        await asyncio.sleep(0.05)
        display.jam = None
        at.show("Bread")
        await until(lambda: display.told == ["Bread"], "the newest")


async def test_a_tone_for_an_absent_buzzer_never_sounds_later() -> None:
    tone = FakeSign()
    async with counter(ToneIndicator=tone) as at:
        tone.fault = DeviceGone("tone: unplugged")
        tone.broken.set()
        await until(lambda: not at.keepers[0].ready.is_set(), "the unplugging")
        at.signs.perform(x.SoundTone(tone="refused"))
        await at.keepers[0].ready.wait()
        at.signs.perform(x.SoundTone(tone="drawer-left-open"))
        await until(lambda: bool(tone.told), "the tone")
        assert tone.told == ["drawer-left-open"]


async def test_without_devices_it_is_done_at_once() -> None:
    async with counter() as at:
        at.show("Milk")
        at.signs.perform(x.SetLights(state="ready"))
        at.signs.perform(x.SoundTone(tone="refused"))
