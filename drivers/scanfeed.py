"""What serial and keyboard scanners share: a decoder's events out, its pauses watched."""

import asyncio
from collections.abc import Sequence
from typing import Protocol

from core.events import ScanGarbled, Scanned
from core.ports import Clock, Emit

TIMER_SLACK_S = 0.001
"""A timer may fire a little early; this much later it finds the pause over."""


class PausingDecoder(Protocol):
    """A decoder that wants to know when nothing more comes."""

    @property
    def deadline_s(self) -> float | None:
        """When `expire` has something to do; None while no code is open."""

    def hold(self, now_s: float) -> None:
        """Nobody has looked since the last piece: no pause has been seen."""

    def expire(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """What the pause has ended."""

    def tear(self) -> list[Scanned | ScanGarbled]:
        """Gives up the open code."""


class ScanFeed:
    """Emits what a scanner's decoder finds, on the running loop. Idle, it holds no timer."""

    def __init__(self, decoder: PausingDecoder, emit: Emit, clock: Clock) -> None:
        self._decoder = decoder
        self._emit = emit
        self._clock = clock
        self._gap: asyncio.TimerHandle | None = None

    def now_s(self) -> float:
        """When what is read now came, for the decoder: call it before the decoder is given something.

        If the timer of an open code is overdue, the loop was held up, and what it finds now may have come without a
        pause. Torn there, the end of a code would pass for a code.
        """
        now_s = self._clock.monotonic_s()
        deadline_s = self._decoder.deadline_s
        if self._gap is not None and deadline_s is not None and now_s > deadline_s:
            self._decoder.hold(now_s)
        return now_s

    def hand_on(self, events: Sequence[Scanned | ScanGarbled]) -> None:
        """What the decoder just gave; it may have begun a code that a pause will end."""
        for event in events:
            self._emit(event)
        deadline_s = self._decoder.deadline_s
        # One timer for a whole code: bytes only move the deadline, and the timer looks again when it fires.
        if self._gap is None and deadline_s is not None:
            wait_s = max(deadline_s - self._clock.monotonic_s(), 0.0) + TIMER_SLACK_S
            self._gap = asyncio.get_running_loop().call_later(wait_s, self._on_gap)

    def close(self) -> None:
        """The cable went: what was half read is no beginning of what comes after. May be called twice."""
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        for event in self._decoder.tear():
            self._emit(event)

    def _on_gap(self) -> None:
        self._gap = None
        self.hand_on(self._decoder.expire(self._clock.monotonic_s()))
