"""Headquarters' orders at the terminal: taken from the broker once each, run when their time has come, and told of.

An order is in the journal before anything is done, and so is its beginning and its end (`core.order_book`): what was taken
is not taken again, whatever is sent again, in whatever sequence, over power cuts and restores. One that ran when the power
went is resolved at the start: what can be run again is (`core.orders.Kind.again`), anything else failed as ``interrupted``,
unless its action can tell what became of it. Without a connection what was taken is carried out all the same.
"""

import asyncio
import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Literal, Protocol

import msgspec

from core import entries as e
from core import topics
from core.card import wipe
from core.ledger import ClockQuality, Record
from core.order_book import OPEN_MAX, OpenOrder
from core.order_results import ENDS, TEXT_LENGTH_MAX, Result, State, encode_result
from core.orders import (
    ORDERS,
    Order,
    OrderError,
    OrderMisaddressed,
    OrderReplayed,
    Timing,
    check_order,
    open_signed,
    timing,
)
from core.ports import Clock, JournalError
from core.state import Till
from terminald.broker import Message, SubscriptionRefused
from terminald.mqtt import Connection
from terminald.order_action import Action, OrderFailed

INBOX_MAX = 64
"""Messages that wait to be looked at; what comes beyond that is asked for again."""
RESULTS_MAX = 128
LINGER_S = 0.25
"""Retained orders come grouped by topic: for so long after the last one more are waited for, and then all are sorted."""
LINGER_MAX_S = 2.0
LOOK_AGAIN_S = 30.0
"""How often orders that wait for a clock, or for the shop to shut, are looked at."""
CLOCK_SET_MS = 5 * 60_000
"""After the kernel's start: for so long a time server may still set a clock that has no battery."""
CLOCK_BEHIND_MS = 5 * 60_000
"""So far a clock may be behind headquarters' and still be believed without a time server."""
_SHARED = {"unlock": "lock", "recall": "catalogue", "lift-recall": "catalogue"}
"""Orders that are carried out one after the other with those of another name."""

_log = logging.getLogger(__name__)


class Keeper(Protocol):
    """What is needed of the engine."""

    @property
    def till(self) -> Till:
        """The till's state."""

    @property
    def clock_doubtful(self) -> bool:
        """Whether the wall clock is not to be believed."""

    async def keep(self, entry: e.AnyEntry, key: str | None = None) -> None:
        """Keeps an entry."""

    async def rest(self) -> None:
        """Waits until no event is being taken."""


Resting = Literal["", "sale-open", "shop-open"]


