"""P13: a lookup in the catalogue against plain SQLite, and beside an import of as many items.

- The peer: Python's own sqlite3, not encrypted, one table with the GTIN as its integer key and the five columns that a
  line needs, WAL, as large a cache. It knows no second code, no price for a time and no stock. Its answer is a tuple.
- The catalogue: `store.catalogue.Catalogue.find`, filled by its own import, as the till calls it. Its answer is an `Item`.

Both are asked for the same GTINs, spread evenly over all of them, in blocks that take turns in an order that changes. A
shop asks for the same few thousand again and again; that is quicker in both.

A figure that nothing could spoil shows nothing: a catalogue with too small a cache takes its turns too, and must miss.
"""

import csv
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from statistics import median, quantiles

from bench.registry import Proof, Result, Scale
from core.money import currency
from core.scan import check_digit
from store.catalogue import CACHE_BYTES, Catalogue, import_csv
from store.database import KEY_BYTES
from store.errors import CatalogueRefused

GOALS = {"a": 1.1, "b": 1.3}
CACHES_BYTES = {"a": CACHE_BYTES, "b": 64 << 20}
MUTANTS_BYTES = {"a": 256 << 10, "b": 8 << 20}
BLOCK = 200
DURING_P99_MS = 10.0
"""A tenth of what a person takes for at once (0.1 s, see U2): the lookup is one of many steps from scan to line."""

_KEY = bytes(range(KEY_BYTES))
_AT = "2026-11-24T12:00:00+01:00"
_LOOK_PAUSE_S = 0.002
_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(Path.cwd())}
_SQL = "SELECT name, unit, price_minor, tax, dated FROM item WHERE gtin = ?"


def run(scale: Scale) -> Iterator[Result]:
    """The ratios at 100,000 (P13a) and at a million items (P13b), lookups beside an import of the latter (P13c), and

    what an import says of as many with one bad price in the last line (P13d).
    """
    blocks = scale.pick(smoke=20, commit=200, release=1_000)
    with tempfile.TemporaryDirectory(prefix="terminald-p13-", dir=Path.cwd()) as name:
        few, many = Path(name, "few"), Path(name, "many")
        gtins = _fill(few, scale.pick(smoke=5_000, commit=100_000, release=100_000))
        yield _compare(few, "a", gtins, blocks, small=scale is Scale.SMOKE)
        gtins = _fill(many, scale.pick(smoke=15_000, commit=1_000_000, release=1_000_000))
        yield _compare(many, "b", gtins, blocks, small=scale is Scale.SMOKE)
        yield _beside_an_import(many, gtins)
        yield _one_bad_price(many, gtins)


BENCHES = [Proof(id="P13", title="a lookup in the catalogue", parts=("a", "b", "c", "d"), run=run)]


def _compare(folder: Path, part: str, gtins: Sequence[str], blocks: int, *, small: bool) -> Result:
    goal, cache = GOALS[part], CACHES_BYTES[part]
    mutant_cache = MUTANTS_BYTES[part] // (32 if small else 1)
    with (
        Catalogue(folder / "catalogue.db", _KEY, cache_bytes=cache) as ours,
        Catalogue(folder / "catalogue.db", _KEY, cache_bytes=mutant_cache) as mutant,
    ):
        plain = _plain(folder, cache)
        medians = _measure(
            {
                "plain": lambda gtin: plain.execute(_SQL, (int(gtin),)).fetchone(),
                "catalogue": lambda gtin: ours.find(gtin, _AT),
                "mutant": lambda gtin: mutant.find(gtin, _AT),
            },
            gtins,
            blocks,
        )
        plain.close()
    ratio, caught = medians["catalogue"] / medians["plain"], medians["mutant"] / medians["plain"]
    shown = ", ".join(f"{name} {value_s * 1e6:.1f} µs" for name, value_s in medians.items())
    return Result(
        figure=ratio,
        goal=goal,
        holds=ratio <= goal < caught,
        part=part,
        what=f"{len(gtins)} items{' (fewer than promised)' if small else ''}, cache {cache >> 20} MiB: {shown};"
        f" mutant with {mutant_cache >> 10} KiB at {caught:.1f}, {'caught' if caught > goal else 'NOT caught'}",
        reason="" if caught > goal else "the mutant got through",
    )


def _measure(contestants: dict[str, Callable[[str], object]], gtins: Sequence[str], blocks: int) -> dict[str, float]:
    """Medians in seconds, after each has seen every item once."""
    for ask in contestants.values():
        for gtin in gtins:
            assert ask(gtin)
    times: dict[str, list[float]] = {name: [] for name in contestants}
    chance = random.Random(2)
    order = list(contestants)
    for _ in range(blocks):
        wanted = chance.choices(gtins, k=BLOCK)
        chance.shuffle(order)
        for name in order:
            ask, taken = contestants[name], times[name]
            for gtin in wanted:
                began = time.perf_counter()
                ask(gtin)
                taken.append(time.perf_counter() - began)
    return {name: median(taken) for name, taken in times.items()}


