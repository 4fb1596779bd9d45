"""Single rules of a sale that no script in tests/transcripts tells of."""

import pytest

from core import effects as x
from core import entries as e
from core import events as v
from core.catalogue import Item
from core.fold import apply
from core.goods import LINES_MAX
from core.sale import read, step
from core.scan import Reading
from core.state import Till
from core.step import Facts, ItemWanted, Step
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

APPLES = Item(gtin="02900001000007", name="Apples", unit="kg", unit_price_minor=250, tax="B")
LOAF = CATALOGUE["00036000291452"]


def _sell(till: Till, item: Item | None, **said: str | int) -> Step:
    reading = Reading(gtin=item.gtin if item else "00000000000000", method="scanned", **said)  # type: ignore[arg-type]
    facts = Facts(business_day=TODAY, local_time=NOW, question=ItemWanted(reading=reading), item=item)
    return step(SHOP, till, v.Scanned(device="scanner", data="-"), facts)


def _after(till: Till, taken: Step) -> Till:
    for entry in taken.entries:
        till = apply(till, entry)
    return till


def test_a_weighed_label_is_extended_by_its_weight() -> None:
    added = _sell(Till(), APPLES, weight_g=1_234).entries[-1]
    assert isinstance(added, e.ItemAdded)
    assert (added.quantity_milli, added.amount_minor) == (1_234, 309)


@pytest.mark.parametrize(
    ("item", "said"),
    [(APPLES, {"weight_g": 0}), (APPLES, {"price_minor": 0}), (LOAF, {"price_minor": 0}), (LOAF, {"weight_g": 500})],
    ids=["no weight", "no price", "a piece for nothing", "a piece by weight"],
)
def test_a_label_that_cannot_be_right_sells_nothing(item: Item, said: dict[str, int]) -> None:
    taken = _sell(Till(), item, **said)
    assert taken.refused
    assert taken.notice is not None
    assert taken.notice.id == "quantity-not-valid"
    assert not taken.entries


def test_use_by_is_the_last_day_of_sale() -> None:
    assert not _sell(Till(), LOAF, use_by=TODAY).refused
    assert _sell(Till(), LOAF, use_by="2026-11-23").refused


def test_another_lot_is_another_line() -> None:
    till = _after(Till(), _sell(Till(), LOAF, lot="A"))
    assert isinstance(_sell(till, LOAF, lot="A").entries[0], e.QuantityChanged)
    assert isinstance(_sell(till, LOAF, lot="B").entries[0], e.ItemAdded)


def test_a_basket_has_a_bound() -> None:
    till = Till()
    for place in range(LINES_MAX):
        till = _after(till, _sell(till, LOAF, lot=str(place)))
    taken = _sell(till, LOAF, lot="one more")
    assert taken.notice is not None
    assert (taken.refused, taken.notice.id) == (True, "too-many-lines")


def test_a_payments_reference_is_the_journals_own() -> None:
    """A new journal counts from 1 again; the payment device would answer for the payment of the old one."""
    till = _after(Till(), _sell(Till(), LOAF))

    def requested(epoch: str) -> x.AnyEffect:
        facts = Facts(business_day=TODAY, local_time=NOW, epoch=epoch)
        return step(SHOP, till, v.CardKeyed(), facts).effects[0]

    before, after = requested("0f1e2d3c4b5a6978"), requested("8899aabbccddeeff")
    assert isinstance(before, x.RequestPayment)
    assert isinstance(after, x.RequestPayment)
    assert before.reference == "0f1e2d3c/1.1"
    assert before.reference != after.reference


def test_a_scan_asks_the_catalogue_and_a_typed_code_says_that_it_was_typed() -> None:
    scanned = read(SHOP, Till(), v.Scanned(device="scanner", data="96385074"), TODAY)
    keyed = read(SHOP, Till(), v.CodeKeyed(data="96385074"), TODAY)
    assert isinstance(scanned, ItemWanted)
    assert isinstance(keyed, ItemWanted)
    assert (scanned.reading.method, keyed.reading.method) == ("scanned", "keyed")
    assert read(SHOP, Till(), v.CashKeyed(), TODAY) is None
