"""A payment device's driver and its far end, as the tests of it use them."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from core.events import PaymentAnswered
from drivers.options import NexoOptions
from drivers.payment import NexoPaymentDevice
from drivers.simulated.cable import Cable, Receive, TcpCable
from drivers.simulated.payment import SimulatedPaymentDevice
from tests.drivers.support import HostClock, Served


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
