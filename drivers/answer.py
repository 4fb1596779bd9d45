"""Waiting for an answer on a connection that may end before it comes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import NoReturn, TypeVar

from core.ports import DeviceError, DeviceStalled

T = TypeVar("T")


async def answer_to(
    question: str, answered: asyncio.Future[T], lost: Callable[[], Awaitable[NoReturn]], timeout_s: float
) -> T:
    """Waits until whoever hears the answer has set it. `question` is for messages and for the task's name.

    Raises DeviceStalled after `timeout_s`, and at once what `lost` raises: it returns only by a DeviceError.
    """
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(_fail_with_the_end(answered, lost), name=f"end of the connection: {question}")
        await asyncio.wait((answered,), timeout=timeout_s)
        watching.cancel()
    if not answered.done():
        answered.cancel()
        raise DeviceStalled(f"{question}: no answer in {timeout_s} s.")
    return answered.result()


async def _fail_with_the_end(answered: asyncio.Future[T], lost: Callable[[], Awaitable[NoReturn]]) -> None:
    try:
        await lost()
    except DeviceError as error:
        if not answered.done():
            answered.set_exception(error)
