"""A stand-in for the C library lgpio: its pins end at a simulated board, over the Unix socket TERMINALD_BENCH_GPIO.

RPi.GPIO (rpi-lgpio 0.6) runs on it unchanged. It has what RPi.GPIO calls for inputs, outputs, edges and
waves, and no more.
Return codes are lgpio's own: negative on error [lgpio.h]. Lines to the bench, one a change: ``out GPIO LEVEL NS`` (NS is
CLOCK_MONOTONIC, the same in all processes), ``in GPIO``, which lets go of an output, and ``pwm GPIO HZ NS`` (0 Hz: its
end); from the bench: ``level GPIO LEVEL``.
"""

import os
import queue
import socket
import threading
import time
from collections.abc import Callable

RISING_EDGE, FALLING_EDGE, BOTH_EDGES = 1, 2, 3
SET_PULL_NONE, SET_PULL_UP, SET_PULL_DOWN = 128, 32, 64

_NO_CHIP, _NOT_CLAIMED, _BAD_HANDLE = -78, -81, -83
_EDGE_SHIFT = 17
"""Where gpio_get_mode has the edges that are watched."""
_MODE_INPUT, _MODE_OUTPUT, _MODE_ALERT = 0x100, 0x200, 0x400
_LINES = 54
_SETTLE_TIMEOUT_S = 2.0
_READ_BYTES_MAX = 4096
_END = (-1, -1)

Handler = Callable[[int, int, int, int], None]


class error(Exception):  # noqa: N801  # the name is lgpio's
    """What lgpio raises where it does not return a code."""


class _Chip:
    """One open handle: a connection to the bench, the lines it has claimed, and their levels."""

    def __init__(self, link: socket.socket) -> None:
        self.modes: dict[int, int] = {}
        self.levels: dict[int, int] = {}
        self.callbacks: list[_Callback] = []
        self.gone = False
        self._link = link
        self._settled = threading.Event()
        self._edges: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        threading.Thread(target=self._listen, name="lgpio", daemon=True).start()
        # As in lgpio: a handler that takes its time holds up the other handlers, and no reading of a level.
        threading.Thread(target=self._call, name="lgpio-callbacks", daemon=True).start()
        self._settled.wait(_SETTLE_TIMEOUT_S)

    def tell(self, line: str) -> int:
        try:
            self._link.sendall(line.encode() + b"\n")
        except OSError:
            self.gone = True
        return _BAD_HANDLE if self.gone else 0

    def close(self) -> None:
        try:
            self._link.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass  # the bench was faster
        self._link.close()

    def _listen(self) -> None:
        rest = b""
        while True:
            try:
                data = self._link.recv(_READ_BYTES_MAX)
            except OSError:
                data = b""
            if not data:
                self.gone = True
                self._settled.set()
                self._edges.put(_END)
                return
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                self._heard(line.decode())

    def _heard(self, line: str) -> None:
        word, *numbers = line.split()
        if word == "ready":
            self._settled.set()
            return
        gpio, level = map(int, numbers)
        before, self.levels[gpio] = self.levels.get(gpio, 0), level
        mode = self.modes.get(gpio, 0)
        wanted = mode >> _EDGE_SHIFT & (RISING_EDGE if level else FALLING_EDGE)
        if level == before or not mode & _MODE_ALERT or not wanted:
            return
        self._edges.put((gpio, level))

    def _call(self) -> None:
        while (edge := self._edges.get()) != _END:
            for watcher in list(self.callbacks):
                watcher.call(*edge)


class _Callback:
    """What `callback` returns: one function that hears of a line's edges, on the listening thread."""

    def __init__(self, handle: int, chip: _Chip, gpio: int, handler: Handler) -> None:
        self._handle, self._chip, self._gpio, self._handler = handle, chip, gpio, handler
        chip.callbacks.append(self)

    def call(self, gpio: int, level: int) -> None:
        if gpio == self._gpio:
            self._handler(self._handle, gpio, level, time.monotonic_ns())

    def cancel(self) -> None:
        """Hears no more."""
        if self in self._chip.callbacks:
            self._chip.callbacks.remove(self)


