"""Discounts: whatever the promotions and the goods, nothing goes below zero, all adds up, and scans have no order."""

import random
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.discounts import Priced, apply
from core.entries import Discount, DiscountGiven
from core.promotion import Promotion, Rulebook, faults, holds

NOW = "2026-11-24T14:03:00+01:00"
GTINS = tuple(f"{number:014d}" for number in range(1, 7))
PRICES = dict(zip(GTINS, (129, 420, 1290, 95, 199, 1), strict=True))

_ITEMS = st.lists(st.sampled_from(GTINS), max_size=3, unique=True).map(tuple)
_SHARED = {
    "reason": st.sampled_from(("autumn", "clearance")),
    "items": _ITEMS,
    "group": st.sampled_from(("", "a")),
    "priority": st.integers(1, 3),
}
PROMOTIONS = st.one_of(
    st.builds(Promotion, id=st.text("pq", min_size=1, max_size=3), kind=st.just("percent"),
              percent_bp=st.integers(1, 10_000), basket=st.booleans(), **_SHARED),
    st.builds(Promotion, id=st.text("rs", min_size=1, max_size=3), kind=st.just("amount"),
              amount_minor=st.integers(1, 2_000), **_SHARED),
    st.builds(Promotion, id=st.text("tu", min_size=1, max_size=3), kind=st.just("amount"), basket=st.just(True),
              spend_minor=st.integers(0, 3_000), amount_minor=st.integers(1, 2_000), **_SHARED),
    st.builds(Promotion, id=st.text("vw", min_size=1, max_size=3), kind=st.just("buy-get"), buy=st.integers(1, 3),
              get=st.integers(1, 2), percent_bp=st.integers(1, 10_000), times_max=st.integers(0, 2), **_SHARED),
    st.builds(Promotion, id=st.text("xy", min_size=1, max_size=3), kind=st.just("mix"), buy=st.integers(1, 4),
              amount_minor=st.integers(1, 1_500), times_max=st.integers(0, 2), **_SHARED),
    st.builds(Promotion, id=st.just("z"), reason=st.just("rounded"), kind=st.just("round-down"),
              amount_minor=st.sampled_from((5, 100))),
)  # fmt: skip
BOOKS = st.builds(Rulebook, st.lists(PROMOTIONS, max_size=5), precedence=st.sampled_from(("best", "priority")))
GOODS = st.lists(st.tuples(st.sampled_from(GTINS), st.integers(1, 7)), min_size=1, max_size=10)
GIVEN = st.none() | st.builds(DiscountGiven, line=st.just(0), reason=st.just("kind"), percent_bp=st.integers(1, 9_999))


def lines_of(goods: Sequence[tuple[str, int]]) -> list[Priced]:
    return [
        Priced(line=number, gtin=gtin, item=gtin, units=units, amount_minor=PRICES[gtin] * units, tax="AB"[units % 2])
        for number, (gtin, units) in enumerate(goods, start=1)
    ]


def by_goods(lines: Sequence[Priced], discounts: Sequence[Discount]) -> dict[str, int]:
    """What is taken off each item."""
    item_of = {line.line: line.item for line in lines}
    off: dict[str, int] = {}
    for discount in discounts:
        for share in discount.shares:
            off[item_of[share.line]] = off.get(item_of[share.line], 0) + share.amount_minor
    return off


@given(BOOKS, GOODS, GIVEN)
def test_shares_add_up_and_no_line_goes_below_zero(
    book: Rulebook, goods: list[tuple[str, int]], given_: DiscountGiven | None
) -> None:
    lines = lines_of(goods)
    discounts = apply(book, lines, (), NOW, given_)
    left = {line.line: line.amount_minor for line in lines}
    for discount in discounts:
        assert discount.amount_minor == sum(share.amount_minor for share in discount.shares) > 0
        assert discount.reason
        for share in discount.shares:
            assert share.amount_minor > 0
            left[share.line] -= share.amount_minor
    assert min(left.values()) >= 0


