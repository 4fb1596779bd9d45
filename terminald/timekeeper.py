"""How far the wall clock can be believed: told from the boot's own clock, from the journal, and from who set it.

A clock that has jumped, or that stands years away from what the journal ends with, is a doubtful one until a time server
has set it or it has come back. Sales go on: order is by seq, timers are by the boot's own clock, and what is booked or
judged by the day uses the last day that could be believed.
"""

from collections.abc import Callable
from datetime import date, datetime

import msgspec

from core.entries import ClockStepped
from core.ledger import ClockQuality, Stamp
from core.ports import Clock

STEP_MS = 2_000
"""A smaller difference between wall clock and the boot's own clock is drift, not a step."""
BELIEVED_MS = 5 * 60_000
"""So far a clock may step, or be behind the journal, and still be believed without a time server."""
ABSENCE_DAYS = 366
"""A terminal that was off for longer than this has more probably a wrong clock."""
_MS_A_DAY = 86_400_000


class Timekeeper:
    """Stamps of a clock, with its word on quality taken back where it cannot be right."""

    def __init__(self, clock: Clock, local_time: Callable[[Stamp], datetime]) -> None:
        self.doubtful = False
        """Whether the wall clock is not to be believed now."""
        self._clock = clock
        self._local_time = local_time
        self._offset_ms: int | None = None
        self._believed_ms: int | None = None
        self._believed_day: date | None = None
        self._stepped_ms = 0
        self._told = False

    def begin(self, last: Stamp | None, doubted: str | None) -> None:
        """Compares the clock, at a start, with the journal's last record; or with the last day that was believed, where
        the clock was `doubted` when that record was made."""
        now = self._clock.stamp()
        self._offset_ms = now.time_ms - now.mono_ms
        if now.clock is ClockQuality.NTP or (last is None and doubted is None):
            self._believe(now)
        elif doubted is not None:
            days = (self._day(now) - date.fromisoformat(doubted)).days
            if 0 <= days <= ABSENCE_DAYS:
                self._believe(now)
            else:
                self._doubt(date.fromisoformat(doubted))
        elif last is not None and not -BELIEVED_MS <= now.time_ms - last.time_ms <= ABSENCE_DAYS * _MS_A_DAY:
            self._doubt(self._day(last))
            self._stepped_ms = now.time_ms - last.time_ms
        else:
            self._believe(now)
        self._told = doubted is not None

    def stamp(self) -> Stamp:
        """Now. A doubtful clock is an unsynchronised one."""
        stamp = self._clock.stamp()
        self._look(stamp)
        if self.doubtful:
            return msgspec.structs.replace(stamp, clock=ClockQuality.UNSYNCED)
        return stamp

    def business_day(self, stamp: Stamp) -> str:
        """The shop's date (ISO 8601) that a sale is booked on: the last one that was believed, where today's is not."""
        if self.doubtful and self._believed_day is not None:
            return self._believed_day.isoformat()
        return self._day(stamp).isoformat()

    def take_step(self) -> ClockStepped | None:
        """What is to be kept of how the clock has gone since this was asked last."""
        if not self._stepped_ms and self.doubtful == self._told:
            return None
        doubted = self._believed_day.isoformat() if self.doubtful and self._believed_day else None
        stepped = ClockStepped(offset_ms=self._stepped_ms, doubted=doubted)
        self._stepped_ms, self._told = 0, self.doubtful
        return stepped

    def _look(self, stamp: Stamp) -> None:
        offset_ms = stamp.time_ms - stamp.mono_ms
        if self._offset_ms is None:
            self._offset_ms = offset_ms
        stepped_ms = offset_ms - self._offset_ms
        if abs(stepped_ms) >= STEP_MS:
            self._stepped_ms += stepped_ms
        self._offset_ms = offset_ms
        if stamp.clock is ClockQuality.NTP:
            self._believe(stamp)
        elif self._believed_ms is not None:
            self.doubtful = abs(offset_ms - self._believed_ms) > BELIEVED_MS
            if not self.doubtful:
                self._believed_day = self._day(stamp)

    def _doubt(self, believed: date) -> None:
        self.doubtful = True
        self._believed_day = believed

    def _believe(self, stamp: Stamp) -> None:
        self.doubtful = False
        self._believed_ms = stamp.time_ms - stamp.mono_ms
        self._believed_day = self._day(stamp)

    def _day(self, stamp: Stamp) -> date:
        return self._local_time(stamp).date()
