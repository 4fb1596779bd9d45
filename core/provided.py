"""Items from the counter: what the catalogue does not have is given a name and a price, and sold by them until it has it."""

import msgspec

from core import entries as e
from core import events as v
from core.card import holds_card
from core.catalogue import Item
from core.goods import ring_up
from core.scan import shown
from core.state import Basket, Shop, Till
from core.step import Facts, ItemWanted, Step, refuse
from core.text import Message, message

NAME_LENGTH_MAX = 100


def with_provided(till: Till, facts: Facts) -> Facts:
    """The facts with the item from the counter, where the catalogue has none for the code."""
    if facts.item is not None or not isinstance(facts.question, ItemWanted) or not till.provided:
        return facts
    gtin = facts.question.reading.gtin
    for provided in till.provided:
        if provided.gtin == gtin:
            return msgspec.structs.replace(facts, item=_item(provided))
    return facts


def provide(shop: Shop, basket: Basket, event: v.ItemKeyed, facts: Facts) -> Step:
    """Keeps the item and rings it up."""
    question = facts.question
    if isinstance(question, Message):
        return refuse(question.id, **question.params)
    if not isinstance(question, ItemWanted):
        return refuse("code-of-no-item")
    if facts.item is not None:
        return refuse("item-known", name=facts.item.name)
    gtin, name = question.reading.gtin, " ".join(event.name.split())
    if shown(gtin.lstrip("0")) != gtin.lstrip("0"):
        return refuse("code-of-no-item")  # it may be a card's number, and is not kept
    if not name or len(name) > NAME_LENGTH_MAX or not name.isprintable() or holds_card(name):
        return refuse("name-not-valid")
    if event.unit_price_minor <= 0:
        return refuse("price-not-valid")
    if event.unit_price_minor > shop.price_minor_max:
        return refuse("price-over-limit", amount_minor=shop.price_minor_max)
    if event.tax not in {rate.code for rate in shop.taxes}:
        return refuse("tax-not-known", codes=", ".join(rate.code for rate in shop.taxes))
    provided = e.ItemProvided(
        gtin=gtin,
        name=name,
        unit_price_minor=event.unit_price_minor,
        tax=event.tax,
    )
    rung = ring_up(shop, basket, msgspec.structs.replace(facts, item=_item(provided)))
    if rung.refused:
        return rung
    notice = rung.notice or message("item-provided", name=name)
    return msgspec.structs.replace(rung, entries=(provided, *rung.entries), notice=notice)


def _item(provided: e.ItemProvided) -> Item:
    return Item(
        gtin=provided.gtin,
        name=provided.name,
        unit="each",
        unit_price_minor=provided.unit_price_minor,
        tax=provided.tax,
    )
