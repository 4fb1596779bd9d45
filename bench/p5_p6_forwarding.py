"""P5: what forwarding costs above what its end costs anyway. P6: what a broker's Nagle algorithm costs us, and others.

P5 drains a till's journal: SQLCipher is read, batches are made and signed, a stock mosquitto carries them, a collector's
process verifies and commits them and signs for them, the till verifies that and keeps it. Beside it, in the same run and in
turns: the same batches committed by the collector's own code with nothing between (a), and Debian's `mosquitto_pub` and
`mosquitto_sub` with a message a record, which store nothing (b).

P6 drains over a stock broker and over one with `set_tcp_nodelay` (a). And it sends one sale after another, each once the one
before was signed for, over our connection and over aiomqtt's, at the stock broker; both ends, the messages and the commit
are the same, and the database is in memory, so that a disk's flush, which both would wait for, does not hide the line (b).
"""

import asyncio
import contextlib
import itertools
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from statistics import median

import aiomqtt

from bench.forwarding import NODELAY, STOCK, brokers, drain, in_turns, need_mosquitto
from bench.registry import Proof, Result, Scale, at_least, cannot
from core import topics
from core.delivery import BATCH_RECORDS_MAX, compose, cut, encode, encode_ack
from core.ledger import GENESIS, Head
from fleet.collector import GROUP_BATCHES_MAX
from fleet.database import Database
from fleet.intake import Arrival, commit
from terminald.broker import Message, parse_url
from terminald.mqtt import connect
from tests.brokers import Mosquitto
from tests.records import chain, start_of
from tests.tills import Till, make_key, open_till, sale

DIRECT_GOAL = 0.80
PIPE_GOAL = 3.0
STOCK_GOAL = 0.9
ROUND_TRIP_GOAL = 40.0
LINES = 10
PIPE_RECORDS_MAX = 20_000
"""Messages of the pipe in one turn."""
UNBOUNDED = f"{STOCK}\nmax_queued_messages 0"
"""For the pipe, whose messages a stock broker would drop."""
MEMORY = "/dev/shm"
"""Of tmpfs on every Debian (file-hierarchy(7))."""
_KEY, _HEADQUARTERS = make_key(4), make_key(9)


def drained(scale: Scale) -> Iterable[Result]:
    """P5."""
    need_mosquitto()
    sales, turns = scale.pick(smoke=300, commit=16_000, release=100_000), scale.pick(smoke=1, commit=5, release=11)
    taken = asyncio.run(_drained(sales, turns))
    _print(taken)
    yield at_least(taken["direct"] / taken["drain"], DIRECT_GOAL, part="a", what="of direct commits' records a second")
    if "pipe" not in taken:
        yield cannot("mosquitto_pub is not installed (Debian: mosquitto-clients)", part="b")
        return
    yield at_least(taken["pipe"] / taken["drain"], PIPE_GOAL, part="b", what="times mosquitto_pub | mosquitto_sub")


def stalled(scale: Scale) -> Iterable[Result]:
    """P6."""
    need_mosquitto()
    sales, turns = scale.pick(smoke=300, commit=16_000, release=100_000), scale.pick(smoke=1, commit=5, release=11)
    taken = asyncio.run(_stock_and_nodelay(sales, turns))
    _print(taken)
    yield at_least(
        taken["nodelay"] / taken["stock"], STOCK_GOAL, part="a", what="a stock broker's drain, of a nodelay one's"
    )
    ours_s, theirs_s = asyncio.run(_round_trips(scale.pick(smoke=10, commit=100, release=1_000)))
    yield at_least(
        theirs_s / ours_s, ROUND_TRIP_GOAL, part="b",
        what=f"times shorter than aiomqtt's: {ours_s * 1e3:.2f} ms against {theirs_s * 1e3:.1f} ms",
    )  # fmt: skip


BENCHES = [
    Proof(id="P5", title="a durable drain", parts=("a", "b"), run=drained),
    Proof(id="P6", title="a stock broker", parts=("a", "b"), run=stalled),
]


def _print(taken: dict[str, float]) -> None:
    print(", ".join(f"{name} {value * 1e6:.1f} µs a record" for name, value in taken.items()), file=sys.stderr)


# --- P5, P6a: a backlog ------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _backlog(folder: Path, sales: int) -> AsyncIterator[Till]:
    async with open_till(folder) as till:
        await till.sell_many(sales, random.Random(5))
        yield till


async def _drained(sales: int, turns: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="terminald-p5-", dir=Path.cwd()) as name:
        folder = Path(name)
        with brokers(folder, [STOCK, UNBOUNDED]) as (stock, unbounded):
            async with _backlog(folder, sales) as till:
                batches, lines = await _batches(till)
                runs: dict[str, Callable[[int], Awaitable[float]]] = {
                    "drain": lambda turn: drain(till, stock.url, folder, turn),
                    "direct": lambda turn: asyncio.to_thread(_direct, folder / f"direct-{turn}.db", till.name, batches),
                }
                if shutil.which("mosquitto_pub") and shutil.which("mosquitto_sub"):
                    runs["pipe"] = lambda _: asyncio.to_thread(_pipe, unbounded, folder / "lines", lines)
                return await in_turns(runs, turns)


