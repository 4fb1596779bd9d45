"""What a live view knows of the fleet, message by message, and in which order it is worth looking at. No I/O, no clock."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from core import nesting, topics
from core.alarms import SEVERITIES
from core.card import wipe, wipe_all
from fleet.told import BYTES_MAX, Told

STALE_S: Final = 180.0
"""An online terminal that has told nothing for so long is doubted: it tells something every minute."""
TERMINALS_MAX: Final = 100_000
ALARMS_MAX: Final = 64
_FINE: Final = len(SEVERITIES) + 1
_OFFLINE: Final = 1
"""Where an offline terminal stands: after a critical alarm, before a major one."""


class _Status(msgspec.Struct, frozen=True):
    state: str
    boot_id: str = ""
    connection: int = 0


_status_decoder = msgspec.json.Decoder(_Status)
_alarm_decoder = msgspec.json.Decoder(Told)
_any_decoder = msgspec.json.Decoder(dict[str, Any])


@dataclass(slots=True, kw_only=True)
class Seen:
    """A terminal. `seen_s` is when it last told something, by this program's own clock; None: not since it looks."""

    name: str
    site: str = ""
    tags: tuple[str, ...] = ()
    state: str = "unknown"
    boot: str = ""
    connection: int = 0
    seen_s: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    info: dict[str, Any] = field(default_factory=dict)
    alarms: dict[str, Told] = field(default_factory=dict)

    @property
    def worst(self) -> Told | None:
        """The gravest alarm, of those the oldest."""
        return min(self.alarms.values(), key=lambda each: (SEVERITIES.index(each.severity), each.since), default=None)

    def trouble(self, now_s: float) -> int:
        """How much it is in need of somebody; 0 is worst."""
        worst = self.worst
        of_alarm = _FINE if worst is None else (0, 2, 3, 4)[SEVERITIES.index(worst.severity)]
        if self.state == "offline":
            return min(of_alarm, _OFFLINE)
        return min(of_alarm, 3) if self.is_stale(now_s) else of_alarm

    def is_stale(self, now_s: float) -> bool:
        """Whether it says online and tells nothing."""
        return self.state == "online" and self.seen_s is not None and now_s - self.seen_s > STALE_S

    def number(self, name: str) -> float | None:
        """A value that is a number."""
        value = self.values.get(name)
        return value if isinstance(value, int | float) and not isinstance(value, bool) else None

    def fits(self, words: Iterable[str]) -> bool:
        """Whether each word is in something that one looks for: names, alarms, state, version."""
        text = " ".join(
            (self.name, self.site, *self.tags, self.state, *self.alarms, str(self.info.get("software", "")),
             str(self.info.get("shop", "")))
        ).lower()  # fmt: skip
        return all(word in text for word in words)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """The fleet in numbers."""

    terminals: int
    online: int
    offline: int
    alarms: Mapping[str, int]
    """By severity, each terminal counted once, by its gravest."""
    waiting: int


class Fleet:
    """All terminals that were heard of."""

    def __init__(self) -> None:
        self.terminals: dict[str, Seen] = {}
        self.revision = 0
        """Grows with each change."""

    def terminal(self, name: str) -> Seen:
        """A terminal, new where nothing was heard of it."""
        found = self.terminals.get(name)
        if found is None:
            found = Seen(name=name)
            if len(self.terminals) < TERMINALS_MAX:
                self.terminals[name] = found
        return found

    def take(self, topic: str, payload: bytes, now_s: float, *, retained: bool = False) -> None:
        """Takes a message; one that is none of ours changes nothing. What is retained is no sign of life."""
        if len(payload) > BYTES_MAX:
            return
        try:
            name = topics.terminal_of(topic)
            what = topic.removeprefix(f"{topics.PREFIX}/{name}/")
            self._take(self.terminal(name), what, payload)
        except (ValueError, RecursionError):
            return
        self.revision += 1
        if not retained and not (what == "status" and self.terminals[name].state == "offline"):
            self.terminals[name].seen_s = now_s

    def rows(self, now_s: float, chosen: Callable[[Seen], bool] = lambda _: True) -> list[Seen]:
        """Those that are chosen, the ones in trouble first."""
        return sorted(
            (each for each in self.terminals.values() if chosen(each)),
            key=lambda each: (each.trouble(now_s), -(each.number("oldest_unacked_s") or 0), each.name),
        )

    def tally(self) -> Tally:
        """The fleet in numbers."""
        alarms: dict[str, int] = dict.fromkeys(SEVERITIES, 0)
        waiting = online = offline = 0
        for each in self.terminals.values():
            online += each.state == "online"
            offline += each.state == "offline"
            waiting += int(each.number("unacked") or 0)
            if (worst := each.worst) is not None:
                alarms[worst.severity] += 1
        return Tally(terminals=len(self.terminals), online=online, offline=offline, alarms=alarms, waiting=waiting)

    def _take(self, seen: Seen, what: str, payload: bytes) -> None:
        if what == "status":
            self._status(seen, nesting.decode(_status_decoder, payload))
        elif what == "info":
            seen.info = wipe_all(nesting.decode(_any_decoder, payload))
        elif what.startswith("tele/"):
            self._group(seen, wipe_all(nesting.decode(_any_decoder, payload)))
        elif what.startswith("alarm/"):
            self._alarm(seen, what.removeprefix("alarm/"), payload)

    def _status(self, seen: Seen, status: _Status) -> None:
        """A status of an older connection of the same start changes nothing."""
        if status.boot_id == seen.boot and status.connection < seen.connection:
            return
        seen.state, seen.boot, seen.connection = wipe(status.state)[:16], wipe(status.boot_id)[:64], status.connection

    def _group(self, seen: Seen, message: dict[str, Any]) -> None:
        values = message.get("v")
        if not isinstance(values, dict):
            return
        seen.values |= values
        standing, ts = values.get("alarms"), message.get("ts")
        if isinstance(standing, str) and isinstance(ts, int):
            for type_ in [each for each, told in seen.alarms.items() if told.ts < ts]:
                if type_ not in standing.split():  # the message that cleared it was missed
                    del seen.alarms[type_]

    def _alarm(self, seen: Seen, type_: str, payload: bytes) -> None:
        if not payload:
            seen.alarms.pop(type_, None)
        elif len(seen.alarms) < ALARMS_MAX and wipe(type_) == type_:
            told = nesting.decode(_alarm_decoder, payload)
            seen.alarms[type_] = msgspec.structs.replace(told, text=wipe(told.text))
