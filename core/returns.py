"""Goods that come back: lines of a finished sale, goods without a receipt, and the void of a whole transaction.

A returned line is a line below zero, as empties are, so that tax, totals and stock follow by themselves. It is worth what
was paid for it: its share of what discounts took off stays off. What was given back before is in the history; never more
comes back than was sold, and never more money than was paid. Lines are shared out to the minor unit: however a quantity is
given back in parts, the parts come to what the whole was paid with.

Sources: ARTS POSLog (Return, TransactionLink, post-void).
"""

from typing import assert_never

import msgspec

from core import entries as e
from core import events as v
from core.card import wipe
from core.goods import LINES_MAX, QUANTITY_MILLI_MAX
from core.history import HistoryLine, Original, Transaction
from core.language import later
from core.money import extend
from core.scan import shown
from core.state import Basket, Completed, Shop, Till
from core.step import Facts, ItemWanted, OriginalWanted, Step, refuse
from core.stored_value import change, unload
from core.text import Message, message

REASON_LENGTH_MAX = 60
ORIGINALS_MAX = 10
"""Receipts that one basket takes goods back from."""

ReturnEvent = v.ReturnKeyed | v.UnreceiptedReturnKeyed | v.TransactionVoidKeyed


def wanted(till: Till, event: v.ReturnKeyed | v.GiftCardReturnKeyed | v.TransactionVoidKeyed) -> OriginalWanted | None:
    """Which finished transaction an event is about: the one that it names, else the one in hand, or the last."""
    basket = getattr(till.sale, "basket", None)
    if event.number:
        return OriginalWanted(number=event.number)
    match event:
        case v.ReturnKeyed() | v.GiftCardReturnKeyed():
            if isinstance(basket, Basket) and basket.originals:
                link = basket.originals[-1].link
                return OriginalWanted(number=link.number, epoch=link.epoch)
            return None
        case v.TransactionVoidKeyed():
            last = till.last
            if last is None or last.cancelled or last.completed is None:
                return None
            return OriginalWanted(number=last.number)
    assert_never(event)


def begin(shop: Shop, basket: Basket, facts: Facts) -> Step:
    """The receipt of a finished sale was shown: what comes back of it is chosen next."""
    original = find_original(shop, facts)
    if isinstance(original, Message):
        return refuse(original.id, **original.params)
    sold = original.sold
    if (refused := _closed(basket, original)) is not None:
        return refused
    begun, entries = begun_of(shop, basket, original)
    if begun is None:
        return entries
    told = message("return-begun", number=sold.number, day=sold.business_day)
    return Step(entries=entries.entries or (begun,), notice=told)


def take_back(shop: Shop, basket: Basket, event: v.ReturnKeyed, facts: Facts) -> Step:
    """Lines of a finished sale come back: one, in part or whole, or all that is left of them."""
    original = find_original(shop, facts)
    if isinstance(original, Message):
        return refuse(original.id, **original.params)
    if (refused := _closed(basket, original)) is not None:
        return refused
    begun, first = begun_of(shop, basket, original)
    if begun is None:
        return first
    reason = words(event.reason)
    chosen = [line for line in original.sold.lines if line.quantity_milli > 0 and not line.linked]
    if event.line:
        chosen = [line for line in chosen if line.line == event.line]
        if not chosen:
            return refuse("return-line-not-found", line=event.line)
    lines: list[e.ItemAdded] = []
    for line in chosen:
        left_milli = line.quantity_milli - returned_milli(original, basket, line)
        if left_milli <= 0 and event.line:
            return refuse("line-refunded", name=line.name)
        if left_milli <= 0:
            continue
        quantity_milli = left_milli if event.quantity_milli is None else event.quantity_milli
        if quantity_milli <= 0 or (line.unit == "each" and quantity_milli % 1000):
            return refuse("quantity-not-valid")
        if quantity_milli > left_milli:
            return refuse(
                "return-too-many", name=line.name, left=left_milli // 1000 if line.unit == "each" else left_milli
            )
        lines += _lines(shop, basket, original, line, quantity_milli, reason, at=basket.next_line - 1 + len(lines))
    if not lines:
        return refuse("transaction-refunded", number=original.sold.number)
    if basket.next_line - 1 + len(lines) > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    told = message("returned", name=lines[0].name, amount_minor=-sum(line.amount_minor for line in lines))
    return Step(entries=(*first.entries, *lines), notice=told)


