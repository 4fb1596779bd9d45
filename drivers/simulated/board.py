"""A simulated Raspberry Pi's header: pins whose inputs the bench sets, and whose outputs it sees.

`environment` goes into the daemon's environment and puts `drivers/simulated/gpio` under RPi.GPIO; the pins then end here.
An output stays at its level when the process that drove it dies: the worst that a chip does.
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

OutputHeard = Callable[[int, int | None, int], None]
"""Called with a pin, its level (None: let go of, and floating) and CLOCK_MONOTONIC in nanoseconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wave:
    """A square wave that began on a pin, by CLOCK_MONOTONIC; `hz` 0 is its end."""

    pin: int
    hz: float
    at_ns: int


class SimulatedBoard:
    """Listens on the Unix socket at `path`. Works on the running loop."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.outputs: dict[int, int] = {}
        """The level of each output, as long as it is driven."""
        self.waves: list[Wave] = []
        self.on_output: list[OutputHeard] = []
        self._inputs: dict[int, int] = {}
        self._door: socket.socket | None = None
        self._links: dict[socket.socket, bytes] = {}

    async def start(self) -> None:
        """Connects it."""
        self.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self.unplug()

    def environment(self) -> dict[str, str]:
        """What the daemon's environment needs so that its RPi.GPIO reaches this board."""
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

    def set(self, pin: int, level: int) -> None:
        """The bench drives an input."""
        self._inputs[pin] = level
        for link in list(self._links):
            try:
                link.send(_level(pin, level))
            except (BlockingIOError, ConnectionError):
                self._hang_up(link)

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
            link.send(b"".join(_level(*each) for each in self._inputs.items()) + b"ready\n")

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
            case ["out", pin, level, at_ns]:
                self.outputs[int(pin)] = int(level)
                self._tell(int(pin), int(level), int(at_ns))
            case ["in", pin]:
                self.outputs.pop(int(pin), None)
                self._tell(int(pin), None, time.monotonic_ns())
            case ["pwm", pin, hz, at_ns]:
                self.waves.append(Wave(pin=int(pin), hz=float(hz), at_ns=int(at_ns)))

    def _tell(self, pin: int, level: int | None, at_ns: int) -> None:
        for heard in self.on_output:
            heard(pin, level, at_ns)

    def _hang_up(self, link: socket.socket) -> None:
        self._links.pop(link)
        asyncio.get_running_loop().remove_reader(link)
        link.close()


def _level(pin: int, level: int) -> bytes:
    return f"level {pin} {level}\n".encode()


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
