"""R9: the nightly drill. A terminal sells, is backed up while it sells, sells on and delivers; then it is destroyed.

From the backup it comes back on a new medium, by the command that a technician gives, and headquarters sends back over a
real broker what the backup lacks. Then (a) every row that the lost journal had is there with the same hash, (b) nothing
that headquarters had taken is missing, and (c) the restore took no longer than it may, which is scaled to 100,000 sales.
(d) A backup and a restore are killed at their calls: there is always a whole backup, and the restore is done again.

(e) Two mutants must be caught: a plain copy of the live files that is presented as a backup, and a backup that nobody
verified and whose medium spoilt a page. The maker that verifies must refuse both; where it was bribed not to look, the
drill must find out.
"""

import asyncio
import contextlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from core.entries import RecordsReturned, draft
from core.ledger import Stamp
from fleet.collector import Collector
from fleet.database import Database, reading
from fleet.keys import AckKey
from fleet.replay import Replayer
from store.backup import Copy, Verify, copy_pages, make_backup
from store.backup_medium import list_backups
from store.database import connect
from store.errors import JournalError
from store.journal import SqlJournal
from store.keys import KeyFile, TerminalSigner
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.forwarder import Forwarder
from terminald.recall import Recaller
from terminald.uplink import Uplink, User
from tests.brokers import Mosquitto, find_mosquitto
from tests.proofs.backup_kills import backing_up, restoring
from tests.proofs.killing import all_cuts, kill_at, list_calls, spread
from tests.proofs.registry import CannotRun, Proof, Result, Scale, at_most, exactly
from tests.store.backups import FAST, NAME, STAMP, Terminal, hashes, terminal_in
from tests.tills import HURRIED, eventually, make_key, sale

SALES_GOAL = 100_000
SECONDS_GOAL = 60.0
SHARE_AFTER = 0.1
"""Of all sales, those that are made after the backup."""
SALES_A_COMMIT = 20
PAUSE_S = 0.01
HEADQUARTERS = make_key(9)
MUTANTS = ("plain copy", "unverified page")


