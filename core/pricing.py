"""What a basket comes to: its discounts, its tax table, its total, and what of it is due in cash.

Until payment begins discounts follow from the shop's promotions as of the moment at which the transaction began; from then
on they are those of the journal, so that a replay needs no rule.
"""

import msgspec

from core import entries as e
from core.discounts import Priced, apply
from core.money import round_to
from core.state import Basket, Line, Shop
from core.tax import tax_totals


class Pricing(msgspec.Struct, frozen=True, kw_only=True):
    """`total_minor` is with tax and without what `discounts` took off. `credits` are what goods of finished sales come to
    that come back, tax included, and never more than was paid for them."""

    discounts: tuple[e.Discount, ...]
    taxes: tuple[e.TaxTotal, ...]
    total_minor: int
    credits: tuple[e.RefundTotal, ...] = ()
    surplus_minor: int = 0
    """What taxes on parts, each rounded, would give back above what was paid."""
    stored_value_minor: int = 0
    """What gift cards come to that are sold, less those taken back: it is no price of goods and in no total."""

    @property
    def payable_minor(self) -> int:
        """What is to be paid in all; below zero what is to be given back."""
        return self.total_minor + self.surplus_minor + self.stored_value_minor

    @property
    def discount_minor(self) -> int:
        """What all discounts took off."""
        return sum(discount.amount_minor for discount in self.discounts)


_last: list[tuple[Shop, Basket, Pricing]] = []


def price(shop: Shop, basket: Basket) -> Pricing:
    """What a basket comes to. The last answer is kept: step, display and screen ask about the same basket in turn."""
    if _last and _last[0][0] is shop and _last[0][1] is basket:
        return _last[0][2]
    priced = _price(shop, basket)
    _last[:] = [(shop, basket, priced)]
    return priced


def _price(shop: Shop, basket: Basket) -> Pricing:
    discounts = discounts_of(shop, basket)
    off: dict[int, int] = {}
    for discount in discounts:
        for share in discount.shares:
            off[share.line] = off.get(share.line, 0) + share.amount_minor
    totals = tax_totals(
        shop.taxes,
        (
            (line.item.tax, line.item.amount_minor - off.get(line.item.line, 0))
            for line in basket.lines
            if not line.voided
        ),
        rounding=shop.tax_rounding,
        exempted=basket.exemption is not None,
    )
    credited = [(begun, _credit_minor(shop, basket, begun)) for begun in basket.originals]
    return Pricing(
        discounts=discounts,
        taxes=totals,
        total_minor=sum(total.gross_minor for total in totals),
        credits=tuple(
            e.RefundTotal(link=begun.link, amount_minor=min(credit_minor, begun.refundable_minor))
            for begun, credit_minor in credited
            if credit_minor
        ),
        surplus_minor=sum(max(0, credit_minor - begun.refundable_minor) for begun, credit_minor in credited),
        stored_value_minor=sum(gift.item.amount_minor for gift in basket.gifts if not gift.voided),
    )


def _credit_minor(shop: Shop, basket: Basket, begun: e.ReturnBegun) -> int:
    """What the goods of one finished sale come to that come back, tax included."""
    back = (
        (line.item.tax, line.item.amount_minor)
        for line in basket.lines
        if not line.voided
        and line.item.returned is not None
        and (line.item.returned.number, line.item.returned.epoch) == (begun.link.number, begun.link.epoch)
    )
    totals = tax_totals(shop.taxes, back, rounding=shop.tax_rounding, exempted=basket.exemption is not None)
    return -sum(total.gross_minor for total in totals)


def returned_minor(shop: Shop, basket: Basket) -> int:
    """What all goods come to that come back, tax included; above zero."""
    back = [
        (line.item.tax, line.item.amount_minor)
        for line in basket.lines
        if not line.voided and line.item.returned is not None
    ]
    totals = tax_totals(shop.taxes, back, rounding=shop.tax_rounding, exempted=basket.exemption is not None)
    return -sum(total.gross_minor for total in totals)


def discounts_of(shop: Shop, basket: Basket) -> tuple[e.Discount, ...]:
    """The basket's discounts: as they were fixed, else as the rules say."""
    if basket.discounts is not None:
        return basket.discounts
    return apply(
        shop.promotions,
        [_priced(line) for line in basket.lines if not line.voided],
        (taken.promotion for taken in basket.coupons),
        basket.began or basket.business_day,
        basket.given,
    )


def _priced(line: Line) -> Priced:
    item = line.item
    return Priced(
        line=item.line,
        gtin=item.gtin,
        item=item.item or item.gtin,
        units=item.quantity_milli // 1000 if item.unit == "each" else 1,
        amount_minor=item.amount_minor,
        tax=item.tax,
        overridden=line.regular_minor is not None,
        discountable=item.discountable,
        given=line.given,
    )


def total_minor(shop: Shop, basket: Basket) -> int:
    """What the basket costs, tax included."""
    return price(shop, basket).total_minor


def taxes(shop: Shop, basket: Basket) -> tuple[e.TaxTotal, ...]:
    """The basket's tax table."""
    return price(shop, basket).taxes


def paid_minor(basket: Basket) -> int:
    """What has been posted towards the basket, less what was given back."""
    return sum(tender.signed_minor for tender in basket.tenders if tender.phase == "posted")


def due_minor(shop: Shop, basket: Basket) -> int:
    """What is still to be paid; negative when change is due."""
    return price(shop, basket).payable_minor - paid_minor(basket)


def cash_due_minor(shop: Shop, basket: Basket, total: int) -> int:
    """What is still to be paid if cash pays the rest of `total`: the part that cash pays is rounded as a whole."""
    cash = sum(tender.signed_minor for tender in basket.tenders if tender.phase == "posted" and tender.kind == "CASH")
    part = total - (paid_minor(basket) - cash)
    return round_to(part, shop.cash_unit_minor, shop.cash_rounding) - cash
