"""Backups: the commands, and who makes them while the terminal sells.

``backup now``     makes one, verifies it and removes those that are not to be kept; status 1 where none could be made
``backup list``    what is on the medium; status 1 where no backup is whole by its manifest
``backup verify``  reads backups back, to the last record; status 1 where one is not whole

The daemon runs ``backup now`` as a process of its own, at low priority: checking a hundred thousand records takes seconds
of Python, in which a thread of the daemon would hold up its sales, and a medium that hangs shall hang nobody else.
"""

import argparse
import asyncio
import contextlib
import importlib.metadata
import logging
import os
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from core.ports import Clock, JournalError
from core.text import Message, message
from store import backup as kept
from store.backup import Listed, Source, Subject, list_backups, make_backup
from store.errors import BackupMissing, BackupTargetMissing, JournalMissing
from terminald import paths
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.clock import SystemClock
from terminald.config import Config

NICE = 10
FIRST_AFTER_S = 20.0
"""A start is left alone for so long before a backup that is due is begun."""
RETRY_S = 900.0
PLUG_PAUSE_S = 2.0
"""What is plugged in is given so long to settle; and media that come and go cost no more than that allows."""
LIMIT_S = 5 * 3600.0
"""A backup that is not done by then never will be."""
STOP_S = 1.0
ANSWER_BYTES_MAX = 1 << 20
FAULTS = (
    "backup-no-room", "backup-read-only", "backup-target-lost", "backup-too-slow", "backup-unfit", "backup-failed",
)  # fmt: skip
"""What may be wrong with backups, by the ids of what the screen says."""

_log = logging.getLogger(__name__)


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """A backup as the commands tell of it; `fault` says why it cannot be used, all else is then as far as it is known."""

    name: str
    path: str
    epoch: str = ""
    seq: int = 0
    time_ms: int = 0
    clock: str = ""
    software: str = ""
    bytes: int = 0
    recoverable: bool = False
    fault: str | None = None


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What ``backup now`` says: whether one was made, the newest one, or what went wrong."""

    made: bool
    newest: Shown | None = None
    same_medium: bool = False
    fault: str | None = None
    message: str = ""


# --- the commands ------------------------------------------------------------------------------------------------


def now_backup(given: argparse.Namespace) -> int:
    """``terminald backup now``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    target = _target(config, given)
    if target is None:
        return fail("there is no [backup] path in the configuration; name a folder with --target")
    with contextlib.suppress(OSError):
        os.nice(NICE)
    try:
        answer = _made(config, target, given.unless_within)
    except (JournalError, OSError) as error:
        code = getattr(error, "code", "backup-failed")
        if given.json:
            emit(Answer(made=False, fault=code, message=str(error)))
        return fail(f"{error} ({code}). {getattr(error, 'remedy', '')}".rstrip(), FINDING)
    if given.json:
        emit(answer)
    elif answer.newest is not None:
        print(f"{'made' if answer.made else 'recent enough'}: {_line(answer.newest)}")
        if not answer.newest.recoverable:
            print("no recovery key is set: only with this terminal's own key files can it be opened", file=sys.stderr)
        if answer.same_medium:
            print("it is on the same medium as the journal: it does not survive that medium", file=sys.stderr)
    return 0


def list_backup(given: argparse.Namespace) -> int:
    """``terminald backup list``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        found = _found(config, given)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}", FINDING)
    shown = [show(each) for each in found]
    if given.json:
        emit({"backups": shown})
    else:
        for each in shown:
            print(_line(each))
    return 0 if any(each.fault is None for each in shown) else FINDING


def verify_backup(given: argparse.Namespace) -> int:
    """``terminald backup verify``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        key = paths.load_keys(config).backup
        found = _found(config, given, key)
    except JournalError as error:
        return fail(f"{error} ({error.code}). {error.remedy}", FINDING)
    if given.name:
        found = [each for each in found if each.path.name == given.name]
        if not found:
            return fail(f"there is no backup {given.name}", FINDING)
    elif not given.all:
        found = found[:1]
    shown = [_verified(each, key) for each in found]
    if given.json:
        emit({"backups": shown})
    else:
        for each in shown:
            print(f"{'whole' if each.fault is None else 'NOT WHOLE'}: {_line(each)}")
    return 0 if all(each.fault is None for each in shown) else FINDING


