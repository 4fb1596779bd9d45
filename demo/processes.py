"""The demonstration's processes: broker, collector and daemon, each a real one that can be killed and started again."""

import asyncio
import contextlib
import os
import shutil
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from demo.layout import Layout

READY_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 8.0
_SBIN = "/usr/sbin:/sbin:/usr/local/sbin"


class DidNotStart(RuntimeError):
    """A process of the demonstration ended or did not become ready; its log says why."""


class Process:
    """One program with its log; it dies with the demonstration."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self._command = [*_die_with_parent(), *command]
        self._log = log
        self._environment = {**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})}
        self._process: asyncio.subprocess.Process | None = None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None and self.running else None

    async def start(self) -> None:
        """Starts it, in a process group of its own so that the terminal's Ctrl-C reaches the demonstration alone."""
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment,
                process_group=0,
            )

    async def kill(self) -> None:
        """Without warning: SIGKILL."""
        if self._process is not None and self.running:
            self._process.kill()
            await self._process.wait()

    def signal(self, number: int) -> None:
        """Sends it a signal; nothing where it does not run."""
        if self._process is not None and self.running:
            self._process.send_signal(number)

    async def stop(self) -> int | None:
        """SIGTERM and patience, then SIGKILL. Returns the exit status."""
        if self._process is None:
            return None
        if self.running:
            self._process.send_signal(signal.SIGTERM)
            try:
                async with asyncio.timeout(STOP_TIMEOUT_S):
                    await self._process.wait()
            except TimeoutError:
                await self.kill()
        return self._process.returncode

    async def wait_for_port(self, port: int) -> None:
        """Returns when something listens on the port. Raises DidNotStart."""
        end_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end_s and self.running:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return
        raise DidNotStart(f"{self.name} does not listen: see {self._log}")

    async def wait_for_path(self, path: Path) -> None:
        """Returns when `path` is there. Raises DidNotStart."""
        end_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end_s and self.running:
            if await asyncio.to_thread(path.exists):
                return
            await asyncio.sleep(0.02)
        raise DidNotStart(f"{self.name} is not ready: see {self._log}")


def broker(layout: Layout, port: int) -> Process:
    """A real mosquitto where there is one, else amqtt, which speaks MQTT 3.1.1 and keeps nothing.

    TERMINALD_DEMO_BROKER=amqtt takes the latter all the same.
    """
    log = layout.logs / "broker.log"
    found = shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":" + _SBIN)
    if found is None or os.environ.get("TERMINALD_DEMO_BROKER") == "amqtt":
        return Process("broker (amqtt)", [sys.executable, "-m", "demo.embedded_broker", str(port)], log)
    config = layout.broker / "mosquitto.conf"
    config.write_text(
        f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\n"
        "max_queued_messages 1000\nlog_type error\nlog_type warning\n"
    )
    return Process("broker (mosquitto)", [found, "-c", str(config)], log)


def collector(layout: Layout, port: int) -> Process:
    """Headquarters: `terminald-fleet collect` on SQLite."""
    command = [sys.executable, "-m", "fleet", "collect", "--broker", f"mqtt://127.0.0.1:{port}"]
    return Process("collector", [*command, "--database", str(layout.database)], layout.logs / "collector.log")


def daemon(layout: Layout, environment: Mapping[str, str]) -> Process:
    """The terminal: `terminald run`; `environment` leads its RPi.GPIO to the simulated pins."""
    command = [sys.executable, "-m", "terminald", "run", "--config", str(layout.config)]
    return Process("terminald", command, layout.logs / "terminald.log", {**environment, "LG_WD": str(layout.bench)})


async def output_of(command: Sequence[str]) -> str:
    """What a program of ours prints. Raises DidNotStart with its words when it fails."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await process.communicate()
    if process.returncode:
        raise DidNotStart(f"{' '.join(command)} failed with {process.returncode}: {err.decode(errors='replace')}")
    return out.decode()


async def stop_all(processes: Sequence[Process]) -> None:
    """Stops them in order, whatever happens."""
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            await process.stop()


def _die_with_parent() -> list[str]:
    """util-linux's setpriv asks the kernel to end the child when the demonstration is killed."""
    setpriv = shutil.which("setpriv")
    return [setpriv, "--pdeathsig", "TERM"] if setpriv else []
