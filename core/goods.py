"""Goods in the basket: ringing up, counting up, quantities, taking back; and whose tag it is."""

from typing import Literal

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.catalogue import MEASURED, Item
from core.money import divide_half_up, extend
from core.product_recall import doubt, gtins_of, hit
from core.scan import Reading, shown
from core.state import Basket, Line, Shop
from core.step import Facts, ItemWanted, Step, refuse
from core.text import Message, message

QUANTITY_MILLI_MAX = 9_999_000
LINES_MAX = 1_000
EMPTIES_MAX = 999


def ring_up(shop: Shop, basket: Basket, facts: Facts) -> Step:
    """A code becomes a line, counts the last one up, or is refused with its reason."""
    question, item = facts.question, facts.item
    if isinstance(question, Message):
        return msgspec.structs.replace(
            refuse(question.id, **question.params), entries=(e.ItemRefused(reason=question.id),)
        )
    assert isinstance(question, ItemWanted)
    reading = question.reading
    if item is None:
        code = reading.gtin.lstrip("0")
        known_code = shown(code) == code  # else it may be a card's number, typed into the wrong field
        return msgspec.structs.replace(
            refuse("item-not-found", code=shown(code)),
            entries=(e.ItemRefused(reason="item-not-found", gtin=reading.gtin if known_code else None),),
        )
    if (unfit := _unfit(shop, basket, item, reading, facts)) is not None:
        return msgspec.structs.replace(unfit, entries=(_refused(unfit, reading),))
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    if (held := hold(basket, item, reading)) is not None:
        return held
    if item.unit == "kg" and reading.weight_g is None and reading.price_minor is None:
        return _await_weight(basket, item, reading)
    added = _line_of(basket.next_line, item, reading)
    if not _is_sellable(item, reading, added):
        return refuse("quantity-not-valid")
    last = find_line(basket, 0)
    if last is not None and _same_goods(last, added):
        return _requantify(basket, last, last.item.quantity_milli + added.quantity_milli)
    warning = _doubt(item, reading, facts)
    if item.deposit is not None and facts.deposit is None:
        warning = warning or message("deposit-not-found", name=item.name)
    deposit = (_deposit_of(added, facts.deposit),) if item.deposit is not None and facts.deposit is not None else ()
    return Step(entries=(added, *deposit), notice=warning, level="warning" if warning else "info")


def hold(basket: Basket, item: Item, reading: Reading) -> Step | None:
    """An item that asks something first: the customer's age, once a basket; its own price; how much of it there is."""
    failed = [check.min_age for check in basket.ages if not check.passed]
    if item.min_age and failed and item.min_age >= min(failed):
        return msgspec.structs.replace(
            refuse("age-not-reached", name=item.name, age=item.min_age),
            entries=(e.ItemRefused(reason="age-not-reached", gtin=reading.gtin),),
        )
    if item.min_age > max((check.min_age for check in basket.ages if check.passed), default=0):
        held = e.ItemHeld(about="age", gtin=item.gtin, name=item.name, reading=reading, min_age=item.min_age)
        return Step(entries=(held,), notice=message("age-asked", name=item.name, age=item.min_age), level="warning")
    if item.open_price and reading.price_minor is None:
        held = e.ItemHeld(about="price", gtin=item.gtin, name=item.name, reading=reading)
        return Step(entries=(held,), notice=message("price-asked", name=item.name))
    if item.unit in MEASURED and reading.quantity_milli is None and reading.price_minor is None:
        held = e.ItemHeld(about="quantity", gtin=item.gtin, name=item.name, reading=reading, unit=item.unit)
        return Step(entries=(held,), notice=message("quantity-asked", name=item.name, measure=item.unit))
    return None


def _deposit_of(added: e.ItemAdded, deposit: Item) -> e.ItemAdded:
    """The line of the deposit that goes with the goods of another: nothing is ever taken off it."""
    quantity_milli = added.quantity_milli * added.contains
    return e.ItemAdded(
        line=added.line + 1,
        gtin=deposit.gtin,
        name=deposit.name,
        unit=deposit.unit,
        quantity_milli=quantity_milli,
        unit_price_minor=deposit.unit_price_minor,
        amount_minor=extend(deposit.unit_price_minor, quantity_milli),
        tax=deposit.tax,
        entry_method=added.entry_method,
        discountable=False,
        linked=added.line,
    )


