"""How one kind of order is carried out, and what comes of it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.orders import Order


class OrderFailed(Exception):
    """An order was carried out and did not succeed. `code` is stable."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


async def _nothing() -> None:
    """What follows most orders."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What came of an order that succeeded. `then` follows once the end is kept and told."""

    text: str = ""
    output: Mapping[str, Any] = field(default_factory=dict)
    then: Callable[[], Awaitable[None]] = _nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """How an order is carried out: `run` gives an outcome or raises OrderFailed.

    `mark` is kept before it begins; `resolve` says at a start, by that mark, whether one that had begun did succeed.
    """

    run: Callable[[Order, Any], Awaitable[Outcome]]
    mark: Callable[[], str] = lambda: ""
    resolve: Callable[[str], bool] | None = None
