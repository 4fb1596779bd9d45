"""What a run counted: it is written down by the terminals and says nothing to them."""

import math
from collections import Counter
from dataclasses import dataclass, field

_STEP = math.log(1.02)


class Times:
    """Durations in milliseconds, within 2 %, however many."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()
        self.count = 0
        self.longest_ms = 0.0

    def add(self, took_ms: float) -> None:
        """One more."""
        self._counts[round(math.log(max(took_ms, 0.1)) / _STEP)] += 1
        self.count += 1
        self.longest_ms = max(self.longest_ms, took_ms)

    def percentile_ms(self, percent: float) -> float | None:
        """The duration that so many of a hundred do not exceed; None where there were none."""
        left = self.count * percent / 100
        for step in sorted(self._counts):
            left -= self._counts[step]
            if left <= 0:
                return min(math.exp(step * _STEP), self.longest_ms)
        return None


@dataclass(slots=True)
class Outage:
    """The broker was lost by more than half of the terminals. Seconds since the run's beginning.

    `back_s` is when the first session was open again, `online99_s` when 99 in 100 were.
    """

    lost_s: float
    back_s: float | None = None
    online99_s: float | None = None


@dataclass(slots=True)
class Tally:
    """Counts of one run."""

    backlogs_open: int
    """Terminals whose backlog is not acknowledged whole."""
    online: int = 0
    online_max: int = 0
    connects: int = 0
    lost: int = 0
    replays: int = 0
    composed: int = 0
    """Records put into batches, made anew ones too."""
    batches: int = 0
    again: int = 0
    """Batches that were sent before."""
    batch_bytes: int = 0
    told: int = 0
    """Messages of telemetry."""
    connecting: Times = field(default_factory=Times)
    delivered: Times = field(default_factory=Times)
    """From a sale that was made while its terminal was online to its acknowledgement."""
    faults: Counter[str] = field(default_factory=Counter)
    outages: list[Outage] = field(default_factory=list)

    def connected(self, took_s: float) -> None:
        """A session was opened, so long after its terminal began to connect."""
        self.connects += 1
        self.connecting.add(took_s * 1000)
