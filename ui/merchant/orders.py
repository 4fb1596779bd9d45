"""Gives the till its orders in the background, a bounded number at a time, and says what came of those that failed."""

from collections.abc import Awaitable, Callable, Mapping

from core import text
from terminald.client import CallFailed, CallRefused, Disconnected
from ui.merchant.flows import Flow, Order

Call = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""Carries out a method of the till. Raises CallRefused, CallFailed or Disconnected."""

IN_HAND_MAX = 8


class Orders:
    """`start` runs a coroutine in the background under a name; `fail` hears why an order was not carried out, `refused` of
    a refusal, with the flow and the orders that were still to be given, and `done` what the last one was answered."""

    def __init__(
        self,
        call: Call,
        *,
        start: Callable[[Awaitable[None], str], object],
        fail: Callable[[text.Message], None],
        refused: Callable[[Flow, tuple[Order, ...], text.Message], None],
        done: Callable[[Flow, object], None],
    ) -> None:
        self._call = call
        self._start = start
        self._fail = fail
        self._refused = refused
        self._done = done
        self._in_hand: list[str] = []

    def send(self, flow: Flow, orders: tuple[Order, ...]) -> None:
        """Orders, one after the other; the same again while the first has no answer is a slip of the finger, but for
        scans."""
        method, _ = orders[0]
        if method in self._in_hand and method != "sale.scan":
            return
        if len(self._in_hand) >= IN_HAND_MAX:
            self._fail(text.message("please-wait"))
            return
        self._in_hand.append(method)
        self._start(self._carry_out(flow, orders), f"order {method}")

    async def _carry_out(self, flow: Flow, orders: tuple[Order, ...]) -> None:
        refused: tuple[tuple[Order, ...], text.Message] | None = None
        answer: object = None
        try:
            for place, (method, params) in enumerate(orders):
                try:
                    answer = await self._call(method, params)
                except CallRefused as why:
                    refused = orders[place:], why.message
                    break
        except CallFailed as failed:
            self._fail(text.message("order-failed", code=failed.code))
            return
        except (Disconnected, TimeoutError):
            self._fail(text.message("order-lost"))
            return
        finally:
            self._in_hand.remove(orders[0][0])
        if refused is not None:
            self._refused(flow, *refused)
        else:
            self._done(flow, answer)
