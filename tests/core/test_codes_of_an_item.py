"""A sale with codes that stand for another item: so many pieces at their price, or a pack at its own."""

import pytest
from msgspec.structs import replace

from core import entries as e
from core import events as v
from core.catalogue import Item
from core.fold import apply
from core.sale import read, step
from core.state import Till
from core.step import Facts, Step
from tests.core.transcript import NOW, SHOP, TODAY

COLA = "00000040170725"
SINGLE = Item(gtin=COLA, name="Cola", unit="each", unit_price_minor=100, tax="A")
SIX = replace(SINGLE, gtin="00036000291452", item=COLA, count=6)
CRATE = replace(SINGLE, gtin="10012345678902", name="Crate of cola", unit_price_minor=900, item=COLA, contains=12)


def scan(till: Till, item: Item) -> tuple[Till, Step]:
    event = v.CodeKeyed(data=item.gtin)
    question = read(SHOP, till, event, TODAY)
    taken = step(SHOP, till, event, Facts(business_day=TODAY, local_time=NOW, question=question, item=item))
    for entry in taken.entries:
        till = apply(till, e.decode(e.encode(entry)))
    return till, taken


def added(taken: Step) -> e.ItemAdded:
    (line,) = [entry for entry in taken.entries if isinstance(entry, e.ItemAdded)]
    return line


def test_a_pack_without_a_price_is_so_many_pieces() -> None:
    till, taken = scan(Till(), SIX)
    line = added(taken)
    assert (line.quantity_milli, line.unit_price_minor, line.amount_minor) == (6_000, 100, 600)
    assert (line.gtin, line.item, line.contains) == (SIX.gtin, COLA, 1)
    till, taken = scan(till, SIX)
    assert taken.entries == (e.QuantityChanged(line=1, quantity_milli=12_000, amount_minor=1_200),)
    _, taken = scan(till, SINGLE)  # another code: a line of its own
    assert added(taken).line == 2


def test_a_pack_with_a_price_is_one_unit() -> None:
    till, taken = scan(Till(), CRATE)
    line = added(taken)
    assert (line.name, line.quantity_milli, line.unit_price_minor, line.amount_minor) == (
        "Crate of cola",
        1000,
        900,
        900,
    )
    assert (line.item, line.contains) == (COLA, 12)
    _, taken = scan(till, CRATE)
    assert taken.entries == (e.QuantityChanged(line=1, quantity_milli=2_000, amount_minor=1_800),)


def test_an_item_by_its_own_code_says_nothing_of_another() -> None:
    _, taken = scan(Till(), SINGLE)
    assert b'"item"' not in e.encode(added(taken))
    assert b'"contains"' not in e.encode(added(taken))


@pytest.mark.parametrize("count", [10_000, 9_999_001])
def test_more_pieces_than_a_line_may_have(count: int) -> None:
    _, taken = scan(Till(), replace(SIX, count=count))
    assert taken.refused
