"""A real terminal without devices, over the shim: `terminald run` as a process, its folder, and orders by its socket."""

import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

from demo import goods
from terminald.client import Disconnected, call_once
from tests.shim.boundary import ROOT, environment

START_TIMEOUT_S = 30.0
ANSWER_TIMEOUT_S = 20.0
END_TIMEOUT_S = 20.0
LOOK_S = 0.005

_CONFIG = """\
[terminal]
id = "till-3"
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
"""


class Terminal:
    """One terminal's folder below `root`, and its daemon while it runs. Used by ``with``."""

    def __init__(self, root: Path) -> None:
        self.folder = root / "terminal"
        self.config = self.folder / "terminal.toml"
        self.socket = self.folder / "control.sock"
        self._log = root / "terminald.log"
        self._daemon: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True)
        self.config.write_text(_CONFIG)
        self.command("catalogue", "import", str(goods.CSV))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait()

    @property
    def log(self) -> str:
        """All that the daemon has said on standard error."""
        return self._log.read_text()

    def command(self, *words: str) -> str:
        """What a subcommand of `terminald` prints. Raises CalledProcessError."""
        return subprocess.run(
            [sys.executable, "-m", "terminald", *words, "--config", str(self.config)],
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=True,
        ).stdout

    def start(self, **shim: str | int) -> None:
        """Starts the daemon and waits until it answers; ``at=3`` sets ``SHIM_AT`` and so on. Raises AssertionError."""
        self.launch(**shim)
        end_s = time.monotonic() + START_TIMEOUT_S
        while not self._answers():
            assert self._daemon is not None
            assert self._daemon.poll() is None, f"the daemon ended: {self.log}"
            assert time.monotonic() < end_s, f"the daemon does not answer: {self.log}"
            time.sleep(LOOK_S)

    def launch(self, **shim: str | int) -> None:
        """Starts the daemon."""
        with self._log.open("ab") as log:
            self._daemon = subprocess.Popen(
                [sys.executable, "-m", "terminald", "run", "--config", str(self.config)],
                env=environment(self.folder, **shim),
                stderr=log,
                cwd=ROOT,
            )

    def call(self, method: str, **params: object) -> Mapping[str, Any]:
        """One order on the control socket. Raises CallFailed, Disconnected, TimeoutError."""
        return msgspec.convert(call_once(self.socket, method, params, timeout_s=ANSWER_TIMEOUT_S), dict[str, Any])

    def sell(self, item: goods.Good, key: str, lines: int = 1) -> None:
        """Rings up an item so often and takes cash under a key."""
        for _ in range(lines):
            self.call("sale.scan", data=item.gtin)
        self.call("sale.cash", key=key)

    def ended(self) -> tuple[int, int]:
        """The daemon's exit status, and when it was seen to end (CLOCK_MONOTONIC, ns). Raises TimeoutExpired."""
        assert self._daemon is not None
        status = self._daemon.wait(END_TIMEOUT_S)
        return status, time.monotonic_ns()

    def stop(self) -> int:
        """SIGTERM; the exit status."""
        assert self._daemon is not None
        self._daemon.terminate()
        return self._daemon.wait(END_TIMEOUT_S)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._daemon is not None
        self._daemon.kill()
        self._daemon.wait()

    def _answers(self) -> bool:
        try:
            self.call("daemon.status")
        except (Disconnected, TimeoutError):
            return False
        return True
