"""A cash drawer on two pins of the Raspberry Pi: the solenoid that opens it, the contact that sees it (CashDrawer).

The solenoid belongs to a process of its own (`drivers.drawer_kicker`), the sensor to us. That a kick was commanded and
that the drawer was seen to open are two facts, and an opening without a kick is a third (`drivers.drawer_truth`).
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from core.ports import Clock, DeviceAbsent, DeviceBusy, DeviceError, DeviceGone, Emit, ProtocolError
from drivers.child import Child
from drivers.drawer_truth import DrawerTruth
from drivers.gpio import Pins, place_fifo
from drivers.options import GpioDrawerOptions

READY_TIMEOUT_S: Final = 10.0
"""A Raspberry Pi that is just starting takes its time to start one more process."""
KICK_TIMEOUT_S: Final = 1.0


class GpioDrawer:
    """Emits what a drawer emits. A `core.ports.CashDrawer`."""

    def __init__(self, name: str, options: GpioDrawerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"gpio:{options.kick_pin}"
        self._name = name
        self._options = options
        self._kicker: Child | None = None
        self._answered: asyncio.Future[None] | None = None
        self._is_ready = False
        self._kicking = asyncio.Lock()
        self._fault: DeviceError | None = None
        self._pins = Pins(name)
        self._is_watched = False
        self._settling: asyncio.TimerHandle | None = None
        self._truth = DrawerTruth(
            name,
            emit,
            clock,
            commanded_window_s=options.commanded_window_s,
            left_open_s=options.left_open_s,
        )

    async def open(self) -> None:
        place_fifo()  # the kicker inherits our environment
        self._fault = None
        self._is_ready = False
        options = self._options
        arguments = (str(options.kick_pin), options.kick_level, str(options.pulse_ms))
        self._kicker = await Child.start(self._name, "drivers.drawer_kicker", arguments, self._on_line)
        try:
            await self._answer(READY_TIMEOUT_S)
            if options.sensor_pin is not None:
                await self._watch(options.sensor_pin)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        assert self._kicker is not None, "open() comes first"
        try:
            await self._kicker.lost()
        except DeviceError as error:
            raise (self._fault or error) from None

    def close(self) -> None:
        if self._kicker is not None:
            self._kicker.close()
            self._kicker = None
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        self._is_watched = False
        self._truth.close()
        self._pins.close()

    def facts(self) -> dict[str, str | int]:
        return self._truth.facts()

    async def kick(self) -> None:
        async with self._kicking:
            if self._kicker is None:
                raise DeviceGone(f"{self._name}: not open.")
            self._truth.kicking()
            await self._kicker.write("kick")
            await self._answer(KICK_TIMEOUT_S)
            self._truth.kicked()

    # --- the kicker ---

    async def _answer(self, timeout_s: float) -> None:
        """Waits for the kicker's next word. Raises DeviceError."""
        assert self._kicker is not None, "there is somebody to answer"
        self._answered = asyncio.get_running_loop().create_future()
        try:
            await self._kicker.answer(self._answered, timeout_s)
        except DeviceError as error:
            raise (self._fault or error) from None

    def _on_line(self, line: bytes) -> None:
        word, _, text = line.decode(errors="replace").partition(" ")
        match word:
            case "ready" | "on":
                self._is_ready = True
                if self._answered is not None and not self._answered.done():
                    self._answered.set_result(None)
            case "off":
                pass
            case "error":
                self._fault = self._named(text, DeviceGone if self._is_ready else DeviceAbsent)
            case _:
                self._fault = ProtocolError(f"{self._name}: its kicker said something unknown.")

    def _named(self, text: str, kind: type[DeviceError]) -> DeviceError:
        """lgpio says what is wrong in words alone."""
        return (DeviceBusy if "busy" in text.lower() else kind)(f"{self._name}: {text}")

    # --- the sensor ---

    async def _watch(self, pin: int) -> None:
        loop = asyncio.get_running_loop()
        await self._pins.open(
            inputs={pin: self._options.sensor_pull}, on_edge=lambda _: _hand_over(loop, self._on_edge)
        )
        self._is_watched = True
        self._truth.sense(self._sense())
        self._truth.resume()

    def _sense(self) -> bool:
        level = 1 if self._options.sensor_open_level == "high" else 0
        assert self._options.sensor_pin is not None, "only a sensor senses"
        return self._pins.read(self._options.sensor_pin) == level

    def _on_edge(self) -> None:
        """A contact bounces: its level counts once it has been left alone for a while."""
        if not self._is_watched:
            return
        if self._settling is not None:
            self._settling.cancel()
        loop = asyncio.get_running_loop()
        self._settling = loop.call_later(self._options.debounce_ms / 1000, self._on_settled)

    def _on_settled(self) -> None:
        self._settling = None
        try:
            is_open = self._sense()
        except DeviceGone as error:
            self._fault = error
            if self._kicker is not None:
                self._kicker.close()  # which ends serve()
            return
        self._truth.sense(is_open)


def _hand_over(loop: asyncio.AbstractEventLoop, action: Callable[[], None]) -> None:
    """From the thread on which edges are told to the loop's own; a loop that has been closed needs no more of them."""
    with contextlib.suppress(RuntimeError):
        loop.call_soon_threadsafe(action)