def take_empties_back(basket: Basket, event: v.DepositReturnKeyed, facts: Facts) -> Step:
    """Empties become a line below zero, of the deposit that goes with what their code stands for."""
    question, item = facts.question, facts.item
    if isinstance(question, Message):
        return refuse(question.id, **question.params)
    if not isinstance(question, ItemWanted) or item is None or item.deposit is None:
        return refuse("no-deposit")
    if facts.deposit is None:
        return refuse("deposit-not-found", name=item.name)
    if not 0 < event.count <= EMPTIES_MAX:
        return refuse("quantity-not-valid")
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    pieces = _line_of(basket.next_line, item, question.reading)
    given_back = msgspec.structs.replace(pieces, quantity_milli=-1000 * item.count * event.count)
    line = msgspec.structs.replace(_deposit_of(given_back, facts.deposit), line=pieces.line, linked=0)
    return Step(entries=(line,), notice=message("deposit-given-back", amount_minor=-line.amount_minor))


def price_of(facts: Facts) -> Step:
    """What a code costs and how much of it is left, without selling it."""
    question, item = facts.question, facts.item
    if isinstance(question, Message):
        return refuse(question.id, **question.params)
    if not isinstance(question, ItemWanted):
        return refuse("code-of-no-item")
    if item is None:
        return refuse("item-not-found", code=shown(question.reading.gtin.lstrip("0")))
    told = message("price-is", name=item.name, price_minor=item.unit_price_minor, unit=item.unit)
    if facts.on_hand_milli is not None:
        told = message("price-and-stock", **told.params, left=_quantity(facts.on_hand_milli))
    return Step(notice=told)


def _unfit(shop: Shop, basket: Basket, item: Item, reading: Reading, facts: Facts) -> Step | None:
    """Why goods may not be sold. Past their use-by date or recalled, nobody may sell them; the rest is the shop's rule."""
    today = facts.business_day
    if reading.use_by is not None and reading.use_by < today:
        return refuse("item-expired", name=item.name, use_by=reading.use_by)
    if reading.expires is not None and (reading.expires[:10] < today or _is_past(reading.expires, facts)):
        return refuse("item-expired", name=item.name, use_by=reading.expires.replace("T", " "))
    recall = hit(facts.recalls, gtins_of(reading.gtin, item.item), reading.lot)
    if recall is not None:
        return refuse("item-recalled", name=item.name, why=recall.reason, recall=recall.id)
    if shop.best_before == "refuse" and reading.best_before is not None and reading.best_before < today:
        return refuse("item-too-old", name=item.name, best_before=reading.best_before)
    if shop.sell_by == "refuse" and reading.sell_by is not None and reading.sell_by < today:
        return refuse("item-too-late", name=item.name, sell_by=reading.sell_by)
    if reading.serial is not None and any(
        not line.voided and (line.item.gtin, line.item.serial) == (reading.gtin, reading.serial)
        for line in basket.lines
    ):
        return refuse("serial-twice", name=item.name)
    return None


def _is_past(expires: str, facts: Facts) -> bool:
    """Whether a time of this day is over. On a doubted clock it is the day alone that counts."""
    now = facts.local_time[: len(expires)]
    return now[:10] == facts.business_day and expires < now


def _doubt(item: Item, reading: Reading, facts: Facts) -> Message | None:
    """What the operator is told of goods that are sold nevertheless."""
    recall = doubt(facts.recalls, gtins_of(reading.gtin, item.item), reading.lot)
    if recall is not None:
        return message("item-lot-recalled", name=item.name, lot=recall.lot, why=recall.reason)
    if reading.sell_by is not None and reading.sell_by < facts.business_day:
        return message("item-past-sell-by", name=item.name, sell_by=reading.sell_by)
    if reading.best_before is not None and reading.best_before < facts.business_day:
        return message("item-past-best-before", name=item.name, best_before=reading.best_before)
    return None


