"""Who works here, and what the engine itself has to say."""

from typing import Literal

from core.events.base import Event
from core.permissions import Operator, Role


class LockKeyed(Event, frozen=True, kw_only=True, tag="lock_keyed"):
    """The operator leaves the till for a while: nothing is taken until he, or a supervisor, signs on again."""


class SignOffKeyed(Event, frozen=True, kw_only=True, tag="sign_off_keyed"):
    """The operator goes."""


Change = Literal["added", "removed", "role", "pin", "badge", "unlocked"]


class NoteSeenKeyed(Event, frozen=True, kw_only=True, tag="note_seen_keyed"):
    """Somebody has seen the oldest of headquarters' lines on the screen."""


class OperatorAdministered(Event, frozen=True, kw_only=True, tag="operator_administered"):
    """An operator is to be made, changed or removed; the store does it once this is kept. `role` is his from now on."""

    subject: str
    change: Change
    role: Role | None = None


class TrainingKeyed(Event, frozen=True, kw_only=True, tag="training_keyed"):
    """Training is to begin, or to end (`core.training`)."""

    on: bool


SignOnOutcome = Literal["granted", "denied", "locked", "unknown"]


class OperatorChecked(Event, frozen=True, kw_only=True, tag="operator_checked"):
    """What came of a PIN that somebody signed on with: no client says this, the daemon does, which asked the store.

    `operator` is who it was; of an id that nobody has, nothing is repeated. `tries_left` and `left_ms` (of a lock) are for
    the one who tried.
    """

    outcome: SignOnOutcome
    operator: Operator | None = None
    tries_left: int = 0
    left_ms: int = 0


class TillIdled(Event, frozen=True, kw_only=True, tag="till_idled"):
    """Nobody has touched the till for as long as the configuration allows."""


class Booted(Event, frozen=True, kw_only=True, tag="booted"):
    """The journal was replayed; what was pending is resolved now."""
