"""Calls that may block, off the event loop: the kernel asks a device, and the device answers when it likes, or never.

An opening waits 50 ms for a USB keyboard's queue to run dry [linux, drivers/hid/usbhid/hid-core.c, usbhid_open] and up
to 5 s for each control message to a serial adapter that does not answer; a closing waits up to 30 s until a stalled
line has taken the rest [drivers/tty/tty_port.c, closing_wait]. What is done to one device is done in order, by one
thread, which is there only while there is something to do; a device that hangs so holds up nobody but itself.
"""

import asyncio
import contextlib
import functools
import termios
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, TypeVar

from core.ports import DeviceStalled

T = TypeVar("T")

WAITING_MAX: Final = 4
"""Calls for one device that wait for one that hangs; one more is refused."""

_lock = threading.Lock()
_waiting: dict[str, deque[Callable[[], None]]] = {}
"""By device, what is still to be done; a device that is in here has a thread."""


async def off_loop(name: str, work: Callable[[], T], undo: Callable[[T], None]) -> T:
    """What `work` returns or raises. `name` is the device's; `undo` takes back what comes when nobody waits any more.

    Raises DeviceStalled when earlier calls for the device still hang.
    """
    outcome: Future[T] = Future()
    with _lock:
        hanging = len(_waiting.get(name, ()))
    if hanging >= WAITING_MAX:
        raise DeviceStalled(f"{name}: an earlier call to the system does not return")
    _hand_over(name, functools.partial(_do, outcome, work))
    try:
        return await asyncio.wrap_future(outcome)
    except asyncio.CancelledError:
        if not outcome.cancel():
            outcome.add_done_callback(functools.partial(_take_back, undo))
        raise


def let_go(name: str, release: Callable[[], None]) -> None:
    """Has `release` called before anything else is done to the device. Never raises."""
    _hand_over(name, functools.partial(_release, release))


def _hand_over(name: str, work: Callable[[], None]) -> None:
    with _lock:
        queue = _waiting.get(name)
        if queue is not None:
            queue.append(work)
            return
        _waiting[name] = deque((work,))
    # Of a daemon kind: a call that never returns does not keep the program from ending.
    threading.Thread(target=_work_off, args=(name,), name=f"blocking-{name}", daemon=True).start()


def _work_off(name: str) -> None:
    while True:
        with _lock:
            queue = _waiting[name]
            if not queue:
                del _waiting[name]
                return
            work = queue.popleft()
        work()


def _do(outcome: Future[T], work: Callable[[], T]) -> None:
    if not outcome.set_running_or_notify_cancel():
        return
    try:
        result = work()
    except BaseException as error:
        outcome.set_exception(error)
    else:
        outcome.set_result(result)


def _take_back(undo: Callable[[T], None], outcome: Future[T]) -> None:
    if outcome.exception() is None:
        _release(functools.partial(undo, outcome.result()))


def _release(release: Callable[[], None]) -> None:
    with contextlib.suppress(OSError, termios.error):
        release()
