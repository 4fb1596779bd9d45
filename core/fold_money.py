"""What entries of money make of the till: tenders, payments, refunds, stored value."""

from typing import assert_never

import msgspec

from core import entries as e
from core.state import (
    UNLOADED_MAX,
    Authorizing,
    Enquiring,
    GiftLine,
    GiftOrder,
    Loading,
    Reversing,
    Ringing,
    Sale,
    Tender,
    Tendering,
    Till,
    Unloading,
    basket_of,
)

_GiftEntry = e.GiftCardAwaited | e.GiftCardGivenUp | e.GiftCardAdded | e.GiftCardReturned


def fold_gift(till: Till, entry: _GiftEntry) -> Till:
    """A gift card on the counter: awaited, sold, or taken back."""
    replace, sale = msgspec.structs.replace, till.sale
    match entry:
        case e.GiftCardAwaited():
            assert isinstance(sale, Ringing), "a gift card awaited outside of ringing up"
            return replace(till, sale=Loading(basket=sale.basket, awaited=entry))
        case e.GiftCardGivenUp():
            assert isinstance(sale, Loading), "no gift card was awaited"
            return replace(till, sale=Ringing(basket=sale.basket))
        case e.GiftCardAdded() | e.GiftCardReturned():
            assert isinstance(sale, Loading | Ringing), "a gift card that was not awaited"
            basket = replace(sale.basket, gifts=(*sale.basket.gifts, GiftLine(item=entry)))
            unloaded = till.unloaded
            if isinstance(entry, e.GiftCardReturned):
                unloaded = tuple(each for each in unloaded if each != entry.original)
            return replace(till, sale=Ringing(basket=basket), unloaded=unloaded)
    assert_never(entry)


_StoredValueEntry = (
    e.StoredValueRequested | e.StoredValueApproved | e.StoredValueRefused | e.StoredValueUnknown | e.StoredValueSetAside
)


def fold_stored_value(till: Till, entry: _StoredValueEntry) -> Till:
    """What a sale waits for is in the sale, all else is beside it."""
    replace, sale = msgspec.structs.replace, till.sale
    if isinstance(entry, e.StoredValueRequested):
        order = GiftOrder(asked=entry)
        if entry.operation not in ("unload", "cash-out"):
            return replace(till, gifts=(*till.gifts, order))
        assert isinstance(sale, Ringing | Loading), "value taken back outside of a return"
        basket = replace(sale.basket, unloads_begun=sale.basket.unloads_begun + 1)
        return replace(till, sale=Unloading(basket=basket, pending=order))
    if isinstance(sale, Unloading) and sale.pending.asked.reference == entry.reference:
        match entry:
            case e.StoredValueUnknown():
                pending = replace(sale.pending, phase="unknown")
                return replace(till, sale=Unloading(basket=sale.basket, pending=pending))
            case e.StoredValueSetAside():
                return replace(till, sale=Ringing(basket=sale.basket), gifts=(*till.gifts, sale.pending))
            case e.StoredValueApproved() | e.StoredValueRefused():
                return replace(till, sale=Ringing(basket=sale.basket))
        assert_never(entry)
    found = next((order for order in till.gifts if order.asked.reference == entry.reference), None)
    assert found is not None, "an answer about no gift card"
    others = tuple(order for order in till.gifts if order is not found)
    match entry:
        case e.StoredValueUnknown():
            unknown = replace(found, phase="unknown")
            return replace(till, gifts=tuple(unknown if order is found else order for order in till.gifts))
        case e.StoredValueApproved() if found.asked.operation == "unload":
            return replace(till, gifts=others, unloaded=(*till.unloaded, found.asked.original)[-UNLOADED_MAX:])
        case e.StoredValueApproved() | e.StoredValueRefused():
            return replace(till, gifts=others)
        case e.StoredValueSetAside():
            raise AssertionError("nobody waited for this gift card")
    assert_never(entry)


_TenderEntry = (
    e.CashTendered
    | e.PaymentRequested
    | e.CashRefunded
    | e.RefundRequested
    | e.VoucherTendered
    | e.AccountCharged
    | e.AccountCredited
)


def fold_tender(sale: Sale, entry: _TenderEntry) -> Sale:
    """Money that was given, or is asked for."""
    assert isinstance(sale, Ringing | Tendering), "a tender outside of a sale"
    # From here on no rule is asked any more: without a record of discounts there are none.
    fixed = sale.basket.discounts or ()
    basket = msgspec.structs.replace(sale.basket, tenders_begun=entry.tender, discounts=fixed)
    match entry:
        case e.CashTendered():
            cash = Tender(tender=entry.tender, kind="CASH", amount_minor=entry.amount_minor, phase="posted")
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, cash)))
        case e.VoucherTendered():
            paid = Tender(
                tender=entry.tender,
                kind="VOUCHER",
                amount_minor=entry.amount_minor,
                phase="posted",
                voucher=entry.voucher,
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, paid)))
        case e.AccountCharged() | e.AccountCredited():
            account = Tender(
                tender=entry.tender,
                kind="CUST_ACCT",
                amount_minor=entry.amount_minor,
                phase="posted",
                refund_of=entry.original if isinstance(entry, e.AccountCredited) else "",
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, account)))
        case e.CashRefunded():
            back = Tender(
                tender=entry.tender, kind="CASH", amount_minor=entry.amount_minor, phase="posted", refund_of="cash"
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, back)))
        case e.RefundRequested():
            refund = Tender(
                tender=entry.tender,
                kind=entry.kind,
                amount_minor=entry.amount_minor,
                phase="pending",
                reference=entry.reference,
                refund_of=entry.original,
            )
            return Authorizing(basket=basket, pending=refund)
        case e.PaymentRequested():
            pending = Tender(
                tender=entry.tender,
                kind=entry.kind,
                amount_minor=entry.amount_minor,
                phase="pending",
                reference=entry.reference,
                card=entry.card,
            )
            return Authorizing(basket=basket, pending=pending)
    assert_never(entry)