_chips: dict[int, _Chip] = {}


def gpiochip_open(gpiochip: int) -> int:
    """A handle to the bench's pins, or -78 (cannot open gpiochip) where no bench listens."""
    link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        folder, name = os.path.split(os.environ["TERMINALD_BENCH_GPIO"])
        # A socket's path may have 107 bytes and no more; by its folder's descriptor it is always short enough.
        fd = os.open(folder, os.O_PATH | os.O_DIRECTORY)
        try:
            link.connect(f"/proc/self/fd/{fd}/{name}")
        finally:
            os.close(fd)
    except (KeyError, OSError):
        link.close()
        return _NO_CHIP
    handle = max(_chips, default=-1) + 1
    _chips[handle] = _Chip(link)
    return handle


def gpiochip_close(handle: int) -> int:
    """Lets go of the handle."""
    _chips.pop(handle).close()
    return 0


def gpio_get_chip_info(handle: int) -> tuple[int, int, str, str]:
    """Status, count of lines, name, label."""
    return 0, _LINES, "bench", "simulated"


def gpio_claim_output(handle: int, gpio: int, level: int = 0, lFlags: int = 0) -> int:  # noqa: N803  # lgpio's name
    """Makes the line an output at `level`."""
    _chips[handle].modes[gpio] = _MODE_OUTPUT | 0x2
    return gpio_write(handle, gpio, level)


def gpio_claim_input(handle: int, gpio: int, lFlags: int = 0) -> int:  # noqa: N803  # lgpio's name
    """Makes the line an input; what it drove before falls."""
    _chips[handle].modes[gpio] = _MODE_INPUT | lFlags
    return _chips[handle].tell(f"in {gpio}")


def gpio_claim_alert(handle: int, gpio: int, eFlags: int, lFlags: int = 0) -> int:  # noqa: N803  # lgpio's name
    """Makes the line an input whose edges are told to its callbacks."""
    _chips[handle].modes[gpio] = _MODE_ALERT | lFlags | eFlags << _EDGE_SHIFT
    return 0


def gpio_set_debounce_micros(handle: int, gpio: int, micros: int) -> int:
    """The bench's contacts do not bounce by themselves."""
    return 0


def callback(handle: int, gpio: int, edge: int = RISING_EDGE, func: Handler | None = None) -> _Callback:
    """Calls `func` with handle, gpio, level and time at each edge of the claimed line."""
    assert func is not None, "RPi.GPIO always gives one"
    return _Callback(handle, _chips[handle], gpio, func)


def gpio_free(handle: int, gpio: int) -> int:
    """Lets go of the line."""
    _chips[handle].modes.pop(gpio, None)
    return 0


def gpio_read(handle: int, gpio: int) -> int:
    """The line's level."""
    chip = _chips[handle]
    return _BAD_HANDLE if chip.gone else chip.levels.get(gpio, 0)


def gpio_write(handle: int, gpio: int, level: int) -> int:
    """Sets the level of an output."""
    chip = _chips[handle]
    if not chip.modes.get(gpio, 0) & _MODE_OUTPUT:
        return _NOT_CLAIMED
    chip.levels[gpio] = int(level)
    return chip.tell(f"out {gpio} {int(level)} {time.monotonic_ns()}")


def tx_pwm(handle: int, gpio: int, pwm_frequency: float, pwm_duty_cycle: float) -> int:
    """Begins or ends a wave on an output."""
    chip = _chips[handle]
    if not chip.modes.get(gpio, 0) & _MODE_OUTPUT:
        return _NOT_CLAIMED
    return chip.tell(f"pwm {gpio} {pwm_frequency:g} {time.monotonic_ns()}")


def gpio_get_mode(handle: int, gpio: int) -> int:
    """What the line was claimed as."""
    return _chips[handle].modes.get(gpio, 0)


def error_text(code: int) -> str:
    """A code in words."""
    return {_NO_CHIP: "can not open gpiochip", _NOT_CLAIMED: "GPIO not claimed"}.get(code, "bad handle")
