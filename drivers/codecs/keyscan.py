"""A keyboard scanner's keys as codes: strokes up to a terminator, and then the layout that makes sense of them.

The same rules as for bytes (`drivers.codecs.scan`): what is not whole is reported and never joined to what comes after.
"""

from collections.abc import Iterable, Sequence

from core.events import ScanFault, ScanGarbled, Scanned
from drivers.codecs.keymap import ENTER, TAB, Keyboard
from drivers.codecs.layout_choice import LayoutChoice
from drivers.codecs.layouts import literal
from drivers.codecs.scan import FrameReader, Framing, Terminator
from drivers.codecs.scan_meter import ScanMeter

_LINE_FEED = literal("\n")
_ENDS: dict[Terminator, frozenset[int]] = {
    "auto": frozenset((ENTER, TAB, _LINE_FEED)),
    "cr": frozenset((ENTER,)),
    "lf": frozenset((_LINE_FEED,)),
    "tab": frozenset((TAB,)),
    "none": frozenset(),
}


class KeyScanDecoder:
    """One scanner's key events in, its codes out. `framing.length_max` counts strokes."""

    def __init__(self, device: str, framing: Framing, layouts: Sequence[str], fnc1_key: str = "none") -> None:
        self.meter = ScanMeter()
        self.choice = LayoutChoice(layouts)
        self.keyboard = Keyboard(fnc1_key)
        self._framing = framing
        self._ends = _ENDS[framing.terminator]
        self._ends_by_pause = framing.terminator == "none"
        self._reader = FrameReader(device, framing)
        self._open: list[int] = []
        self._is_skipping = False
        self._last_s = 0.0

    @property
    def deadline_s(self) -> float | None:
        """When `expire` has something to do if no key comes before; None while no code is open."""
        return self._last_s + self._framing.gap_s if self._open or self._is_skipping else None

    def key(self, code: int, value: int, now_s: float) -> list[Scanned | ScanGarbled]:
        """What this key event completes."""
        stroke = self.keyboard.key(code, value)
        if stroke is None:
            return []
        found = self.expire(now_s)
        self.meter.piece(now_s, is_first=not self._open)
        self._last_s = now_s
        if stroke in self._ends:
            return found + self._close()
        if not self._is_skipping:
            self._open.append(stroke)
            if len(self._open) > self._framing.length_max:
                found.append(self._garbled(ScanFault.OVERLONG))
                self._is_skipping = True
        return found

    def hold(self, now_s: float) -> None:
        """Nobody has looked since the last key: no pause has been seen. One that ends codes is taken for one all the same."""
        if not self._ends_by_pause:
            self._last_s = now_s

    def expire(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """What the pause since the last key has torn; or ended, where nothing else ends a code."""
        if self.deadline_s is None or now_s <= self.deadline_s:
            return []
        return self._close() if self._ends_by_pause else self.tear()

    def lose(self, now_s: float, held: Iterable[int]) -> list[Scanned | ScanGarbled]:
        """Key events were lost: what is open is torn, and so is what comes up to the next terminator.

        `held` are the keys that are down now.
        """
        self.keyboard.resync(held, self.keyboard.is_caps)
        self._last_s = now_s
        if self._is_skipping:
            return []
        self._is_skipping = True
        return [self._garbled(ScanFault.TORN)]

    def tear(self) -> list[Scanned | ScanGarbled]:
        """Gives up the open code: no more of it will come."""
        is_torn = bool(self._open) and not self._is_skipping
        self._is_skipping = False
        return [self._garbled(ScanFault.TORN)] if is_torn else []

    def facts(self) -> dict[str, str | int]:
        """Those of the meter, and what is known of the layout."""
        return self.meter.facts() | {
            "layout": self.choice.settled or "undecided",
            "layouts_possible": " ".join(sorted(self.choice.possible)),
            "layout_changes": self.choice.relearned,
        }

    def _close(self) -> list[Scanned | ScanGarbled]:
        strokes, self._open = self._open, []
        was_skipping, self._is_skipping = self._is_skipping, False
        if was_skipping or not strokes:
            return []
        event = self.choice.choose(strokes, self._reader.read)
        if isinstance(event, Scanned):
            self.meter.read(event.data, self._last_s)
        else:
            self.meter.bad(event.fault, b"")
        return [event]

    def _garbled(self, fault: ScanFault) -> ScanGarbled:
        length, self._open = len(self._open), []
        self.meter.bad(fault, b"")
        return self._reader.garbled(fault, length)
