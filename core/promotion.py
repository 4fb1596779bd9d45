"""Promotions: what a shop gives off, as data. `core.discounts` applies them; this says what they are and when they hold.

A promotion comes from the configuration (``[[promotion]]``) or from headquarters with the catalogue. Of each `group` one
promotion at most takes a given piece of goods, or the basket; promotions of different groups add up, one after another, on
what is left. Which one of a group goes first is the shop's one rule of precedence, `Precedence`.
"""

import re
from collections.abc import Iterable
from datetime import date
from typing import Literal

import msgspec

Kind = Literal["percent", "amount", "buy-get", "mix", "round-down"]
Precedence = Literal["best", "priority"]
"""``best``: the one that takes most off goes first, and again among the rest. ``priority``: the lowest number goes first.

Ties go by priority, then by id. ``best`` is the greatest first, not the best of all ways to divide the goods."""

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


class Promotion(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """One promotion. `reason` is what receipt and screen say.

    ``percent``: `percent_bp` off the goods, in hundredths of a percent. ``amount``: `amount_minor` off each unit of goods,
    or once off the basket. ``buy-get``: of each `buy` and `get` units the `get` cheapest are `percent_bp` off. ``mix``: any
    `buy` units together cost `amount_minor`. ``round-down``: what is to pay is rounded down to a multiple of
    `amount_minor`.

    `items` are GTINs in 14 digits, none for all goods; an item's other codes count as that item. With `basket` it takes
    from the sum of its goods as one, once they come to `spend_minor` after what goods have off already; `repeat` gives an
    amount for each time that sum is reached. `times_max` bounds how often ``buy-get`` and ``mix`` go into a basket.
    With a `coupon` it holds once that code is presented; `once` is a coupon that this terminal takes a single time.
    `valid_from`, `valid_to` are local times as prices have them (to the minute, from and not including to), `days` days of
    the week, `hour_from` and `hour_to` times of day (``17:00``); `price_list` is the till's.
    """

    id: str
    reason: str
    kind: Kind
    basket: bool = False
    items: tuple[str, ...] = ()
    percent_bp: int = 0
    amount_minor: int = 0
    buy: int = 0
    get: int = 0
    spend_minor: int = 0
    repeat: bool = False
    times_max: int = 0
    coupon: str = ""
    once: bool = False
    valid_from: str = ""
    valid_to: str = ""
    days: tuple[str, ...] = ()
    hour_from: str = ""
    hour_to: str = ""
    price_list: str = ""
    group: str = ""
    priority: int = 100


def faults(promotion: Promotion) -> list[str]:
    """All that is wrong with a promotion; each names the key."""
    found: list[str] = []
    kind = promotion.kind
    if not promotion.id or len(promotion.id) > 64:
        found.append("id must have 1 to 64 signs")
    if not promotion.reason or len(promotion.reason) > 60:
        found.append("reason must have 1 to 60 signs: the receipt says it")
    if kind in ("percent", "buy-get") and not 0 < promotion.percent_bp <= 10_000:
        found.append("percent must be above 0, and 100 at most")
    if kind in ("amount", "mix", "round-down") and promotion.amount_minor <= 0:
        found.append("amount must be above 0")
    if kind in ("buy-get", "mix") and promotion.buy < 1:
        found.append("buy must be 1 or more")
    if kind == "buy-get" and promotion.get < 1:
        found.append("get must be 1 or more")
    if kind in ("buy-get", "mix") and promotion.basket:
        found.append(f"basket is not for {kind}")
    if (promotion.spend_minor or promotion.repeat) and not promotion.basket:
        found.append("spend and repeat need basket = true")
    if promotion.repeat and (kind != "amount" or not promotion.spend_minor):
        found.append('repeat needs kind = "amount" and spend')
    if min(promotion.spend_minor, promotion.times_max, promotion.amount_minor, promotion.get, promotion.buy) < 0:
        found.append("nothing may be below 0")
    if strange := [day for day in promotion.days if day not in DAYS]:
        found.append(f"days {', '.join(strange)} are none of {', '.join(DAYS)}")
    found += [
        f"items has {item!r}, which is no GTIN"
        for item in promotion.items
        if not (item.isascii() and item.isdigit() and len(item) == 14)
    ]
    if promotion.once and not promotion.coupon:
        found.append("once needs a coupon")
    found += [
        f"{key} {hour!r} is no time of day, such as 17:00"
        for key, hour in (("hour_from", promotion.hour_from), ("hour_to", promotion.hour_to))
        if hour and not _is_hour(hour)
    ]
    if promotion.valid_from and promotion.valid_to and promotion.valid_from >= promotion.valid_to:
        found.append("valid_to is not after valid_from")
    return found


def holds(promotion: Promotion, at: str, price_list: str) -> bool:
    """Whether a promotion holds at a local time (ISO 8601), coupons apart."""
    if promotion.price_list and promotion.price_list != price_list:
        return False
    moment = at[:16]
    if promotion.valid_from > moment or (promotion.valid_to and promotion.valid_to <= moment):
        return False
    if promotion.days and DAYS[date.fromisoformat(moment[:10]).weekday()] not in promotion.days:
        return False
    hour = moment[11:] or "00:00"
    start, end = promotion.hour_from or "00:00", promotion.hour_to or "24:00"
    # Hours past midnight belong to the calendar day on which they are.
    return start <= hour < end if start < end else hour >= start or hour < end


class Active(msgspec.Struct, frozen=True, kw_only=True):
    """The promotions that hold for one basket, by what they take from; each in its order of priority."""

    goods: tuple[Promotion, ...]
    baskets: tuple[Promotion, ...]
    rounding: tuple[Promotion, ...]
    by_item: dict[str, tuple[int, ...]]
    """Places in `goods` of those that name an item, by the item."""
    everywhere: tuple[int, ...]
    """Places in `goods` of those that hold for all goods."""


_NONE = Active(goods=(), baskets=(), rounding=(), by_item={}, everywhere=())


class Rulebook:
    """A shop's promotions with its rule of precedence, made ready for quick questions. Equal where these are."""

    def __init__(
        self, promotions: Iterable[Promotion] = (), *, precedence: Precedence = "best", price_list: str = ""
    ) -> None:
        """Two promotions of one id: the later is in place of the earlier."""
        self.promotions = tuple({promotion.id: promotion for promotion in promotions}.values())
        self.precedence = precedence
        self.price_list = price_list
        self._coupons = {promotion.coupon: promotion for promotion in self.promotions if promotion.coupon}
        self._asked: tuple[str, frozenset[str]] | None = None
        self._active = _NONE

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rulebook) and self._said() == other._said()

    def __hash__(self) -> int:
        return hash(self._said())

    def coupon(self, code: str) -> Promotion | None:
        """The promotion that a coupon is for: its own code, or the 13 digits at the front of a GCN with a serial."""
        return self._coupons.get(code) or (self._coupons.get(code[:13]) if code.isdigit() else None)

    def active(self, at: str, promotions: Iterable[str]) -> Active:
        """What holds at a local time (ISO 8601) with the coupons of these promotions presented.

        The last answer is kept: a basket asks the same with each of its goods.
        """
        if not self.promotions:
            return _NONE
        asked = at, frozenset(promotions)
        if asked != self._asked:
            self._active, self._asked = self._sorted(*asked), asked
        return self._active

    def _sorted(self, at: str, presented: frozenset[str]) -> Active:
        held = sorted(
            (
                promotion
                for promotion in self.promotions
                if holds(promotion, at, self.price_list) and (not promotion.coupon or promotion.id in presented)
            ),
            key=lambda promotion: (promotion.priority, promotion.id),
        )
        goods = tuple(one for one in held if not one.basket and one.kind != "round-down")
        by_item: dict[str, tuple[int, ...]] = {}
        for place, promotion in enumerate(goods):
            for item in dict.fromkeys(promotion.items):
                by_item[item] = (*by_item.get(item, ()), place)
        return Active(
            goods=goods,
            baskets=tuple(one for one in held if one.basket and one.kind != "round-down"),
            rounding=tuple(one for one in held if one.kind == "round-down"),
            by_item=by_item,
            everywhere=tuple(place for place, promotion in enumerate(goods) if not promotion.items),
        )

    def _said(self) -> tuple[object, ...]:
        return self.promotions, self.precedence, self.price_list


def _is_hour(text: str) -> bool:
    return text == "24:00" or re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d", text, re.ASCII) is not None