def _refused(step: Step, reading: Reading) -> e.ItemRefused:
    assert step.notice is not None
    return e.ItemRefused(reason=step.notice.id, gtin=reading.gtin, lot=reading.lot)


def weighing_reference(basket: Basket) -> str:
    """By what the scale is asked for the weight of the next line."""
    return f"{basket.number}.{basket.next_line}"


def _await_weight(basket: Basket, item: Item, reading: Reading) -> Step:
    """An item sold by weight was rung up without one: see `core.weighing`."""
    return Step(
        entries=(e.WeightAwaited(item=item, reading=reading),),
        effects=(x.AskWeight(reference=weighing_reference(basket)),),
        notice=message("weight-awaited", name=item.name),
    )


def _line_of(number: int, item: Item, reading: Reading) -> e.ItemAdded:
    """The line for an item: by the piece, by the measure that was typed, by the weight in its code, or by the price in its code.

    A price in the code is the amount to the cent; the weight is then worked back from it, for the receipt.
    """
    measured = reading.weight_g if reading.quantity_milli is None else reading.quantity_milli
    quantity_milli = 1000 * item.count if measured is None else measured
    unit_price_minor = item.unit_price_minor
    amount_minor = extend(unit_price_minor, quantity_milli)
    if reading.price_minor is not None:
        amount_minor = reading.price_minor
        if item.unit == "each":
            quantity_milli, unit_price_minor = 1000, amount_minor
        if item.unit != "each" and item.unit_price_minor > 0 and measured is None:
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
        serial=reading.serial,
        use_by=reading.use_by or (reading.expires[:10] if reading.expires else None),
        best_before=reading.best_before,
        item=item.item,
        contains=item.contains,
        discountable=item.discountable,
        weighed="keyed" if reading.quantity_milli is not None else None,
    )


def _is_sellable(item: Item, reading: Reading, added: e.ItemAdded) -> bool:
    """A label that says nothing was weighed, or that weighs what is not sold by weight, is a fault of the label."""
    if reading.price_minor == 0 or (reading.weight_g is not None and item.unit != "kg"):
        return False
    return 0 < added.quantity_milli <= QUANTITY_MILLI_MAX


def _same_goods(line: Line, added: e.ItemAdded) -> bool:
    """Whether a scan counts up the last line instead of making a new one."""
    was = line.item
    return (
        not line.voided
        and line.given is None
        and line.regular_minor is None
        and was.unit == "each"
        and added.serial is None
        and was.quantity_milli > 0
        and (was.gtin, was.unit_price_minor, was.tax, was.lot, was.use_by, was.best_before)
        == (added.gtin, added.unit_price_minor, added.tax, added.lot, added.use_by, added.best_before)
    )


def ask_about(
    facts: Facts, about: Literal["price", "quantity"], gtin: str, name: str, value: int, *, confirmed: bool
) -> Step | None:
    """Asks about a price or a quantity far outside what is usual, unless it was confirmed; it is recorded either way.

    None where it is usual; a step that is not refused has the record of what is taken.
    """
    usual = facts.usual
    if usual is None or (usual.is_price(value) if about == "price" else usual.is_quantity(value)):
        return None
    middle = usual.price_minor if about == "price" else usual.quantity_milli
    noticed = e.OutlierNoticed(about=about, gtin=gtin, value=value, usual=middle, taken=confirmed)
    if confirmed:
        return Step(entries=(noticed,))
    if about == "price":
        asked = refuse("price-unusual", name=name, price_minor=value, usual_minor=middle)
    else:
        asked = refuse("quantity-unusual", name=name, quantity=_quantity(value), usual=_quantity(middle))
    return msgspec.structs.replace(asked, entries=(noticed,))


def _quantity(quantity_milli: int) -> str | int:
    """Thousandths as people read them."""
    whole, part = divmod(abs(quantity_milli), 1000)
    sign = "-" if quantity_milli < 0 else ""
    return f"{sign}{whole}.{part:03d}" if part else quantity_milli // 1000


