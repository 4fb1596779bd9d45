"""What a proof or a benchmark is, and how it is found.

A module of `tests/proofs/` or `bench/` carries the ids that it measures at the front of its name (`r3_kill.py`,
`p1_p2_commit.py`) and exposes them as ``PROOFS`` (in bench: ``BENCHES``)::

    from bench.registry import CannotRun, Proof, Result, Scale, at_most

    def run(scale: Scale) -> Iterable[Result]:
        if shutil.which("strace") is None:
            raise CannotRun("strace is not installed")
        sales = scale.pick(smoke=50, commit=5_000, release=1_000_000)
        yield at_most(ratio, 1.25, part="a", what="commit p50 / floor")
        yield at_most(other, 1.0, part="b", what="commit p50 / append+fdatasync")

    BENCHES = [Proof(id="P1", title="an encrypted commit", parts=("a", "b"), run=run)]

A goal with two halves declares ``parts`` and gives one result for each: lines ``P1a`` and ``P1b``. Modules whose name
begins with no id are helpers. A module is imported only when one of its ids is selected. Where a program, a library or
a right that a run needs is missing, it says so with `CannotRun`: that prints ``holds: null`` and the reason. Anything
else that is raised prints ``holds: false`` and the error. What a run prints itself goes to standard error.

`Scale.SMOKE` runs at each ``make test``: five seconds a proof at most. `Scale.COMMIT` is what one change is worth:
minutes. `Scale.RELEASE` is the full figure: hours.
"""

import enum
import importlib
import pkgutil
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from types import ModuleType
from typing import TypeVar

T = TypeVar("T")
Figure = float | int | str

_IDS_IN_NAME = re.compile(r"(?:[a-z]\d+_)+")


class Scale(enum.StrEnum):
    """How much of a proof to run."""

    SMOKE = "smoke"
    COMMIT = "commit"
    RELEASE = "release"

    def pick(self, *, smoke: T, commit: T, release: T) -> T:
        """The value for this scale."""
        return {Scale.SMOKE: smoke, Scale.COMMIT: commit, Scale.RELEASE: release}[self]


class CannotRun(Exception):
    """This machine lacks what the proof needs; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One figure against its goal. `holds` is None where it could not be measured, with the `reason`."""

    figure: Figure | None
    goal: Figure | None
    holds: bool | None
    part: str = ""
    what: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """A property or a figure that is promised, and the run that shows it."""

    id: str
    title: str
    run: Callable[[Scale], Iterable[Result]]
    parts: tuple[str, ...] = ("",)


def at_most(figure: float, goal: float, *, part: str = "", what: str = "") -> Result:
    """Holds where the figure is no greater than the goal."""
    return Result(figure=figure, goal=goal, holds=figure <= goal, part=part, what=what)


def at_least(figure: float, goal: float, *, part: str = "", what: str = "") -> Result:
    """Holds where the figure is no smaller than the goal."""
    return Result(figure=figure, goal=goal, holds=figure >= goal, part=part, what=what)


def exactly(figure: Figure, goal: Figure, *, part: str = "", what: str = "") -> Result:
    """Holds where figure and goal are equal."""
    return Result(figure=figure, goal=goal, holds=figure == goal, part=part, what=what)


def cannot(reason: str, *, part: str = "", what: str = "") -> Result:
    """One part that this machine cannot measure, where the others can be; else raise `CannotRun`."""
    return Result(figure=None, goal=None, holds=None, part=part, what=what, reason=reason)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An id as the name of a module announces it."""

    id: str
    module: str
    attribute: str

    def load(self) -> Proof:
        """Imports the module; raises LookupError where it does not hold what its name says."""
        proofs: list[Proof] = getattr(importlib.import_module(self.module), self.attribute)
        for proof in proofs:
            if proof.id == self.id:
                return proof
        raise LookupError(f"{self.module}.{self.attribute} has no {self.id}")


def entries(package: ModuleType, attribute: str) -> list[Entry]:
    """What the modules of a package announce, in the order of their ids. Imports none of them."""
    found = [
        Entry(id=name.upper(), module=f"{package.__name__}.{info.name}", attribute=attribute)
        for info in pkgutil.iter_modules(package.__path__)
        for name in _ids(info.name)
    ]
    return sorted(found, key=lambda entry: (entry.id[0], int(entry.id[1:])))


def _ids(module_name: str) -> Iterator[str]:
    if match := _IDS_IN_NAME.match(module_name):
        yield from match.group().rstrip("_").split("_")
