"""The demonstration without a screen: a seeded crowd, plug pulls and broker stops, and a comparison to the cent."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import msgspec

from demo.crowd import Crowd, Sold, WentWrong
from demo.world import Totals, World, until

SETTLE_S = 60.0
PULL_WITHIN_S = 0.06
"""A plug is pulled at a seeded moment of its sale."""
CUT_FOR_S = (0.2, 1.5)


class JournalOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal holds of completed sales, and whether its chain is whole."""

    transactions: int
    amount_minor: int
    verified: bool


class Chaos(msgspec.Struct, frozen=True, kw_only=True):
    """What befell the terminal."""

    plug_pulls: int
    broker_stops: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a run showed. `sales` and the amount are the shoppers' own tally; `wall_s` leaves set-up out."""

    sales: int
    amount_minor: int
    receipts: int
    journal: JournalOutcome
    headquarters: Totals
    lost: int
    duplicated: int
    chaos: Chaos
    wall_s: float
    finding: str | None = None

    @property
    def agrees(self) -> bool:
        """Whether the three totals agree, and every sale has its paper."""
        tally = (self.sales, self.amount_minor)
        return (
            self.finding is None
            and self.journal.verified
            and tally == (self.journal.transactions, self.journal.amount_minor)
            and tally == (self.headquarters.transactions, self.headquarters.amount_minor)
            and self.receipts == self.sales
            and self.lost == self.duplicated == 0
        )


async def play(root: Path, *, sales: int, seed: int, chaos: int, say: Callable[[str], None]) -> Outcome:
    """Plays a crowd at a counter set up in `root`. Raises DidNotStart, FileExistsError."""
    world = World(root, say)
    try:
        await world.start()
        crowd = Crowd(world, seed, say)
        follower = asyncio.create_task(crowd.follow(), name="screen")
        try:
            await crowd.open()
            say(f"{sales} shoppers")
            return await _run(world, crowd, sales, _Chaos(world, sales, seed, chaos), say)
        except WentWrong as error:
            return await _outcome(world, crowd.tally, 0.0, str(error))
        finally:
            follower.cancel()
    finally:
        await world.stop()


class _Chaos:
    """Plug pulls and broker stops at seeded moments, `count` of each."""

    def __init__(self, world: World, sales: int, seed: int, count: int) -> None:
        chance = random.Random(f"chaos/{seed}")  # moments, not secrets
        self._world = world
        self._pulls = Counter(chance.randrange(sales) for _ in range(count))
        self._cuts = Counter(chance.randrange(sales) for _ in range(count))
        self._chance = chance
        self._network = asyncio.Lock()

    def befall(self, shopper: int, tasks: asyncio.TaskGroup) -> None:
        """Starts what is to befall during this shopper's sale."""
        if self._pulls[shopper]:
            moments = [self._chance.random() * PULL_WITHIN_S for _ in range(self._pulls[shopper])]
            tasks.create_task(self._pull(moments), name=f"pull-{shopper}")
        for _ in range(self._cuts[shopper]):
            tasks.create_task(self._cut(self._chance.uniform(*CUT_FOR_S)), name=f"cut-{shopper}")

    async def _pull(self, moments: list[float]) -> None:
        for moment_s in moments:
            await asyncio.sleep(moment_s)
            await self._world.pull_the_plug()

    async def _cut(self, seconds: float) -> None:
        async with self._network:
            await self._world.cut_the_network()
            await asyncio.sleep(seconds)
            await self._world.mend_the_network()


async def _run(world: World, crowd: Crowd, sales: int, chaos: _Chaos, say: Callable[[str], None]) -> Outcome:
    began_s = time.monotonic()
    finding: str | None = None
    try:
        async with asyncio.TaskGroup() as tasks:
            for shopper in range(sales):
                chaos.befall(shopper, tasks)
                await crowd.serve(shopper)
                if (shopper + 1) % 100 == 0:
                    say(f"{shopper + 1} sales in {time.monotonic() - began_s:.1f} s")
    except* WentWrong as errors:
        finding = "; ".join(str(error) for error in errors.exceptions)
    tally = Totals(transactions=len(crowd.tally), amount_minor=sum(sold.amount_minor for sold in crowd.tally))
    settled = await until(
        lambda: world.headquarters() == tally and _on_paper(world) >= {sold.number for sold in crowd.tally}, SETTLE_S
    )
    if not settled:
        finding = finding or "headquarters or the papers did not agree with the shoppers in time"
    return await _outcome(world, crowd.tally, time.monotonic() - began_s, finding)


async def _outcome(world: World, tally: list[Sold], wall_s: float, finding: str | None) -> Outcome:
    journal, headquarters = await world.journal(), world.headquarters()
    receipts = world.bench.receipts
    sold = {each.number for each in tally}
    unmarked = Counter(receipt.number for receipt in receipts if not receipt.marked)
    charged = Counter(charge.reference for charge in world.bench.payment.charges)
    paper_minor = {receipt.number: receipt.total_minor for receipt in receipts}
    wrong_paper = sum(paper_minor.get(each.number, each.amount_minor) != each.amount_minor for each in tally)
    if wrong_paper:
        finding = finding or f"{wrong_paper} receipts show another total than the shopper paid"
    at_least = min(journal.transactions, headquarters.transactions)
    at_most = max(journal.transactions, headquarters.transactions)
    return Outcome(
        sales=len(tally),
        amount_minor=sum(each.amount_minor for each in tally),
        receipts=len(_on_paper(world)),
        journal=JournalOutcome(
            transactions=journal.transactions,
            amount_minor=journal.amount_minor,
            verified=await world.verified_records() is not None,
        ),
        headquarters=headquarters,
        lost=max(0, len(tally) - at_least) + len(sold - _on_paper(world)),
        duplicated=max(0, at_most - len(tally))
        + sum(count - 1 for count in unmarked.values())
        + sum(count - 1 for count in charged.values()),
        chaos=Chaos(plug_pulls=world.plug_pulls, broker_stops=world.broker_stops),
        wall_s=round(wall_s, 3),
        finding=finding,
    )


def _on_paper(world: World) -> set[int]:
    return {receipt.number for receipt in world.bench.receipts}
