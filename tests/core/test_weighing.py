"""What a scale says becomes a line only where it may: stable, above zero, after zero, and asked for this very item."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from core import effects as x
from core import entries as e
from core import events as v
from core.catalogue import Item
from core.fold import apply
from core.goods import weighing_reference
from core.sale import read, step
from core.state import Ringing, Till, Weighing, basket_of
from core.step import Facts, Step
from tests.core.transcript import NOW, SHOP, TODAY

BANANAS = Item(gtin="02112345000008", name="Bananas", unit="kg", unit_price_minor=199, tax="B")
BRANDY = msgspec.structs.replace(BANANAS, name="Brandy, loose", min_age=18)
BY_PRICE = msgspec.structs.replace(BANANAS, name="Flowers", open_price=True)

SENSED = st.builds(
    v.WeightSensed,
    device=st.just("scale"),
    condition=st.sampled_from(v.WeightCondition),
    weight_g=st.sampled_from((-5, 0, 1, 642, 9_999_000, 9_999_001)),
    net=st.booleans(),
    cleared=st.booleans(),
    reference=st.sampled_from(("1.1", "1.2", "1.3", "")),
)
CODE = v.CodeKeyed(data=BANANAS.gtin)


def take(till: Till, event: v.AnyEvent, item: Item = BANANAS) -> tuple[Till, Step]:
    facts = Facts(business_day=TODAY, local_time=NOW, question=read(SHOP, till, event, TODAY), item=item)
    taken = step(SHOP, till, event, facts)
    for entry in taken.entries:
        till = apply(till, e.decode(e.encode(entry)))
    return till, taken


def stable(weight_g: int, reference: str) -> v.WeightSensed:
    return v.WeightSensed(
        device="scale", condition=v.WeightCondition.STABLE, weight_g=weight_g, cleared=True, reference=reference
    )


@given(st.lists(SENSED | st.sampled_from((CODE, v.CancelKeyed(), v.Booted())), max_size=30))
def test_only_a_weight_that_may_be_sold_is_sold(events: list[v.AnyEvent]) -> None:
    till, _ = take(Till(), CODE)
    for event in events:
        basket = basket_of(till.sale)
        waiting = isinstance(till.sale, Weighing) and basket is not None
        may = (
            waiting
            and isinstance(event, v.WeightSensed)
            and event.condition is v.WeightCondition.STABLE
            and 0 < event.weight_g <= 9_999_000
            and event.cleared
            and basket is not None
            and event.reference == weighing_reference(basket)
        )
        till, taken = take(till, event)
        lines = [entry for entry in taken.entries if isinstance(entry, e.ItemAdded)]
        assert bool(lines) is may
        if may and isinstance(event, v.WeightSensed):
            assert [line.quantity_milli for line in lines] == [event.weight_g]
            assert lines[0].weighed == ("scale-net" if event.net else "scale")
            assert x.ReleaseScale(sold=True) in taken.effects
        asked = [effect for effect in taken.effects if isinstance(effect, x.AskWeight)]
        assert bool(asked) is (isinstance(till.sale, Weighing) and (not waiting or isinstance(event, v.Booted)))


def test_an_age_is_asked_before_the_weight() -> None:
    till, _ = take(Till(), CODE, BRANDY)
    till, taken = take(till, v.AgeKeyed(of_age=True), BRANDY)
    assert x.AskWeight(reference="1.1") in taken.effects
    till, _ = take(till, stable(500, "1.1"), BRANDY)
    assert isinstance(till.sale, Ringing)
    assert [line.item.quantity_milli for line in till.sale.basket.lines] == [500]


def test_a_price_that_was_typed_is_by_the_kilogram_of_what_is_weighed_then() -> None:
    till, _ = take(Till(), CODE, BY_PRICE)
    till, taken = take(till, v.OpenPriceKeyed(unit_price_minor=1000), BY_PRICE)
    assert x.AskWeight(reference="1.1") in taken.effects
    till, _ = take(till, stable(250, "1.1"), BY_PRICE)
    assert isinstance(till.sale, Ringing)
    assert [line.item.amount_minor for line in till.sale.basket.lines] == [250]


def test_no_weight_is_typed_where_it_must_come_from_the_scale() -> None:
    till, _ = take(Till(), CODE)
    event = v.WeightKeyed(weight_g=642)
    facts = Facts(business_day=TODAY, local_time=NOW)
    strict = step(msgspec.structs.replace(SHOP, keyed_weight=False), till, event, facts)
    assert strict.refused
    assert strict.notice is not None
    assert strict.notice.id == "weight-not-keyed"
    till, taken = take(till, event)
    assert [entry.weighed for entry in taken.entries if isinstance(entry, e.ItemAdded)] == ["keyed"]
