"""Money: cash with change, cards whose outcome may be unknown, reversals, completion and cancelling."""

from typing import assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.papers import print_receipt
from core.pricing import Pricing, cash_due_minor, paid_minor, price
from core.state import (
    Authorizing,
    Basket,
    Completed,
    Enquiring,
    Shop,
    Tender,
    Till,
    apply,
    basket_of,
)
from core.step import NOTHING, Facts, Step, refuse
from core.text import message

CASH_MINOR_MAX = 10_000_000
ENQUIRY_PAUSE_S = 3.0
REVERSAL_PAUSE_S = 3.0
EPOCH_LETTERS = 8

PaymentEvent = v.PaymentAnswered | v.PaymentRefused | v.PaymentUnanswered | v.PaymentTakenBack | v.ReversalUnanswered


def take_cash(shop: Shop, till: Till, basket: Basket, event: v.CashKeyed, facts: Facts) -> Step:
    """Cash on the counter; the sale completes, with change, once nothing is due that coins could pay.

    Goods that cost nothing, or less, are completed without a tender.
    """
    priced = price(shop, basket)
    fixed = _fixed(basket, priced)
    if priced.total_minor <= paid_minor(basket):
        if not event.amount_minor and any(not line.voided for line in basket.lines):
            return _complete_if_paid(shop, till, fixed, facts)
        return refuse("nothing-due")
    due = cash_due_minor(shop, basket, priced.total_minor)
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor < 0 or (amount_minor == 0 and due > 0):
        return refuse("amount-not-positive")
    if amount_minor > CASH_MINOR_MAX:
        return refuse("amount-too-large", amount_minor=CASH_MINOR_MAX)
    tendered = e.CashTendered(tender=basket.tenders_begun + 1, amount_minor=amount_minor)
    return _complete_if_paid(shop, till, (*fixed, tendered), facts)


def _fixed(basket: Basket, priced: Pricing) -> tuple[e.AnyEntry, ...]:
    """The entry that fixes the basket's discounts, where payment begins and there are any."""
    if basket.discounts is not None or not priced.discounts:
        return ()
    return (e.DiscountsApplied(discounts=priced.discounts),)


def charge_card(shop: Shop, basket: Basket, event: v.CardKeyed, facts: Facts) -> Step:
    """The intent to charge a card, kept before the payment device hears of it."""
    priced = price(shop, basket)
    due = priced.total_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return refuse("amount-not-positive")
    if amount_minor > due:
        return refuse("amount-over-due", amount_minor=due)
    tender = basket.tenders_begun + 1
    reference = f"{basket.number}.{tender}"
    if facts.epoch:
        # A new journal counts from 1 again; the payment device still knows the payments of the one before.
        reference = f"{facts.epoch[:EPOCH_LETTERS]}/{reference}"
    return Step(
        entries=(
            *_fixed(basket, priced),
            e.PaymentRequested(tender=tender, reference=reference, amount_minor=amount_minor),
        ),
        effects=(x.RequestPayment(reference=reference, amount_minor=amount_minor, currency=shop.currency.code),),
    )


def take_answer(
    shop: Shop,
    till: Till,
    sale: Authorizing | Enquiring,
    event: v.PaymentAnswered | v.PaymentRefused | v.PaymentUnanswered,
    facts: Facts,
) -> Step:
    """What the payment device said of the payment that the sale waits for."""
    if event.reference != sale.pending.reference:
        return ignore_stray(event)
    match event:
        case v.PaymentAnswered():
            return _complete_if_paid(shop, till, (_approved(event),), facts)
        case v.PaymentRefused():
            return Step(
                entries=(e.PaymentDeclined(reference=event.reference, reason=event.reason),),
                notice=message("payment-declined", reason=event.reason),
                level="error",
            )
        case v.PaymentUnanswered():
            enquire = x.EnquirePayment(
                reference=event.reference, after_s=ENQUIRY_PAUSE_S if isinstance(sale, Enquiring) else 0.0
            )
            first = isinstance(sale, Authorizing)
            return Step(
                entries=(e.PaymentUnknown(reference=event.reference),) if first else (),
                effects=(enquire,),
                notice=message("payment-unknown") if first else None,
                level="warning",
            )
    assert_never(event)


