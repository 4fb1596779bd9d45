"""The rules of a sale: every transition of the till's state machine stands in this file, and nowhere else.

``read`` says what an event asks of the store, ``step`` what is to be kept and done once that is answered. Neither
changes anything: the engine journals the entries, folds them with `core.state.apply`, then has the effects done.

A record is durable before its effect; an effect may run again only if that is harmless: a payment is enquired about,
never requested again; a receipt whose printing is not certain is marked so; the drawer is opened for a new record only.
"""

from typing import Literal, assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.catalogue import Item
from core.money import divide_half_up, extend
from core.receipt import compose
from core.scan import Reading, classify, shown
from core.state import (
    Authorizing,
    Basket,
    Completed,
    Enquiring,
    Idle,
    Line,
    Reversing,
    Ringing,
    Shop,
    Tender,
    Tendering,
    Till,
    apply,
    basket_of,
    due_minor,
    taxes,
    total_minor,
)
from core.text import Message, message

QUANTITY_MILLI_MAX = 9_999_000
LINES_MAX = 1_000
CASH_MINOR_MAX = 10_000_000
ENQUIRY_PAUSE_S = 3.0
REVERSAL_PAUSE_S = 3.0
EPOCH_LETTERS = 8
"""So much of the epoch's name stands in a payment's reference."""


class ItemWanted(msgspec.Struct, frozen=True, kw_only=True, tag="item"):
    """Asks the catalogue which item a code stands for."""

    reading: Reading


class CustomerWanted(msgspec.Struct, frozen=True, kw_only=True, tag="customer"):
    """Asks the customer store whose tag this is."""

    uid: str


Question = ItemWanted | CustomerWanted | Message
"""What `read` makes of an event: a question for the store, or the reason why the code means nothing."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the world answered: the shop's date and local time (ISO 8601), and the answer to the event's question.

    `blocked` names why no new sale may begin (``disk-full``); one that is open always finishes.
    """

    business_day: str
    local_time: str
    question: Question | None = None
    item: Item | None = None
    customer: str | None = None
    epoch: str = ""
    """The journal's: it makes a payment's reference one that the payment device has never heard of."""
    blocked: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an event: entries to keep, then effects to have done, and what to tell the operator.

    `refused` says that the state did not take the event; its entries, if any, are technical ones.
    """

    entries: tuple[e.AnyEntry, ...] = ()
    effects: tuple[x.AnyEffect, ...] = ()
    notice: Message | None = None
    level: Literal["info", "warning", "error"] = "info"
    refused: bool = False


_NOTHING = Step()

_OperatorEvent = (
    v.Scanned | v.CodeKeyed | v.TagPresented | v.QuantityKeyed | v.VoidKeyed | v.CashKeyed | v.CardKeyed | v.CancelKeyed
)
_PaymentEvent = v.PaymentAnswered | v.PaymentRefused | v.PaymentUnanswered | v.PaymentTakenBack | v.ReversalUnanswered
_SaleEvent = _OperatorEvent | _PaymentEvent


def read(shop: Shop, event: v.AnyEvent) -> Question | None:
    """What an event asks of the store before it can be decided; None when it asks nothing."""
    match event:
        case v.Scanned():
            reading = classify(event.data, event.aim, "scanned", shop.layouts)
        case v.CodeKeyed():
            reading = classify(event.data, None, "keyed", shop.layouts)
        case v.TagPresented():
            return CustomerWanted(uid=event.uid)
        case _:
            return None
    return ItemWanted(reading=reading) if isinstance(reading, Reading) else reading


def step(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts) -> Step:
    """What follows from `event` in the state `till`."""
    match event:
        case v.Booted():
            return _booted(shop, till)
        case v.ReceiptTaken():
            return Step(entries=(e.ReceiptPrinted(number=event.number, copy=event.copy, doubtful=event.doubtful),))
        case v.ReceiptUncertain():
            return _uncertain(shop, till, event)
        case v.ReprintKeyed():
            return _reprint(shop, till)
        case v.DrawerKeyed():
            return Step(entries=(e.DrawerCommanded(),), effects=(x.OpenDrawer(),))
        case v.DrawerSensed():
            return _drawer(event)
        case v.DrawerStuck():
            return Step(notice=message("drawer-stuck", fault=event.fault), level="error")
        case v.ScanGarbled():
            return _refuse("scan-garbled", device=event.device, fault=event.fault.value)
        case v.TagTorn():
            return _refuse("tag-torn")
        case v.PrinterSensed() | v.DeviceChanged():
            return _device(event)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            for tender in till.aside:
                if tender.reference == event.reference:
                    return _aside(shop, tender, event)
    sale = till.sale
    match sale:
        case Idle():
            return _idle(shop, till, event, facts)
        case Ringing() | Tendering():
            return _ringing(shop, till, sale, event, facts)
        case Authorizing():
            return _authorizing(shop, till, sale, event, facts)
        case Enquiring():
            return _enquiring(shop, till, sale, event, facts)
        case Reversing():
            return _reversing(shop, sale, event)
    assert_never(sale)


def allowed(till: Till) -> tuple[str, ...]:
    """The tags of the operator's events that the state takes now, for screens to enable their keys by."""
    always = ("drawer_keyed", "reprint_keyed")
    match till.sale:
        case Idle():
            return (*always, "code_keyed")
        case Ringing():
            return (*always, "code_keyed", "quantity_keyed", "void_keyed", "cash_keyed", "card_keyed", "cancel_keyed")
        case Tendering():
            return (*always, "cash_keyed", "card_keyed", "cancel_keyed")
        case Authorizing() | Enquiring() | Reversing():
            return (*always, "cancel_keyed")
    assert_never(till.sale)


