"""A helper process of a driver, which speaks in lines: what blocks, or must outlive us, runs there and not here.

Its standard input and output are one socket to us. It ends when that socket does, so a killed daemon leaves none
behind, and it leads a session of its own, so a signal to our group does not reach it. It is never killed by the mere
letting go of it (asyncio's own subprocess would): a helper may have a pulse to finish or a reader to put to sleep.
"""

import asyncio
import contextlib
import functools
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NoReturn, Self

from core.ports import DeviceError, DeviceGone, DeviceStalled, ProtocolError
from drivers.answer import answer_to
from drivers.blocking import off_loop
from drivers.transport import Stream

LINE_BYTES_MAX: Final = 64 * 1024
WRITE_TIMEOUT_S: Final = 1.0
LEAVING_MAX: Final = 8
"""Helpers that were let go of and have not ended yet; one more, and the oldest is killed."""

ReceiveLine = Callable[[bytes], None]
"""Called on the loop's thread with each line, without its end."""

_leaving: list[subprocess.Popen[bytes]] = []


class Child:
    """A running ``python -m MODULE ARGUMENTS``. Made by `start`."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], link: socket.socket, receive: ReceiveLine) -> None:
        self._name = name
        self._receive = receive
        self._rest = b""
        self._heard = 0
        self._fault: ProtocolError | None = None
        self._process = process
        link.setblocking(False)
        self._stream = Stream(name, link.fileno(), link.close, self._on_bytes)
        _reap()

    @classmethod
    async def start(cls, name: str, module: str, arguments: Sequence[str], receive: ReceiveLine) -> Self:
        """Starts it; it has yet to load what it needs. Raises DeviceStalled."""
        ours, theirs = socket.socketpair()
        try:
            process = await off_loop(name, functools.partial(_start, module, arguments, theirs), _end)
        except BaseException:
            ours.close()
            raise
        return cls(name, process, ours, receive)

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    async def write(self, line: str) -> None:
        """Sends it a line. Raises DeviceGone, or DeviceStalled when it does not read."""
        await self._stream.write(line.encode() + b"\n", WRITE_TIMEOUT_S)

    async def lost(self) -> NoReturn:
        """Waits until it ends and raises why: DeviceGone, or ProtocolError when it did not speak in lines."""
        try:
            await self._stream.lost()
        except DeviceGone:
            raise self._fault or DeviceGone(f"{self._name}: its helper process ended.") from None

    async def watched(self, silence_s: float) -> NoReturn:
        """As `lost`; and where it says nothing for so long, it is killed: DeviceStalled."""
        while True:
            heard = self._heard
            try:
                async with asyncio.timeout(silence_s):
                    await self.lost()
            except TimeoutError as error:
                if isinstance(error, DeviceError):
                    raise
                if self._heard == heard:
                    self.kill()
                    raise DeviceStalled(f"{self._name}: no sign of life in {silence_s} s.") from None

    async def answer(self, answered: asyncio.Future[None], timeout_s: float) -> None:
        """Waits for what `receive` will set. Raises DeviceStalled after `timeout_s`, or what `lost` raises before."""
        await answer_to(f"{self._name}: its helper process", answered, self.lost, timeout_s)

    def close(self) -> None:
        """Lets go: it finishes what it is at and ends. Never raises, may be called twice."""
        self._stream.close()
        if self._process not in _leaving:
            _leaving.append(self._process)
            _see_off(self._process)
        _reap()

    def kill(self) -> None:
        """Ends it at once, whatever it is at."""
        self._process.kill()

    async def ended(self, timeout_s: float) -> None:
        """After `close`: waits until it has ended, and kills it when that takes longer than `timeout_s`."""
        deadline_s = asyncio.get_running_loop().time() + timeout_s
        while self._process.poll() is None:
            if asyncio.get_running_loop().time() > deadline_s:
                self._process.kill()
            await asyncio.sleep(0.005)
        _reap()

    def _on_bytes(self, data: bytes) -> None:
        *lines, self._rest = (self._rest + data).split(b"\n")
        if len(self._rest) > LINE_BYTES_MAX:
            self._fault = ProtocolError(f"{self._name}: its helper process sent an endless line.")
            self._stream.close()
            return
        for line in lines:
            self._heard += 1
            self._receive(line)


def _start(module: str, arguments: Sequence[str], end: socket.socket) -> subprocess.Popen[bytes]:
    # Where terminald is not installed but run from its folder, the helper has to find it too; -P keeps out whatever
    # lies in the working directory.
    root = str(Path(__file__).resolve().parents[1])
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), root)))}
    with end:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", module, *arguments],
            stdin=end.fileno(),
            stdout=end.fileno(),
            stderr=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Nobody waits for it any more, and nobody has asked it for anything."""
    process.kill()
    process.wait()


def _see_off(process: subprocess.Popen[bytes]) -> None:
    """Has it reaped as soon as it ends; without a descriptor to spare, when the next one is started."""
    loop = asyncio.get_running_loop()

    def reap() -> None:
        loop.remove_reader(fd)
        os.close(fd)
        _reap()

    with contextlib.suppress(OSError):
        fd = os.pidfd_open(process.pid)
        loop.add_reader(fd, reap)


def _reap() -> None:
    """Takes note of the helpers that have ended, so that none stays a zombie."""
    _leaving[:] = [process for process in _leaving if process.poll() is None]
    if len(_leaving) > LEAVING_MAX:
        _leaving[0].kill()
