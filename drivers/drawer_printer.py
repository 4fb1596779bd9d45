"""A cash drawer on a receipt printer's connector (CashDrawer): the printer powers the solenoid and reads the contact.

The printer is another device with another driver: it is given as a `core.ports.DrawerPort` when all is put together. The
drawer is there while its printer is.
"""

import asyncio

from core.ports import Clock, DeviceAbsent, DeviceGone, DrawerPort, Emit
from drivers.drawer_truth import DrawerTruth
from drivers.options import PrinterDrawerOptions


class PrinterDrawer:
    """Emits what a drawer emits. A `core.ports.CashDrawer`."""

    def __init__(self, name: str, options: PrinterDrawerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"{options.printer}:{options.connector}"
        self._name = name
        self._options = options
        self._truth = DrawerTruth(
            name,
            emit,
            clock,
            commanded_window_s=options.commanded_window_s,
            left_open_s=options.left_open_s,
        )
        self._port: DrawerPort | None = None
        self._changed = asyncio.Event()
        self._is_looked_at = False
        self._kicking = asyncio.Lock()

    def attach(self, port: DrawerPort) -> None:
        """Its printer. Called once, before it is opened."""
        self._port = port
        port.watch_drawer(self._on_change)

    async def open(self) -> None:
        if self._port is None or self._port.drawer_level is None:
            raise DeviceAbsent(f"{self._name}: its printer {self._options.printer} is not there")
        self._is_looked_at = True
        self._look()
        self._truth.resume()

    async def serve(self) -> None:
        assert self._port is not None, "open() comes first"
        while self._is_looked_at and self._port.drawer_level is not None:
            self._changed.clear()
            await self._changed.wait()
        raise DeviceGone(f"{self._name}: its printer {self._options.printer} is gone")

    def close(self) -> None:
        self._is_looked_at = False
        self._changed.set()
        self._truth.close()

    def facts(self) -> dict[str, str | int]:
        return self._truth.facts()

    async def kick(self) -> None:
        async with self._kicking:
            if self._port is None or not self._is_looked_at:
                raise DeviceGone(f"{self._name}: not open")
            self._truth.kicking()
            await self._port.kick_drawer(
                1 if self._options.connector == "pin2" else 2,
                self._options.pulse_ms,
                realtime=self._options.pulse == "realtime",
            )
            self._truth.kicked()

    async def plugged(self) -> None:
        """Waits until its printer comes."""
        assert self._port is not None, "attach() comes first"
        while self._port.drawer_level is None:
            self._changed.clear()
            await self._changed.wait()

    def _on_change(self) -> None:
        self._changed.set()
        self._look()

    def _look(self) -> None:
        level = self._port.drawer_level if self._port is not None else None
        if self._is_looked_at and level is not None and self._options.sensor_open_level != "none":
            self._truth.sense(level == (self._options.sensor_open_level == "high"))
