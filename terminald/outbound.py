"""What one MQTT connection sends: waits in lanes (`core.lanes`), is handed on little by little, and is answered.

The line itself, paho's client, is a function that takes a message and gives the number by which it will be answered.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from core.lanes import Lane, Lanes, LanesFull
from terminald.broker import Congested, PublishRefused

OUTSTANDING_MAX = 1024
"""Publishes of ours that a broker has not answered; one more raises Congested."""
HANDED_BYTES_MAX = 16 << 10
"""What paho and the kernel hold and have not sent, before the next message is chosen: what is worth more overtakes the rest."""
WAITING_BYTES_MAX = 16 << 20
HEAD_BYTES = 16
"""About what MQTT and TLS add to a message, which bounds those without a payload too."""
NOBODY_LISTENS = 16
"""MQTT 5's reason code of a publish that had no subscriber."""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A publish that waits for its turn."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    expiry_s: int | None
    future: asyncio.Future[int]

    @property
    def size_bytes(self) -> int:
        return len(self.topic) + len(self.payload) + HEAD_BYTES


class Outbound:
    """The publishes of one connection to `broker` (its name, for errors)."""

    def __init__(self, broker: str, line: Callable[[Outgoing], int]) -> None:
        self.receive_max = OUTSTANDING_MAX
        """How many the broker takes before it has answered one; paho does not look at it."""
        self.refusals = 0
        """Publishes that the broker refused."""
        self.refusal: str | None = None
        """The reason of the last of them, in MQTT's words."""
        self._broker = broker
        self._line = line
        self._loop = asyncio.get_running_loop()
        self._waiting: Lanes[Outgoing] = Lanes(count_max=OUTSTANDING_MAX, bytes_max=WAITING_BYTES_MAX)
        self._handed_bytes = 0
        self._published: dict[int, tuple[asyncio.Future[int], float]] = {}
        self._unheard_since_s: float | None = None

    @property
    def unheard_s(self) -> float:
        """For how long the broker has answered that nobody listens; 0 where somebody does (MQTT 5)."""
        return self._loop.time() - self._unheard_since_s if self._unheard_since_s is not None else 0.0

    @property
    def unanswered_s(self) -> float:
        """For how long the broker has owed its oldest answer."""
        return next((self._loop.time() - sent_s for _, sent_s in self._published.values()), 0.0)

    @property
    def futures(self) -> list[asyncio.Future[int]]:
        """Of all that is not settled."""
        return [*(outgoing.future for outgoing in self._waiting), *(future for future, _ in self._published.values())]

    def put(self, lane: Lane, outgoing: Outgoing) -> None:
        """Takes a publish in and settles its future sooner or later; what had to give way for it is Congested at once."""
        try:
            evicted = self._waiting.put(lane, outgoing.size_bytes, outgoing, elsewhere=len(self._published))
        except LanesFull:
            _fail(outgoing.future, Congested(f"{self._broker} has not answered {len(self._published)} messages"))
            return
        for other in evicted:
            _fail(other.future, Congested(f"{self._broker} takes too long: this had to give way"))
        self._hand_on()

    def is_empty_again(self) -> None:
        """All that the line was handed has been sent."""
        self._handed_bytes = 0
        self._hand_on()

    def answered(self, number: int, reason: int, words: str, *, refused: bool) -> None:
        """The broker's answer to what the line gave this number."""
        future, _ = self._published.pop(number, (None, 0.0))
        if future is None:
            return
        if refused:
            self.refusals += 1
            self.refusal = words
            _fail(future, PublishRefused(f"{self._broker} refuses a message: {words}"))
        else:
            if reason != NOBODY_LISTENS:
                self._unheard_since_s = None
            elif self._unheard_since_s is None:
                self._unheard_since_s = self._loop.time()
            _settle(future, reason)
        self._hand_on()

    def fail(self, error: Exception) -> None:
        """The connection is gone."""
        for future in self.futures:
            _fail(future, error)
        self._waiting.clear()
        self._published.clear()

    def _hand_on(self) -> None:
        """Hands on what waits, in the lanes' order, as long as little is on the line before it."""
        while self._handed_bytes < HANDED_BYTES_MAX and (outgoing := self._waiting.first()) is not None:
            if outgoing.qos and len(self._published) >= self.receive_max:
                return
            self._waiting.take()
            self._handed_bytes += outgoing.size_bytes
            number = self._line(outgoing)
            if outgoing.qos:
                self._published[number] = outgoing.future, self._loop.time()
            else:
                _settle(outgoing.future, 0)


def _settle(future: asyncio.Future[int], reason: int) -> None:
    if not future.done():  # whoever waited may have given up
        future.set_result(reason)


def _fail(future: asyncio.Future[int], error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
