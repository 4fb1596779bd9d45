"""A thread for calls that may never come back: what a bad medium does to a process.

A call that is not back in time costs its caller a TimeoutError, and the thread is given up: it ends by itself when the
system lets go of it. It is no reason to wait at the end of the process either.
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")


class Worker:
    """Does one call after another on a thread of its own. Made and used on a running loop."""

    def __init__(self, name: str) -> None:
        self.busy = False
        """Whether it is in a call that has not come back."""
        self._loop = asyncio.get_running_loop()
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], asyncio.Future[Any]] | None] = queue.SimpleQueue()
        threading.Thread(target=self._run, name=name, daemon=True).start()

    async def do(self, call: Callable[[], T], timeout_s: float) -> T:
        """What a call gives, or what it raises; TimeoutError where it is not back in time."""
        future: asyncio.Future[T] = self._loop.create_future()
        self._calls.put((call, future))
        async with asyncio.timeout(timeout_s):
            return await future

    def stop(self, last: Callable[[], None]) -> None:
        """Has a last call done, and ends. Never waits."""
        self._calls.put((last, self._loop.create_future()))
        self._calls.put(None)

    def _run(self) -> None:
        while (job := self._calls.get()) is not None:
            call, future = job
            self.busy = True
            try:
                value, error = call(), None
            except BaseException as raised:
                value, error = None, raised
            self.busy = False
            try:
                self._loop.call_soon_threadsafe(_tell, future, value, error)
            except RuntimeError:  # the loop was closed: nobody waits any more
                return


def _tell(future: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    if future.done():  # given up
        return
    if error is None:
        future.set_result(value)
        return
    future.set_exception(error)
    future.exception()  # a last call has nobody who asks
