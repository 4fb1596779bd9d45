"""Who does the journal's blocking work: a thread of its own, or, in a simulation, the caller.

Work comes in jobs and is done in batches, one batch after another: all that came in while one batch was done is the
next one. That is group commit.
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from store.errors import JournalClosed

BATCH_JOBS_MAX = 512

WAITING_MAX = 1_024
"""How many jobs of a lane may wait; the next one waits in its caller."""


@dataclass(frozen=True, slots=True)
class Job:
    """Something to be done, and who is told on the loop's thread: the value, or the exception that came instead."""

    task: Any
    done: Callable[[Any], None]


Work = Callable[[Sequence[Any]], Sequence[Any]]
"""Does a batch of tasks and gives the outcome of each, an exception where one failed. Never raises."""

Rest = Callable[[], Callable[[], None] | None]
"""What is done after each batch, when nobody waits. Gives what is then to be called on the loop's thread. Never raises."""


class Writer(Protocol):
    """Does jobs in their order. How many may wait is bounded by who submits them."""

    def submit(self, job: Job) -> None:
        """Queues a job. Called on the loop's thread, never blocks."""

    async def stop(self) -> None:
        """Returns when all that was queued is done. May be called twice."""


WriterFactory = Callable[[str, Work, Rest], Writer]
"""Makes a writer from its name, its work and its rest."""


class ThreadWriter:
    """A thread that does what is queued; needs a running loop, to which it reports."""

    def __init__(self, name: str, work: Work, rest: Rest) -> None:
        self._work = work
        self._rest = rest
        self._loop = asyncio.get_running_loop()
        self._queued: deque[Job] = deque()
        self._wake = threading.Condition()
        self._stopping = False
        self._stopped = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def submit(self, job: Job) -> None:
        """Queues a job."""
        with self._wake:
            assert not self._stopping, "submitted to a writer that was stopped"
            self._queued.append(job)
            self._wake.notify()

    async def stop(self) -> None:
        """Returns when the thread has ended."""
        with self._wake:
            self._stopping = True
            self._wake.notify()
        await self._stopped.wait()
        self._thread.join()  # nothing is left for it but to return

    def _run(self) -> None:
        while batch := self._next():
            self._loop.call_soon_threadsafe(_tell, batch, self._work([job.task for job in batch]))
            if (news := self._rest()) is not None:
                self._loop.call_soon_threadsafe(news)
        self._loop.call_soon_threadsafe(self._stopped.set)

    def _next(self) -> list[Job]:
        with self._wake:
            while not self._queued and not self._stopping:
                self._wake.wait()
            return [self._queued.popleft() for _ in range(min(len(self._queued), BATCH_JOBS_MAX))]


class InlineWriter:
    """Does each job at once, on the caller's thread: for a simulation, where time is virtual."""

    def __init__(self, name: str, work: Work, rest: Rest) -> None:
        self.name = name
        self._work = work
        self._rest = rest

    def submit(self, job: Job) -> None:
        """Does a job."""
        _tell([job], self._work([job.task]))
        if (news := self._rest()) is not None:
            news()

    async def stop(self) -> None:
        """There is nothing to stop."""


class Lane:
    """A writer as coroutines see it: they wait for what they ask for, and at its door when too many do."""

    def __init__(
        self, make: WriterFactory, name: str, work: Work, *, rest: Rest = lambda: None, told: Callable[[], None]
    ) -> None:
        """`told` is called on the loop's thread after each job."""
        self._writer = make(name, work, rest)
        self._told = told
        self._free = asyncio.Semaphore(WAITING_MAX)
        self._closed = False

    async def do(self, task: Any) -> Any:
        """Gives what came of a task, or raises it. A task whose caller was cancelled is done all the same."""
        await self._free.acquire()
        if self._closed:
            self._free.release()
            raise JournalClosed("it was closed before this could be done")
        return await self._submit(task)

    def urge(self, task: Any) -> None:
        """Has a task done that nobody waits for, ahead of who waits at the door."""
        self._writer.submit(Job(task, lambda _: self._told()))

    async def close(self, last: Any) -> None:
        """Does what was asked for, then `last`, and ends."""
        self._closed = True
        await self._free.acquire()
        await self._submit(last)
        await self._writer.stop()

    async def _submit(self, task: Any) -> Any:
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

        def done(outcome: Any) -> None:
            self._free.release()
            self._told()
            if future.done():  # its caller was cancelled
                return
            if isinstance(outcome, BaseException):
                future.set_exception(outcome)
            else:
                future.set_result(outcome)

        self._writer.submit(Job(task, done))
        return await future


def _tell(batch: Sequence[Job], outcomes: Sequence[Any]) -> None:
    for job, outcome in zip(batch, outcomes, strict=True):
        job.done(outcome)
