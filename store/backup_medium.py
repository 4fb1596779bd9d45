"""The medium that backups lie on: whose turn it is, what is there, what goes, and what its errors mean."""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlcipher3 import dbapi2 as sqlcipher

from store.backup_format import MANIFEST, NAME, Manifest, check_files, folder_of, order_of, read_manifest
from store.database import sync_folder
from store.errors import (
    BackupDamaged,
    BackupForeign,
    BackupInUse,
    BackupMissing,
    BackupNoRoom,
    BackupReadOnly,
    BackupTargetLost,
    BackupTargetMissing,
    JournalError,
)

_FULL, _READ_ONLY, _IO = 13, 8, 10  # https://sqlite.org/rescode.html


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """A backup on a medium: what it says of itself, or why it cannot be used."""

    path: Path
    manifest: Manifest | None
    fault: JournalError | None = None


def list_backups(place: Path, terminal: str, backup_key: bytes | None = None) -> list[Listed]:
    """The backups of a terminal, the newest first; `place` is the medium's folder, or that of one backup.

    With the backup key each manifest is proven; the files are not read. Raises BackupMissing where there is none.
    """
    own = folder_of(place, terminal)
    folders = [own / name for name in _names(own)]
    if (place / MANIFEST).exists():
        folders.append(place)
    if not folders:
        raise BackupMissing(f"there is no backup of {terminal} in {place}")
    return [_listed(folder, terminal, backup_key) for folder in folders]


def make_room(folder: Path, needed: int, backup_key: bytes) -> None:
    """Removes the oldest backups until a new one fits, all but the newest that is whole. Raises BackupNoRoom."""
    if _free_bytes(folder) >= needed:
        return
    names = _names(folder)
    whole = next((name for name in names if _is_whole(folder / name, backup_key)), None)
    for name in reversed(names):
        if name != whole:
            _remove(folder / name)
            if _free_bytes(folder) >= needed:
                return
    raise BackupNoRoom(f"a backup needs {needed >> 20} MiB, and {_free_bytes(folder) >> 20} MiB are free")


def rotate(folder: Path, keep: int) -> None:
    """Keeps the newest backups, and the last of each of the newest days; removes the others."""
    days: dict[str, str] = {}
    names = _names(folder)
    for name in names:
        with contextlib.suppress(JournalError):
            days.setdefault(read_manifest(folder / name, None).day, name)
    kept = {*names[:keep], *list(days.values())[:keep]}
    for name in names:
        if name not in kept:
            _remove(folder / name)


def remove_unfinished(folder: Path) -> None:
    for name in _names(folder):
        if not (folder / name / MANIFEST).exists():
            _remove(folder / name)


@contextmanager
def held(target: Path, terminal: str) -> Iterator[Path]:
    """The terminal's folder on the medium, with nobody else writing to it."""
    if not target.is_dir():
        raise BackupTargetMissing(f"there is no folder {target}")
    folder = folder_of(target, terminal)
    folder.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupInUse(f"another backup is being written to {folder}") from None
        yield folder
    finally:
        os.close(descriptor)


@contextmanager
def explained(target: Path) -> Iterator[None]:
    """What an error of the system or of SQLite means for the medium for backups."""
    try:
        yield
    except JournalError:
        raise
    except (OSError, sqlcipher.Error) as error:
        number = getattr(error, "errno", 0)
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG) or code == _FULL:
            raise BackupNoRoom(f"{target} is full") from error
        if number in (errno.EROFS, errno.EACCES, errno.EPERM) or code == _READ_ONLY:
            raise BackupReadOnly(f"{target} cannot be written: {error}") from error
        raise BackupTargetLost(f"{target}: {error}") from error


def is_of_target(error: sqlcipher.Error, folder: Path) -> bool:
    """Whether an error of a copy is the medium's fault rather than the source's."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (_FULL, _READ_ONLY, _IO) or not folder.exists()


def _listed(folder: Path, terminal: str, backup_key: bytes | None) -> Listed:
    try:
        manifest = read_manifest(folder, backup_key)
    except JournalError as error:
        return Listed(path=folder, manifest=None, fault=error)
    except OSError as error:
        return Listed(path=folder, manifest=None, fault=BackupDamaged(f"it cannot be read: {error.strerror}"))
    if manifest.terminal != terminal:
        return Listed(path=folder, manifest=None, fault=BackupForeign(f"it is a backup of {manifest.terminal}"))
    return Listed(path=folder, manifest=manifest)


def _names(folder: Path) -> list[str]:
    """The names of the backups in a terminal's folder, the newest first; also of those that are not whole."""
    try:
        found: Sequence[str] = os.listdir(folder)
    except FileNotFoundError:
        return []
    return sorted((name for name in found if NAME.fullmatch(name)), key=order_of, reverse=True)


def _remove(path: Path) -> None:
    """The manifest goes first: what is left of a backup that is cut off here does not look like one."""
    (path / MANIFEST).unlink(missing_ok=True)
    sync_folder(path)
    shutil.rmtree(path)


def _is_whole(path: Path, backup_key: bytes) -> bool:
    try:
        check_files(path, read_manifest(path, backup_key))
    except (JournalError, OSError):
        return False
    return True


def _free_bytes(folder: Path) -> int:
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize
