"""Gift cards: sold, loaded, looked at and emptied. What pays with one is in `core.payment`, like a card.

What a gift card is sold with is the customer's money until he buys something for it: a liability, no turnover, without tax
(a multi-purpose voucher, Directive (EU) 2016/1065), and no discount is given on it. The payment device, or whoever is behind
it, keeps the balance. It reserves the card when it is shown, and puts the value on it once the sale is paid for: by the
reservation's name, so that the card's number is needed once and is kept nowhere.

Each change of a value is durable before the payment device hears of it, is asked about when no answer comes, and is never
sent twice. A sale does not wait for its gift cards; what comes back does: no money is given before the value is gone.
"""

from typing import assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.goods import LINES_MAX
from core.state import Basket, GiftOrder, Loading, Shop, Till, Unloading, is_empty
from core.step import NOTHING, Facts, GiftCardShown, Step, refuse
from core.text import message

ENQUIRY_PAUSE_S = 3.0

ValueEvent = v.StoredValueAnswered | v.StoredValueRefused | v.StoredValueUnanswered


def sell(shop: Shop, basket: Basket, event: v.GiftCardSaleKeyed) -> Step:
    """A gift card is to be sold with so much: which one is shown next."""
    if not shop.gift_card_minor_max:
        return refuse("gift-card-not-sold")
    if basket.paper:
        return refuse("paper-sale-is-cash")
    if event.amount_minor <= 0:
        return refuse("amount-not-positive")
    if event.amount_minor > shop.gift_card_minor_max:
        return refuse("gift-card-too-much", amount_minor=shop.gift_card_minor_max)
    if shop.gift_card_amounts_minor and event.amount_minor not in shop.gift_card_amounts_minor:
        known = ", ".join(shop.currency.format(each) for each in shop.gift_card_amounts_minor)
        return refuse("gift-card-amount", amounts=known)
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    awaited = e.GiftCardAwaited(amount_minor=event.amount_minor)
    return Step(entries=(awaited,), notice=message("gift-card-awaited", amount_minor=event.amount_minor))


def cash_out(shop: Shop, basket: Basket) -> Step:
    """What is left on a gift card is to be paid out: which one is shown next."""
    if not shop.gift_card_cash_out_minor_max:
        return refuse("gift-card-no-cash-out")
    if basket.paper:
        return refuse("paper-sale-is-cash")
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    awaited = e.GiftCardAwaited(amount_minor=0, cash_out=True)
    return Step(entries=(awaited,), notice=message("gift-card-cash-out-awaited"))


def show(shop: Shop, sale: Loading, shown: GiftCardShown, facts: Facts) -> Step:
    """The gift card that is to be sold: the payment device is asked to hold it."""
    if facts.account and any(gift.item.account == facts.account and not gift.voided for gift in sale.basket.gifts):
        return refuse("gift-card-twice")
    reserve = x.ReserveGiftCard(
        reference=_reservation(sale.basket, facts),
        card=shown.card,
        account=facts.account,
        amount_minor=sale.awaited.amount_minor,
        currency=shop.currency.code,
    )
    return Step(effects=(reserve,), notice=message("gift-card-looked-up", card=shown.card.masked))


def take_reservation(shop: Shop, till: Till, event: v.GiftCardReserved | v.GiftCardUnreserved, facts: Facts) -> Step:
    """The payment device holds the gift card, or not. What no sale waits for any more lapses."""
    sale = till.sale
    if not isinstance(sale, Loading) or event.reference != _reservation(sale.basket, facts):
        return NOTHING
    match event:
        case v.GiftCardReserved() if sale.awaited.cash_out:
            return _take_rest(shop, sale, event, facts)
        case v.GiftCardReserved():
            added = e.GiftCardAdded(
                line=sale.basket.next_line,
                amount_minor=sale.awaited.amount_minor,
                card=event.card,
                account=event.account,
                reservation=event.poi_transaction,
                operation="activate" if event.balance_minor is None else "load",
            )
            told = message("gift-card-added", card=event.card, amount_minor=added.amount_minor)
            return Step(entries=(added,), notice=told)
        case v.GiftCardUnreserved():
            condition = "gift-card-not-read" if sale.awaited.cash_out else "gift-card-not-usable"
            return Step(notice=message(condition, reason=event.reason), level="error")
    assert_never(event)


def _take_rest(shop: Shop, sale: Loading, event: v.GiftCardReserved, facts: Facts) -> Step:
    """The payment device is asked to take off all that is left, where it is little enough."""
    balance_minor = event.balance_minor or 0
    if not balance_minor:
        return Step(notice=message("gift-card-empty", card=event.card), level="error")
    if balance_minor > shop.gift_card_cash_out_minor_max:
        most = shop.gift_card_cash_out_minor_max
        told = message("gift-card-too-much-left", card=event.card, balance_minor=balance_minor, amount_minor=most)
        return Step(notice=told, level="error")
    asked = e.StoredValueRequested(
        reference=_unloading(sale.basket, facts),
        operation="cash-out",
        amount_minor=balance_minor,
        number=sale.basket.number,
        line=sale.basket.next_line,
        card=event.card,
        account=event.account,
        original=event.poi_transaction,
    )
    return Step(entries=(asked,), effects=(change(shop, asked),), notice=message("gift-card-emptying", card=event.card))