def _approved(event: v.PaymentAnswered) -> e.PaymentApproved:
    return e.PaymentApproved(
        reference=event.reference,
        amount_minor=event.amount_minor,
        poi_transaction=event.poi_transaction,
        authorisation=event.authorisation,
        brand=event.brand,
        card=event.card,
        signature=event.signature,
    )


def _complete_if_paid(shop: Shop, till: Till, tendered: tuple[e.AnyEntry, ...], facts: Facts) -> Step:
    """The entries of a tender, with the completion in the same commit once nothing is due any more."""
    after = till
    for entry in tendered:
        after = apply(after, entry)
    basket = basket_of(after.sale)
    assert basket is not None
    priced = price(shop, basket)
    paid = paid_minor(basket)
    due = priced.total_minor - paid
    cash_due = cash_due_minor(shop, basket, priced.total_minor)
    by_cash = bool(tendered) and isinstance(tendered[-1], e.CashTendered)
    if due > 0 and not (by_cash and cash_due <= 0):
        return Step(entries=tendered, notice=message("still-due", amount_minor=due))
    change_minor = max(0, -cash_due)
    completed = e.TransactionCompleted(
        number=basket.number,
        business_day=basket.business_day,
        currency=shop.currency.code,
        lines=sum(not line.voided for line in basket.lines),
        total_minor=priced.total_minor,
        change_minor=change_minor,
        taxes=priced.taxes,
        tenders=_tender_totals(basket, change_minor),
        ended=facts.local_time,
        customer=basket.customer,
        rounding_minor=paid - change_minor - priced.total_minor,
        discount_minor=priced.discount_minor,
        epoch=facts.epoch,
        paper=basket.paper,
        written=basket.written,
    )
    cash = change_minor > 0 or any(tender.kind == "CASH" for tender in basket.tenders)
    printed = print_receipt(shop, Completed(sale=completed, basket=basket), copy=0)
    return Step(
        entries=(*tendered, completed),
        effects=(x.OpenDrawer(), printed) if cash else (printed,),
        notice=message("sale-completed", change_minor=change_minor),
    )


def _tender_totals(basket: Basket, change_minor: int) -> tuple[e.TenderTotal, ...]:
    by_kind: dict[str, int] = {}
    for tender in basket.tenders:
        by_kind[tender.kind] = by_kind.get(tender.kind, 0) + tender.amount_minor
    if change_minor:
        # A payment device may approve more than was asked for: what it took too much is given back in cash.
        by_kind["CASH"] = by_kind.get("CASH", 0) - change_minor
    return tuple(e.TenderTotal(kind=kind, amount_minor=amount) for kind, amount in sorted(by_kind.items()))


def cancel(shop: Shop, basket: Basket) -> Step:
    """The basket is given up; approved cards are paid back first."""
    cards = [tender for tender in basket.tenders if tender.kind == "CREDIT"]
    if not cards:
        return _cancelled(basket, ())
    return Step(
        entries=tuple(e.ReversalRequested(reference=tender.reference) for tender in cards),
        effects=tuple(reverse(shop, tender) for tender in cards),
        notice=message("payment-reversing"),
        level="warning",
    )


def _cancelled(basket: Basket, before: tuple[e.AnyEntry, ...]) -> Step:
    cash_minor = sum(tender.amount_minor for tender in basket.tenders if tender.kind == "CASH")
    cancelled = e.TransactionCancelled(number=basket.number, reason="operator", returned_minor=cash_minor)
    return Step(
        entries=(*before, cancelled),
        effects=(x.OpenDrawer(),) if cash_minor else (),
        notice=message("sale-cancelled-return", amount_minor=cash_minor) if cash_minor else message("sale-cancelled"),
    )


