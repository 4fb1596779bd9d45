"""What headquarters orders: orders, the lock, notes, configurations."""

from typing import Any

import msgspec

from core.entries.base import Entry
from core.ledger import Stream


class OrderTaken(Entry, tag="order_taken", frozen=True, kw_only=True):
    """Headquarters' signed order was taken (`core.orders.Order`): its number counts no second time.

    `refused` is the code where it was rejected at once, for the reason `why`; `params` are left out then.
    """

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    order: str
    epoch: int
    counter: int
    role: str
    issuer: str
    not_after_ms: int
    issued_ms: int = 0
    not_before_ms: int = 0
    seconded: str = ""
    params: dict[str, Any] = msgspec.field(default_factory=dict)
    refused: str = ""
    why: str = ""


class OrderBegun(Entry, tag="order_begun", frozen=True, kw_only=True):
    """It is carried out from here on. `mark` is what tells, after a power cut, how far it came."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    mark: str = ""


class OrderEnded(Entry, tag="order_ended", frozen=True, kw_only=True):
    """What became of it: a state of `core.order_results`, and why."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    id: str
    order: str
    state: str
    code: str = ""
    text: str = ""


class OrderTold(Entry, tag="order_told", frozen=True, kw_only=True):
    """The broker has its end; a start does not tell it once more."""

    STREAM = Stream.TECHNICAL
    id: str


class TerminalLocked(Entry, tag="terminal_locked", frozen=True, kw_only=True):
    """No new sale begins from here on; the screen shows `text`. By the order of this id."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    order: str
    text: str


class TerminalUnlocked(Entry, tag="terminal_unlocked", frozen=True, kw_only=True):
    """It sells again."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    order: str


class NotePosted(Entry, tag="note_posted", frozen=True, kw_only=True):
    """A line for people in the shop stands on the screen from here on, until somebody has seen it."""

    STREAM = Stream.TECHNICAL
    order: str
    text: str


class NoteSeen(Entry, tag="note_seen", frozen=True, kw_only=True):
    """Somebody has."""

    STREAM = Stream.TECHNICAL
    order: str
    operator: str = ""


class ConfigurationOrdered(Entry, tag="configuration_ordered", frozen=True, kw_only=True):
    """What became of a configuration of headquarters' (`core.desired`): its document's hash, and who gave it, where known."""

    STREAM = Stream.TECHNICAL
    MOVES_MONEY = True
    epoch: int
    version: int
    hash: str
    state: str
    code: str = ""
    issuer: str = ""
    role: str = ""


OrderEntry = (
    OrderTaken | OrderBegun | OrderEnded | OrderTold | TerminalLocked | TerminalUnlocked | NotePosted | NoteSeen
)
"""What is kept of headquarters' orders."""
