"""A medium whose flushes take longer, for a process of one's own: a preloaded library around fsync and fdatasync."""

import shutil
import subprocess
from pathlib import Path

from bench.registry import CannotRun

SOURCE = Path(__file__).with_name("slow_flush.c")


def environment(folder: Path, flush_us: int) -> dict[str, str]:
    """The variables under which a child's flushes take `flush_us` longer; builds the library in `folder`.

    Raises CannotRun where there is no C compiler.
    """
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        raise CannotRun("no C compiler (cc) is installed, so that flushes cannot be slowed down")
    library = folder / "slow_flush.so"
    if not library.exists():
        subprocess.run([compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE), "-ldl"], check=True)
    return {"LD_PRELOAD": str(library), "SLOW_FLUSH_US": str(flush_us)}