# --- one function a state ----------------------------------------------------------------------------------------


def _idle(shop: Shop, till: Till, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case v.Scanned() | v.CodeKeyed() | v.TagPresented():
            if facts.blocked is not None:
                return _refuse(facts.blocked)
            opened = e.TransactionOpened(
                number=till.next_number, business_day=facts.business_day, currency=shop.currency.code
            )
            basket = Basket(number=opened.number, business_day=opened.business_day)
            added = _customer(facts) if isinstance(event, v.TagPresented) else _item(basket, facts)
            if added.refused:
                return added
            return msgspec.structs.replace(added, entries=(opened, *added.entries))
        case v.QuantityKeyed() | v.VoidKeyed() | v.CashKeyed() | v.CardKeyed() | v.CancelKeyed():
            return _refuse("no-open-sale")
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return _stray(event)
    assert_never(event)


def _ringing(shop: Shop, till: Till, sale: Ringing | Tendering, event: _SaleEvent, facts: Facts) -> Step:
    basket = sale.basket
    match event:
        case v.Scanned() | v.CodeKeyed():
            return _item(basket, facts) if isinstance(sale, Ringing) else _refuse("partly-paid")
        case v.TagPresented():
            return _customer(facts)
        case v.QuantityKeyed():
            return _quantity(basket, event) if isinstance(sale, Ringing) else _refuse("partly-paid")
        case v.VoidKeyed():
            return _void(basket, event) if isinstance(sale, Ringing) else _refuse("partly-paid")
        case v.CashKeyed():
            return _cash(shop, till, basket, event, facts)
        case v.CardKeyed():
            return _card(shop, basket, event, facts)
        case v.CancelKeyed():
            return _cancel(shop, basket)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return _stray(event)
    assert_never(event)


def _authorizing(shop: Shop, till: Till, sale: Authorizing, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case (
            v.Scanned() | v.CodeKeyed() | v.TagPresented() | v.QuantityKeyed() | v.VoidKeyed()
            | v.CashKeyed() | v.CardKeyed()
        ):  # fmt: skip
            return _refuse("payment-pending")
        case v.CancelKeyed():
            return Step(effects=(x.AbortPayment(reference=sale.pending.reference),), notice=message("payment-stopping"))
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return _answered(shop, till, sale, event, facts)
        case v.PaymentTakenBack() | v.ReversalUnanswered():
            return _stray(event)
    assert_never(event)


def _enquiring(shop: Shop, till: Till, sale: Enquiring, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case (
            v.Scanned() | v.CodeKeyed() | v.TagPresented() | v.QuantityKeyed() | v.VoidKeyed()
            | v.CashKeyed() | v.CardKeyed()
        ):  # fmt: skip
            return _refuse("payment-unknown")
        case v.CancelKeyed():
            return Step(
                entries=(e.PaymentSetAside(reference=sale.pending.reference),),
                notice=message("payment-set-aside", amount_minor=sale.pending.amount_minor),
                level="warning",
            )
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return _answered(shop, till, sale, event, facts)
        case v.PaymentTakenBack() | v.ReversalUnanswered():
            return _stray(event)
    assert_never(event)


def _reversing(shop: Shop, sale: Reversing, event: _SaleEvent) -> Step:
    basket = sale.basket
    match event:
        case (
            v.Scanned() | v.CodeKeyed() | v.TagPresented() | v.QuantityKeyed() | v.VoidKeyed()
            | v.CashKeyed() | v.CardKeyed()
        ):  # fmt: skip
            return _refuse("payment-reversing")
        case v.CancelKeyed():
            return _give_up_reversal(shop, basket)
        case v.PaymentTakenBack():
            return _taken_back(shop, basket, event.reference)
        case v.ReversalUnanswered():
            return _reverse_again(shop, basket, event.reference)
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return _stray(event)
    assert_never(event)


# --- goods -------------------------------------------------------------------------------------------------------


def _item(basket: Basket, facts: Facts) -> Step:
    question, item = facts.question, facts.item
    if isinstance(question, Message):
        return msgspec.structs.replace(
            _refuse(question.id, **question.params), entries=(e.ItemRefused(reason=question.id),)
        )
    assert isinstance(question, ItemWanted)
    reading = question.reading
    if item is None:
        code = reading.gtin.lstrip("0")
        known_code = shown(code) == code  # else it may be a card's number, typed into the wrong field
        return msgspec.structs.replace(
            _refuse("item-not-found", code=shown(code)),
            entries=(e.ItemRefused(reason="item-not-found", gtin=reading.gtin if known_code else None),),
        )
    if reading.use_by is not None and reading.use_by < facts.business_day:
        return msgspec.structs.replace(
            _refuse("item-expired", name=item.name, use_by=reading.use_by),
            entries=(e.ItemRefused(reason="item-expired", gtin=reading.gtin),),
        )
    if len(basket.lines) >= LINES_MAX:
        return _refuse("too-many-lines", lines=LINES_MAX)
    added = _line_of(len(basket.lines) + 1, item, reading)
    if not _is_sellable(item, reading, added):
        return _refuse("quantity-not-valid")
    last = basket.lines[-1] if basket.lines else None
    if last is not None and _same_goods(last, added):
        return _requantify(last, last.item.quantity_milli + added.quantity_milli)
    stale = reading.best_before is not None and reading.best_before < facts.business_day
    return Step(
        entries=(added,),
        notice=message("item-past-best-before", name=item.name, best_before=reading.best_before or "")
        if stale
        else None,
        level="warning" if stale else "info",
    )


def _line_of(number: int, item: Item, reading: Reading) -> e.ItemAdded:
    """The line for an item: by the piece, by the weight in its code, or by the price in its code.

    A price in the code is the amount to the cent; the weight is then worked back from it, for the receipt.
    """
    quantity_milli = 1000 * item.count if reading.weight_g is None else reading.weight_g
    unit_price_minor = item.unit_price_minor
    amount_minor = extend(unit_price_minor, quantity_milli)
    if reading.price_minor is not None:
        amount_minor = reading.price_minor
        if item.unit == "each":
            quantity_milli, unit_price_minor = 1000, amount_minor
        if item.unit == "kg" and item.unit_price_minor > 0:
            quantity_milli = max(1, divide_half_up(amount_minor * 1000, item.unit_price_minor))
    return e.ItemAdded(
        line=number,
        gtin=item.gtin,
        name=item.name,
        unit=item.unit,
        quantity_milli=quantity_milli,
        unit_price_minor=unit_price_minor,
        amount_minor=amount_minor,
        tax=item.tax,
        entry_method=reading.method,
        lot=reading.lot,
        use_by=reading.use_by,
        best_before=reading.best_before,
        item=item.item,
        contains=item.contains,
    )


def _is_sellable(item: Item, reading: Reading, added: e.ItemAdded) -> bool:
    """A label that says nothing was weighed, or that weighs what is sold by the piece, is a fault of the label."""
    if reading.price_minor == 0 or (reading.weight_g is not None and item.unit == "each"):
        return False
    return 0 < added.quantity_milli <= QUANTITY_MILLI_MAX


def _same_goods(line: Line, added: e.ItemAdded) -> bool:
    """Whether a scan counts up the last line instead of making a new one."""
    was = line.item
    return (
        not line.voided
        and was.unit == "each"
        and (was.gtin, was.unit_price_minor, was.tax, was.lot, was.use_by, was.best_before)
        == (added.gtin, added.unit_price_minor, added.tax, added.lot, added.use_by, added.best_before)
    )


def _quantity(basket: Basket, event: v.QuantityKeyed) -> Step:
    line = _line(basket, event.line)
    if line is None or line.voided:
        return _refuse("line-not-found", line=event.line)
    if line.item.unit != "each" or event.quantity_milli % 1000:
        return _refuse("quantity-is-weighed" if line.item.unit != "each" else "quantity-not-valid")
    return _requantify(line, event.quantity_milli)


def _requantify(line: Line, quantity_milli: int) -> Step:
    if not 0 < quantity_milli <= QUANTITY_MILLI_MAX:
        return _refuse("quantity-not-valid")
    changed = e.QuantityChanged(
        line=line.item.line,
        quantity_milli=quantity_milli,
        amount_minor=extend(line.item.unit_price_minor, quantity_milli),
    )
    return Step(entries=(changed,))


def _void(basket: Basket, event: v.VoidKeyed) -> Step:
    if event.line == 0:
        line = next((line for line in reversed(basket.lines) if not line.voided), None)
    else:
        line = _line(basket, event.line)
    if line is None or line.voided:
        return _refuse("line-not-found", line=event.line)
    return Step(entries=(e.LineVoided(line=line.item.line),), notice=message("item-voided", name=line.item.name))


def _line(basket: Basket, number: int) -> Line | None:
    if number == 0:
        return basket.lines[-1] if basket.lines else None
    return next((line for line in basket.lines if line.item.line == number), None)


def _customer(facts: Facts) -> Step:
    if facts.customer is None:
        return _refuse("customer-not-known")
    return Step(entries=(e.CustomerIdentified(customer=facts.customer),), notice=message("customer-identified"))


# --- money -------------------------------------------------------------------------------------------------------


def _cash(shop: Shop, till: Till, basket: Basket, event: v.CashKeyed, facts: Facts) -> Step:
    due = due_minor(shop, basket)
    if due <= 0:
        return _refuse("nothing-due")
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return _refuse("amount-not-positive")
    if amount_minor > CASH_MINOR_MAX:
        return _refuse("amount-too-large", amount_minor=CASH_MINOR_MAX)
    tendered = e.CashTendered(tender=basket.tenders_begun + 1, amount_minor=amount_minor)
    return _complete_if_paid(shop, till, (tendered,), facts)


def _card(shop: Shop, basket: Basket, event: v.CardKeyed, facts: Facts) -> Step:
    due = due_minor(shop, basket)
    if due <= 0:
        return _refuse("nothing-due")
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return _refuse("amount-not-positive")
    if amount_minor > due:
        return _refuse("amount-over-due", amount_minor=due)
    tender = basket.tenders_begun + 1
    reference = f"{basket.number}.{tender}"
    if facts.epoch:
        # A new journal counts from 1 again; the payment device still knows the payments of the one before.
        reference = f"{facts.epoch[:EPOCH_LETTERS]}/{reference}"
    return Step(
        entries=(e.PaymentRequested(tender=tender, reference=reference, amount_minor=amount_minor),),
        effects=(x.RequestPayment(reference=reference, amount_minor=amount_minor, currency=shop.currency.code),),
    )


def _answered(
    shop: Shop,
    till: Till,
    sale: Authorizing | Enquiring,
    event: v.PaymentAnswered | v.PaymentRefused | v.PaymentUnanswered,
    facts: Facts,
) -> Step:
    if event.reference != sale.pending.reference:
        return _stray(event)
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
    )


def _complete_if_paid(shop: Shop, till: Till, tendered: tuple[e.AnyEntry, ...], facts: Facts) -> Step:
    """The entries of a tender, with the completion in the same commit once nothing is due any more."""
    after = till
    for entry in tendered:
        after = apply(after, entry)
    basket = basket_of(after.sale)
    assert basket is not None
    due = due_minor(shop, basket)
    if due > 0:
        return Step(entries=tendered, notice=message("still-due", amount_minor=due))
    change_minor = -due
    completed = e.TransactionCompleted(
        number=basket.number,
        business_day=basket.business_day,
        currency=shop.currency.code,
        lines=sum(not line.voided for line in basket.lines),
        total_minor=total_minor(shop, basket),
        change_minor=change_minor,
        taxes=taxes(shop, basket),
        tenders=_tender_totals(basket, change_minor),
        ended=facts.local_time,
        customer=basket.customer,
    )
    cash = change_minor > 0 or any(tender.kind == "CASH" for tender in basket.tenders)
    printed = _print(shop, Completed(sale=completed, basket=basket), copy=0)
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


def _cancel(shop: Shop, basket: Basket) -> Step:
    cards = [tender for tender in basket.tenders if tender.kind == "CREDIT"]
    if not cards:
        return _cancelled(basket, ())
    return Step(
        entries=tuple(e.ReversalRequested(reference=tender.reference) for tender in cards),
        effects=tuple(_reverse(shop, tender) for tender in cards),
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


def _taken_back(shop: Shop, basket: Basket, reference: str) -> Step:
    if not any(tender.reference == reference for tender in _unreversed(basket)):
        return _NOTHING
    reversed_ = e.PaymentReversed(reference=reference)
    if any(tender.reference != reference for tender in _unreversed(basket)):
        return Step(entries=(reversed_,))
    return _cancelled(basket, (reversed_,))


def _reverse_again(shop: Shop, basket: Basket, reference: str) -> Step:
    for tender in _unreversed(basket):
        if tender.reference == reference:
            first = tender.phase == "reversing"
            return Step(
                entries=(e.PaymentUnknown(reference=reference),) if first else (),
                effects=(_reverse(shop, tender, after_s=REVERSAL_PAUSE_S),),
                notice=message("reversal-unanswered") if first else None,
                level="warning",
            )
    return _NOTHING


def _give_up_reversal(shop: Shop, basket: Basket) -> Step:
    """The operator need not wait for a dead payment device: what it owes is settled when it answers again."""
    waiting = _unreversed(basket)
    if any(tender.phase == "reversing" for tender in waiting):
        return _refuse("payment-reversing")
    given = _cancelled(basket, tuple(e.PaymentSetAside(reference=tender.reference) for tender in waiting))
    owed_minor = sum(tender.amount_minor for tender in waiting)
    return msgspec.structs.replace(given, notice=message("payment-set-aside", amount_minor=owed_minor), level="warning")


def _unreversed(basket: Basket) -> tuple[Tender, ...]:
    return tuple(tender for tender in basket.tenders if tender.phase in ("reversing", "reversal-unknown"))


def _reverse(shop: Shop, tender: Tender, after_s: float = 0.0) -> x.ReversePayment:
    return x.ReversePayment(
        reference=tender.reference,
        amount_minor=tender.amount_minor,
        currency=shop.currency.code,
        poi_transaction=tender.poi_transaction,
        after_s=after_s,
    )


def _aside(shop: Shop, tender: Tender, event: _PaymentEvent) -> Step:
    """A payment that no sale waits for: found approved it goes back, and it is asked about until it is settled.

    While it is not known whether it was charged only the answers to that count, and then only those to its reversal:
    an answer that comes twice would otherwise strike out money that is owed.
    """
    asked_about = tender.phase in ("pending", "unknown")
    if asked_about is isinstance(event, v.PaymentTakenBack | v.ReversalUnanswered):
        return _NOTHING
    match event:
        case v.PaymentAnswered():
            approved = _approved(event)
            requested = e.ReversalRequested(reference=event.reference)
            owed = msgspec.structs.replace(
                tender, amount_minor=event.amount_minor, poi_transaction=event.poi_transaction
            )
            return Step(entries=(approved, requested), effects=(_reverse(shop, owed),))
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
            return Step(effects=(_reverse(shop, tender, after_s=REVERSAL_PAUSE_S),))
    assert_never(event)


def _stray(event: _PaymentEvent) -> Step:
    """An answer about a payment that is settled already: answers may come twice, and change nothing then."""
    return _NOTHING


# --- papers, devices, boot ---------------------------------------------------------------------------------------


def _print(shop: Shop, completed: Completed, *, copy: int, doubtful: bool = False) -> x.PrintReceipt:
    return x.PrintReceipt(
        number=completed.sale.number,
        copy=copy,
        doubtful=doubtful,
        document=compose(shop, completed, copy=copy, doubtful=doubtful),
    )


def _reprint(shop: Shop, till: Till) -> Step:
    last = till.last
    if last is None or last.completed is None:
        return _refuse("nothing-to-reprint")
    if last.completed.printed == 0 and any(waiting.sale.number == last.number for waiting in till.unprinted):
        return _refuse("receipt-waiting")
    return Step(effects=(_print(shop, last.completed, copy=last.completed.printed),))


def _uncertain(shop: Shop, till: Till, event: v.ReceiptUncertain) -> Step:
    for completed in till.unprinted:
        if completed.sale.number == event.number:
            return Step(effects=(_print(shop, completed, copy=0, doubtful=True),))
    return Step(notice=message("copy-not-printed"), level="error")


def _drawer(event: v.DrawerSensed) -> Step:
    if event.is_open:
        opened = e.DrawerOpened(commanded=event.commanded)
        if event.commanded:
            return Step(entries=(opened,))
        return Step(entries=(opened,), notice=message("drawer-opened-by-hand"), level="warning")
    return Step(entries=(e.DrawerClosed(open_ms=event.open_ms),))


def _device(event: v.PrinterSensed | v.DeviceChanged) -> Step:
    match event:
        case v.PrinterSensed():
            if event.paper is v.PaperStatus.OUT:
                return Step(notice=message("printer-paper-out"), level="error")
            if event.cover_open:
                return Step(notice=message("printer-cover-open"), level="error")
            if not event.online:
                return Step(notice=message("printer-offline"), level="error")
            if event.paper is v.PaperStatus.NEAR_END:
                return Step(notice=message("printer-paper-low"), level="warning")
            return _NOTHING
        case v.DeviceChanged():
            return _device_changed(event)
    assert_never(event)


def _device_changed(event: v.DeviceChanged) -> Step:
    if event.phase is v.DevicePhase.OPENING:
        return _NOTHING
    entries = (e.DeviceReported(device=event.device, phase=event.phase.value, fault=event.fault),)
    if event.phase is v.DevicePhase.READY or event.fault == "device-absent":
        return Step(entries=entries)
    notice = message("device-lost", device=event.device, fault=event.fault or "")
    return Step(entries=entries, notice=notice, level="error")


def _booted(shop: Shop, till: Till) -> Step:
    """What a power cut left open: payments are asked about, reversals go on, receipts are printed and say so."""
    asked = [_resolve(shop, tender) for tender in till.aside]
    entries: tuple[e.AnyEntry, ...] = ()
    match till.sale:
        case Authorizing(pending=pending):
            entries = (e.PaymentUnknown(reference=pending.reference),)
            asked.append(x.EnquirePayment(reference=pending.reference))
        case Enquiring(pending=pending):
            asked.append(x.EnquirePayment(reference=pending.reference))
        case Reversing(basket=basket):
            asked.extend(_reverse(shop, tender) for tender in _unreversed(basket))
        case Idle() | Ringing() | Tendering():
            pass
        case _:
            assert_never(till.sale)
    papers = tuple(_print(shop, completed, copy=0, doubtful=True) for completed in till.unprinted)
    return Step(entries=entries, effects=(*asked, *papers))


def _resolve(shop: Shop, tender: Tender) -> x.AnyEffect:
    if tender.phase in ("pending", "unknown"):
        return x.EnquirePayment(reference=tender.reference)
    return _reverse(shop, tender)


def _refuse(condition: str, /, **params: str | int) -> Step:
    return Step(notice=message(condition, **params), level="error", refused=True)
