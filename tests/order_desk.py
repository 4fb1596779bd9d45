"""Headquarters' desk for tests and proofs: signs orders, publishes them retained, and follows what becomes of them."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from core import topics
from core.desired import Desired, Reported, decode_reported, encode_desired
from core.order_results import ENDS, Result, decode_result
from core.orders import Order, encode_order
from fleet.keys import AckKey
from terminald.broker import Message, parse_url
from terminald.mqtt import Connection, connect
from tests.tills import make_key

DESK_KEY = make_key(7)
PATIENCE_S = 30.0
LOOK_S = 0.01


class OrderDesk:
    """One headquarters' orders to one terminal. Made by `order_desk`."""

    def __init__(self, connection: Connection, terminal: str, key: AckKey) -> None:
        self.results: dict[str, list[Result]] = {}
        """All that was said of each order, the newest last."""
        self.reports: list[Reported] = []
        self.counter = 0
        self._connection = connection
        self._terminal = terminal
        self._key = key

    def order(
        self, name: str, params: dict[str, object] | None = None, *, role: str = "security", hours: float = 1.0
    ) -> Order:
        """The next order; every kind may be given so."""
        self.counter += 1
        now_ms = time.time_ns() // 1_000_000
        return Order(
            id=f"o{self.counter}", terminal=self._terminal, order=name, epoch=1, counter=self.counter, issued_ms=now_ms,
            not_after_ms=now_ms + int(hours * 3_600_000), role=role, issuer="anna", seconded="ben",
            params=params or {},
        )  # fmt: skip

    async def publish(self, order: Order, payload: bytes | None = None) -> None:
        """Sends an order, signed; or something else in its place."""
        payload = encode_order(order, self._key.sign) if payload is None else payload
        await self._connection.publish(topics.order(self._terminal, order.order, order.id), payload, retain=True)

    async def desire(self, version: int, doc: str, *, role: str = "manager") -> None:
        """Sends a configuration."""
        desired = Desired(
            terminal=self._terminal, epoch=1, version=version, issued_ms=time.time_ns() // 1_000_000, role=role,
            issuer="anna", doc=doc,
        )  # fmt: skip
        payload = encode_desired(desired, self._key.sign)
        await self._connection.publish(topics.desired(self._terminal), payload, retain=True)

    async def give(self, name: str, params: dict[str, object] | None = None, *, role: str = "security") -> Result:
        """Gives an order and waits for its end."""
        order = self.order(name, params, role=role)
        await self.publish(order)
        return await self.end(order.id)

    async def end(self, order_id: str) -> Result:
        """Waits for the end of an order."""
        return await self.state(order_id, *ENDS)

    async def state(self, order_id: str, *states: str) -> Result:
        """Waits until an order is in one of these states."""
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (said := self.results.get(order_id)) or said[-1].state not in states:
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"{order_id} is not {states}: {self.results.get(order_id)}") from None
        return said[-1]

    async def reported(self, version: int, *states: str) -> Reported:
        """Waits until a configuration is reported to be in one of these states."""
        try:
            async with asyncio.timeout(3 * PATIENCE_S):
                while True:
                    for each in reversed(self.reports):
                        if each.version == version and each.state in states:
                            return each
                    await asyncio.sleep(LOOK_S)
        except TimeoutError:
            raise AssertionError(f"version {version} is not {states}: {self.reports}") from None

    def said(self, order_id: str) -> Sequence[str]:
        """The states that an order went through, each once."""
        return list(dict.fromkeys(each.state for each in self.results.get(order_id, ())))

    def on_message(self, message: Message) -> None:
        """Takes what the terminal says."""
        self._connection.acknowledge(message)
        if message.topic == topics.reported(self._terminal):
            self.reports.append(decode_reported(message.payload))
        elif message.payload:
            result = decode_result(message.payload)
            self.results.setdefault(result.id, []).append(result)


@contextlib.asynccontextmanager
async def order_desk(url: str, terminal: str, key: AckKey = DESK_KEY) -> AsyncIterator[OrderDesk]:
    """A desk while the block runs."""
    async with connect(parse_url(url), f"desk-{terminal}") as connection:
        desk = OrderDesk(connection, terminal, key)
        await connection.subscribe(topics.EVERY_RESULT, desk.on_message)
        await connection.subscribe(topics.EVERY_REPORTED, desk.on_message)
        yield desk


def headquarters_table(url: str, key: AckKey = DESK_KEY) -> str:
    """What a terminal's configuration says of it."""
    return f'[headquarters]\nbroker = "{url}"\nack_key = "{key.public_key.hex()}"\n'
