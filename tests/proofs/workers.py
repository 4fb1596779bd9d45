"""Two processes for a proof's work, each with a nursery of traders and a folder of its own."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from tests.shim.boundary import library
from tests.shim.nursery import Nursery

AT_ONCE = 2
_MEMORY = Path("/dev/shm")

_place: tuple[Nursery, Path] | None = None


@contextmanager
def workers(name: str) -> Iterator[ProcessPoolExecutor]:
    """A pool; what runs in it has its `place`. The folders are in memory where there is such a file system.

    Raises CannotRun where there is no C compiler.
    """
    library()
    scratch = Path(tempfile.mkdtemp(prefix=f"terminald-{name}-", dir=_MEMORY if os.access(_MEMORY, os.W_OK) else None))
    try:
        with ProcessPoolExecutor(
            AT_ONCE, mp_context=get_context("spawn"), initializer=_settle, initargs=(scratch,)
        ) as pool:
            yield pool
    finally:
        shutil.rmtree(scratch)


def place() -> tuple[Nursery, Path]:
    """The nursery and the folder of the process that this runs in."""
    assert _place is not None, "not in a worker"
    return _place


def _settle(scratch: Path) -> None:
    global _place
    folder = scratch / str(os.getpid())
    folder.mkdir()
    _place = Nursery(folder), folder
