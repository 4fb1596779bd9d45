"""Headquarters, from one start of its collector to its end."""

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

from fleet.database import Database
from fleet.listener import Listener
from terminald.uplink import Uplink
from tests.simulation.clock import VirtualClock

if TYPE_CHECKING:
    from tests.simulation.world import World

from tests.simulation.parts import HEADQUARTERS, NOWHERE


class Office:
    """Collector, database and connection."""

    def __init__(self, world: "World", path: Path) -> None:
        self.path = path
        self._world = world
        self._clock = VirtualClock("0" * 16)
        self._database = Database.open(path, now_ms=self._clock.stamp().time_ms)
        self._collector = world.parts.collector(database=self._database, key=world.ack_key, clock=self._clock)
        self._listener = Listener(
            database=Database.open(path, now_ms=self._clock.stamp().time_ms),
            clock=self._clock,
            heard=self._collector.heard,
        )
        uplink = Uplink(
            brokers=(NOWHERE,),
            client_id=HEADQUARTERS,
            users=[self._collector, self._listener],
            clock=self._clock,
            random=world.draw(),
            dial=world.broker.dial(HEADQUARTERS),
        )
        self._task = asyncio.create_task(uplink.run(), name="headquarters")

    def copied(self, to: Path) -> Path:
        """The database as it is now, in another file."""
        with closing(sqlite3.connect(to)) as copy, closing(sqlite3.connect(self.path)) as now:
            now.backup(copy)
        return to

    async def close(self) -> None:
        """Its process is gone."""
        self._world.broker.close(HEADQUARTERS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._listener.close()
        self._collector.close()
        self._database.close()
