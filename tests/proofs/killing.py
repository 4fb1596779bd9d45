"""Kills real programs over a shim that numbers their calls, and has what they leave judged.

A program runs again and again, each time in an empty folder, and is killed (SIGKILL) before the n-th call, in its middle
or after it.
"""

import tempfile
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.shim.boundary import Call, read_log
from tests.shim.boundary import run as run_over_shim

T = TypeVar("T")

AT_ONCE = 2


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a process is killed: at its n-th call, ``before``, ``torn`` or ``after``."""

    at: int
    action: str


@dataclass(frozen=True, slots=True)
class Program:
    """What is killed, and how it is judged: `command` gives the program for an empty folder; `judge` gives the faults of
    what a killed one left in the folder, from what it had printed. With `sends` its messages on the network are counted,
    and nothing else.
    """

    name: str
    command: Callable[[Path], list[str]]
    judge: Callable[[Path, str], list[str]]
    sends: bool = False

    @property
    def shim(self) -> dict[str, str]:
        """What the shim is told to count."""
        return {"net": "1", "kinds": "send"} if self.sends else {}


def list_calls(program: Program) -> list[Call]:
    """All calls of a run that nobody disturbs. Raises RuntimeError where the program does not work at all."""
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name:
        folder, log = Path(name, "terminal"), Path(name, "calls")
        folder.mkdir()
        ended = run_over_shim(program.command(folder), folder, log=str(log), **program.shim)
        if ended.returncode != 0:
            raise RuntimeError(f"{program.name} ended with {ended.returncode}: {ended.stderr}")
        return read_log(log)


def all_cuts(calls: Iterable[Call]) -> list[Cut]:
    """Every place to be killed at: before each call, in the middle of each write, after each of the others.

    What comes after a write is what comes before the next call; after a message, the world has it while we write on.
    """
    return [Cut(call.number, action) for call in calls for action in _actions(call)]


def spread(cuts: Sequence[T], count_max: int) -> list[T]:
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


def _actions(call: Call) -> tuple[str, ...]:
    if call.kind == "send":
        return ("before", "torn", "after")
    return ("before", "torn" if call.writes else "after")


def _kill(program: Program, cut: Cut) -> list[str] | None:
    """The faults of one killed run; None where the run ended before the cut."""
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name:
        folder = Path(name, "terminal")
        folder.mkdir()
        ended = run_over_shim(program.command(folder), folder, at=cut.at, action=cut.action, **program.shim)
        if ended.returncode == 0:
            return None
        if ended.returncode != -9:
            return [f"{program.name} killed {cut.action} {cut.at} ended with {ended.returncode}: {ended.stderr[-300:]}"]
        return [
            f"{program.name} killed {cut.action} {cut.at}: {fault}" for fault in program.judge(folder, ended.stdout)
        ]
