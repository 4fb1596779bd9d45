"""Money: cash with change, cards and wallets whose outcome may be unknown, reversals, completion and cancelling."""

from typing import Literal, assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.fold import apply
from core.gift_card import GiftCard
from core.papers import print_receipt
from core.pricing import Pricing, cash_due_minor, paid_minor, price, returned_minor
from core.returns import is_return
from core.state import Authorizing, Basket, Completed, Enquiring, Shop, Tender, Till, basket_of, is_empty
from core.step import NOTHING, Facts, Step, refuse
from core.stored_value import change, lines_of, orders_of
from core.text import message
from core.wallet import WalletCode

CASH_MINOR_MAX = 10_000_000
ENQUIRY_PAUSE_S = 3.0
REVERSAL_PAUSE_S = 3.0
_DECLINED = {
    "refund": "refund-declined",
    "wallet": "wallet-declined",
    "gift": "gift-card-declined",
    "payment": "payment-declined",
}
_UNKNOWN = {
    "refund": "refund-unknown",
    "wallet": "wallet-unknown",
    "gift": "gift-card-payment-unknown",
    "payment": "payment-unknown",
}
_ASIDE = {
    "refund": "refund-set-aside",
    "wallet": "wallet-set-aside",
    "gift": "gift-card-payment-set-aside",
    "payment": "payment-set-aside",
}

PaymentEvent = v.PaymentAnswered | v.PaymentRefused | v.PaymentUnanswered | v.PaymentTakenBack | v.ReversalUnanswered


def take_cash(shop: Shop, till: Till, basket: Basket, event: v.CashKeyed, facts: Facts) -> Step:
    """Cash on the counter; the sale completes, with change, once nothing is due that coins could pay.

    Goods that cost nothing, or less, are completed without a tender.
    """
    priced = price(shop, basket)
    fixed = fixed_discounts(basket, priced)
    if owed_minor(basket, priced) > 0:
        return _refund_cash(shop, till, basket, event, facts)
    if priced.payable_minor <= paid_minor(basket):
        if not event.amount_minor and not is_empty(basket):
            return complete_if_paid(shop, till, fixed, facts)
        return refuse("nothing-due")
    due = cash_due_minor(shop, basket, priced.payable_minor)
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor < 0 or (amount_minor == 0 and due > 0):
        return refuse("amount-not-positive")
    if amount_minor > CASH_MINOR_MAX:
        return refuse("amount-too-large", amount_minor=CASH_MINOR_MAX)
    tendered = e.CashTendered(tender=basket.tenders_begun + 1, amount_minor=amount_minor)
    return complete_if_paid(shop, till, (*fixed, tendered), facts)


def fixed_discounts(basket: Basket, priced: Pricing) -> tuple[e.AnyEntry, ...]:
    """The entry that fixes the basket's discounts, where payment begins and there are any."""
    if basket.discounts is not None or not priced.discounts:
        return ()
    return (e.DiscountsApplied(discounts=priced.discounts),)


def owed_minor(basket: Basket, priced: Pricing) -> int:
    """What the customer has to be given back for goods; 0 where nothing is, and where it is change."""
    if priced.payable_minor >= 0 or not is_return(basket):
        return 0
    return max(0, paid_minor(basket) - priced.payable_minor)


def _refund_cash(shop: Shop, till: Till, basket: Basket, event: v.CashKeyed, facts: Facts) -> Step:
    """Cash for goods that came back: what a card paid goes back to the card first, unless that takes nothing back."""
    priced = price(shop, basket)
    cards_minor = sum(amount for _, amount in _cards_left(basket))
    if cards_minor:
        return refuse("refund-to-card", amount_minor=min(owed_minor(basket, priced), cards_minor))
    if account_minor := sum(amount for _, amount in _left(basket, "CUST_ACCT")):
        return refuse("refund-to-account", amount_minor=min(owed_minor(basket, priced), account_minor))
    owed = -cash_due_minor(shop, basket, priced.payable_minor)
    amount_minor = owed if event.amount_minor is None else event.amount_minor
    if amount_minor > owed:
        return refuse("refund-over-owed", amount_minor=owed)
    if amount_minor < 0 or (amount_minor == 0 and owed > 0):
        return refuse("amount-not-positive")
    refunded = e.CashRefunded(tender=basket.tenders_begun + 1, amount_minor=amount_minor)
    return complete_if_paid(shop, till, (*fixed_discounts(basket, priced), refunded), facts)


