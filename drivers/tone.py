"""A buzzer on a pin of the Raspberry Pi (UnifiedPOS ToneIndicator), by RPi.GPIO's PWM: a passive one, which the wave sounds."""

import asyncio
from collections.abc import Mapping
from typing import Final

from core.effects import ToneName
from core.ports import Clock, Emit
from drivers.gpio import Pins
from drivers.options import GpioToneOptions

PATTERNS: Final[Mapping[ToneName, tuple[tuple[float, float], ...]]] = {
    "refused": ((0.08, 0.06), (0.08, 0.0)),
    "drawer-left-open": ((0.4, 0.0),),
}
"""Of each tone, how long it sounds and how long it is silent after that, in seconds, one after the other."""


class GpioTone:
    """Emits nothing. A `core.ports.ToneIndicator`."""

    def __init__(self, name: str, options: GpioToneOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"gpio:{options.pin}"
        self._options = options
        self._clock = clock
        self._pins = Pins(name)
        self._sounding = asyncio.Lock()
        self._sounded = 0

    async def open(self) -> None:
        await self._pins.open(outputs={self._options.pin: 0})

    async def serve(self) -> None:
        while True:
            await self._pins.rest()
            if not self._sounding.locked():
                self._pins.read(self._options.pin)

    def close(self) -> None:
        self._pins.close()

    def facts(self) -> dict[str, str | int]:
        return {"sounded": self._sounded}

    async def sound(self, tone: ToneName) -> None:
        async with self._sounding:
            for on_s, off_s in PATTERNS[tone]:
                with self._pins.wave(self._options.pin, self._options.pitch_hz):
                    await self._clock.sleep(on_s)
                await self._clock.sleep(off_s)
            self._sounded += 1
