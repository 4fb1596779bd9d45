"""Which alarms of this terminal are raised, since when, and which of their changes nobody has been told yet.

What holds is judged in `core.alarms`; here it is made steady. An alarm is raised when its rule has held for its time, and
cleared when it has not held for a moment. What is raised is written to a small file beside the journal, so that an alarm
keeps its beginning over a restart, and one whose cause went while the terminal was off is cleared after it.
"""

import contextlib
import logging
import os
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from core.alarms import KINDS, Alarm, Found, worst
from core.ledger import Stamp
from core.telemetry import Value

ALARMS: Final = "alarms.json"
"""The file, beside the journal."""
CLEARED_AFTER_S: Final = 3.0
SETTLED_AFTER_S: Final = 10.0
"""After a start devices and media have so long to show themselves before an alarm of the run before is cleared."""
UNTOLD_MAX: Final = 64
"""Changes that wait for a connection; of more, the oldest are forgotten: how it stands is told all the same."""
FILE_BYTES_MAX: Final = 1 << 16

_log = logging.getLogger(__name__)


class _Kept(msgspec.Struct, kw_only=True):
    raised: dict[str, Alarm] = {}


class AlarmBook:
    """The alarms of one terminal. With `path` None it remembers until the process ends."""

    def __init__(self, path: Path | None, *, settled_after_s: float = SETTLED_AFTER_S) -> None:
        self._path = path
        self._settled_after_s = settled_after_s
        self._raised = _read(path)
        self._began_s: float | None = None
        self._coming: dict[str, float] = {}
        self._going: dict[str, float] = {}
        self._untold: deque[tuple[str, Alarm | None]] = deque(maxlen=UNTOLD_MAX)

    @property
    def raised(self) -> Mapping[str, Alarm]:
        """What is raised now, by type."""
        return self._raised

    def devices_of(self, type_: str) -> list[str]:
        """The devices that a raised alarm names."""
        return str(self._raised[type_].v.get("devices", "")).split() if type_ in self._raised else []

    def values(self) -> dict[str, Value]:
        """The group ``tele/alarms``."""
        return {
            "alarms": " ".join(sorted(self._raised)),
            "alarm_count": len(self._raised),
            "worst": worst(self._raised),
        }

    def take(self, found: Mapping[str, Found], stamp: Stamp, now_s: float) -> bool:
        """Takes what holds now; whether anything was raised, changed or cleared by it."""
        if self._began_s is None:
            self._began_s = now_s
        before = len(self._untold), dict(self._raised)
        for type_, params in found.items():
            self._going.pop(type_, None)
            since_s = self._coming.setdefault(type_, now_s)
            if type_ in self._raised:
                self._change(type_, params, stamp)
            elif now_s - since_s >= KINDS[type_].after_s:
                self._put(type_, _alarm(type_, params, stamp, stamp.time_ms))
        for type_ in self._coming.keys() - found.keys():
            del self._coming[type_]
        for type_ in [each for each in self._raised if each not in found]:
            since_s = self._going.setdefault(type_, now_s)
            if now_s >= self._cleared_at_s(since_s):
                del self._going[type_]
                self._put(type_, None)
        return before != (len(self._untold), self._raised)

    def due_in_s(self, now_s: float) -> float | None:
        """After how long `take` may come to another end although nothing has changed; None where it will not."""
        coming = [s + KINDS[type_].after_s for type_, s in self._coming.items() if type_ not in self._raised]
        due_s = [*coming, *(self._cleared_at_s(since_s) for since_s in self._going.values())]
        return max(min(due_s) - now_s, 0.0) if due_s else None

    def untold(self) -> list[tuple[str, Alarm | None]]:
        """The changes since this was asked last, in order: an alarm as it is now, or None where it was cleared."""
        told = list(self._untold)
        self._untold.clear()
        return told

    def news(self) -> bytes:
        """What is to be written down."""
        return msgspec.json.encode(_Kept(raised=self._raised))

    def write(self, news: bytes) -> None:
        """Writes it, on any thread. Never synced: it is worth no wear, and one that a power cut took is judged anew."""
        if self._path is None:
            return
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            draft.write_bytes(news)
            os.replace(draft, self._path)
        except OSError as error:
            _log.warning("alarms cannot be written down: %s", error.strerror)
            with contextlib.suppress(OSError):
                draft.unlink()

    def _cleared_at_s(self, since_s: float) -> float:
        assert self._began_s is not None
        return max(since_s + CLEARED_AFTER_S, self._began_s + self._settled_after_s)

    def _change(self, type_: str, params: Found, stamp: Stamp) -> None:
        """Words of it may change while it lasts; numbers stay as they were, or each look would tell it again."""
        held = self._raised[type_]
        if {name: each for name, each in params.items() if isinstance(each, str)} != {
            name: each for name, each in held.v.items() if isinstance(each, str)
        }:
            self._put(type_, _alarm(type_, params, stamp, held.since))

    def _put(self, type_: str, alarm: Alarm | None) -> None:
        if alarm is None:
            _log.info("alarm cleared: %s", type_)
            del self._raised[type_]
        else:
            _log.warning("alarm: %s: %s", type_, alarm.text)
            self._raised[type_] = alarm
        self._untold.append((type_, alarm))


def _alarm(type_: str, params: Found, stamp: Stamp, since_ms: int) -> Alarm:
    kind = KINDS[type_]
    return Alarm(
        ts=stamp.time_ms, clk=stamp.clock.value, since=since_ms, severity=kind.severity,
        text=kind.text.format(**params), v=params,
    )  # fmt: skip


def _read(path: Path | None) -> dict[str, Alarm]:
    """What the run before left raised; alarms that this version does not know are gone."""
    if path is None:
        return {}
    try:
        with path.open("rb") as file:
            kept = msgspec.json.decode(file.read(FILE_BYTES_MAX), type=_Kept)
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError):
        _log.warning("the alarms of the run before cannot be read: they are judged anew")
        return {}
    return {type_: alarm for type_, alarm in kept.raised.items() if type_ in KINDS}