def take_back(shop: Shop, basket: Basket, reference: str) -> Step:
    """A reversal was confirmed; the basket is given up with the last one."""
    if not any(tender.reference == reference for tender in unreversed(basket)):
        return NOTHING
    reversed_ = e.PaymentReversed(reference=reference)
    if any(tender.reference != reference for tender in unreversed(basket)):
        return Step(entries=(reversed_,))
    return _cancelled(basket, (reversed_,))


def reverse_again(shop: Shop, basket: Basket, reference: str) -> Step:
    """A reversal without an answer is asked for again, after a pause."""
    for tender in unreversed(basket):
        if tender.reference == reference:
            first = tender.phase == "reversing"
            return Step(
                entries=(e.PaymentUnknown(reference=reference),) if first else (),
                effects=(reverse(shop, tender, after_s=REVERSAL_PAUSE_S),),
                notice=message("reversal-unanswered") if first else None,
                level="warning",
            )
    return NOTHING


def give_up_reversal(shop: Shop, basket: Basket) -> Step:
    """The operator need not wait for a dead payment device: what it owes is settled when it answers again."""
    waiting = unreversed(basket)
    if any(tender.phase == "reversing" for tender in waiting):
        return refuse("payment-reversing")
    given = _cancelled(basket, tuple(e.PaymentSetAside(reference=tender.reference) for tender in waiting))
    owed_minor = sum(tender.amount_minor for tender in waiting)
    return msgspec.structs.replace(given, notice=message("payment-set-aside", amount_minor=owed_minor), level="warning")


def unreversed(basket: Basket) -> tuple[Tender, ...]:
    """The card payments that still have to go back."""
    return tuple(tender for tender in basket.tenders if tender.phase in ("reversing", "reversal-unknown"))


def reverse(shop: Shop, tender: Tender, after_s: float = 0.0) -> x.ReversePayment:
    """The order to give a payment back."""
    return x.ReversePayment(
        reference=tender.reference,
        amount_minor=tender.amount_minor,
        currency=shop.currency.code,
        poi_transaction=tender.poi_transaction,
        after_s=after_s,
    )


def settle_aside(shop: Shop, tender: Tender, event: PaymentEvent) -> Step:
    """A payment that no sale waits for: found approved it goes back, and it is asked about until it is settled.

    While it is not known whether it was charged only the answers to that count, and then only those to its reversal:
    an answer that comes twice would otherwise strike out money that is owed.
    """
    asked_about = tender.phase in ("pending", "unknown")
    if asked_about is isinstance(event, v.PaymentTakenBack | v.ReversalUnanswered):
        return NOTHING
    match event:
        case v.PaymentAnswered():
            approved = _approved(event)
            requested = e.ReversalRequested(reference=event.reference)
            owed = msgspec.structs.replace(
                tender, amount_minor=event.amount_minor, poi_transaction=event.poi_transaction
            )
            return Step(entries=(approved, requested), effects=(reverse(shop, owed),))
        case v.PaymentRefused():
            return Step(
                entries=(e.PaymentDeclined(reference=event.reference, reason=event.reason),),
                notice=message("payment-settled-none", amount_minor=tender.amount_minor),
            )
        case v.PaymentUnanswered():
            return Step(effects=(x.EnquirePayment(reference=event.reference, after_s=ENQUIRY_PAUSE_S),))
        case v.PaymentTakenBack():
            return Step(
                entries=(e.PaymentReversed(reference=event.reference),),
                notice=message("payment-settled-returned", amount_minor=tender.amount_minor),
            )
        case v.ReversalUnanswered():
            return Step(effects=(reverse(shop, tender, after_s=REVERSAL_PAUSE_S),))
    assert_never(event)


def ignore_stray(event: PaymentEvent) -> Step:
    """An answer about a payment that is settled already: answers may come twice, and change nothing then."""
    return NOTHING