def subject_of(config: Config) -> Subject:
    """What is backed up of a terminal. Raises JournalError."""
    if not config.journal.exists():
        raise JournalMissing(f"there is no {config.journal.name}")
    keys = paths.load_keys(config)
    signing = config.journal_key.with_name(paths.SIGNING_KEY)
    databases = (
        Source(purpose="journal", path=config.journal, key=keys.journal),
        Source(purpose="catalogue", path=config.catalogue, key=keys.catalogue),
        Source(purpose="customers", path=config.customers, key=keys.customers),
        Source(purpose="credentials", path=config.credentials, key=keys.credentials),
    )
    return Subject(
        terminal=config.terminal,
        sources=databases,
        files=(paths.key_store(config).ring.path, signing),
        backup_key=keys.backup,
        signer=paths.open_signer(config, keys),
        recoverable=keys.recovery_public is not None,
        software=importlib.metadata.version("terminald"),
    )


def show(listed: Listed) -> Shown:
    """A backup as the commands tell of it."""
    manifest, name, path = listed.manifest, listed.path.name, str(listed.path)
    if manifest is None:
        return Shown(name=name, path=path, fault=f"{listed.fault.code}: {listed.fault}" if listed.fault else "")
    return Shown(
        name=name,
        path=path,
        epoch=manifest.epoch,
        seq=manifest.seq,
        time_ms=manifest.time_ms,
        clock=manifest.clock,
        software=manifest.software,
        bytes=sum(each.bytes for each in manifest.files),
        recoverable=manifest.recoverable,
        fault=f"{listed.fault.code}: {listed.fault}" if listed.fault else None,
    )


def _made(config: Config, target: Path, unless_within_h: float) -> Answer:
    if not target.is_dir():
        raise BackupTargetMissing(f"there is no folder {target}")
    same_medium = target.stat().st_dev == config.journal.parent.stat().st_dev
    if config.backup is not None and config.backup.policy == "separate" and same_medium:
        raise BackupTargetMissing(f"at {target} there is no medium of its own")
    stamp = SystemClock().stamp()
    subject = subject_of(config)
    if unless_within_h:
        with contextlib.suppress(BackupMissing):
            newest = next(
                (each for each in list_backups(target, config.terminal, subject.backup_key) if each.manifest), None
            )
            if newest is not None and newest.manifest is not None:
                age_h = (stamp.time_ms - newest.manifest.time_ms) / 3_600_000
                if 0 <= age_h < unless_within_h:
                    return Answer(made=False, newest=show(newest), same_medium=same_medium)
    keep = config.backup.keep if config.backup is not None else 7
    made = make_backup(target, subject, stamp, keep=keep)
    return Answer(made=True, newest=show(made), same_medium=same_medium)


def _found(config: Config, given: argparse.Namespace, key: bytes | None = None) -> list[Listed]:
    target = _target(config, given)
    if target is None:
        raise BackupMissing("there is no [backup] path in the configuration; name a folder with --target")
    if key is None:
        with contextlib.suppress(JournalError):
            key = paths.load_keys(config).backup
    return list_backups(target, config.terminal, key)


def _target(config: Config, given: argparse.Namespace) -> Path | None:
    if given.target is not None:
        return Path(given.target)
    return config.backup.path if config.backup is not None else None


def _verified(listed: Listed, key: bytes) -> Shown:
    if listed.manifest is None:
        return show(listed)
    try:
        kept.verify_backup(listed.path, listed.manifest, key)
    except (JournalError, OSError) as error:
        fault = f"{getattr(error, 'code', 'backup-damaged')}: {error}"
        return msgspec.structs.replace(show(listed), fault=fault)
    return show(listed)


def _line(shown: Shown) -> str:
    if shown.fault is not None and not shown.epoch:
        return f"{shown.name}  {shown.fault}"
    end = f"record {shown.seq} of {shown.epoch[:8]}"
    return f"{shown.name}  {end}  {shown.bytes / (1 << 20):.1f} MiB  {shown.fault or ''}".rstrip()


# --- while it sells ----------------------------------------------------------------------------------------------