def _refund_card(shop: Shop, basket: Basket, event: v.CardKeyed, facts: Facts) -> Step:
    """The intent to give money back to the card that paid, kept before the payment device hears of it."""
    priced = price(shop, basket)
    left = _cards_left(basket)
    if not left:
        return refuse("no-card-to-refund")
    origin, left_minor = left[0]
    most = min(owed_minor(basket, priced), left_minor)
    amount_minor = most if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return refuse("amount-not-positive")
    if amount_minor > most:
        return refuse("refund-over-owed", amount_minor=most)
    tender = basket.tenders_begun + 1
    requested = e.RefundRequested(
        tender=tender,
        reference=facts.reference(f"{basket.number}.{tender}"),
        amount_minor=amount_minor,
        original=origin.reference,
        poi_transaction=origin.poi_transaction,
        kind=next(kind for kind in e.DEVICE_TENDERS if kind == origin.kind),
    )
    effect = x.RequestRefund(
        reference=requested.reference,
        amount_minor=amount_minor,
        currency=shop.currency.code,
        original=origin.reference,
        poi_transaction=origin.poi_transaction,
    )
    return Step(entries=(*fixed_discounts(basket, priced), requested), effects=(effect,))


def _cards_left(basket: Basket) -> list[tuple[e.RefundableTender, int]]:
    """The cards and wallets of the finished sales that money can still go back to, and how much."""
    return _left(basket, *e.DEVICE_TENDERS)


def _left(basket: Basket, *kinds: str) -> list[tuple[e.RefundableTender, int]]:
    left = []
    for tender in (tender for begun in basket.originals for tender in begun.tenders if tender.kind in kinds):
        given = sum(back.amount_minor for back in basket.tenders if back.refund_of == tender.reference)
        if tender.amount_minor > given and tender.reference not in basket.unrefunded:
            left.append((tender, tender.amount_minor - given))
    return left


def charge_card(shop: Shop, basket: Basket, event: v.CardKeyed, facts: Facts) -> Step:
    """The intent to charge a card, kept before the payment device hears of it."""
    priced = price(shop, basket)
    if owed_minor(basket, priced) > 0:
        return _refund_card(shop, basket, event, facts)
    due = priced.payable_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return refuse("amount-not-positive")
    if amount_minor > due:
        return refuse("amount-over-due", amount_minor=due)
    return _requested(shop, basket, priced, amount_minor, facts)


def charge_wallet(shop: Shop, basket: Basket, shown: WalletCode, facts: Facts) -> Step:
    """The intent to charge what is due to the wallet whose code a phone shows. The code goes to the payment device alone:
    should its answer be lost, the device is asked by the reference, and the customer shows no code for it again."""
    priced = price(shop, basket)
    due = priced.payable_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    return _requested(shop, basket, priced, due, facts, wallet=shown)


def charge_gift_card(shop: Shop, basket: Basket, shown: GiftCard, facts: Facts) -> Step:
    """The intent to pay for goods with a gift card: what is due at most. A card with less on it pays what it has, and the
    rest stays due; what is left on it stays there. No gift card is bought with one."""
    priced = price(shop, basket)
    if owed_minor(basket, priced) > 0:
        return _refund_card(shop, basket, v.CardKeyed(), facts)
    due = priced.payable_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    spent = sum(tender.amount_minor for tender in basket.tenders if tender.kind == "STORED_VALUE")
    for_goods = priced.payable_minor - max(0, priced.stored_value_minor) - spent
    if for_goods <= 0:
        return refuse("gift-card-buys-none")
    return _requested(shop, basket, priced, min(due, for_goods), facts, gift_card=shown)


