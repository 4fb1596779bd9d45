"""Who works at the till, over the control socket: signing on and off, and, for supervisors, who may at all."""

from collections.abc import Mapping
from typing import Annotated, Any

import msgspec

from core import entries as e
from core import events as v
from core.permissions import Operator, Role
from core.text import message
from store.credentials import PinRefused
from store.operators import OperatorRefused
from terminald.control import Method, Params, Refused
from terminald.operators import RECLAIM_S, Staff
from terminald.orders import Keyed, Orders

CODE_LENGTH_MAX = 100
SUBJECT_LENGTH_MAX = 8
"""No operator has a longer id; a longer one is refused before anything is kept of it."""


class SignOnParams(Params, frozen=True, kw_only=True):
    operator: str
    pin: str

    def __repr__(self) -> str:
        """Without the PIN."""
        return "SignOnParams(...)"


class ClaimParams(SignOnParams, frozen=True, kw_only=True):
    claim: str
    name: str = ""


class ReclaimParams(Params, frozen=True, kw_only=True):
    code: Annotated[str, msgspec.Meta(max_length=CODE_LENGTH_MAX)] = ""


class OperatorParams(Keyed, frozen=True, kw_only=True):
    operator: str


class AddParams(OperatorParams, frozen=True, kw_only=True):
    role: Role
    pin: str
    name: str = ""


class RoleParams(OperatorParams, frozen=True, kw_only=True):
    role: Role
    pin: str = ""


class PinParams(OperatorParams, frozen=True, kw_only=True):
    pin: str


class BadgeParams(OperatorParams, frozen=True, kw_only=True):
    code: str = ""


def operator_methods(orders: Orders, staff: Staff | None) -> Mapping[str, Method[Any]]:
    """The method table; without operators in the configuration each of them says so."""

    def present() -> Staff:
        if staff is None:
            raise Refused(message("no-operators"))
        return staff

    async def sign_on(given: SignOnParams) -> object:
        checked = await present().check(given.operator, given.pin)
        return await orders.give(checked, Keyed())

    async def claim(given: ClaimParams) -> object:
        try:
            await present().try_claim(given.claim, given.operator, given.pin, given.name)
            await orders.note(e.OperatorAdministered(subject=given.operator, change="added", role="supervisor"))
            await present().take_claim(given.operator, given.pin, given.name)
        except OperatorRefused as refused:
            raise Refused(message(refused.condition)) from None
        except PinRefused as refused:
            raise Refused(message("pin-not-good", why=str(refused))) from None
        owner = Operator(id=given.operator, role="supervisor")
        return await orders.give(v.OperatorChecked(outcome="granted", operator=owner), Keyed())

    async def reclaim(given: ReclaimParams) -> object:
        try:
            if not given.code:
                return {"request": present().ask_to_claim()}
            key = present().check_code(given.code)
        except OperatorRefused as refused:
            if refused.condition == "recovery-code-wrong":
                await orders.note(e.SignOnRefused(reason="denied", subject="reclaim"))
            raise Refused(message(refused.condition)) from None
        await orders.note(e.ClaimOpened(by="recovery-key", reference=key))
        present().open_claim()
        return {"minutes": int(RECLAIM_S) // 60}

    async def list_(_: Params) -> object:
        return [
            {
                "operator": row.id,
                "role": row.role,
                "name": row.name,
                "badge": row.has_badge,
                "locked_minutes": -(-row.locked_ms // 60_000),
            }
            for row in await present().rows()
        ]

    def changing(change: v.Change, summary: str, params: type[OperatorParams]) -> Method[Any]:
        async def carry_out(given: Any) -> object:
            role: Role | None = getattr(given, "role", None)
            pin, name, code = (getattr(given, field, "") for field in ("pin", "name", "code"))
            badge = f"card:{code}".encode().hex() if code else ""
            event = v.OperatorAdministered(subject=given.operator[:SUBJECT_LENGTH_MAX], change=change, role=role)

            async def look() -> None:
                await present().refuse(change, given.operator, role, pin, name, badge)

            try:
                said = await orders.give(event, given, look)
                await present().change(change, given.operator, role, pin, name, badge)
            except OperatorRefused as refused:
                raise Refused(message(refused.condition)) from None
            except PinRefused as refused:
                raise Refused(message("pin-not-good", why=str(refused))) from None
            return said

        return Method(summary=summary, params=params, handler=carry_out)

    return {
        "operator.sign_on": Method(
            summary="Signs an operator on by his id and PIN, also at a locked till",
            params=SignOnParams,
            handler=sign_on,
        ),
        "operator.sign_off": orders.keyed("Signs the operator off", Keyed, lambda _: v.SignOffKeyed()),
        "note.seen": orders.keyed(
            "Headquarters' oldest message on the screen was read", Keyed, lambda _: v.NoteSeenKeyed()
        ),
        "operator.lock": orders.keyed("Locks the till; its basket stays", Keyed, lambda _: v.LockKeyed()),
        "operator.claim": Method(
            summary="Makes the owner, a supervisor, by the claim that stands on the screen",
            params=ClaimParams,
            handler=claim,
        ),
        "operator.reclaim": Method(
            summary="The way back where no supervisor knows his PIN: gives a request for whoever holds the organisation's"
            " recovery key; with the answer a claim stands on the screen for a while",
            params=ReclaimParams,
            handler=reclaim,
        ),
        "operator.list": orders.read("operator.list", "The operators", Params, list_),
        "operator.add": changing("added", "Makes an operator", AddParams),
        "operator.remove": changing("removed", "Takes an operator out; his id stays taken", OperatorParams),
        "operator.role": changing(
            "role", "Gives an operator another role, with a new PIN where it needs more digits", RoleParams
        ),
        "operator.pin": changing("pin", "Gives an operator another PIN, and lifts his lock", PinParams),
        "operator.badge": changing(
            "badge",
            "Makes the next tag or staff card that a reader gets within 30 s an operator's badge, or a code",
            BadgeParams,
        ),
        "operator.unlock": changing("unlocked", "Lifts an operator's lock", OperatorParams),
    }
