"""The nouns of a till: what it remembers, as the fold of its journal's entries and nothing else.

`apply` is that fold; boot runs it over the journal from a checkpoint. The transitions that write the entries are in
`core.sale`.
"""

from typing import Literal, assert_never

import msgspec

from core import entries as e
from core.language import Tag
from core.money import Currency, Rounding
from core.order_book import OrderBook, fold_order
from core.permissions import Operator
from core.promotion import Rulebook
from core.scan import CodeRules, VariableMeasure
from core.stripe import CardRange
from core.tax import TaxRate, TaxRounding
from core.till import Books, fold
from core.wallet import Wallet

VOUCHERS_MAX = 2_000
"""Vouchers that have paid and are remembered; the oldest are forgotten first."""
COUPONS_MAX = 500
"""Coupons for a single time that are remembered; the oldest are forgotten first."""
PROVIDED_MAX = 200
"""Items from the counter that are remembered; the oldest are forgotten first."""
UNLOADED_MAX = 100
"""Gift cards that were taken back too late and are remembered; the oldest are forgotten first."""
PAPERS_MAX = 50
"""Receipts whose copies and invoices are remembered; of others the journal tells."""
UNPRINTED_MAX = 20
"""Receipts that wait for a printer; of more, the oldest are only to be had as a copy from the journal."""


VoucherRest = Literal["none", "forfeit", "change"]
DatePolicy = Literal["warn", "refuse"]


class Shop(msgspec.Struct, frozen=True, kw_only=True):
    """What a till is told by its configuration, and its promotions, which headquarters may send too.

    `vouchers`, `staff` and `loyalty` are what the shop's own codes begin with.
    """

    name: str
    address: tuple[str, ...]
    terminal: str
    currency: Currency
    taxes: tuple[TaxRate, ...]
    layouts: tuple[VariableMeasure, ...] = ()
    vouchers: tuple[str, ...] = ()
    staff: tuple[str, ...] = ()
    loyalty: tuple[str, ...] = ()
    best_before: DatePolicy = "warn"
    sell_by: DatePolicy = "warn"
    paper_columns: int = 42
    promotions: Rulebook = Rulebook()
    tax_rounding: TaxRounding = "total"
    cash_unit_minor: int = 1
    cash_rounding: Rounding = "half-up"
    price_minor_max: int = 10**8
    language: Tag = "en"
    """Of its papers and its screens."""
    tax_number: str = ""
    """The shop's own, on receipts and invoices."""
    voucher_tenders: tuple["VoucherKind", ...] = ()
    account_limit_minor: int = 0
    """What one sale may charge to a customer's account; 0 where nobody sells on account."""
    unreceipted_return_minor_max: int = 10_000
    """What one line may come to that is taken back without a receipt."""
    keyed_weight: bool = True
    """Whether a weight may be typed."""
    drawer_must_shut: bool = False
    """Whether no sale begins while the drawer is open."""
    sign_on: bool = False
    """Whether nobody does anything without signing on; else the operator is "", and has every role."""
    badge_alone: bool = False
    """Whether a cashier's badge signs him on without his PIN."""
    till_sessions: bool = False
    """Whether nothing is sold while no session of the till is open."""
    day_end_hour: int = 0
    """Until this hour of the night what is done belongs to the business day before."""
    move_minor_max: int = 10**7
    """The most cash that goes into the till or out of it at once."""
    wallets: tuple[Wallet, ...] = ()
    """Those whose codes the payment device takes."""
    cards: tuple[CardRange, ...] = ()
    """The numbers of the shop's own cards, as a reader of stripes knows them."""
    gift_card_minor_max: int = 0
    """The most that one gift card is sold with; 0 where none are sold."""
    gift_card_cash_out_minor_max: int = 0
    """The most that is paid out of what is left on a gift card; 0 where nothing is."""
    gift_card_amounts_minor: tuple[int, ...] = ()
    """What gift cards are sold with; empty where the operator says how much."""
    key_lock: bool = False
    """Whether there is a key lock (`core.keylock`)."""
    key_approves: bool = False
    """Whether its supervisor position allows what takes a supervisor."""

    @property
    def takes_gift_cards(self) -> bool:
        """Whether any number is a gift card's."""
        return any(one.kind == "gift" for one in self.cards)

    def code_rules(self) -> CodeRules:
        """What its codes are understood by."""
        return CodeRules(
            layouts=self.layouts,
            vouchers=(*self.vouchers, *(kind.prefix for kind in self.voucher_tenders)),
            staff=self.staff,
            loyalty=self.loyalty,
            cards=self.cards,
            currency=self.currency,
        )


class VoucherKind(msgspec.Struct, frozen=True, kw_only=True):
    """Vouchers of the shop's own that pay: what their codes begin with, what each is worth, and what becomes of the rest
    where less is due: it is not taken (``none``), lost (``forfeit``), or given in cash (``change``)."""

    prefix: str
    amount_minor: int
    rest: VoucherRest = "none"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line item of the open transaction (POSLog LineItem with Sale).

    `regular_minor` is the price for one unit that stood in the catalogue, where `item` has another; `given` is what a
    person gave off.
    """

    item: e.ItemAdded
    voided: bool = False
    regular_minor: int | None = None
    given: e.DiscountGiven | None = None


class GiftLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the open transaction that sells a gift card, or that takes back what was on one. Lines are numbered with goods'."""

    item: e.GiftCardAdded | e.GiftCardReturned
    voided: bool = False


class GiftOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What the payment device was asked to do with a gift card's value and has not settled."""

    asked: e.StoredValueRequested
    phase: Literal["pending", "unknown"] = "pending"


Phase = Literal["pending", "unknown", "posted", "reversing", "reversal-unknown", "reversed"]


class Tender(msgspec.Struct, frozen=True, kw_only=True):
    """Money on its way or taken. A card's carries the `reference` by which the payment device is asked about it."""

    tender: int
    kind: Literal["CASH", "CREDIT", "MOBILE", "STORED_VALUE", "VOUCHER", "CUST_ACCT"]
    amount_minor: int
    phase: Phase
    reference: str = ""
    poi_transaction: str = ""
    authorisation: str = ""
    brand: str = ""
    card: str = ""
    signature: bool = False
    voucher: str = ""
    refund_of: str = ""
    """Where this is money that goes back: the reference of the payment that it goes back to; ``cash`` for cash."""

    @property
    def signed_minor(self) -> int:
        """What came in by it; below zero what went out."""
        return -self.amount_minor if self.refund_of else self.amount_minor


class Basket(msgspec.Struct, frozen=True, kw_only=True):
    """An open transaction: its lines and the tenders posted towards it.

    `discounts` are fixed once payment begins, until goods change; None while they follow from the rules. `coupons` are
    those presented, each with its promotion; `given` is what a person gave on the whole. `paper` and `written` are of a
    sale that was written by hand (`core.entries.TransactionOpened`).
    """

    number: int
    business_day: str
    lines: tuple[Line, ...] = ()
    tenders: tuple[Tender, ...] = ()
    tenders_begun: int = 0
    customer: str | None = None
    began: str = ""
    discounts: tuple[e.Discount, ...] | None = None
    coupons: tuple[e.CouponTaken, ...] = ()
    given: e.DiscountGiven | None = None
    exemption: e.TaxExempted | None = None
    ages: tuple[e.AgeChecked, ...] = ()
    paper: str = ""
    written: str = ""
    originals: tuple[e.ReturnBegun, ...] = ()
    """The finished sales that goods come back of."""
    unrefunded: tuple[str, ...] = ()
    """References of payments that the payment device gives no money back to."""
    gifts: tuple[GiftLine, ...] = ()
    """Gift cards that are sold, or taken back."""
    unloads_begun: int = 0
    """How often the payment device was asked to take value off a gift card: each has a reference of its own."""

    @property
    def next_line(self) -> int:
        """The number of the line that is rung up next."""
        return len(self.lines) + len(self.gifts) + 1

    @property
    def voiding(self) -> e.ReturnBegun | None:
        """The finished transaction that this one makes undone."""
        return next((begun for begun in self.originals if begun.void_reason), None)


class Parked(msgspec.Struct, frozen=True, kw_only=True):
    """A basket that was put aside, and the name to find it by."""

    basket: Basket
    label: str = ""


class Idle(msgspec.Struct, frozen=True, kw_only=True, tag="idle"):
    """No transaction is open."""


class Ringing(msgspec.Struct, frozen=True, kw_only=True, tag="ringing"):
    """Goods are rung up; nothing has been paid."""

    basket: Basket


class Weighing(msgspec.Struct, frozen=True, kw_only=True, tag="weighing"):
    """Goods are rung up, and the last of them waits for its weight."""

    basket: Basket
    awaited: e.WeightAwaited


class Asking(msgspec.Struct, frozen=True, kw_only=True, tag="asking"):
    """Goods are rung up, and an item waits for the operator's answer."""

    basket: Basket
    held: e.ItemHeld


class Loading(msgspec.Struct, frozen=True, kw_only=True, tag="loading"):
    """Goods are rung up, and a gift card that is to be sold has to be shown."""

    basket: Basket
    awaited: e.GiftCardAwaited


class Unloading(msgspec.Struct, frozen=True, kw_only=True, tag="unloading"):
    """Goods come back, and the payment device is taking back what is on a gift card."""

    basket: Basket
    pending: GiftOrder


class Tendering(msgspec.Struct, frozen=True, kw_only=True, tag="tendering"):
    """A part has been paid, and a balance is due."""

    basket: Basket


class Authorizing(msgspec.Struct, frozen=True, kw_only=True, tag="authorizing"):
    """The payment device has been asked to charge a card and has not answered yet."""

    basket: Basket
    pending: Tender


class Enquiring(msgspec.Struct, frozen=True, kw_only=True, tag="enquiring"):
    """Whether the card was charged is unknown; the payment device is asked until it tells."""

    basket: Basket
    pending: Tender


class Reversing(msgspec.Struct, frozen=True, kw_only=True, tag="reversing"):
    """The basket is being given up; card payments go back first."""

    basket: Basket


Sale = Idle | Ringing | Weighing | Asking | Loading | Unloading | Tendering | Authorizing | Enquiring | Reversing


