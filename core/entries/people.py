"""Who works at the till, and who learns to."""

from typing import Literal

from core.entries.base import Entry
from core.ledger import Stream
from core.permissions import Role


# An entry's `operator` is who was signed on, its `approver` who allowed it where he might not: ids, and `core.operators`
# fills them in. Nobody's name stands here.
class OperatorSignedOn(Entry, tag="operator_signed_on", frozen=True, kw_only=True):
    """Somebody signed on (ARTS control transaction), or again at a till that was locked."""

    STREAM = Stream.TILL
    operator: str
    role: Role
    by: Literal["pin", "badge"] = "pin"


class OperatorSignedOff(Entry, tag="operator_signed_off", frozen=True, kw_only=True):
    """Somebody signed off, or another signed on in his place."""

    STREAM = Stream.TILL
    operator: str
    reason: Literal["keyed", "replaced"] = "keyed"


class SignOnRefused(Entry, tag="sign_on_refused", frozen=True, kw_only=True):
    """Somebody could not sign on; `subject` is an operator's id where there is one, and never what was typed."""

    STREAM = Stream.TILL
    reason: Literal["denied", "locked", "unknown"]
    subject: str = ""


class TillLocked(Entry, tag="till_locked", frozen=True, kw_only=True):
    """The till takes nothing until its operator, or a supervisor, signs on; an open basket stays as it is."""

    STREAM = Stream.TILL
    reason: Literal["keyed", "idle", "restart"]
    operator: str = ""


class OperatorAdministered(Entry, tag="operator_administered", frozen=True, kw_only=True):
    """An operator was made, changed or removed; durable before it is done. `role` is his from then on."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    subject: str
    change: Literal["added", "removed", "role", "pin", "badge", "unlocked"]
    role: Role | None = None
    operator: str = ""
    approver: str = ""


class ClaimOpened(Entry, tag="claim_opened", frozen=True, kw_only=True):
    """Whoever stands before the screen may become the till's owner for a while, though there are supervisors: nobody of
    them knows his PIN any more. `by` says who allowed it, `reference` the recovery key's id or the order."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    by: Literal["recovery-key", "headquarters"]
    reference: str


class TrainingBegun(Entry, tag="training_begun", frozen=True, kw_only=True):
    """From here on what is sold is for training, until TrainingEnded; its transactions are numbered from `number`."""

    STREAM = Stream.TILL
    number: int
    operator: str = ""
    approver: str = ""


class TrainingEnded(Entry, tag="training_ended", frozen=True, kw_only=True):
    """Training is over."""

    STREAM = Stream.TILL
    operator: str = ""
    approver: str = ""
