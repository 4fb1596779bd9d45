"""Builds `boundary.c` and runs programs over it: what they do to the files of one folder, call by call."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.proofs.registry import CannotRun

SOURCE = Path(__file__).with_name("boundary.c")
ROOT = SOURCE.parents[2]
RUN_TIMEOUT_S = 60


@dataclass(frozen=True, slots=True)
class Call:
    """One call of a program: its number, ``write``, ``pwrite``, ``fsync`` and so on, its bytes, and the file's name."""

    number: int
    kind: str
    bytes: int
    name: str

    @property
    def writes(self) -> bool:
        """Whether it can be cut in half."""
        return self.kind in ("write", "pwrite", "send")

    @property
    def flushes(self) -> bool:
        """Whether it waits for the medium."""
        return self.kind in ("fsync", "fdatasync")


def library() -> Path:
    """The shim. Raises CannotRun without a C compiler."""
    return built(SOURCE)


@cache
def built(source: Path) -> Path:
    """A library to preload, built once for each version of its source. Raises CannotRun without a C compiler."""
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CannotRun("there is no C compiler")
    version = hashlib.sha256(source.read_bytes()).hexdigest()[:16]
    folder = Path(tempfile.gettempdir(), f"terminald-shim-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    if folder.stat().st_uid != os.getuid():
        raise CannotRun(f"{folder} belongs to somebody else")
    found = folder / f"{source.stem}-{version}.so"
    if not found.exists():
        new = found.with_suffix(f".{os.getpid()}")
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", new, source, "-ldl", "-lpthread"], check=True)
        new.rename(found)
    return found


def environment(folder: Path, **shim: str | int) -> dict[str, str]:
    """The environment of a program whose calls below `folder` are to be seen; ``at=3`` sets ``SHIM_AT`` and so on."""
    values = {f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}
    return {
        **os.environ,
        "LD_PRELOAD": str(library()),
        "SHIM_DIR": str(folder.resolve()),
        "PYTHONPATH": str(ROOT),
        **values,
    }


def run(command: Sequence[str], folder: Path, **shim: str | int) -> subprocess.CompletedProcess[str]:
    """Runs a program over the shim until it ends, by itself or not."""
    return subprocess.run(
        command,
        env=environment(folder, **shim),
        capture_output=True,
        text=True,
        timeout=RUN_TIMEOUT_S,
        check=False,
    )


def read_log(log: Path) -> list[Call]:
    """The calls of a run that had ``log=``."""
    calls = []
    for line in log.read_text().splitlines():
        number, kind, size, name = line.split(" ", 3)
        calls.append(Call(int(number), kind, int(size), name))
    return calls
