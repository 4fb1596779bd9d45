"""R3: what is killed at any write, flush, rename, delete or publish has lost nothing, and has nothing twice.

A real till process runs over a shim that numbers every call by which it changes its folder, the first boot included. It
runs again and again, each time in an empty folder, and is killed (SIGKILL) before the n-th call, in its middle or after
it. Then: what is on the disk is whole, holds all that was acknowledged, in order and once; and a till that is started
there goes on to the end of its sales, each of them there once. The same with a till at each message by which it forwards
to headquarters, and with headquarters at each of its writes and messages: there the journal, what the till was promised
and what headquarters holds are compared (`tests.proofs.publishing`).

A test that cannot fail shows nothing: tills with known faults go through the same, and must be caught.
"""

import asyncio
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from store.database import PAGE_BYTES
from store.keys import KeyFile
from store.verify import verify_journal
from tests.proofs import publishing
from tests.proofs.killing import Cut, Program, all_cuts, kill_at, list_calls, spread
from tests.proofs.registry import Proof, Result, Scale
from tests.shim import sender
from tests.shim.boundary import Call
from tests.shim.seller import Fault, plan, recorded, sell

ALL = 1_000_000
BATCH_BYTES_MIN = 200
"""Of a till's messages only the batches are so long."""


def run(scale: Scale) -> Iterator[Result]:
    """Kills the till at its writes, the till at its messages, headquarters at both; then the mutants."""
    # At once: they mostly wait, for a till's or a headquarters' next try.
    kinds = (kill_headquarters, kill_writing, kill_sending)
    with ThreadPoolExecutor(len(kinds), thread_name_prefix="r3") as pool:
        bouts = list(pool.map(lambda kill: kill(scale), kinds))
    faults = [fault for bout in bouts for fault in bout.faults]
    for fault in faults[:10]:
        print(f"R3: {fault}", file=sys.stderr)
    reached, calls = sum(bout.reached for bout in bouts), sum(bout.calls for bout in bouts)
    caught = {mutant: count for bout in bouts for mutant, count in bout.caught.items()}
    mutants = ", ".join(f"{mutant} caught {count} times" for mutant, count in caught.items())
    yield Result(
        figure=100.0 * (reached - len(faults)) / reached if reached else 0.0,
        goal=100.0,
        holds=not faults and all(bout.reached for bout in bouts) and all(caught.values()),
        what=f"% of {reached} kills at {calls} calls; {mutants}",
        reason="; ".join(faults[:3]) if faults else "" if all(caught.values()) else f"a mutant got through: {mutants}",
    )


PROOFS = [Proof(id="R3", title="kill -9 at every write, flush, rename and publish", run=run)]


@dataclass(frozen=True, slots=True)
class Bout:
    """How many cuts at how many calls were reached, what was not survived, and how often each mutant was caught."""

    calls: int
    reached: int
    faults: list[str]
    caught: dict[str, int]


def kill_writing(scale: Scale) -> Bout:
    """A till that sells, at each call by which it changes its folder."""
    program = till(sales=scale.pick(smoke=4, commit=8, release=60))
    calls = list_calls(program)
    reached, faults = kill_at(program, spread(all_cuts(calls), scale.pick(smoke=12, commit=ALL, release=ALL)))
    each = scale.pick(smoke=1, commit=6, release=60)
    return Bout(len(calls), reached, faults, {fault: catch(fault, each) for fault in Fault})


def kill_sending(scale: Scale) -> Bout:
    """A till that forwards, at each message that it sends."""
    sales = scale.pick(smoke=2, commit=4, release=40)
    each = scale.pick(smoke=1, commit=4, release=40)
    with publishing.headquarters() as headquarters:
        program = headquarters.program(sales)
        calls = list_calls(program)
        reached, faults = kill_at(program, spread(all_cuts(calls), scale.pick(smoke=3, commit=ALL, release=ALL)))
        mutant = headquarters.program(sales, sender.Fault.MARKS_ON_PUBLISH)
        batches = [Cut(call.number, "before") for call in calls if call.bytes >= BATCH_BYTES_MIN]
        caught = len(kill_at(mutant, spread(batches, each))[1])
    return Bout(len(calls), reached, faults, {sender.Fault.MARKS_ON_PUBLISH: caught})