def take_back_unreceipted(shop: Shop, basket: Basket, event: v.UnreceiptedReturnKeyed, facts: Facts) -> Step:
    """Goods come back without a receipt: at the catalogue's price, or less, for a reason."""
    question, item = facts.question, facts.item
    if isinstance(question, Message):
        return refuse(question.id, **question.params)
    if not isinstance(question, ItemWanted) or item is None:
        return refuse("return-item-not-known")
    if basket.voiding is not None:
        return refuse("void-in-hand")
    if basket.exemption is not None:
        return refuse("return-exempt-alone")
    reason = words(event.reason)
    if not reason:
        return refuse("reason-needed")
    price_minor = item.unit_price_minor if event.unit_price_minor is None else event.unit_price_minor
    if price_minor < 0 or (price_minor > item.unit_price_minor and not item.open_price):
        return refuse("return-price-too-high", amount_minor=item.unit_price_minor)
    quantity_milli = event.quantity_milli * (item.count if item.unit == "each" else 1)
    if not 0 < quantity_milli <= QUANTITY_MILLI_MAX or (item.unit == "each" and quantity_milli % 1000):
        return refuse("quantity-not-valid")
    amount_minor = extend(price_minor, quantity_milli)
    if amount_minor > shop.unreceipted_return_minor_max:
        return refuse("return-over-limit", amount_minor=shop.unreceipted_return_minor_max)
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    line = e.ItemAdded(
        line=basket.next_line,
        gtin=item.gtin,
        name=item.name,
        unit=item.unit,
        quantity_milli=-quantity_milli,
        unit_price_minor=price_minor,
        amount_minor=-amount_minor,
        tax=item.tax,
        entry_method=question.reading.method,
        lot=question.reading.lot,
        serial=question.reading.serial,
        item=item.item,
        contains=item.contains,
        discountable=False,
        returned=e.TransactionLink(number=0),
        reason=reason,
    )
    kept = e.ReturnUnreceipted(line=line.line, reason=reason)
    return Step(entries=(line, kept), notice=message("returned", name=item.name, amount_minor=amount_minor))


def void_transaction(shop: Shop, basket: Basket, event: v.TransactionVoidKeyed, facts: Facts) -> Step:
    """A whole transaction of this business day is made undone by one that takes all of it back (POSLog post-void)."""
    original = find_original(shop, facts)
    if isinstance(original, Message):
        return refuse("nothing-to-void" if original.id == "return-which" else original.id, **original.params)
    sold = original.sold
    reason = words(event.reason)
    if not reason:
        return refuse("reason-needed")
    if any(later.voids is not None for later in original.later):
        return refuse("transaction-voided", number=sold.number)
    if original.later:
        return refuse("transaction-refunded", number=sold.number)
    came_back = [line.returned for line in sold.lines] + [gift.returned for gift in sold.stored_value]
    if sold.voids is not None or any(came_back):
        return refuse("void-of-return", number=sold.number)
    if len(sold.stored_value) > 1:
        return refuse("void-of-gift-cards", number=sold.number)
    if sold.business_day != basket.business_day:
        return refuse("void-other-day", number=sold.number, day=sold.business_day)
    begun, first = begun_of(shop, basket, original, void_reason=reason)
    if begun is None:
        return first
    lines = []
    numbers = {line.line: at for at, line in enumerate(sold.lines, 1)}
    for line in sold.lines:
        back = _line(shop, sold, line, line.quantity_milli, line.amount_minor - line.discount_minor, reason)
        lines.append(msgspec.structs.replace(back, line=numbers[line.line], linked=numbers.get(line.linked, 0)))
    told = message("void-begun", number=sold.number, amount_minor=sold.total_minor + sold.stored_value_minor)
    emptied = tuple(unload(basket, len(lines) + 1, gift, begun.link, reason, facts) for gift in sold.stored_value)
    return Step(
        entries=(*first.entries, *lines, *emptied),
        effects=tuple(change(shop, asked) for asked in emptied),
        notice=told,
        level="warning",
    )


