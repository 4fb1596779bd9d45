"""The nouns of a till: what it remembers, as the fold of its journal's entries and nothing else.

`apply` is that fold; boot runs it over the journal from a checkpoint. The transitions that write the entries are in
`core.sale`.
"""

from typing import Literal

import msgspec

from core import entries as e
from core.language import Tag
from core.money import Currency, Rounding
from core.order_book import OrderBook
from core.permissions import Operator
from core.promotion import Rulebook
from core.scan import CodeRules, VariableMeasure
from core.stripe import CardRange
from core.tax import TaxRate, TaxRounding
from core.till import Books
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
UNPRINTED_MAX = 64
"""Receipts that wait for a printer, also over a power cut; of more, the oldest are only to be had as a copy from the
journal."""
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
