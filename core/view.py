"""What is shown: the whole of a till as its screens need it. The daemon pushes it; a screen holds nothing."""

from typing import Literal

import msgspec

from core.entries import TaxTotal
from core.text import Message

Mode = Literal["idle", "ringing", "tendering", "authorizing", "enquiring", "reversing"]
Level = Literal["info", "warning", "error"]


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the basket. `quantity_milli` in thousandths of `unit` (``each`` or ``kg``)."""

    line: int
    name: str
    gtin: str
    unit: str
    quantity_milli: int
    unit_price_minor: int
    amount_minor: int
    voided: bool = False
    lot: str | None = None
    use_by: str | None = None
    best_before: str | None = None


class TenderView(msgspec.Struct, frozen=True, kw_only=True):
    """Money already taken: `kind` is an ARTS TenderTypeCode (``CASH``, ``CREDIT``)."""

    kind: str
    amount_minor: int
    card: str = ""


class SaleView(msgspec.Struct, frozen=True, kw_only=True):
    """The open transaction, or an empty one. `allowed` names the operator's events that this state takes."""

    mode: Mode
    number: int | None
    lines: tuple[LineView, ...]
    tenders: tuple[TenderView, ...]
    taxes: tuple[TaxTotal, ...]
    total_minor: int
    tax_minor: int
    due_minor: int
    customer: bool
    allowed: tuple[str, ...]


class LastView(msgspec.Struct, frozen=True, kw_only=True):
    """The transaction before: what the cashier still needs to see. `printed` counts its papers."""

    number: int
    total_minor: int
    change_minor: int
    printed: int
    cancelled: bool


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest thing to tell the operator; a new `serial` is a new notice, and an error sounds."""

    serial: int
    level: Level
    message: Message


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its supervisor sees it. `detail` are flat facts, such as reads, bad reads, or paper."""

    name: str
    kind: str
    phase: str
    fault: str | None = None
    identity: str = ""
    detail: dict[str, str | int] = {}


class DayView(msgspec.Struct, frozen=True, kw_only=True):
    """The business day so far: completed sales and their sum."""

    business_day: str
    transactions: int
    amount_minor: int


class JournalView(msgspec.Struct, frozen=True, kw_only=True):
    """How deep the journal is, and how much of it headquarters has acknowledged (sequence numbers of the epoch)."""

    epoch: str
    seq: int
    synced_seq: int
    acknowledged_seq: int


class LinkView(msgspec.Struct, frozen=True, kw_only=True):
    """The connection to headquarters' broker."""

    connected: bool
    fault: str | None = None


class ShopView(msgspec.Struct, frozen=True, kw_only=True):
    """Who and where."""

    name: str
    terminal: str
    workstation: str
    currency: str
    exponent: int


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a screen shows. `revision` grows with every push of one daemon's life, `boot` names that life."""

    boot: str
    revision: int
    time_ms: int
    clock: str
    shop: ShopView
    sale: SaleView
    last: LastView | None
    notice: NoticeView | None
    receipts_waiting: int
    devices: tuple[DeviceView, ...]
    day: DayView
    journal: JournalView
    link: LinkView
