"""The clocks of a simulation: the loop's time, and a wall clock that may be off."""

import asyncio

from core.ledger import ClockQuality, Stamp

BEGAN_MS = 1_795_000_000_000


class VirtualClock:
    """core.ports.Clock on the loop's time; `skew_ms` is how far the wall clock is off."""

    def __init__(self, boot: str, *, skew_ms: int = 0, quality: ClockQuality = ClockQuality.NTP) -> None:
        self.boot = boot
        self.skew_ms = skew_ms
        self._quality = quality
        self._began_s = asyncio.get_running_loop().time()

    def stamp(self) -> Stamp:
        now_s = asyncio.get_running_loop().time()
        return Stamp(
            time_ms=BEGAN_MS + int(now_s * 1000) + self.skew_ms,
            clock=self._quality,
            boot=self.boot,
            mono_ms=int((now_s - self._began_s) * 1000),
        )

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
