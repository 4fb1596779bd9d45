"""What devices, the power and the case tell."""

from core.entries.base import Entry
from core.ledger import Stream


class KeyLockTurned(Entry, tag="key_lock_turned", frozen=True, kw_only=True):
    """The key lock stands at another position, by UnifiedPOS' names (``lock``, ``normal``, ``supervisor``)."""

    STREAM = Stream.TILL
    position: str


class PowerChanged(Entry, tag="power_changed", frozen=True, kw_only=True):
    """The board's power became too weak for a tender, or strong enough; `flags` are the firmware's."""

    STREAM = Stream.TECHNICAL
    weak: bool
    flags: tuple[str, ...] = ()


class CaseOpened(Entry, tag="case_opened", frozen=True, kw_only=True):
    """The terminal's case had been opened at `opened_ms`, and its keys left the memory; kept after the release.

    `incident` names it, `released_ms` is when headquarters' order of that `counter` was carried out, `role` whose it was.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    incident: str
    opened_ms: int
    released_ms: int
    counter: int
    role: str


class DeviceReported(Entry, tag="device_reported", frozen=True, kw_only=True):
    """A device became ready, or stopped being so; `fault` is the error's code."""

    STREAM = Stream.TECHNICAL
    device: str
    phase: str
    fault: str | None = None
