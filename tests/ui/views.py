"""Views as a daemon would push them, for screens and clients under test."""

from typing import Any

import msgspec

from core import text
from core.entries import TaxTotal
from core.view import (
    DayView,
    DeviceView,
    JournalView,
    LastView,
    LineView,
    LinkView,
    NoticeView,
    SaleView,
    ShopView,
    TenderView,
    View,
)

IDLE = ("code_keyed", "reprint_keyed", "drawer_keyed")
RINGING = ("code_keyed", "quantity_keyed", "void_keyed", "cash_keyed", "card_keyed", "cancel_keyed")

LINES: tuple[tuple[str, str, str, int, int, dict[str, str]], ...] = (
    ("Espresso beans 1 kg", "4006381333931", "each", 1000, 1290, {}),
    ("Whole milk 1 l", "4008400404127", "each", 3000, 129, {}),
    ("Bananas", "2012345000001", "kg", 642, 199, {}),
    ("Sourdough loaf", "4000417025005", "each", 1000, 420, {}),
    ("Sparkling water 6 pack", "4001513007704", "each", 1000, 354, {}),
    ("Yoghurt 500 g", "4008400404127", "each", 2000, 95, {"lot": "A17", "best_before": "2026-12-02"}),
)


def line(number: int, name: str, gtin: str, unit: str, quantity_milli: int, price: int, facts: Any) -> LineView:
    """A line of the basket whose amount is price times quantity."""
    return LineView(
        line=number, name=name, gtin=gtin, unit=unit, quantity_milli=quantity_milli, unit_price_minor=price,
        amount_minor=(price * quantity_milli + 500) // 1000, **facts,
    )  # fmt: skip


def basket(count: int = len(LINES)) -> tuple[LineView, ...]:
    """The first lines of a shopping; after six they start over."""
    return tuple(line(number + 1, *LINES[number % len(LINES)]) for number in range(count))


def sale(lines: tuple[LineView, ...] = (), **changes: Any) -> SaleView:
    """An open sale of these lines at 7 %, or an empty one."""
    total = sum(item.amount_minor for item in lines if not item.voided)
    tax = total - (total * 10000 + 5350) // 10700
    taxes = (TaxTotal(code="A", rate_bp=700, included=True, gross_minor=total, net_minor=total - tax, tax_minor=tax),)
    tenders: tuple[TenderView, ...] = changes.pop("tenders", ())
    empty = SaleView(
        mode="ringing" if lines else "idle", number=418 if lines else None, lines=lines, tenders=tenders,
        taxes=taxes if lines else (), total_minor=total, tax_minor=tax,
        due_minor=total - sum(tender.amount_minor for tender in tenders), customer=False,
        allowed=RINGING if lines else IDLE,
    )  # fmt: skip
    return msgspec.structs.replace(empty, **changes)


def view(revision: int = 1, **changes: Any) -> View:
    """A whole view of an idle till with all devices ready."""
    whole = View(
        boot="00112233445566aa", revision=revision, time_ms=1795528980000, clock="ntp",
        shop=ShopView(name="Corner Shop", terminal="till-3", workstation="3", currency="EUR", exponent=2),
        sale=sale(), last=None, notice=None, receipts_waiting=0,
        devices=(
            DeviceView(name="scanner", kind="Scanner", phase="ready", detail={"reads": 412, "bad": 3}),
            DeviceView(name="card", kind="CAT", phase="ready"),
            DeviceView(name="printer", kind="POSPrinter", phase="ready", detail={"paper": "ok", "state": "ok"}),
            DeviceView(name="drawer", kind="CashDrawer", phase="ready", detail={"state": "closed"}),
        ),
        day=DayView(business_day="2026-11-24", transactions=417, amount_minor=841265),
        journal=JournalView(epoch="e1", seq=1902, synced_seq=1902, acknowledged_seq=1902),
        link=LinkView(connected=True),
    )  # fmt: skip
    return msgspec.structs.replace(whole, **changes)


def last(**changes: Any) -> LastView:
    """The transaction before: 21.41 paid with 25.00."""
    done = LastView(number=417, total_minor=2141, change_minor=359, printed=1, cancelled=False)
    return msgspec.structs.replace(done, **changes)


def notice(serial: int, level: Any, reason: str, **params: str | int) -> NoticeView:
    """Something to tell."""
    return NoticeView(serial=serial, level=level, message=text.message(reason, **params))
