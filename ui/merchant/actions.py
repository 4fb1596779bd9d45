"""The keys of the counter and its menu: what each is called, where it is on the keyboard, and which flow it begins."""

from dataclasses import dataclass

from core.language import later
from core.text import Message, message
from core.view import Mode, SaleView, View
from ui.merchant import gift_cards, parking, paying, returning, selling, staff, till_day
from ui.merchant.flows import Flow
from ui.say import say


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """`key` as Textual names it, `cap` as it is printed on a keyboard; `name` is a flow's, or ``more``, the menu."""

    name: str
    key: str
    cap: str
    label: str
    pay: bool = False


ACTIONS = (
    Action(name="cash", key="f1", cap="F1", label=later("Cash"), pay=True),
    Action(name="card", key="f2", cap="F2", label=later("Card"), pay=True),
    Action(name="other", key="f5", cap="F5", label=later("Other"), pay=True),
    Action(name="code", key="f3", cap="F3", label=later("Code")),
    Action(name="quantity", key="f4", cap="F4", label=later("Quantity")),
    Action(name="void", key="delete", cap="Del", label=later("Void")),
    Action(name="park", key="f6", cap="F6", label=later("Park")),
    Action(name="return", key="f7", cap="F7", label=later("Return")),
    Action(name="reprint", key="f8", cap="F8", label=later("Reprint")),
    Action(name="drawer", key="f9", cap="F9", label=later("Drawer")),
    Action(name="cancel", key="escape", cap="Esc", label=later("Cancel")),
    Action(name="more", key="f10", cap="F10", label=later("More")),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A place of the menu: a letter, and the flow that it begins."""

    letter: str
    flow: str


MENU = (
    Entry(letter="k", flow="price-check"),
    Entry(letter="c", flow="coupon"),
    Entry(letter="l", flow="line-discount"),
    Entry(letter="d", flow="total-discount"),
    Entry(letter="p", flow="price"),
    Entry(letter="n", flow="new-item"),
    Entry(letter="e", flow="empties"),
    Entry(letter="t", flow="exemption"),
    Entry(letter="u", flow="void-sale"),
    Entry(letter="a", flow="reprint-any"),
    Entry(letter="i", flow="invoice"),
    Entry(letter="m", flow="move"),
    Entry(letter="g", flow="open-till"),
    Entry(letter="w", flow="begin-count"),
    Entry(letter="y", flow="close-till"),
    Entry(letter="x", flow="x"),
    Entry(letter="z", flow="z"),
    Entry(letter="b", flow="day"),
    Entry(letter="h", flow="by-hand"),
    Entry(letter="v", flow="training"),
    Entry(letter="r", flow="note-seen"),
    Entry(letter="q", flow="lock"),
    Entry(letter="o", flow="sign-off"),
)

OF_STAFF = frozenset(flow.name for flow in staff.FLOWS)
FLOWS = {
    flow.name: flow
    for flow in (
        *gift_cards.FLOWS,
        *selling.FLOWS,
        *paying.FLOWS,
        *parking.FLOWS,
        *returning.FLOWS,
        *till_day.FLOWS,
        *staff.FLOWS,
    )
}

_OF_HELD = {"age": "age", "price": "open-price", "quantity": "quantity"}

CANCEL_LABELS: dict[Mode, str] = {
    "weighing": later("Not this"),
    "asking": later("Not this"),
    "loading": later("Not this"),
    "unloading": later("Leave it"),
    "authorizing": later("Stop card"),
    "enquiring": later("Go on"),
    "reversing": later("Leave it"),
}

WHY_OFF: dict[Mode, str] = {
    "idle": "no-open-sale",
    "ringing": "sale-open",
    "weighing": "weight-awaited-first",
    "asking": "answer-first",
    "loading": "gift-card-awaited-first",
    "unloading": "gift-card-pending",
    "tendering": "partly-paid",
    "authorizing": "payment-pending",
    "enquiring": "payment-unknown",
    "reversing": "payment-reversing",
}
"""The id of the message for a key that does nothing in a mode."""


def flow_of(name: str, sale: SaleView) -> Flow:
    """The flow that a key begins now: what waits has a weight, a price or an answer for its quantity."""
    if name == "code" and sale.mode == "loading":
        return FLOWS["gift-card-number"]
    if name == "quantity":
        if sale.mode == "weighing":
            return FLOWS["weight"]
        if sale.held is not None:
            return FLOWS[_OF_HELD[sale.held.about]]
    if name == "park" and sale.mode == "idle":
        return FLOWS["resume"]
    return FLOWS[name]


def menu_flow(entry: Entry, view: View) -> Flow:
    """The flow at a place of the menu: what takes something back stands where the thing itself does."""
    sale = view.sale
    if entry.flow == "training" and view.operator.training:
        return FLOWS["end-training"]
    if entry.flow == "exemption" and sale.exempt:
        return FLOWS["taxed"]
    if entry.flow == "begin-count" and "count_given_up_keyed" in sale.allowed:
        return FLOWS["count"]
    if entry.flow == "open-till" and "count_given_up_keyed" in sale.allowed:
        return FLOWS["stop-count"]
    return FLOWS[entry.flow]


def label_of(action: Action, sale: SaleView) -> str:
    """What a key is called now."""
    match action.name:
        case "cancel" if sale.mode == "authorizing" and sale.pending == "MOBILE":
            return say("Stop")
        case "cancel":
            return CANCEL_LABELS.get(sale.mode, action.label)
        case "park" if sale.mode == "idle" and sale.parked:
            return say("Resume {count}", count=len(sale.parked))
        case "quantity" | "park" | "code":
            return flow_of(action.name, sale).label
        case _:
            return action.label


def can(flow: Flow, sale: SaleView) -> bool:
    """Whether the till takes it now, from whoever is signed on or with a supervisor's word."""
    return flow.event in sale.allowed or flow.event in sale.supervised


def begins(known: View | None, view: View) -> Flow | None:
    """What the till's own change asks for: a drawer that is to be counted, goods of a receipt that was scanned."""
    counting = view.till.state == "counting" and view.till.counted_minor is None
    if counting and (known is None or known.till.state != "counting"):
        return FLOWS["count"]
    if view.sale.mode == "unloading":
        return None  # a gift card of that receipt is coming back already
    if known is None or known.boot != view.boot or known.sale.lines != view.sale.lines:
        return None
    return FLOWS["return"] if len(view.sale.receipts) > len(known.sale.receipts) else None


def why_off(flow: Flow, view: View) -> Message:
    """Why a key does nothing now."""
    sale, who = view.sale, view.operator
    if who.sign_on and (who.id is None or who.locked):
        return message("till-locked", operator=who.id) if who.id is not None else message("sign-on-needed")
    if any(each.id == "key-locked" for each in view.conditions):
        return message("key-locked")
    if sale.mode == "idle" and view.till.state in ("closed", "counting"):
        return message(f"till-{view.till.state}")
    if flow.name == "resume" and not sale.parked:
        return message("nothing-parked")
    if sale.pending == "MOBILE":
        return message("wallet-pending" if sale.mode == "authorizing" else "wallet-unknown")
    return message(WHY_OFF[sale.mode])