def give_up(sale: Loading) -> Step:
    """No gift card is sold after all."""
    return Step(entries=(e.GiftCardGivenUp(),), notice=message("gift-card-given-up"))


def refuse_while_loading(sale: Loading) -> Step:
    """The gift card comes first."""
    if sale.awaited.cash_out:
        return refuse("gift-card-awaited-first")
    return refuse("gift-card-first", amount_minor=sale.awaited.amount_minor)


def ask_balance(shop: Shop, shown: GiftCardShown) -> Step:
    """What is on a gift card is asked; nothing is sold."""
    return Step(
        effects=(x.EnquireBalance(card=shown.card, currency=shop.currency.code),),
        notice=message("gift-card-looked-up", card=shown.card.masked),
    )


def tell_balance(event: v.BalanceTold | v.BalanceUntold) -> Step:
    """What is on it, or why nobody can tell."""
    match event:
        case v.BalanceTold():
            return Step(notice=message("gift-card-balance", card=event.card, amount_minor=event.balance_minor))
        case v.BalanceUntold():
            told = message("gift-card-balance-untold", card=event.card, reason=event.reason)
            return Step(notice=told, level="error")
    assert_never(event)


# --- what the payment device is asked to change -----------------------------------------------------------------------


def lines_of(basket: Basket, facts: Facts) -> tuple[e.StoredValueLine, ...]:
    """The gift cards of a transaction that is finished now."""
    return tuple(
        e.StoredValueLine(
            line=gift.item.line,
            amount_minor=gift.item.amount_minor,
            card=gift.item.card,
            account=gift.item.account,
            reference=_reference(basket, gift.item.line, facts) if isinstance(gift.item, e.GiftCardAdded) else "",
            returned=gift.item.returned if isinstance(gift.item, e.GiftCardReturned) else None,
        )
        for gift in basket.gifts
        if not gift.voided
    )


def orders_of(basket: Basket, facts: Facts) -> tuple[e.StoredValueRequested, ...]:
    """The intents to put on each gift card what it was sold with, now that the sale is paid for."""
    return tuple(
        e.StoredValueRequested(
            reference=_reference(basket, gift.item.line, facts),
            operation=gift.item.operation,
            amount_minor=gift.item.amount_minor,
            number=basket.number,
            line=gift.item.line,
            card=gift.item.card,
            original=gift.item.reservation,
            account=gift.item.account,
        )
        for gift in basket.gifts
        if isinstance(gift.item, e.GiftCardAdded) and not gift.voided
    )


def unload(
    basket: Basket, line: int, sold: e.StoredValueLine, link: e.TransactionLink, reason: str, facts: Facts
) -> e.StoredValueRequested:
    """The intent to take off a gift card what it was sold with; it is to be line `line` of the basket."""
    return e.StoredValueRequested(
        reference=_unloading(basket, facts),
        operation="unload",
        amount_minor=sold.amount_minor,
        number=basket.number,
        line=line,
        card=sold.card,
        account=sold.account,
        original=sold.reference,
        link=msgspec.structs.replace(link, line=sold.line),
        reason=reason,
    )


def change(shop: Shop, asked: e.StoredValueRequested) -> x.ChangeStoredValue:
    """What the payment device is asked for an intent."""
    return x.ChangeStoredValue(
        reference=asked.reference,
        operation=asked.operation,
        amount_minor=asked.amount_minor,
        currency=shop.currency.code,
        original=asked.original,
    )


def enquire(shop: Shop, order: GiftOrder, after_s: float = 0.0) -> x.EnquireStoredValue:
    """The question what became of it."""
    return x.EnquireStoredValue(reference=order.asked.reference, currency=shop.currency.code, after_s=after_s)


def taken_back(asked: e.StoredValueRequested) -> e.GiftCardReturned:
    """The line by which the money for it can be given back."""
    return e.GiftCardReturned(
        line=asked.line,
        amount_minor=-asked.amount_minor,
        card=asked.card,
        account=asked.account,
        returned=asked.link or e.TransactionLink(),
        original=asked.original,
        reason=asked.reason,
    )


# --- what comes of it -------------------------------------------------------------------------------------------------


