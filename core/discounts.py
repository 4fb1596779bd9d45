"""Which discounts a basket gets: promotions on goods, then what persons gave off lines, then what is off the whole.

All is reckoned on goods, not on lines: lines of the same item at the same price are one, so that the order of scans changes
nothing. Each discount is rounded once, on all that it takes from, half up; it is shared out over its goods by largest
remainder, and over a good's lines likewise, never beyond what a line still costs. So shares add up to the discount exactly,
and the tax of each rate is reckoned on what its goods really cost.
"""

import heapq
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from core.entries import Discount, DiscountGiven, DiscountShare
from core.money import divide_half_up, share
from core.promotion import Active, Promotion, Rulebook

_WHOLE_BP = 10_000


class Priced(msgspec.Struct, frozen=True, kw_only=True):
    """A line as discounts see it: `units` pieces that come whole to `amount_minor`; what is weighed is one piece.

    `item` is the base item's GTIN, `gtin` the code's own. An `overridden` price has no promotion on it; what is not
    `discountable` has nothing off at all. `given` is what a person gave.
    """

    line: int
    gtin: str
    item: str
    units: int
    amount_minor: int
    tax: str = ""
    overridden: bool = False
    discountable: bool = True
    given: DiscountGiven | None = None


class _Goods:
    """Lines of the same goods while discounts are worked out. `left_minor` is what they still cost.

    `free` units are taken by no promotion of the group that is at work; all units came to `base_minor` before that group.
    """

    __slots__ = ("base_minor", "first", "free", "key", "left_minor", "lines", "units")

    def __init__(self, key: tuple[Any, ...], first: Priced) -> None:
        self.key = key
        self.first = first
        self.lines: list[Priced] = []
        self.units = 0
        self.free = 0
        self.left_minor = 0
        self.base_minor = 0


_Taken = tuple[_Goods, int, int]
"""Goods, how many of their units a promotion takes, and what it takes off them."""


class _Work:
    """The discounts so far."""

    def __init__(self, goods: Sequence[_Goods]) -> None:
        self.goods = goods
        self.given: list[tuple[tuple[str, str, bool], dict[int, int]]] = []
        self._left = {line.line: line.amount_minor for each in goods for line in each.lines}

    def take(self, promotion: str, reason: str, parts: Iterable[tuple[_Goods, int]], *, whole: bool = False) -> None:
        """One discount, shared out over the lines of its goods."""
        shares: dict[int, int] = {}
        left = self._left
        for goods, amount_minor in parts:
            if amount_minor == 0:
                continue
            goods.left_minor -= amount_minor
            lines = goods.lines
            if len(lines) == 1:
                number = lines[0].line
                shares[number] = amount_minor
                left[number] -= amount_minor
                continue
            for line, part in zip(lines, share(amount_minor, [left[line.line] for line in lines]), strict=True):
                if part:
                    shares[line.line] = part
                    left[line.line] -= part
        if shares:
            self.given.append(((promotion, reason, whole), shares))

    def discounts(self) -> tuple[Discount, ...]:
        """One for each promotion and reason, in the order in which they were taken."""
        merged: dict[tuple[str, str, bool], dict[int, int]] = {}
        for said, shares in self.given:
            sums = merged.setdefault(said, shares)
            if sums is not shares:
                for line, amount in shares.items():
                    sums[line] = sums.get(line, 0) + amount
        return tuple(
            Discount(
                promotion=promotion,
                reason=reason,
                whole=whole,
                amount_minor=sum(sums.values()),
                shares=tuple(DiscountShare(line=line, amount_minor=amount) for line, amount in sorted(sums.items())),
            )
            for (promotion, reason, whole), sums in merged.items()
        )


def apply(
    book: Rulebook,
    lines: Sequence[Priced],
    coupons: Iterable[str],
    at: str,
    given: DiscountGiven | None = None,
) -> tuple[Discount, ...]:
    """All discounts of a basket at a local time (ISO 8601). `coupons` are the promotions whose coupons were presented.

    `given` is what a person gave on the whole. The sum of a line's shares is never more than its amount.
    """
    active = book.active(at, coupons)
    if not (active.goods or active.baskets or active.rounding or given or any(line.given for line in lines)):
        return ()
    goods = _goods(lines)
    work = _Work(goods)
    for places in _grouped(active.goods).values():
        _off_goods(work, active, places, book)
    for each in goods:
        if each.first.given is not None:
            work.take("", each.first.given.reason, [(each, _of_person(each.first.given, each.left_minor))])
    for rules in _grouped(active.baskets).values():
        _off_basket(work, [active.baskets[place] for place in rules], book)
    if given is not None:
        _off_all(work, "", given.reason, goods, lambda base_minor: _of_person(given, base_minor))
    if active.rounding:
        _round_down(work, active.rounding[0], lines)
    return work.discounts()