def returned_milli(original: Original, basket: Basket, line: HistoryLine) -> int:
    """How much of a sold line has come back: in finished transactions, and in the open basket."""
    before = sum(-back.quantity_milli for back in original.returned(line.line))
    return before + sum(
        -held.item.quantity_milli for held in basket.lines if _is_of(held.voided, held.item, original, line)
    )


def is_return(basket: Basket) -> bool:
    """Whether anything comes back in it."""
    goods = any(line.item.returned is not None and not line.voided for line in basket.lines)
    return goods or any(isinstance(gift.item, e.GiftCardReturned) for gift in basket.gifts)


def refundable_minor(original: Original) -> int:
    """What of a sale's money can still go back: what was paid for its goods, less what went back."""
    sold = original.sold
    credited = sum(refund.amount_minor for refund in sold.refunds)
    below = sum(line.discount_minor - line.amount_minor for line in sold.lines if line.quantity_milli < 0)
    unlinked = below - sum(
        -line.amount_minor for line in sold.lines if line.returned is not None and line.returned.number
    )
    given = sum(
        refund.amount_minor
        for later in original.later
        for refund in later.refunds
        if (refund.link.number, refund.link.epoch) == (sold.number, sold.epoch)
    )
    return sold.total_minor + credited + max(0, unlinked) - given


def heading(completed: Completed) -> tuple[str, int] | None:
    """What a receipt is headed with that takes goods back, and whose number goes in at ``{number}``; None for a sale."""
    voided = completed.basket.voiding
    if voided is not None:
        return later("VOID OF #{number}"), voided.link.number
    return (later("REFUND"), completed.sale.number) if is_return(completed.basket) else None


def words(text: str) -> str:
    """What a person typed, as it may be kept: one line, and no card's number in it."""
    return wipe(" ".join(text.split()))[:REASON_LENGTH_MAX]


def find_original(shop: Shop, facts: Facts) -> Original | Message:
    """The transaction that was asked for, or why there is none to take back from."""
    question = facts.question
    if isinstance(question, Message):
        return question
    if not isinstance(question, OriginalWanted):
        return message("return-which")
    if question.terminal and question.terminal != shop.terminal:
        return message("receipt-of-other-till", terminal=shown(question.terminal))
    if facts.history_fault:
        return message("history-not-ready")
    if facts.original is None:
        return message("receipt-not-found", number=question.number)
    if facts.original.sold.currency != shop.currency.code:
        return message("receipt-other-currency", currency=facts.original.sold.currency)
    return facts.original


def _closed(basket: Basket, original: Original) -> Step | None:
    """Why nothing can come back of a transaction."""
    if basket.voiding is not None:
        return refuse("void-in-hand")
    if any(later.voids is not None for later in original.later):
        return refuse("transaction-voided", number=original.sold.number)
    goods = [line for line in original.sold.lines if line.quantity_milli > 0]
    if not goods and original.sold.stored_value:
        return None
    if not goods:
        return refuse("return-of-nothing", number=original.sold.number)
    if all(sum(-back.quantity_milli for back in original.returned(line.line)) >= line.quantity_milli for line in goods):
        return refuse("transaction-refunded", number=original.sold.number)
    return None


