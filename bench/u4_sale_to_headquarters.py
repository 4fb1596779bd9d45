"""U4: from the tender to headquarters' signature at the till, over mutual TLS.

A sale of three lines is committed to the till's encrypted journal; the forwarder signs a batch, a mosquitto that lets nobody
in without a certificate carries it, a collector's process (with a certificate of its own) verifies and commits it and signs
for it, and the till has verified that. One sale after another, as at a counter; the times are of the machine they are taken
on, and its disk's flushes are in them.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.forwarding import brokers, collector, need_mosquitto
from bench.registry import Proof, Result, Scale, at_most
from terminald.broker import Broker, parse_url
from terminald.forwarder import Forwarder
from terminald.uplink import Uplink
from tests.certificates import Authority, listening, secure_url
from tests.tills import Till, open_till

P99_MS = 1_000.0
"""What does not break a person's flow (Nielsen, Usability Engineering, 1993); a network's own delay comes on top."""
PATIENCE_S = 30.0
BETWEEN_S = 0.02


def run(scale: Scale) -> Iterable[Result]:
    """The times of many sales."""
    need_mosquitto()
    took_ms = sorted(asyncio.run(_measure(scale.pick(smoke=20, commit=500, release=5_000))))
    print(f"median {statistics.median(took_ms):.1f} ms, most {took_ms[-1]:.1f} ms", file=sys.stderr)
    p99 = statistics.quantiles(took_ms, n=100, method="inclusive")[-1]
    yield at_most(round(p99, 1), P99_MS, what="tender to headquarters' signature, p99 ms")


BENCHES = [Proof(id="U4", title="a sale to headquarters over mutual TLS", run=run)]


async def _measure(sales: int) -> list[float]:
    with tempfile.TemporaryDirectory(prefix="terminald-u4-", dir=Path.cwd()) as name:
        folder = Path(name)
        authority = Authority(folder)
        options = listening(authority, authority.certify("broker", host="127.0.0.1"))
        own, theirs = authority.certify("till-3"), authority.certify("collector")
        files = ["--ca", theirs.ca, "--certificate", theirs.certificate, "--certificate-key", theirs.key]
        with brokers(folder, [options]) as (broker,):
            url = secure_url(broker)
            with collector(url, folder / "headquarters.db", *map(str, files)) as key:
                async with open_till(folder) as till:
                    return await _sell(till, Signed(till, key.public_key), parse_url(url, own), sales)


class Signed:
    """The till's forwarder, and a way to wait until headquarters has signed for all."""

    def __init__(self, till: Till, ack_key: bytes) -> None:
        self._till = till
        self._changed = asyncio.Event()
        self.forwarder = Forwarder(
            terminal=till.name, journal=till.journal, signer=till.key, ack_key=ack_key, clock=till.clock,
            random=random.Random(1), on_change=self._changed.set,
        )  # fmt: skip

    async def all(self) -> None:
        """Returns then."""
        async with asyncio.timeout(PATIENCE_S):
            while self.forwarder.acknowledged_seq < self._till.journal.synced.seq:
                await self._changed.wait()
                self._changed.clear()


async def _sell(till: Till, signed: Signed, broker: Broker, sales: int) -> list[float]:
    uplink = Uplink(
        brokers=[broker], client_id=till.name, users=[signed.forwarder], clock=till.clock, random=random.Random(1)
    )
    running = asyncio.create_task(uplink.run(), name="uplink")
    took_ms: list[float] = []
    try:
        await signed.all()  # what the journal begins with
        for number in range(sales):
            began_s = time.perf_counter()
            await till.sell(100 + number, items=3)
            signed.forwarder.notify()
            await signed.all()
            took_ms.append((time.perf_counter() - began_s) * 1000)
            await asyncio.sleep(BETWEEN_S)
    finally:
        running.cancel()
        await asyncio.wait((running,))
    return took_ms
