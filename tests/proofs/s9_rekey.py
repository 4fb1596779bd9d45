"""S9: whatever moment the power goes at while a terminal's keys are rotated, exactly one key opens each database.

A rotation of the root, the KEK and the keys of five databases, two of them with unfolded logs, runs over a shim that
numbers each call by which it changes the terminal's folder. Part a: it is killed before, in and after each of them. Part
b: the calls are traced, and the medium is taken at random moments as a power cut would leave it: what was not flushed
dropped, reordered and torn. Each time: exactly one of the keyring's keys opens each database, every row of each is there,
and a start finishes the rotation, still with every row.

Two mutants of the rotation, and a medium that lies about its flushes, go through the same and must be caught.
"""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random

from store.database import open_database
from store.keys import KeyFile
from tests.proofs.registry import Proof, Result, Scale
from tests.shim.boundary import Call, library, read_log
from tests.shim.disk import Disk
from tests.shim.rekeyer import KEY, KILLED, Fault, Rekeyers, digests
from tests.shim.trace import read_trace
from tests.store.terminals import CONTENTS, fill, insert_rows

AT_ONCE = 2
FAULTS_SHOWN = 10
LYING = "lying-flush"

_rekeyers: Rekeyers | None = None
_scratch: Path | None = None


@dataclass(frozen=True, slots=True)
class Cut:
    """Where a rotation is killed: at its n-th call, ``before``, ``torn`` or ``after``."""

    at: int
    action: str


@dataclass(frozen=True, slots=True)
class Terminal:
    """A terminal's files before a rotation, and what its databases hold."""

    files: Path
    expected: dict[str, str]


def run(scale: Scale) -> Iterator[Result]:
    """Both parts, and what was made of the mutants."""
    with _workers() as (pool, scratch):
        terminal = make_terminal(scratch, rows=scale.pick(smoke=4, commit=900, release=9_000))
        calls = pool.submit(list_calls, terminal, None).result()
        cuts = spread(all_cuts(calls), scale.pick(smoke=10, commit=1_000_000, release=1_000_000))
        few = scale.pick(smoke=3, commit=30, release=300)
        ends = [found for found in pool.map(partial(kill, terminal, None), cuts) if found is not None]
        caught = {}
        for fault in Fault:
            mutant_cuts = spread(telling_cuts(pool.submit(list_calls, terminal, fault).result(), fault), few)
            caught[str(fault)] = sum(map(bool, pool.map(partial(kill, terminal, fault), mutant_cuts)))
        yield _result("a", f"kills at {len(calls)} calls", ends, caught)
        each, rotations = scale.pick(smoke=5, commit=50, release=50), scale.pick(smoke=2, commit=10, release=2_000)
        images = [
            state for found in pool.map(partial(cut_power, terminal, each, False), range(rotations)) for state in found
        ]
        lied = [state for found in pool.map(partial(cut_power, terminal, each, True), range(1)) for state in found]
        yield _result("b", "power cuts", images, {LYING: sum(map(bool, lied))})


PROOFS = [Proof(id="S9", title="a rekey cut off at any point", run=run, parts=("a", "b"))]


def make_terminal(scratch: Path, rows: int) -> Terminal:
    """A terminal with rows in its databases; of two of them some are in the log alone, as after a power cut."""
    folder, files = scratch / "made", scratch / "terminal"
    folder.mkdir()
    store = KeyFile(folder / KEY)
    keys = store.load_or_make([])
    fill(store, rows)
    with ExitStack() as stack:
        for purpose in CONTENTS:
            connection = open_database(store.databases[purpose], getattr(keys, purpose), purpose)
            stack.callback(connection.close)
            if purpose != "credentials":
                insert_rows(connection, purpose, range(rows, rows + 20))
        shutil.copytree(folder, files)
        (files / "journal.db-shm").unlink()
        return Terminal(files, digests(keys, folder))


def list_calls(terminal: Terminal, fault: Fault | None) -> list[Call]:
    """All calls of a rotation that nobody disturbs. Raises RuntimeError where it does not work at all."""
    rekeyers, scratch = _mine()
    with _copy_of(terminal, scratch) as folder:
        log = scratch / "log"
        log.unlink(missing_ok=True)
        status, said = rekeyers.turn(folder, fault, log=str(log))
        faults = rekeyers.look(folder, terminal.expected)
        if status != 0 or any(faults):
            raise RuntimeError(f"an undisturbed rotation {fault or ''} ended with {status}: {said} {faults}")
    return read_log(log)


def kill(terminal: Terminal, fault: Fault | None, cut: Cut) -> str | None:
    """What is wrong after a rotation was killed, or ``""``; None where it ended before the cut."""
    rekeyers, scratch = _mine()
    with _copy_of(terminal, scratch) as folder:
        status, said = rekeyers.turn(folder, fault, at=cut.at, action=cut.action)
        if status == 0:
            return None
        if status != KILLED:
            return f"killed {cut.action} call {cut.at} it ended with {status}: {said[-300:]}"
        faults = [line for line in rekeyers.look(folder, terminal.expected) if line]
        return f"killed {cut.action} call {cut.at}: {'; '.join(faults)}" if faults else ""


