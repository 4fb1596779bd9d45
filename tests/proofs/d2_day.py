"""D2: a scripted shop day, closed to the cent, and its Z reports added up anew from the export alone.

The real daemon, over its control socket, with a real payment device's protocol and a printer: three operators open the
till, sell in every way there is, move cash, are killed in the middle of it, count, close; four sessions over three business
days, so that the grand totals of day, month and year begin anew. Then:

(a) what was over or short, told by the till, is to the cent what somebody took out of the drawer without a word;
(b) `terminald journal export --format records` is read by `tests.proofs.day_oracle`, which shares nothing with the product:
    chains, each stream's own chain from its export alone, each transaction's total, taxes and tenders from its lines, each
    Z report and each grand total;
(c) mutants are caught: a fold that forgets pickups, one that counts baskets that were given up, one that takes gift
    cards for sales, and one that counts everything twice after a restart.
"""

import asyncio
import json
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from core import entries as e
from core.fold import apply, unsaid
from core.state import Shop, Till
from core.till import Books, fold
from core.till_report import report_of
from terminald import config
from terminald.cli import STREAMS, main
from tests.countertop import Countertop, countertop
from tests.proofs import day_oracle
from tests.proofs.day_shop import GOODS, SHOP, ShopDay
from tests.proofs.registry import Proof, Result, Scale, exactly

SEED = 5
SESSIONS = (
    ("2026-01-31", 20_000, 0, False),
    ("2026-01-31", 15_000, 7, True),
    ("2026-02-01", 20_000, 0, True),
    ("2027-01-01", 10_050, 1_205, True),
)
"""Business day, float, what somebody takes out without a word, and whether the day is closed."""

Fold = Callable[[Books, e.AnyEntry, int, int, bool], Books]


@dataclass
class Day:
    """What came of it."""

    transactions: int = 0
    kills: int = 0
    off_minor: list[int] = field(default_factory=list)
    """By session, what the till told as over or short beyond what was taken."""
    flows: int = 0
    refusals: int = 0
    records: int = 0
    faults: list[str] = field(default_factory=list)
    stream_faults: list[str] = field(default_factory=list)
    zs: int = 0
    caught: dict[str, int] = field(default_factory=dict)


def run(scale: Scale) -> Iterator[Result]:
    """The day, its export, and the mutants."""
    transactions = scale.pick(smoke=50, commit=1_000, release=5_000)
    kills = scale.pick(smoke=0, commit=4, release=20)
    with tempfile.TemporaryDirectory(prefix="terminald-d2-") as name:
        day = asyncio.run(_day(Path(name), transactions, kills))
    for fault in (*day.faults[:10], *day.stream_faults[:5]):
        print(f"D2: {fault}", file=sys.stderr)
    yield exactly(
        sum(map(abs, day.off_minor)),
        0,
        part="a",
        what=f"cents off in {len(day.off_minor)} closings after {day.transactions} transactions of {day.flows} kinds,"
        f" {day.refusals} refusals, {day.kills} kills",
    )
    found = day.faults + day.stream_faults
    yield Result(
        figure=len(found),
        goal=0,
        holds=not found and day.zs == len(SESSIONS),
        part="b",
        what=f"faults in {day.records} exported records, {len(STREAMS)} streams and {day.zs} Z reports",
        reason="; ".join(found[:3]),
    )
    missed = [name for name, count in day.caught.items() if not count]
    yield Result(
        figure=len(day.caught) - len(missed),
        goal=len(day.caught),
        holds=not missed,
        part="c",
        what="mutants caught: " + ", ".join(f"{name} by {count} faults" for name, count in day.caught.items()),
        reason=", ".join(missed),
    )


PROOFS = [Proof(id="D2", title="a shop day, closed to the cent", run=run, parts=("a", "b", "c"))]


