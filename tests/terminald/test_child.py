"""A process of ours and what it prints: whole, bounded, and ended."""

import asyncio
import os
import sys

import pytest

from terminald.child import Child


def command(text: str) -> tuple[str, ...]:
    return (sys.executable, "-c", text)


async def test_what_comes_in_pieces_is_read_to_its_end() -> None:
    child = Child()
    pieces = "import sys, time\nfor piece in ('{', '1', '}'):\n print(piece, end='', flush=True)\n time.sleep(0.05)\nsys.exit(3)"
    assert await child.run(command(pieces), limit_s=20, bytes_max=100) == (3, b"{1}")
    assert child.pid is None


@pytest.mark.parametrize("deaf", ["", "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"])
async def test_one_that_hangs_is_ended(deaf: str) -> None:
    child = Child()
    hanging = f"{deaf}import time\nprint('here', flush=True)\ntime.sleep(600)"
    pids: list[int] = []

    async def watch() -> None:
        while child.pid is None:
            await asyncio.sleep(0.005)
        pids.append(child.pid)

    watching = asyncio.create_task(watch())
    with pytest.raises(TimeoutError):
        await child.run(command(hanging), limit_s=1.5, bytes_max=100)
    await watching
    assert child.pid is None
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


async def test_one_that_says_too_much_is_cut_off_and_ended() -> None:
    child = Child()
    with pytest.raises(TimeoutError):
        await child.run(command("while True: print('x' * 1000)"), limit_s=1.5, bytes_max=10)
    assert child.pid is None
