"""The switch under the terminal's case, on a pin of the Raspberry Pi.

It is closed while the case is, and a cut wire is an open case. The event is emitted on the thread on which the edge is
told, so that nothing that the event loop is busy with lies between the edge and the end of the keys.
"""

import contextlib
import time

from core.events import CaseOpened
from core.ports import Clock, DeviceGone, Emit
from drivers.gpio import Pins
from drivers.options import GpioTamperOptions


class GpioTamperSwitch:
    """Emits CaseOpened, on any thread. A `core.ports.Device`."""

    def __init__(self, name: str, options: GpioTamperOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"gpio:{options.pin}"
        self._name = name
        self._options = options
        self._emit = emit
        self._clock = clock
        self._pins = Pins(name)

    async def open(self) -> None:
        await self._pins.open(inputs={self._options.pin: self._options.pull}, on_edge=lambda _: self._on_edge())
        self._look()

    async def serve(self) -> None:
        while True:
            await self._pins.rest()
            self._look()  # nobody relies on an edge alone

    def close(self) -> None:
        self._pins.close()

    def facts(self) -> dict[str, str | int]:
        return {}

    def _on_edge(self) -> None:
        """On the library's thread. Noise on a long wire is over before it counts."""
        with contextlib.suppress(DeviceGone):  # the watch finds that out by itself
            if self._is_open():
                time.sleep(self._options.confirm_ms / 1000)
                self._look()

    def _look(self) -> None:
        if self._is_open():
            self._emit(CaseOpened(device=self._name))

    def _is_open(self) -> bool:
        return self._pins.read(self._options.pin) != (1 if self._options.intact_level == "high" else 0)
