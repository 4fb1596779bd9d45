"""What the benches of forwarding share: a till with a backlog, a collector's process, and how long a drain takes."""

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median

from bench.registry import CannotRun
from fleet.keys import AckKey, load_or_make
from tests.brokers import Mosquitto, find_mosquitto
from tests.tills import Till

PATIENCE_S = 300.0
NODELAY = "allow_anonymous true\nset_tcp_nodelay true"
STOCK = "allow_anonymous true"
"""As Debian installs it, but that it lets us in: Nagle's algorithm is on."""


def need_mosquitto() -> None:
    """Raises CannotRun where it is not installed."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")


@contextlib.contextmanager
def brokers(folder: Path, options: Sequence[str]) -> Iterator[list[Mosquitto]]:
    """Running brokers, one for each of the options."""
    made = [Mosquitto(folder, each) for each in options]
    try:
        for broker in made:
            broker.start()
        yield made
    finally:
        for broker in made:
            broker.stop()


@contextlib.contextmanager
def collector(url: str, database: Path, *arguments: str) -> Iterator[AckKey]:
    """`terminald-fleet collect` in a process of its own; the key that it signs with."""
    key = load_or_make(database.with_name(database.name + ".ack-key"))
    command = [sys.executable, "-m", "fleet", "collect", "--broker", url, "--database", str(database), *arguments]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield key
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)


async def drain(till: Till, url: str, folder: Path, turn: int) -> float:
    """Seconds a record from the connection on until headquarters has signed for the whole journal."""
    database = folder / f"headquarters-{turn}-{os.urandom(4).hex()}.db"
    with collector(url, database) as key:
        await _until(database.exists, "the collector does not start")
        await asyncio.sleep(1.0)
        forwarder = till.forwarder(key.public_key)
        uplink = till.uplink(forwarder, url)
        running = asyncio.create_task(uplink.run(), name="uplink")
        try:
            await _until(lambda: uplink.connected, "the broker lets nobody in")
            began_s = time.perf_counter()
            synced = till.journal.synced.seq
            await _until(lambda: forwarder.acknowledged_seq == synced, "headquarters does not sign for all")
            return (time.perf_counter() - began_s) / synced
        finally:
            running.cancel()
            await asyncio.wait((running,))


async def _until(condition: Callable[[], bool], otherwise: str) -> None:
    until_s = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > until_s:
            raise TimeoutError(otherwise)
        await asyncio.sleep(0.005)


async def in_turns(runs: Mapping[str, Callable[[int], Awaitable[float]]], turns: int) -> dict[str, float]:
    """Medians; each turn has all of them, in an order that changes. The first one warms up."""
    taken: dict[str, list[float]] = {name: [] for name in runs}
    rng = random.Random(5)
    for turn in range(turns + 1):
        for name in rng.sample(list(runs), len(runs)):
            value = await runs[name](turn)
            if turn:
                taken[name].append(value)
    return {name: median(values) for name, values in taken.items()}
