"""Who stands at the counter."""

import asyncio
from typing import TYPE_CHECKING

from core import events as v
from core.state import Asking, Idle, Ringing, Tendering

if TYPE_CHECKING:
    from tests.simulation.world import World

from tests.simulation.life import Life

GOODS = ("4006381333931", "036000291452", "96385074", "4008400404127")


class Operator:
    """Who stands at the counter: rings up, takes money, looks at the screen again after a power cut."""

    def __init__(self, world: "World") -> None:
        self._world = world
        self._chance = world.draw()
        self._orders = 0

    async def sell(self, customers: int) -> None:
        """Serves so many customers."""
        for _ in range(customers):
            await self._pause(10.0)
            for _ in range(self._chance.randrange(1, 5)):
                life = self._world.terminal
                if life is not None and isinstance(life.engine.till.sale, Idle | Ringing):
                    life.engine.post(v.Scanned(device="scanner", data=self._chance.choice(GOODS)))
                await self._pause(3.0)
            await self.finish()

    async def finish(self) -> None:
        """Until nothing is in hand."""
        while True:
            life = self._world.terminal
            if life is None:
                await asyncio.sleep(1.0)
                continue
            match life.engine.till.sale:
                case Idle():
                    return
                case Ringing() | Tendering():
                    await self._take_money(life)
                case Asking():
                    await self._order(life, v.CancelKeyed())
                case _:
                    await asyncio.sleep(1.0)

    async def _take_money(self, life: Life) -> None:
        roll = self._chance.random()
        if roll < 0.08:
            await self._order(life, v.CancelKeyed())
        elif roll < 0.45:
            await self._order(life, v.CardKeyed(amount_minor=self._chance.choice((None, None, 100))))
        else:
            await self._order(life, v.CashKeyed(amount_minor=self._chance.choice((None, None, 5000, 50))))
        await self._pause(2.0)

    async def _order(self, life: Life, event: v.AnyEvent) -> None:
        """Gives an order; where the till dies under it, often gives it again under the same key."""
        self._orders += 1
        key = f"order-{self._orders}"
        while True:
            order = asyncio.ensure_future(life.engine.order(event, key))
            while life.alive and not order.done():
                await asyncio.wait([order], timeout=0.5)
            if order.done() and not order.cancelled() and order.exception() is None:
                self._world.say("order", type(event).__name__, "refused" if order.result().refused else "taken")
                return
            order.cancel()
            if self._chance.random() < 0.5:
                return
            while (again := self._world.terminal) is None or again is life:
                await asyncio.sleep(0.5)
            life = again

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._chance.random() * longest_s)
