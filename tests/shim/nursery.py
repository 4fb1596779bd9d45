"""Starts traders (`tests.shim.trader`) over the shim by the hundred: one process has all modules loaded, and forks.

Each trader is a process of its own, with its own threads, files and end; only its start is short.
"""

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.shim.boundary import ROOT, library
from tests.shim.trader import Fault, trade

KILLED = -9


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a trader ended: its status (negative for a signal), when (CLOCK_MONOTONIC), and what it said."""

    status: int
    ended_ns: int
    said: list[str]
    complained: str


class Nursery:
    """One process that forks traders, one at a time. Used by ``with``."""

    def __init__(self, scratch: Path) -> None:
        """`scratch` is a folder for what the traders print."""
        self._said = scratch / "said"
        self._complained = scratch / "complained"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.shim.nursery"],
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

    def trade(self, folder: Path, steps: int, seed: int, fault: Fault | None = None, **shim: str | int) -> Ended:
        """Runs one trader to its end; ``at=3`` sets ``SHIM_AT`` and so on."""
        environment = {f"SHIM_{name.upper()}": str(value) for name, value in shim.items()}
        order = {
            "folder": str(folder),
            "steps": steps,
            "seed": seed,
            "fault": fault,
            "said": str(self._said),
            "complained": str(self._complained),
            "environment": {**environment, "SHIM_DIR": str(folder.resolve())},
        }
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError("the nursery ended")
        status, ended_ns = json.loads(answer)
        return Ended(
            status=status,
            ended_ns=ended_ns,
            said=self._said.read_text().splitlines(),
            complained=self._complained.read_text(),
        )


def _serve() -> None:
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os._exit(_child(order))
        _, status = os.waitpid(pid, 0)
        print(json.dumps([os.waitstatus_to_exitcode(status), time.monotonic_ns()]), flush=True)


def _child(order: dict[str, Any]) -> int:
    for name, descriptor in (("said", 1), ("complained", 2)):
        os.dup2(os.open(order[name], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), descriptor)
    os.environ.update(order["environment"])
    fault = Fault(order["fault"]) if order["fault"] else None
    try:
        return trade(Path(order["folder"]), order["steps"], order["seed"], fault=fault)
    except BaseException as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        return 1


if __name__ == "__main__":
    _serve()
