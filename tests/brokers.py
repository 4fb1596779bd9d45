"""Real brokers on free loopback ports, for tests and proofs."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

START_TIMEOUT_S = 10.0


def find_mosquitto() -> str | None:
    """The installed mosquitto, which Debian keeps out of a user's PATH."""
    return shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


def free_port() -> int:
    """A loopback port that nobody listens on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


class Mosquitto:
    """A mosquitto of our own. It keeps nothing over a restart unless `options` say so; `ahead` stands before its door."""

    def __init__(self, folder: Path, options: str = "allow_anonymous true", *, ahead: str = "") -> None:
        self.port = free_port()
        self._configuration = folder / f"mosquitto-{self.port}.conf"
        self._configuration.write_text(f"{ahead}user root\nlistener {self.port} 127.0.0.1\nlog_type none\n{options}\n")
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Its address."""
        return f"mqtt://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Returns once it listens."""
        program = find_mosquitto()
        assert program is not None
        self._process = subprocess.Popen([program, "-c", str(self._configuration)], stderr=subprocess.DEVNULL)
        until_s = time.monotonic() + START_TIMEOUT_S
        while time.monotonic() < until_s:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
                return
            time.sleep(0.01)
        raise TimeoutError("mosquitto does not listen")

    def reload(self) -> None:
        """It reads its rules and lists again, soon."""
        assert self._process is not None
        self._process.send_signal(signal.SIGHUP)

    def stop(self, number: int = signal.SIGTERM) -> None:
        """Ends it, by SIGKILL where that is asked for. May be called twice."""
        if self._process is not None:
            self._process.send_signal(number)
            self._process.wait(START_TIMEOUT_S)
            self._process = None


@contextlib.contextmanager
def mosquitto_in(folder: Path, options: str = "allow_anonymous true") -> Iterator[Mosquitto]:
    """A running mosquitto; skips the test where none is installed."""
    if find_mosquitto() is None:
        pytest.skip("mosquitto is not installed")
    broker = Mosquitto(folder, options)
    broker.start()
    try:
        yield broker
    finally:
        broker.stop()


@contextlib.asynccontextmanager
async def amqtt() -> AsyncIterator[str]:
    """The demonstration's embedded broker, which speaks MQTT 3.1.1 alone; its address.

    A process of its own: amqtt leaves sockets open that it gave up.
    """
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "demo.embedded_broker", str(port)),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(2 * START_TIMEOUT_S):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                    writer.close()
                    await writer.wait_closed()
                    break
                await asyncio.sleep(0.02)
        yield f"mqtt://127.0.0.1:{port}"
    finally:
        process.kill()
        await process.wait()