class BackupKeeper:
    """Has a backup made whenever one is due. `command` is the child process, which answers with an `Answer`."""

    def __init__(
        self,
        *,
        command: tuple[str, ...],
        every_h: float,
        clock: Clock,
        changed: Callable[[], None],
        first_after_s: float = FIRST_AFTER_S,
        retry_s: float = RETRY_S,
    ) -> None:
        self.fault: str | None = None
        """Why there is no newer backup: a stable code."""
        self.same_medium = False
        self._command = command
        self._every_s = every_h * 3600
        self._clock = clock
        self._changed = changed
        self._first_after_s = first_after_s
        self._retry_s = retry_s
        self._newest: tuple[Shown, float, float] | None = None
        """The newest backup, its age when it was looked at, and when that was."""

    @property
    def newest(self) -> Shown | None:
        """The newest backup that is known."""
        return self._newest[0] if self._newest else None

    def age_s(self) -> int | None:
        """How old it is; None where none is known."""
        if self._newest is None:
            return None
        _, age_s, looked_s = self._newest
        return int(age_s + self._clock.monotonic_s() - looked_s)

    def conditions(self) -> tuple[Message, ...]:
        """What is wrong, for the screen. A medium that is not there is no fault until a backup is overdue."""
        if self.fault is not None and self.fault not in ("backup-target-missing", "backup-in-use"):
            return (message(self.fault if self.fault in FAULTS else "backup-failed"),)
        age_s = self.age_s()
        if self.fault == "backup-target-missing" and (age_s is None or age_s > 2 * self._every_s):
            return (message("backup-overdue", hours=(age_s or 0) // 3600),)
        return ()

    def facts(self) -> dict[str, str | int | float | bool | None]:
        """For telemetry."""
        newest = self.newest
        return {
            "backup_age_s": self.age_s(),
            "backup_seq": newest.seq if newest else 0,
            "backup_fault": self.fault,
            "backup_same_medium": self.same_medium,
        }

    async def run(self, plugged: Callable[[], Awaitable[None]]) -> None:
        """Runs until cancelled. `plugged` waits until something was plugged in or taken out."""
        await self._clock.sleep(self._first_after_s)
        while True:
            self._take(await self._child())
            pause_s = self._retry_s
            if self.fault is None:
                pause_s = max(self._every_s - (self.age_s() or 0), self._every_s / 100)
            try:
                async with asyncio.timeout(pause_s):
                    await plugged()
            except TimeoutError:
                continue
            await self._clock.sleep(PLUG_PAUSE_S)

    def _take(self, answer: Answer) -> None:
        if answer.newest is not None:
            age_s = max(0.0, (self._clock.stamp().time_ms - answer.newest.time_ms) / 1000)
            self._newest = answer.newest, age_s, self._clock.monotonic_s()
            self.same_medium = answer.same_medium
        if answer.fault != self.fault and answer.fault is not None:
            _log.warning("no backup: %s", answer.message, extra={"fault": answer.fault})
        if answer.made and answer.newest is not None:
            _log.info("backup made", extra={"seq": answer.newest.seq, "bytes": answer.newest.bytes})
        self.fault = answer.fault
        self._changed()

    async def _child(self) -> Answer:
        """Runs the command and reads its answer. One that hangs is ended; one that cannot even be ended is left."""
        process = await asyncio.create_subprocess_exec(
            *self._command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        try:
            async with asyncio.timeout(LIMIT_S):
                said = await process.stdout.read(ANSWER_BYTES_MAX)
                await process.wait()
            return msgspec.json.decode(said, type=Answer)
        except TimeoutError:
            return Answer(made=False, fault="backup-too-slow", message="the medium for backups does not answer")
        except msgspec.DecodeError:
            status = process.returncode
            return Answer(made=False, fault="backup-failed", message=f"the backup process ended with {status}")
        finally:
            await _end(process)


def command_of(config: Config) -> tuple[str, ...]:
    """The child process that makes a backup of a terminal where one is due."""
    assert config.file is not None
    assert config.backup is not None
    flags = ("--json", "--unless-within", str(config.backup.every_h * 0.98))
    return (sys.executable, "-P", "-m", "terminald", "backup", "now", "--config", str(config.file), *flags)


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for ending in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            ending()
            async with asyncio.timeout(STOP_S):
                await process.wait()
                return
