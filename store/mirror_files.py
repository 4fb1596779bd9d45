"""The second medium as the file system shows it: every call that a mirror makes on it, in one place.

All of it may block for as long as a bad stick likes, so it runs on a thread of its own, and tests put hostile media in its
place. Reading drops what the system remembers of a file first, so that the medium itself is asked.
"""

import os
from pathlib import Path
from typing import BinaryIO, Protocol

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW


class Files(Protocol):
    """What a mirror asks of the medium. Everything may raise OSError."""

    def identity(self, folder: Path) -> tuple[int, int]:
        """(device, inode): another one where another medium was mounted."""

    def make_folder(self, folder: Path) -> None:
        """Makes a folder and those above it."""

    def names(self, folder: Path) -> list[str]:
        """What stands in a folder, sorted; nothing where there is no such folder."""

    def read(self, path: Path) -> tuple[BinaryIO, int]:
        """A file as the medium gives it, and its size."""

    def create(self, path: Path) -> int:
        """A descriptor that appends to a new file."""

    def append(self, descriptor: int, data: bytes) -> None:
        """Appends all of it and has it put on the medium."""

    def close(self, descriptor: int) -> None:
        """Lets go of it."""

    def rename(self, path: Path, name: str) -> Path:
        """Gives a file another name in its folder, on the medium; gives the new path."""

    def write(self, path: Path, data: bytes) -> None:
        """Makes a small file whole, on the medium, or not at all."""

    def remove(self, path: Path) -> None:
        """Removes a file, if it is there."""


class RealFiles:
    """The file system itself."""

    def identity(self, folder: Path) -> tuple[int, int]:
        found = os.stat(folder)
        return found.st_dev, found.st_ino

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        try:
            return sorted(os.listdir(folder))
        except (FileNotFoundError, NotADirectoryError):
            return []

    def read(self, path: Path) -> tuple[BinaryIO, int]:
        stream = os.fdopen(os.open(path, _READ), "rb")
        os.posix_fadvise(stream.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return stream, os.fstat(stream.fileno()).st_size

    def create(self, path: Path) -> int:
        return os.open(path, _APPEND, 0o600)

    def append(self, descriptor: int, data: bytes) -> None:
        written = memoryview(data)
        while written:
            written = written[os.write(descriptor, written) :]
        os.fdatasync(descriptor)

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def rename(self, path: Path, name: str) -> Path:
        renamed = path.rename(path.with_name(name))
        _sync_folder(path.parent)
        return renamed

    def write(self, path: Path, data: bytes) -> None:
        new = path.with_name(path.name + ".new")
        new.unlink(missing_ok=True)
        descriptor = self.create(new)
        try:
            self.append(descriptor, data)
        finally:
            self.close(descriptor)
        self.rename(new, path.name)

    def remove(self, path: Path) -> None:
        path.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
