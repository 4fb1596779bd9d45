"""What waits for an answer: an item for the customer's age, or for its own price."""

import msgspec

from core import entries as e
from core import events as v
from core.goods import and_then, ask_about, ring_up
from core.state import Asking, Shop
from core.step import Facts, ItemWanted, Step, refuse
from core.text import message


def answer_age(shop: Shop, sale: Asking, event: v.AgeKeyed, facts: Facts) -> Step:
    """Yes lets the item in, and what else asks for that age in this basket; no leaves all of it out."""
    held = sale.held
    if held.about != "age":
        return refuse_while_asking(sale)
    checked = e.AgeChecked(min_age=held.min_age, passed=event.of_age)
    if not event.of_age:
        return Step(
            entries=(checked, e.ItemRefused(reason="age-not-reached", gtin=held.gtin)),
            notice=message("age-not-reached", name=held.name, age=held.min_age),
            level="error",
        )
    basket = msgspec.structs.replace(sale.basket, ages=(*sale.basket.ages, checked))
    rung = ring_up(shop, basket, facts)
    # The check is kept, whatever else is wrong with the item.
    return msgspec.structs.replace(rung, entries=(checked, *rung.entries), refused=False)


def answer_price(shop: Shop, sale: Asking, event: v.OpenPriceKeyed, facts: Facts) -> Step:
    """The item that waited is rung up at the price that was typed."""
    if sale.held.about != "price":
        return refuse_while_asking(sale)
    if event.unit_price_minor <= 0:
        return refuse("price-not-valid")
    if event.unit_price_minor > shop.price_minor_max:
        return refuse("price-over-limit", amount_minor=shop.price_minor_max)
    if facts.item is None or not isinstance(facts.question, ItemWanted):
        return give_up(sale)
    priced = msgspec.structs.replace(facts.item, unit_price_minor=event.unit_price_minor, open_price=False)
    noticed = ask_about(
        facts, "price", sale.held.gtin, sale.held.name, event.unit_price_minor, confirmed=event.confirmed
    )
    return and_then(noticed, ring_up(shop, sale.basket, msgspec.structs.replace(facts, item=priced)))


def give_up(sale: Asking) -> Step:
    """What waited is not sold."""
    return Step(entries=(e.HeldItemGivenUp(),), notice=message("held-given-up", name=sale.held.name))


def refuse_while_asking(sale: Asking) -> Step:
    """One thing after the other: the answer comes first."""
    if sale.held.about == "age":
        return refuse("age-asked", name=sale.held.name, age=sale.held.min_age)
    return refuse("price-asked", name=sale.held.name)
