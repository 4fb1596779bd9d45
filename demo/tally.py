"""The day counted in three places: on the customers' paper, in the journal, and in headquarters' database."""

import asyncio

from core.view import View
from demo.world import Totals, World

LOOK_S = 0.4


class Tally:
    """`headquarters` is looked up in the collector's own database, `LOOK_S` old at most while `follow` runs."""

    def __init__(self, world: World) -> None:
        self.headquarters = Totals()
        self._world = world

    async def follow(self) -> None:
        """Keeps looking at headquarters' database; runs until cancelled."""
        while True:
            self.headquarters = await asyncio.to_thread(self._world.headquarters)
            await asyncio.sleep(LOOK_S)

    def counter(self) -> Totals:
        """What customers hold: each sale once, whatever copies of its receipt were printed."""
        paid = {receipt.number: receipt.total_minor for receipt in self._world.bench.receipts}
        return Totals(transactions=len(paid), amount_minor=sum(paid.values()))

    def journal(self, view: View | None) -> Totals:
        """What the till says of its journal, in its newest view."""
        if view is None:
            return Totals()
        return Totals(transactions=view.day.transactions, amount_minor=view.day.amount_minor)
