"""Headquarters' lines for people in the shop: each stands on the screen until somebody says that he has seen it."""

from core import entries as e
from core.state import Till
from core.step import Step, refuse
from core.text import Message, message


def see_note(till: Till) -> Step:
    """The oldest line was seen."""
    if not till.orders.notes:
        return refuse("no-note")
    seen = till.orders.notes[0]
    return Step(entries=(e.NoteSeen(order=seen.id),), notice=message("note-seen"))


def barred(till: Till) -> tuple[Message, ...]:
    """That headquarters keeps the till from selling, where it does."""
    return (message("terminal-locked", text=till.orders.locked),) if till.orders.locked is not None else ()


def unread(till: Till) -> tuple[Message, ...]:
    """Headquarters' lines that nobody has seen yet, the oldest first."""
    return tuple(message("headquarters-says", text=note.text) for note in till.orders.notes)
