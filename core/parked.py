"""Parked baskets: one is put aside for another customer, and taken up again by whoever finds it (POSLog Suspended).

They are part of the journal's fold, so they outlive a restart and the operator who parked them. Time goes by meanwhile:
what is taken up again is looked at as if it were rung up now. Its prices and promotions are those of that moment, and what
has been recalled since, or is past its date, is struck out and told.
"""

from core import entries as e
from core import events as v
from core.card import wipe
from core.catalogue import Item
from core.closing import day_of_sale
from core.money import extend
from core.product_recall import gtins_in, gtins_of, hit
from core.state import Basket, Line, Parked, Shop, Till
from core.step import Facts, ParkedWanted, Step, refuse
from core.text import message

PARKED_MAX = 20
LABEL_LENGTH_MAX = 30


def suspend(till: Till, basket: Basket, event: v.SuspendKeyed) -> Step:
    """The basket is put aside under a name, or under its number where none is given."""
    if any(not gift.voided for gift in basket.gifts):
        return refuse("gift-card-not-parked")  # the payment device does not hold it for ever
    if not any(not line.voided for line in basket.lines):
        return refuse("nothing-to-park")
    if basket.originals or any(line.item.returned is not None for line in basket.lines):
        return refuse("return-not-parked")  # what came back meanwhile would not be known to it
    if len(till.parked) >= PARKED_MAX:
        return refuse("too-many-parked", baskets=PARKED_MAX)
    label = _words(event.label)
    if label and any(parked.label.casefold() == label.casefold() for parked in till.parked):
        return refuse("parked-name-taken", name=label)
    suspended = e.TransactionSuspended(number=basket.number, label=label)
    return Step(entries=(suspended,), notice=message("sale-parked", name=label or str(basket.number)))


def wanted(till: Till, event: v.ResumeKeyed) -> ParkedWanted | None:
    """What is to be looked up anew of the basket that an event takes up again."""
    found = _find(till, event)
    if found is None:
        return None
    gtins = dict.fromkeys(line.item.gtin for line in found.basket.lines if not line.voided)
    return ParkedWanted(gtins=tuple(gtins), recalled_by=gtins_in(found.basket))


def resume(shop: Shop, till: Till, event: v.ResumeKeyed, facts: Facts) -> Step:
    """A parked basket is the open sale again; what has changed of its goods is changed and told."""
    if not till.parked:
        return refuse("nothing-parked")
    found = _find(till, event)
    if found is None:
        return refuse("parked-which" if not event.number and not event.label else "parked-not-found")
    resumed = e.TransactionResumed(
        number=found.basket.number, business_day=day_of_sale(shop, till, facts), began=facts.local_time
    )
    items = {item.gtin: item for item in facts.items}
    struck: list[str] = []
    entries: list[e.AnyEntry] = [resumed]
    repriced = 0
    for line in found.basket.lines:
        if line.voided:
            continue
        if (reason := _unfit(line, facts)) is not None:
            struck.append(line.item.name)
            entries += [
                e.ItemRefused(reason=reason, gtin=line.item.gtin, lot=line.item.lot),
                *(
                    e.LineVoided(line=other.item.line)
                    for other in found.basket.lines
                    if not other.voided and line.item.line in (other.item.line, other.item.linked)
                ),
            ]
        elif (unit_price_minor := _price_now(shop, line, items.get(line.item.gtin))) is not None:
            repriced += 1
            amount_minor = extend(unit_price_minor, line.item.quantity_milli)
            entries.append(
                e.LineRepriced(line=line.item.line, unit_price_minor=unit_price_minor, amount_minor=amount_minor)
            )
    name = found.label or str(found.basket.number)
    if struck:
        told = message("sale-resumed-struck", name=name, item=struck[0], count=len(struck))
        return Step(entries=tuple(entries), notice=told, level="warning")
    if repriced:
        return Step(entries=tuple(entries), notice=message("sale-resumed-prices", name=name), level="warning")
    return Step(entries=tuple(entries), notice=message("sale-resumed", name=name))


def _find(till: Till, event: v.ResumeKeyed) -> Parked | None:
    """By number, else by name; with neither the only one."""
    label = _words(event.label).casefold()
    if event.number:
        return next((parked for parked in till.parked if parked.basket.number == event.number), None)
    if label:
        return next((parked for parked in till.parked if parked.label.casefold() == label), None)
    return till.parked[0] if len(till.parked) == 1 else None


def _unfit(line: Line, facts: Facts) -> str | None:
    """Why nobody may sell a line's goods any more."""
    item = line.item
    if item.use_by is not None and item.use_by < facts.business_day:
        return "item-expired"
    return "item-recalled" if hit(facts.recalls, gtins_of(item.gtin, item.item), item.lot) is not None else None


def _price_now(shop: Shop, line: Line, item: Item | None) -> int | None:
    """What one unit costs now, where that is another price; not where a person or the label said the price."""
    sold = line.item
    if item is None or item.open_price or line.regular_minor is not None:
        return None
    by_label = any(layout.value == "price" and sold.gtin[1:].startswith(layout.prefix) for layout in shop.layouts)
    if by_label or extend(sold.unit_price_minor, sold.quantity_milli) != sold.amount_minor:
        return None
    return item.unit_price_minor if item.unit_price_minor != sold.unit_price_minor else None


def _words(text: str) -> str:
    return wipe(" ".join(text.split()))[:LABEL_LENGTH_MAX]
