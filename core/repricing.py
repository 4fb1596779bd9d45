"""What persons change about prices: coupons, discounts given, another price, an exemption from tax."""

from typing import assert_never

from core import entries as e
from core import events as v
from core.card import wipe
from core.fold import apply
from core.goods import and_then, ask_about, find_line
from core.money import extend
from core.pricing import discounts_of
from core.promotion import holds
from core.state import Basket, Shop, Till, basket_of
from core.step import Facts, Step, refuse
from core.text import message

REASON_LENGTH_MAX = 60
COUPON_LENGTH_MAX = 70
"""AI 255 has 13 digits and a serial of up to 12; a voucher's own code may be longer."""
COUPONS_MAX = 50
GCN_LENGTH = 13

RepricingEvent = v.CouponPresented | v.LineDiscountKeyed | v.TotalDiscountKeyed | v.PriceKeyed | v.TaxExemptionKeyed


def reprice(shop: Shop, till: Till, basket: Basket, event: RepricingEvent, facts: Facts) -> Step:
    """What follows for a basket on which nothing has been paid."""
    match event:
        case v.CouponPresented():
            return _take_coupon(shop, till, basket, event)
        case v.LineDiscountKeyed():
            return _discount_line(basket, event)
        case v.TotalDiscountKeyed():
            return _discount(event, line=0, given=basket.given)
        case v.PriceKeyed():
            return _override(shop, basket, event, facts)
        case v.TaxExemptionKeyed():
            return _exempt(basket, event)
    assert_never(event)


def _take_coupon(shop: Shop, till: Till, basket: Basket, event: v.CouponPresented) -> Step:
    code = event.code.strip()
    promotion = shop.promotions.coupon(code) if len(code) <= COUPON_LENGTH_MAX else None
    if promotion is None:
        return refuse("coupon-not-known")
    if not holds(promotion, basket.began or basket.business_day, shop.promotions.price_list):
        return refuse("coupon-not-valid", reason=promotion.reason)
    # A GCN with a serial is one piece of paper; one without, and the shop's own codes, stand on many.
    once = promotion.once or (code.isdigit() and len(code) > GCN_LENGTH and promotion.coupon != code)
    taken = e.CouponTaken(coupon=code, promotion=promotion.id, once=once)
    if once and code in till.coupons:
        return refuse("coupon-used", reason=promotion.reason)
    if any(other.promotion == promotion.id for other in basket.coupons):
        return refuse("coupon-twice", reason=promotion.reason)
    if len(basket.coupons) >= COUPONS_MAX:
        return refuse("coupon-not-known")
    after = basket_of(apply(till, taken).sale)
    assert after is not None
    pays = any(discount.promotion == promotion.id for discount in discounts_of(shop, after))
    notice = message("coupon-taken" if pays else "coupon-waits", reason=promotion.reason)
    return Step(entries=(taken,), notice=notice, level="info" if pays else "warning")


def _discount_line(basket: Basket, event: v.LineDiscountKeyed) -> Step:
    line = find_line(basket, event.line)
    if line is None or line.voided:
        return refuse("line-not-found", line=event.line)
    if not line.item.discountable or line.item.amount_minor <= 0:
        return refuse("not-discountable", name=line.item.name)
    return _discount(event, line=line.item.line, given=line.given)


def _discount(event: v.LineDiscountKeyed | v.TotalDiscountKeyed, *, line: int, given: e.DiscountGiven | None) -> Step:
    if event.percent_bp == 0 == event.amount_minor:
        if given is None:
            return refuse("no-discount-given")
        return Step(entries=(e.DiscountWithdrawn(line=line),), notice=message("discount-withdrawn"))
    if not 0 <= event.percent_bp <= 10_000 or event.amount_minor < 0 or (event.percent_bp and event.amount_minor):
        return refuse("discount-not-valid")
    reason = _words(event.reason)
    if not reason:
        return refuse("reason-needed")
    entry = e.DiscountGiven(
        line=line,
        reason=reason,
        percent_bp=event.percent_bp,
        amount_minor=event.amount_minor,
    )
    return Step(entries=(entry,), notice=message("discount-given", reason=reason))


def _override(shop: Shop, basket: Basket, event: v.PriceKeyed, facts: Facts) -> Step:
    line = find_line(basket, event.line)
    if line is None or line.voided:
        return refuse("line-not-found", line=event.line)
    if line.item.returned is not None:
        return refuse("line-is-return")
    if line.item.linked or line.item.quantity_milli < 0:
        return refuse("line-is-deposit")
    if event.unit_price_minor < 0:
        return refuse("price-not-valid")
    if event.unit_price_minor > shop.price_minor_max:
        return refuse("price-over-limit", amount_minor=shop.price_minor_max)
    reason = _words(event.reason)
    if not reason:
        return refuse("reason-needed")
    item = line.item
    entry = e.PriceOverridden(
        line=item.line,
        regular_unit_price_minor=item.unit_price_minor if line.regular_minor is None else line.regular_minor,
        unit_price_minor=event.unit_price_minor,
        amount_minor=extend(event.unit_price_minor, item.quantity_milli),
        reason=reason,
    )
    noticed = ask_about(facts, "price", item.gtin, item.name, event.unit_price_minor, confirmed=event.confirmed)
    told = message("price-overridden", name=item.name, price_minor=event.unit_price_minor)
    return and_then(noticed, Step(entries=(entry,), notice=told))


def _exempt(basket: Basket, event: v.TaxExemptionKeyed) -> Step:
    reason = _words(event.reason)
    if not reason:
        if basket.exemption is None:
            return refuse("reason-needed")
        return Step(entries=(e.TaxExempted(),), notice=message("tax-exemption-withdrawn"))
    entry = e.TaxExempted(
        reason=reason,
        certificate=_words(event.certificate),
    )
    return Step(entries=(entry,), notice=message("tax-exempted", reason=reason))


def _words(text: str) -> str:
    """What a person typed, as it may be kept: one line, and no card's number in it."""
    return wipe(" ".join(text.split()))[:REASON_LENGTH_MAX]