async def _stock_and_nodelay(sales: int, turns: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory(prefix="terminald-p6-", dir=Path.cwd()) as name:
        folder = Path(name)
        with brokers(folder, [STOCK, NODELAY]) as (stock, nodelay):
            async with _backlog(folder, sales) as till:
                return await in_turns(
                    {
                        "stock": lambda turn: drain(till, stock.url, folder, turn),
                        "nodelay": lambda turn: drain(till, nodelay.url, folder, turn),
                    },
                    turns,
                )


async def _batches(till: Till) -> tuple[list[bytes], list[bytes]]:
    """What the forwarder makes of the journal, and the first of its records as lines."""
    prev = Head(epoch=till.journal.synced.epoch, seq=0, hash=GENESIS)
    payloads: list[bytes] = []
    lines: list[bytes] = []
    while records := cut(await till.journal.read(prev.epoch, prev.seq, BATCH_RECORDS_MAX)):
        batch = compose(till.name, prev, records, till.key.sign)
        payloads.append(encode(batch))
        lines += [record.exact for record in records[: PIPE_RECORDS_MAX - len(lines)]]
        prev = batch.header.head
    return payloads, lines


def _direct(path: Path, terminal: str, payloads: list[bytes]) -> float:
    """The collector's own commits, as full as it makes them."""
    database = Database.open(path, now_ms=1)
    try:
        arrivals = [Arrival(terminal, payload) for payload in payloads]
        began_s, records = time.perf_counter(), 0
        for first in range(0, len(arrivals), GROUP_BATCHES_MAX):
            intake = commit(database, arrivals[first : first + GROUP_BATCHES_MAX], [], [], 1)
            assert not intake.refusals
            records += intake.records
        return (time.perf_counter() - began_s) / records
    finally:
        database.close()


def _pipe(broker: Mosquitto, path: Path, lines: list[bytes]) -> float:
    """A message a record, QoS 1, by the C programs."""
    path.write_bytes(b"".join(line + b"\n" for line in lines))
    where = ["-p", str(broker.port), "-t", "pipe", "-q", "1"]
    hears = subprocess.Popen(["mosquitto_sub", *where, "-C", str(len(lines))], stdout=subprocess.DEVNULL)
    time.sleep(0.5)  # it says nothing once it listens
    with path.open("rb") as source:
        began_s = time.perf_counter()
        subprocess.run(["mosquitto_pub", *where, "-l"], stdin=source, check=True)
        assert hears.wait(300) == 0
        return (time.perf_counter() - began_s) / len(lines)


# --- P6b: one sale -----------------------------------------------------------------------------------------------


async def _round_trips(sales: int) -> tuple[float, float]:
    """Medians in seconds: ours and aiomqtt's."""
    with tempfile.TemporaryDirectory(prefix="terminald-p6-", dir=MEMORY) as name:
        folder = Path(name)
        with (
            brokers(folder, [STOCK]) as (broker,),
            contextlib.closing(Database.open(folder / "hq.db", now_ms=1)) as base,
        ):
            ours_s: list[float] = []
            theirs_s: list[float] = []
            for turn in range(4):
                ours_s += await _ours(broker, base, f"ours-{turn}", sales // 4 + 1)
                theirs_s += await _theirs(broker, base, f"theirs-{turn}", sales // 4 + 1)
    return median(ours_s), median(theirs_s)


def _one_by_one(terminal: str, sales: int) -> Iterable[bytes]:
    """A batch for each sale of ten lines."""
    entries = [entry for number in range(1, sales + 1) for entry in sale(number, number, items=LINES)]
    records = iter(chain(entries, terminal=terminal, signing_key=_KEY.public_key))
    opened = next(records)
    prev = start_of([opened])
    for number in range(sales):
        part = list(itertools.islice(records, LINES + 3))
        batch = compose(terminal, prev, [opened, *part] if number == 0 else part, _KEY.sign)
        prev = batch.header.head
        yield encode(batch)


def _sign_for(database: Database, terminal: str, payload: bytes) -> bytes:
    intake = commit(database, [Arrival(terminal, payload)], [], [], 1)
    ((_, ack),) = intake.acks
    return encode_ack(terminal, ack, _HEADQUARTERS.sign)


async def _ours(broker: Mosquitto, database: Database, terminal: str, sales: int) -> list[float]:
    url, taken_s, signed = parse_url(broker.url), [], asyncio.Event()
    async with connect(url, f"headquarters-{terminal}") as headquarters, connect(url, terminal) as till:

        def on_batch(message: Message) -> None:
            headquarters.publish(topics.ack(terminal), _sign_for(database, terminal, message.payload), retain=True)
            headquarters.acknowledge(message)

        def on_ack(message: Message) -> None:
            till.acknowledge(message)
            signed.set()

        await headquarters.subscribe(topics.batch(terminal), on_batch)
        await till.subscribe(topics.ack(terminal), on_ack)
        for payload in _one_by_one(terminal, sales):
            signed.clear()
            began_s = time.perf_counter()
            till.publish(topics.batch(terminal), payload)
            await signed.wait()
            taken_s.append(time.perf_counter() - began_s)
    return taken_s


async def _theirs(broker: Mosquitto, database: Database, terminal: str, sales: int) -> list[float]:
    taken_s: list[float] = []
    async with (
        aiomqtt.Client("127.0.0.1", broker.port) as headquarters,
        aiomqtt.Client("127.0.0.1", broker.port) as till,
    ):
        await headquarters.subscribe(topics.batch(terminal), qos=1)
        await till.subscribe(topics.ack(terminal), qos=1)

        async def serve() -> None:
            messages = aiter(headquarters.messages)
            for _ in range(sales):
                message = await anext(messages)
                assert isinstance(message.payload, bytes)
                ack = _sign_for(database, terminal, message.payload)
                await headquarters.publish(topics.ack(terminal), ack, qos=1, retain=True)

        async with asyncio.TaskGroup() as group:
            group.create_task(serve(), name="headquarters")
            acks = aiter(till.messages)
            for payload in _one_by_one(terminal, sales):
                began_s = time.perf_counter()
                await till.publish(topics.batch(terminal), payload, qos=1)
                await anext(acks)
                taken_s.append(time.perf_counter() - began_s)
    return taken_s