def run(scale: Scale) -> Iterator[Result]:
    """The drill, the kills, and the mutants."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    sales = scale.pick(smoke=200, commit=10_000, release=SALES_GOAL)
    with tempfile.TemporaryDirectory(prefix="terminald-r9-", dir=Path.cwd()) as name:
        drill = asyncio.run(_drill(Path(name), sales))
    yield exactly(
        drill.equal_percent, 100.0, part="a", what=f"% of {drill.had} row hashes after a restore at {sales} sales"
    )
    yield exactly(
        drill.lost, 0, part="b", what=f"of {drill.delivered} delivered rows missing; {drill.returned} came back"
    )
    scaled_s = drill.restore_s * SALES_GOAL / sales if sales >= SALES_GOAL / 10 else drill.restore_s
    named = f"{drill.restore_s:.1f} s at {sales} sales, scaled to {SALES_GOAL}" if scaled_s != drill.restore_s else ""
    commits = f"a commit's p99 {drill.p99_ms:.0f} ms during the backup, {drill.idle_p99_ms:.0f} ms without"
    yield at_most(
        round(scaled_s, 1), SECONDS_GOAL, part="c", what=f"s for a restore ({named or f'at {sales} sales'}); {commits}"
    )
    yield _killed(scale.pick(smoke=0, commit=24, release=1_000_000), scale.pick(smoke=1, commit=24, release=1_000_000))
    yield _mutants(scale is Scale.SMOKE)


PROOFS = [Proof(id="R9", title="backup and restore", run=run, parts=("a", "b", "c", "d", "e"))]


# --- the drill ---------------------------------------------------------------------------------------------------


@dataclass
class _Drill:
    """What came of it."""

    had: int = 0
    same: int = 0
    delivered: int = 0
    lost: int = 0
    returned: int = 0
    restore_s: float = 0.0
    commits_ms: list[float] = field(default_factory=list)
    idle_ms: list[float] = field(default_factory=list)

    @property
    def equal_percent(self) -> float:
        return 100.0 * self.same / self.had if self.had else 0.0

    @property
    def p99_ms(self) -> float:
        return _p99(self.commits_ms)

    @property
    def idle_p99_ms(self) -> float:
        return _p99(self.idle_ms)


async def _drill(root: Path, sales: int) -> _Drill:
    drill = _Drill()
    broker = Mosquitto(root)
    broker.start()
    try:
        async with _headquarters(root, broker.url):
            had = await _life(root, broker.url, sales, drill)
            shutil.rmtree(root / "till")
            await _resurrect(root, broker.url, drill)
    finally:
        broker.stop()
    keys = KeyFile(root / "new" / "journal.key").load()
    now = hashes(root / "new" / "journal.db", keys.journal)
    drill.had, drill.same = len(had), len(had.items() & now.items())
    with reading(root / "headquarters.db") as connection:
        rows = connection.execute("SELECT epoch, seq, hash FROM record WHERE terminal = ?", (NAME,)).fetchall()
    drill.delivered = len(rows)
    drill.lost = sum(now.get((epoch, seq)) != hash_ for epoch, seq, hash_ in rows)
    return drill


async def _life(root: Path, url: str, sales: int, drill: _Drill) -> dict[tuple[str, int], bytes]:
    """A terminal from its first sale to its last, with a backup in between; what its journal held."""
    folder, target = root / "till", root / "medium"
    target.mkdir()
    with terminal_in(folder, sales=int(sales * (1 - SHARE_AFTER))) as made:
        keys, signer, sold = made.keys, made.signer, made.sold
    _configure(folder, url)
    shutil.copy(folder / "journal.key", root)  # what a technician keeps elsewhere
    shutil.copy(folder / "terminal.toml", root)
    clock = SystemClock()
    async with await _open(folder, keys.journal, signer, clock.stamp()) as journal:
        forwarder = _forwarder(journal, signer, clock)
        async with _connected(url, clock, forwarder):
            await _sell_while(
                journal, clock, drill.idle_ms, lambda: len(drill.idle_ms) < min(200, sales // 20), number=sold
            )
            sold += len(drill.idle_ms)
            backup = await asyncio.create_subprocess_exec(
                *_COMMAND, "backup", "now", "--target", str(target), "--config", str(folder / "terminal.toml"),
                stderr=asyncio.subprocess.DEVNULL,
            )  # fmt: skip
            await _sell_while(journal, clock, drill.commits_ms, lambda: backup.returncode is None, number=sold)
            sold += len(drill.commits_ms)
            if await backup.wait():
                raise RuntimeError("no backup could be made")
            await _sell(journal, clock, sold, sales - sold)
            forwarder.notify()
            await eventually(lambda: forwarder.acknowledged_seq == journal.synced.seq, 60 + sales / 100)
    return hashes(folder / "journal.db", keys.journal)


async def _resurrect(root: Path, url: str, drill: _Drill) -> None:
    """A new medium: the technician's command, and then the terminal gets back what the backup lacked."""
    folder = root / "new"
    folder.mkdir()
    for name in ("journal.key", "terminal.toml"):
        shutil.copy(root / name, folder)
    began_s = time.monotonic()
    command = await asyncio.create_subprocess_exec(
        *_COMMAND, "journal", "restore", "--json", "--from", str(root / "medium"),
        "--config", str(folder / "terminal.toml"), stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    out, _ = await command.communicate()
    drill.restore_s = time.monotonic() - began_s
    if command.returncode or json.loads(out)["skipped"] or not json.loads(out)["asked"]:
        raise RuntimeError(f"the restore did not do: {out.decode()}")
    keys, clock = KeyFile(folder / "journal.key").load(), SystemClock()
    signer = TerminalSigner.open(folder / "signing.key", keys, [])
    async with await _open(folder, keys.journal, signer, clock.stamp()) as journal:

        async def keep(entry: RecordsReturned, key: str) -> None:
            await journal.append([draft(entry)], clock.stamp(), key=key)

        recaller = Recaller(
            terminal=NAME, journal=journal, signer=signer, ack_key=HEADQUARTERS.public_key, clock=clock,
            random=Random(4), keep=keep,
        )  # fmt: skip
        await recaller.load()
        async with _connected(url, clock, recaller):
            await eventually(lambda: not recaller.pending, 120 + drill.had / 100)
        drill.returned = recaller.returned


async def _sell_while(
    journal: SqlJournal, clock: SystemClock, took_ms: list[float], goes_on: Callable[[], bool], *, number: int
) -> None:
    """A sale after the other, each timed from its first record to its being durable."""
    while goes_on():
        number += 1
        began_s = time.perf_counter()
        await journal.append([draft(entry) for entry in sale(number, 100)], clock.stamp())
        took_ms.append(1_000 * (time.perf_counter() - began_s))
        await asyncio.sleep(PAUSE_S)


async def _sell(journal: SqlJournal, clock: SystemClock, sold: int, count: int) -> None:
    for first in range(sold + 1, sold + count + 1, SALES_A_COMMIT):
        numbers = range(first, min(first + SALES_A_COMMIT, sold + count + 1))
        entries = [draft(entry) for number in numbers for entry in sale(number, 100)]
        await journal.append(entries, clock.stamp())


_COMMAND = (sys.executable, "-m", "terminald")


def _configure(folder: Path, url: str) -> None:
    config = folder / "terminal.toml"
    ack_key = HEADQUARTERS.public_key.hex()
    config.write_text(f'{config.read_text()}[headquarters]\nbroker = "{url}"\nack_key = "{ack_key}"\n')


async def _open(folder: Path, key: bytes, signer: TerminalSigner, stamp: Stamp) -> SqlJournal:
    return await SqlJournal.open(folder / "journal.db", key, terminal=NAME, signing_key=signer.public_key, stamp=stamp)


def _forwarder(journal: SqlJournal, signer: TerminalSigner, clock: SystemClock) -> Forwarder:
    return Forwarder(
        terminal=NAME, journal=journal, signer=signer, ack_key=HEADQUARTERS.public_key, clock=clock, random=Random(1),
        pacing=HURRIED,
    )  # fmt: skip


@contextlib.asynccontextmanager
async def _connected(url: str, clock: SystemClock, *users: User, name: str = NAME) -> AsyncIterator[None]:
    uplink = Uplink(
        brokers=[parse_url(url)], client_id=name, users=users, clock=clock, random=Random(2),
        session_expiry_s=60 if name != NAME else 0,
    )  # fmt: skip
    task = asyncio.create_task(uplink.run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def _headquarters(root: Path, url: str, key: AckKey = HEADQUARTERS) -> AsyncIterator[None]:
    clock, path = SystemClock(), root / "headquarters.db"
    collector = Collector(database=Database.open(path, now_ms=clock.stamp().time_ms), key=key, clock=clock)
    replayer = Replayer(database=path, key=key)
    try:
        async with _connected(url, clock, collector, replayer, name="headquarters"):
            yield
    finally:
        replayer.close()
        collector.close()


def _p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)] if values else 0.0


