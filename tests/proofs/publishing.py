"""Killed while they talk: a till at each message that it sends, headquarters at each message and each write.

A real mosquitto lies between a till process and ``terminald-fleet collect``. What is asked of the two: nothing is
promised to the till that headquarters does not hold at that moment; and once both have run on to the end, headquarters
has each record of the journal once, byte for byte, and adds up the same sales. At every other death of headquarters the
broker dies too, and forgets all that it held.
"""

import asyncio
import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from fleet.database import reading
from fleet.keys import load_or_make
from store.keys import KeyFile
from store.verify import iter_records
from tests.brokers import Mosquitto, find_mosquitto
from tests.proofs.killing import Cut, Program
from tests.proofs.registry import CannotRun
from tests.shim.boundary import ROOT, Call, environment, read_log
from tests.shim.sender import Fault, Route, Sender, price_minor, start

AT_ONCE = 4
"""Headquarters at once: mostly they and their tills wait for each other."""
ARRIVE_S = 0.3
"""How long a message of a killed process may take through the broker."""
SETTLE_S = 1.0
"""How long what is on its way may take once the till believes that all has arrived."""
STOP_TIMEOUT_S = 10.0
LOOK_S = 0.01

Collecting = Callable[[str, Path, Path], list[str]]
"""The command of a headquarters, from the broker's address, its database and its key."""


def collector(broker: str, database: Path, key: Path) -> list[str]:
    """Headquarters as it is shipped."""
    return [sys.executable, "-m", "fleet", "collect", *_where(broker, database, key)]


def hasty_collector(broker: str, database: Path, key: Path) -> list[str]:
    """A mutant of it: promises, and commits a moment later."""
    return [sys.executable, "-m", "tests.proofs.hasty", *_where(broker, database, key)]


# --- a till that is killed ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Headquarters:
    """A collector at work behind its broker, for any number of tills."""

    broker: str
    database: Path
    ack_key: str

    def program(self, sales: int, fault: Fault | None = None) -> Program:
        """The forwarding till, or a mutant of it: its messages are what is counted."""

        def command(folder: Path) -> list[str]:
            route = self._route(folder)
            where = ["--broker", route.broker, "--ack-key", route.ack_key, "--terminal", route.terminal]
            flags = ["--fault", fault] if fault else []
            return [sys.executable, "-m", "tests.shim.sender", str(folder), str(sales), *where, *flags]

        def judge(folder: Path, said: str) -> list[str]:
            return asyncio.run(self._judge(folder, sales, fault))

        return Program(name=f"sender {fault or ''}".strip(), command=command, judge=judge, sends=True)

    async def _judge(self, folder: Path, sales: int, fault: Fault | None) -> list[str]:
        """What is wrong once a killed till was started again and has run to its end."""
        route = self._route(folder)
        try:
            async with start(folder, route, fault) as sender:
                faults = _early(self.database, sender)
                await sender.finish(sales)
        except Exception as error:
            return [f"it does not go on: {type(error).__name__}: {error}"]
        return faults + await _settled(self.database, folder, route.terminal, sales)

    def _route(self, folder: Path) -> Route:
        name = hashlib.sha256(str(folder).encode()).hexdigest()[:16]
        return Route(terminal=f"till-{name}", broker=self.broker, ack_key=self.ack_key)