class Completed(msgspec.Struct, frozen=True, kw_only=True):
    """A finished transaction, whole enough to print its receipt: `printed` papers, `copies` and `invoices` that were asked
    for."""

    sale: e.TransactionCompleted
    basket: Basket
    printed: int = 0
    copies: int = 0
    invoices: int = 0


class Papers(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """How many copies and invoices of a receipt were asked for lately."""

    number: int
    copies: int = 0
    invoices: int = 0


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """The transaction before: completed, or cancelled. `completed` is the last one with a receipt, this or one before it."""

    number: int
    cancelled: bool = False
    completed: Completed | None = None


class Day(msgspec.Struct, frozen=True, kw_only=True):
    """Completed sales of one business day."""

    business_day: str = ""
    transactions: int = 0
    amount_minor: int = 0


class Till(msgspec.Struct, frozen=True, kw_only=True):
    """All that a till remembers. `aside` are card payments that no sale waits for and that are not settled yet, `gifts` the
    same of gift cards' value, `unloaded` references of value that was taken back too late for its money to be given;
    `clock_doubted` is the last day (ISO 8601) that was believed, where the clock is doubted; `coupons` are those for
    a single time of completed sales, the newest last; `power_weak`
    is since this start; `drawer_open` is as its sensor last said."""

    sale: Sale = Idle()
    next_number: int = 1
    last: Last | None = None
    day: Day = Day()
    unprinted: tuple[Completed, ...] = ()
    aside: tuple[Tender, ...] = ()
    started: bool = False
    clock_doubted: str | None = None
    power_weak: bool = False
    drawer_open: bool = False
    coupons: tuple[str, ...] = ()
    provided: tuple[e.ItemProvided, ...] = ()
    operator: Operator | None = None
    """Who is signed on."""
    locked: bool = False
    """Whether he has to sign on again first."""
    practice: "Till | None" = None
    """The till of training, while there is training."""
    next_practice: int = 0
    """The next training transaction's number; 0 before the first training."""
    parked: tuple[Parked, ...] = ()
    vouchers: tuple[str, ...] = ()
    """Vouchers that have paid, the newest last."""
    books: Books = Books()
    gifts: tuple[GiftOrder, ...] = ()
    unloaded: tuple[str, ...] = ()
    key: str = ""
    """Where the key lock stands; empty before it was ever seen."""
    papers: tuple[Papers, ...] = ()
    """Of the receipts of which a paper was asked for last, the newest last."""
    orders: OrderBook = OrderBook()


def voucher_kind(shop: Shop, code: str) -> VoucherKind | None:
    """What a code is worth as a tender; None where it is none."""
    return next((kind for kind in shop.voucher_tenders if code.startswith(kind.prefix)), None)


def basket_of(sale: Sale) -> Basket | None:
    """The open transaction, if there is one."""
    return None if isinstance(sale, Idle) else sale.basket


def is_empty(basket: Basket) -> bool:
    """Whether nothing in it stands."""
    return all(line.voided for line in basket.lines) and all(gift.voided for gift in basket.gifts)


def apply(till: Till, entry: e.AnyEntry) -> Till:
    """The till after an entry. Raises AssertionError on one that cannot follow what came before."""
    books = fold(till.books, entry, *unsaid(till, entry))
    after = _after(till, entry)
    return after if books is till.books else msgspec.structs.replace(after, books=books)


def unsaid(till: Till, entry: e.AnyEntry) -> tuple[int, int, bool]:
    """What an entry comes to that does not say so itself (minor units): the card payment that it gives back, or the line
    that it takes back, 0 for others; and whether what was approved is money that goes back to a card."""
    basket = basket_of(till.sale)
    match entry:
        case e.PaymentReversed():
            tenders = (*till.aside, *(basket.tenders if basket is not None else ()))
            return sum(tender.amount_minor for tender in tenders if tender.reference == entry.reference), 0, False
        case e.LineVoided() if basket is not None:
            goods = sum(line.item.amount_minor for line in basket.lines if line.item.line == entry.line)
            gifts = sum(gift.item.amount_minor for gift in basket.gifts if gift.item.line == entry.line)
            return 0, goods + gifts, False
        case e.PaymentApproved():
            asked = (till.sale.pending,) if isinstance(till.sale, Authorizing | Enquiring) else ()
            given = any(tender.refund_of and tender.reference == entry.reference for tender in (*till.aside, *asked))
            return 0, 0, given
        case _:
            return 0, 0, False


def _after(till: Till, entry: e.AnyEntry) -> Till:
    match entry:
        case e.EpochOpened():
            next_number = max(till.next_number, entry.number + 1)
            if entry.reason == e.RESTORED:
                # What was open then went on elsewhere, and was finished there or is for people to look into.
                return Till(
                    next_number=next_number,
                    day=till.day,
                    started=till.started,
                    coupons=till.coupons,
                    provided=till.provided,
                    vouchers=till.vouchers,
                    books=till.books,
                    next_practice=till.next_practice,
                    orders=till.orders,
                )
            return msgspec.structs.replace(till, next_number=next_number)
        case e.RecordsReturned():
            return _returned(till, entry)
        case (
            e.OrderTaken() | e.OrderBegun() | e.OrderEnded() | e.OrderTold() | e.TerminalLocked() | e.TerminalUnlocked()
            | e.NotePosted() | e.NoteSeen()
        ):  # fmt: skip
            return msgspec.structs.replace(till, orders=fold_order(till.orders, entry))
        case (
            e.ClaimOpened() | e.CaseOpened() | e.ConfigurationOrdered() | e.ItemRefused() | e.OutlierNoticed() | e.DrawerCommanded() | e.DrawerLeftOpen() | e.DrawerStayedShut()
            | e.DeviceReported() | e.JournalVerified() | e.SegmentPruned()
            | e.BusinessDayConfirmed() | e.TillOpened() | e.CashMoved() | e.CountBegun() | e.CountGivenUp()
            | e.TillCounted() | e.PaymentsReconciled() | e.TillSettled() | e.ZReported() | e.ReportCopied()
        ):  # fmt: skip
            return till
        case e.KeyLockTurned():
            return msgspec.structs.replace(till, key=entry.position)
        case e.DrawerOpened() | e.DrawerClosed() | e.DrawerFound():
            is_open = entry.is_open if isinstance(entry, e.DrawerFound) else isinstance(entry, e.DrawerOpened)
            return msgspec.structs.replace(till, drawer_open=is_open)
        case e.ClockStepped():
            return msgspec.structs.replace(till, clock_doubted=entry.doubted)
        case e.DaemonStarted():
            return msgspec.structs.replace(till, started=True, power_weak=False)
        case e.PowerChanged():
            return msgspec.structs.replace(till, power_weak=entry.weak)
        case e.DaemonStopped():
            return msgspec.structs.replace(till, started=False)
        case e.TransactionOpened():
            assert isinstance(till.sale, Idle), "a transaction opened inside another"
            basket = Basket(
                number=entry.number,
                business_day=entry.business_day,
                began=entry.began,
                paper=entry.paper,
                written=entry.written,
            )
            return msgspec.structs.replace(till, sale=Ringing(basket=basket), next_number=entry.number + 1)
        case e.TransactionSuspended() | e.TransactionResumed():
            return _parked(till, entry)
        case e.TransactionCompleted():
            return _completed(till, entry)
        case e.TransactionCancelled():
            completed = till.last.completed if till.last is not None else None
            last = Last(number=entry.number, cancelled=True, completed=completed)
            return msgspec.structs.replace(till, sale=Idle(), last=last)
        case e.ReceiptPrinted():
            return _printed(till, entry)
        case e.CopyOrdered() | e.InvoiceOrdered():
            return _ordered(till, entry)
        case e.WeightAwaited() | e.WeighingGivenUp():
            return msgspec.structs.replace(till, sale=_weighing(till.sale, entry))
        case e.ItemProvided():
            others = (each for each in till.provided if each.gtin != entry.gtin)
            return msgspec.structs.replace(till, provided=(*others, entry)[-PROVIDED_MAX:])
        case e.ItemHeld() | e.AgeChecked() | e.HeldItemGivenUp():
            return msgspec.structs.replace(till, sale=_asking(till.sale, entry))
        case (
            e.ItemAdded() | e.QuantityChanged() | e.LineVoided() | e.CustomerIdentified() | e.PriceOverridden()
            | e.DiscountGiven() | e.DiscountWithdrawn() | e.CouponTaken() | e.TaxExempted() | e.DiscountsApplied()
            | e.LineRepriced() | e.ReturnBegun()
        ):  # fmt: skip
            return msgspec.structs.replace(till, sale=_rung_up(till.sale, entry))
        case e.GiftCardAwaited() | e.GiftCardGivenUp() | e.GiftCardAdded() | e.GiftCardReturned():
            return _gift(till, entry)
        case (
            e.StoredValueRequested() | e.StoredValueApproved() | e.StoredValueRefused() | e.StoredValueUnknown()
            | e.StoredValueSetAside()
        ):  # fmt: skip
            return _stored_value(till, entry)
        case e.TrainingBegun():
            return msgspec.structs.replace(till, practice=Till(next_number=entry.number), next_practice=entry.number)
        case e.TrainingEnded():
            return msgspec.structs.replace(till, practice=None)
        case e.Trained():
            assert till.practice is not None, "training outside of training"
            practice = apply(till.practice, entry.entry)
            return msgspec.structs.replace(till, practice=practice, next_practice=practice.next_number)
        case (
            e.OperatorSignedOn() | e.OperatorSignedOff() | e.SignOnRefused() | e.TillLocked()
            | e.OperatorAdministered()
        ):  # fmt: skip
            return _staffed(till, entry)
        case e.TransactionVoided():
            coupons = tuple(coupon for coupon in till.coupons if coupon not in entry.coupons)
            return msgspec.structs.replace(till, coupons=coupons)
        case e.ReturnUnreceipted():
            return till
        case (
            e.CashTendered() | e.PaymentRequested() | e.CashRefunded() | e.RefundRequested() | e.VoucherTendered()
            | e.AccountCharged() | e.AccountCredited()
        ):  # fmt: skip
            return msgspec.structs.replace(till, sale=_tendered(till.sale, entry))
        case (
            e.PaymentApproved() | e.PaymentDeclined() | e.PaymentUnknown() | e.PaymentSetAside()
            | e.ReversalRequested() | e.PaymentReversed()
        ):  # fmt: skip
            return _payment(till, entry)
    assert_never(entry)


_StaffEntry = e.OperatorSignedOn | e.OperatorSignedOff | e.SignOnRefused | e.TillLocked | e.OperatorAdministered


def _staffed(till: Till, entry: _StaffEntry) -> Till:
    match entry:
        case e.OperatorSignedOn():
            operator = Operator(id=entry.operator, role=entry.role)
            return msgspec.structs.replace(till, operator=operator, locked=False)
        case e.OperatorSignedOff():
            return msgspec.structs.replace(till, operator=None, locked=False)
        case e.TillLocked():
            return msgspec.structs.replace(till, locked=True)
        case e.OperatorAdministered(change="removed" | "role") if till.operator and till.operator.id == entry.subject:
            # Whoever works here as something else now, or no more, shows it by signing on again.
            return msgspec.structs.replace(till, locked=True)
        case e.OperatorAdministered() | e.SignOnRefused():
            return till
    assert_never(entry)


def _parked(till: Till, entry: e.TransactionSuspended | e.TransactionResumed) -> Till:
    match entry:
        case e.TransactionSuspended():
            assert isinstance(till.sale, Ringing), "only what nothing is paid of can be parked"
            assert till.sale.basket.number == entry.number, "another basket is parked than the open one"
            parked = Parked(basket=till.sale.basket, label=entry.label)
            return msgspec.structs.replace(till, sale=Idle(), parked=(*till.parked, parked))
        case e.TransactionResumed():
            assert isinstance(till.sale, Idle), "a basket taken up inside another sale"
            found = next((parked for parked in till.parked if parked.basket.number == entry.number), None)
            assert found is not None, "a basket taken up that is not parked"
            # Its prices and promotions are those of now.
            basket = msgspec.structs.replace(
                found.basket, business_day=entry.business_day, began=entry.began, discounts=None
            )
            others = tuple(parked for parked in till.parked if parked is not found)
            return msgspec.structs.replace(till, sale=Ringing(basket=basket), parked=others)
    assert_never(entry)


def _weighing(sale: Sale, entry: e.WeightAwaited | e.WeighingGivenUp) -> Sale:
    match entry:
        case e.WeightAwaited():
            assert isinstance(sale, Ringing | Asking), "weighing outside of ringing up"
            return Weighing(basket=sale.basket, awaited=entry)
        case e.WeighingGivenUp():
            assert isinstance(sale, Weighing), "nothing waited for its weight"
            return Ringing(basket=sale.basket)
    assert_never(entry)


def _asking(sale: Sale, entry: e.ItemHeld | e.AgeChecked | e.HeldItemGivenUp) -> Sale:
    match entry:
        case e.ItemHeld():
            assert isinstance(sale, Ringing), "an item held outside of ringing up"
            return Asking(basket=sale.basket, held=entry)
        case e.AgeChecked():
            assert isinstance(sale, Asking), "an age that was not asked for"
            return Ringing(basket=msgspec.structs.replace(sale.basket, ages=(*sale.basket.ages, entry)))
        case e.HeldItemGivenUp():
            assert isinstance(sale, Asking), "no item waited"
            return Ringing(basket=sale.basket)
    assert_never(entry)


_GiftEntry = e.GiftCardAwaited | e.GiftCardGivenUp | e.GiftCardAdded | e.GiftCardReturned


def _gift(till: Till, entry: _GiftEntry) -> Till:
    replace, sale = msgspec.structs.replace, till.sale
    match entry:
        case e.GiftCardAwaited():
            assert isinstance(sale, Ringing), "a gift card awaited outside of ringing up"
            return replace(till, sale=Loading(basket=sale.basket, awaited=entry))
        case e.GiftCardGivenUp():
            assert isinstance(sale, Loading), "no gift card was awaited"
            return replace(till, sale=Ringing(basket=sale.basket))
        case e.GiftCardAdded() | e.GiftCardReturned():
            assert isinstance(sale, Loading | Ringing), "a gift card that was not awaited"
            basket = replace(sale.basket, gifts=(*sale.basket.gifts, GiftLine(item=entry)))
            unloaded = till.unloaded
            if isinstance(entry, e.GiftCardReturned):
                unloaded = tuple(each for each in unloaded if each != entry.original)
            return replace(till, sale=Ringing(basket=basket), unloaded=unloaded)
    assert_never(entry)


_StoredValueEntry = (
    e.StoredValueRequested | e.StoredValueApproved | e.StoredValueRefused | e.StoredValueUnknown | e.StoredValueSetAside
)


def _stored_value(till: Till, entry: _StoredValueEntry) -> Till:
    """What a sale waits for is in the sale, all else is beside it."""
    replace, sale = msgspec.structs.replace, till.sale
    if isinstance(entry, e.StoredValueRequested):
        order = GiftOrder(asked=entry)
        if entry.operation not in ("unload", "cash-out"):
            return replace(till, gifts=(*till.gifts, order))
        assert isinstance(sale, Ringing | Loading), "value taken back outside of a return"
        basket = replace(sale.basket, unloads_begun=sale.basket.unloads_begun + 1)
        return replace(till, sale=Unloading(basket=basket, pending=order))
    if isinstance(sale, Unloading) and sale.pending.asked.reference == entry.reference:
        match entry:
            case e.StoredValueUnknown():
                pending = replace(sale.pending, phase="unknown")
                return replace(till, sale=Unloading(basket=sale.basket, pending=pending))
            case e.StoredValueSetAside():
                return replace(till, sale=Ringing(basket=sale.basket), gifts=(*till.gifts, sale.pending))
            case e.StoredValueApproved() | e.StoredValueRefused():
                return replace(till, sale=Ringing(basket=sale.basket))
        assert_never(entry)
    found = next((order for order in till.gifts if order.asked.reference == entry.reference), None)
    assert found is not None, "an answer about no gift card"
    others = tuple(order for order in till.gifts if order is not found)
    match entry:
        case e.StoredValueUnknown():
            unknown = replace(found, phase="unknown")
            return replace(till, gifts=tuple(unknown if order is found else order for order in till.gifts))
        case e.StoredValueApproved() if found.asked.operation == "unload":
            return replace(till, gifts=others, unloaded=(*till.unloaded, found.asked.original)[-UNLOADED_MAX:])
        case e.StoredValueApproved() | e.StoredValueRefused():
            return replace(till, gifts=others)
        case e.StoredValueSetAside():
            raise AssertionError("nobody waited for this gift card")
    assert_never(entry)


_GoodsEntry = (
    e.ItemAdded
    | e.QuantityChanged
    | e.LineVoided
    | e.CustomerIdentified
    | e.PriceOverridden
    | e.DiscountGiven
    | e.DiscountWithdrawn
    | e.CouponTaken
    | e.TaxExempted
    | e.DiscountsApplied
    | e.LineRepriced
    | e.ReturnBegun
)


def _rung_up(sale: Sale, entry: _GoodsEntry) -> Sale:
    """What waited for its weight or its price has it with the next item, which is itself."""
    assert isinstance(sale, Ringing | Weighing | Asking | Loading | Tendering), "goods changed outside of ringing up"
    basket = _goods(sale.basket, entry)
    if isinstance(sale, Weighing | Asking) and isinstance(entry, e.ItemAdded | e.QuantityChanged):
        return Ringing(basket=basket)
    return msgspec.structs.replace(sale, basket=basket)


def _goods(basket: Basket, entry: _GoodsEntry) -> Basket:
    replace = msgspec.structs.replace
    match entry:
        case e.ItemAdded():
            return replace(basket, lines=(*basket.lines, Line(item=entry)), discounts=None)
        case e.QuantityChanged():
            return _line(
                basket, entry.line, voided=False, quantity_milli=entry.quantity_milli, amount_minor=entry.amount_minor
            )
        case e.LineVoided():
            return _line(basket, entry.line, voided=True)
        case e.ReturnBegun():
            return replace(basket, originals=(*basket.originals, entry))
        case e.LineRepriced():
            return _line(
                basket,
                entry.line,
                voided=False,
                unit_price_minor=entry.unit_price_minor,
                amount_minor=entry.amount_minor,
            )
        case e.PriceOverridden():
            return _overridden(basket, entry)
        case e.DiscountGiven(line=0):
            return replace(basket, given=entry, discounts=None)
        case e.DiscountWithdrawn(line=0):
            return replace(basket, given=None, discounts=None)
        case e.DiscountGiven() | e.DiscountWithdrawn():
            given = entry if isinstance(entry, e.DiscountGiven) else None
            lines = tuple(replace(line, given=given) if line.item.line == entry.line else line for line in basket.lines)
            return replace(basket, lines=lines, discounts=None)
        case e.CouponTaken():
            return replace(basket, coupons=(*basket.coupons, entry), discounts=None)
        case e.TaxExempted():
            return replace(basket, exemption=entry if entry.reason else None)
        case e.DiscountsApplied():
            return replace(basket, discounts=entry.discounts)
        case e.CustomerIdentified():
            return replace(basket, customer=entry.customer)
    assert_never(entry)


def _overridden(basket: Basket, entry: e.PriceOverridden) -> Basket:
    lines = tuple(
        msgspec.structs.replace(
            line,
            item=msgspec.structs.replace(
                line.item, unit_price_minor=entry.unit_price_minor, amount_minor=entry.amount_minor
            ),
            regular_minor=entry.regular_unit_price_minor,
        )
        if line.item.line == entry.line
        else line
        for line in basket.lines
    )
    return msgspec.structs.replace(basket, lines=lines, discounts=None)


def _line(basket: Basket, number: int, *, voided: bool, **changes: int) -> Basket:
    lines = tuple(
        msgspec.structs.replace(line, item=msgspec.structs.replace(line.item, **changes), voided=voided)
        if line.item.line == number
        else line
        for line in basket.lines
    )
    gifts = tuple(
        msgspec.structs.replace(gift, voided=voided) if gift.item.line == number else gift for gift in basket.gifts
    )
    return msgspec.structs.replace(basket, lines=lines, gifts=gifts, discounts=None)


_TenderEntry = (
    e.CashTendered
    | e.PaymentRequested
    | e.CashRefunded
    | e.RefundRequested
    | e.VoucherTendered
    | e.AccountCharged
    | e.AccountCredited
)


def _tendered(sale: Sale, entry: _TenderEntry) -> Sale:
    assert isinstance(sale, Ringing | Tendering), "a tender outside of a sale"
    # From here on no rule is asked any more: without a record of discounts there are none.
    fixed = sale.basket.discounts or ()
    basket = msgspec.structs.replace(sale.basket, tenders_begun=entry.tender, discounts=fixed)
    match entry:
        case e.CashTendered():
            cash = Tender(tender=entry.tender, kind="CASH", amount_minor=entry.amount_minor, phase="posted")
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, cash)))
        case e.VoucherTendered():
            paid = Tender(
                tender=entry.tender,
                kind="VOUCHER",
                amount_minor=entry.amount_minor,
                phase="posted",
                voucher=entry.voucher,
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, paid)))
        case e.AccountCharged() | e.AccountCredited():
            account = Tender(
                tender=entry.tender,
                kind="CUST_ACCT",
                amount_minor=entry.amount_minor,
                phase="posted",
                refund_of=entry.original if isinstance(entry, e.AccountCredited) else "",
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, account)))
        case e.CashRefunded():
            back = Tender(
                tender=entry.tender, kind="CASH", amount_minor=entry.amount_minor, phase="posted", refund_of="cash"
            )
            return Tendering(basket=msgspec.structs.replace(basket, tenders=(*basket.tenders, back)))
        case e.RefundRequested():
            refund = Tender(
                tender=entry.tender,
                kind=entry.kind,
                amount_minor=entry.amount_minor,
                phase="pending",
                reference=entry.reference,
                refund_of=entry.original,
            )
            return Authorizing(basket=basket, pending=refund)
        case e.PaymentRequested():
            pending = Tender(
                tender=entry.tender,
                kind=entry.kind,
                amount_minor=entry.amount_minor,
                phase="pending",
                reference=entry.reference,
                card=entry.card,
            )
            return Authorizing(basket=basket, pending=pending)
    assert_never(entry)


