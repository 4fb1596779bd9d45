"""Who has backups made while the terminal sells: when, and what is said of it. The child is a real process."""

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec

from drivers.hotplug import Watcher
from store.backup_medium import list_backups
from terminald.backup_keeper import Answer, BackupKeeper, Shown, backup_facts, command_of
from terminald.clock import SystemClock
from terminald.config import load
from tests.media import medium
from tests.store.backups import NAME, terminal_in
from tests.tills import eventually

NEWEST = Shown(name="001-0000000007-20260101T000000Z", path="/", seq=7)


def saying(answer: Answer, log: Path) -> tuple[str, ...]:
    """A child that notes that it ran, and answers."""
    script = "import sys; open(sys.argv[1], 'a').write('ran\\n'); print(sys.argv[2])"
    return (sys.executable, "-c", script, str(log), msgspec.json.encode(answer).decode())


def runs(log: Path) -> int:
    return len(log.read_text().splitlines()) if log.exists() else 0


def ran(log: Path, count: int) -> Callable[[], bool]:
    return lambda: runs(log) >= count


def faulty(keeper: BackupKeeper) -> Callable[[], bool]:
    return lambda: keeper.fault is not None


def told(keeper: BackupKeeper) -> list[str]:
    return [each.id for each in keeper.conditions()]


@contextlib.asynccontextmanager
async def keeping(
    command: Sequence[str], *, every_h: float = 1.0, retry_s: float = 900.0, plug: asyncio.Event | None = None
) -> AsyncIterator[BackupKeeper]:
    keeper = BackupKeeper(
        command=tuple(command), every_h=every_h, clock=SystemClock(), changed=lambda: None, first_after_s=0.0,
        retry_s=retry_s,
    )  # fmt: skip
    event = plug or asyncio.Event()

    async def plugged() -> None:
        await event.wait()
        event.clear()

    task = asyncio.create_task(keeper.run(plugged), name="keeper")
    try:
        yield keeper
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def made(age_h: float) -> Answer:
    stamp = SystemClock().stamp()
    return Answer(made=True, newest=msgspec.structs.replace(NEWEST, time_ms=stamp.time_ms - int(age_h * 3_600_000)))


async def test_its_age_is_told(tmp_path: Path) -> None:
    async with keeping(saying(made(0.5), tmp_path / "log")) as keeper:
        assert backup_facts(keeper)["backup_age_s"] is None
        await eventually(lambda: keeper.newest is not None)
        facts = backup_facts(keeper)
        assert isinstance(facts["backup_age_s"], int)
        assert 1_800 <= facts["backup_age_s"] < 1_830
        assert (facts["backup_seq"], facts["backup_fault"]) == (7, None)
        assert told(keeper) == []
    assert backup_facts(None)["backup_age_s"] is None


async def test_another_one_is_made_when_it_is_due_and_when_something_is_plugged_in(tmp_path: Path) -> None:
    plug = asyncio.Event()
    async with keeping(saying(made(0), tmp_path / "log"), every_h=1 / 3_600, plug=plug):
        await eventually(lambda: runs(tmp_path / "log") >= 3)
    other = tmp_path / "other"
    async with keeping(saying(made(0), other), plug=plug):
        await eventually(lambda: runs(other) == 1)
        plug.set()
        await eventually(lambda: runs(other) == 2)


async def test_what_is_wrong_is_on_the_screen_and_it_is_tried_again(tmp_path: Path) -> None:
    for fault, shown in (
        ("backup-no-room", "backup-no-room"),
        ("backup-read-only", "backup-read-only"),
        ("backup-unfit", "backup-unfit"),
        ("journal-damaged", "backup-failed"),
    ):
        log = tmp_path / fault
        async with keeping(saying(Answer(made=False, fault=fault, message="x"), log), retry_s=0.1) as keeper:
            await eventually(ran(log, 2))
            assert told(keeper) == [shown]
            assert backup_facts(keeper)["backup_fault"] == fault


async def test_a_stick_in_the_drawer_is_no_fault_until_a_backup_is_overdue(tmp_path: Path) -> None:
    log, answers = tmp_path / "log", tmp_path / "answers"
    absent = Answer(made=False, fault="backup-target-missing", message="x")
    script = (
        "import sys; lines = open(sys.argv[1]).read().splitlines(); print(lines[0]);"
        "open(sys.argv[1], 'w').write('\\n'.join(lines[1:] or lines)); open(sys.argv[2], 'a').write('ran\\n')"
    )
    command = (sys.executable, "-c", script, str(answers), str(log))
    for age_h, shown in ((1.5, []), (3.0, ["backup-overdue"])):
        log.unlink(missing_ok=True)
        answers.write_text("\n".join(msgspec.json.encode(each).decode() for each in (made(age_h), absent)))
        plug = asyncio.Event()
        async with keeping(command, plug=plug) as keeper:
            await eventually(lambda: runs(log) == 1)
            plug.set()
            await eventually(faulty(keeper))
            assert told(keeper) == shown


async def test_a_child_that_dies_or_talks_nonsense_is_a_fault(tmp_path: Path) -> None:
    for script in ("import os; os.kill(os.getpid(), 9)", "print('hello')"):
        async with keeping((sys.executable, "-c", script)) as keeper:
            await eventually(faulty(keeper))
            assert (keeper.fault, told(keeper)) == ("backup-failed", ["backup-failed"])


async def test_a_child_that_hangs_holds_up_nobody(tmp_path: Path) -> None:
    script = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(flush=True); time.sleep(60)"
    began_s = asyncio.get_running_loop().time()
    async with keeping((sys.executable, "-c", script)):
        await asyncio.sleep(0.5)
    assert asyncio.get_running_loop().time() - began_s < 10


async def test_a_stick_that_appears_gets_its_backup(tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    with terminal_in(tmp_path / "till") as till:
        config = till.folder / "terminal.toml"
        config.write_text(f'{config.read_text()}[backup]\npath = "{stick}"\npolicy = "separate"\n')
        loaded = load(config)
        stick.mkdir()
        async with Watcher([stick], media=True) as watcher:
            keeper = BackupKeeper(
                command=command_of(loaded), every_h=24, clock=SystemClock(), changed=lambda: None, first_after_s=0
            )
            task = asyncio.create_task(keeper.run(watcher.wait), name="keeper")
            try:
                await eventually(lambda: keeper.fault == "backup-target-missing")
                with medium(stick, size="16m"):
                    await eventually(lambda: keeper.newest is not None and keeper.fault is None)
                    (found,) = list_backups(stick, NAME, till.keys.backup)
                    assert found.manifest is not None
                    assert found.manifest.end == till.head
                    assert not keeper.same_medium
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task


def test_the_answer_reads_as_it_is_written() -> None:
    answer = made(1)
    assert msgspec.convert(json.loads(msgspec.json.encode(answer)), Answer) == answer