def settle(shop: Shop, till: Till, event: ValueEvent) -> Step:
    """What the payment device said of a gift card's value; one that is settled already changes nothing."""
    sale = till.sale
    if isinstance(sale, Unloading) and sale.pending.asked.reference == event.reference:
        return _settle_return(shop, sale, event)
    order = next((order for order in till.gifts if order.asked.reference == event.reference), None)
    if order is None:
        return NOTHING
    asked = order.asked
    match event:
        case v.StoredValueAnswered() if asked.operation == "unload":
            told = message("gift-card-emptied-late", card=asked.card, number=asked.link.number if asked.link else 0)
            return Step(entries=(_approved(event),), notice=told, level="warning")
        case v.StoredValueAnswered() if asked.operation == "cash-out":
            told = message("gift-card-cashed-late", card=asked.card, amount_minor=asked.amount_minor)
            return Step(entries=(_approved(event),), notice=told, level="error")
        case v.StoredValueAnswered():
            on_it = asked.amount_minor if event.balance_minor is None else event.balance_minor
            told = message("gift-card-good", card=asked.card, amount_minor=on_it)
            return Step(entries=(_approved(event),), notice=told)
        case v.StoredValueRefused() if asked.operation in ("unload", "cash-out"):
            return Step(
                entries=(e.StoredValueRefused(reference=event.reference, reason=event.reason),),
                notice=message("gift-card-kept", card=asked.card),
            )
        case v.StoredValueRefused():
            return Step(
                entries=(e.StoredValueRefused(reference=event.reference, reason=event.reason),),
                notice=message("gift-card-not-good", card=asked.card, number=asked.number, reason=event.reason),
                level="error",
            )
        case v.StoredValueUnanswered():
            first = order.phase == "pending"
            return Step(
                entries=(e.StoredValueUnknown(reference=event.reference),) if first else (),
                effects=(enquire(shop, order, after_s=0.0 if first else ENQUIRY_PAUSE_S),),
                notice=message("gift-card-unknown", card=asked.card) if first else None,
                level="warning",
            )
    assert_never(event)


def _settle_return(shop: Shop, sale: Unloading, event: ValueEvent) -> Step:
    asked = sale.pending.asked
    match event:
        case v.StoredValueAnswered():
            return Step(
                entries=(_approved(event), taken_back(asked)),
                notice=message("gift-card-emptied", card=asked.card, amount_minor=asked.amount_minor),
            )
        case v.StoredValueRefused():
            refused = e.StoredValueRefused(reference=event.reference, reason=event.reason)
            return Step(
                entries=(refused, *_nothing_left(sale.basket)),
                notice=message("gift-card-not-emptied", card=asked.card, reason=event.reason),
                level="error",
            )
        case v.StoredValueUnanswered():
            first = sale.pending.phase == "pending"
            return Step(
                entries=(e.StoredValueUnknown(reference=event.reference),) if first else (),
                effects=(enquire(shop, sale.pending, after_s=0.0 if first else ENQUIRY_PAUSE_S),),
                notice=message("gift-card-unknown", card=asked.card) if first else None,
                level="warning",
            )
    assert_never(event)


def leave(sale: Unloading) -> Step:
    """Nobody waits for a payment device that does not answer: no money is given, and should the value prove gone, the card
    can be returned again without it being asked for."""
    asked = sale.pending.asked
    if sale.pending.phase == "pending":
        return refuse("gift-card-pending")
    aside = e.StoredValueSetAside(reference=asked.reference)
    told = message("gift-card-set-aside", card=asked.card, amount_minor=asked.amount_minor)
    return Step(entries=(aside, *_nothing_left(sale.basket)), notice=told, level="warning")


def _nothing_left(basket: Basket) -> tuple[e.AnyEntry, ...]:
    """What was only to take a gift card back, or to make a whole sale undone, ends where the card keeps its value."""
    if not is_empty(basket) and basket.voiding is None:
        return ()
    return (e.TransactionCancelled(number=basket.number, reason="gift-card"),)


def unsettled(till: Till) -> tuple[e.AnyEntry, ...]:
    """After a restart nothing is known of what was on its way."""
    waiting = (*till.gifts, *((till.sale.pending,) if isinstance(till.sale, Unloading) else ()))
    return tuple(e.StoredValueUnknown(reference=order.asked.reference) for order in waiting if order.phase == "pending")


def enquiries(shop: Shop, till: Till) -> tuple[x.EnquireStoredValue, ...]:
    """What is asked after a restart."""
    waiting = (*till.gifts, *((till.sale.pending,) if isinstance(till.sale, Unloading) else ()))
    return tuple(enquire(shop, order) for order in waiting)


def _approved(event: v.StoredValueAnswered) -> e.StoredValueApproved:
    return e.StoredValueApproved(
        reference=event.reference, poi_transaction=event.poi_transaction, balance_minor=event.balance_minor
    )


def _reservation(basket: Basket, facts: Facts) -> str:
    return facts.reference(f"{basket.number}.r{basket.next_line}")


def _unloading(basket: Basket, facts: Facts) -> str:
    return facts.reference(f"{basket.number}.u{basket.unloads_begun + 1}")


def _reference(basket: Basket, line: int, facts: Facts) -> str:
    return facts.reference(f"{basket.number}.g{line}")