# --- kills and mutants -------------------------------------------------------------------------------------------


def _killed(backups: int, restores: int) -> Result:
    """A backup and a restore, killed at so many of their calls."""
    with tempfile.TemporaryDirectory(prefix="terminald-r9-") as name:
        root = Path(name)
        with terminal_in(root / "till") as till:
            for target in ("one", "two"):
                (root / target).mkdir()
                till.sell(1)
                till.back_up(root / target)
            restore = restoring(till, root / "two")
            found = [_kill(backing_up(till, root / "one"), backups)] if backups else []
        found.append(_kill(restore, restores))
    reached, calls = sum(each[0] for each in found), sum(each[2] for each in found)
    faults = [fault for each in found for fault in each[1]]
    for fault in faults[:10]:
        print(f"R9: {fault}", file=sys.stderr)
    return Result(
        figure=100.0 * (reached - len(faults)) / reached if reached else 0.0,
        goal=100.0,
        holds=reached > 0 and not faults,
        part="d",
        what=f"% of {reached} kills at {calls} calls of {'a backup and ' if backups else ''}a restore",
        reason="; ".join(faults[:3]),
    )


def _kill(program: Any, each: int) -> tuple[int, list[str], int]:
    calls = list_calls(program)
    reached, faults = kill_at(program, spread(all_cuts(calls), each))
    return reached, faults, len(calls)