def _beside_an_import(folder: Path, gtins: Sequence[str]) -> Result:
    """Another process imports all items anew; this one looks up, a few hundred times a second."""
    chance = random.Random(3)
    times_ms: list[float] = []
    with Catalogue(folder / "catalogue.db", _KEY) as catalogue:
        versions = {catalogue.summary().number}
        began_s = time.monotonic()
        with subprocess.Popen(_command(folder), env=_ENVIRONMENT) as importer:
            while importer.poll() is None:
                gtin = chance.choice(gtins)
                began = time.perf_counter()
                assert catalogue.find(gtin, _AT)
                times_ms.append((time.perf_counter() - began) * 1e3)
                time.sleep(_LOOK_PAUSE_S)
        took_s = time.monotonic() - began_s
        versions.add(catalogue.summary().number)
    imported = importer.returncode == 0 and versions == {1, 2}
    p99_ms = quantiles(times_ms, n=100)[-1]
    return Result(
        figure=p99_ms,
        goal=DURING_P99_MS,
        holds=imported and p99_ms <= DURING_P99_MS,
        part="c",
        what=f"p99 ms of {len(times_ms)} lookups while {len(gtins)} items are imported in {took_s:.1f} s;"
        f" p50 {median(times_ms):.3f}, longest {max(times_ms):.1f}",
        reason="" if imported else "the import failed",
    )


def _one_bad_price(folder: Path, gtins: Sequence[str]) -> Result:
    with (folder / "goods.csv").open("a") as file:
        file.write("96385074,One too many,each,-1.20,A\n")
    began_s = time.monotonic()
    ended = subprocess.run(_command(folder), env=_ENVIRONMENT, capture_output=True, text=True)
    took_s = time.monotonic() - began_s
    with Catalogue(folder / "catalogue.db", _KEY) as catalogue:
        whole = catalogue.summary().number == 2 and catalogue.count() == len(gtins)
    said, _, memory = ended.stdout.strip().rpartition("\n")
    wanted = f"line {len(gtins) + 2}: price -1.20 is negative"
    return Result(
        figure=said,
        goal=wanted,
        holds=said == wanted and whole,
        part="d",
        what=f"one bad price in {len(gtins) + 1} rows, found in {took_s:.1f} s, memory {memory}",
        reason="" if whole else "something of the file was taken",
    )


def _command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "bench.p13_catalogue", str(folder)]


def _fill(folder: Path, items: int) -> list[str]:
    """Fills both with the same items, and gives their GTINs in 14 digits."""
    folder.mkdir()
    chance = random.Random(1)
    numbers = chance.sample(range(10**11, 10**12), items)
    rows = [
        (f"{number}{check_digit(str(number))}", f"Goods of kind {number % 9973} from shelf {number % 89}", "each",
         f"{chance.randrange(100)}.{chance.randrange(100):02d}", "A")
        for number in numbers
    ]  # fmt: skip
    with (folder / "goods.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("gtin", "name", "unit", "price", "tax"))
        writer.writerows(rows)
    _import(folder)
    plain = _plain(folder, 64 << 20)
    plain.execute(
        "CREATE TABLE item (gtin INTEGER PRIMARY KEY, name TEXT NOT NULL, unit TEXT NOT NULL,"
        " price_minor INTEGER NOT NULL, tax TEXT NOT NULL, dated INTEGER NOT NULL) STRICT"
    )
    plain.execute("BEGIN")
    plain.executemany(
        "INSERT INTO item VALUES (?, ?, ?, ?, ?, 0)",
        sorted((int(gtin), name, unit, int(price.replace(".", "")), tax) for gtin, name, unit, price, tax in rows),
    )
    plain.execute("COMMIT")
    plain.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    plain.close()
    return [row[0].zfill(14) for row in rows]


def _plain(folder: Path, cache_bytes: int) -> sqlite3.Connection:
    connection = sqlite3.connect(folder / "plain.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute(f"PRAGMA cache_size = {-cache_bytes // 1024}")
    return connection


def _import(folder: Path) -> None:
    import_csv(folder / "catalogue.db", _KEY, folder / "goods.csv", currency("EUR"), {"A"})


if __name__ == "__main__":
    try:
        _import(Path(sys.argv[1]))
    except CatalogueRefused as error:
        print(error)
        print(" ".join(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[:2]))