def cut_power(terminal: Terminal, states: int, lying: bool, seed: int) -> list[str]:
    """What is wrong with each of the states that power cuts leave of one rotation; ``""`` where nothing is."""
    rekeyers, scratch = _mine()
    random = Random(seed)
    trace = scratch / "trace"
    trace.unlink(missing_ok=True)
    with _copy_of(terminal, scratch) as folder:
        status, said = rekeyers.turn(folder, None, trace=str(trace))
        if status != 0:
            return [f"a traced rotation ended with {status}: {said[-300:]}"]
        events = read_trace(trace, folder)
    disk = Disk({each.name: each.read_bytes() for each in terminal.files.iterdir()}, lying=lying)
    moments = sorted(random.choices(range(len(events) + 1), k=states))
    found = []
    place = 0
    for moment in moments:
        for event in events[place:moment]:
            disk.take(event)
        place = moment
        with _laid_out(disk.image(random), scratch) as folder:
            faults = [line for line in rekeyers.look(folder, terminal.expected) if line]
        found.append(f"rotation {seed}, power cut at call {moment}: {'; '.join(faults)}" if faults else "")
    return found


def all_cuts(calls: Sequence[Call]) -> list[Cut]:
    """Every place to be killed at: before each call, in the middle of each write, after each call."""
    return [
        Cut(call.number, action)
        for call in calls
        for action in (("before", "torn", "after") if call.writes else ("before", "after"))
    ]


def telling_cuts(calls: Sequence[Call], fault: Fault) -> list[Cut]:
    """Cuts at which a mutant's fault shows: while it does what should have come later, or earlier."""
    if fault is Fault.ROOT_FIRST:
        last = next(call.number for call in calls if call.name == "journal.keyring" and call.kind == "rename")
        first = next(call.number for call in calls if call.name == "journal.key" and call.kind == "rename")
        return [Cut(number, "before") for number in range(first + 1, last + 1)]
    retired = [call.number for call in calls if call.name == "journal.keyring" and call.kind == "rename"][-1]
    renamed = next(call.number for call in calls if call.name == "journal.db" and call.kind == "rename")
    return [Cut(number, "before") for number in range(retired + 1, renamed + 1)]


def spread(cuts: Sequence[Cut], count_max: int) -> list[Cut]:
    """At most `count_max` of them, evenly."""
    if len(cuts) <= count_max:
        return list(cuts)
    return [cuts[index * len(cuts) // count_max] for index in range(count_max)]


def _result(part: str, words: str, ends: Sequence[str], caught: dict[str, int]) -> Result:
    faults = [fault for fault in ends if fault]
    for fault in faults[:FAULTS_SHOWN]:
        print(f"S9{part}: {fault}", file=sys.stderr)
    missed = [name for name, count in caught.items() if not count]
    told = ", ".join(f"{name} caught {count} times" for name, count in caught.items())
    return Result(
        figure=len(faults),
        goal=0,
        holds=not faults and bool(ends) and not missed,
        part=part,
        what=f"of {len(ends)} {words} not survived; mutants: {told}",
        reason="; ".join(faults[:3]) or (f"a mutant got through: {', '.join(missed)}" if missed else ""),
    )


@contextmanager
def _workers() -> Iterator[tuple[ProcessPoolExecutor, Path]]:
    """Two processes, each with its rekeyers and a folder of its own, in memory where there is such a file system."""
    library()  # says before anything is started that there is no compiler
    memory = Path("/dev/shm")
    scratch = Path(tempfile.mkdtemp(prefix="terminald-s9-", dir=memory if os.access(memory, os.W_OK) else None))
    try:
        with ProcessPoolExecutor(
            AT_ONCE, mp_context=get_context("spawn"), initializer=_settle, initargs=(scratch,)
        ) as pool:
            yield pool, scratch
    finally:
        shutil.rmtree(scratch)


def _settle(scratch: Path) -> None:
    global _rekeyers, _scratch
    _scratch = scratch / str(os.getpid())
    _scratch.mkdir()
    _rekeyers = Rekeyers(_scratch)


def _mine() -> tuple[Rekeyers, Path]:
    assert _rekeyers is not None
    assert _scratch is not None
    return _rekeyers, _scratch


@contextmanager
def _copy_of(terminal: Terminal, scratch: Path) -> Iterator[Path]:
    folder = scratch / "till"
    shutil.copytree(terminal.files, folder)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@contextmanager
def _laid_out(files: dict[str, bytes], scratch: Path) -> Iterator[Path]:
    folder = scratch / "image"
    folder.mkdir()
    try:
        for name, content in files.items():
            path = folder / name
            path.touch(0o600)
            path.write_bytes(content)
        yield folder
    finally:
        shutil.rmtree(folder)
