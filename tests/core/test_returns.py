"""However goods come back, in whatever parts: never more of them than were sold, and never more money than was paid."""

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from core import entries as e
from core import events as v
from core.catalogue import Item
from core.promotion import Promotion, Rulebook
from core.state import Shop
from core.tax import TaxRate
from tests.core.transcript import SHOP, Player

CODES = ("04006381333931", "00036000291452", "00000096385074")
THIRD = Promotion(id="third", reason="3 for 2", kind="buy-get", buy=2, get=1, percent_bp=10_000, items=CODES[:2])
ADDED = (
    TaxRate(code="A", rate_bp=1925, included=False),
    TaxRate(code="B", rate_bp=707, included=False),
)


def _completed(player: Player) -> e.TransactionCompleted:
    entry = player.kept[-1]
    assert isinstance(entry, e.TransactionCompleted)
    return entry


def _shop(added: bool) -> Shop:
    shop = msgspec.structs.replace(SHOP, promotions=Rulebook((THIRD,)))
    return msgspec.structs.replace(shop, taxes=ADDED) if added else shop


@settings(max_examples=150, deadline=None)
@given(
    added=st.booleans(),
    prices=st.lists(st.integers(1, 2_000), min_size=3, max_size=3),
    counts=st.lists(st.integers(1, 7), min_size=3, max_size=3),
    off_minor=st.integers(0, 50),
    parts=st.lists(st.tuples(st.integers(1, 3), st.integers(1, 4)), max_size=25),
)
def test_parts_come_to_the_whole(
    added: bool, prices: list[int], counts: list[int], off_minor: int, parts: list[tuple[int, int]]
) -> None:
    player = Player(shop=_shop(added))
    for code, price_minor, count in zip(CODES, prices, counts, strict=True):
        item = player.catalogue[code]
        player.catalogue[code] = msgspec.structs.replace(item, unit_price_minor=price_minor)
        player.take(v.CodeKeyed(data=code.lstrip("0").rjust(8 if len(code.lstrip("0")) < 9 else 12, "0")))
        player.take(v.QuantityKeyed(quantity_milli=1000 * count))
    if off_minor:
        player.take(v.TotalDiscountKeyed(amount_minor=off_minor, reason="goodwill"))
    player.take(v.CashKeyed())
    sold = _completed(player)
    left = dict(enumerate(counts, 1))
    given_minor = 0
    for line, count in (*parts, *((line, 1) for line in left for _ in range(7))):
        taken = player.take(v.ReturnKeyed(number=sold.number, line=line, quantity_milli=1000 * count))
        assert taken.refused is (count > left[line])
        if taken.refused:
            continue
        left[line] -= count
        player.take(v.CashKeyed())
        given_minor -= sum(total.amount_minor for total in _completed(player).tenders)
        assert given_minor <= sold.total_minor
    assert not any(left.values())
    assert given_minor == sold.total_minor or added
    assert given_minor >= sold.total_minor - sum(counts)


def test_a_deposit_comes_back_with_its_goods() -> None:
    player = Player()
    deposit = Item(gtin="00000040170718", name="Deposit", unit="each", unit_price_minor=25, tax="A")
    player.catalogue[deposit.gtin] = deposit
    milk = player.catalogue[CODES[0]]
    player.catalogue[milk.gtin] = msgspec.structs.replace(milk, deposit=deposit.gtin)
    player.take(v.CodeKeyed(data="4006381333931"))
    player.take(v.QuantityKeyed(quantity_milli=3000))
    player.take(v.CashKeyed())
    player.take(v.ReturnKeyed(number=1, line=1, quantity_milli=2000))
    player.take(v.CashKeyed())
    assert _completed(player).total_minor == -2 * (129 + 25)
    assert player.take(v.ReturnKeyed(number=1, line=2)).refused  # a deposit alone is not what was bought


def test_an_exempt_sale_comes_back_without_its_tax() -> None:
    player = Player()
    player.take(v.CodeKeyed(data="96385074"))
    player.take(v.TaxExemptionKeyed(reason="embassy", certificate="D-17"))
    player.take(v.CashKeyed())
    paid_minor = _completed(player).total_minor
    assert paid_minor < 1290
    player.take(v.ReturnKeyed(number=1))
    player.take(v.CashKeyed())
    assert _completed(player).total_minor == -paid_minor
