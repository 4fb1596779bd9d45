"""A key lock in every position, for every role in every state: what it keeps back, and what it allows."""

import msgspec
import pytest

from core import events as v
from core.permissions import FACTS, NEEDED, Role
from core.sale import allowed, step
from core.state import Till
from core.step import OperatorWanted
from tests.core.test_operators import ROLES, STAFFED, as_, facts, tag_of
from tests.core.test_sale import EVENTS, STATES
from tests.core.transcript import SHOP

AT_ANY = ("operator_administered", "operator_checked", "lock_keyed", "sign_off_keyed")
LOCKS = msgspec.structs.replace(STAFFED, key_lock=True)
APPROVES = msgspec.structs.replace(LOCKS, key_approves=True)
ALONE = msgspec.structs.replace(SHOP, key_lock=True, key_approves=True)


def at(position: str, till: Till) -> Till:
    return msgspec.structs.replace(till, key=position)


def is_badge(event: v.AnyEvent, till: Till) -> bool:
    return isinstance(facts(event, till).question, OperatorWanted) or isinstance(event, v.ButtonPressed)


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", STATES)
def test_locked_nothing_is_ordered_and_all_facts_happen(state: str, role: Role) -> None:
    till = at("lock", as_(role, STATES[state]))
    for event in (event for event in EVENTS if not is_badge(event, till)):
        tag, taken = tag_of(event), step(LOCKS, till, event, facts(event, till))
        told = taken.notice.id if taken.notice is not None else ""
        if tag in FACTS or tag in AT_ANY or NEEDED[tag] == "anybody":
            assert told != "key-locked" or tag == "key_lock_turned"
            assert taken == step(STAFFED, till, event, facts(event, till))
        else:
            assert (told, taken.refused, taken.entries, taken.effects) == ("key-locked", True, (), ())
    takes, supervised = allowed(LOCKS, till)
    assert set(takes) <= set(AT_ANY)
    assert supervised == ()


@pytest.mark.parametrize("position", ["normal", "supervisor"])
@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("state", STATES)
def test_a_supervisors_key_allows_a_cashier_what_a_supervisor_may(state: str, role: Role, position: str) -> None:
    till = at(position, as_(role, STATES[state]))
    for event in (event for event in EVENTS if not is_badge(event, till)):
        tag, taken = tag_of(event), step(APPROVES, till, event, facts(event, till))
        lent = position == "supervisor" and role == "cashier" and NEEDED.get(tag) == "supervisor" and tag not in AT_ANY
        if not lent:
            assert taken == step(STAFFED, till, event, facts(event, till))
            continue
        own = as_("supervisor", STATES[state])
        without = step(STAFFED, own, event, facts(event, own))
        assert (taken.notice, taken.effects, taken.refused) == (without.notice, without.effects, without.refused)
        for entry in taken.entries:
            if "approver" in entry.__struct_fields__:
                assert (entry.operator, entry.approver) == ("17", "key")  # type: ignore[union-attr]


@pytest.mark.parametrize("position", ["normal", "supervisor"])
@pytest.mark.parametrize("state", STATES)
def test_where_nobody_signs_on_the_key_is_the_supervisor(state: str, position: str) -> None:
    till = at(position, STATES[state])
    takes, _ = allowed(ALONE, till)
    for event in (event for event in EVENTS if not is_badge(event, till)):
        tag, taken = tag_of(event), step(ALONE, till, event, facts(event, till))
        wanted = NEEDED.get(tag) == "supervisor" and tag not in AT_ANY and position == "normal"
        assert (taken.notice is not None and taken.notice.id == "key-needed") == wanted, tag
        assert not (wanted and (taken.entries or taken.effects or tag in takes))
