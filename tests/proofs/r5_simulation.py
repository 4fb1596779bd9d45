"""R5: whole shops on virtual time, one for each seed, through everything that can fail at once (`tests.simulation`).

At the end of each the books agree to the cent, and the same seed gives the same trace in another process. Products with
a fault each go through the same storms, and each must be caught.
"""

import logging
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from core import effects as x
from core.ledger import Draft, Record, Stamp
from terminald.peripherals import Peripherals
from tests.proofs.hasty import Hasty
from tests.proofs.r7_forwarding import ClearsOnPuback
from tests.proofs.registry import Proof, Result, Scale, exactly
from tests.proofs.workers import place, workers
from tests.simulation.disk import FailingJournal
from tests.simulation.parts import Parts
from tests.simulation.world import Outcome, simulate

MUTANT_SEEDS = 150
SEEDS_A_TASK = 20


class PaysAgain(Peripherals):
    """A mutant: a payment of which nothing is known is sent once more instead of being asked about."""

    async def _enquire(self, request: x.EnquirePayment) -> None:
        device = await self._payment_device_soon()
        if device is None:
            await super()._enquire(request)
        else:
            self._post(await device.pay(request.reference, 100, "EUR"))


class TrustsTheCache(FailingJournal):
    """A mutant: what moves money is committed, and its flush left for later."""

    async def append(self, drafts: Sequence[Draft], stamp: Stamp, *, key: str | None = None) -> tuple[Record, ...]:
        light = [Draft(stream=each.stream, body=each.body, moves_money=False) for each in drafts]
        return await super().append(light, stamp, key=key)


class PrintsAgain(Peripherals):
    """A mutant: now and then a receipt is printed twice as if each were the first."""

    def perform(self, effect: x.AnyEffect) -> None:
        super().perform(effect)
        if isinstance(effect, x.PrintReceipt) and effect.number % 3 == 0:
            super().perform(effect)


MUTANTS: dict[str, Parts] = {
    "believes the broker": Parts(forwarder=ClearsOnPuback),
    "acknowledges before it commits": Parts(collector=Hasty),
    "pays again": Parts(peripherals=PaysAgain),
    "prints again": Parts(peripherals=PrintsAgain),
    "leaves the flush for later": Parts(journal=TrustsTheCache),
}


def run(scale: Scale) -> Iterator[Result]:
    """The seeds, some of them twice, and the mutants."""
    seeds = scale.pick(smoke=16, commit=2_000, release=1_000_000)
    twice = scale.pick(smoke=4, commit=100, release=10_000)
    with workers("r5") as pool:
        outcomes = _play(pool, range(seeds))
        again = _play(pool, range(twice))
        caught = {
            name: _caught(pool, name, scale.pick(smoke=20, commit=MUTANT_SEEDS, release=MUTANT_SEEDS))
            for name in MUTANTS
        }
    befell: Counter[str] = Counter()
    for outcome in outcomes:
        befell += outcome.befell
        for fault in outcome.faults:
            print(f"R5: seed {outcome.seed}: {fault}", file=sys.stderr)
    told = ", ".join(f"{count} x {what}" for what, count in sorted(befell.items()))
    print(f"R5: {sum(outcome.sales for outcome in outcomes)} sales through {told}", file=sys.stderr)
    for name, seed in caught.items():
        print(f"R5: one that {name}: {'NOT caught' if seed is None else f'caught by seed {seed}'}", file=sys.stderr)
    wrong = sum(bool(outcome.faults) for outcome in outcomes)
    yield exactly(wrong, 0, part="a", what=f"of {seeds} seeds in which a book did not agree")
    other = sum(one.trace != two.trace for one, two in zip(outcomes, again, strict=False))
    yield exactly(other, 0, part="b", what=f"of {twice} seeds that gave another trace the second time")
    yield exactly(
        sum(seed is not None for seed in caught.values()),
        len(MUTANTS),
        part="c",
        what=f"mutants caught of {len(MUTANTS)}",
    )


PROOFS = [Proof(id="R5", title="shops on virtual time", parts=("a", "b", "c"), run=run)]


def _play(pool: ProcessPoolExecutor, seeds: range) -> list[Outcome]:
    spans = [range(at, min(at + SEEDS_A_TASK, seeds.stop)) for at in range(seeds.start, seeds.stop, SEEDS_A_TASK)]
    return [outcome for outcomes in pool.map(partial(_some, ""), spans) for outcome in outcomes]


def _caught(pool: ProcessPoolExecutor, name: str, seeds: int) -> int | None:
    """The first seed that catches a mutant."""
    return pool.submit(_first_fault, name, seeds).result()


def _first_fault(name: str, seeds: int) -> int | None:
    return next((seed for seed in range(seeds) if _some(name, range(seed, seed + 1))[0].faults), None)


def _some(name: str, seeds: range) -> list[Outcome]:
    logging.disable()  # what the storms make the daemon say
    _, folder = place()
    parts = MUTANTS[name] if name else Parts()
    return [simulate(seed, folder, parts) for seed in seeds]
