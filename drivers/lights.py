"""Lamps on pins of the Raspberry Pi (UnifiedPOS Lights): green while the till is ready, yellow while it waits for a payment,
red while it has something to tell the operator.
"""

from core.effects import LightState
from core.ports import Clock, Emit
from drivers.gpio import Pins
from drivers.options import GpioLightsOptions


class GpioLights:
    """Emits nothing. A `core.ports.Lights`."""

    def __init__(self, name: str, options: GpioLightsOptions, emit: Emit, clock: Clock) -> None:
        lamps = {"ready": options.green_pin, "busy": options.yellow_pin, "attention": options.red_pin}
        self._lamps: dict[str, int] = {state: pin for state, pin in lamps.items() if pin is not None}
        self.identity = "gpio:" + ",".join(map(str, self._lamps.values()))
        self._lit = 1 if options.lit_level == "high" else 0
        self._pins = Pins(name)
        self._state = "dark"

    async def open(self) -> None:
        self._state = "dark"
        await self._pins.open(outputs=dict.fromkeys(self._lamps.values(), 1 - self._lit))

    async def serve(self) -> None:
        while True:
            await self._pins.rest()
            self._pins.read(next(iter(self._lamps.values())))

    def close(self) -> None:
        self._pins.close()

    def facts(self) -> dict[str, str | int]:
        return {"lights": self._state}

    async def set(self, state: LightState) -> None:
        self._state = state
        for lamp, pin in self._lamps.items():
            self._pins.write(pin, self._lit if lamp == state else 1 - self._lit)
