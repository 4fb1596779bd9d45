"""Who may do what: the table is whole, and in every state each event of each role is decided by it."""

from collections.abc import Iterator
from typing import get_args

import msgspec
import pytest

from core import entries as e
from core import events as v
from core.fold import apply
from core.operators import unauthorised
from core.permissions import FACTS, HELD, NEEDED, Operator, Role, holds
from core.sale import allowed, read, step
from core.state import Till
from core.step import Badge, Facts, OperatorWanted
from core.view import operator_view
from tests.core.test_sale import EVENTS, STATES
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

STAFFED = msgspec.structs.replace(SHOP, sign_on=True)
ROLES: tuple[Role, ...] = get_args(Role)
SUPERVISOR = Operator(id="9", role="supervisor")


def tag_of(event: v.AnyEvent) -> str:
    return str(event.__struct_config__.tag)


def facts(event: v.AnyEvent, till: Till, *, approver: Operator | None = None) -> Facts:
    return Facts(
        business_day=TODAY,
        local_time=NOW,
        question=read(STAFFED, till, event, TODAY),
        item=CATALOGUE["00000096385074"],
        customer="c0ffee",
        approver=approver,
    )


def as_(role: Role, till: Till) -> Till:
    return msgspec.structs.replace(till, operator=Operator(id="17", role=role))


def test_every_event_stands_in_one_table() -> None:
    tags = {str(event.__struct_config__.tag) for event in v.AnyEvent.__args__}
    assert tags == NEEDED.keys() | FACTS
    assert not NEEDED.keys() & FACTS


def test_an_event_that_no_table_knows_is_nobodys() -> None:
    class Unheard(v.Event, frozen=True, kw_only=True, tag="unheard"):
        """An event that somebody forgot."""

    till = as_("supervisor", Till())
    taken = unauthorised(STAFFED, till, Unheard(), Facts(business_day=TODAY, local_time=NOW))  # type: ignore[arg-type]
    assert taken is not None
    assert taken.notice is not None
    assert taken.notice.id == "not-allowed"


def cases() -> Iterator[tuple[str, Role | None, bool]]:
    for state in STATES:
        yield state, None, False
        for role in ROLES:
            yield state, role, False
            yield state, role, True


@pytest.mark.parametrize(("state", "role", "locked"), tuple(cases()))
def test_every_role_in_every_state(state: str, role: Role | None, locked: bool) -> None:
    """What a role has not leaves no entry and no effect; what it has is decided as it is without any roles."""
    till = STATES[state] if role is None else as_(role, STATES[state])
    till = msgspec.structs.replace(till, locked=locked)
    for event in EVENTS:
        tag = tag_of(event)
        asked = facts(event, till)
        if isinstance(asked.question, OperatorWanted) or tag == "button_pressed":
            continue  # a badge is for who is not signed on yet; a button is what it orders
        taken = step(STAFFED, till, event, asked)
        needed = "anybody" if tag in FACTS else NEEDED[tag]
        if needed == "anybody" or (role is not None and not locked and holds(role, needed)):
            assert taken.notice is None or taken.notice.id not in ("sign-on-needed", "role-needed", "supervisor-needed")
        else:
            assert taken.refused
            assert not taken.entries
            assert not taken.effects
            assert taken.notice is not None
            assert taken.notice.id in ("sign-on-needed", "till-locked", "role-needed", "supervisor-needed"), tag


@pytest.mark.parametrize("order", ["no-sale", "cancel", "reprint", "cash", "card"])
def test_a_button_needs_what_its_order_needs(order: v.ButtonOrder) -> None:
    event = v.ButtonPressed(device="buttons", order=order)
    assert step(STAFFED, Till(), event, facts(event, Till())).notice is not None
    (said,) = {step(STAFFED, Till(), event, facts(event, Till())).notice.id}  # type: ignore[union-attr]
    assert said == "sign-on-needed"


@pytest.mark.parametrize("state", STATES)
def test_what_a_supervisor_lends(state: str) -> None:
    """A cashier's event with an approval goes as a supervisor's own does, and its entries say who and who else."""
    for event in EVENTS:
        if NEEDED.get(tag_of(event)) != "supervisor":
            continue
        till = as_("cashier", STATES[state])
        lent = step(STAFFED, till, event, facts(event, till, approver=SUPERVISOR))
        own = step(STAFFED, as_("supervisor", STATES[state]), event, facts(event, till))
        assert (lent.notice, lent.effects, lent.refused) == (own.notice, own.effects, own.refused)
        for entry in lent.entries:
            if "approver" in entry.__struct_fields__:
                assert (entry.operator, entry.approver) == ("17", "9")  # type: ignore[union-attr]


@pytest.mark.parametrize("role", ["technician", "auditor"])
def test_nobody_lends_to_who_does_not_sell(role: Role) -> None:
    till = as_(role, STATES["ringing"])
    for event in EVENTS:
        if NEEDED.get(tag_of(event)) == "cashier" and not isinstance(facts(event, till).question, OperatorWanted):
            taken = step(STAFFED, till, event, facts(event, till, approver=SUPERVISOR))
            assert taken.notice is not None
            assert taken.notice.id == "role-needed", event


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("role", ROLES)
def test_screens_are_told_what_a_role_may_do(state: str, role: Role) -> None:
    till = as_(role, STATES[state])
    takes, supervised = allowed(STAFFED, till)
    everything, _ = allowed(SHOP, STATES[state])
    assert set(everything) >= set(supervised)
    assert all(holds(role, NEEDED[tag]) for tag in takes)
    assert not any(holds(role, NEEDED[tag]) for tag in supervised)
    assert allowed(STAFFED, msgspec.structs.replace(till, locked=True)) == ((), ())


def test_without_operators_everybody_may_do_everything_and_nobody_signs_on() -> None:
    for event in (v.LockKeyed(), v.SignOffKeyed(), v.OperatorChecked(outcome="granted", operator=SUPERVISOR)):
        taken = step(SHOP, Till(), event, facts(event, Till()))
        assert taken.refused
        assert not taken.entries
    assert not operator_view(SHOP, as_("cashier", Till())).sign_on
    assert operator_view(SHOP, as_("cashier", Till())).id is None


def test_a_role_that_is_included() -> None:
    assert {role: HELD[role] for role in ROLES} == {
        "cashier": {"cashier"},
        "supervisor": {"supervisor", "cashier", "auditor"},
        "technician": {"technician"},
        "auditor": {"auditor"},
    }


def test_who_was_removed_has_to_show_who_he_is() -> None:
    till = apply(as_("cashier", STATES["ringing"]), e.OperatorAdministered(subject="17", change="removed"))
    assert till.locked
    badge = Badge(operator=Operator(id="18", role="cashier"))
    event = v.TagPresented(device="nfc", uid="04", technology="type2")
    shop = msgspec.structs.replace(STAFFED, badge_alone=True)
    taken = step(shop, till, event, msgspec.structs.replace(facts(event, till), badge=badge))
    assert taken.notice is not None
    assert taken.notice.id == "basket-of-other"
