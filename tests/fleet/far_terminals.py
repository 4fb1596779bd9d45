"""The far end of orders: terminals that take what is signed for them, each number once, and answer as they are told to.

What a terminal does with an order is the daemon's (`terminald.commands`); here it is a word or two.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from random import Random

from core import topics
from core.order_results import Result, State, encode_result
from core.orders import Order, Window, check_order, open_signed
from terminald.broker import Message, parse_url
from terminald.clock import SystemClock
from terminald.mqtt import Connection
from terminald.uplink import Uplink

Answer = Callable[[Order], Sequence[State]]


def does_it(_: Order) -> Sequence[State]:
    """The states of an order that goes well."""
    return ("accepted", "running", "successful")


class FarTerminal:
    """A `terminald.uplink.User`. `done` are the orders that it took, in their sequence; none twice."""

    def __init__(self, terminal: str, headquarters: bytes, answer: Answer = does_it) -> None:
        self.terminal = terminal
        self.done: list[Order] = []
        self.again = 0
        self._headquarters = headquarters
        self._answer = answer
        self._window = Window()
        self._ends: dict[str, tuple[str, bytes]] = {}

    async def serve(self, connection: Connection, number: int) -> None:
        """Answers each order on the connection, until cancelled."""
        await connection.subscribe(topics.orders(self.terminal), lambda message: self._take(connection, message))
        await asyncio.Event().wait()

    def _take(self, connection: Connection, message: Message) -> None:
        connection.acknowledge(message)
        if not message.payload:
            return
        order = open_signed(message.payload, terminal=self.terminal, public_key=self._headquarters)
        check_order(order)
        if self._window.refuses(order.epoch, order.counter):
            self.again += 1
            if order.id in self._ends:  # the answer may have been lost with a connection
                connection.publish(*self._ends[order.id], retain=True)
            return
        self._window = self._window.took(order.epoch, order.counter, order.issued_ms)
        self.done.append(order)
        topic = topics.result(self.terminal, order.order, order.id)
        for state in self._answer(order):
            result = Result(id=order.id, order=order.order, state=state, ts=time.time_ns() // 1_000_000)
            self._ends[order.id] = topic, encode_result(result)
            connection.publish(*self._ends[order.id], retain=True)


@contextlib.asynccontextmanager
async def at_work(url: str, *terminals: FarTerminal, apart_s: float = 0.0) -> AsyncIterator[None]:
    """The terminals, each on a connection of its own, begun so far apart."""
    tasks = []
    for each in terminals:
        uplink = Uplink(
            brokers=[parse_url(url)], client_id=each.terminal, users=[each], clock=SystemClock(), random=Random(1)
        )
        tasks.append(asyncio.create_task(uplink.run(), name=each.terminal))
        await asyncio.sleep(apart_s)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