def _requested(
    shop: Shop,
    basket: Basket,
    priced: Pricing,
    amount_minor: int,
    facts: Facts,
    *,
    wallet: WalletCode | None = None,
    gift_card: GiftCard | None = None,
) -> Step:
    tender = basket.tenders_begun + 1
    requested = e.PaymentRequested(
        tender=tender,
        reference=facts.reference(f"{basket.number}.{tender}"),
        amount_minor=amount_minor,
        kind="STORED_VALUE" if gift_card is not None else "MOBILE" if wallet is not None else "CREDIT",
        card=gift_card.masked if gift_card is not None else "",
        account=facts.account if gift_card is not None else "",
    )
    effect = x.RequestPayment(
        reference=requested.reference,
        amount_minor=amount_minor,
        currency=shop.currency.code,
        wallet=wallet,
        gift_card=gift_card,
    )
    return Step(entries=(*fixed_discounts(basket, priced), requested), effects=(effect,))


def refuse_while_paying(sale: Authorizing | Enquiring) -> Step:
    """Nothing else is taken until the payment device has said how the payment ended."""
    by_phone = _kind(sale.pending) == "wallet"
    if isinstance(sale, Enquiring):
        return refuse("wallet-unknown" if by_phone else "payment-unknown")
    return refuse("wallet-pending" if by_phone else "payment-pending")


def stop(sale: Authorizing) -> Step:
    """The payment device is asked to stop; its answer says how the payment ended."""
    told = "wallet-stopping" if _kind(sale.pending) == "wallet" else "payment-stopping"
    return Step(effects=(x.AbortPayment(reference=sale.pending.reference),), notice=message(told))


def set_aside(shop: Shop, till: Till, sale: Enquiring, facts: Facts) -> Step:
    """The sale goes on without knowing how a payment ended: it is asked about until it is settled."""
    told = message(_ASIDE[_kind(sale.pending)], amount_minor=sale.pending.amount_minor)
    aside = Step(entries=(e.PaymentSetAside(reference=sale.pending.reference),))
    if sale.pending.refund_of:
        # It counts as given, and must not be given twice.
        aside = complete_if_paid(shop, till, aside.entries, facts)
    return msgspec.structs.replace(aside, notice=told, level="warning")


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
            return complete_if_paid(shop, till, (_approved(event),), facts)
        case v.PaymentRefused():
            return Step(
                entries=(e.PaymentDeclined(reference=event.reference, reason=event.reason),),
                notice=message(_DECLINED[_kind(sale.pending)], reason=event.reason),
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
                notice=message(_UNKNOWN[_kind(sale.pending)]) if first else None,
                level="warning",
            )
    assert_never(event)


def _kind(pending: Tender) -> Literal["refund", "wallet", "gift", "payment"]:
    """What is told apart where it is told that a payment was not approved."""
    if pending.refund_of:
        return "refund"
    if pending.kind == "STORED_VALUE":
        return "gift"
    return "wallet" if pending.kind == "MOBILE" else "payment"


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


