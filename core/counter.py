"""What the counter's key lock, buttons, case and power do: facts to keep, and orders that a button gives."""

from collections.abc import Mapping
from typing import assert_never

from core import entries as e
from core import events as v
from core.step import Step, refuse
from core.text import message

CounterEvent = v.KeyLockTurned | v.CaseOpened | v.PowerSensed

ORDERS: Mapping[v.ButtonOrder, v.AnyEvent] = {
    "no-sale": v.DrawerKeyed(),
    "cancel": v.CancelKeyed(),
    "reprint": v.ReprintKeyed(),
    "cash": v.CashKeyed(),
    "card": v.CardKeyed(),
}
"""The operator's event that each button stands for."""


def sense(event: CounterEvent) -> Step:
    """What follows from a fact about the counter itself, whatever the sale is at."""
    match event:
        case v.KeyLockTurned():
            told = message("key-locked") if event.position == "lock" else None
            return Step(entries=(e.KeyLockTurned(position=event.position),), notice=told, level="warning")
        case v.PowerSensed():
            kept = (e.PowerChanged(weak=event.weak, flags=event.flags),)
            if event.weak:
                return Step(entries=kept, notice=message("power-weak"), level="error")
            return Step(entries=kept, notice=message("power-back"))
        case v.CaseOpened():
            return refuse("case-opened")  # the daemon ends at this very moment; what is kept, is kept after the release
    assert_never(event)