class Commands:
    """Takes and carries out orders; a `terminald.uplink.User`, and a task that runs without a connection too."""

    def __init__(
        self,
        *,
        terminal: str,
        ack_key: bytes,
        engine: Keeper,
        find: Callable[[str], Awaitable[Record | None]],
        clock: Clock,
        actions: Mapping[str, Action],
        resting: Callable[[], Resting],
    ) -> None:
        """`find` looks a key up in the journal; `resting` says what a disruptive order has to wait for."""
        self.at_work = False
        """Whether a disruptive order is at work: no new sale begins."""
        self._terminal = terminal
        self._ack_key = ack_key
        self._engine = engine
        self._find = find
        self._clock = clock
        self._actions = actions
        self._resting = resting
        self._inbox: deque[Message] = deque()
        self._missed = False
        self._results: OrderedDict[str, Result] = OrderedDict()
        self._unsent: dict[str, Result] = {}
        self._answered: list[str] = []
        self._running: set[str] = set()
        self._turns: dict[str, asyncio.Lock] = {}
        self._wake = asyncio.Event()
        self._outgoing = asyncio.Event()

    def notify(self) -> None:
        """The till has changed: an order that waits for it may go on."""
        if self._engine.till.orders.open:
            self._wake.set()

    # --- the connection ------------------------------------------------------------------------------------------

    async def serve(self, connection: Connection, number: int) -> None:
        """Runs on one connection until cancelled. Raises MqttError."""
        filter_ = topics.orders(self._terminal)
        try:
            await connection.subscribe(filter_, lambda message: self._on_message(connection, message))
        except SubscriptionRefused as error:  # nothing else that uses the connection is to suffer from it
            _log.warning("orders cannot come: %s", error, extra={"fault": error.code})
            return
        while True:
            self._outgoing.clear()
            if self._missed and not self._inbox:
                self._missed = False
                await connection.subscribe(filter_, lambda message: self._on_message(connection, message))
            for topic, result in list(self._unsent.items()):
                del self._unsent[topic]
                sent = connection.publish(topic, encode_result(result), retain=True)
                sent.add_done_callback(partial(self._sent, topic, result))
            await self._outgoing.wait()

    def _on_message(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        if len(self._inbox) >= INBOX_MAX:
            self._missed = True
            return
        self._inbox.append(message)
        self._wake.set()

    def _sent(self, topic: str, result: Result, answer: "asyncio.Future[int]") -> None:
        if answer.cancelled() or answer.exception() is not None:
            self._unsent.setdefault(topic, result)  # with the next connection; a newer one is there already
        elif result.state in ENDS:
            self._answered.append(result.id)
            self._wake.set()

    # --- taking --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Carries out what was taken, and takes what comes; until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            await self._resolve()
            while True:
                self._wake.clear()
                await self._take_all()
                await self._note_told()
                pause_s = await self._look(tasks)
                try:
                    async with asyncio.timeout(pause_s):
                        await self._wake.wait()
                except TimeoutError:
                    continue

    async def _take_all(self) -> None:
        """What has come, in the sequence of its numbers."""
        if not self._inbox:
            return
        began_s, count = self._clock.monotonic_s(), 0
        while len(self._inbox) > count and self._clock.monotonic_s() - began_s < LINGER_MAX_S:
            count = len(self._inbox)
            await self._clock.sleep(LINGER_S)
        believed: list[Order] = []
        while self._inbox:
            message = self._inbox.popleft()
            order = await self._open(message)
            if order is not None:
                believed.append(order)
        self._outgoing.set()
        for order in sorted(believed, key=lambda each: (each.epoch, each.counter)):
            await self._take(order)

    async def _open(self, message: Message) -> Order | None:
        """The order in a message, where it is one of headquarters' for here; else it is refused."""
        try:
            kind, order_id = topics.order_of(message.topic)
        except ValueError:
            return None
        if not message.payload:
            await self._withdraw(order_id)
            return None
        try:
            order = open_signed(message.payload, terminal=self._terminal, public_key=self._ack_key)
            if (order.order, order.id) != (kind, order_id):
                raise OrderMisaddressed("it was sent under another order's name")
        except OrderError as error:
            _log.warning("an order is refused", extra={"reason": error.code})
            if not self._is_known(order_id):
                self._tell(kind, order_id, "rejected", error.code, str(error))
            return None
        return order

    async def _take(self, order: Order) -> None:
        book = self._engine.till.orders
        if self._is_known(order.id) or await self._find(_end_key(order.id)) is not None:
            known = self._results.get(topics.result(self._terminal, order.order, order.id))
            if known is not None and known.state in ENDS:
                self._put(known)  # who sends it again may not have heard
            return
        key = f"order/{order.epoch}/{order.counter}"
        if book.window.refuses(order.epoch, order.counter) or await self._find(key) is not None:
            self._tell(order.order, order.id, "rejected", OrderReplayed.code, "its number was taken before")
            return
        fault = self._fault(order)
        if fault is None and len(book.open) >= OPEN_MAX:
            fault = "order-too-many", f"{OPEN_MAX} orders wait already"
        code, why = fault or ("", "")
        await self._engine.keep(
            e.OrderTaken(
                id=order.id, order=wipe(order.order), epoch=order.epoch, counter=order.counter, role=wipe(order.role),
                issuer=wipe(order.issuer), seconded=wipe(order.seconded), not_after_ms=order.not_after_ms,
                issued_ms=order.issued_ms, not_before_ms=order.not_before_ms, params={} if fault else order.params,
                refused=code, why=wipe(why)[:TEXT_LENGTH_MAX],
            ),
            key,
        )  # fmt: skip
        _log.info("order taken", extra={"order": wipe(order.order), "id": order.id, "refused": code})
        self._tell(order.order, order.id, "rejected" if fault else "accepted", code, why)

    def _fault(self, order: Order) -> tuple[str, str] | None:
        """Why an order is not to be carried out, whatever the time is."""
        try:
            check_order(order)
        except OrderError as error:
            return error.code, str(error)
        if order.order not in self._actions:
            return "order-not-possible", "this terminal has nothing to carry it out with"
        return None

    async def _withdraw(self, order_id: str) -> None:
        """Headquarters took an order back; one that has begun goes on."""
        waiting = self._engine.till.orders.find(order_id)
        if waiting is not None and not waiting.begun and order_id not in self._running:
            await self._end(waiting.order, "rejected", "order-withdrawn", "headquarters took it back")

    def _is_known(self, order_id: str) -> bool:
        book = self._engine.till.orders
        return book.find(order_id) is not None or book.end(order_id) is not None

    # --- carrying out --------------------------------------------------------------------------------------------

    async def _resolve(self) -> None:
        """After a start: what had begun, and what was not told."""
        book = self._engine.till.orders
        for end in book.ended:
            if end.id in book.untold:
                self._tell(end.order, end.id, _state(end.state), end.code, end.text)
        for waiting in book.open:
            if waiting.begun:
                await self._resolve_one(waiting)
            elif (fault := self._fault(waiting.order)) is not None:  # taken by another version of this software
                await self._end(waiting.order, "rejected", *fault)
            else:
                self._tell(waiting.order.order, waiting.order.id, "accepted")

    async def _resolve_one(self, begun: OpenOrder) -> None:
        order, kind = begun.order, ORDERS.get(begun.order.order)
        action = self._actions.get(order.order)
        succeeded = False
        if action is not None and action.resolve is not None:
            try:
                succeeded = action.resolve(begun.mark)
            except (JournalError, OSError) as error:
                _log.error("nobody can tell whether an order succeeded", extra={"reason": type(error).__name__})
        if succeeded:
            await self._end(order, "successful")
        elif kind is None or not kind.again or self._fault(order) is not None:
            await self._end(order, "failed", "interrupted", "the terminal stopped while it was carried out")

    async def _look(self, tasks: asyncio.TaskGroup) -> float | None:
        """Begins what is due, ends what is over. For how long nothing is due (seconds); None where nothing waits."""
        waits = None
        for waiting in sorted(self._engine.till.orders.open, key=lambda each: (each.order.epoch, each.order.counter)):
            order = waiting.order
            if order.id in self._running:
                continue
            kind = ORDERS[order.order]
            when = self._timing(order)
            if when == "over" and not waiting.begun:
                await self._end(order, "expired", "order-expired", self._why_expired())
                continue
            rest = self._resting() if kind.disruptive else ""
            if when in ("early", "unsure") and not waiting.begun:
                self._wait(order, "order-early" if when == "early" else "clock-unsure")
            elif rest:
                self._wait(order, rest)
            else:
                self._running.add(order.id)
                tasks.create_task(self._carry_out(waiting), name=f"order-{order.order}")
                continue
            waits = LOOK_AGAIN_S
            left_s = (order.not_before_ms - self._clock.stamp().time_ms) / 1000
            if when == "early" and left_s > 0:
                waits = min(waits, left_s)
        return waits

    def _timing(self, order: Order) -> Timing:
        """By the wall clock where it can be believed: a time server's; or one that is not behind what headquarters has
        signed, and is a battery's or has had its minutes to be set."""
        stamp, known_ms = self._clock.stamp(), self._engine.till.orders.window.known_ms
        is_set = stamp.clock is ClockQuality.RTC or stamp.mono_ms >= CLOCK_SET_MS
        is_behind = stamp.time_ms < max(known_ms, order.issued_ms) - CLOCK_BEHIND_MS
        is_sure = stamp.clock is ClockQuality.NTP or (is_set and not is_behind and not self._engine.clock_doubtful)
        return timing(order, now_ms=stamp.time_ms, known_ms=known_ms, is_sure=is_sure)

    def _why_expired(self) -> str:
        stamp = self._clock.stamp()
        return f"its time is over; here it is {stamp.time_ms} ({stamp.clock.value})"

    async def _carry_out(self, waiting: OpenOrder) -> None:
        order, kind = waiting.order, ORDERS[waiting.order.order]
        try:
            group = "disruptive" if kind.disruptive else _SHARED.get(order.order, order.order)
            async with self._turns.setdefault(group, asyncio.Lock()):
                if kind.disruptive:
                    self.at_work = True
                    await self._engine.rest()
                    if self._resting():
                        return  # a sale began just now: it waits for its end
                await self._attempt(waiting, self._actions[order.order])
        finally:
            if kind.disruptive:
                self.at_work = False
            self._running.discard(order.id)
            self._wake.set()

    async def _attempt(self, waiting: OpenOrder, action: Action) -> None:
        order = waiting.order
        try:
            if not waiting.begun:
                await self._engine.keep(e.OrderBegun(id=order.id, mark=action.mark()))
            self._tell(order.order, order.id, "running")
            outcome = await action.run(order, check_order(order))
        except OrderFailed as failure:
            await self._end(order, "failed", failure.code, str(failure))
        except JournalError as error:
            if error.code == "journal-outcome-unknown":
                raise
            await self._end(order, "failed", error.code, f"{error}. {error.remedy}")
        except (OSError, ValueError, RuntimeError, LookupError, TypeError, AssertionError) as error:
            # A fault of an order is no reason to end a till that sells; its text may quote anything, its kind cannot.
            _log.exception("an order failed by a fault", extra={"order": order.order})
            await self._end(order, "failed", "order-fault", type(error).__name__)
        else:
            await self._end(order, "successful", text=outcome.text, output=outcome.output)
            await outcome.then()

    # --- what is told --------------------------------------------------------------------------------------------

    async def _end(
        self, order: Order, state: State, code: str = "", text: str = "", output: Mapping[str, Any] | None = None
    ) -> None:
        text = wipe(text)[:TEXT_LENGTH_MAX]
        await self._engine.keep(
            e.OrderEnded(id=order.id, order=wipe(order.order), state=state, code=code, text=text),
            _end_key(order.id),
        )
        _log.info("order ended", extra={"order": order.order, "id": order.id, "state": state, "code": code})
        self._tell(order.order, order.id, state, code, text, output)

    def _wait(self, order: Order, code: str) -> None:
        known = self._results.get(topics.result(self._terminal, order.order, order.id))
        if known is None or (known.state, known.code) != ("waiting", code):
            self._tell(order.order, order.id, "waiting", code)

    def _tell(
        self,
        kind: str,
        order_id: str,
        state: State,
        code: str = "",
        text: str = "",
        output: Mapping[str, Any] | None = None,
    ) -> None:
        self._put(
            Result(
                id=order_id, order=kind, state=state, ts=self._clock.stamp().time_ms, code=code, text=text[:TEXT_LENGTH_MAX],
                output=dict(output or {}),
            )
        )  # fmt: skip

    def _put(self, result: Result) -> None:
        try:
            topic = topics.result(self._terminal, result.order, result.id)
        except ValueError:
            return  # an order of no name has no topic: its end is in the journal
        for held in (self._results, self._unsent):
            held.pop(topic, None)
            held[topic] = result
            while len(held) > RESULTS_MAX:
                held.pop(next(iter(held)))
        self._outgoing.set()

    async def _note_told(self) -> None:
        while self._answered:
            order_id = self._answered.pop()
            if order_id in self._engine.till.orders.untold:
                await self._engine.keep(e.OrderTold(id=order_id))


def _end_key(order_id: str) -> str:
    """Under which an end stands in the journal: an id has one, for ever."""
    return f"order-end/{order_id}"


def _state(text: str) -> State:
    state: State = msgspec.convert(text, State)
    return state
