"""Files that hold keys: written whole or not at all, and read only where nobody but their owner may."""

import os
from pathlib import Path

from store.database import sync_folder
from store.errors import KeyDenied, KeyExposed, KeyMissing

MODE = 0o400
NEXT = ".next"
"""What ends the name of a key that is ready to take the place of the one without this ending."""


def write_private(path: Path, content: bytes) -> None:
    """Writes a file of mode 0400 under another name and renames it: under the right one it is never half there."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        os.fchmod(descriptor, MODE)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    sync_folder(path.parent)


def read_private(path: Path, bytes_max: int) -> bytes:
    """What is in a file. Raises KeyMissing, KeyDenied, and KeyExposed where others than its owner may use it."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyMissing(f"there is no {path.name}") from None
    except PermissionError:
        raise KeyDenied(f"{path.name} may not be read by this user") from None
    try:
        mode = os.fstat(descriptor).st_mode
        content = os.read(descriptor, bytes_max)
    finally:
        os.close(descriptor)
    if mode & 0o077:
        raise KeyExposed(f"{path.name} has mode {mode & 0o777:04o}: others than its owner may use it")
    return content


def replace_by_next(path: Path) -> None:
    """Puts what lies ready beside a file in its place, on the medium too."""
    path.with_name(path.name + NEXT).rename(path)
    sync_folder(path.parent)


def remove_next(path: Path) -> None:
    """Deletes what lies ready beside a file, and what was left of writing it."""
    for ending in (NEXT, NEXT + ".new"):
        path.with_name(path.name + ending).unlink(missing_ok=True)


def remove(path: Path) -> None:
    """Deletes a file, on the medium too; one that is not there is no fault. What it held may stay on flash memory."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)
