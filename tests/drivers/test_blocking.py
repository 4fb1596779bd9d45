"""What may block is done off the loop, in order for one device, and taken back where nobody waits any more."""

import asyncio
import os
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from core.ports import DeviceStalled
from drivers.blocking import WAITING_MAX, let_go, off_loop
from drivers.child import Child

PATIENCE_S = 10.0
SLOW_S = 0.3
"""A call that blocks for so long; a loop that has not run meanwhile waited for it."""


class Hanging:
    """A call that returns when it is let."""

    def __init__(self, result: int = 0) -> None:
        self.let = threading.Event()
        self.began = threading.Event()
        self._result = result

    def __call__(self) -> int:
        self.began.set()
        assert self.let.wait(PATIENCE_S)
        return self._result


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not condition():
            await asyncio.sleep(0.001)


def nothing(result: object) -> None:
    """Nothing to take back."""


async def test_the_loop_runs_while_a_call_blocks() -> None:
    turns = 0
    blocked = asyncio.create_task(off_loop("port", lambda: time.sleep(SLOW_S), nothing), name="blocked")
    while not blocked.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 10


async def test_what_a_call_raises_is_raised() -> None:
    with pytest.raises(FileNotFoundError):
        await off_loop("port", lambda: os.open("/dev/there-is-no-such-node", os.O_RDONLY), os.close)


async def test_calls_for_one_device_are_made_in_order_and_others_do_not_wait() -> None:
    made: list[str] = []
    hanging = Hanging()
    first = asyncio.create_task(off_loop("port", hanging, nothing), name="first")
    await until(hanging.began.is_set)
    let_go("port", lambda: made.append("let go"))
    second = asyncio.create_task(off_loop("port", lambda: made.append("opened"), nothing), name="second")
    await off_loop("other", lambda: made.append("other"), nothing)
    assert made == ["other"]
    hanging.let.set()
    await asyncio.gather(first, second)
    assert made == ["other", "let go", "opened"]


async def test_what_comes_when_nobody_waits_is_taken_back() -> None:
    taken_back: list[int] = []
    hanging = Hanging(7)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await off_loop("port", hanging, taken_back.append)
    hanging.let.set()
    await until(lambda: taken_back == [7])


async def test_a_call_that_nobody_waits_for_any_more_is_not_begun() -> None:
    hanging, later = Hanging(), Hanging()
    first = asyncio.create_task(off_loop("port", hanging, nothing), name="first")
    await until(hanging.began.is_set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await off_loop("port", later, nothing)
    hanging.let.set()
    await first
    await off_loop("port", lambda: None, nothing)
    assert not later.began.is_set()


async def test_a_device_that_hangs_is_called_a_few_times_and_then_said_to_hang() -> None:
    hanging = Hanging()
    calls = [asyncio.create_task(off_loop("port", hanging, nothing), name="first")]
    await until(hanging.began.is_set)
    calls += [asyncio.create_task(off_loop("port", hanging, nothing), name="later") for _ in range(WAITING_MAX)]
    await asyncio.sleep(0)
    with pytest.raises(DeviceStalled, match="port: an earlier call"):
        await off_loop("port", hanging, nothing)
    hanging.let.set()
    await asyncio.gather(*calls)


async def test_no_helper_that_was_let_go_of_stays_a_zombie() -> None:
    helper = await Child.start("drawer", "drivers.drawer_kicker", ("no-number", "high", "100"), lambda line: None)
    gone = Path(f"/proc/{helper.pid}")
    helper.close()
    await until(lambda: not gone.exists())
