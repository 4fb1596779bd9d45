"""What waits for its weight is weighed, typed or given up.

A weight counts when it is stable, above zero, and the scale has been at zero since the last one that was sold. Where the
price must come from an approved scale (in the EU: 2014/31/EU) no weight is typed: `Shop.keyed_weight`.
"""

from typing import assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.goods import ring_up, weighing_reference
from core.state import Shop, Weighing
from core.step import NOTHING, Facts, ItemWanted, Step, refuse
from core.text import message


def take_weight(shop: Shop, sale: Weighing, event: v.WeightSensed, facts: Facts) -> Step:
    """What the scale shows, while an item waits for it."""
    if event.reference != weighing_reference(sale.basket):
        return NOTHING
    match event.condition:
        case v.WeightCondition.OVERLOAD:
            return Step(notice=message("scale-overload"), level="error")
        case v.WeightCondition.UNDERLOAD:
            return Step(notice=message("scale-underload"), level="error")
        case v.WeightCondition.MOVING:
            return NOTHING
        case v.WeightCondition.STABLE:
            if event.weight_g <= 0:
                return NOTHING
            if not event.cleared:
                return Step(notice=message("scale-not-cleared"), level="warning")
            return _sell(shop, sale, event.weight_g, "scale-net" if event.net else "scale", facts)
    assert_never(event.condition)


def take_keyed_weight(shop: Shop, sale: Weighing, event: v.WeightKeyed, facts: Facts) -> Step:
    """A weight that a person typed."""
    if not shop.keyed_weight:
        return refuse("weight-not-keyed")
    return _sell(shop, sale, event.weight_g, "keyed", facts)


def give_up_weighing(sale: Weighing) -> Step:
    """What waited for its weight is not sold."""
    return Step(
        entries=(e.WeighingGivenUp(),),
        effects=(x.ReleaseScale(sold=False),),
        notice=message("weighing-given-up", name=sale.awaited.item.name),
    )


def refuse_while_weighing(sale: Weighing) -> Step:
    """One thing after the other: the goods on the scale must not become those of the next scan."""
    return refuse("weight-awaited", name=sale.awaited.item.name)


def _sell(shop: Shop, sale: Weighing, weight_g: int, weighed: e.Weighed, facts: Facts) -> Step:
    awaited = sale.awaited
    reading = msgspec.structs.replace(awaited.reading, weight_g=weight_g)
    rung = ring_up(
        shop, sale.basket, msgspec.structs.replace(facts, question=ItemWanted(reading=reading), item=awaited.item)
    )
    if rung.refused:
        return rung
    entries = tuple(
        msgspec.structs.replace(entry, weighed=weighed) if isinstance(entry, e.ItemAdded) else entry
        for entry in rung.entries
    )
    return msgspec.structs.replace(
        rung, entries=entries, effects=(*rung.effects, x.ReleaseScale(sold=weighed != "keyed"))
    )