def _goods(lines: Sequence[Priced]) -> list[_Goods]:
    """The goods that anything may be taken off, the dearest unit first and then by what they are: never by scan."""
    by_key: dict[tuple[Any, ...], _Goods] = {}
    for line in lines:
        amount_minor, units, given = line.amount_minor, line.units, line.given
        if amount_minor <= 0 or units <= 0 or not line.discountable:
            continue
        own = () if given is None else (given.percent_bp, given.amount_minor, given.reason, amount_minor)
        key = (-(amount_minor // units), line.gtin, line.tax, line.overridden, own)
        goods = by_key.get(key)
        if goods is None:
            goods = by_key[key] = _Goods(key, line)
        elif given is not None:
            # An amount that a person gave is for this line alone.
            goods = by_key[(*key, line.line)] = _Goods(key, line)
        goods.lines.append(line)
        goods.units += units
        goods.left_minor += amount_minor
    return sorted(by_key.values(), key=lambda goods: goods.key)


def _grouped(rules: Sequence[Promotion]) -> dict[str, list[int]]:
    """Places by group; a group goes where its first promotion does."""
    groups: dict[str, list[int]] = {}
    for place, rule in enumerate(rules):
        groups.setdefault(rule.group, []).append(place)
    return groups


# --- off goods --------------------------------------------------------------------------------------------------------


def _off_goods(work: _Work, active: Active, places: Sequence[int], book: Rulebook) -> None:
    """The promotions of one group, each taking units that none of the group has taken yet."""
    matched: dict[int, list[_Goods]] = {}
    by_item, everywhere, ours = active.by_item, active.everywhere, frozenset(places)
    for goods in work.goods:
        if goods.first.overridden:
            continue
        goods.free, goods.base_minor = goods.units, goods.left_minor
        first = goods.first
        named = by_item.get(first.gtin, ())
        if first.item != first.gtin:
            named = tuple(dict.fromkeys((*named, *by_item.get(first.item, ()))))
        for place in (*named, *everywhere):
            if place in ours:
                matched.setdefault(place, []).append(goods)
    if book.precedence == "priority":
        for place in places:
            if place in matched:
                _claim(work, active.goods[place], _offer(active.goods[place], matched[place]))
        return
    _greatest_first(work, active.goods, matched)


def _greatest_first(work: _Work, rules: Sequence[Promotion], matched: dict[int, list[_Goods]]) -> None:
    """The greatest discount goes first. An offer is reckoned anew only when it comes to the front with units gone."""
    claims = 0
    heap: list[tuple[int, int, int, list[_Taken]]] = []
    for place, goods in matched.items():
        if offer := _offer(rules[place], goods):
            heap.append((-_worth(offer), place, claims, offer))
    heapq.heapify(heap)
    while heap:
        _, place, known, offer = heapq.heappop(heap)
        if known != claims and any(goods.free < units for goods, units, _ in offer):
            offer = _offer(rules[place], matched[place])
            if offer:
                heapq.heappush(heap, (-_worth(offer), place, claims, offer))
            continue
        _claim(work, rules[place], offer)
        claims += 1


def _worth(offer: Sequence[_Taken]) -> int:
    return offer[0][2] if len(offer) == 1 else sum(amount_minor for _, _, amount_minor in offer)


def _claim(work: _Work, rule: Promotion, offer: Sequence[_Taken]) -> None:
    for goods, units, _ in offer:
        goods.free -= units
    work.take(rule.id, rule.reason, [(goods, amount_minor) for goods, _, amount_minor in offer])


def _offer(rule: Promotion, matched: Sequence[_Goods]) -> list[_Taken]:
    """What a promotion would take, and off what. Never more than the goods still cost."""
    if len(matched) == 1 and rule.kind in ("percent", "amount"):
        # The usual one, of one item: quick, for a shop may have hundreds of these in a basket.
        only = matched[0]
        base_minor = only.base_minor if only.free == only.units else _cost(only, only.free)
        if rule.kind == "percent":
            off_minor = divide_half_up(base_minor * rule.percent_bp, _WHOLE_BP)
        else:
            off_minor = min(rule.amount_minor * only.free, base_minor)
        return [(only, only.free, off_minor)] if off_minor else []
    goods = [each for each in matched if each.free]
    if rule.kind == "buy-get":
        return _buy_get(rule, goods)
    if rule.kind == "mix":
        return _mix(rule, goods)
    bases = [_cost(each, each.free) for each in goods]
    if rule.kind == "percent":
        parts = share(divide_half_up(sum(bases) * rule.percent_bp, _WHOLE_BP), bases)
    else:
        parts = [min(rule.amount_minor * each.free, base) for each, base in zip(goods, bases, strict=True)]
    return [(each, each.free, part) for each, part in zip(goods, parts, strict=True) if part]


def _cost(goods: _Goods, units: int) -> int:
    """What so many free units of these goods cost, rounded down."""
    return goods.base_minor * units // goods.units


def _buy_get(rule: Promotion, goods: Sequence[_Goods]) -> list[_Taken]:
    """Units in a row, the dearest first, in sets of `buy` and `get`: the last `get` of each set are off."""
    size = rule.buy + rule.get
    sets = sum(each.free for each in goods) // size
    if rule.times_max:
        sets = min(sets, rule.times_max)
    taken: list[tuple[_Goods, int, int]] = []
    at = 0
    for each in goods:
        end = min(at + each.free, sets * size)
        if end > at:
            taken.append((each, end - at, _gotten(end, rule) - _gotten(at, rule)))
        at = end
    bases = [_cost(each, gotten) for each, _, gotten in taken]
    parts = share(divide_half_up(sum(bases) * rule.percent_bp, _WHOLE_BP), bases)
    return [(each, units, part) for (each, units, _), part in zip(taken, parts, strict=True)] if any(parts) else []


def _gotten(count: int, rule: Promotion) -> int:
    sets, rest = divmod(count, rule.buy + rule.get)
    return sets * rule.get + max(0, rest - rule.buy)


def _mix(rule: Promotion, goods: Sequence[_Goods]) -> list[_Taken]:
    """Units in sets of `buy`, the dearest together; a set that costs no more than the price anyway stays as it is."""
    taken: dict[int, list[int]] = {}
    sets_max = rule.times_max or sum(each.free for each in goods)
    chunk: list[tuple[int, int]] = []
    needed = rule.buy
    for place, each in enumerate(goods):
        free = each.free
        while free and sets_max:
            if needed == rule.buy and free >= rule.buy:
                count = min(free // rule.buy, sets_max)
                off = count * (_cost(each, rule.buy) - rule.amount_minor)
                if off <= 0:
                    sets_max = 0
                    break
                _add(taken, place, count * rule.buy, off)
                free -= count * rule.buy
                sets_max -= count
                continue
            units = min(free, needed)
            chunk.append((place, units))
            free -= units
            needed -= units
            if needed == 0:
                bases = [_cost(goods[at], count) for at, count in chunk]
                if sum(bases) <= rule.amount_minor:
                    sets_max = 0
                    break
                for (at, count), part in zip(chunk, share(sum(bases) - rule.amount_minor, bases), strict=True):
                    _add(taken, at, count, part)
                sets_max -= 1
                chunk, needed = [], rule.buy
    return [(goods[place], units, amount_minor) for place, (units, amount_minor) in sorted(taken.items())]


def _add(taken: dict[int, list[int]], place: int, units: int, amount_minor: int) -> None:
    sums = taken.setdefault(place, [0, 0])
    sums[0] += units
    sums[1] += amount_minor


# --- off the whole ----------------------------------------------------------------------------------------------------


def _off_basket(work: _Work, rules: Sequence[Promotion], book: Rulebook) -> None:
    """One promotion of the group: the first, or the one that takes most."""
    offers: list[tuple[int, int, Promotion, list[_Goods]]] = []
    for place, rule in enumerate(rules):
        named = frozenset(rule.items)
        goods = [each for each in work.goods if not named or each.first.gtin in named or each.first.item in named]
        amount_minor = _of_basket(rule, sum(each.left_minor for each in goods))
        if amount_minor:
            offers.append((-amount_minor if book.precedence == "best" else place, place, rule, goods))
    if offers:
        _, _, rule, goods = min(offers, key=lambda offer: offer[:2])
        _off_all(work, rule.id, rule.reason, goods, lambda base_minor: _of_basket(rule, base_minor))


def _of_basket(rule: Promotion, base_minor: int) -> int:
    if base_minor < rule.spend_minor:
        return 0
    if rule.kind == "percent":
        return divide_half_up(base_minor * rule.percent_bp, _WHOLE_BP)
    times = base_minor // rule.spend_minor if rule.repeat else 1
    return min(times * rule.amount_minor, base_minor)


def _of_person(given: DiscountGiven, base_minor: int) -> int:
    if given.percent_bp:
        return divide_half_up(base_minor * min(given.percent_bp, _WHOLE_BP), _WHOLE_BP)
    return min(given.amount_minor, base_minor)


def _off_all(
    work: _Work, promotion: str, reason: str, goods: Sequence[_Goods], amount_of: Callable[[int], int]
) -> None:
    bases = [each.left_minor for each in goods]
    parts = share(amount_of(sum(bases)), bases)
    work.take(promotion, reason, zip(goods, parts, strict=True), whole=True)


def _round_down(work: _Work, rule: Promotion, lines: Sequence[Priced]) -> None:
    """Rounds what is to pay at shelf prices, with all that nothing can be taken off."""
    left_minor = sum(each.left_minor for each in work.goods)
    fixed_minor = sum(
        line.amount_minor for line in lines if line.amount_minor <= 0 or not line.discountable or line.units <= 0
    )
    whole_minor = left_minor + fixed_minor
    if whole_minor > 0:
        _off_all(work, rule.id, rule.reason, work.goods, lambda base: min(whole_minor % rule.amount_minor, base))
