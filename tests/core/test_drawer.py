"""Where the configuration wants it, no sale begins while the drawer is open; one that is open goes on."""

import msgspec

from core import entries as e
from core import events as v
from core.fold import apply
from core.sale import read, step
from core.state import Till
from core.step import Facts, Step
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

_SCAN = v.Scanned(device="scanner", data="96385074")
_STRICT = msgspec.structs.replace(SHOP, drawer_must_shut=True)


def _scan(till: Till, *, strict: bool) -> Step:
    shop = _STRICT if strict else SHOP
    facts = Facts(
        business_day=TODAY,
        local_time=NOW,
        question=read(shop, till, _SCAN, TODAY),
        item=CATALOGUE["00000096385074"],
        customer=None,
    )
    return step(shop, till, _SCAN, facts)


def test_no_sale_begins_while_it_is_open() -> None:
    till = apply(Till(), e.DrawerOpened(commanded=True))
    refused = _scan(till, strict=True)
    assert refused.refused
    assert refused.notice is not None
    assert refused.notice.id == "drawer-open"
    assert not _scan(till, strict=False).refused
    assert not _scan(apply(till, e.DrawerClosed(open_ms=10)), strict=True).refused
    assert not _scan(apply(till, e.DrawerFound(is_open=False)), strict=True).refused


def test_a_sale_that_is_open_goes_on() -> None:
    till = Till()
    for entry in _scan(till, strict=True).entries:
        till = apply(till, entry)
    till = apply(till, e.DrawerOpened(commanded=False))
    assert not _scan(till, strict=True).refused