def begun_of(
    shop: Shop, basket: Basket, original: Original, void_reason: str = ""
) -> tuple[e.ReturnBegun | None, Step]:
    """The entry by which a basket knows a receipt, with the step that has it where it is new; None where it cannot."""
    sold = original.sold
    link = e.TransactionLink(terminal=shop.terminal, epoch=sold.epoch, number=sold.number)
    known = next((begun for begun in basket.originals if begun.link == link), None)
    if known is not None:
        return known, Step()
    if len(basket.originals) >= ORIGINALS_MAX:
        return None, refuse("too-many-receipts", receipts=ORIGINALS_MAX)
    exempt = next((total for total in sold.taxes if total.exempt and total.exempt_tax_minor), None)
    if (exempt is not None) is not (basket.exemption is not None):
        empty = not any(not line.voided for line in basket.lines) and basket.exemption is None
        if not empty:
            return None, refuse("return-exempt-alone")
    begun = e.ReturnBegun(
        link=link,
        business_day=sold.business_day,
        refundable_minor=refundable_minor(original),
        tenders=tuple(_cards(original)),
        void_reason=void_reason,
        coupons=sold.coupons if void_reason else (),
    )
    if exempt is not None and basket.exemption is None:
        taxless = e.TaxExempted(reason=f"as on receipt {sold.number}")
        return begun, Step(entries=(begun, taxless))
    return begun, Step(entries=(begun,))


def _cards(original: Original) -> list[e.RefundableTender]:
    """What the sale charged to cards, wallets and accounts, less what went back to them."""
    cards = []
    for payment in original.sold.payments:
        if payment.kind not in (*e.DEVICE_TENDERS, "CUST_ACCT") or payment.refund_of:
            continue
        given = sum(
            back.amount_minor
            for later in original.later
            for back in later.payments
            if back.refund_of == payment.reference
        )
        if payment.amount_minor > given:
            cards.append(
                e.RefundableTender(
                    kind=payment.kind,
                    reference=payment.reference,
                    amount_minor=payment.amount_minor - given,
                    poi_transaction=payment.poi_transaction,
                    brand=payment.brand,
                    card=payment.card,
                    customer=payment.customer,
                )
            )
    return cards


def _lines(
    shop: Shop, basket: Basket, original: Original, line: HistoryLine, quantity_milli: int, reason: str, *, at: int
) -> list[e.ItemAdded]:
    """The lines for what comes back: the goods, and with them their deposit."""
    sold = original.sold
    back = [msgspec.structs.replace(_part(shop, basket, original, line, quantity_milli, reason), line=at + 1)]
    for deposit in sold.lines:
        if deposit.linked == line.line:
            pieces_milli = deposit.quantity_milli * quantity_milli // line.quantity_milli
            part = _part(shop, basket, original, deposit, pieces_milli, reason)
            back.append(msgspec.structs.replace(part, line=at + len(back) + 1, linked=at + 1))
    return back


def _part(
    shop: Shop, basket: Basket, original: Original, line: HistoryLine, quantity_milli: int, reason: str
) -> e.ItemAdded:
    """So much of a sold line: parts come to the whole, whatever they are rounded to."""
    before_milli = returned_milli(original, basket, line)
    paid_minor = line.amount_minor - line.discount_minor
    upto = paid_minor * (before_milli + quantity_milli) // line.quantity_milli
    amount_minor = upto - paid_minor * before_milli // line.quantity_milli
    return _line(shop, original.sold, line, quantity_milli, amount_minor, reason)


def _line(
    shop: Shop, sold: Transaction, line: HistoryLine, quantity_milli: int, amount_minor: int, reason: str
) -> e.ItemAdded:
    return e.ItemAdded(
        line=0,
        gtin=line.gtin,
        name=line.name,
        unit=line.unit,
        quantity_milli=-quantity_milli,
        unit_price_minor=line.unit_price_minor,
        amount_minor=-amount_minor,
        tax=line.tax,
        entry_method="receipt",
        lot=line.lot,
        serial=line.serial,
        item=line.item,
        contains=line.contains,
        discountable=False,
        returned=e.TransactionLink(terminal=shop.terminal, epoch=sold.epoch, number=sold.number, line=line.line),
        reason=reason,
    )


def _is_of(voided: bool, item: e.ItemAdded, original: Original, line: HistoryLine) -> bool:
    link = item.returned
    return (
        not voided
        and link is not None
        and (link.number, link.epoch, link.line) == (original.sold.number, original.sold.epoch, line.line)
    )
