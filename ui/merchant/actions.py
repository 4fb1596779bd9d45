"""The keys of the counter: what each is called, where it is on the keyboard, and which event of the till it stands for."""

from dataclasses import dataclass
from typing import Literal

from core.language import later
from core.view import Mode, SaleView
from ui.say import say

Panel = Literal["keys", "pad", "confirm"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`key` as Textual names it, `cap` as it is printed on a keyboard, `event` the tag in `SaleView.allowed`."""

    name: str
    key: str
    cap: str
    label: str
    event: str
    pay: bool = False


ACTIONS = (
    Action(name="cash", key="f1", cap="F1", label=later("Cash"), event="cash_keyed", pay=True),
    Action(name="card", key="f2", cap="F2", label=later("Card"), event="card_keyed", pay=True),
    Action(name="code", key="f3", cap="F3", label=later("Code"), event="code_keyed"),
    Action(name="quantity", key="f4", cap="F4", label=later("Quantity"), event="quantity_keyed"),
    Action(name="void", key="delete", cap="Del", label=later("Void"), event="void_keyed"),
    Action(name="reprint", key="f8", cap="F8", label=later("Reprint"), event="reprint_keyed"),
    Action(name="drawer", key="f9", cap="F9", label=later("Drawer"), event="drawer_keyed"),
    Action(name="cancel", key="escape", cap="Esc", label=later("Cancel"), event="cancel_keyed"),
)

CANCEL_LABELS: dict[Mode, str] = {
    "weighing": later("Not this"),
    "asking": later("Not this"),
    "authorizing": later("Stop card"),
    "enquiring": later("Go on"),
    "reversing": later("Leave it"),
}

WHY_OFF: dict[Mode, str] = {
    "idle": "no-open-sale",
    "ringing": "no-open-sale",
    "weighing": "weight-awaited-first",
    "asking": "answer-first",
    "tendering": "partly-paid",
    "authorizing": "payment-pending",
    "enquiring": "payment-unknown",
    "reversing": "payment-reversing",
}
"""The id of the message for a key that does nothing in a mode."""


def event_of(action: Action, sale: SaleView) -> str:
    """The event that a key stands for now: what waits has a weight, a price or an answer for its quantity."""
    if action.name != "quantity":
        return action.event
    if sale.mode == "weighing":
        return "weight_keyed"
    if sale.held is not None:
        return "age_keyed" if sale.held.about == "age" else "open_price_keyed"
    return action.event


def quantity_label(sale: SaleView) -> str:
    """What the key for a quantity is called now."""
    if sale.held is not None:
        return later("Age") if sale.held.about == "age" else later("Price")
    return later("Weight") if sale.mode == "weighing" else later("Quantity")


def question(sale: SaleView, total: str) -> tuple[str, str] | None:
    """What to ask before Cancel, and the label for doing it; None where nothing can be lost by it."""
    match sale.mode:
        case "ringing":
            return say("Give up this basket of {total}?", total=total), later("Give it up")
        case "tendering":
            return (
                say("Give up this basket of {total}?\nWhat was paid is given back first.", total=total),
                later("Give it up"),
            )
        case "enquiring":
            return (
                say("Go on without this card payment?\nShould it have charged, it is given back."),
                later("Go on"),
            )
        case _:
            return None


def cash_due(sale: SaleView) -> int:
    """What cash has to pay: it has no coins for all amounts everywhere."""
    return sale.due_minor if sale.cash_due_minor is None else sale.cash_due_minor