async def _day(root: Path, transactions: int, kills: int) -> Day:
    """Sells over all sessions, then looks at what was kept."""
    day = Day()
    async with countertop(root / "shop", ("card-and-phone", "printer"), start=False) as counter:
        _equip(counter)
        await counter.start()
        shop = ShopDay(counter, random.Random(SEED))
        await shop.set_up()
        share = [transactions // len(SESSIONS)] * len(SESSIONS)
        share[0] += transactions - sum(share)
        for (business_day, float_minor, taken_minor, end_day), count in zip(SESSIONS, share, strict=True):
            await shop.open(business_day, float_minor)
            await shop.sell(count, kills // len(SESSIONS))
            over_short = await shop.close(taken_minor=taken_minor, end_day=end_day)
            day.off_minor.append(over_short + taken_minor)
            if end_day:
                await shop.refused("day-closed", "till.business_day", business_day=business_day)
        await shop.call("report.z")
        day.transactions, day.kills = sum(shop.flows.values()), shop.kills
        day.flows, day.refusals = len(shop.flows), sum(shop.refusals.values())
        await counter.daemon.stop()
        await asyncio.to_thread(_look, counter, day)
    return day


def _equip(counter: Countertop) -> None:
    """The day's own shop and goods, on the counter's devices."""
    file = counter.layout.config
    devices = file.read_text().partition("[device.")[2]
    file.write_text(f"{SHOP}[device.{devices}")
    listed = counter.layout.terminal / "day.csv"
    listed.write_text(GOODS)
    assert main(["catalogue", "import", str(listed), "--config", str(file)]) == 0


def _look(counter: Countertop, day: Day) -> None:
    """The export in the eyes of somebody else's program; then the mutants' reports in the same."""
    export = counter.layout.terminal / "export.jsonl"
    _export(counter, export)
    lines = export.read_text(encoding="utf-8").splitlines()
    chains, books = day_oracle.Chains(day.faults), day_oracle.Books(day.faults)
    for line in lines:
        record, exact = day_oracle.read(line)
        chains.take(record, exact)
        books.take(record["body"])
    day.records, day.zs = chains.records, books.zs
    for stream in STREAMS:
        _export(counter, export, stream)
        day.stream_faults += day_oracle.check(export.read_text(encoding="utf-8").splitlines(), one_stream=True)
    shop = config.load(counter.layout.config).shop
    bodies = [json.loads(line)["body"] for line in lines]
    day.faults += [f"folded again: {fault}" for fault in _judge(bodies, shop, fold)]
    day.caught = {name: len(_judge(bodies, shop, mutant)) for name, mutant in MUTANTS.items()}


def _export(counter: Countertop, output: Path, stream: str | None = None) -> None:
    """By the command that a technician gives, as a process of its own."""
    narrowed = ["--stream", stream] if stream else []
    subprocess.run(
        [
            sys.executable, "-m", "terminald", "journal", "export", "--config", str(counter.layout.config),
            "--format", "records", *narrowed, "--output", str(output),
        ],
        check=True, capture_output=True, timeout=120,
    )  # fmt: skip


# --- mutants --------------------------------------------------------------------------------------------------------


def _forgets_pickups(books: Books, entry: e.AnyEntry, payment_minor: int, line_minor: int, is_refund: bool) -> Books:
    return (
        books
        if isinstance(entry, e.CashMoved) and entry.move == "pickup"
        else fold(books, entry, payment_minor, line_minor, is_refund)
    )


def _counts_what_was_given_up(
    books: Books, entry: e.AnyEntry, payment_minor: int, line_minor: int, is_refund: bool
) -> Books:
    after = fold(books, entry, payment_minor, line_minor, is_refund)
    if not isinstance(entry, e.TransactionCancelled) or after.session is None:
        return after
    takings = after.session.takings
    takings = msgspec.structs.replace(takings, sales=takings.sales.add(entry.returned_minor))
    return msgspec.structs.replace(after, session=msgspec.structs.replace(after.session, takings=takings))


def _counts_twice(books: Books, entry: e.AnyEntry, payment_minor: int, line_minor: int, is_refund: bool) -> Books:
    after = fold(books, entry, payment_minor, line_minor, is_refund)
    return (
        fold(after, entry, payment_minor, line_minor, is_refund)
        if isinstance(entry, e.TransactionCompleted) and entry.number % 97 == 1
        else after
    )


def _takes_gift_cards_for_sales(
    books: Books, entry: e.AnyEntry, payment_minor: int, line_minor: int, is_refund: bool
) -> Books:
    if isinstance(entry, e.TransactionCompleted):
        entry = msgspec.structs.replace(entry, total_minor=entry.total_minor + entry.stored_value_minor)
    return fold(books, entry, payment_minor, line_minor, is_refund)


MUTANTS: dict[str, Fold] = {
    "takes gift cards for sales": _takes_gift_cards_for_sales,
    "forgets pickups": _forgets_pickups,
    "counts what was given up": _counts_what_was_given_up,
    "counts one sale twice": _counts_twice,
}


def _judge(bodies: list[dict[str, object]], shop: Shop, folding: Fold) -> list[str]:
    """The faults of the Z reports that a till with this fold would have written over the same records."""
    faults: list[str] = []
    oracle, till, books, before = day_oracle.Books(faults), Till(), Books(), Books()
    for body in bodies:
        entry = e.decode(msgspec.json.encode(body))
        if isinstance(entry, e.TillSettled):
            before = books
        books = folding(books, entry, *unsaid(till, entry))
        till = apply(till, entry)
        if isinstance(entry, e.ZReported) and before.session is not None:
            report = report_of(shop, Till(books=before, parked=till.parked), before.session, entry.report.ended)
            written = msgspec.structs.replace(entry, report=report)
            books = msgspec.structs.replace(books, z=written)
            body = json.loads(e.encode(written))
        oracle.take(body)
    return faults
