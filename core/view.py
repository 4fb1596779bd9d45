"""What is shown: the whole of a till as its screens need it. The daemon pushes it; a screen holds nothing."""

from collections.abc import Mapping, Sequence
from typing import Literal, assert_never

import msgspec

from core import entries as e
from core.language import Tag, words
from core.payment import owed_minor
from core.permissions import Role
from core.pricing import cash_due_minor, paid_minor, price
from core.sale import allowed
from core.state import (
    Asking,
    Authorizing,
    Basket,
    Enquiring,
    GiftLine,
    Idle,
    Line,
    Loading,
    Reversing,
    Ringing,
    Shop,
    Tendering,
    Till,
    Unloading,
    Weighing,
    basket_of,
)
from core.text import Message
from core.training import in_training

Mode = Literal[
    "idle", "ringing", "weighing", "asking", "loading", "unloading", "tendering", "authorizing", "enquiring", "reversing"
]  # fmt: skip
Level = Literal["info", "warning", "error"]
MirrorState = Literal["none", "absent", "filling", "ready", "slow", "failed"]


class DiscountView(msgspec.Struct, frozen=True, kw_only=True):
    """A discount and what it takes off the basket."""

    reason: str
    amount_minor: int


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line of the basket. `quantity_milli` in thousandths of `unit` (`core.catalogue.Unit`).

    `amount_minor` is before `discount_minor`, what all discounts take off the line; `discounts` are those on its own
    goods. `regular_minor` is the price for one
    unit that another was put in place of. A gift card that is sold, or taken back below zero, is a line too.
    """

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
    discount_minor: int = 0
    discounts: tuple[DiscountView, ...] = ()
    regular_minor: int | None = None
    gift_card: bool = False


class HeldView(msgspec.Struct, frozen=True, kw_only=True):
    """An item that waits for an answer: the customer's age, its own price, or how much of it (in its `unit`)."""

    about: Literal["age", "price", "quantity"]
    name: str
    min_age: int = 0
    unit: str = ""


class TenderView(msgspec.Struct, frozen=True, kw_only=True):
    """Money already taken, or given back: `kind` is an ARTS TenderTypeCode (``CASH``, ``CREDIT``), or ``MOBILE``."""

    kind: str
    amount_minor: int
    card: str = ""
    returned: bool = False


