"""What the key lock's position means, where there is one: locked nothing is ordered, and a supervisor's key may allow things.

Positions are UnifiedPOS' (``lock``, ``normal``, ``supervisor``). A fact still happens at a locked till: a payment that is under
way ends, and is kept.
"""

from core import events as v
from core.permissions import Needed, needed_for
from core.state import Shop, Till

KEY = "key"
"""Who stands in the journal as having allowed what the key allowed."""
_AT_ANY = ("operator_administered", "operator_checked", "lock_keyed", "sign_off_keyed")
"""Who works here is no matter of the key."""


def is_locked(shop: Shop, till: Till, tag: str) -> bool:
    """Whether the key keeps the till from taking an event, by its tag."""
    return shop.key_lock and till.key == "lock" and tag not in _AT_ANY and needed_for(tag) != "anybody"


def allows(shop: Shop, till: Till, tag: str, needed: Needed) -> bool:
    """Whether the key stands where it allows what takes a supervisor."""
    return shop.key_lock and shop.key_approves and till.key == "supervisor" and _may(tag, needed)


def is_wanted(shop: Shop, till: Till, event: v.AnyEvent, needed: Needed | None) -> bool:
    """Whether an event takes the supervisor's key, where nobody signs on."""
    if shop.sign_on or not (shop.key_lock and shop.key_approves) or needed is None:
        return False
    return _may(event.tag, needed) and till.key != "supervisor"


def _may(tag: str, needed: Needed) -> bool:
    return needed == "supervisor" and tag not in _AT_ANY
