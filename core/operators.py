"""Who works at the till: signing on and off, locking, and who may do or allow what. Names and PINs never come here.

Who somebody is, the daemon has asked the credentials before a step; what he may do is asked of the till's own state here,
never of a message. Every entry that has a place for it says who did it and who allowed it.
"""

from typing import assert_never

import msgspec

from core import entries as e
from core import events as v
from core import keylock
from core.permissions import Needed, Operator, holds, needed_for
from core.state import Shop, Till, basket_of
from core.step import Badge, Facts, OperatorWanted, Step, refuse
from core.text import message

StaffEvent = v.OperatorChecked | v.SignOffKeyed | v.LockKeyed | v.TillIdled | v.OperatorAdministered


def unauthorised(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts) -> Step | None:
    """Why the event is not taken from whoever is signed on; None where it is."""
    if keylock.is_locked(shop, till, event.tag):
        return refuse("key-locked")
    needed = _needed(event)
    if keylock.is_wanted(shop, till, event, needed):
        return refuse("key-needed")
    if not shop.sign_on or is_badge(facts):
        return None
    if needed is None:
        return refuse("not-allowed")
    if needed == "anybody":
        return None
    if isinstance(event, v.OperatorAdministered) and facts.approver is not None:
        # Who works here is no matter of who stands here: a supervisor's PIN is enough.
        return None if holds(facts.approver.role, needed) else refuse("approver-may-not", operator=facts.approver.id)
    if till.operator is None:
        return refuse("sign-on-needed")
    if till.locked:
        return refuse("till-locked", operator=till.operator.id)
    if holds(till.operator.role, needed):
        return None
    if not holds(till.operator.role, "cashier") or not holds("supervisor", needed):
        return refuse("role-needed", role=needed)  # nobody lends his role to who looks after the terminal or the books
    if facts.approver is None:
        return None if keylock.allows(shop, till, event.tag, needed) else refuse("supervisor-needed")
    return None if holds(facts.approver.role, needed) else refuse("approver-may-not", operator=facts.approver.id)


def signed(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts, taken: Step) -> Step:
    """The step with who did it, and who allowed it where he might not, in all entries that have a place for it."""
    needed = _needed(event)
    by_key = needed is not None and keylock.allows(shop, till, event.tag, needed)
    if not taken.entries or not (shop.sign_on or by_key):
        return taken
    who, approver = till.operator if shop.sign_on else None, facts.approver
    lent = needed is not None and (who is None or till.locked or not holds(who.role, needed))
    operator_id = who.id if who is not None else ""
    approver_id = ""
    if lent:
        approver_id = approver.id if approver is not None else keylock.KEY if by_key else ""
    if not operator_id and not approver_id:
        return taken
    entries = tuple(_signed(entry, operator_id, approver_id) for entry in taken.entries)
    return msgspec.structs.replace(taken, entries=entries)


def _needed(event: v.AnyEvent) -> Needed | None:
    """The role that an event takes: a till is closed over baskets that are put aside by a supervisor alone."""
    return "supervisor" if isinstance(event, v.TillCloseKeyed) and event.parked else needed_for(event.tag)


def is_badge(facts: Facts) -> bool:
    """Whether what was presented is somebody's badge, or should be."""
    return facts.badge is not None or isinstance(facts.question, OperatorWanted)


def show_badge(shop: Shop, till: Till, facts: Facts) -> Step:
    """A badge says who somebody is. Alone it signs a cashier on where the shop allows it; all else takes the PIN."""
    badge = facts.badge
    if badge is None:
        kept = (e.SignOnRefused(reason="unknown"),)
        return msgspec.structs.replace(refuse("badge-not-known"), entries=kept)
    typed = isinstance(facts.question, OperatorWanted) and facts.question.typed
    if badge.given:
        return Step(notice=message("badge-given", operator=badge.operator.id))
    if badge.locked_ms:
        return _locked_out(badge)
    if not shop.badge_alone or typed or badge.operator.role != "cashier":
        return msgspec.structs.replace(refuse("pin-needed", operator=badge.operator.id), level="info")
    return _sign_on(till, badge.operator, by_badge=True)


