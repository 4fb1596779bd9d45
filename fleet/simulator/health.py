"""What a simulated terminal tells of itself: the groups of `core.telemetry`, as often as a real one tells them.

A healthy till at rest: only its journal and its sales change. A simulated sale is rung up in a moment; of a real one the
journal's group tells each record that comes two seconds after the last it told.
"""

import math
from functools import cache

import msgspec

from core.telemetry import COUNTER, DEVICE, GROUPS, JOURNAL, Field, Group, Value

DEVICES = ("scanner", "printer", "payment", "drawer")
INFO_FIELDS = 20
"""Of what a terminal is made of: versions and devices."""
_PLAIN: dict[str, Value] = {"text": "ready", "whole number": 120, "number": 61.5, "true or false": False}
_encoder = msgspec.json.Encoder()


class _Message(msgspec.Struct, frozen=True, kw_only=True):
    ts: int
    clk: str
    seq: int
    v: msgspec.Raw


class Health:
    """When each group is due, and what it says."""

    __slots__ = ("_seq", "_state", "_told_s")

    def __init__(self) -> None:
        self._seq = 0
        self._told_s = [-math.inf] * len(GROUPS)
        self._state: dict[str, tuple[int, ...]] = {}

    def connected(self) -> None:
        """All of it is to be told on a new connection."""
        self._told_s = [-math.inf] * len(GROUPS)

    def due_s(self, now: dict[str, tuple[int, ...]]) -> float:
        """When something is to be told next; `now` has the state of those groups that change."""
        return min(self._due_s(place, group, now) for place, group in enumerate(GROUPS))

    def due(self, now_s: float, now_ms: int, epoch: str, now: dict[str, tuple[int, ...]]) -> list[tuple[str, bytes]]:
        """The groups that are due, and their messages."""
        found = []
        for place, group in enumerate(GROUPS):
            if self._due_s(place, group, now) <= now_s:
                self._told_s[place] = now_s
                if group.name in now:
                    self._state[group.name] = now[group.name]
                self._seq += 1
                values = _values(group, epoch, now)
                found.append((group.name, _encoder.encode(_Message(ts=now_ms, clk="ntp", seq=self._seq, v=values))))
        return found

    def _due_s(self, place: int, group: Group, now: dict[str, tuple[int, ...]]) -> float:
        has_moved = group.name in now and now[group.name] != self._state.get(group.name)
        return self._told_s[place] + (group.floor_s if has_moved else group.heartbeat_s)


def state_of(reaches: int, hwm: int, generation: int, sales: int) -> dict[str, tuple[int, ...]]:
    """What changes: of the journal's group and of the counter's."""
    return {JOURNAL.name: (reaches, hwm, generation), COUNTER.name: (sales,)}


def info(now_ms: int) -> bytes:
    """The retained message of what a terminal is made of, as long as one is."""
    return _encoder.encode({"ts": now_ms} | {f"version_{number}": "1.0.0-simulated" for number in range(INFO_FIELDS)})


def _values(group: Group, epoch: str, now: dict[str, tuple[int, ...]]) -> msgspec.Raw:
    if group is JOURNAL:
        reaches, hwm, generation = now[JOURNAL.name]
        own = {
            "epoch": epoch, "journal_depth": reaches, "synced_seq": reaches, "hwm": hwm, "unacked": reaches - hwm,
            "oldest_unacked_s": 0, "generation": generation, "quarantined": 0, "verified_whole": True, "anchored": True,
        }  # fmt: skip
        return msgspec.Raw(_encoder.encode({**_plain(group), **own}))
    if group is COUNTER:
        return msgspec.Raw(_encoder.encode({**_plain(group), "mode": "idle", "transactions": now[COUNTER.name][0]}))
    return _encoded(group.name)


@cache
def _encoded(name: str) -> msgspec.Raw:
    return msgspec.Raw(_encoder.encode(_plain(next(group for group in GROUPS if group.name == name))))


def _plain(group: Group) -> dict[str, Value]:
    """A value of each field's kind; of a device's, one for each device."""
    return {name: None if field.none else _PLAIN[field.kind] for field in group.fields for name in _names(field)}


def _names(field: Field) -> list[str]:
    if not field.name.startswith(DEVICE):
        return [field.name]
    return [field.name.replace(DEVICE, f"device_{device}", 1) for device in DEVICES]