_PaymentEntry = (
    e.PaymentApproved
    | e.PaymentDeclined
    | e.PaymentUnknown
    | e.PaymentSetAside
    | e.ReversalRequested
    | e.PaymentReversed
)


def _payment(till: Till, entry: _PaymentEntry) -> Till:
    """Routes a payment's entry to where its tender is: set aside, pending in the sale, or posted in the basket."""
    if any(tender.reference == entry.reference for tender in till.aside):
        aside = tuple(
            after
            for tender in till.aside
            if (after := _aside(tender, entry) if tender.reference == entry.reference else tender)
        )
        return msgspec.structs.replace(till, aside=aside)
    sale = till.sale
    if isinstance(sale, Authorizing | Enquiring) and sale.pending.reference == entry.reference:
        return _pending(till, sale, entry)
    basket = basket_of(sale)
    assert basket is not None, "a payment of no sale"
    assert any(tender.reference == entry.reference for tender in basket.tenders), "a payment of no tender"
    if isinstance(entry, e.PaymentSetAside):
        given = tuple(t for t in basket.tenders if t.reference == entry.reference)
        kept = tuple(t for t in basket.tenders if t.reference != entry.reference)
        reversing = Reversing(basket=msgspec.structs.replace(basket, tenders=kept))
        return msgspec.structs.replace(till, sale=reversing, aside=(*till.aside, *given))
    tenders = tuple(
        (_tender(tender, entry) or msgspec.structs.replace(tender, phase="reversed"))
        if tender.reference == entry.reference
        else tender
        for tender in basket.tenders
    )
    return msgspec.structs.replace(till, sale=Reversing(basket=msgspec.structs.replace(basket, tenders=tenders)))


