"""What waits for an answer: an item for the customer's age, for its own price, or for how much of it there is."""

import msgspec

from core import entries as e
from core import events as v
from core.goods import QUANTITY_MILLI_MAX, and_then, ask_about, ring_up
from core.state import Asking, Shop
from core.step import Facts, ItemWanted, Step, refuse
from core.text import message

ANSWERS = {"age": "age_keyed", "price": "open_price_keyed", "quantity": "quantity_keyed"}
"""The tag of the event that answers what an item is held about."""


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


def answer_quantity(shop: Shop, sale: Asking, event: v.QuantityKeyed, facts: Facts) -> Step:
    """So much of the item that waited is rung up, in thousandths of its litre or metre."""
    if sale.held.about != "quantity":
        return refuse_while_asking(sale)
    if not 0 < event.quantity_milli <= QUANTITY_MILLI_MAX:
        return refuse("quantity-not-valid")
    if facts.item is None or not isinstance(facts.question, ItemWanted):
        return give_up(sale)
    reading = msgspec.structs.replace(facts.question.reading, quantity_milli=event.quantity_milli)
    noticed = ask_about(
        facts, "quantity", sale.held.gtin, sale.held.name, event.quantity_milli, confirmed=event.confirmed
    )
    measured = msgspec.structs.replace(facts, question=ItemWanted(reading=reading))
    return and_then(noticed, ring_up(shop, sale.basket, measured))


def give_up(sale: Asking) -> Step:
    """What waited is not sold."""
    return Step(entries=(e.HeldItemGivenUp(),), notice=message("held-given-up", name=sale.held.name))


def refuse_while_asking(sale: Asking) -> Step:
    """One thing after the other: the answer comes first."""
    if sale.held.about == "age":
        return refuse("age-asked", name=sale.held.name, age=sale.held.min_age)
    if sale.held.about == "quantity":
        return refuse("quantity-asked", name=sale.held.name, measure=sale.held.unit)
    return refuse("price-asked", name=sale.held.name)
