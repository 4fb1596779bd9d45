"""The merchant's screen as a person sees it: what it paints on a pty, without its control sequences."""

import asyncio
import contextlib
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from pathlib import Path
from typing import Self

PATIENCE_S = 10.0
_ROWS, _COLUMNS = 40, 120
_ESCAPE = re.compile(rb"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]")


class Screen:
    """The merchant's screen, `terminald-counter`, as a process on a pty of 120 by 40. Used by ``async with``."""

    def __init__(self, socket: Path) -> None:
        self._socket = socket
        self._written = bytearray()
        self.came = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "ui.merchant", "--socket", str(self._socket)),
            stdin=slave,
            stdout=slave,
            stderr=slave,
            env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
            start_new_session=True,
        )
        os.close(slave)
        os.set_blocking(self._master, False)
        asyncio.get_running_loop().add_reader(self._master, self._read)
        return self

    async def __aexit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._master)
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        os.close(self._master)

    def clear(self) -> None:
        """What was painted so far counts no more."""
        self._written.clear()

    async def shows(self, text: str) -> None:
        """Returns when the text was painted. Raises TimeoutError."""
        wanted = text.encode()
        async with asyncio.timeout(PATIENCE_S):
            while wanted not in _ESCAPE.sub(b"", bytes(self._written)):
                self.came.clear()
                await self.came.wait()

    def _read(self) -> None:
        with contextlib.suppress(BlockingIOError, OSError):
            self._written += os.read(self._master, 1 << 16)
            self.came.set()