def _pending(till: Till, sale: Authorizing | Enquiring, entry: _PaymentEntry) -> Till:
    basket = sale.basket
    back: Sale = Tendering(basket=basket) if basket.tenders else Ringing(basket=basket)
    match entry:
        case e.PaymentApproved():
            posted = _tender(sale.pending, entry)
            assert posted is not None
            paid = msgspec.structs.replace(basket, tenders=(*basket.tenders, posted))
            return msgspec.structs.replace(till, sale=Tendering(basket=paid))
        case e.PaymentDeclined():
            return msgspec.structs.replace(till, sale=_declined(sale, entry))
        case e.PaymentUnknown():
            unknown = msgspec.structs.replace(sale.pending, phase="unknown")
            return msgspec.structs.replace(till, sale=Enquiring(basket=basket, pending=unknown))
        case e.PaymentSetAside() if sale.pending.refund_of:
            # It may have gone back, and must not go back twice: it counts as given until it is known not to be.
            given = msgspec.structs.replace(sale.pending, phase="posted")
            given_back = msgspec.structs.replace(basket, tenders=(*basket.tenders, given))
            return msgspec.structs.replace(till, sale=Tendering(basket=given_back), aside=(*till.aside, sale.pending))
        case e.PaymentSetAside():
            return msgspec.structs.replace(till, sale=back, aside=(*till.aside, sale.pending))
        case e.ReversalRequested() | e.PaymentReversed():
            raise AssertionError("a reversal of a payment that was not approved")
    assert_never(entry)


