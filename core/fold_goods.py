"""What entries of goods make of the sale: lines, weights, questions, prices."""

from typing import assert_never

import msgspec

from core import entries as e
from core.state import Asking, Basket, Line, Loading, Ringing, Sale, Tendering, Weighing


def fold_weighing(sale: Sale, entry: e.WeightAwaited | e.WeighingGivenUp) -> Sale:
    """An item that waits for its weight."""
    match entry:
        case e.WeightAwaited():
            assert isinstance(sale, Ringing | Asking), "weighing outside of ringing up"
            return Weighing(basket=sale.basket, awaited=entry)
        case e.WeighingGivenUp():
            assert isinstance(sale, Weighing), "nothing waited for its weight"
            return Ringing(basket=sale.basket)
    assert_never(entry)


def fold_asking(sale: Sale, entry: e.ItemHeld | e.AgeChecked | e.HeldItemGivenUp) -> Sale:
    """An item that something is asked about before it is taken."""
    match entry:
        case e.ItemHeld():
            assert isinstance(sale, Ringing), "an item held outside of ringing up"
            return Asking(basket=sale.basket, held=entry)
        case e.AgeChecked():
            assert isinstance(sale, Asking), "an age that was not asked for"
            return Ringing(basket=msgspec.structs.replace(sale.basket, ages=(*sale.basket.ages, entry)))
        case e.HeldItemGivenUp():
            assert isinstance(sale, Asking), "no item waited"
            return Ringing(basket=sale.basket)
    assert_never(entry)


_GoodsEntry = (
    e.ItemAdded
    | e.QuantityChanged
    | e.LineVoided
    | e.CustomerIdentified
    | e.PriceOverridden
    | e.DiscountGiven
    | e.DiscountWithdrawn
    | e.CouponTaken
    | e.TaxExempted
    | e.DiscountsApplied
    | e.LineRepriced
    | e.ReturnBegun
)


def fold_goods_entry(sale: Sale, entry: _GoodsEntry) -> Sale:
    """What waited for its weight or its price has it with the next item, which is itself."""
    assert isinstance(sale, Ringing | Weighing | Asking | Loading | Tendering), "goods changed outside of ringing up"
    basket = _goods(sale.basket, entry)
    if isinstance(sale, Weighing | Asking) and isinstance(entry, e.ItemAdded | e.QuantityChanged):
        return Ringing(basket=basket)
    return msgspec.structs.replace(sale, basket=basket)


def _goods(basket: Basket, entry: _GoodsEntry) -> Basket:
    replace = msgspec.structs.replace
    match entry:
        case e.ItemAdded():
            return replace(basket, lines=(*basket.lines, Line(item=entry)), discounts=None)
        case e.QuantityChanged():
            return _line(
                basket, entry.line, voided=False, quantity_milli=entry.quantity_milli, amount_minor=entry.amount_minor
            )
        case e.LineVoided():
            return _line(basket, entry.line, voided=True)
        case e.ReturnBegun():
            return replace(basket, originals=(*basket.originals, entry))
        case e.LineRepriced():
            return _line(
                basket,
                entry.line,
                voided=False,
                unit_price_minor=entry.unit_price_minor,
                amount_minor=entry.amount_minor,
            )
        case e.PriceOverridden():
            return _overridden(basket, entry)
        case e.DiscountGiven(line=0):
            return replace(basket, given=entry, discounts=None)
        case e.DiscountWithdrawn(line=0):
            return replace(basket, given=None, discounts=None)
        case e.DiscountGiven() | e.DiscountWithdrawn():
            given = entry if isinstance(entry, e.DiscountGiven) else None
            lines = tuple(replace(line, given=given) if line.item.line == entry.line else line for line in basket.lines)
            return replace(basket, lines=lines, discounts=None)
        case e.CouponTaken():
            return replace(basket, coupons=(*basket.coupons, entry), discounts=None)
        case e.TaxExempted():
            return replace(basket, exemption=entry if entry.reason else None)
        case e.DiscountsApplied():
            return replace(basket, discounts=entry.discounts)
        case e.CustomerIdentified():
            return replace(basket, customer=entry.customer)
    assert_never(entry)


def _overridden(basket: Basket, entry: e.PriceOverridden) -> Basket:
    lines = tuple(
        msgspec.structs.replace(
            line,
            item=msgspec.structs.replace(
                line.item, unit_price_minor=entry.unit_price_minor, amount_minor=entry.amount_minor
            ),
            regular_minor=entry.regular_unit_price_minor,
        )
        if line.item.line == entry.line
        else line
        for line in basket.lines
    )
    return msgspec.structs.replace(basket, lines=lines, discounts=None)


def _line(basket: Basket, number: int, *, voided: bool, **changes: int) -> Basket:
    lines = tuple(
        msgspec.structs.replace(line, item=msgspec.structs.replace(line.item, **changes), voided=voided)
        if line.item.line == number
        else line
        for line in basket.lines
    )
    gifts = tuple(
        msgspec.structs.replace(gift, voided=voided) if gift.item.line == number else gift for gift in basket.gifts
    )
    return msgspec.structs.replace(basket, lines=lines, gifts=gifts, discounts=None)
