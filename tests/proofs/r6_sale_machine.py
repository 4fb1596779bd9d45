"""R6: every pair of state and event is decided, and random days end with all books agreeing.

Pairs are those of `tests/core/test_sale`: each event in each state, alone; nothing is raised, what is refused changes
nothing, and what is kept can be folded. Then days of random events are played against `shop_model`, a count of goods and
money that shares nothing with the core. Tills with a fault each go through the same, and must be caught.
"""

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field

import msgspec

from core import entries as e
from core import events as v
from core.fold import apply
from core.history import Original
from core.sale import read, step
from core.state import Sale, Till
from core.step import Facts, Step
from tests.core.test_sale import EVENTS, ORIGINAL, STATES
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY
from tests.proofs.registry import Proof, Result, Scale
from tests.proofs.shop_days import CoreTill, Day

DAY_STEPS = 1_000
MUTANT_DAYS = 40


class Forgetful(CoreTill):
    """Its history does not know what came back before."""

    def original(self, number: int) -> Original | None:
        found = super().original(number)
        return None if found is None else Original(sold=found.sold)


class Doubling(CoreTill):
    """It takes a payment's answer at its word each time that it comes."""

    def take(self, event: v.AnyEvent) -> Step:
        if isinstance(event, v.PaymentRefused):
            event = v.PaymentAnswered(reference=event.reference, amount_minor=100, poi_transaction="P")
        return super().take(event)


class Stingy(CoreTill):
    """It keeps a part of the change, and of what it gives back."""

    def keep(self, entry: e.AnyEntry) -> None:
        if isinstance(entry, e.TransactionCompleted) and entry.change_minor:
            entry = msgspec.structs.replace(entry, change_minor=entry.change_minor - 1)
        super().keep(entry)


class Lossy(CoreTill):
    """What it writes is not all that it knows."""

    def refold(self) -> Till:
        _, upto = self.checkpoint
        kept = [body for body in self.bodies[upto:] if b'"payment_unknown"' not in body]
        self.bodies[upto:] = kept
        return super().refold()


class Eager(CoreTill):
    """A refund of which nobody knows counts as not made, and can be made again."""

    def keep(self, entry: e.AnyEntry) -> None:
        if isinstance(entry, e.PaymentSetAside):
            entry = e.PaymentDeclined(reference=entry.reference, reason="unknown")
        super().keep(entry)


class Trusting(CoreTill):
    """It takes a gift card for emptied that was not."""

    def take(self, event: v.AnyEvent) -> Step:
        if isinstance(event, v.StoredValueRefused):
            event = v.StoredValueAnswered(reference=event.reference)
        return super().take(event)


MUTANTS: dict[str, type[CoreTill]] = {
    "pays for a gift card that keeps its value": Trusting,
    "forgets what came back": Forgetful,
    "takes a refusal for money": Doubling,
    "keeps a part of the change": Stingy,
    "writes too little": Lossy,
    "gives up what is unknown": Eager,
}


@dataclass(slots=True)
class Walked:
    """Steps taken, pairs of state and event met on the way, and faults."""

    steps: int = 0
    pairs: set[tuple[str, str]] = field(default_factory=set)
    faults: list[str] = field(default_factory=list)


def run(scale: Scale) -> Iterator[Result]:
    """The pairs, then the days, then one till with each fault."""
    yield _pairs()
    steps = scale.pick(smoke=4_000, commit=100_000, release=1_000_000)
    walked = _walk(CoreTill, steps // DAY_STEPS)
    for fault in walked.faults:
        print(f"R6: {fault}", file=sys.stderr)
    caught = {name: bool(_walk(mutant, MUTANT_DAYS).faults) for name, mutant in MUTANTS.items()}
    told = ", ".join(f"a till that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        part="b",
        figure=walked.steps,
        goal=steps,
        holds=not walked.faults and walked.steps >= steps and all(caught.values()),
        what=(
            f"random events against a model that shares nothing with the core, {len(walked.pairs)} pairs of state and event"
            f" met; money and goods agree after each day; {told}"
        ),
        reason="; ".join(walked.faults[:3])
        or "; ".join(f"a till that {name} got through" for name, is_ in caught.items() if not is_),
    )


def _pairs() -> Result:
    """Each event in each state."""
    faults = [f"{event.__struct_config__.tag} while {name}: {fault}"
              for name, till in STATES.items() for event in EVENTS if (fault := _undecided(till, event))]  # fmt: skip
    decided = len(STATES) * len(EVENTS) - len(faults)
    states = {type(till.sale) for till in STATES.values()} == set(Sale.__args__)
    events = {type(event) for event in EVENTS} == set(v.AnyEvent.__args__)
    return Result(
        part="a",
        figure=round(100 * decided / (len(STATES) * len(EVENTS)), 2),
        goal=100,
        holds=not faults and states and events,
        what=f"% of {len(STATES)} x {len(EVENTS)} pairs of state and event decided; every kind of both is among them",
        reason="; ".join(faults[:3]) or ("" if states and events else "a kind of state or event is missing"),
    )


def _undecided(till: Till, event: v.AnyEvent) -> str:
    """What is wrong with the step of a pair; empty where it is decided."""
    facts = Facts(
        business_day=TODAY,
        local_time=NOW,
        question=read(SHOP, till, event, TODAY),
        item=CATALOGUE["00000096385074"],
        customer="c0ffee",
        original=ORIGINAL,
    )
    try:
        taken, after = step(SHOP, till, event, facts), till
        for entry in taken.entries:
            after = apply(after, e.decode(e.encode(entry)))
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if taken.refused and (taken.notice is None or taken.effects):
        return "refused without a reason, or with an effect"
    return ""


def _walk(till: type[CoreTill], days: int) -> Walked:
    """Days from seed 0 on, until one shows a fault."""
    walked = Walked()
    for seed in range(max(1, days)):
        day = Day(seed, till())
        try:
            day.run(DAY_STEPS)
        except Exception as error:
            walked.faults.append(f"seed {seed}, step {day.steps}: {type(error).__name__}: {error}")
        walked.steps += day.steps
        walked.pairs |= day.pairs
        if walked.faults:
            break
    return walked


PROOFS = [Proof(id="R6", title="the sale machine", parts=("a", "b"), run=run)]
