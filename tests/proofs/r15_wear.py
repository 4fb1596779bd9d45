"""R15: what a ten-line sale does to the terminal's card: bytes written and flushes, of every file in the terminal's folder.

A whole counter with its headquarters runs the real daemon over a counting shim; a customer's ten lines are scanned, paid in
cash or by card in turn, printed. Bytes are counted over many sales, with all copies of the log into the database; the pace of
3 s a line shows how flushes fall, and what happens by the clock. The quiet minute comes after the last sale.

Not counted is what no call shows: the shared memory of the log's index (32 KiB at most), which the kernel writes back.

A mutant that flushes each line, as if it moved money, goes through the same, and must be caught.
"""

import asyncio
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from demo.world import World
from tests.proofs.registry import Proof, Result, Scale, at_most, cannot
from tests.shim.counter import LINES, Counting, Sale, Spell, counting, mutate, world_over_shim

BYTES_GOAL = 96 * 1024
MONEY_GOAL = 2
SCANNING_S = 5.0
LINE_S = 3.0
QUICK_LINE_S = 0.01
SETTLE_S = 10.0
QUIET_S = 60.0
COPY_FLUSHES = 3
"""Of a copy of the log into the database: the log before it, the database, and the log's first page when it starts over."""
LOG = "journal.db-wal"
DATABASE = "journal.db"
EACH_LINE_FLUSHED = "from core.entries import ItemAdded\nItemAdded.MOVES_MONEY = True\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wear:
    """Sales in quick succession, sales at a shop's pace, a quiet minute, and a mutant's sale."""

    quick: Sequence[Sale]
    paced: Sequence[Sale]
    quiet: Spell | None
    mutant: Sale | None


def run(scale: Scale) -> Iterator[Result]:
    """Bytes a sale (a), flushes for money (b), others while scanning (c), and in a quiet minute (d)."""
    wear = asyncio.run(
        measure(
            quick=scale.pick(smoke=3, commit=100, release=1_000),
            paced=scale.pick(smoke=0, commit=3, release=40),
            quiet=scale is not Scale.SMOKE,
            mutant=True,
        )
    )
    assert wear.mutant is not None
    mutant_flushes = other_flushes([wear.mutant])
    caught = mutant_flushes > allowed([wear.mutant])
    by_file = bytes_a_sale(wear)
    told = ", ".join(f"{name} {size / 1024:.1f}" for name, size in by_file.most_common())
    yield at_most(
        sum(by_file.values()) / 1024, BYTES_GOAL / 1024, part="a", what=f"KiB a sale of {LINES} lines ({told})"
    )
    sales = [*wear.quick, *wear.paced]
    yield at_most(money_flushes(sales), MONEY_GOAL, part="b", what="flushes for what moves money, of a sale by card")
    selling = wear.paced or wear.quick
    others = other_flushes(selling) + COPY_FLUSHES * copies(wear.quick) / len(wear.quick) * len(selling)
    seconds = sum(sale.ringing.seconds + sale.paying.seconds for sale in selling)
    yield Result(
        figure=round(others, 1),
        goal=allowed(selling),
        holds=others <= allowed(selling) and caught,
        part="c",
        what=f"other flushes in {seconds:.0f} s of selling, copies of the log spread over all sales; a mutant that flushes "
        f"each line {'caught' if caught else 'NOT CAUGHT'} with {mutant_flushes}",
        reason="" if caught else "the mutant got through",
    )
    if wear.quiet is None:
        yield cannot("a quiet minute takes one; try --scale commit", part="d")
    else:
        yield at_most(wear.quiet.flushes, QUIET_S / 60, part="d", what=f"flushes in {QUIET_S:.0f} s of rest")


PROOFS = [Proof(id="R15", title="wear of the card", run=run, parts=("a", "b", "c", "d"))]


def bytes_a_sale(wear: Wear) -> Counter[str]:
    """By file. Copies into the database come once in many sales, so they are of the quick ones; all else of the paced."""
    found: Counter[str] = Counter()
    for sales, of_copies in ((wear.quick, True), (wear.paced or wear.quick, False)):
        written: Counter[str] = Counter()
        for sale in sales:
            written += sale.ringing.written + sale.paying.written
        for name, size in written.items():
            if (name == DATABASE) is of_copies:
                found[name] = round(size / len(sales))
    return found


def money_flushes(sales: Sequence[Sale]) -> float:
    """Flushes of the log from the order to pay to the receipt, the median of sales by card, which take more.

    Where one more falls there that a basket was owed, `other_flushes` has it.
    """
    return median(sale.paying.flushed[LOG] for sale in sales if sale.card)


def other_flushes(sales: Sequence[Sale]) -> int:
    """All but those of the log while a customer pays, and those of copies into the database."""
    flushed = sum(sale.ringing.flushes + sale.paying.flushes for sale in sales)
    return flushed - sum(min(sale.paying.flushed[LOG], MONEY_GOAL) for sale in sales) - COPY_FLUSHES * copies(sales)


def copies(sales: Sequence[Sale]) -> int:
    """How often the log was copied into the database."""
    return sum(sale.ringing.flushed[DATABASE] + sale.paying.flushed[DATABASE] for sale in sales)


def allowed(sales: Sequence[Sale]) -> float:
    """One other flush for each 5 s."""
    return round(sum(sale.ringing.seconds + sale.paying.seconds for sale in sales) / SCANNING_S, 1)


async def measure(*, quick: int, paced: int, quiet: bool, mutant: bool = False) -> Wear:
    """Sells so often at a counter, and looks at its medium."""
    with tempfile.TemporaryDirectory(prefix="terminald-r15-") as name:
        root = Path(name)
        async with world_over_shim(root) as world:
            async with counting(world, root) as counter:
                quick_sales = [await counter.sell(QUICK_LINE_S, card=bool(number % 2)) for number in range(quick)]
                paced_sales = [await counter.sell(LINE_S, card=bool(number % 2)) for number in range(paced)]
                quiet_spell = await _rest(counter) if quiet else None
            mutant_sale = await _mutant_sale(world, root) if mutant else None
    return Wear(quick=quick_sales, paced=paced_sales, quiet=quiet_spell, mutant=mutant_sale)


async def _rest(counter: Counting) -> Spell:
    await asyncio.sleep(SETTLE_S)
    counter.spell()
    await asyncio.sleep(QUIET_S)
    return counter.spell()


async def _mutant_sale(world: World, root: Path) -> Sale:
    await mutate(world, root, EACH_LINE_FLUSHED)
    async with counting(world, root) as counter:
        return await counter.sell(QUICK_LINE_S, card=False)