@given(BOOKS, GOODS, GIVEN, st.randoms(use_true_random=False))
def test_the_order_of_scans_changes_nothing(
    book: Rulebook, goods: list[tuple[str, int]], given_: DiscountGiven | None, shuffle: random.Random
) -> None:
    """Neither the order, nor whether pieces are counted up on one line or stand one by one."""
    pieces = [gtin for gtin, units in goods for _ in range(units)]
    shuffle.shuffle(pieces)
    together = [Priced(line=number, gtin=gtin, item=gtin, units=units, amount_minor=PRICES[gtin] * units)
                for number, (gtin, units) in enumerate(goods, start=1)]  # fmt: skip
    apart = [Priced(line=number, gtin=gtin, item=gtin, units=1, amount_minor=PRICES[gtin])
             for number, gtin in enumerate(pieces, start=1)]  # fmt: skip
    one, other = apply(book, together, (), NOW, given_), apply(book, apart, (), NOW, given_)
    assert by_goods(together, one) == by_goods(apart, other)
    assert sorted((each.promotion, each.amount_minor) for each in one) == sorted(
        (each.promotion, each.amount_minor) for each in other
    )


@given(BOOKS, GOODS)
def test_asked_again_it_says_the_same(book: Rulebook, goods: list[tuple[str, int]]) -> None:
    lines = lines_of(goods)
    first = apply(book, lines, (), NOW)
    apply(book, lines[1:], ("q",), "2026-11-25T09:00")
    assert apply(book, lines, (), NOW) == first


@given(BOOKS, GOODS)
def test_what_may_not_be_discounted_is_not(book: Rulebook, goods: list[tuple[str, int]]) -> None:
    lines = lines_of(goods)
    fixed = [Priced(line=99, gtin=GTINS[0], item=GTINS[0], units=1, amount_minor=25, discountable=False),
             Priced(line=98, gtin=GTINS[1], item=GTINS[1], units=1, amount_minor=-25)]  # fmt: skip
    for discount in apply(book, [*lines, *fixed], (), NOW):
        assert not {98, 99} & {share.line for share in discount.shares}


def off(lines: Sequence[Priced], *promotions: Promotion, precedence: str = "best", coupons: Sequence[str] = ()) -> int:
    book = Rulebook(promotions, precedence="priority" if precedence == "priority" else "best")
    return sum(each.amount_minor for each in apply(book, lines, coupons, NOW))


MILK, LOAF, BEANS = GTINS[:3]


@pytest.mark.parametrize(
    ("promotion", "goods", "expected"),
    [
        (Promotion(id="p", reason="10 %", kind="percent", percent_bp=1000), [(MILK, 3)], 39),
        (Promotion(id="p", reason="off", kind="amount", amount_minor=50, items=(MILK,)), [(MILK, 3), (LOAF, 1)], 150),
        (Promotion(id="p", reason="2+1", kind="buy-get", buy=2, get=1, percent_bp=10_000), [(MILK, 2), (LOAF, 1)], 129),
        (Promotion(id="p", reason="2+1", kind="buy-get", buy=2, get=1, percent_bp=10_000), [(MILK, 5)], 129),
        (Promotion(id="p", reason="2+1", kind="buy-get", buy=2, get=1, percent_bp=5_000), [(MILK, 6)], 129),
        (Promotion(id="p", reason="any 3", kind="mix", buy=3, amount_minor=500), [(MILK, 2), (LOAF, 1)], 178),
        (Promotion(id="p", reason="any 3", kind="mix", buy=3, amount_minor=500), [(MILK, 3)], 0),
        (Promotion(id="p", reason="5 off 20", kind="amount", basket=True, spend_minor=2000, amount_minor=500),
         [(BEANS, 1), (LOAF, 1)], 0),
        (Promotion(id="p", reason="5 off 20", kind="amount", basket=True, spend_minor=2000, amount_minor=500),
         [(BEANS, 2)], 500),
        (Promotion(id="p", reason="each 10", kind="amount", basket=True, spend_minor=1000, amount_minor=100, repeat=True),
         [(BEANS, 2)], 200),
        (Promotion(id="p", reason="even", kind="round-down", amount_minor=100), [(MILK, 1), (LOAF, 1)], 49),
    ],
)  # fmt: skip
def test_each_kind(promotion: Promotion, goods: list[tuple[str, int]], expected: int) -> None:
    assert not faults(promotion)
    assert off(lines_of(goods), promotion) == expected