def _mutants(briefly: bool) -> Result:
    """Whether the maker's own look, and the drill without it, find each of them out; and pass an honest one."""
    with tempfile.TemporaryDirectory(prefix="terminald-r9-") as name, terminal_in(Path(name, "till"), 400) as till:
        copies: dict[str, Copy] = {
            MUTANTS[0]: lambda source, path, key, beat: _plain_copy(till, path, key),
            MUTANTS[1]: _spoiling_copy,
        }
        honest = briefly or _is_whole(Path(name, "honest"), till, copy_pages, None)
        seen = {mutant: not _is_made(Path(name, mutant), till, copy, None) for mutant, copy in copies.items()}
        found = {
            mutant: not _is_whole(Path(name, f"{mutant} unseen"), till, copy, _look_away)
            for mutant, copy in copies.items()
        }
    caught = sum(seen[mutant] and found[mutant] for mutant in MUTANTS)
    words = ", ".join(f"{mutant}: refused {seen[mutant]}, found by the drill {found[mutant]}" for mutant in MUTANTS)
    return Result(
        figure=caught,
        goal=len(MUTANTS),
        holds=honest and caught == len(MUTANTS),
        part="e",
        what=f"mutants caught ({words}); an honest one passes: {honest}",
        reason="" if honest and caught == len(MUTANTS) else words,
    )


def _is_made(target: Path, till: Terminal, copy: Copy, verify: Verify | None) -> bool:
    target.mkdir()
    till.sell(5)
    try:
        make_backup(target, till.subject(), STAMP, keep=3, pace=FAST, copy=copy, verify=verify)
    except JournalError:
        return False
    return True


def _is_whole(target: Path, till: Terminal, copy: Copy, verify: Verify | None) -> bool:
    """The drill in small: restored to a new medium, is every row there that the terminal had at the backup?"""
    _is_made(target, till, copy, verify)
    had = till.hashes()
    new = target.with_name(f"{target.name} restored")
    new.mkdir()
    for name in ("terminal.toml", "journal.key"):
        shutil.copy(till.folder / name, new)
    command = [*_COMMAND, "journal", "restore", "--json", "--from", str(target), "--config", str(new / "terminal.toml")]
    if not list_backups(target, NAME) or subprocess.run(command, capture_output=True, timeout=60).returncode:
        return False
    return had.items() <= hashes(new / "journal.db", KeyFile(new / "journal.key").load().journal).items()


def _plain_copy(till: Terminal, path: Path, key: bytes) -> None:
    """A mutant: `cp` of a live database, as if that were a copy of it."""
    stolen = path.with_name("stolen")
    if not (till.folder / path.name).exists():
        return
    shutil.copy(till.folder / path.name, stolen)
    purpose = path.name.removesuffix(".db")
    connection = connect(stolen, getattr(till.keys, purpose))
    try:
        copy_pages(connection, path, key, lambda: None)
    finally:
        connection.close()
        for ending in ("", "-wal", "-shm"):
            stolen.with_name(stolen.name + ending).unlink(missing_ok=True)


def _spoiling_copy(source: Any, path: Path, key: bytes, beat: Callable[[], None]) -> None:
    """A mutant's medium: it takes all pages, and gives one of them back altered."""
    copy_pages(source, path, key, beat)
    if path.name == "journal.db":
        with path.open("r+b") as file:
            file.seek(5 * 4096 + 1_000)
            file.write(b"\xff" * 8)


def _look_away(path: Path, manifest: object, backup_key: bytes) -> None:
    """Verifies nothing."""
