"""Promotions and traits of items in the catalogue: from headquarters' update to what the till rings up."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from core.catalogue import Change, Item
from core.money import currency
from core.promotion import Promotion, Rulebook
from core.state import Shop
from store.catalogue import Catalogue, import_csv
from store.catalogue_update import apply_update
from store.errors import CatalogueRefused
from terminald.promotions import Promotions
from tests.store.journals import KEY
from tests.store.test_catalogue_update import apply, path, written

__all__ = ["path"]

NOON = "2026-11-24T12:00:00+01:00"
AUTUMN = Promotion(id="autumn", reason="Autumn sale", kind="percent", percent_bp=1000)
TRIO = Promotion(id="trio", reason="Any 3 for 5.00", kind="mix", buy=3, amount_minor=500, items=("00000040170725",))
SHOP = Shop(name="x", address=(), terminal="till-1", currency=currency("EUR"), taxes=())


def put(promotion: Promotion) -> Change:
    return Change(op="put-promotion", promotion=promotion)


def test_promotions_come_change_and_go(path: Path) -> None:
    with Catalogue(path, KEY) as till:
        apply(path, written(path, put(AUTUMN), put(TRIO)))
        assert till.promotions() == (AUTUMN, TRIO)
        assert till.version()[0] == 2
        apply(path, written(path, Change(op="drop-promotion", id="autumn")))
        assert till.promotions() == (TRIO,)
    (path.parent.parent / "goods.csv").write_text("gtin,name,unit,price,tax\n4006381333931,Pen,each,1,A\n")
    import_csv(path, KEY, path.parent.parent / "goods.csv", currency("EUR"), ["A"])
    with Catalogue(path, KEY) as till:
        assert till.promotions() == (TRIO,)


@pytest.mark.parametrize(
    ("change", "named"),
    [
        (Change(op="put-promotion"), "has no promotion"),
        (put(Promotion(id="x", reason="", kind="percent", percent_bp=1)), "reason"),
        (Change(op="put-promotion", promotion=AUTUMN, gtin="4006381333931"), "gtin"),
        (Change(op="drop-promotion", id="summer"), "no promotion 'summer'"),
        (Change(op="drop-promotion", id="autumn", name="x"), "has no name"),
    ],
)
def test_a_bad_change_is_named_and_nothing_is_applied(path: Path, change: Change, named: str) -> None:
    with pytest.raises(CatalogueRefused) as caught:
        apply_update(path, KEY, written(path, put(AUTUMN), change), currency("EUR"), ["A", "B"])
    assert any("line 3" in fault and named in fault for fault in caught.value.faults), caught.value.faults
    with Catalogue(path, KEY) as till:
        assert (till.promotions(), till.version()[0]) == ((), 1)


def test_the_configuration_goes_before_headquarters(path: Path) -> None:
    own = Promotion(id="autumn", reason="Ours", kind="percent", percent_bp=2000)
    apply(path, written(path, put(AUTUMN), put(TRIO)))
    with Catalogue(path, KEY) as till:
        promotions = Promotions(till, Rulebook((own,), precedence="priority", price_list="staff"))
        shop = promotions.refreshed(SHOP)
        assert set(shop.promotions.promotions) == {own, TRIO}
        assert (shop.promotions.precedence, shop.promotions.price_list) == ("priority", "staff")
        assert promotions.refreshed(shop) is shop
        apply(path, written(path, Change(op="drop-promotion", id="trio")))
        assert promotions.refreshed(shop).promotions.promotions == (own,)


@dataclass(frozen=True)
class Refused:
    fields: str
    named: str


HEADER = "gtin,name,unit,price,tax,item,discount,deposit,min_age,open_price\n"


def test_what_few_items_have(tmp_path: Path) -> None:
    (tmp_path / "goods.csv").write_text(
        HEADER
        + "4006381333931,Beer,each,1.20,A,,no,40170725,16,\n40170725,Deposit,each,0.08,A,,no,,,\n"
        + "96385074,Flowers,each,0,A,,yes,,,yes\n036000291452,,,,,4006381333931,,,,\n2000000000008,Pen,each,1,A,,,,,\n"
    )
    import_csv(tmp_path / "catalogue.db", KEY, tmp_path / "goods.csv", currency("EUR"), ["A"])
    with Catalogue(tmp_path / "catalogue.db", KEY) as till:
        beer, other, flowers, pen = (
            till.find(gtin, NOON) for gtin in ("04006381333931", "00036000291452", "00000096385074", "02000000000008")
        )
    assert beer == Item(
        gtin="04006381333931", name="Beer", unit="each", unit_price_minor=120, tax="A", discountable=False,
        deposit="00000040170725", min_age=16,
    )  # fmt: skip
    assert other is not None
    assert (other.item, other.min_age, other.deposit) == ("04006381333931", 16, "00000040170725")
    assert flowers is not None
    assert (flowers.open_price, flowers.discountable) == (True, True)
    assert pen == Item(gtin="02000000000008", name="Pen", unit="each", unit_price_minor=100, tax="A")


@pytest.mark.parametrize(
    "refused",
    [
        Refused("4006381333931,Beer,each,1.20,A,,maybe,,,", "discount 'maybe'"),
        Refused("4006381333931,Beer,each,1.20,A,,,123,,", "deposit '123'"),
        Refused("4006381333931,Beer,each,1.20,A,,,,old,", "min_age 'old'"),
        Refused("4006381333931,Beer,each,1.20,A,,,,,1", "open_price '1'"),
        Refused("4006381333931,,,,,40170725,no,,,", "has no discount"),
    ],
    ids=lambda refused: refused.named,
)
def test_bad_traits_are_named(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "goods.csv").write_text(HEADER + refused.fields + "\n40170725,Cola,each,1,A,,,,,\n")
    with pytest.raises(CatalogueRefused) as caught:
        import_csv(tmp_path / "catalogue.db", KEY, tmp_path / "goods.csv", currency("EUR"), ["A"])
    assert any(refused.named in fault for fault in caught.value.faults), caught.value.faults
