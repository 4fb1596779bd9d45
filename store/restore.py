"""From a backup to databases that a terminal can run with, under its own keys.

Each database is copied beside its place, page by page and under the key that it is to have, brought up to date, checked,
flushed, and then renamed. The journal comes last: as long as it is not there the restore was not done, and is done again
from the beginning. It gets a new epoch before it gets its name, so nothing can ever be added to the epoch that went on
elsewhere after the backup.
"""

import os
import secrets
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import RESTORED
from core.ledger import Head
from core.recall import Holdings
from store.anchor import UNBOUND, anchor_path
from store.backup import check_copy, copy_pages
from store.backup_format import Manifest, check_files, key_of, read_manifest
from store.backup_medium import Listed
from store.database import Schema, connect, explain, migrate, open_database, read_database, sync_folder
from store.epochs import Cause, Founding, Place, open_next, resume
from store.errors import BackupDamaged, BackupForeign, JournalError, JournalNoSpace

ENDING = ".restoring"
SKIPPED = 10_000
"""Transaction numbers left out where headquarters says how far they went: what it never got were fewer."""
SKIPPED_BLIND = 100_000
"""As many where nobody says so."""
EPOCHS_RESERVED = 64
"""Places left free for epochs that were opened after the backup and that headquarters may send back."""
_LOGS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Where a database is to be, and under which key."""

    purpose: Schema
    path: Path
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a journal was restored to: where the backup's ended, and the epoch that goes on from there."""

    end: Head
    epoch: str
    number: int
    missing: int
    """Records of the backup's epoch that headquarters has and the backup has not, as far as it was asked."""


def is_there(path: Path, key: bytes) -> bool:
    """Whether there is a database that opens."""
    if not path.exists():
        return False
    try:
        read_database(path, key).close()
    except JournalError:
        return False
    return True


def check_backup(listed: Listed, terminal: str, backup_key: bytes) -> Manifest:
    """The manifest of a backup of this terminal whose files are all as it says. Raises JournalError, OSError."""
    if listed.fault is not None:
        raise listed.fault
    manifest = read_manifest(listed.path, backup_key)
    if manifest.terminal != terminal:
        raise BackupForeign(f"it is a backup of {manifest.terminal}, not of {terminal}")
    if not any(each.purpose == "journal" for each in manifest.files):
        raise BackupDamaged("there is no journal in it")
    check_files(listed.path, manifest)
    return manifest


def restore_database(listed: Listed, backup_key: bytes, place: Target) -> bool:
    """Puts a database other than the journal in its place, if the backup has it. Raises JournalError, OSError."""
    staged = _stage(listed, backup_key, place)
    if staged is None:
        return False
    _put(staged, place.path)
    return True


def restore_journal(
    listed: Listed, manifest: Manifest, backup_key: bytes, place: Target, founding: Founding, known: Holdings | None
) -> Restored:
    """Puts the journal in its place, with a new epoch. `known` is what headquarters holds, where it could be asked.

    Raises JournalError, OSError.
    """
    staged = _stage(listed, backup_key, place)
    if staged is None:
        raise BackupDamaged("there is no journal in it")
    check_copy(staged, place.key, "journal", manifest.end)
    restored = _open_epoch(staged, place.key, founding, known)
    anchor_path(place.path).unlink(missing_ok=True)  # of a journal that was there before
    _put(staged, place.path)
    return restored


def set_aside(path: Path) -> Path | None:
    """Renames a database that does not open, with its logs and its anchor; gives its new name. Nothing is deleted."""
    if not path.exists():
        return None
    named = (path.with_name(f"{path.name}.aside-{number}") for number in count(1))
    aside = next(each for each in named if not each.exists())
    for log in _LOGS:
        beside = path.with_name(path.name + log)
        if beside.exists():
            beside.rename(aside.with_name(aside.name + log))
    if anchor_path(path).exists() and path.suffix == ".db":
        anchor_path(path).rename(aside.with_name(aside.name + ".anchor"))
    path.rename(aside)
    sync_folder(path.parent)
    return aside


def _stage(listed: Listed, backup_key: bytes, place: Target) -> Path | None:
    """A copy under the terminal's own key, brought up to date, under another name."""
    source = listed.path / f"{place.purpose}.db"
    if not source.exists():
        return None
    staged = place.path.with_name(place.path.name + ENDING)
    _clear(staged)
    source_key = key_of(source, backup_key, place.purpose)
    try:
        with closing(read_database(source, source_key)) as old:
            copy_pages(old, staged, place.key, _nothing)
        with closing(connect(staged, place.key, exclusive=True)) as new:
            new.execute("PRAGMA journal_mode = WAL")
            migrate(new, place.purpose)
    except sqlcipher.Error as error:
        raise explain(source, source_key, error) from error
    return staged


def _open_epoch(staged: Path, key: bytes, founding: Founding, known: Holdings | None) -> Restored:
    with closing(open_database(staged, key, "journal")) as connection:
        place = resume(connection)
        end = place.chain.head
        names = {row[0] for row in connection.execute("SELECT id FROM epoch")}
        top = _top(known, end.epoch)
        cause = Cause(
            reason=RESTORED,
            number=known.number if known is not None else 0,
            skip=SKIPPED if known is not None else SKIPPED_BLIND,
            lost_seq=top,
        )
        all_known = known is not None and all(each.epoch in names for each in known.epochs)
        ordinal = place.ordinal + (0 if all_known else EPOCHS_RESERVED)
        connection.execute("BEGIN IMMEDIATE")
        # Another medium, and no anchor yet: what the backup knows of its own is not true of this one.
        connection.execute("UPDATE anchoring SET key = ?, binding = ?, kept = 0", (secrets.token_bytes(32), UNBOUND))
        opened_at, opened = open_next(connection, Place(ordinal, place.chain), founding, cause)
        connection.execute("COMMIT")
        new = opened_at.chain.head
    return Restored(end=end, epoch=new.epoch, number=opened.number, missing=max(0, top - end.seq))


def _top(known: Holdings | None, epoch: str) -> int:
    if known is None:
        return 0
    return next((each.top_seq for each in known.epochs if each.epoch == epoch), 0)


def _put(staged: Path, path: Path) -> None:
    """Flushes a staged database, and gives it its name; no log of another one may lie beside it."""
    descriptor = os.open(staged, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    log = staged.with_name(staged.name + "-wal")
    if log.exists() and log.stat().st_size:
        raise JournalNoSpace(f"the log of {staged.name} could not be folded into it")
    _clear_logs(staged)
    _clear_logs(path)
    staged.rename(path)
    sync_folder(path.parent)


def _clear(path: Path) -> None:
    path.unlink(missing_ok=True)
    _clear_logs(path)


def _clear_logs(path: Path, logs: Sequence[str] = _LOGS) -> None:
    for log in logs:
        path.with_name(path.name + log).unlink(missing_ok=True)


def _nothing() -> None:
    pass