class ParkedView(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that was put aside. `began` is local time (ISO 8601)."""

    number: int
    label: str
    lines: int
    total_minor: int
    began: str


class SaleView(msgspec.Struct, frozen=True, kw_only=True):
    """The open transaction, or an empty one. `allowed` names the events that this state takes from the operator who is
    signed on, `supervised` those that it takes from him with a supervisor's approval.

    `cash_due_minor` is what is due if cash pays it (None: the same); `exempt` says that the customer pays no tax; `awaited` is what waits
    to be weighed. `parked` are the baskets that were put aside, their totals before discounts.
    `total_minor` is what is to be paid in all, gift cards included; a gift card that waits to be shown is to be sold with
    `loading_minor`. `owed_minor` is what the customer is to be given back, for goods of the `receipts` (their numbers) or others;
    `voiding` says that a finished transaction is made undone. `pending` is the kind of tender that the payment device has in
    hand, empty while it has none. `paper` and `written` are the number and the date of a sale that was written by hand.
    """

    mode: Mode
    number: int | None
    lines: tuple[LineView, ...]
    tenders: tuple[TenderView, ...]
    taxes: tuple[e.TaxTotal, ...]
    total_minor: int
    tax_minor: int
    due_minor: int
    customer: bool
    allowed: tuple[str, ...]
    cash_due_minor: int | None = None
    discounts: tuple[DiscountView, ...] = ()
    exempt: bool = False
    held: HeldView | None = None
    awaited: str | None = None
    supervised: tuple[str, ...] = ()
    parked: tuple[ParkedView, ...] = ()
    owed_minor: int = 0
    receipts: tuple[int, ...] = ()
    voiding: bool = False
    pending: str = ""
    paper: str = ""
    written: str = ""
    loading_minor: int = 0


class LastView(msgspec.Struct, frozen=True, kw_only=True):
    """The transaction before: what the cashier still needs to see. `printed` counts its papers, `code` is its receipt's."""

    number: int
    total_minor: int
    change_minor: int
    printed: int
    cancelled: bool
    code: str = ""


class NoticeView(msgspec.Struct, frozen=True, kw_only=True):
    """The newest thing to tell the operator; a new `serial` is a new notice, and an error sounds."""

    serial: int
    level: Level
    message: Message


class DeviceView(msgspec.Struct, frozen=True, kw_only=True):
    """A device as its supervisor sees it. `detail` are flat facts, such as reads, bad reads, or paper.

    `place` is where it is plugged in (udev's ID_PATH), `between_faults_s` how long it works from one fault to the next.
    """

    name: str
    kind: str
    phase: str
    fault: str | None = None
    identity: str = ""
    detail: dict[str, str | int] = {}
    remedy: str = ""
    driver: str = ""
    place: str = ""
    between_faults_s: int | None = None


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


class MirrorView(msgspec.Struct, frozen=True, kw_only=True):
    """The second medium: ``none`` is configured, ``absent``, being filled, ready, late, or not used for a `fault`.

    `behind` are records that it lacks; `sales_at_risk` completed sales that are on the terminal's own medium alone.
    """

    state: MirrorState = "none"
    fault: str | None = None
    behind: int = 0
    sales_at_risk: int = 0


class OperatorView(msgspec.Struct, frozen=True, kw_only=True):
    """Who is signed on, and whether the till waits for him to do so again. `sign_on` says whether anybody has to.

    `training`: what is sold now is for training. `claim` is what the first owner types, who is to stand before this screen; None where there is one.
    """

    sign_on: bool = False
    id: str | None = None
    role: Role | None = None
    locked: bool = False
    claim: str | None = None
    training: bool = False


class TillView(msgspec.Struct, frozen=True, kw_only=True):
    """How the till stands. ``itself`` is one that nobody opened, where nobody has to; it begins with the first sale.

    `counted_minor` is the last count, `z` the number of the last Z report, `confirmed_day` a business day that a person
    vouched for. What should be in the drawer is not told: counting is blind.
    """

    state: Literal["closed", "itself", "open", "counting"] = "itself"
    sessions: bool = False
    session: int = 0
    business_day: str = ""
    began: str = ""
    float_minor: int = 0
    counted_minor: int | None = None
    z: int = 0
    closed_day: str = ""
    confirmed_day: str = ""


class TaxClassView(msgspec.Struct, frozen=True, kw_only=True):
    """A tax class that goods may have; `rate_bp` in hundredths of a percent."""

    code: str
    rate_bp: int


class ShopView(msgspec.Struct, frozen=True, kw_only=True):
    """Who and where, the language of its screens, the tax classes of its goods, and what gift cards are sold with (empty: with
    any amount)."""

    name: str
    terminal: str
    workstation: str
    currency: str
    exponent: int
    language: Tag = "en"
    taxes: tuple[TaxClassView, ...] = ()
    gift_card_amounts_minor: tuple[int, ...] = ()


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a screen shows. `revision` grows with every push of one daemon's life, `boot` names that life.

    `conditions` are what is wrong for longer than a moment, the gravest first: degraded modes are never silent.
    """

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
    mirror: MirrorView = MirrorView()
    conditions: tuple[Message, ...] = ()
    operator: OperatorView = OperatorView()
    till: TillView = TillView()


_NO_BASKET = Basket(number=0, business_day="")


def sale_view(shop: Shop, till: Till) -> SaleView:
    """The open transaction as it is shown."""
    takes, supervised = allowed(shop, till)
    shop, till = in_training(shop, till)
    basket = basket_of(till.sale)
    shown = basket or _NO_BASKET
    priced = price(shop, shown)
    off: dict[int, list[tuple[e.Discount, int]]] = {}
    for discount in priced.discounts:
        for share in discount.shares:
            off.setdefault(share.line, []).append((discount, share.amount_minor))
    return SaleView(
        mode=mode_of(till),
        number=basket.number if basket else None,
        lines=_lines(shop, shown, off),
        tenders=tuple(
            TenderView(
                kind=tender.kind,
                amount_minor=tender.amount_minor,
                card=tender.card,
                returned=bool(tender.refund_of),
            )
            for tender in shown.tenders
        ),
        taxes=priced.taxes,
        total_minor=priced.total_minor + priced.stored_value_minor,
        tax_minor=sum(total.tax_minor for total in priced.taxes),
        due_minor=priced.payable_minor - paid_minor(shown),
        customer=shown.customer is not None,
        cash_due_minor=cash_due_minor(shop, shown, priced.payable_minor),
        owed_minor=owed_minor(shown, priced),
        receipts=tuple(begun.link.number for begun in shown.originals),
        voiding=shown.voiding is not None,
        paper=shown.paper,
        written=shown.written,
        pending=till.sale.pending.kind if isinstance(till.sale, Authorizing | Enquiring) else "",
        parked=tuple(
            ParkedView(
                number=parked.basket.number,
                label=parked.label,
                lines=sum(not line.voided for line in parked.basket.lines),
                total_minor=sum(line.item.amount_minor for line in parked.basket.lines if not line.voided),
                began=parked.basket.began,
            )
            for parked in till.parked
        ),
        discounts=tuple(
            DiscountView(reason=discount.reason, amount_minor=discount.amount_minor) for discount in priced.discounts
        ),
        loading_minor=till.sale.awaited.amount_minor if isinstance(till.sale, Loading) else 0,
        exempt=shown.exemption is not None,
        allowed=takes,
        supervised=supervised,
        awaited=till.sale.awaited.item.name if isinstance(till.sale, Weighing) else None,
        held=HeldView(
            about=till.sale.held.about,
            name=till.sale.held.name,
            min_age=till.sale.held.min_age,
            unit=till.sale.held.unit,
        )
        if isinstance(till.sale, Asking)
        else None,
    )


def tax_classes(shop: Shop) -> tuple[TaxClassView, ...]:
    """The shop's tax classes as they are shown; the rate of one with several parts is their sum."""
    return tuple(
        TaxClassView(code=tax.code, rate_bp=sum(part.rate_bp for part in tax.parts) if tax.parts else tax.rate_bp)
        for tax in shop.taxes
    )


def operator_view(shop: Shop, till: Till, claim: str | None = None) -> OperatorView:
    """Who works here as it is shown."""
    who = till.operator if shop.sign_on else None
    return OperatorView(
        sign_on=shop.sign_on,
        id=who.id if who is not None else None,
        role=who.role if who is not None else None,
        locked=shop.sign_on and till.locked,
        claim=claim,
        training=till.practice is not None,
    )


def till_view(shop: Shop, till: Till) -> TillView:
    """The till's session as it is shown."""
    books, session = till.books, till.books.session
    state: Literal["closed", "itself", "open", "counting"] = "closed" if shop.till_sessions else "itself"
    if session is not None and session.counting:
        state = "counting"
    elif session is not None and not session.itself:
        state = "open"
    return TillView(
        state=state,
        sessions=shop.till_sessions,
        session=session.number if session is not None else books.settled + 1,
        business_day=session.business_day if session is not None else "",
        began=session.began if session is not None else "",
        float_minor=session.float_minor if session is not None else 0,
        counted_minor=session.counted_minor if session is not None else None,
        z=books.z.number if books.z is not None else 0,
        closed_day=books.closed_day,
        confirmed_day=books.confirmed_day,
    )


def last_view(till: Till) -> LastView | None:
    """The transaction before as it is shown."""
    last = till.last if till.practice is None else till.practice.last
    if last is None:
        return None
    completed = last.completed if not last.cancelled else None
    return LastView(
        number=last.number,
        total_minor=completed.sale.total_minor + completed.sale.stored_value_minor if completed else 0,
        change_minor=completed.sale.change_minor if completed else 0,
        printed=completed.printed if completed else 0,
        cancelled=last.cancelled,
    )


def mode_of(till: Till) -> Mode:
    match till.sale:
        case Idle():
            return "idle"
        case Ringing():
            return "ringing"
        case Weighing():
            return "weighing"
        case Asking():
            return "asking"
        case Loading():
            return "loading"
        case Unloading():
            return "unloading"
        case Tendering():
            return "tendering"
        case Authorizing():
            return "authorizing"
        case Enquiring():
            return "enquiring"
        case Reversing():
            return "reversing"
    assert_never(till.sale)


def _lines(shop: Shop, basket: Basket, off: Mapping[int, Sequence[tuple[e.Discount, int]]]) -> tuple[LineView, ...]:
    goods = [_line(line, off.get(line.item.line, ())) for line in basket.lines]
    gifts = [_gift_card(shop, gift) for gift in basket.gifts]
    return tuple(sorted((*goods, *gifts), key=lambda line: line.line)) if gifts else tuple(goods)


def _gift_card(shop: Shop, gift: GiftLine) -> LineView:
    item = gift.item
    return LineView(
        line=item.line,
        name=words(shop.language)("Gift card {card}", card=item.card),
        gtin="",
        unit="each",
        quantity_milli=1000 if item.amount_minor > 0 else -1000,
        unit_price_minor=abs(item.amount_minor),
        amount_minor=item.amount_minor,
        voided=gift.voided,
        gift_card=True,
    )


def _line(line: Line, off: Sequence[tuple[e.Discount, int]]) -> LineView:
    item = line.item
    return LineView(
        line=item.line,
        name=item.name,
        gtin=item.gtin,
        unit=item.unit,
        quantity_milli=item.quantity_milli,
        unit_price_minor=item.unit_price_minor,
        amount_minor=item.amount_minor,
        voided=line.voided,
        lot=item.lot,
        use_by=item.use_by,
        best_before=item.best_before,
        discount_minor=sum(amount for _, amount in off),
        discounts=tuple(
            DiscountView(reason=discount.reason, amount_minor=amount) for discount, amount in off if not discount.whole
        ),
        regular_minor=line.regular_minor,
    )
