"""Real time for the daemon's shell: the system's clocks, with a word on how far the wall clock can be trusted."""

import asyncio
import secrets
import time
from datetime import UTC, datetime
from pathlib import Path

from core.ledger import ClockQuality, Stamp

_SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
_RTC = Path("/sys/class/rtc/rtc0")
_QUALITY_S = 10.0
"""How long a look at the clock's quality holds good."""


class SystemClock:
    """The host's clocks (core.ports.Clock). `boot` names this start of the daemon in every stamp."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self._began_s = time.monotonic()
        self._quality = ClockQuality.UNSYNCED
        self._looked_s = float("-inf")

    def stamp(self) -> Stamp:
        mono_s = time.monotonic()
        if mono_s - self._looked_s > _QUALITY_S:
            self._quality, self._looked_s = _quality(), mono_s
        return Stamp(
            time_ms=time.time_ns() // 1_000_000, clock=self._quality, boot=self.boot, mono_ms=int(mono_s * 1000)
        )

    def up_s(self) -> float:
        """Seconds since this was made."""
        return time.monotonic() - self._began_s

    def monotonic_s(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


def local_time(stamp: Stamp) -> datetime:
    """A stamp in the shop's local time, with its offset."""
    return datetime.fromtimestamp(stamp.time_ms / 1000, UTC).astimezone()


def _quality() -> ClockQuality:
    """systemd-timesyncd leaves a file once it has synchronised the clock; else a battery-backed clock is next best."""
    if _SYNCHRONISED.exists():
        return ClockQuality.NTP
    return ClockQuality.RTC if _RTC.exists() else ClockQuality.UNSYNCED
