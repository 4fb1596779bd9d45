"""A headquarters that is wrong in one way: it signs for a batch, and commits it a moment later.

``python -m tests.proofs.hasty --broker URL --database PATH --key FILE`` runs until SIGTERM, as ``terminald-fleet
collect`` does. What looks for sales that were promised and lost must find it.
"""

import argparse
import asyncio
import signal
from pathlib import Path
from random import Random

from fleet.collector import Collector
from fleet.database import Database
from fleet.keys import load_or_make
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.mqtt import Connection
from terminald.uplink import Uplink
from tests.proofs.r7_forwarding import AcknowledgesFirst

LATE_S = 0.05


class CommitsLate(Collector):
    """Lets its answers go out before the commit begins."""

    async def _work(self, connection: Connection) -> None:
        await asyncio.sleep(LATE_S)
        await super()._work(connection)


class Hasty(AcknowledgesFirst, CommitsLate):
    """Answers, waits, and then commits."""


async def _collect(broker: str, database: Path, key: Path) -> None:
    clock = SystemClock()
    collector = Hasty(
        database=Database.open(database, now_ms=clock.stamp().time_ms), key=load_or_make(key), clock=clock
    )
    uplink = Uplink(
        brokers=[parse_url(broker)], client_id="headquarters", users=[collector], clock=clock, random=Random(),
        session_expiry_s=60,
    )  # fmt: skip
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    task = asyncio.create_task(uplink.run(), name="uplink")
    try:
        await stopped.wait()
    finally:
        task.cancel()
        await asyncio.wait([task])
        collector.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--broker", required=True)
    parser.add_argument("--database", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    arguments = parser.parse_args()
    asyncio.run(_collect(arguments.broker, arguments.database, arguments.key))