_PaymentEntry = (
    e.PaymentApproved
    | e.PaymentDeclined
    | e.PaymentUnknown
    | e.PaymentSetAside
    | e.ReversalRequested
    | e.PaymentReversed
)


def fold_payment(till: Till, entry: _PaymentEntry) -> Till:
    """Routes a payment's entry to where its tender is: set aside, pending in the sale, or posted in the basket."""
    if any(tender.reference == entry.reference for tender in till.aside):
        aside = tuple(
            after
            for tender in till.aside
            if (after := _aside(tender, entry) if tender.reference == entry.reference else tender)
        )
        return msgspec.structs.replace(till, aside=aside)
    sale = till.sale
    if isinstance(sale, Authorizing | Enquiring) and sale.pending.reference == entry.reference:
        return _pending(till, sale, entry)
    basket = basket_of(sale)
    assert basket is not None, "a payment of no sale"
    assert any(tender.reference == entry.reference for tender in basket.tenders), "a payment of no tender"
    if isinstance(entry, e.PaymentSetAside):
        given = tuple(t for t in basket.tenders if t.reference == entry.reference)
        kept = tuple(t for t in basket.tenders if t.reference != entry.reference)
        reversing = Reversing(basket=msgspec.structs.replace(basket, tenders=kept))
        return msgspec.structs.replace(till, sale=reversing, aside=(*till.aside, *given))
    tenders = tuple(
        (_tender(tender, entry) or msgspec.structs.replace(tender, phase="reversed"))
        if tender.reference == entry.reference
        else tender
        for tender in basket.tenders
    )
    return msgspec.structs.replace(till, sale=Reversing(basket=msgspec.structs.replace(basket, tenders=tenders)))


def _pending(till: Till, sale: Authorizing | Enquiring, entry: _PaymentEntry) -> Till:
    basket = sale.basket
    back: Sale = Tendering(basket=basket) if basket.tenders else Ringing(basket=basket)
    match entry:
        case e.PaymentApproved():
            posted = _tender(sale.pending, entry)
            assert posted is not None
            paid = msgspec.structs.replace(basket, tenders=(*basket.tenders, posted))
            return msgspec.structs.replace(till, sale=Tendering(basket=paid))
        case e.PaymentDeclined():
            return msgspec.structs.replace(till, sale=_declined(sale, entry))
        case e.PaymentUnknown():
            unknown = msgspec.structs.replace(sale.pending, phase="unknown")
            return msgspec.structs.replace(till, sale=Enquiring(basket=basket, pending=unknown))
        case e.PaymentSetAside() if sale.pending.refund_of:
            # It may have gone back, and must not go back twice: it counts as given until it is known not to be.
            given = msgspec.structs.replace(sale.pending, phase="posted")
            given_back = msgspec.structs.replace(basket, tenders=(*basket.tenders, given))
            return msgspec.structs.replace(till, sale=Tendering(basket=given_back), aside=(*till.aside, sale.pending))
        case e.PaymentSetAside():
            return msgspec.structs.replace(till, sale=back, aside=(*till.aside, sale.pending))
        case e.ReversalRequested() | e.PaymentReversed():
            raise AssertionError("a reversal of a payment that was not approved")
    assert_never(entry)


def _aside(tender: Tender, entry: _PaymentEntry) -> Tender | None:
    """What is left to settle of a payment that no sale waits for: money that went back to a card needs nothing more."""
    return None if tender.refund_of and isinstance(entry, e.PaymentApproved) else _tender(tender, entry)


RETRIED = ("aborted", "busy")
"""Reasons for which a card's refund is refused that do not stand in the way of the next try."""


def _declined(sale: Authorizing | Enquiring, entry: e.PaymentDeclined) -> Sale:
    """No money moved. A card that takes none back is remembered: the money goes back in cash then."""
    basket, origin = sale.basket, sale.pending.refund_of
    if origin and entry.reason not in RETRIED:
        basket = msgspec.structs.replace(basket, unrefunded=(*basket.unrefunded, origin))
    return Tendering(basket=basket) if basket.tenders else Ringing(basket=basket)


def _tender(tender: Tender, entry: _PaymentEntry) -> Tender | None:
    """One card payment after its entry; None when it is settled without money."""
    match entry:
        case e.PaymentApproved():
            return msgspec.structs.replace(
                tender,
                phase="posted",
                amount_minor=entry.amount_minor,
                poi_transaction=entry.poi_transaction,
                authorisation=entry.authorisation,
                brand=entry.brand,
                card=entry.card or tender.card,
                signature=entry.signature,
            )
        case e.PaymentDeclined() | e.PaymentReversed():
            return None
        case e.PaymentUnknown():
            return msgspec.structs.replace(
                tender, phase="unknown" if tender.phase in ("pending", "unknown") else "reversal-unknown"
            )
        case e.ReversalRequested():
            return msgspec.structs.replace(tender, phase="reversing")
        case e.PaymentSetAside():
            return tender
    assert_never(entry)
