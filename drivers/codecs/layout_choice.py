"""Which keyboard layout a scanner is set to, found out from what it reads.

Each code is read under every layout that is still possible. A reading with a right check digit, or that is a web
address, is proven: the layouts that do not give it are out. Among readings without proof the one that looks most like a
code is taken, for codes are digits, letters and hyphens much more often than ``!@#``; a layout that reads noise where
another reads a code is out after `STRIKES`. Two readings that are equally good and not the same are refused: nobody
guesses for a sale.
"""

import re
import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from core.events import ScanFault, ScanGarbled, Scanned
from core.scan import check_digit
from drivers.codecs.layouts import Layout, layout

AUTO = "auto"
STRIKES = 3
"""A layout that reads noise so often, where another one reads a code, is not the scanner's."""
NOISE = 2
"""Oddness from which on a reading may be noise."""

_GTIN_LENGTHS = frozenset((8, 12, 13, 14))
_WEB = re.compile(r"https?://[\w.:-]+[\w.~:/?#\[\]@!$&'()*+,;=%-]*", re.IGNORECASE | re.ASCII)
"""[RFC 3986]"""
_GTIN_ELEMENT = re.compile(r"\x1d?01(\d{14})[\x1d\x20-\x7e]*")
_USUAL = frozenset(string.ascii_letters + string.digits + " \x1d.-")
_RARE = frozenset("/:_")
_ODDEST = 1 << 30


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """`oddness` grows with each character that codes seldom have; a garbled one is odder than all."""

    event: Scanned | ScanGarbled
    is_proven: bool
    oddness: int
    layouts: frozenset[str]


class LayoutChoice:
    """What one scanner has shown of its layout so far. `possible` are the layouts that it may be set to."""

    def __init__(self, names: Sequence[str]) -> None:
        self._all = tuple(layout(name) for name in names)
        self.possible = frozenset(names)
        self.relearned = 0
        self._strikes: dict[str, int] = {}

    @property
    def settled(self) -> str | None:
        """The layout, once it is known."""
        return next(iter(self.possible)) if len(self.possible) == 1 else None

    def forget(self) -> None:
        """Another scanner hangs there now."""
        self.possible = frozenset(each.name for each in self._all)
        self._strikes.clear()

    def choose(self, strokes: Sequence[int], read: Callable[[bytes], Scanned | ScanGarbled]) -> Scanned | ScanGarbled:
        """The one code that the strokes can mean, or why there is none. `read` takes a frame's bytes apart."""
        readings = self._readings([each for each in self._all if each.name in self.possible], strokes, read)
        if not any(reading.is_proven or reading.oddness < NOISE for reading in readings):
            readings = self._others(strokes, read) or readings
        proven = [reading for reading in readings if reading.is_proven]
        if proven:
            self.possible &= frozenset().union(*(reading.layouts for reading in proven))
        best, *others = sorted(proven or readings, key=lambda reading: reading.oddness)
        self._learn(best, readings)
        is_certain = not others if proven else not others or others[0].oddness > best.oddness
        return best.event if is_certain else _ambiguous(best)

    def _others(self, strokes: Sequence[int], read: Callable[[bytes], Scanned | ScanGarbled]) -> list[_Reading]:
        """All layouts' readings, where one that was out already proves itself: the scanner was set anew."""
        if len(self.possible) == len(self._all):
            return []
        readings = self._readings(self._all, strokes, read)
        if not any(reading.is_proven for reading in readings):
            return []
        self.forget()
        self.relearned += 1
        return readings

    def _learn(self, best: _Reading, readings: Sequence[_Reading]) -> None:
        """What reads noise where another layout reads a code gets a strike, also where nobody can say which code it is."""
        if isinstance(best.event, Scanned):
            for reading in readings:
                if reading.oddness >= best.oddness + NOISE:
                    self._strike(reading.layouts)

    def _strike(self, names: frozenset[str]) -> None:
        for name in names & self.possible:
            self._strikes[name] = self._strikes.get(name, 0) + 1
            if self._strikes[name] >= STRIKES:
                self.possible -= {name}

    @staticmethod
    def _readings(
        layouts: Sequence[Layout], strokes: Sequence[int], read: Callable[[bytes], Scanned | ScanGarbled]
    ) -> list[_Reading]:
        """The different readings, each with the layouts that give it; all that are garbled count as one."""
        found: dict[Scanned, list[str]] = {}
        garbled: dict[str, ScanGarbled] = {}
        for each in layouts:
            event = read(each.read(strokes).encode("latin-1"))
            if isinstance(event, Scanned):
                found.setdefault(event, []).append(each.name)
            else:
                garbled[each.name] = event
        readings = [_reading(event, names) for event, names in found.items()]
        if garbled:
            readings.append(_reading(next(iter(garbled.values())), list(garbled)))
        return readings


def _reading(event: Scanned | ScanGarbled, names: Sequence[str]) -> _Reading:
    if isinstance(event, ScanGarbled):
        return _Reading(event=event, is_proven=False, oddness=_ODDEST, layouts=frozenset(names))
    oddness = sum(_odd(character) for character in event.data if character not in _USUAL)
    return _Reading(event=event, is_proven=_is_proven(event.data), oddness=oddness, layouts=frozenset(names))


def _is_proven(data: str) -> bool:
    found = _GTIN_ELEMENT.fullmatch(data)
    digits = found[1] if found else data if len(data) in _GTIN_LENGTHS else ""
    has_check_digit = digits.isascii() and digits.isdigit() and check_digit(digits[:-1]) == digits[-1]
    return has_check_digit or _WEB.fullmatch(data) is not None


def _odd(character: str) -> int:
    if character in _RARE:
        return 1
    return NOISE if character.isascii() else 2 * NOISE


def _ambiguous(reading: _Reading) -> ScanGarbled:
    event = reading.event
    length = len(event.data) if isinstance(event, Scanned) else event.length
    return ScanGarbled(device=event.device, fault=ScanFault.AMBIGUOUS, length=length)
