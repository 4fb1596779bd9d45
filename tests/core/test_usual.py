"""What is far outside an item's own sales is asked about, and recorded either way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import entries as e
from core import events as v
from core.fold import apply
from core.sale import read, step
from core.step import Facts, Step, UsualWanted
from core.usual import SALES_MIN, usual_of
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY, Player

MILK = "04006381333931"
USUAL = usual_of([(129, 1000 * (1 + number % 3)) for number in range(SALES_MIN)])


def taken(player: Player, event: v.AnyEvent) -> Step:
    question = read(SHOP, player.till, event, TODAY)
    item = CATALOGUE["00012345678905"] if isinstance(event, v.OpenPriceKeyed) else None
    return step(
        SHOP, player.till, event, Facts(business_day=TODAY, local_time=NOW, question=question, item=item, usual=USUAL)
    )


def ringing() -> Player:
    player = Player()
    player.take(v.CodeKeyed(data=MILK[1:]))
    return player


@given(st.lists(st.tuples(st.integers(1, 10**6), st.integers(1, 10**6)), min_size=SALES_MIN, max_size=60))
def test_whatever_was_sold_is_usual(sold: list[tuple[int, int]]) -> None:
    usual = usual_of(sold)
    assert usual is not None
    assert all(usual.is_price(price) and usual.is_quantity(quantity) for price, quantity in sold)


def test_of_few_sales_nothing_is_said() -> None:
    assert usual_of([(100, 1000)] * (SALES_MIN - 1)) is None


@pytest.mark.parametrize(
    ("event", "about", "value", "usual"),
    [
        (v.QuantityKeyed(quantity_milli=111_000), "quantity", 111_000, 2000),
        (v.PriceKeyed(unit_price_minor=12_900, reason="shelf"), "price", 12_900, 129),
        (v.PriceKeyed(unit_price_minor=1, reason="shelf"), "price", 1, 129),
    ],
)
def test_what_is_unusual_is_asked_about_and_taken_when_confirmed(
    event: v.QuantityKeyed | v.PriceKeyed, about: str, value: int, usual: int
) -> None:
    player = ringing()
    assert read(SHOP, player.till, event, TODAY) == UsualWanted(gtin=MILK)
    asked = taken(player, event)
    assert asked.refused
    assert asked.notice is not None
    assert asked.notice.id == f"{about}-unusual"
    (noticed,) = asked.entries
    assert isinstance(noticed, e.OutlierNoticed)
    assert (noticed.about, noticed.gtin, noticed.value, noticed.usual, noticed.taken) == (
        about, MILK, value, usual, False,
    )  # fmt: skip
    assert apply(player.till, noticed) == player.till
    done = taken(
        player, type(event)(**{**{name: getattr(event, name) for name in event.__struct_fields__}, "confirmed": True})
    )
    assert not done.refused
    assert [type(entry) for entry in done.entries][-1] is e.OutlierNoticed
    assert done.entries[-1] == e.OutlierNoticed(about=noticed.about, gtin=MILK, value=value, usual=usual, taken=True)


def test_an_open_price_is_asked_about_too() -> None:
    player = ringing()
    player.take(v.CodeKeyed(data="012345678905"))
    assert taken(player, v.OpenPriceKeyed(unit_price_minor=9_900)).refused
    done = taken(player, v.OpenPriceKeyed(unit_price_minor=9_900, confirmed=True))
    assert [type(entry).__name__ for entry in done.entries] == ["ItemAdded", "OutlierNoticed"]


@pytest.mark.parametrize(
    "event", [v.QuantityKeyed(quantity_milli=12_000), v.PriceKeyed(unit_price_minor=99, reason="shelf")]
)
def test_what_is_usual_is_taken(event: v.AnyEvent) -> None:
    done = taken(ringing(), event)
    assert not done.refused
    assert not any(isinstance(entry, e.OutlierNoticed) for entry in done.entries)


def test_what_cannot_be_taken_anyway_is_not_asked_about() -> None:
    refused = taken(ringing(), v.QuantityKeyed(quantity_milli=99_000_000))
    assert refused.notice is not None
    assert (refused.notice.id, refused.entries) == ("quantity-not-valid", ())
