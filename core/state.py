"""The nouns of a till: what it remembers, as the fold of its journal's entries and nothing else.

`apply` is that fold; boot runs it over the journal from a checkpoint. The transitions that write the entries are in
`core.sale`.
"""

from typing import Literal, assert_never

import msgspec

from core import entries as e
from core.money import Currency
from core.scan import VariableMeasure
from core.tax import TaxRate, tax_totals

UNPRINTED_MAX = 20
"""Receipts that wait for a printer; of more, the oldest are only to be had as a copy from the journal."""


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """What a till is told by its configuration."""

    name: str
    address: tuple[str, ...]
    terminal: str
    currency: Currency
    taxes: tuple[TaxRate, ...]
    layouts: tuple[VariableMeasure, ...] = ()
    paper_columns: int = 42


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line item of the open transaction (POSLog LineItem with Sale)."""

    item: e.ItemAdded
    voided: bool = False


Phase = Literal["pending", "unknown", "posted", "reversing", "reversal-unknown", "reversed"]


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way or taken. A card's carries the `reference` by which the payment device is asked about it."""

    tender: int
    kind: Literal["CASH", "CREDIT"]
    amount_minor: int
    phase: Phase
    reference: str = ""
    poi_transaction: str = ""
    authorisation: str = ""
    brand: str = ""
    card: str = ""


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """An open transaction: its lines and the tenders posted towards it."""

    number: int
    business_day: str
    lines: tuple[Line, ...] = ()
    tenders: tuple[Tender, ...] = ()
    tenders_begun: int = 0
    customer: str | None = None


class Idle(msgspec.Struct, frozen=True, kw_only=True, tag="idle"):
    """No transaction is open."""


class Ringing(msgspec.Struct, frozen=True, kw_only=True, tag="ringing"):
    """Goods are rung up; nothing has been paid."""

    basket: Basket


class Tendering(msgspec.Struct, frozen=True, kw_only=True, tag="tendering"):
    """A part has been paid, and a balance is due."""

    basket: Basket


class Authorizing(msgspec.Struct, frozen=True, kw_only=True, tag="authorizing"):
    """The payment device has been asked to charge a card and has not answered yet."""

    basket: Basket
    pending: Tender


class Enquiring(msgspec.Struct, frozen=True, kw_only=True, tag="enquiring"):
    """Whether the card was charged is unknown; the payment device is asked until it tells."""

    basket: Basket
    pending: Tender


class Reversing(msgspec.Struct, frozen=True, kw_only=True, tag="reversing"):
    """The basket is being given up; card payments go back first."""

    basket: Basket


Sale = Idle | Ringing | Tendering | Authorizing | Enquiring | Reversing


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A finished transaction, whole enough to print its receipt."""

    sale: e.TransactionCompleted
    basket: Basket
    printed: int = 0


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """The transaction before: completed, or cancelled and then without a receipt."""

    number: int
    cancelled: bool = False
    completed: Completed | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Completed sales of one business day."""

    business_day: str = ""
    transactions: int = 0
    amount_minor: int = 0


class Till(msgspec.Struct, frozen=True, kw_only=True):
    """All that a till remembers. `aside` are card payments that no sale waits for and that are not settled yet;
    `clock_doubted` is the last day (ISO 8601) that was believed, where the clock is doubted. `power_weak`: since this start."""

    sale: Sale = Idle()
    next_number: int = 1
    last: Last | None = None
    day: Day = Day()
    unprinted: tuple[Completed, ...] = ()
    aside: tuple[Tender, ...] = ()
    started: bool = False
    clock_doubted: str | None = None
    power_weak: bool = False


def basket_of(sale: Sale) -> Basket | None:
    """The open transaction, if there is one."""
    return None if isinstance(sale, Idle) else sale.basket


def total_minor(shop: Shop, basket: Basket) -> int:
    """What the basket costs, tax included."""
    return sum(total.gross_minor for total in taxes(shop, basket))


def taxes(shop: Shop, basket: Basket) -> tuple[e.TaxTotal, ...]:
    """The basket's tax table."""
    sold = ((line.item.tax, line.item.amount_minor) for line in basket.lines if not line.voided)
    return tax_totals(shop.taxes, sold)


def paid_minor(basket: Basket) -> int:
    """What has been posted towards the basket."""
    return sum(tender.amount_minor for tender in basket.tenders if tender.phase == "posted")


def due_minor(shop: Shop, basket: Basket) -> int:
    """What is still to be paid; negative when change is due."""
    return total_minor(shop, basket) - paid_minor(basket)


