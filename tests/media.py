"""Real file systems for tests: small ones that are mounted, filled, made read-only and pulled. Only root may mount."""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


class Medium:
    """A file system of its own in memory, at a folder."""

    def __init__(self, folder: Path, size: str) -> None:
        self.folder = folder
        self._size = size

    def plug(self) -> bool:
        """Mounts it, empty; whether that is to be had here."""
        options = f"size={self._size}"
        return _run("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self.folder))

    def make_read_only(self) -> None:
        """As a card or a file system does that found a fault in itself."""
        assert _run("mount", "-o", "remount,ro", str(self.folder))

    def resize(self, size: str) -> None:
        """Makes it larger or smaller while it is in use."""
        assert _run("mount", "-o", f"remount,size={size}", str(self.folder))

    def pull(self) -> None:
        """Takes it away, whoever has files open on it."""
        _run("umount", "-l", str(self.folder))


@contextlib.contextmanager
def medium(folder: Path, *, size: str = "4m") -> Iterator[Medium]:
    """A medium that is plugged in while the block runs; skips the test where none can be mounted."""
    folder.mkdir(exist_ok=True)
    found = Medium(folder, size)
    if os.geteuid() != 0 or not found.plug():
        pytest.skip("nothing can be mounted here")
    try:
        yield found
    finally:
        found.pull()


def _run(*command: str) -> bool:
    return subprocess.run(command, capture_output=True).returncode == 0