def _aside(tender: Tender, entry: _PaymentEntry) -> Tender | None:
    """What is left to settle of a payment that no sale waits for: money that went back to a card needs nothing more."""
    return None if tender.refund_of and isinstance(entry, e.PaymentApproved) else _tender(tender, entry)


RETRIED = ("aborted", "busy")
"""Reasons for which a card's refund is refused that do not stand in the way of the next try."""


def _declined(sale: Authorizing | Enquiring, entry: e.PaymentDeclined) -> Sale:
    """No money moved. A card that takes none back is remembered: the money goes back in cash then."""
    basket, origin = sale.basket, sale.pending.refund_of
    if origin and entry.reason not in RETRIED:
        basket = msgspec.structs.replace(basket, unrefunded=(*basket.unrefunded, origin))
    return Tendering(basket=basket) if basket.tenders else Ringing(basket=basket)


def _tender(tender: Tender, entry: _PaymentEntry) -> Tender | None:
    """One card payment after its entry; None when it is settled without money."""
    match entry:
        case e.PaymentApproved():
            return msgspec.structs.replace(
                tender,
                phase="posted",
                amount_minor=entry.amount_minor,
                poi_transaction=entry.poi_transaction,
                authorisation=entry.authorisation,
                brand=entry.brand,
                card=entry.card or tender.card,
                signature=entry.signature,
            )
        case e.PaymentDeclined() | e.PaymentReversed():
            return None
        case e.PaymentUnknown():
            return msgspec.structs.replace(
                tender, phase="unknown" if tender.phase in ("pending", "unknown") else "reversal-unknown"
            )
        case e.ReversalRequested():
            return msgspec.structs.replace(tender, phase="reversing")
        case e.PaymentSetAside():
            return tender
    assert_never(entry)


