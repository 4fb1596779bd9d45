"""An event loop whose time is virtual: when there is nothing to do, it is at once the time of what comes next."""

import asyncio
import selectors
from collections.abc import Callable
from typing import Any

DAY_S = 86_400.0


class Stalled(Exception):
    """Nothing is left that could ever happen, or the day is over, and somebody still waits."""


class VirtualLoop(asyncio.SelectorEventLoop):
    """Everything runs on one thread, in an order that follows from the program alone. `time` starts at 0."""

    def __init__(self) -> None:
        self.now_s = 0.0
        super().__init__(_Skipping(self))

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def run_in_executor(  # type: ignore[override] # the library's own signature needs variadic type variables
        self, executor: Any, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        """Calls it now: a thread would be faster or slower by chance."""
        future = self.create_future()
        try:
            future.set_result(func(*args))
        except Exception as error:
            future.set_exception(error)
        return future


class _Skipping(selectors.PollSelector):
    """Looks at what is ready, in the order of registration; instead of waiting it moves the time on."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise Stalled("nothing will ever happen again")
        self._loop.now_s += timeout
        if self._loop.now_s > DAY_S:
            raise Stalled("a day is over, and the run is not")
        return super().select(0)
