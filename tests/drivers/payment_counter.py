"""A payment device's driver and its far end, as the tests of it use them."""

import json
import random
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from core.events import PaymentAnswered
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import Cable, Receive, TcpCable
from drivers.simulated.payment import SimulatedPaymentDevice
from tests.drivers.support import HostClock, HostileCable, Manner, Served


class Counter(Served):
    """A payment device's driver, served as its supervisor serves it, and its far end."""

    def __init__(self, make: Callable[[Receive], TcpCable] = TcpCable, **options: Any) -> None:
        made: list[TcpCable] = []

        def keep(receive: Receive) -> Cable:
            made.append(make(receive))
            return made[0]

        self.far = SimulatedPaymentDevice(make=keep)
        (self.tcp,) = made
        self.far.plug()
        values = {"payment_timeout_s": 1.0, "answer_timeout_s": 1.0, "reversal_timeout_s": 1.0} | options
        where = NexoOptions(host=self.tcp.host, port=self.tcp.port, poi_id="POI-1", **values)
        self.driver = NexoPaymentDevice("payment", where, emit_nothing, HostClock())
        super().__init__(self.driver)

    async def reopen(self) -> None:
        await self.failure()
        self.driver.close()
        await self.open()

    async def close(self) -> None:
        await super().close()
        self.far.close()


@asynccontextmanager
async def counter_with(make: Callable[[Receive], TcpCable] = TcpCable, **options: Any) -> AsyncIterator[Counter]:
    made = Counter(make, **options)
    await made.open()
    try:
        yield made
    finally:
        await made.close()


def approved(reference: str, amount_minor: int, number: int = 1) -> PaymentAnswered:
    return PaymentAnswered(
        reference=reference,
        amount_minor=amount_minor,
        poi_transaction=f"POI-1.{number:06}",
        authorisation="123456",
        brand="Simcard",
        card="****9999",
    )


def emit_nothing(event: object) -> None:
    raise AssertionError(f"a payment device emits nothing, and yet: {event}")


class Rewriting(TcpCable):
    """A cable whose device says something else than our simulated one would."""

    def __init__(self, receive: Receive, rewrite: Callable[[Any], Any]) -> None:
        super().__init__(receive)
        self._rewrite = rewrite

    def send(self, data: bytes) -> None:
        payload = json.dumps(self._rewrite(json.loads(data[4:]))).encode()
        super().send(len(payload).to_bytes(4, "big") + payload)


def counter_rewriting(rewrite: Callable[[Any], Any]) -> AbstractAsyncContextManager[Counter]:
    return counter_with(lambda receive: Rewriting(receive, rewrite))


class Cutting(TcpCable):
    """A network that loses one connection in five, in the middle of what is being said, either way.

    TCP loses no single byte: this is what losses look like to it.
    """

    def __init__(self, receive: Receive, chance: random.Random) -> None:
        super().__init__(lambda data: self._pass(data, receive))
        self._chance = chance

    def send(self, data: bytes) -> None:
        self._pass(data, super().send)

    def _pass(self, data: bytes, onwards: Receive) -> None:
        if self._chance.random() > 0.2:
            onwards(data)
            return
        onwards(data[: self._chance.randrange(len(data))])
        self.unplug()
        self.plug()


def hostile_cable(manner: str, receive: Receive, tcp: list[TcpCable]) -> Cable:
    """A cable of this manner; the TCP port that it is on is put into `tcp`."""

    def plain(through: Receive) -> Cable:
        tcp.append(TcpCable(through))
        return tcp[0]

    if manner == "lossy":
        tcp.append(Cutting(receive, random.Random(7)))
        return tcp[0]
    known: dict[str, Manner] = {"plain": "plain", "bytewise": "bytewise", "delayed": "delayed"}
    return HostileCable(plain, receive, known[manner], seed=7)
