"""A simulated cash drawer at the far end of two GPIO pins: a solenoid that opens it, a contact that sees it.

Its pins are a `drivers.simulated.board`: an output stays at its level when the process that drove it dies, the worst that
a chip does, and so the one to prove the pulse's end against.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.board import SimulatedBoard


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
    """On a board of its own at the Unix socket `path`; others may use the board's other pins.

    `on_change` is called when it opens or shuts.
    """

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
        self.board = SimulatedBoard(path)
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
        self.board.on_output.append(self._on_output)
        self.board.set(sensor_pin, self._level(is_open=False))

    # --- the bench's side ---

    async def start(self) -> None:
        """Connects it."""
        self.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self.unplug()

    def environment(self) -> dict[str, str]:
        """What the daemon's environment needs so that its RPi.GPIO reaches this drawer."""
        return self.board.environment()

    @property
    def plugged(self) -> bool:
        """Whether a driver can reach the pins."""
        return self.board.plugged

    def plug(self) -> None:
        """Connects it, at the same place. Harmless when it is connected."""
        self.board.plug()

    def unplug(self) -> None:
        """Takes the pins away. Harmless when they are away."""
        self.board.unplug()

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
            self.board.set(self.sensor_pin, self._level(is_open=not self.is_open))
            self.board.set(self.sensor_pin, self._level(is_open=self.is_open))

    # --- the pins' side ---

    def _on_output(self, pin: int, level: int | None, at_ns: int) -> None:
        if pin == self.kick_pin:
            self._power(is_on=level == self._kick_level, at_ns=at_ns)  # a floating base conducts nothing

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
        self.board.set(self.sensor_pin, self._level(is_open=is_open))
        self._on_change()

    def _level(self, *, is_open: bool) -> int:
        return self._open_level if is_open else 1 - self._open_level


def _nothing() -> None:
    """Nobody looks at it."""
