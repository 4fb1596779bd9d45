"""A simulated cash drawer at the far end of two GPIO pins: a solenoid that opens it, a contact that sees it.

`environment` goes into the daemon's environment and puts `drivers/simulated/gpio` under RPi.GPIO; the pins then end here.
An output stays at its level when the process that drove it dies: the worst that a chip does, and so the one to prove
the pulse's end against.
"""

import asyncio
import contextlib
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_GPIO_FOLDER = Path(__file__).parent / "gpio"
_BOARD_REVISION = "c03115"  # a Raspberry Pi 4 Model B, for RPi.GPIO off a Pi
_READ_BYTES_MAX = 4096
_LINKS_MAX = 16


@dataclass(slots=True, kw_only=True)
class Pulse:
    """One time that the solenoid was powered, by CLOCK_MONOTONIC; `ended_ns` is None while it is."""

    began_ns: int
    ended_ns: int | None = None

    @property
    def length_ms(self) -> float:
        """How long, up to now where it has not ended."""
        return ((self.ended_ns or time.monotonic_ns()) - self.began_ns) / 1e6


class SimulatedDrawer:
    """Listens on the Unix socket at `path`. Works on the running loop. `on_change` is called when it opens or shuts."""

    def __init__(
        self,
        path: Path,
        *,
        kick_pin: int = 17,
        sensor_pin: int = 27,
        kick_level: int = 1,
        open_level: int = 1,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.path = path
        self.kick_pin = kick_pin
        self.sensor_pin = sensor_pin
        self.is_open = False
        self.is_jammed = False
        """A jammed drawer stays shut whatever the solenoid does."""
        self.pulses: list[Pulse] = []
        self.openings = 0
        self._kick_level = kick_level
        self._open_level = open_level
        self._on_change = on_change or _nothing
        self._door: socket.socket | None = None
        self._links: dict[socket.socket, bytes] = {}

    # --- the bench's side ---

    async def start(self) -> None:
        """Connects it."""
        self.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self.unplug()

    def environment(self) -> dict[str, str]:
        """What the daemon's environment needs so that its RPi.GPIO reaches this drawer."""
        before = os.environ.get("PYTHONPATH", "")
        return {
            "PYTHONPATH": os.pathsep.join(filter(None, (str(_GPIO_FOLDER), before))),
            "RPI_LGPIO_REVISION": _BOARD_REVISION,
            "TERMINALD_BENCH_GPIO": str(self.path.absolute()),
        }

    @property
    def plugged(self) -> bool:
        """Whether a driver can reach the pins."""
        return self._door is not None

    def plug(self) -> None:
        """Connects it, at the same place. Harmless when it is connected."""
        if self._door is not None:
            return
        self._door = _listen_at(self.path)
        asyncio.get_running_loop().add_reader(self._door, self._on_connect)

    def unplug(self) -> None:
        """Takes the pins away. Harmless when they are away."""
        for link in list(self._links):
            self._hang_up(link)
        if self._door is not None:
            asyncio.get_running_loop().remove_reader(self._door)
            self._door.close()
            self._door = None
            self.path.unlink(missing_ok=True)

    @property
    def is_powered(self) -> bool:
        """Whether current flows through the solenoid."""
        return bool(self.pulses) and self.pulses[-1].ended_ns is None

    def shut(self) -> None:
        """The cashier pushes it shut."""
        self._move(is_open=False)

    def pry(self) -> None:
        """Somebody opens it without a kick: by its key, or by force."""
        self._move(is_open=True)

    def bounce(self, count: int) -> None:
        """The contact chatters `count` times, and rests where it was."""
        for _ in range(count):
            self._tell(self._level(not self.is_open))
            self._tell(self._level(self.is_open))

    # --- the pins' side ---

    def _on_connect(self) -> None:
        assert self._door is not None, "only while it is plugged"
        with contextlib.suppress(BlockingIOError, ConnectionError):
            link, _ = self._door.accept()
            if len(self._links) >= _LINKS_MAX:
                link.close()
                return
            link.setblocking(False)
            self._links[link] = b""
            asyncio.get_running_loop().add_reader(link, self._on_readable, link)
            link.send(self._level(self.is_open) + b"ready\n")

    def _on_readable(self, link: socket.socket) -> None:
        try:
            data = link.recv(_READ_BYTES_MAX)
        except BlockingIOError:
            return
        except ConnectionError:
            data = b""
        if not data:
            self._hang_up(link)
            return
        *lines, self._links[link] = (self._links[link] + data).split(b"\n")
        for line in lines:
            self._on_line(line.decode())

    def _on_line(self, line: str) -> None:
        match line.split():
            case ["out", pin, level, at_ns] if int(pin) == self.kick_pin:
                self._power(is_on=int(level) == self._kick_level, at_ns=int(at_ns))
            case ["in", pin] if int(pin) == self.kick_pin:
                self._power(is_on=False, at_ns=time.monotonic_ns())  # a floating base conducts nothing

    def _power(self, *, is_on: bool, at_ns: int) -> None:
        if is_on and not self.is_powered:
            self.pulses.append(Pulse(began_ns=at_ns))
            if not self.is_jammed:
                self._move(is_open=True)
        elif not is_on and self.is_powered:
            self.pulses[-1].ended_ns = at_ns

    def _move(self, *, is_open: bool) -> None:
        if is_open == self.is_open:
            return
        self.is_open = is_open
        self.openings += is_open
        self._tell(self._level(is_open))
        self._on_change()

    def _level(self, is_open: bool) -> bytes:
        level = self._open_level if is_open else 1 - self._open_level
        return f"level {self.sensor_pin} {level}\n".encode()

    def _tell(self, line: bytes) -> None:
        for link in list(self._links):
            try:
                link.send(line)
            except (BlockingIOError, ConnectionError):
                self._hang_up(link)

    def _hang_up(self, link: socket.socket) -> None:
        self._links.pop(link)
        asyncio.get_running_loop().remove_reader(link)
        link.close()


def _listen_at(path: Path) -> socket.socket:
    """A listening socket whose path may be as long as it likes: its folder is named by a descriptor."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    door = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fd = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        door.bind(f"/proc/self/fd/{fd}/{path.name}")
        door.listen()
        door.setblocking(False)
    except BaseException:
        door.close()
        raise
    finally:
        os.close(fd)
    return door


def _nothing() -> None:
    """Nobody looks at it."""