def and_then(noticed: Step | None, step: Step) -> Step:
    """A step with the record of what was unusual about it; the question alone while it is not confirmed."""
    if noticed is None or step.refused:
        return step
    if noticed.refused:
        return noticed
    return msgspec.structs.replace(step, entries=(*step.entries, *noticed.entries))


def change_quantity(basket: Basket, event: v.QuantityKeyed, facts: Facts) -> Step:
    """A line gets another quantity; what was weighed, or came with its price, has none to change."""
    line = find_line(basket, event.line)
    if line is None or line.voided:
        return refuse("line-not-found", line=event.line)
    if line.item.returned is not None:
        return refuse("line-is-return")
    if line.item.linked or line.item.quantity_milli < 0:
        return refuse("line-is-deposit")
    if line.item.serial is not None:
        return refuse("quantity-is-one")
    if line.item.unit == "each" and event.quantity_milli % 1000:
        return refuse("quantity-not-valid")
    if line.item.unit != "each" and not (line.item.unit in MEASURED and line.item.weighed == "keyed"):
        return refuse("quantity-is-weighed")
    noticed = ask_about(
        facts, "quantity", line.item.gtin, line.item.name, event.quantity_milli, confirmed=event.confirmed
    )
    return and_then(noticed, _requantify(basket, line, event.quantity_milli))


def _requantify(basket: Basket, line: Line, quantity_milli: int) -> Step:
    """A line's quantity, and with it that of its deposit."""
    if not 0 < quantity_milli <= QUANTITY_MILLI_MAX:
        return refuse("quantity-not-valid")
    changed = e.QuantityChanged(
        line=line.item.line,
        quantity_milli=quantity_milli,
        amount_minor=extend(line.item.unit_price_minor, quantity_milli),
    )
    pieces_milli = quantity_milli * line.item.contains
    deposits = tuple(
        e.QuantityChanged(
            line=deposit.line,
            quantity_milli=pieces_milli,
            amount_minor=extend(deposit.unit_price_minor, pieces_milli),
        )
        for deposit in _deposits_of(basket, line)
    )
    return Step(entries=(changed, *deposits))


def _deposits_of(basket: Basket, line: Line) -> tuple[e.ItemAdded, ...]:
    return tuple(other.item for other in basket.lines if other.item.linked == line.item.line and not other.voided)


def void(basket: Basket, event: v.VoidKeyed) -> Step:
    """A line is taken back. What a gift card lost has left it already, and cannot be taken back so."""
    standing = (gift for gift in reversed(basket.gifts) if not gift.voided)
    gift = next((gift for gift in standing if event.line in (0, gift.item.line)), None)
    last = max((line.item.line for line in basket.lines if not line.voided), default=0)
    if gift is not None and (event.line or gift.item.line > last):
        if isinstance(gift.item, e.GiftCardReturned):
            return refuse("gift-card-taken-back")
        return Step(
            entries=(e.LineVoided(line=gift.item.line),), notice=message("gift-card-voided", card=gift.item.card)
        )
    if event.line == 0:
        line = next((line for line in reversed(basket.lines) if not line.voided and not line.item.linked), None)
    else:
        line = find_line(basket, event.line)
    if line is None or line.voided:
        return refuse("line-not-found", line=event.line)
    if line.item.linked:
        return refuse("line-is-deposit")
    voided = [line.item, *_deposits_of(basket, line)]
    return Step(
        entries=tuple(e.LineVoided(line=item.line) for item in voided),
        notice=message("item-voided", name=line.item.name),
    )


def find_line(basket: Basket, number: int) -> Line | None:
    """A line by its number; 0 is the last one that is no other's deposit, voided or not."""
    if number == 0:
        if basket.gifts and basket.gifts[-1].item.line == basket.next_line - 1:
            return None  # the last one is no goods
        return next((line for line in reversed(basket.lines) if not line.item.linked), None)
    return next((line for line in basket.lines if line.item.line == number), None)


def identify_customer(facts: Facts) -> Step:
    """A tag joins the sale, by a reference that means nothing by itself."""
    if facts.customer is None:
        return refuse("customer-not-known")
    return Step(entries=(e.CustomerIdentified(customer=facts.customer),), notice=message("customer-identified"))