@contextlib.contextmanager
def headquarters() -> Iterator[Headquarters]:
    """Broker and collector while the block runs. Raises CannotRun without a mosquitto."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    logging.getLogger("terminald").addHandler(logging.NullHandler())  # that nobody acknowledges is no news here
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name, _broker(Path(name)) as broker:
        database, key = Path(name, "headquarters.db"), Path(name, "ack.key")
        at_work = Headquarters(broker.url, database, load_or_make(key).public_key.hex())
        command = collector(broker.url, database, key)
        process = subprocess.Popen(command, env=_ENVIRONMENT, stderr=subprocess.DEVNULL)
        try:
            yield at_work
        finally:
            process.terminate()
            process.wait(STOP_TIMEOUT_S)


# --- a headquarters that is killed -------------------------------------------------------------------------------------


def list_collector_calls(sales: int) -> list[Call]:
    """All writes and messages of a headquarters that nobody disturbs. Raises RuntimeError where it does not work."""
    bout = asyncio.run(_bout(None, sales, collector))
    if bout.status != 0 or bout.faults:
        raise RuntimeError(f"headquarters ended with {bout.status}: {'; '.join(bout.faults)}")
    return bout.calls


def kill_collector_at(cuts: Sequence[Cut], sales: int) -> tuple[int, list[str]]:
    """How many of the cuts were reached, and the faults: one text for each cut that was not survived."""
    bouts = _bouts(cuts, sales, collector)
    faults = [
        f"headquarters killed {cut.action} {cut.at}: {bout.faults[0]}"
        for cut, bout in zip(cuts, bouts, strict=True)
        if bout.faults
    ]
    return sum(bout.status != 0 for bout in bouts), faults


def catch_hasty_collector(writes: Sequence[int], sales: int) -> int:
    """How many times the mutant is caught, killed before each of these writes, counted from 1 without its messages."""
    bouts = _bouts([Cut(number, "before") for number in writes], sales, hasty_collector, net="0")
    return sum(bool(bout.faults) for bout in bouts)


def _bouts(cuts: Sequence[Cut], sales: int, collecting: Collecting, **shim: str) -> list["_Bout"]:
    with ThreadPoolExecutor(AT_ONCE, "r3") as pool:
        return list(pool.map(lambda cut: asyncio.run(_bout(cut, sales, collecting, **shim)), cuts))


@dataclass(slots=True)
class _Bout:
    """How a headquarters ended, what it had called until then, and what was wrong."""

    status: int
    calls: list[Call] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)


async def _bout(cut: Cut | None, sales: int, collecting: Collecting, **shim: str) -> _Bout:
    """A till forwards to a headquarters that is killed at `cut`, and started again. It then makes one sale more."""
    with tempfile.TemporaryDirectory(prefix="terminald-r3-") as name, _broker(Path(name)) as broker:
        folder, till, log, key = (Path(name, part) for part in ("headquarters", "till", "calls", "ack.key"))
        folder.mkdir()
        till.mkdir()
        database = folder / "headquarters.db"
        route = Route(terminal="till-1", broker=broker.url, ack_key=load_or_make(key).public_key.hex())
        command = collecting(broker.url, database, key)
        shim = {"net": "1", "log": str(log), **shim}
        if cut is not None:
            shim |= {"at": str(cut.at), "action": cut.action}
        async with start(till, route) as sender, asyncio.TaskGroup() as tasks:
            finishing = tasks.create_task(_finished(sender, sales), name="till")
            async with _process(command, environment(folder, **shim)) as process:
                dying = tasks.create_task(process.wait(), name="headquarters")
                await asyncio.wait((dying, finishing), return_when=asyncio.FIRST_COMPLETED)
            bout = _Bout(await dying)
            if bout.status == -signal.SIGKILL and cut is not None:
                await asyncio.sleep(ARRIVE_S)
                bout.faults += _early(database, sender)
                if cut.at % 2:
                    broker.stop(signal.SIGKILL)
                    broker.start()
                async with _process(command, _ENVIRONMENT):
                    await finishing
                    sales += 1
                    bout.faults += await _finished(sender, sales)
            bout.faults += await finishing
        bout.faults += await _settled(database, till, route.terminal, sales)
        bout.calls += read_log(log)
        return bout


@contextlib.asynccontextmanager
async def _process(command: Sequence[str], environment: Mapping[str, str]) -> AsyncIterator[Process]:
    """A process that is stopped at the end, if it has not died before."""
    process = await asyncio.create_subprocess_exec(*command, env=environment, stderr=asyncio.subprocess.DEVNULL)
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        async with asyncio.timeout(STOP_TIMEOUT_S):
            await process.wait()


async def _finished(sender: Sender, sales: int) -> list[str]:
    """Faults, where the till cannot come to its end."""
    try:
        await sender.finish(sales)
    except TimeoutError:
        return [f"the till does not come to its end: {sender.forwarder.fault}"]
    return []


# --- judging -----------------------------------------------------------------------------------------------------------

_ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def _early(database: Path, sender: Sender) -> list[str]:
    """Whether the till was promised more than the database holds, as both are now."""
    epoch, promised_seq = sender.journal.head.epoch, sender.forwarder.acknowledged_seq
    held_seq = 0
    if promised_seq:
        with reading(database) as connection:
            row = connection.execute("SELECT hwm FROM epoch WHERE epoch = ?", (epoch,)).fetchone()
            held_seq = row[0] if row else 0
    return [f"promised up to {promised_seq}, held up to {held_seq}"] if promised_seq > held_seq else []


async def _settled(database: Path, till: Path, terminal: str, sales: int) -> list[str]:
    """What still differs after a moment."""
    until_s = time.monotonic() + SETTLE_S
    while (faults := _differing(database, till, terminal, sales)) and time.monotonic() < until_s:
        await asyncio.sleep(LOOK_S)
    return faults


def _differing(database: Path, till: Path, terminal: str, sales: int) -> list[str]:
    """The journal against what headquarters holds, byte for byte, and the sales against its sums."""
    key = KeyFile(till / "journal.key").load().journal
    own = Counter(record.exact for record in iter_records(till / "journal.db", key))
    sold = Counter((number, price_minor(number)) for number in range(1, sales + 1))
    with reading(database) as connection:
        held = Counter(
            exact for (exact,) in connection.execute("SELECT exact FROM record WHERE terminal = ?", (terminal,))
        )
        summed = Counter(
            connection.execute(
                "SELECT number, total_minor FROM retail_transaction WHERE terminal = ?", (terminal,)
            ).fetchall()
        )
    faults = []
    if own != held:
        faults.append(f"{(own - held).total()} records are not at headquarters, {(held - own).total()} too often")
    if sold != summed:
        faults.append(f"{(sold - summed).total()} sales are not in its sums, {(summed - sold).total()} too often")
    return faults


@contextlib.contextmanager
def _broker(folder: Path) -> Iterator[Mosquitto]:
    broker = Mosquitto(folder)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


def _where(broker: str, database: Path, key: Path) -> list[str]:
    return ["--broker", broker, "--database", str(database), "--key", str(key)]
