"""What a drawer's sensor says against what was commanded: which opening was ours, which was not, and which lasts too long.

Every drawer with a sensor has one of these; how the solenoid is powered and how the contact is read is its driver's.
"""

import asyncio
from typing import Final

from core.events import DrawerFound, DrawerLeftOpen, DrawerSensed, DrawerStuck
from core.ports import Clock, Emit

STAYED_SHUT: Final = "drawer-shut"

_STATES = {None: "unknown", True: "open", False: "closed"}


class DrawerTruth:
    """Emits what a drawer emits. `commanded_window_s`: an opening so soon after a kick was commanded, and a kick after
    which none comes has failed. `left_open_s`: it is told again and again, so long after each other, while it stays open;
    0 is never.
    """

    def __init__(self, name: str, emit: Emit, clock: Clock, *, commanded_window_s: float, left_open_s: float) -> None:
        self._name = name
        self._emit = emit
        self._clock = clock
        self._commanded_window_s = commanded_window_s
        self._left_open_s = left_open_s
        self._is_open: bool | None = None
        self._opened_s = 0.0
        self._kicked_s = float("-inf")
        self._awaited: asyncio.TimerHandle | None = None
        self._lasting: asyncio.TimerHandle | None = None
        self._counts = {"kicks": 0, "openings": 0, "openings_uncommanded": 0}

    def facts(self) -> dict[str, str | int]:
        """Its state and counts since the start of the daemon."""
        return {"state": _STATES[self._is_open], **self._counts}

    def kicking(self) -> None:
        """A kick is about to be given. Before the pulse, not after it: the drawer may be seen to open in between."""
        self._kicked_s = self._clock.monotonic_s()

    def kicked(self) -> None:
        """It was given. Where a sensor sees a shut drawer, it has to open now."""
        self._counts["kicks"] += 1
        if self._is_open is False:
            _stop(self._awaited)
            self._awaited = asyncio.get_running_loop().call_later(self._commanded_window_s, self._on_stayed_shut)

    def sense(self, is_open: bool) -> None:
        """How it stands now; the first time that is how it was found, and no change that we saw."""
        if is_open == self._is_open:
            return
        was, self._is_open = self._is_open, is_open
        if was is None:
            self._opened_s = self._clock.monotonic_s()
            self._emit(DrawerFound(device=self._name, is_open=is_open))
        else:
            self._emit(self._opened() if is_open else self._closed())
        _stop(self._lasting)
        self._lasting = None
        self.resume()

    def close(self) -> None:
        """Nobody looks any more. What was known is kept for the next opening; may be called twice."""
        _stop(self._awaited, self._lasting)
        self._awaited = self._lasting = None

    def resume(self) -> None:
        """Somebody looks (again): what stays open is told in time."""
        if self._is_open and self._left_open_s and self._lasting is None:
            self._lasting = asyncio.get_running_loop().call_later(self._left_open_s, self._on_left_open)

    def _opened(self) -> DrawerSensed:
        self._opened_s = self._clock.monotonic_s()
        is_commanded = self._opened_s - self._kicked_s <= self._commanded_window_s
        self._kicked_s = float("-inf")  # one kick accounts for one opening
        _stop(self._awaited)
        self._awaited = None
        self._counts["openings" if is_commanded else "openings_uncommanded"] += 1
        return DrawerSensed(device=self._name, is_open=True, commanded=is_commanded)

    def _closed(self) -> DrawerSensed:
        return DrawerSensed(device=self._name, is_open=False, open_ms=self._open_ms())

    def _open_ms(self) -> int:
        return round((self._clock.monotonic_s() - self._opened_s) * 1000)

    def _on_left_open(self) -> None:
        self._lasting = None
        self.resume()
        open_ms = self._open_ms()
        self._emit(DrawerLeftOpen(device=self._name, open_ms=open_ms, again=open_ms >= 2000 * self._left_open_s))

    def _on_stayed_shut(self) -> None:
        self._awaited = None
        self._emit(DrawerStuck(fault=STAYED_SHUT))


def _stop(*timers: asyncio.TimerHandle | None) -> None:
    for timer in timers:
        if timer is not None:
            timer.cancel()
