"""R3: a terminal that is killed at any write, flush, rename or delete has lost nothing, and has nothing twice.

A real till process runs over a shim that numbers every call by which it changes its folder, the first boot included. It
runs again and again, each time in an empty folder, and is killed (SIGKILL) before the n-th call, in its middle or after
it. Then: what is on the disk is whole, holds all that was acknowledged, in order and once; and a till that is started
there goes on to the end of its sales, each of them there once.

A test that cannot fail shows nothing: tills with known faults go through the same, and must be caught.
"""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from store.database import PAGE_BYTES
from store.keys import KeyFile
from store.verify import verify_journal
from tests.proofs.registry import Proof, Result, Scale
from tests.shim.boundary import Call, read_log
from tests.shim.boundary import run as run_over_shim
from tests.shim.seller import Fault, plan, recorded, sell

AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a process is killed: at its n-th call, ``before``, ``torn`` or ``after``."""

    at: int
    action: str


@dataclass(frozen=True, slots=True)
class Program:
    """What is killed, and how it is judged. `net` counts messages on the network as calls too.

    `command` gives the program for an empty folder; `judge` gives the faults of what a killed one left in the folder,
    from what it had printed.
    """

    name: str
    command: Callable[[Path], list[str]]
    judge: Callable[[Path, str], list[str]]
    net: bool = False


def run(scale: Scale) -> Iterator[Result]:
    """Kills the till at a spread of its calls, or at all; then the mutants."""
    program = till(sales=scale.pick(smoke=4, commit=8, release=60))
    calls = list_calls(program)
    cuts = spread(all_cuts(calls), scale.pick(smoke=12, commit=1_000_000, release=1_000_000))
    reached, faults = kill_at(program, cuts)
    for fault in faults[:10]:
        print(f"R3: {fault}", file=sys.stderr)
    caught = {fault: catch(fault, scale.pick(smoke=1, commit=6, release=60)) for fault in Fault}
    survived = 100.0 * (reached - len(faults)) / reached if reached else 0.0
    mutants = ", ".join(f"{fault} caught {count} times" for fault, count in caught.items())
    yield Result(
        figure=survived,
        goal=100.0,
        holds=not faults and reached > 0 and all(caught.values()),
        what=f"% of {reached} kills at {len(calls)} calls; {mutants}",
        reason="; ".join(faults[:3]) if faults else "" if all(caught.values()) else f"a mutant got through: {mutants}",
    )


PROOFS = [Proof(id="R3", title="kill -9 at every write, flush and rename", run=run)]


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


def list_calls(program: Program) -> list[Call]:
    """All calls of a run that nobody disturbs. Raises RuntimeError where the program does not work at all."""
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name:
        folder, log = Path(name, "terminal"), Path(name, "calls")
        folder.mkdir()
        ended = run_over_shim(program.command(folder), folder, log=str(log), net=int(program.net))
        if ended.returncode != 0:
            raise RuntimeError(f"{program.name} ended with {ended.returncode}: {ended.stderr}")
        return read_log(log)


def all_cuts(calls: Iterable[Call]) -> list[Cut]:
    """Every place to be killed at: before each call, in the middle of each write, after each of the others."""
    return [Cut(call.number, action) for call in calls for action in ("before", "torn" if call.writes else "after")]


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


def spread(cuts: Sequence[Cut], count_max: int) -> list[Cut]:
    """At most `count_max` of them, evenly."""
    if len(cuts) <= count_max:
        return list(cuts)
    return [cuts[index * len(cuts) // count_max] for index in range(count_max)]


def kill_at(program: Program, cuts: Sequence[Cut]) -> tuple[int, list[str]]:
    """How many of the cuts were reached, and the faults: one text for each cut that was not survived."""
    with ThreadPoolExecutor(AT_ONCE, thread_name_prefix="r3") as pool:
        outcomes = list(pool.map(lambda cut: _kill(program, cut), cuts))
    reached = [faults for faults in outcomes if faults is not None]
    return len(reached), [faults[0] for faults in reached if faults]


def _kill(program: Program, cut: Cut) -> list[str] | None:
    """The faults of one killed run; None where the run ended before the cut."""
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name:
        folder = Path(name, "terminal")
        folder.mkdir()
        ended = run_over_shim(program.command(folder), folder, at=cut.at, action=cut.action, net=int(program.net))
        if ended.returncode == 0:
            return None
        if ended.returncode != -9:
            return [f"{program.name} killed {cut.action} {cut.at} ended with {ended.returncode}: {ended.stderr[-300:]}"]
        return [
            f"{program.name} killed {cut.action} {cut.at}: {fault}" for fault in program.judge(folder, ended.stdout)
        ]


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
