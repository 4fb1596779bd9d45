"""A clock (core.ports.Clock) whose wall time can be set, as people, batteries and time servers set it."""

import asyncio

from core.ledger import ClockQuality, Stamp

RIGHT_MS = 1_795_000_000_000
"""In November 2026."""


class JumpingClock:
    """Time passes only when told to. The boot's own clock never goes back."""

    def __init__(self, boot: str = "0123456789abcdef") -> None:
        self.quality = ClockQuality.NTP
        self.boot = boot
        self._wall_ms = self.right_ms = RIGHT_MS
        self._mono_ms = 5_000

    def jump(self, by_ms: int) -> None:
        """Sets the wall clock."""
        self._wall_ms += by_ms

    def set_right(self) -> None:
        """Sets the wall clock to what it would show had nobody touched it."""
        self._wall_ms = self.right_ms

    def pass_ms(self, ms: int) -> None:
        """Time passes."""
        self._wall_ms += ms
        self._mono_ms += ms
        self.right_ms += ms

    def restart(self, boot: str) -> None:
        """The terminal is switched off and on: another boot, whose own clock starts anew."""
        self.boot = boot
        self._mono_ms = 1_000

    def stamp(self) -> Stamp:
        return Stamp(time_ms=self._wall_ms, clock=self.quality, boot=self.boot, mono_ms=self._mono_ms)

    def monotonic_s(self) -> float:
        return self._mono_ms / 1000

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
