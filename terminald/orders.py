"""The operator's orders on the control socket: each one event for the engine, done once under its key, approved where need be.

A method's parameters name nobody whose word is taken: who is signed on is the till's state, and an approver shows his PIN.
"""

import re
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from core import entries as e
from core import events as v
from core.card import holds_card
from core.operators import unauthorised
from core.permissions import READS, Operator, holds
from core.state import basket_of
from core.step import Facts
from core.text import message
from core.training import in_training
from terminald.control import Method, Params, Refused
from terminald.engine import Engine
from terminald.operators import Staff

_KEY = re.compile(r"[A-Za-z0-9._:/-]{1,128}")
_UUID = re.compile(r"[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}")


class Keyed(Params, frozen=True, kw_only=True):
    """An order; sent again with the same `key` it is done once only.

    What the operator may not do, `approver` allows with his own PIN, this once.
    """

    key: str | None = None
    approver: str = ""
    approver_pin: str = ""

    def __repr__(self) -> str:
        """Without what is in it: there may be a PIN."""
        return f"{type(self).__name__}(...)"


class Orders:
    """Gives orders to the engine for the methods of the control socket. Without operators nobody approves anything."""

    def __init__(self, engine: Engine, staff: Staff | None) -> None:
        self._engine = engine
        self._staff = staff

    def keyed(self, summary: str, params: type[Keyed], event: Callable[[Any], v.AnyEvent]) -> Method[Any]:
        """The method that gives one order."""

        async def carry_out(given: Keyed) -> object:
            return await self.give(event(given), given)

        return Method(summary=summary, params=params, handler=carry_out)

    def read(
        self, name: str, summary: str, params: type[msgspec.Struct], handler: Callable[[Any], Awaitable[object]]
    ) -> Method[Any]:
        """A method that changes nothing, for whoever may know what it tells (`core.permissions.READS`)."""

        async def carry_out(given: Any) -> object:
            self._refuse_reader(name)
            return await handler(given)

        return Method(summary=summary, params=params, handler=carry_out)

    async def give(
        self, event: v.AnyEvent, given: Keyed, look: Callable[[], Awaitable[None]] | None = None
    ) -> dict[str, object]:
        """Gives an order and tells what came of it. Raises Refused, and what `look` raises: it looks, for who may give the
        order and for nobody else, whether it can be carried out."""
        if given.key is not None and not is_key(given.key):
            raise Refused(message("key-not-valid"))
        approver = await self._approver(given)
        if look is not None:
            nothing = Facts(business_day="", local_time="", approver=approver)
            refused = unauthorised(self._engine.shop, self._engine.till, event, nothing)
            if refused is not None and refused.notice is not None:
                raise Refused(refused.notice)
            await look()
        taken = await self._engine.order(event, given.key, approver)
        if taken.refused and taken.notice is not None:
            raise Refused(taken.notice)
        notice = taken.notice
        _, now = in_training(self._engine.shop, self._engine.till)
        return {
            "notice": {"id": notice.id, "params": notice.params} if notice else None,
            "entries": [entry.__struct_config__.tag for entry in taken.entries],
            "number": basket.number if (basket := basket_of(now.sale)) else None,
        }

    async def note(self, entry: e.AnyEntry) -> None:
        """Keeps what is no event."""
        await self._engine.note(entry)

    async def _approver(self, given: Keyed) -> Operator | None:
        """Who approves, once his PIN was looked at; each try counts, and each in vain is kept."""
        if not given.approver or self._staff is None:
            return None
        checked = await self._staff.check(given.approver, given.approver_pin)
        if checked.outcome == "granted":
            return checked.operator
        subject = checked.operator.id if checked.operator is not None else ""
        await self._engine.note(e.SignOnRefused(reason=checked.outcome, subject=subject))
        match checked.outcome:
            case "denied":
                raise Refused(message("pin-wrong", tries=checked.tries_left))
            case "locked":
                minutes = -(-checked.left_ms // 60_000)
                raise Refused(message("operator-locked", operator=subject, minutes=minutes))
            case _:
                raise Refused(message("operator-not-known"))

    def _refuse_reader(self, name: str) -> None:
        if not self._engine.shop.sign_on:
            return
        needed = READS.get(name)
        if needed is None:
            raise Refused(message("not-allowed"))
        if needed == "anybody":
            return
        till = self._engine.till
        if till.operator is None:
            raise Refused(message("sign-on-needed"))
        if till.locked:
            raise Refused(message("till-locked", operator=till.operator.id))
        if not holds(till.operator.role, needed):
            raise Refused(message("role-needed", role=needed))


def is_key(key: str) -> bool:
    """Whether a key may be kept with a record: no card's number in it, but for what a UUID's digits may look like."""
    return bool(_UUID.fullmatch(key)) or (_KEY.fullmatch(key) is not None and not holds_card(key))