def kill_headquarters(scale: Scale) -> Bout:
    """The collector, at each message that it sends and each call by which it changes its folder."""
    sales = scale.pick(smoke=1, commit=2, release=30)
    each = scale.pick(smoke=1, commit=4, release=30)
    calls = publishing.list_collector_calls(sales)
    talking = [call for call in calls if call.kind == "send"]
    writing = [call for call in calls if call.kind != "send"]
    cuts = spread(all_cuts(talking), scale.pick(smoke=1, commit=ALL, release=ALL))
    cuts += spread(all_cuts(writing), scale.pick(smoke=1, commit=30, release=ALL))
    reached, faults = publishing.kill_collector_at(cuts, sales)
    commits = [number for number, call in enumerate(writing, 1) if calls[call.number - 2] in talking]
    caught = publishing.catch_hasty_collector(spread(commits[-2::-1], each), sales)
    return Bout(len(calls), reached, faults, {"promises-first": caught})


def till(sales: int, fault: Fault | None = None) -> Program:
    """The selling till, or a mutant of it."""

    def command(folder: Path) -> list[str]:
        flags = ["--fault", fault] if fault else []
        return [sys.executable, "-m", "tests.shim.seller", str(folder), str(sales), *flags]

    def judge(folder: Path, said: str) -> list[str]:
        return judge_till(folder, sales, _acknowledged(said), fault)

    return Program(name=f"till {fault or ''}".strip(), command=command, judge=judge)


def judge_till(folder: Path, sales: int, acknowledged: Sequence[str], fault: Fault | None = None) -> list[str]:
    """What is wrong with the folder of a till that was killed: as it lies there, and after it was started again."""
    faults = []
    if (folder / "journal.db").exists():
        faults += _faults(folder, "as it was left", lambda held: held[: len(acknowledged)] == list(acknowledged))
    elif acknowledged:
        faults.append(f"{len(acknowledged)} steps were acknowledged, and there is no journal")
    try:
        asyncio.run(sell(folder, sales, acknowledged=len(acknowledged), fault=fault))
    except Exception as error:
        return [*faults, f"it does not start again: {type(error).__name__}: {error}"]
    return faults + _faults(folder, "after a restart", lambda held: held == plan(sales))


def catch(fault: Fault, each: int) -> int:
    """How many times a mutant is caught, of the `each` cuts of both kinds at which its fault could show."""
    mutant = till(sales=4, fault=fault)
    return len(kill_at(mutant, telling_cuts(list_calls(mutant), each))[1])


def telling_cuts(calls: Sequence[Call], each: int) -> list[Cut]:
    """Cuts at which a fault shows: just before a commit is flushed, with its last page torn, and just after its flush."""
    commits = [
        after.number
        for before, after in pairwise(call for call in calls if call.name == "journal.db-wal")
        if after.flushes and before.bytes == PAGE_BYTES
    ]
    some = spread([Cut(number, "after") for number in commits], each)
    return [*(Cut(cut.at - 1, "torn") for cut in some), *some]


def _faults(folder: Path, when: str, right: Callable[[list[str]], bool]) -> list[str]:
    try:
        found = verify_journal(folder / "journal.db", KeyFile(folder / "journal.key").load().journal)
        held = recorded(folder)
    except Exception as error:
        return [f"{when}: {type(error).__name__}: {error}"]
    faults = [] if found.whole else [f"{when}: {found.finding}"]
    if len(set(held)) != len(held):
        faults.append(f"{when}: {len(held) - len(set(held))} steps are there twice")
    if not right(held):
        faults.append(f"{when}: {len(held)} steps are there, and not the right ones")
    return faults


def _acknowledged(said: str) -> list[str]:
    return [line.removeprefix("ack ") for line in said.splitlines() if line.startswith("ack ")]
