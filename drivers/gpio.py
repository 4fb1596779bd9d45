"""Pins of the Raspberry Pi, by RPi.GPIO's own API (rpi-lgpio): what every driver on pins shares.

RPi.GPIO keeps one chip for the whole process. So which pins are held is kept here too, and with the last one the chip is
let go of. The library tells of edges on a thread of its own.
"""

import asyncio
import contextlib
import os
import tempfile
import threading
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

from core.ports import DeviceAbsent, DeviceBusy, DeviceError, DeviceGone

Pull = Literal["up", "down", "off"]
Level = Literal["high", "low"]

HEALTH_S: Final = 5.0
"""How often somebody who holds pins reads one, to find a chip that went away."""

_held: set[int] = set()
_claiming = threading.Lock()
"""Around every claim and release: RPi.GPIO's mode and chip are the process's."""


class Pins:
    """The pins that one device holds. `name` is the device's, for messages."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._gpio: Any = None  # the module RPi.GPIO while pins are held
        self._mine: list[int] = []
        self._is_wanted = False
        self._closed = asyncio.Event()

    async def open(
        self,
        *,
        inputs: Mapping[int, Pull] | None = None,
        outputs: Mapping[int, int] | None = None,
        on_edge: Callable[[int], None] | None = None,
    ) -> None:
        """Takes inputs with their pull and outputs with their first level. Raises DeviceAbsent or DeviceBusy.

        `on_edge` is called with the pin at both edges of each input, on the library's own thread.
        """
        place_fifo()
        self._is_wanted = True
        self._closed.clear()
        # Loading the library and opening the chip takes tens of milliseconds that a scan should not wait for.
        await asyncio.to_thread(self._claim, dict(inputs or {}), dict(outputs or {}), on_edge)

    async def rest(self) -> None:
        """Waits until it is time for a look at a pin. Raises DeviceGone once they are closed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(HEALTH_S):
                await self._closed.wait()
                raise DeviceGone(f"{self._name}: its pins were let go of")

    def read(self, pin: int) -> int:
        """An input's level, 0 or 1. Raises DeviceGone."""
        with self._talking():
            return int(self._gpio.input(pin))

    def write(self, pin: int, level: int) -> None:
        """Sets an output. Raises DeviceGone."""
        with self._talking():
            self._gpio.output(pin, level)

    @contextlib.contextmanager
    def wave(self, pin: int, hz: float) -> Any:
        """A square wave on an output for as long as the block runs. Raises DeviceGone."""
        with self._talking():
            wave = self._gpio.PWM(pin, hz)
            wave.start(50.0)
        try:
            yield
        finally:
            with contextlib.suppress(RuntimeError, OSError):
                wave.stop()
            del wave  # RPi.GPIO allows one at a time on a pin

    def close(self) -> None:
        """Lets go of them. Never raises, may be called twice."""
        self._is_wanted = False
        self._closed.set()
        with _claiming:
            self._release()

    def _claim(self, inputs: dict[int, Pull], outputs: dict[int, int], on_edge: Callable[[int], None] | None) -> None:
        """Runs on another thread, perhaps longer than anybody waits for it."""
        with _claiming:
            if not self._is_wanted:
                return
            try:
                import RPi.GPIO as GPIO  # late: it exists, and works, on a Raspberry Pi alone

                self._gpio = GPIO
                if taken := _held & {*inputs, *outputs}:
                    raise DeviceBusy(f"{self._name}: pin {min(taken)} belongs to another device of this terminal")
                GPIO.setwarnings(False)
                GPIO.setmode(GPIO.BCM)
                pulls = {"up": GPIO.PUD_UP, "down": GPIO.PUD_DOWN, "off": GPIO.PUD_OFF}
                for pin, level in outputs.items():
                    self._hold(pin)
                    GPIO.setup(pin, GPIO.OUT, initial=level)
                for pin, pull in inputs.items():
                    self._hold(pin)
                    GPIO.setup(pin, GPIO.IN, pull_up_down=pulls[pull])
                    if on_edge is not None:
                        GPIO.add_event_detect(pin, GPIO.BOTH, callback=on_edge)
            except DeviceError:
                self._release()
                raise
            except (ImportError, RuntimeError, OSError, ValueError) as error:
                self._release()
                # lgpio says what is wrong in words alone.
                kind = DeviceBusy if "busy" in str(error).lower() else DeviceAbsent
                raise kind(f"{self._name}: {error}") from error

    def _hold(self, pin: int) -> None:
        self._mine.append(pin)
        _held.add(pin)

    def _release(self) -> None:
        gpio, self._gpio = self._gpio, None
        for pin in self._mine:
            with contextlib.suppress(RuntimeError, OSError):
                gpio.cleanup(pin)
            _held.discard(pin)
        self._mine.clear()
        if gpio is not None and not _held:
            with contextlib.suppress(RuntimeError, OSError):
                gpio.cleanup()

    @contextlib.contextmanager
    def _talking(self) -> Any:
        if self._gpio is None:
            raise DeviceGone(f"{self._name}: its pins are not open")
        try:
            yield
        except (RuntimeError, OSError) as error:
            raise DeviceGone(f"{self._name}: {error}") from error


class Contacts:
    """Switches on input pins, each debounced: `changed(pin)` is called on the loop when a level has settled as another one.

    `changed(None)` is called once at the opening, when all `levels` are known.
    """

    def __init__(self, name: str, debounce_ms: int, changed: Callable[[int | None], None]) -> None:
        self.levels: dict[int, int] = {}
        self._pins = Pins(name)
        self._debounce_s = debounce_ms / 1000
        self._changed = changed
        self._settling: dict[int, asyncio.TimerHandle] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self, inputs: Mapping[int, Pull]) -> None:
        """Takes the pins. Raises DeviceAbsent or DeviceBusy."""
        self._loop = asyncio.get_running_loop()
        self.levels = {}
        await self._pins.open(inputs=inputs, on_edge=self._heard)
        self.levels = {pin: self._pins.read(pin) for pin in inputs}
        self._changed(None)

    async def serve(self) -> None:
        """Runs until the chip goes away. Raises DeviceGone."""
        while True:
            await self._pins.rest()
            for pin in self.levels:
                self._pins.read(pin)

    def close(self) -> None:
        """Lets go of the pins. Never raises, may be called twice."""
        for timer in self._settling.values():
            timer.cancel()
        self._settling.clear()
        self._pins.close()

    def _heard(self, pin: int) -> None:
        """On the library's thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # a loop that has been closed needs no more edges
                self._loop.call_soon_threadsafe(self._on_edge, pin)

    def _on_edge(self, pin: int) -> None:
        """A contact bounces: its level counts once it has been left alone for a while."""
        if pin in self._settling:
            self._settling[pin].cancel()
        self._settling[pin] = asyncio.get_running_loop().call_later(self._debounce_s, self._settle, pin)

    def _settle(self, pin: int) -> None:
        self._settling.pop(pin, None)
        try:
            level = self._pins.read(pin)
        except DeviceGone:
            return  # the next look raises it
        if level != self.levels.get(pin):
            self.levels[pin] = level
            self._changed(pin)


def place_fifo() -> None:
    """lgpio makes a FIFO in its working directory; it is told where before anything imports it."""
    os.environ.setdefault("LG_WD", os.environ.get("RUNTIME_DIRECTORY", tempfile.gettempdir()))
