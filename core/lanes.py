"""Which of the messages that wait for the line goes next: lanes with a bound, without I/O.

Control and acknowledgements go before money, money before alarms, alarms before live measurements, and those before old ones.
Within a lane the oldest goes first, so that money keeps its order. A lane that waits is passed over `PASSED_OVER_MAX` times
at most: a backlog of three days must not keep an alarm for an hour.

Where there is no room, the oldest message of the last lane gives way. Money and control never give way: their newcomers are
refused, which their senders notice.
"""

import enum
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from core import topics

PASSED_OVER_MAX = 4
T = TypeVar("T")


class Lane(enum.IntEnum):
    """What goes first has the lowest number."""

    CONTROL = 0
    """Status, orders and their results, configuration, acknowledgements, requests."""
    MONEY = 1
    ALARMS = 2
    LIVE = 3
    """Measurements of now."""
    BACKFILL = 4
    """Measurements that are old already."""


EVICTED = (Lane.BACKFILL, Lane.LIVE, Lane.ALARMS)
"""What gives way where there is no room, the first first."""


class LanesFull(Exception):
    """There is no room, and nothing that waits is worth less."""


def lane_of(topic: str) -> Lane:
    """The lane that a topic's messages take: live measurements, unless the topic says otherwise."""
    kind, _, name = topic.removeprefix(f"{topics.PREFIX}/").partition("/")[2].partition("/")
    if kind == "money":
        return Lane.MONEY if name == "batch" else Lane.CONTROL
    if kind == "alarm":
        return Lane.ALARMS
    return Lane.CONTROL if kind in ("status", "cmd", "config") else Lane.LIVE


class Lanes(Generic[T]):
    """Messages of known sizes that wait, `count_max` and `bytes_max` of them at most."""

    def __init__(self, *, count_max: int, bytes_max: int) -> None:
        self._count_max = count_max
        self._bytes_max = bytes_max
        self._lanes: dict[Lane, deque[tuple[int, T]]] = {lane: deque() for lane in Lane}
        self._passed_over = dict.fromkeys(Lane, 0)
        self._bytes = 0

    def __len__(self) -> int:
        return sum(map(len, self._lanes.values()))

    def __iter__(self) -> Iterator[T]:
        """All that wait, lane after lane."""
        return (message for lane in self._lanes.values() for _, message in lane)

    def put(self, lane: Lane, size_bytes: int, message: T, *, elsewhere: int = 0) -> tuple[T, ...]:
        """Takes a message in; what had to give way for it. `elsewhere` are messages that take up places of their own.

        Raises LanesFull, and then nothing was changed. A message that is larger than all the room goes in where nothing
        else waits.
        """
        victims = self._victims(lane, size_bytes, elsewhere)
        for victim in victims:
            self._bytes -= self._lanes[victim][0][0]
        evicted = tuple(self._lanes[victim].popleft()[1] for victim in victims)
        self._lanes[lane].append((size_bytes, message))
        self._bytes += size_bytes
        return evicted

    def first(self) -> T | None:
        """What goes next; it stays."""
        lane = self._next()
        return None if lane is None else self._lanes[lane][0][1]

    def take(self) -> T | None:
        """What goes next."""
        lane = self._next()
        if lane is None:
            return None
        self._passed_over[lane] = 0
        for other in Lane:
            if other > lane and self._lanes[other]:
                self._passed_over[other] += 1
        size_bytes, message = self._lanes[lane].popleft()
        self._bytes -= size_bytes
        return message

    def clear(self) -> None:
        """Nothing waits any more."""
        for lane in self._lanes.values():
            lane.clear()
        self._passed_over = dict.fromkeys(Lane, 0)
        self._bytes = 0

    def _next(self) -> Lane | None:
        waiting = [lane for lane in Lane if self._lanes[lane]]
        overdue = (lane for lane in waiting if self._passed_over[lane] >= PASSED_OVER_MAX)
        return next(overdue, waiting[0] if waiting else None)

    def _victims(self, lane: Lane, size_bytes: int, elsewhere: int) -> list[Lane]:
        """The lanes whose oldest go, once for each that goes. Raises LanesFull."""
        count, room = len(self) + elsewhere, self._bytes_max - self._bytes
        victims: list[Lane] = []
        for victim in EVICTED:
            if victim < lane:
                break
            for waiting_bytes, _ in self._lanes[victim]:
                if count < self._count_max and room >= size_bytes:
                    return victims
                victims.append(victim)
                count, room = count - 1, room + waiting_bytes
        is_alone = len(victims) == len(self)
        if count < self._count_max and (room >= size_bytes or is_alone):
            return victims
        raise LanesFull
