"""A small medium of our own, that can be filled to its last byte: mounted where nobody else sees it, gone with its process.

A program that runs `inside` a mount namespace of its own mounts a `SmallDisk` there; when the last process inside ends,
however it ends, the kernel unmounts it.
"""

import contextlib
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal

from tests.proofs.registry import CannotRun

Kind = Literal["tmpfs", "ext4"]

_CHUNK_BYTES = 1 << 20
_REFILL_S = 0.002


def inside(command: Sequence[str]) -> list[str]:
    """A command that runs `command` in a mount namespace of its own. Raises CannotRun where that is not allowed."""
    if shutil.which("unshare") is None:
        raise CannotRun("unshare (util-linux) is not installed")
    # Without being root one may mount a tmpfs in a user namespace, where the kernel allows those.
    flags = ["--mount"] if os.geteuid() == 0 else ["--user", "--map-root-user", "--mount"]
    whole = ["unshare", *flags, "--propagation", "private"]
    tried = subprocess.run(
        [*whole, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, text=True, check=False
    )
    if tried.returncode:
        raise CannotRun(f"no file system can be mounted here: {tried.stderr.strip()}")
    return [*whole, *command]


class SmallDisk:
    """A file system of `size_bytes` at `folder`; `ballast` fills what others leave. Made by `mounted`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    @property
    def free_bytes(self) -> int:
        """What can still be written."""
        state = os.statvfs(self.folder)
        return state.f_bavail * state.f_frsize

    def fill(self) -> None:
        """Takes all that is left, to the last byte."""
        descriptor = os.open(self._ballast, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        try:
            piece = _CHUNK_BYTES
            while piece:
                try:
                    if os.write(descriptor, bytes(piece)) < piece:
                        piece //= 2
                except OSError:
                    piece //= 2
        finally:
            os.close(descriptor)

    @contextlib.contextmanager
    def kept_full(self) -> Iterator[None]:
        """Takes whatever becomes free, again and again, while the block runs: a log that writes itself sick."""
        stop = threading.Event()

        def refill() -> None:
            while not stop.wait(_REFILL_S):
                self.fill()

        self.fill()
        thread = threading.Thread(target=refill, name="filler")
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()

    def free(self) -> None:
        """Gives all of it back."""
        self._ballast.unlink(missing_ok=True)


def mounted(kind: Kind, folder: Path, size_bytes: int) -> SmallDisk:
    """Mounts one on an empty folder. To be called `inside`. Raises CannotRun."""
    if kind == "tmpfs":
        _run("mount", "-t", "tmpfs", "-o", f"size={size_bytes}", "none", str(folder))
        return SmallDisk(folder)
    if shutil.which("mkfs.ext4") is None:
        raise CannotRun("mkfs.ext4 is not installed")
    image = folder.with_suffix(".img")
    with image.open("wb") as file:
        file.truncate(size_bytes)
    # No blocks are set aside for root: full means full, whoever the daemon runs as.
    _run("mkfs.ext4", "-q", "-m", "0", str(image))
    _run("mount", "-o", "loop", str(image), str(folder))
    return SmallDisk(folder)


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise CannotRun(f"{command[0]}: {done.stderr.strip()}")
