"""P7: how many bytes a sale takes on its way, and what packing it costs.

The sales are of ten lines, drawn by a fixed seed from the catalogue of the demonstration, with prices, quantities, ways to pay
and times as they come. Their records are sealed and chained as a till's, and made into full batches, with header, totals and
signatures. What is sent is compared with the records' own JSON; the time of packing (zstd) with zlib's at its level 6, the
same text, in turns, as processor time.
"""

import asyncio
import random
import sys
import tempfile
import time
import zlib
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from bench.registry import Proof, Result, Scale, at_most
from core.delivery import BATCH_RECORDS_MAX, Batch, compose, encode
from core.entries import (
    AnyEntry,
    CashTendered,
    ItemAdded,
    TaxTotal,
    TenderTotal,
    TransactionCompleted,
    TransactionOpened,
    draft,
)
from core.ledger import GENESIS, Head
from demo.goods import GOODS
from tests.tills import open_till

BYTES_GOAL = 0.20
CPU_GOAL = 0.15
LINES = 10


def run(scale: Scale) -> Iterable[Result]:
    """The bytes (a) and the processor's time (b)."""
    turns = scale.pick(smoke=5, commit=50, release=500)
    batches = _batches(scale.pick(smoke=4, commit=20, release=100))
    texts = [b"\n".join((batch.head_line, *batch.lines, b"")) for batch in batches]
    payloads = [encode(batch) for batch in batches]
    records = sum(len(batch.lines) for batch in batches)
    json_bytes = sum(len(line) for batch in batches for line in batch.lines)
    ours_s: list[float] = []
    zlib_s: list[float] = []
    for _ in range(turns):
        began_s = time.process_time()
        for batch in batches:
            encode(batch)
        between_s = time.process_time()
        for text in texts:
            zlib.compress(text, 6)
        ours_s.append(between_s - began_s)
        zlib_s.append(time.process_time() - between_s)
    sent, packed = sum(map(len, payloads)), sum(len(zlib.compress(text, 6)) for text in texts)
    print(
        f"a record: JSON {json_bytes / records:.0f} B, sent {sent / records:.0f} B at {median(ours_s) / records * 1e6:.1f} µs,"
        f" zlib {packed / records:.0f} B at {median(zlib_s) / records * 1e6:.1f} µs",
        file=sys.stderr,
    )
    yield at_most(sent / json_bytes, BYTES_GOAL, part="a", what="of the records' JSON")
    yield at_most(median(ours_s) / median(zlib_s), CPU_GOAL, part="b", what="of zlib's processor time at level 6")


BENCHES = [Proof(id="P7", title="the wire", parts=("a", "b"), run=run)]


def _batches(count: int) -> list[Batch]:
    """Full batches of a real journal, as the forwarder cuts them."""
    with tempfile.TemporaryDirectory(prefix="terminald-p7-") as name:
        return asyncio.run(_sold(Path(name), count))


async def _sold(folder: Path, count: int) -> list[Batch]:
    rng = random.Random(7)
    async with open_till(folder) as till:
        number = 0
        while till.journal.head.seq < count * BATCH_RECORDS_MAX:
            number += 1
            await till.journal.append([draft(entry) for entry in _sale(number, rng)], till.stamp())
        prev = Head(epoch=till.journal.synced.epoch, seq=0, hash=GENESIS)
        batches = []
        for _ in range(count):
            records = await till.journal.read(prev.epoch, prev.seq, BATCH_RECORDS_MAX)
            batches.append(compose(till.name, prev, records, till.key.sign))
            prev = batches[-1].header.head
        return batches


def _sale(number: int, rng: random.Random) -> list[AnyEntry]:
    """A sale of ten lines, paid in cash."""
    lines = []
    for line, good in enumerate(rng.sample(GOODS, LINES), 1):
        quantity = rng.choice((1, 1, 1, 2, 6)) if good.unit == "each" else 1
        lines.append(
            ItemAdded(
                line=line, gtin=good.key, name=good.name, unit=good.unit, quantity_milli=1000 * quantity,
                unit_price_minor=good.price_minor, amount_minor=quantity * good.price_minor, tax=good.tax,
                entry_method="scanned",
            )
        )  # fmt: skip
    total = sum(line.amount_minor for line in lines)
    given = -(-total // 500) * 500
    codes = sorted({line.tax for line in lines})
    gross = {code: sum(line.amount_minor for line in lines if line.tax == code) for code in codes}
    rates = {"A": 1900, "B": 700}
    return [
        TransactionOpened(number=number, business_day="2026-11-22", currency="EUR"),
        *lines,
        CashTendered(tender=1, amount_minor=given),
        TransactionCompleted(
            number=number, business_day="2026-11-22", currency="EUR", lines=LINES, total_minor=total,
            change_minor=given - total, tenders=(TenderTotal(kind="CASH", amount_minor=total),),
            taxes=tuple(
                TaxTotal(
                    code=code, rate_bp=rates[code], included=True, gross_minor=gross[code],
                    net_minor=gross[code] * 10_000 // (10_000 + rates[code]),
                    tax_minor=gross[code] - gross[code] * 10_000 // (10_000 + rates[code]),
                )
                for code in codes
            ),
        ),
    ]  # fmt: skip