def test_the_rule_of_precedence_decides() -> None:
    small = Promotion(id="small", reason="small", kind="percent", percent_bp=1000, priority=1)
    great = Promotion(id="great", reason="great", kind="percent", percent_bp=3000, priority=2)
    lines = lines_of([(BEANS, 1)])
    assert off(lines, small, great) == 387
    assert off(lines, small, great, precedence="priority") == 129


def test_promotions_of_different_groups_add_up_on_what_is_left() -> None:
    tenth = Promotion(id="a", reason="a", kind="percent", percent_bp=1000, group="a")
    half = Promotion(id="b", reason="b", kind="percent", percent_bp=5000, group="b")
    assert off(lines_of([(BEANS, 1)]), tenth, half) == 129 + 581  # half of 1161, halves up


def test_units_that_a_set_left_over_go_to_the_next_promotion_at_their_full_price() -> None:
    trio = Promotion(id="a", reason="a", kind="mix", buy=3, amount_minor=200)
    tenth = Promotion(id="b", reason="b", kind="percent", percent_bp=1000)
    assert off(lines_of([(MILK, 5)]), trio, tenth) == 187 + 26


def test_a_coupon_opens_its_promotion() -> None:
    spring = Promotion(id="s", reason="spring", kind="percent", percent_bp=2000, coupon="SPRING")
    lines = lines_of([(BEANS, 1)])
    assert off(lines, spring) == 0
    assert off(lines, spring, coupons=("s",)) == 258


@pytest.mark.parametrize(
    ("changes", "at", "expected"),
    [
        ({"valid_from": "2026-11-24"}, NOW, True),
        ({"valid_from": "2026-11-24T14:04"}, NOW, False),
        ({"valid_to": "2026-11-24T14:03"}, NOW, False),
        ({"days": ("tue",)}, NOW, True),
        ({"days": ("mon", "sun")}, NOW, False),
        ({"hour_from": "14:03", "hour_to": "15:00"}, NOW, True),
        ({"hour_to": "14:03"}, NOW, False),
        ({"hour_from": "22:00", "hour_to": "02:00"}, "2026-11-24T01:59:00", True),
        ({"hour_from": "22:00", "hour_to": "02:00"}, NOW, False),
        ({"price_list": "staff"}, NOW, False),
    ],
)
def test_when_a_promotion_holds(changes: dict[str, object], at: str, expected: bool) -> None:
    promotion = Promotion(id="p", reason="p", kind="percent", percent_bp=1, **changes)  # type: ignore[arg-type]
    assert holds(promotion, at, "") is expected


@pytest.mark.parametrize(
    ("promotion", "named"),
    [
        (Promotion(id="", reason="r", kind="percent", percent_bp=1), "id"),
        (Promotion(id="p", reason="", kind="percent", percent_bp=1), "reason"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=10_001), "percent"),
        (Promotion(id="p", reason="r", kind="mix", buy=2), "amount"),
        (Promotion(id="p", reason="r", kind="buy-get", buy=1, percent_bp=1), "get"),
        (Promotion(id="p", reason="r", kind="mix", buy=2, amount_minor=1, basket=True), "basket"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, spend_minor=5), "spend"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, basket=True, repeat=True), "repeat"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, days=("moon",)), "moon"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, items=("12",)), "'12'"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, hour_to="25:00"), "25:00"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, once=True), "coupon"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, valid_from="2", valid_to="1"), "valid_to"),
        (Promotion(id="p", reason="r", kind="percent", percent_bp=1, times_max=-1), "below 0"),
    ],
)
def test_what_is_wrong_with_a_promotion_is_named(promotion: Promotion, named: str) -> None:
    (fault,) = faults(promotion)
    assert named in fault
