"""What the customer's display, the lights and the tone do after a step: a function of the till and of what was taken.

It is asked after the step's entries are folded. Repeating an effect of it is harmless, and so is leaving one out.
"""

from typing import assert_never

from core import effects as x
from core import entries as e
from core import events as v
from core.pricing import due_minor, paid_minor, price
from core.state import (
    Asking,
    Authorizing,
    Basket,
    Enquiring,
    Idle,
    Loading,
    Reversing,
    Ringing,
    Shop,
    Tendering,
    Till,
    Unloading,
    Weighing,
)
from core.step import Step


def signs(shop: Shop, till: Till, event: v.AnyEvent, taken: Step) -> tuple[x.SignEffect, ...]:
    """What is to be shown and sounded, `till` being the one after `taken`, which is what followed from `event`."""
    shown = _display(shop, till, event, taken)
    lights = x.SetLights(state="attention" if taken.level == "error" else _lights(till))
    tone = (x.SoundTone(tone="refused"),) if taken.level == "error" else ()
    return (*((shown,) if shown is not None else ()), lights, *tone)


def _lights(till: Till) -> x.LightState:
    match till.sale:
        case Idle() | Ringing() | Weighing() | Asking() | Loading() | Tendering():
            return "ready"
        case Authorizing() | Unloading():
            return "busy"
        case Enquiring() | Reversing():
            return "attention"
    assert_never(till.sale)


def _display(shop: Shop, till: Till, event: v.AnyEvent, taken: Step) -> x.ShowOnDisplay | None:
    """What the customer sees; None where nothing happened that is the customer's."""
    if not taken.entries and not isinstance(event, v.Booted):
        return None
    sale, money = till.sale, shop.currency.format
    match sale:
        case Idle():
            return _idle(shop, till, event, taken)
        case Ringing():
            return _line(shop, sale.basket, taken)
        case Asking(held=held):
            return x.ShowOnDisplay(upper=(held.name, ""), lower=("", ""))
        case Weighing(awaited=awaited):
            return x.ShowOnDisplay(
                upper=(awaited.item.name, ""), lower=("per kg", money(awaited.item.unit_price_minor))
            )
        case Loading(awaited=gift):
            return x.ShowOnDisplay(upper=("Gift card", money(gift.amount_minor) if gift.amount_minor else ""))
        case Tendering():
            return x.ShowOnDisplay(
                upper=("Paid", money(paid_minor(sale.basket))), lower=("To pay", money(due_minor(shop, sale.basket)))
            )
        case Authorizing(pending=pending) if pending.kind == "MOBILE":
            return x.ShowOnDisplay(upper=("Phone", money(pending.amount_minor)), lower=("Confirm on your phone", ""))
        case Authorizing():
            return x.ShowOnDisplay(upper=("Card", money(sale.pending.amount_minor)), lower=("See the card reader", ""))
        case Enquiring() | Reversing() | Unloading():
            return x.ShowOnDisplay(upper=("One moment please", ""))
    assert_never(sale)


def _idle(shop: Shop, till: Till, event: v.AnyEvent, taken: Step) -> x.ShowOnDisplay | None:
    welcome = x.ShowOnDisplay(upper=(shop.name, ""))
    for entry in taken.entries:
        match entry:
            case e.TransactionCompleted():
                total = (f"TOTAL {entry.currency}", shop.currency.format(entry.total_minor + entry.stored_value_minor))
                change = ("Change", shop.currency.format(entry.change_minor))
                return x.ShowOnDisplay(upper=total, lower=change if entry.change_minor else ("Thank you", ""))
            case e.TransactionCancelled():
                return welcome
            case _:
                pass
    return welcome if isinstance(event, v.Booted) else None


def _line(shop: Shop, basket: Basket, taken: Step) -> x.ShowOnDisplay:
    """The line that was touched, else the last one that stands, over what all of them cost."""
    touched = [
        entry.line
        for entry in taken.entries
        if isinstance(entry, e.ItemAdded | e.QuantityChanged | e.LineVoided | e.GiftCardAdded | e.GiftCardReturned)
    ]
    standing = [line.item.line for line in basket.lines if not line.voided]
    standing = sorted((*standing, *(gift.item.line for gift in basket.gifts if not gift.voided)))
    money, priced = shop.currency.format, price(shop, basket)
    total = (f"TOTAL {shop.currency.code}", money(priced.total_minor + priced.stored_value_minor))
    for gift in basket.gifts:
        if gift.item.line == (touched or standing or [0])[-1]:
            amount = money(-gift.item.amount_minor if gift.voided else gift.item.amount_minor)
            return x.ShowOnDisplay(upper=(f"Gift card {gift.item.card}", amount), lower=total)
    for line in basket.lines:
        if line.item.line == (touched or standing or [0])[-1]:
            amount = money(-line.item.amount_minor if line.voided else line.item.amount_minor)
            return x.ShowOnDisplay(upper=(line.item.name, amount), lower=total)
    return x.ShowOnDisplay(upper=(shop.name, ""), lower=total)