def _returned(till: Till, entry: e.RecordsReturned) -> Till:
    day = till.day
    if entry.business_day == day.business_day:
        day = msgspec.structs.replace(
            day,
            transactions=day.transactions + entry.day_transactions,
            amount_minor=day.amount_minor + entry.day_amount_minor,
        )
    elif entry.business_day > day.business_day:
        day = Day(
            business_day=entry.business_day,
            transactions=entry.day_transactions,
            amount_minor=entry.day_amount_minor,
        )
    return msgspec.structs.replace(till, day=day, next_number=max(till.next_number, entry.number + 1))


def _completed(till: Till, entry: e.TransactionCompleted) -> Till:
    basket = basket_of(till.sale)
    assert basket is not None, "a completion of no open transaction"
    assert basket.number == entry.number, "a completion of another transaction"
    completed = Completed(sale=entry, basket=basket)
    day = till.day if till.day.business_day == entry.business_day else Day(business_day=entry.business_day)
    return msgspec.structs.replace(
        till,
        sale=Idle(),
        last=Last(number=entry.number, completed=completed),
        unprinted=(*till.unprinted, completed)[-UNPRINTED_MAX:],
        vouchers=(*till.vouchers, *(paid.voucher for paid in basket.tenders if paid.voucher))[-VOUCHERS_MAX:],
        coupons=(*till.coupons, *(taken.coupon for taken in basket.coupons if taken.once))[-COUPONS_MAX:],
        day=msgspec.structs.replace(
            day, transactions=day.transactions + 1, amount_minor=day.amount_minor + entry.total_minor
        ),
    )


