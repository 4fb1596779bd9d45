"""Keeps displays, lights and the tone at what was asked last. Nothing queues here and nobody waits: a device that is slow
or away shows the newest state when it can, and never what was asked in between.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Generic, TypeVar, assert_never, cast

from core import effects as x
from core.ports import Clock, Device, DeviceError, Lights, LineDisplay, ToneIndicator
from terminald.supervisor import Supervisor

FAULT_PAUSE_S = 1.0
"""After a fault the device's supervisor has so long to notice it too."""

_log = logging.getLogger(__name__)
_T = TypeVar("_T", bound=x.SignEffect)


class Signs:
    """The signs of one counter: each device of a class shows the same."""

    def __init__(self, devices: Sequence[Supervisor], clock: Clock) -> None:
        self._displays = [
            _Newest(device, lambda device, wanted: cast(LineDisplay, device).show(wanted), x.ShowOnDisplay, clock)
            for device in devices
            if device.kind == "LineDisplay"
        ]
        self._lights = [
            _Newest(device, lambda device, wanted: cast(Lights, device).set(wanted.state), x.SetLights, clock)
            for device in devices
            if device.kind == "Lights"
        ]
        self._tones = [
            _Newest(device, lambda device, wanted: cast(ToneIndicator, device).sound(wanted.tone), x.SoundTone, clock)
            for device in devices
            if device.kind == "ToneIndicator"
        ]

    def perform(self, effect: x.SignEffect) -> None:
        """Takes an effect; returns at once."""
        match effect:
            case x.ShowOnDisplay():
                for display in self._displays:
                    display.want(effect)
            case x.SetLights():
                for lights in self._lights:
                    lights.want(effect)
            case x.SoundTone():
                for tone in self._tones:
                    tone.want(effect)
            case _:
                assert_never(effect)

    def device_changed(self) -> None:
        """A device came or went."""
        for each in self._all():
            each.look()

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for each in self._all():
                tasks.create_task(each.run(), name=f"sign-{each.name}")

    def _all(self) -> Sequence["_Newest[Any]"]:
        return (*self._displays, *self._lights, *self._tones)


class _Newest(Generic[_T]):
    """One device and the newest effect for it. A tone that cannot sound now is forgotten; a state is not."""

    def __init__(
        self, keeper: Supervisor, put: Callable[[Device, _T], Awaitable[None]], kind: type[_T], clock: Clock
    ) -> None:
        self.name = keeper.name
        self._keeper = keeper
        self._put = put
        self._lasts = kind is not x.SoundTone
        self._clock = clock
        self._wanted: _T | None = None
        self._shown: _T | None = None
        self._news = asyncio.Event()

    def want(self, effect: _T) -> None:
        if self._lasts or self._keeper.ready.is_set():
            self._wanted = effect
            self._news.set()

    def look(self) -> None:
        """The device may have come anew, and then shows nothing of what it was told."""
        self._shown = None
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._keeper.ready.wait()
            await self._show()
            await self._news.wait()
            self._news.clear()

    async def _show(self) -> None:
        wanted = self._wanted
        if wanted is None or wanted == self._shown:
            return
        if not self._lasts:
            self._wanted = None
        try:
            await self._put(self._keeper.device, wanted)
        except DeviceError as error:
            _log.warning("%s does not take what is to be shown", self.name, extra={"fault": error.code})
            self._news.set()
            await self._clock.sleep(FAULT_PAUSE_S)
            return
        if self._lasts:
            self._shown = wanted
