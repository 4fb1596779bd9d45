"""How well a scanner reads: counts, timing, and a word about what is wrong with it. Pure; time comes in as data.

A scanner goes bad slowly: its window is scratched, its cable is worn, its line is set wrongly. What shows it first is
the share of reads that are none: torn, noise, or with a wrong check digit.
"""

import enum
import statistics
from collections import Counter, deque

from core.events import ScanFault
from core.scan import check_digit

RECENT = 50
"""The share of bad reads is that of the last so many."""
RECENT_MIN = 20
"""Of fewer reads than this nothing is concluded."""
BAD_PCT_MAX = 15
"""From here on a scanner is going bad."""
SET_UP_RECENT, SET_UP_MIN = 5, 3
"""So many of the last so many that look like a line or a layout set wrongly are taken for that."""
TIMED = 256
DOUBLED_S = 0.15
_HIGH_SHARE = 0.15
_GTIN_LENGTHS = frozenset((8, 12, 13, 14))
_PARITY = tuple(byte.bit_count() & 1 for byte in range(256))


class Quality(enum.StrEnum):
    """What is to be said of a scanner; `docs/technician.md` says what to do about each."""

    UNUSED = "unused"
    GOOD = "good"
    GOING_BAD = "going-bad"
    CHECK_BAUD = "check-baud"
    CHECK_PARITY = "check-parity"
    SET_LAYOUT = "set-layout"


class _Look(enum.Enum):
    """What a frame's bytes look like."""

    CLEAN = enum.auto()
    NOISE = enum.auto()
    PARITY = enum.auto()
    TWO_LAYOUTS = enum.auto()


class ScanMeter:
    """One scanner's, since the start of the daemon. Times are in seconds of one clock that never goes back."""

    def __init__(self) -> None:
        self.reads = 0
        self.misreads = 0
        """Whole codes of a GTIN's length whose check digit was wrong."""
        self.doubled = 0
        self.faults: Counter[ScanFault] = Counter()
        self._recent: deque[bool] = deque(maxlen=RECENT)
        self._looks: deque[_Look] = deque(maxlen=SET_UP_RECENT)
        self._gaps_s: deque[float] = deque(maxlen=TIMED)
        self._codes_s: deque[float] = deque(maxlen=TIMED)
        self._began_s = self._piece_s = 0.0
        self._last = ("", 0.0)

    @property
    def bad_reads(self) -> int:
        """What came and was no code."""
        return self.faults.total()

    @property
    def bad_pct(self) -> int:
        """Of the last `RECENT` reads, those that were none or had a wrong check digit."""
        return round(100 * sum(self._recent) / len(self._recent)) if self._recent else 0

    @property
    def quality(self) -> Quality:
        """What is wrong with the scanner, the most certain cause first."""
        looks = Counter(self._looks)
        if looks[_Look.PARITY] >= SET_UP_MIN:
            return Quality.CHECK_PARITY
        if looks[_Look.NOISE] >= SET_UP_MIN:
            return Quality.CHECK_BAUD
        if looks[_Look.TWO_LAYOUTS]:
            return Quality.SET_LAYOUT
        if len(self._recent) >= RECENT_MIN and self.bad_pct >= BAD_PCT_MAX:
            return Quality.GOING_BAD
        return Quality.GOOD if self._recent else Quality.UNUSED

    def piece(self, now_s: float, is_first: bool) -> None:
        """Some of a code came; `is_first` where it begins one."""
        if is_first:
            self._began_s = now_s
        else:
            self._gaps_s.append(now_s - self._piece_s)
        self._piece_s = now_s

    def read(self, data: str, now_s: float) -> None:
        """A whole code came to its end, its first piece told by `piece`."""
        self._codes_s.append(now_s - self._began_s)
        self._count(data, now_s)

    def read_at_once(self, data: str, now_s: float) -> None:
        """A whole code came in one piece."""
        self._codes_s.append(0.0)
        self._count(data, now_s)

    def bad(self, fault: ScanFault, frame: bytes) -> None:
        """Bytes came that are no code."""
        self.faults[fault] += 1
        self._recent.append(True)
        self._looks.append(_Look.TWO_LAYOUTS if fault is ScanFault.AMBIGUOUS else _look(frame))

    def facts(self) -> dict[str, str | int]:
        """Flat, for status and telemetry."""
        return {
            "reads": self.reads,
            "bad_reads": self.bad_reads,
            **{fault.value: self.faults[fault] for fault in ScanFault},
            "misreads": self.misreads,
            "doubled": self.doubled,
            "bad_pct": self.bad_pct,
            "gap_p50_us": _us(_median(self._gaps_s)),
            "gap_max_us": _us(max(self._gaps_s, default=0.0)),
            "code_p50_us": _us(_median(self._codes_s)),
            "code_max_us": _us(max(self._codes_s, default=0.0)),
            "quality": self.quality.value,
        }

    def _count(self, data: str, now_s: float) -> None:
        self.reads += 1
        last, at_s = self._last
        self.doubled += data == last and now_s - at_s < DOUBLED_S
        self._last = (data, now_s)
        wrong = len(data) in _GTIN_LENGTHS and data.isascii() and data.isdigit() and check_digit(data[:-1]) != data[-1]
        self.misreads += wrong
        look = _Look.CLEAN if data.isascii() else _look(data.encode("latin-1"))
        self._recent.append(wrong or look is not _Look.CLEAN)
        self._looks.append(look)


def _look(frame: bytes) -> _Look:
    """Noise has many bytes above 0x7F; with a parity bit in bit 7 every byte keeps one parity, and the rest is text."""
    high = sum(byte > 0x7F for byte in frame)
    if not high or high < _HIGH_SHARE * len(frame):
        return _Look.CLEAN
    text = bytes(byte & 0x7F for byte in frame).rstrip(b"\r\n\t")
    is_text = len(text) >= 4 and text.decode("ascii").isprintable()
    has_parity = high == len(frame) or len({_PARITY[byte] for byte in frame}) == 1
    return _Look.PARITY if is_text and has_parity else _Look.NOISE


def _median(values: deque[float]) -> float:
    return statistics.median(values) if values else 0.0


def _us(seconds: float) -> int:
    return round(seconds * 1_000_000)