def apply(till: Till, entry: e.AnyEntry) -> Till:
    """The till after an entry. Raises AssertionError on one that cannot follow what came before."""
    match entry:
        case e.EpochOpened():
            next_number = max(till.next_number, entry.number + 1)
            if entry.reason == e.RESTORED:
                # What was open then went on elsewhere, and was finished there or is for people to look into.
                return Till(next_number=next_number, day=till.day, started=till.started)
            return msgspec.structs.replace(till, next_number=next_number)
        case e.RecordsReturned():
            return _returned(till, entry)
        case (
            e.KeyLockTurned() | e.CaseOpened() | e.ItemRefused() | e.DrawerCommanded() | e.DrawerOpened() | e.DrawerClosed()
            | e.DeviceReported() | e.JournalVerified() | e.SegmentPruned()
        ):  # fmt: skip
            return till
        case e.ClockStepped():
            return msgspec.structs.replace(till, clock_doubted=entry.doubted)
        case e.DaemonStarted():
            return msgspec.structs.replace(till, started=True, power_weak=False)
        case e.PowerChanged():
            return msgspec.structs.replace(till, power_weak=entry.weak)
        case e.DaemonStopped():
            return msgspec.structs.replace(till, started=False)
        case e.TransactionOpened():
            assert isinstance(till.sale, Idle), "a transaction opened inside another"
            basket = Basket(number=entry.number, business_day=entry.business_day)
            return msgspec.structs.replace(till, sale=Ringing(basket=basket), next_number=entry.number + 1)
        case e.TransactionCompleted():
            return _completed(till, entry)
        case e.TransactionCancelled():
            return msgspec.structs.replace(till, sale=Idle(), last=Last(number=entry.number, cancelled=True))
        case e.ReceiptPrinted():
            return _printed(till, entry)
        case e.ItemAdded() | e.QuantityChanged() | e.LineVoided() | e.CustomerIdentified():
            assert isinstance(till.sale, Ringing | Tendering), "goods changed outside of ringing up"
            sale = msgspec.structs.replace(till.sale, basket=_goods(till.sale.basket, entry))
            return msgspec.structs.replace(till, sale=sale)
        case e.CashTendered() | e.PaymentRequested():
            return msgspec.structs.replace(till, sale=_tendered(till.sale, entry))
        case (
            e.PaymentApproved() | e.PaymentDeclined() | e.PaymentUnknown() | e.PaymentSetAside()
            | e.ReversalRequested() | e.PaymentReversed()
        ):  # fmt: skip
            return _payment(till, entry)
    assert_never(entry)


def _goods(basket: Basket, entry: e.ItemAdded | e.QuantityChanged | e.LineVoided | e.CustomerIdentified) -> Basket:
    match entry:
        case e.ItemAdded():
            return msgspec.structs.replace(basket, lines=(*basket.lines, Line(item=entry)))
        case e.QuantityChanged():
            return _line(
                basket, entry.line, quantity_milli=entry.quantity_milli, amount_minor=entry.amount_minor, voided=False
            )
        case e.LineVoided():
            return _line(basket, entry.line, voided=True)
        case e.CustomerIdentified():
            return msgspec.structs.replace(basket, customer=entry.customer)
    assert_never(entry)


def _line(basket: Basket, number: int, *, voided: bool, **changes: int) -> Basket:
    lines = tuple(
        Line(item=msgspec.structs.replace(line.item, **changes), voided=voided) if line.item.line == number else line
        for line in basket.lines
    )
    return msgspec.structs.replace(basket, lines=lines)


def _tendered(sale: Sale, entry: e.CashTendered | e.PaymentRequested) -> Sale:
    assert isinstance(sale, Ringing | Tendering), "a tender outside of a sale"
    basket = msgspec.structs.replace(sale.basket, tenders_begun=entry.tender)
    match entry:
        case e.CashTendered():
            cash = Tender(tender=entry.tender, kind="CASH", amount_minor=entry.amount_minor, phase="posted")
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, cash)))
        case e.PaymentRequested():
            pending = Tender(
                tender=entry.tender,
                kind="CREDIT",
                amount_minor=entry.amount_minor,
                phase="pending",
                reference=entry.reference,
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


def _payment(till: Till, entry: _PaymentEntry) -> Till:
    """Routes a payment's entry to where its tender is: set aside, pending in the sale, or posted in the basket."""
    if any(tender.reference == entry.reference for tender in till.aside):
        aside = tuple(
            after
            for tender in till.aside
            if (after := _tender(tender, entry) if tender.reference == entry.reference else tender)
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
            return msgspec.structs.replace(till, sale=back)
        case e.PaymentUnknown():
            unknown = msgspec.structs.replace(sale.pending, phase="unknown")
            return msgspec.structs.replace(till, sale=Enquiring(basket=basket, pending=unknown))
        case e.PaymentSetAside():
            return msgspec.structs.replace(till, sale=back, aside=(*till.aside, sale.pending))
        case e.ReversalRequested() | e.PaymentReversed():
            raise AssertionError("a reversal of a payment that was not approved")
    assert_never(entry)


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
                card=entry.card,
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


def _returned(till: Till, entry: e.RecordsReturned) -> Till:
    day = till.day
    if entry.business_day == day.business_day:
        day = msgspec.structs.replace(
            day,
            transactions=day.transactions + entry.day_transactions,
            amount_minor=day.amount_minor + entry.day_amount_minor,
        )
    elif entry.business_day > day.business_day:
        day = Day(
            business_day=entry.business_day,
            transactions=entry.day_transactions,
            amount_minor=entry.day_amount_minor,
        )
    return msgspec.structs.replace(till, day=day, next_number=max(till.next_number, entry.number + 1))


def _completed(till: Till, entry: e.TransactionCompleted) -> Till:
    basket = basket_of(till.sale)
    assert basket is not None, "a completion of no open transaction"
    assert basket.number == entry.number, "a completion of another transaction"
    completed = Completed(sale=entry, basket=basket)
    day = till.day if till.day.business_day == entry.business_day else Day(business_day=entry.business_day)
    return msgspec.structs.replace(
        till,
        sale=Idle(),
        last=Last(number=entry.number, completed=completed),
        unprinted=(*till.unprinted, completed)[-UNPRINTED_MAX:],
        day=msgspec.structs.replace(
            day, transactions=day.transactions + 1, amount_minor=day.amount_minor + entry.total_minor
        ),
    )


def _printed(till: Till, entry: e.ReceiptPrinted) -> Till:
    unprinted = tuple(completed for completed in till.unprinted if completed.sale.number != entry.number)
    last = till.last
    if last is not None and last.number == entry.number and last.completed is not None:
        counted = msgspec.structs.replace(last.completed, printed=last.completed.printed + 1)
        last = msgspec.structs.replace(last, completed=counted)
    return msgspec.structs.replace(till, unprinted=unprinted, last=last)
