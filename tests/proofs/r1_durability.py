"""R1: whatever a power cut leaves of what was written, no acknowledged sale is lost and none is there twice.

A real till's calls are traced, with the acknowledgements in the same order; then the medium is taken at random moments as a
power cut would leave it: flushed writes are there, unflushed ones dropped, reordered, torn at 512 bytes. Each such state is
opened with the store's own code and checked whole: what was acknowledged as durable is there, in order, once, under the
same hash; nothing is there that was not asked for; no new epoch was opened; the whole chain verifies. The trace covers the
first boot, both grades of durability mixed and grouped, checkpoints of the log, closing and opening, a start after
SIGKILL on files that are in the page cache alone, and a second life from one of these states.

Mutants of the store and a medium that lies about its flushes go through the same, and must be caught.
"""

import sys
from collections.abc import Iterator

from tests.proofs.crash_states import LIVES, Story, tell
from tests.proofs.registry import Proof, Result, Scale
from tests.proofs.workers import place, workers
from tests.shim.trader import Fault

FAULTS_SHOWN = 10
MUTANTS = (Fault.NORMAL, Fault.OFF, Fault.UNSYNCED_COPY, Fault.EARLY_ACK)
LYING = "lying flush"


def run(scale: Scale) -> Iterator[Result]:
    """The share of states that held, of the real store; then the mutants."""
    stories = scale.pick(smoke=2, commit=80, release=2_500)
    states = scale.pick(smoke=60, commit=250, release=400)
    seen = [Story(seed=seed, states=states) for seed in range(stories)]
    count = states // LIVES * LIVES
    mutant_stories = scale.pick(smoke=1, commit=4, release=20)
    mutant_states = scale.pick(smoke=14, commit=100, release=400)
    with workers("r1") as pool:
        faults = [fault for found in pool.map(_tell, seen) for fault in found]
        caught = {
            name: sum(len(found) for found in pool.map(_tell, stories_of_it))
            for name, stories_of_it in _mutants(mutant_stories, mutant_states).items()
        }
    for fault in faults[:FAULTS_SHOWN]:
        print(f"R1: {fault}", file=sys.stderr)
    told = ", ".join(f"{name} in {broken} of {mutant_stories * mutant_states}" for name, broken in caught.items())
    missed = [name for name, broken in caught.items() if not broken]
    yield Result(
        figure=len(faults),
        goal=0,
        holds=not faults and not missed,
        what=f"of {stories * count} crash states broken; mutants caught: {told}",
        reason="; ".join(faults[:3]) or (f"a mutant got through: {', '.join(missed)}" if missed else ""),
    )


PROOFS = [Proof(id="R1", title="power cut at any call", run=run)]


def _mutants(stories: int, states: int) -> dict[str, list[Story]]:
    told = {str(fault): [Story(seed=seed, states=states, fault=fault) for seed in range(stories)] for fault in MUTANTS}
    return told | {LYING: [Story(seed=seed, states=states, lying=True) for seed in range(stories)]}


def _tell(story: Story) -> list[str]:
    nursery, scratch = place()
    return tell(story, scratch, nursery)
