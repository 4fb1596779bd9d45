"""P1: an encrypted commit on the writer's thread against bare files on the same disk, with as many bytes and one flush.

- The floor: `pwrite` into a file that is there in its full length, and `fdatasync`.
- An appending log: `write` to the end of a file, and `fdatasync`.
- The library: a row of as many bytes into a SQLCipher database of its own, log and page size as ours, synchronous=FULL.
- The journal: a record sealed, chained, inserted, committed and flushed (`store.records.RecordStore.commit`). Copying the log
  into the database comes after the answer and is not in it.

They take turns in blocks, in an order that changes, so that a drift of the disk meets all alike.
"""

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from statistics import median

from bench.committing import KEY, RECORD_BYTES, open_store, record
from bench.registry import Proof, Result, Scale, at_most
from store.database import connect
from store.wal import FRAMES_WARM

FLOOR_GOAL = 1.25
APPEND_GOAL = 1.0
LIBRARY_GOAL = 1.25
"""Ours: sealing, chain, hash and anchor may cost a quarter of what the bare insert costs."""
BLOCK = 50
COPY_EVERY = FRAMES_WARM * 3 // 4 // 2
"""Commits, of two frames at most, from one copy of the library's log to the next."""
_FILE_BYTES = 4 << 20


def run(scale: Scale) -> Iterator[Result]:
    """The ratio to the floor (P1a), to an appending log (P1b) and to the library's bare insert (P1c), of medians."""
    blocks = scale.pick(smoke=8, commit=80, release=800)
    with tempfile.TemporaryDirectory(prefix="terminald-p1-", dir=_disk()) as name:
        medians: dict[str, float] = {}
        thread = threading.Thread(
            target=lambda: medians.update(_measure(Path(name), blocks)), name="journal-writer", daemon=True
        )
        thread.start()
        thread.join()
    shown = ", ".join(f"{name} {value_s * 1e6:.0f} µs" for name, value_s in medians.items())
    yield at_most(medians["journal"] / medians["floor"], FLOOR_GOAL, part="a", what=f"commit / floor ({shown})")
    yield at_most(medians["journal"] / medians["append"], APPEND_GOAL, part="b", what="commit / append+fdatasync")
    yield at_most(
        medians["journal"] / medians["library"], LIBRARY_GOAL, part="c", what="commit / SQLCipher's bare insert"
    )


BENCHES = [Proof(id="P1", title="an encrypted commit", parts=("a", "b", "c"), run=run)]


def _measure(folder: Path, blocks: int) -> dict[str, float]:
    """Medians in seconds."""
    data = random.Random(1).randbytes(RECORD_BYTES)
    contestants = {
        "floor": _floor(folder, data),
        "append": _append(folder, data),
        "library": _library(folder, data),
        "journal": _journal(folder),
    }
    times: dict[str, list[float]] = {name: [] for name in contestants}
    order = list(contestants)
    shuffle = random.Random(2).shuffle
    for _ in range(blocks):
        shuffle(order)
        for name in order:
            commit, rest = contestants[name]
            for _ in range(BLOCK):
                began = time.perf_counter()
                commit()
                times[name].append(time.perf_counter() - began)
                rest()
    return {name: median(taken) for name, taken in times.items()}


Contestant = tuple[Callable[[], object], Callable[[], None]]
"""What is timed, and what is done after it."""


def _floor(folder: Path, data: bytes) -> Contestant:
    file = os.open(folder / "floor", os.O_RDWR | os.O_CREAT)
    os.pwrite(file, bytes(_FILE_BYTES), 0)
    os.fsync(file)
    places = _cycle(range(0, _FILE_BYTES - len(data), len(data)))

    def commit() -> None:
        os.pwrite(file, data, next(places))
        os.fdatasync(file)

    return commit, lambda: None


def _append(folder: Path, data: bytes) -> Contestant:
    file = os.open(folder / "append", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def commit() -> None:
        os.write(file, data)
        os.fdatasync(file)

    return commit, lambda: None


def _library(folder: Path, data: bytes) -> Contestant:
    """As warm as ours: its log is reused from the first commit on, and copied after the same number of them."""
    path = folder / "library.db"
    path.touch()
    connection = connect(path, KEY)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA wal_autocheckpoint = 0")
    connection.execute("CREATE TABLE record (position INTEGER PRIMARY KEY, exact BLOB NOT NULL) STRICT")
    positions = count()

    def commit() -> None:
        connection.execute("INSERT INTO record (position, exact) VALUES (?, ?)", (next(positions), data))

    def rest() -> None:
        if next(rests) % COPY_EVERY == 0:
            connection.execute("PRAGMA wal_checkpoint(PASSIVE)")

    rests = count(1)
    for _ in range(COPY_EVERY):
        commit()
        rest()
    return commit, rest


def _journal(folder: Path) -> Contestant:
    store = open_store(folder)
    return lambda: store.commit([record()]), store.rest


def _cycle(numbers: range) -> Iterator[int]:
    while True:
        yield from numbers


def _disk() -> Path:
    """A folder on a disk: the system's own for temporary files may be memory, where a flush costs nothing."""
    return Path.cwd()
