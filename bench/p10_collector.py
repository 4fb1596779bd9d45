"""P10: what the collector costs above what its database costs anyway.

A group of full batches, as they wait at a busy collector, is decoded, verified (hashes, signature, totals) and committed.
Beside it, in the same run and in turns, into the same tables and all of it flushed: the same batches by a bare
``executemany`` each, and by asyncpg's COPY each, neither of which verifies anything, and the second can take nothing twice;
what the collector alone asks of PostgreSQL; and one commit for each record. Ratios are of medians. What the peers are when
they commit a whole group at once, as the collector does, is printed too.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median

import asyncpg

from bench.registry import Proof, Result, Scale, at_least, cannot
from core.delivery import BATCH_RECORDS_MAX, compose, encode
from fleet.collector import GROUP_BATCHES_MAX
from fleet.database import Database
from fleet.intake import Arrival, commit
from fleet.postgres import Postgres
from fleet.store import RECORD, RETAIL_TRANSACTION, Store
from tests.postgres import cluster, find_postgres
from tests.records import chain, start_of
from tests.tills import make_key, sale

EXECUTEMANY_GOAL = 0.8
COPY_GOAL = 0.7
SINGLE_GOAL = 15.0
SINGLES = 200
"""Records that are committed one by one in each turn."""
SALES_A_BATCH = BATCH_RECORDS_MAX // 5
_KEY = make_key(4)
Rows = list[tuple[object, ...]]


def run(scale: Scale) -> Iterable[Result]:
    """The whole collector on SQLite (a) and on PostgreSQL (b), and what its batches save (c)."""
    turns = scale.pick(smoke=2, commit=15, release=100)
    with tempfile.TemporaryDirectory(prefix="terminald-p10-", dir=Path.cwd()) as name, contextlib.ExitStack() as stack:
        database = Database.open(Path(name) / "collector.db", now_ms=1)
        stack.callback(database.close)
        bare = Database.open(Path(name) / "bare.db", now_ms=1)
        stack.callback(bare.close)
        runs: dict[str, Callable[[int], float]] = {
            "collector on SQLite": lambda turn: _collect(database, turn),
            "executemany": lambda turn: _execute_many(bare, turn, together=False),
            "executemany of a group": lambda turn: _execute_many(bare, turn + 1_000, together=True),
        }
        if find_postgres() is not None:
            runs |= stack.enter_context(_postgres())
        taken = _interleaved(runs, turns)
    print(", ".join(f"{name} {value * 1e6:.1f} µs a record" for name, value in taken.items()), file=sys.stderr)
    ours = taken["collector on SQLite"]
    yield at_least(
        taken["executemany"] / ours, EXECUTEMANY_GOAL, part="a", what="of bare executemany's records a second"
    )
    if "COPY" not in taken:
        reason = "PostgreSQL's server is not installed (Debian: postgresql)"
        yield from (cannot(reason, part=part) for part in "bc")
        return
    alone = taken["COPY of a group"] / taken["insert"]
    yield at_least(
        taken["COPY"] / taken["collector on PostgreSQL"], COPY_GOAL, part="b",
        what=f"of asyncpg COPY's records a second (its insert alone, of a group's COPY: {alone:.2f})",
    )  # fmt: skip
    yield at_least(
        taken["a commit a record"] / taken["collector on PostgreSQL"], SINGLE_GOAL, part="c",
        what="times a commit a record",
    )  # fmt: skip


BENCHES = [Proof(id="P10", title="the collector", parts=("a", "b", "c"), run=run)]


@contextlib.contextmanager
def _postgres() -> Iterator[dict[str, Callable[[int], float]]]:
    """The ways into PostgreSQL, each with tables of its own on one server."""
    with cluster() as server, asyncio.Runner() as runner, contextlib.ExitStack() as stack:
        addresses = [server.database(name) for name in ("collector", "insert", "copy", "single")]
        stores = [Postgres.open(address, now_ms=1) for address in addresses]
        for store in stores:
            stack.callback(store.close)
        connection = runner.run(asyncpg.connect(addresses[2].url))
        stack.callback(lambda: runner.run(connection.close()))

        def copy(turn: int, *, together: bool) -> float:
            return runner.run(_copy(connection, turn, together=together))

        yield {
            "collector on PostgreSQL": lambda turn: _collect(stores[0], turn),
            "insert": lambda turn: _insert(stores[1], turn),
            "COPY": lambda turn: copy(turn, together=False),
            "COPY of a group": lambda turn: copy(turn + 1_000, together=True),
            "a commit a record": lambda turn: _one_by_one(stores[3], turn),
        }


def _interleaved(runs: dict[str, Callable[[int], float]], turns: int) -> dict[str, float]:
    """Medians in seconds a record; the first turn warms up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    order = list(runs)
    rng = random.Random(10)
    for turn in range(turns + 1):
        rng.shuffle(order)
        for name in order:
            taken = runs[name](turn)
            if turn:
                times[name].append(taken)
    return {name: median(taken) for name, taken in times.items()}


