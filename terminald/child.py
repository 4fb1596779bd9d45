"""A command of ours as a process of its own: what would hold up sales, or cost memory that a till has not, is done there."""

import asyncio
import contextlib
from collections.abc import Sequence

STOP_S = 1.0


class Child:
    """Runs one at a time. `pid` is that of the one at work, which may hold keys, or None."""

    def __init__(self) -> None:
        self.pid: int | None = None

    async def run(self, command: Sequence[str], *, limit_s: float, bytes_max: int) -> tuple[int, bytes]:
        """Its status and what it printed, `bytes_max` at most. Raises TimeoutError, OSError where it cannot be started.

        One that hangs is ended; one that cannot even be ended is left.
        """
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
        assert process.stdout is not None
        self.pid = process.pid
        try:
            async with asyncio.timeout(limit_s):
                said = await _all_of(process.stdout, bytes_max)
                return await process.wait(), said
        finally:
            await _end(process)
            await _drain(process.stdout)
            self.pid = None


async def _all_of(stream: asyncio.StreamReader, bytes_max: int) -> bytes:
    said = b""
    while len(said) < bytes_max and (piece := await stream.read(bytes_max - len(said))):
        said += piece
    return said


async def _end(process: asyncio.subprocess.Process) -> None:
    if process.returncode is not None:
        return
    for ending in (process.terminate, process.kill):
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            ending()
            async with asyncio.timeout(STOP_S):
                await process.wait()
                return


async def _drain(stream: asyncio.StreamReader) -> None:
    """What a dead one left in its pipe goes nowhere; the pipe is closed at its end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(STOP_S):
            while await stream.read(1 << 16):
                pass