def staff(shop: Shop, till: Till, event: StaffEvent) -> Step:
    """What follows from somebody's coming, going or changing, whatever the sale is at."""
    if not shop.sign_on:
        return refuse("no-operators")
    match event:
        case v.OperatorChecked():
            return _checked(till, event)
        case v.SignOffKeyed():
            if till.operator is None:
                return refuse("nobody-signed-on")
            if basket_of(till.sale) is not None:
                return refuse("sale-open")
            gone = e.OperatorSignedOff(operator=till.operator.id)
            return Step(entries=(gone,), notice=message("signed-off", operator=till.operator.id))
        case v.LockKeyed():
            return _lock(till, "keyed") or refuse("nobody-signed-on")
        case v.TillIdled():
            return _lock(till, "idle") or Step()
        case v.OperatorAdministered():
            changed = e.OperatorAdministered(subject=event.subject, change=event.change, role=event.role)
            return Step(entries=(changed,), notice=message("operator-changed", operator=event.subject))
    assert_never(event)


def lock_at_start(shop: Shop, till: Till) -> tuple[e.TillLocked, ...]:
    """After a start nobody knows who stands there: the till is locked, and keeps its basket."""
    if not shop.sign_on or till.operator is None or till.locked:
        return ()
    return (e.TillLocked(reason="restart", operator=till.operator.id),)


def permitted(shop: Shop, till: Till, tags: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the events that the state takes: those that the operator may do, and those that a supervisor may allow him."""
    known = {
        tag: needed
        for tag in tags
        if (needed := needed_for(tag)) is not None and not keylock.is_locked(shop, till, tag)
    }
    if not shop.sign_on:
        wants_key = shop.key_lock and shop.key_approves and till.key != "supervisor"
        return tuple(tag for tag, needed in known.items() if not (wants_key and needed == "supervisor")), ()
    if till.operator is None or till.locked:
        return (), ()
    role = till.operator.role
    sells = holds(role, "cashier")
    his = tuple(
        tag
        for tag, needed in known.items()
        if holds(role, needed) or (sells and keylock.allows(shop, till, tag, needed))
    )
    lent = tuple(tag for tag, needed in known.items() if tag not in his and holds("supervisor", needed))
    basket = basket_of(till.sale)
    return (*his, "lock_keyed", *(("sign_off_keyed",) if basket is None else ())), lent if sells else ()


def _checked(till: Till, event: v.OperatorChecked) -> Step:
    subject = event.operator.id if event.operator is not None else ""
    match event.outcome:
        case "granted":
            assert event.operator is not None, "nobody was granted"
            return _sign_on(till, event.operator, by_badge=False)
        case "denied":
            kept = (e.SignOnRefused(reason="denied", subject=subject),)
            return msgspec.structs.replace(refuse("pin-wrong", tries=event.tries_left), entries=kept)
        case "unknown":
            kept = (e.SignOnRefused(reason="unknown"),)
            return msgspec.structs.replace(refuse("operator-not-known"), entries=kept)
        case "locked":
            assert event.operator is not None, "nobody is locked out"
            return _locked_out(Badge(operator=event.operator, locked_ms=event.left_ms))
    assert_never(event.outcome)


def _locked_out(badge: Badge) -> Step:
    kept = (e.SignOnRefused(reason="locked", subject=badge.operator.id),)
    minutes = -(-badge.locked_ms // 60_000)
    return msgspec.structs.replace(refuse("operator-locked", operator=badge.operator.id, minutes=minutes), entries=kept)


def _sign_on(till: Till, who: Operator, *, by_badge: bool) -> Step:
    """An open basket is taken over by its own operator, or by a supervisor; of others it is, with its money, not theirs."""
    was = till.operator
    if basket_of(till.sale) is not None and (was is None or was.id != who.id):
        if not holds(who.role, "cashier"):
            return refuse("sale-open")
        if was is not None and not holds(who.role, "supervisor"):
            return refuse("basket-of-other", operator=was.id)
    if was == who and not till.locked:
        return Step(notice=message("signed-on", operator=who.id))
    on = e.OperatorSignedOn(operator=who.id, role=who.role, by="badge" if by_badge else "pin")
    off = (e.OperatorSignedOff(operator=was.id, reason="replaced"),) if was is not None and was.id != who.id else ()
    return Step(entries=(*off, on), notice=message("signed-on", operator=who.id))


def _lock(till: Till, reason: str) -> Step | None:
    if till.operator is None or till.locked:
        return None
    locked = e.TillLocked(reason="idle" if reason == "idle" else "keyed", operator=till.operator.id)
    return Step(entries=(locked,), notice=message("till-locked", operator=till.operator.id))


def _signed(entry: e.AnyEntry, operator: str, approver: str) -> e.AnyEntry:
    places = entry.__struct_fields__
    said = {}
    if "operator" in places and not getattr(entry, "operator", ""):
        said["operator"] = operator
    if approver and "approver" in places:
        said["approver"] = approver
    return msgspec.structs.replace(entry, **said) if said else entry
