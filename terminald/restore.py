"""``terminald journal restore``: a terminal on a new medium, from the newest backup that is whole.

Nothing that opens is ever written over. The keys come from what is here, or with the organisation's recovery key from the
keyring in the backup. The journal goes on in a new epoch; the daemon, once it is started, gets back from headquarters what
the backup lacks (`terminald.recall`). Cut off at any point, the command is given again.
"""

import argparse
import asyncio
import getpass
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from core.entries import RESTORED
from core.ports import JournalError
from core.recall import Holdings
from store.backup_format import FILE_BYTES_MAX, Manifest
from store.backup_medium import Listed, list_backups
from store.database import claim
from store.epochs import Founding
from store.errors import (
    BackupDamaged,
    BackupKeyOther,
    BackupMissing,
    KeyMissing,
    KeyringForeign,
    RestoreRefused,
)
from store.keys import Keys, KeyStore, TerminalSigner
from store.keys_files import write_private
from store.keys_recovery import load_recovery, recover
from store.keys_rotate import finish
from store.restore import Restored, Target, check_backup, is_there, restore_database, restore_journal, set_aside
from terminald import paths
from terminald.broker import brokers_of
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.clock import SystemClock
from terminald.config import Config
from terminald.recall import ask_holdings

HEADQUARTERS_TIMEOUT_S = 5.0
"""How long headquarters is asked how far the numbers went; the till sells without it."""
PASSPHRASE_BYTES_MAX = 1_024


class Skipped(msgspec.Struct, frozen=True, kw_only=True):
    """A backup that was not taken, and why."""

    name: str
    fault: str


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What was done: from which backup, where its journal ended, the new epoch, and what it is numbered from.

    `missing` are the records of the backup's epoch that headquarters has beyond it, as far as it was `asked`; `aside` the
    files that did not open and have another name now; `databases` what was put in place.
    """

    backup: str
    epoch: str
    seq: int
    new_epoch: str
    next_number: int
    asked: bool
    missing: int
    databases: tuple[str, ...]
    aside: tuple[str, ...]
    skipped: tuple[Skipped, ...]


def restore(given: argparse.Namespace) -> int:
    """``terminald journal restore``."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        lock = claim(config.journal)
        try:
            outcome = _restore(config, given)
        finally:
            os.close(lock)
    except JournalError as error:
        if given.json:
            emit({"fault": error.code, "message": str(error), "remedy": error.remedy})
        return fail(f"{error} ({error.code}). {error.remedy}", FINDING)
    except OSError as error:
        return fail(f"{error.filename or given.source}: {error.strerror}")
    if given.json:
        emit(outcome)
    else:
        print("\n".join(_words(outcome)))
    return 0


def _restore(config: Config, given: argparse.Namespace) -> Outcome:
    candidates = list_backups(given.source, config.terminal)
    if (fault := candidates[0].fault) is not None and all(each.manifest is None for each in candidates):
        raise fault
    store = paths.key_store(config)
    if store.ring.exists() or config.journal_key.exists():
        _refuse_journal(config, store)
    keys = _keys(store, candidates, given.recovery_key)
    if is_there(config.journal, keys.journal):
        raise RestoreRefused(f"{config.journal.name} is there, and it opens")
    skipped: list[Skipped] = []
    for candidate in candidates:
        try:
            manifest = check_backup(candidate, config.terminal, keys.backup)
            return _from(config, candidate, manifest, keys, skipped)
        except (JournalError, OSError) as error:
            if isinstance(error, OSError) and not isinstance(error, JournalError) and not candidate.path.is_dir():
                raise  # the medium was pulled out: it is not this backup's fault
            skipped.append(Skipped(name=candidate.path.name, fault=f"{getattr(error, 'code', 'unreadable')}: {error}"))
            print(f"{skipped[-1].name} is not taken: {skipped[-1].fault}", file=sys.stderr)
    if len(candidates) == len(skipped) and all(each.fault.startswith(BackupKeyOther.code) for each in skipped):
        raise BackupKeyOther(f"all {len(skipped)} were made under other keys than those that are here")
    raise BackupDamaged("; ".join(f"{each.name}: {each.fault}" for each in skipped))


def _from(config: Config, candidate: Listed, manifest: Manifest, keys: Keys, skipped: Sequence[Skipped]) -> Outcome:
    signer = _signer(config, candidate, manifest, keys)
    known = _ask(config, signer)
    aside: list[str] = []
    placed: list[str] = []
    for target in _targets(config, keys):
        if is_there(target.path, target.key):
            continue  # newer than the backup's, or put there before this was cut off
        aside += _set_aside(target.path)
        if restore_database(candidate, keys.backup, target):
            placed.append(target.path.name)
    aside += _set_aside(config.journal)
    founding = Founding(
        terminal=config.terminal, signing_key=signer.public_key, stamp=SystemClock().stamp(), reason=RESTORED
    )
    journal = Target(purpose="journal", path=config.journal, key=keys.journal)
    restored = restore_journal(candidate, manifest, keys.backup, journal, founding, known)
    return _outcome(candidate, restored, known, (*placed, config.journal.name), aside, skipped)


