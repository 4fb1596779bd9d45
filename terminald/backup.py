"""Backups: the commands.

``backup now``     makes one, verifies it and removes those that are not to be kept; status 1 where none could be made
``backup list``    what is on the medium; status 1 where no backup is whole by its manifest
``backup verify``  reads backups back, to the last record; status 1 where one is not whole
"""

import argparse
import contextlib
import importlib.metadata
import os
import sys
from pathlib import Path

import msgspec

from core.ports import JournalError
from store import backup as kept
from store.backup import Source, Subject, make_backup
from store.backup_medium import Listed, list_backups
from store.errors import BackupMissing, BackupTargetMissing, JournalMissing
from terminald import paths
from terminald.backup_keeper import Answer, Shown
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.clock import SystemClock
from terminald.config import Config

NICE = 10


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
