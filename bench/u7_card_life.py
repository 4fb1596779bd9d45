"""U7: how many years a card lives in a till that makes 500 sales a day, from the bytes that R15 counts.

Counted here: what a sale of ten lines writes, by every file of the terminal, over a counting shim under the real daemon with
its headquarters. What the file system adds was measured apart. Assumed, and named as such: what the card's controller adds,
and what its flash endures.
"""

import asyncio
from collections.abc import Iterable

from bench.registry import Proof, Result, Scale, at_least
from tests.proofs.r15_wear import bytes_a_sale, measure

SALES_A_DAY = 500
DAYS_A_YEAR = 365
GOAL_YEARS = 5.0
"""A till's usual time in service, after which its depreciation ends too (chosen here; no standard says it)."""

CARD_BYTES = 32 * 10**9
ERASE_CYCLES = 3_000
"""Assumption: what makers state for 3D TLC flash; pseudo-SLC cards endure ten times as much."""
FILE_SYSTEM_FACTOR = 1.6
"""What ext4 adds by its own journal, inodes and the log's shared memory. Measured on a loop device with its usual options, five
sales at 3 s a line: 129 KiB a sale reached the device, of 82 KiB written."""
CARD_FACTOR = 10.0
"""Assumption: a card's controller writes so much more than it is given, for pages of 4 KiB in blocks of megabytes."""


def run(scale: Scale) -> Iterable[Result]:
    """Years until the flash has been through its cycles."""
    sales = scale.pick(smoke=3, commit=60, release=500)
    size = sum(bytes_a_sale(asyncio.run(measure(quick=sales, paced=0, quiet=False))).values())
    written_a_year = size * SALES_A_DAY * DAYS_A_YEAR * FILE_SYSTEM_FACTOR * CARD_FACTOR
    years = CARD_BYTES * ERASE_CYCLES / written_a_year
    what = (
        f"years of a card of {CARD_BYTES // 10**9} GB at {SALES_A_DAY} sales a day, {size / 1024:.0f} KiB a sale, ext4 x{FILE_SYSTEM_FACTOR:g};"
        f" assumed: {ERASE_CYCLES} cycles, card x{CARD_FACTOR:g}"
    )
    yield at_least(round(years, 1), GOAL_YEARS, what=what)


BENCHES = [Proof(id="U7", title="a card's life", run=run)]