def _targets(config: Config, keys: Keys) -> tuple[Target, ...]:
    return (
        Target(purpose="catalogue", path=config.catalogue, key=keys.catalogue),
        Target(purpose="customers", path=config.customers, key=keys.customers),
        Target(purpose="credentials", path=config.credentials, key=keys.credentials),
    )


def _set_aside(path: Path) -> list[str]:
    aside = set_aside(path)
    return [aside.name] if aside is not None else []


def _outcome(
    candidate: Listed,
    restored: Restored,
    known: Holdings | None,
    databases: tuple[str, ...],
    aside: Sequence[str],
    skipped: Sequence[Skipped],
) -> Outcome:
    return Outcome(
        backup=candidate.path.name,
        epoch=restored.end.epoch,
        seq=restored.end.seq,
        new_epoch=restored.epoch,
        next_number=restored.number + 1,
        asked=known is not None,
        missing=restored.missing,
        databases=databases,
        aside=tuple(aside),
        skipped=tuple(skipped),
    )


# --- keys --------------------------------------------------------------------------------------------------------


def _refuse_journal(config: Config, store: KeyStore) -> None:
    """Before anything is changed: a journal that the keys here open is never touched."""
    try:
        key = store.load().journal
    except JournalError:
        return
    if is_there(config.journal, key):
        raise RestoreRefused(f"{config.journal.name} is there, and it opens")


def _keys(store: KeyStore, candidates: Sequence[Listed], recovery_key: Path | None) -> Keys:
    """The terminal's keys: those that are here, or those of a backup, opened by the root that is here or recovered.

    Raises JournalError; then no file was left that was not there.
    """
    private = load_recovery(recovery_key, _passphrase) if recovery_key is not None else None
    if store.ring.exists():
        try:
            return store.load()
        except (KeyMissing, KeyringForeign):
            if private is None:
                raise
            return _recovered(store, private)
    fault: JournalError = BackupMissing("no backup there has a keyring")
    for ring in _keyrings(candidates, store.ring.path.name):
        write_private(store.ring.path, ring)
        try:
            return _recovered(store, private) if private is not None else store.load()
        except JournalError as error:
            store.ring.path.unlink(missing_ok=True)
            fault = error
    if isinstance(fault, KeyMissing):
        raise KeyMissing(f"{fault}: the keys of the terminal that made the backup are not here") from fault
    raise fault


def _recovered(store: KeyStore, private: bytes) -> Keys:
    if recover(store, private).needed:
        finish(store)
    return store.load()


def _keyrings(candidates: Sequence[Listed], name: str) -> list[bytes]:
    """The keyrings in the backups, the newest first, each once."""
    found: dict[bytes, None] = {}
    for candidate in candidates:
        path = candidate.path / name
        if candidate.manifest is not None and path.exists():
            with path.open("rb") as file:
                found[file.read(FILE_BYTES_MAX)] = None
    return list(found)


def _signer(config: Config, candidate: Listed, manifest: Manifest, keys: Keys) -> TerminalSigner:
    """The terminal's signing key, from here or from the backup: headquarters knows it by that one alone."""
    path = config.journal_key.with_name(paths.SIGNING_KEY)
    if not path.exists():
        content = next((candidate.path / each.name for each in manifest.files if each.name == path.name), None)
        if content is None:
            raise BackupDamaged("there is no signing key in it")
        write_private(path, content.read_bytes())
    signer = TerminalSigner.open(path, keys, ())
    if signer.public_key.hex() != manifest.signing_key:
        raise BackupKeyOther(f"{path.name} is not the key that signed this backup")
    return signer


def _passphrase() -> bytes:
    if sys.stdin.isatty():
        return getpass.getpass("Passphrase of the recovery key: ").encode()
    return sys.stdin.buffer.readline(PASSPHRASE_BYTES_MAX).rstrip(b"\r\n")


# --- headquarters ------------------------------------------------------------------------------------------------


def _ask(config: Config, signer: TerminalSigner) -> Holdings | None:
    headquarters = config.headquarters
    if headquarters is None:
        return None
    for broker in brokers_of(headquarters):
        asking = ask_holdings(broker, config.terminal, signer, headquarters.ack_key, HEADQUARTERS_TIMEOUT_S)
        if (known := asyncio.run(asking)) is not None:
            return known
    return None


def _words(outcome: Outcome) -> list[str]:
    words = [
        f"restored from {outcome.backup}: records up to {outcome.seq} of epoch {outcome.epoch}",
        f"the journal goes on in epoch {outcome.new_epoch}; the next sale is number {outcome.next_number}",
    ]
    if outcome.aside:
        words.append(f"did not open, and were set aside: {', '.join(outcome.aside)}")
    if not outcome.asked:
        words.append("headquarters could not be asked: what the backup lacks comes back once it answers")
    elif outcome.missing:
        words.append(f"headquarters has {outcome.missing} records more: start the daemon, and they come back")
    else:
        words.append("headquarters has nothing of that epoch beyond the backup")
    return words
