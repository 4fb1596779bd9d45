"""Opens databases over the shim, by the hundred: one process has all modules loaded, and forks for each.

``python -m tests.shim.migrator`` takes orders as lines of JSON: a database, its key and schema, the shim's environment.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from core.ports import JournalError
from store.database import Schema, open_database
from tests.shim.boundary import ROOT, library

REFUSED = 3
KILLED = -9


class Migrator:
    """One process that forks openers, one at a time. Used by ``with``."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.shim.migrator"],
            env={**os.environ, "LD_PRELOAD": str(library()), "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.communicate()

    def open(self, path: Path, key: bytes, schema: Schema, **shim: str | int) -> int:
        """Opens a database, brings it to the newest schema and closes it; how that ended. ``at=3`` sets ``SHIM_AT``."""
        environment = {f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}
        order = {
            "path": str(path),
            "key": key.hex(),
            "schema": schema,
            "environment": {**environment, "SHIM_DIR": str(path.parent.resolve())},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the migrator ended")
        return int(answer)


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_child(order))
        _, status = os.waitpid(pid, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


def _child(order: dict[str, Any]) -> int:
    os.environ.update(order["environment"])
    try:
        open_database(Path(order["path"]), bytes.fromhex(order["key"]), order["schema"]).close()
    except JournalError as error:
        print(f"{error.code}: {error}", file=sys.stderr, flush=True)
        return REFUSED
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1
    return 0


if __name__ == "__main__":
    _serve()
