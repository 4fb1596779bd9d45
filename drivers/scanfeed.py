"""What serial and keyboard scanners share: their bytes through a decoder, its events out, its pauses watched."""

import asyncio

from core.events import ScanGarbled, Scanned
from core.ports import Clock, Emit
from drivers.codecs.scan import Framing, ScanDecoder

TIMER_SLACK_S = 0.001
"""A timer may fire a little early; this much later it finds the pause over."""


class ScanFeed:
    """Emits what a scanner's bytes amount to, on the running loop. Idle, it holds no timer."""

    def __init__(self, device: str, framing: Framing, emit: Emit, clock: Clock) -> None:
        self._decoder = ScanDecoder(device, framing)
        self._emit = emit
        self._clock = clock
        self._gap: asyncio.TimerHandle | None = None

    def feed(self, data: bytes) -> None:
        """Bytes as they came."""
        if usual := self._decoder.whole(data):
            self._emit(usual)
        else:
            self._hand_on(self._decoder.feed(data, self._clock.monotonic_s()))

    def lose(self) -> None:
        """Bytes were lost here."""
        self._hand_on(self._decoder.lose(self._clock.monotonic_s()))

    def close(self) -> None:
        """The cable went: what was half read is no beginning of what comes after. May be called twice."""
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        for event in self._decoder.tear():
            self._emit(event)

    def facts(self) -> dict[str, str | int]:
        """Counts since the start of the daemon."""
        return {"reads": self._decoder.reads, "bad_reads": self._decoder.bad_reads}

    def _hand_on(self, events: list[Scanned | ScanGarbled]) -> None:
        for event in events:
            self._emit(event)
        deadline_s = self._decoder.deadline_s
        # One timer for a whole code: bytes only move the deadline, and the timer looks again when it fires.
        if self._gap is None and deadline_s is not None:
            wait_s = max(deadline_s - self._clock.monotonic_s(), 0.0) + TIMER_SLACK_S
            self._gap = asyncio.get_running_loop().call_later(wait_s, self._on_gap)

    def _on_gap(self) -> None:
        self._gap = None
        self._hand_on(self._decoder.expire(self._clock.monotonic_s()))
