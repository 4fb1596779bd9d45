"""The cash drawer in the till's eyes: what was commanded against what its sensor saw, each of them kept."""

from typing import assert_never

from core import effects as x
from core import entries as e
from core import events as v
from core.card import holds_card
from core.state import Shop, Till
from core.step import NOTHING, Step, refuse
from core.text import message

REASON_LENGTH_MAX = 100

DrawerEvent = v.DrawerSensed | v.DrawerFound | v.DrawerLeftOpen | v.DrawerStuck


def sense_drawer(till: Till, event: DrawerEvent) -> Step:
    """What follows from a fact about the drawer, whatever the sale is at."""
    match event:
        case v.DrawerSensed(is_open=True):
            opened = e.DrawerOpened(commanded=event.commanded)
            if event.commanded:
                return Step(entries=(opened,))
            return Step(entries=(opened,), notice=message("drawer-opened-by-hand"), level="warning")
        case v.DrawerSensed():
            return Step(entries=(e.DrawerClosed(open_ms=event.open_ms),))
        case v.DrawerFound():
            if event.is_open == till.drawer_open:
                return NOTHING
            found = (e.DrawerFound(is_open=event.is_open),)
            if not event.is_open:
                return Step(entries=found)
            return Step(entries=found, notice=message("drawer-found-open"), level="warning")
        case v.DrawerLeftOpen():
            return Step(
                entries=() if event.again else (e.DrawerLeftOpen(open_ms=event.open_ms),),
                effects=(x.SoundTone(tone="drawer-left-open"),),
                notice=message("drawer-left-open", seconds=event.open_ms // 1000),
                level="warning",
            )
        case v.DrawerStuck():
            return Step(
                entries=(e.DrawerStayedShut(fault=event.fault),),
                notice=message("drawer-stuck", fault=event.fault),
                level="error",
            )
    assert_never(event)


def no_sale(event: v.DrawerKeyed) -> Step:
    """The drawer is opened without a sale: what for is kept, where it is said."""
    reason = " ".join(event.reason.split())
    if len(reason) > REASON_LENGTH_MAX or not reason.isprintable() or holds_card(reason):
        return refuse("reason-not-valid")
    return Step(entries=(e.DrawerCommanded(reason=reason),), effects=(x.OpenDrawer(),))


def blocks_sale(shop: Shop, till: Till) -> bool:
    """Whether the drawer has to be shut before another sale begins (UnifiedPOS waitForDrawerClose)."""
    return shop.drawer_must_shut and till.drawer_open