def _printed(till: Till, entry: e.ReceiptPrinted) -> Till:
    unprinted = tuple(completed for completed in till.unprinted if completed.sale.number != entry.number)
    last = till.last
    if last is not None and last.completed is not None and last.completed.sale.number == entry.number:
        last = msgspec.structs.replace(last, completed=papered(last.completed, entry))
    return msgspec.structs.replace(till, unprinted=unprinted, last=last)


def papered(completed: Completed, entry: e.ReceiptPrinted | e.CopyOrdered | e.InvoiceOrdered) -> Completed:
    """A finished transaction after a paper of it was printed or asked for."""
    match entry:
        case e.ReceiptPrinted():
            return msgspec.structs.replace(completed, printed=completed.printed + 1)
        case e.CopyOrdered():
            return msgspec.structs.replace(completed, copies=entry.copy)
        case e.InvoiceOrdered():
            return msgspec.structs.replace(completed, invoices=entry.copy + 1)
    assert_never(entry)


def _ordered(till: Till, entry: e.CopyOrdered | e.InvoiceOrdered) -> Till:
    known = next((papers for papers in till.papers if papers.number == entry.number), Papers(number=entry.number))
    if isinstance(entry, e.CopyOrdered):
        known = msgspec.structs.replace(known, copies=entry.copy)
    else:
        known = msgspec.structs.replace(known, invoices=entry.copy + 1)
    others = (papers for papers in till.papers if papers.number != entry.number)
    till = msgspec.structs.replace(till, papers=(*others, known)[-PAPERS_MAX:])
    last = till.last
    if last is None or last.completed is None or last.completed.sale.number != entry.number:
        return till
    return msgspec.structs.replace(till, last=msgspec.structs.replace(last, completed=papered(last.completed, entry)))