def complete_if_paid(shop: Shop, till: Till, tendered: tuple[e.AnyEntry, ...], facts: Facts) -> Step:
    """The entries of a tender, with the completion in the same commit once nothing is due any more."""
    after = till
    for entry in tendered:
        after = apply(after, entry)
    basket = basket_of(after.sale)
    assert basket is not None
    priced = price(shop, basket)
    paid = paid_minor(basket)
    due = priced.payable_minor - paid
    cash_due = cash_due_minor(shop, basket, priced.payable_minor)
    by_cash = bool(tendered) and isinstance(tendered[-1], e.CashTendered | e.CashRefunded)
    owed = owed_minor(basket, priced)
    if owed > 0 and not (by_cash and cash_due >= 0):
        return Step(entries=tendered, notice=message("still-owed", amount_minor=owed))
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
        rounding_minor=paid - change_minor - priced.total_minor - priced.stored_value_minor,
        discount_minor=priced.discount_minor,
        epoch=facts.epoch,
        paper=basket.paper,
        written=basket.written,
        returns=sum(line.item.returned is not None and not line.voided for line in basket.lines),
        returned_minor=returned_minor(shop, basket),
        refunds=priced.credits,
        voids=basket.voiding.link if basket.voiding is not None else None,
        stored_value=lines_of(basket, facts),
    )
    orders = orders_of(basket, facts)
    cash = change_minor > 0 or any(tender.kind == "CASH" for tender in basket.tenders)
    printed = print_receipt(shop, Completed(sale=completed, basket=basket), copy=0)
    given_minor = max(0, -priced.payable_minor) if is_return(basket) else 0
    told = message("refund-completed", amount_minor=given_minor)
    return Step(
        entries=(*tendered, *orders, *_voided(basket), completed),
        effects=(*((x.OpenDrawer(),) if cash else ()), printed, *(change(shop, order) for order in orders)),
        notice=told if given_minor else message("sale-completed", change_minor=change_minor),
    )


def _voided(basket: Basket) -> tuple[e.TransactionVoided, ...]:
    """The record that links a finished transaction to the one that makes it undone."""
    begun = basket.voiding
    if begun is None:
        return ()
    return (
        e.TransactionVoided(
            number=basket.number,
            link=begun.link,
            reason=begun.void_reason,
            total_minor=begun.refundable_minor,
            coupons=begun.coupons,
        ),
    )


def _tender_totals(basket: Basket, change_minor: int) -> tuple[e.TenderTotal, ...]:
    by_kind: dict[str, int] = {}
    for tender in basket.tenders:
        by_kind[tender.kind] = by_kind.get(tender.kind, 0) + tender.signed_minor
    if change_minor:
        # A payment device may approve more than was asked for: what it took too much is given back in cash.
        by_kind["CASH"] = by_kind.get("CASH", 0) - change_minor
    return tuple(e.TenderTotal(kind=kind, amount_minor=amount) for kind, amount in sorted(by_kind.items()))


def cancel(shop: Shop, basket: Basket) -> Step:
    """The basket is given up; approved cards and wallets are paid back first. What was given back for goods cannot be fetched."""
    if any(tender.refund_of for tender in basket.tenders):
        return refuse("refund-given")
    if any(isinstance(gift.item, e.GiftCardReturned) for gift in basket.gifts):
        return refuse("gift-card-taken-back")
    cards = [tender for tender in basket.tenders if tender.kind in e.DEVICE_TENDERS]
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
    if tender.refund_of:
        return _settle_refund(tender, event)
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


def _settle_refund(tender: Tender, event: PaymentEvent) -> Step:
    """Money that may have gone back to a card, which a finished sale counts as given."""
    match event:
        case v.PaymentAnswered():
            return Step(entries=(_approved(event),))
        case v.PaymentRefused():
            return Step(
                entries=(e.PaymentDeclined(reference=event.reference, reason=event.reason),),
                notice=message("refund-not-made", amount_minor=tender.amount_minor),
                level="error",
            )
        case v.PaymentUnanswered():
            return Step(effects=(x.EnquirePayment(reference=event.reference, after_s=ENQUIRY_PAUSE_S),))
        case v.PaymentTakenBack() | v.ReversalUnanswered():
            return NOTHING
    assert_never(event)


def ignore_stray(event: PaymentEvent) -> Step:
    """An answer about a payment that is settled already: answers may come twice, and change nothing then."""
    return NOTHING