def _collect(store: Store, turn: int) -> float:
    arrivals = [arrival for arrival, _, _ in _group(turn)]
    began = time.perf_counter()
    intake = commit(store, arrivals, [], [], 1)
    taken = time.perf_counter() - began
    assert not intake.refusals
    return taken / intake.records


def _insert(store: Store, turn: int) -> float:
    records, completed = _together(turn)
    began = time.perf_counter()
    with store.transaction() as statements:
        statements.insert(RECORD, records, fresh=True)
        statements.insert(RETAIL_TRANSACTION, completed, fresh=True)
    return (time.perf_counter() - began) / len(records)


def _execute_many(database: Database, turn: int, *, together: bool) -> float:
    parts = [_together(turn)] if together else [(records, completed) for _, records, completed in _group(turn)]
    began = time.perf_counter()
    for records, completed in parts:
        with database.transaction() as statements:
            statements.insert(RECORD, records)
            statements.insert(RETAIL_TRANSACTION, completed)
    return (time.perf_counter() - began) / sum(len(records) for records, _ in parts)


async def _copy(connection: asyncpg.Connection, turn: int, *, together: bool) -> float:
    parts = [_together(turn)] if together else [(records, completed) for _, records, completed in _group(turn)]
    began = time.perf_counter()
    for records, completed in parts:
        async with connection.transaction():
            await connection.copy_records_to_table("record", records=records, columns=RECORD.columns)
            await connection.copy_records_to_table(
                "retail_transaction", records=completed, columns=RETAIL_TRANSACTION.columns
            )
    return (time.perf_counter() - began) / sum(len(records) for records, _ in parts)


def _one_by_one(store: Store, turn: int) -> float:
    records = _together(turn)[0][:SINGLES]
    began = time.perf_counter()
    for record in records:
        with store.transaction() as statements:
            statements.insert(RECORD, [record])
    return (time.perf_counter() - began) / len(records)


def _together(turn: int) -> tuple[Rows, Rows]:
    group = _group(turn)
    return [row for _, rows, _ in group for row in rows], [row for _, _, rows in group for row in rows]


def _group(turn: int) -> list[tuple[Arrival, Rows, Rows]]:
    """A first batch of so many terminals; each turn has terminals of its own. Made outside of what is timed."""
    return [_batch(f"till-{turn}-{number}") for number in range(GROUP_BATCHES_MAX)]


def _batch(terminal: str) -> tuple[Arrival, Rows, Rows]:
    entries = [entry for number in range(1, SALES_A_BATCH + 1) for entry in sale(number, number, items=2)]
    records = chain(entries[: BATCH_RECORDS_MAX - 1], terminal=terminal, signing_key=_KEY.public_key)
    arrival = Arrival(terminal, encode(compose(terminal, start_of(records), records, _KEY.sign)))
    rows: Rows = [(terminal, record.epoch, record.seq, record.exact, record.hash) for record in records]
    completed: Rows = [
        (terminal, record.epoch, record.seq, number, "2026-11-22", "EUR", number, 0, 1_700_000_000_000, 1)
        for number, record in enumerate(records[5::5], 1)
    ]
    return arrival, rows, completed
