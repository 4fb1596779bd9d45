"""A scripted shop day over the control socket: people who open, sell, move cash, count and close, and a drawer of real coins.

Everything goes through the socket of a real daemon; the only book that is kept here is the physical one: what lies in the
drawer, from what customers handed over and what the till told to hand back. Which flow comes next is drawn from a seed.
"""

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

from drivers.simulated.payment import Behaviour
from terminald.client import CallRefused
from tests.countertop import LOOK_S, PATIENCE_S, Countertop

SHOP = """\
[terminal]
id = "till-3"
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"
cash_rounding_minor = 5
account_limit_minor = 5000
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
[[shop.voucher]]
prefix = "V10-"
amount_minor = 1000
[[shop.voucher]]
prefix = "V5C-"
amount_minor = 500
rest = "change"
[[scan.variable]]
prefix = "21"
item_digits = 5
value_digits = 5
[scan]
vouchers = ["V-"]
loyalty = ["L-"]
[[cards.range]]
kind = "gift"
prefix = "600649"
digits = 16
[gift_cards]
amount_minor_max = 20000
cash_out_minor_max = 500
[till]
sessions = true
day_end_hour = 4
[operators]
[[promotion]]
id = "loaves"
reason = "2 for 1 on loaves"
kind = "buy-get"
value = "100"
buy = 1
get = 1
items = ["036000291452"]
[[promotion]]
id = "pasta"
reason = "3 for 5.00"
kind = "mix"
value = "5.00"
buy = 3
items = ["8076800195057"]
[[promotion]]
id = "cola"
reason = "Summer drinks"
kind = "percent"
value = "12.5"
items = ["5449000000996"]
[[promotion]]
id = "spring"
reason = "Spring coupon"
kind = "percent"
value = "10"
basket = true
coupon = "V-SPRING"
"""
GOODS = """\
gtin,name,unit,price,tax,deposit,min_age,open_price
4006381333931,Whole milk 1 l,each,1.29,B,,,
036000291452,Sourdough loaf,each,4.20,B,,,
96385074,Espresso beans 1 kg,each,12.90,A,,,
2112345000008,Bananas,kg,1.99,B,,,
5449000000996,Cola 330 ml,each,0.99,A,40084107,,
40084107,Deposit,each,0.25,A,,,
40170725,Cider,each,1.80,A,,16,
012345678905,Flowers,each,0.00,B,,,yes
8076800195057,Spaghetti,each,1.99,B,,,
4000417025005,Olive oil,l,6.49,B,,,
7622210449283,Ribbon,m,0.85,A,,,
"""
MILK, LOAF, BEANS, COLA, CIDER, FLOWERS, PASTA, OIL, RIBBON = (
    "4006381333931", "036000291452", "96385074", "5449000000996", "40170725", "012345678905", "8076800195057",
    "4000417025005", "7622210449283",
)  # fmt: skip
BANANAS = "2112345000008"
PROMOTED = {"1": (PASTA,) * 4, "2": (LOAF,) * 3, "17": (COLA, BEANS, COLA)}
"""What each operator sells that a promotion of another kind is on."""
PLAIN = (MILK, BEANS, COLA, PASTA)
BY_LABEL = "2112345003504"
"""Bananas for 3.50, as their label says."""
NOTES_MINOR = (20_000, 10_000, 5_000, 2_000, 1_000, 500, 200, 100, 50, 20, 10, 5, 2, 1)
OPERATORS = {"1": "384751", "2": "739154", "17": "4821"}
"""By their PINs; the last is a cashier, and has a supervisor approve what he may not do."""
PRINTING_MAX = 30
DROPS_MAX = 2


class Refused(Exception):
    """The till did not take what the day's script asked for."""


class ShopDay:
    """One day at a counter. `drawer_minor` is what lies in the drawer."""

    def __init__(self, counter: Countertop, rng: random.Random) -> None:
        self.counter = counter
        self.rng = rng
        self.drawer_minor = 0
        self.flows: Counter[str] = Counter()
        self.kills = 0
        self.drops = 0
        """Connections that broke since the daemon's start."""
        self.refusals: Counter[str] = Counter()
        self.reports: list[object] = []
        self.left_over = False
        """Whether a basket was put aside when the last day closed."""
        self._who = ""
        self._left: list[Callable[[ShopDay], Awaitable[None]]] = []

    # --- talking to the till -----------------------------------------------------------------------------------------

    async def call(self, method: str, **params: object) -> dict[str, object]:
        """An order; what the operator may not do, a supervisor approves."""
        try:
            return await self._ask(method, params)
        except CallRefused as refused:
            if refused.message.id != "supervisor-needed":
                raise
            return await self._ask(method, params | {"approver": "1", "approver_pin": OPERATORS["1"]})

    async def refused(self, condition: str, method: str, **params: object) -> None:
        """An order that the till must refuse, for this reason."""
        try:
            await self.call(method, **params)
        except CallRefused as refused:
            if refused.message.id != condition:
                raise Refused(f"{method} was refused for {refused.message.id}, not {condition}") from None
            self.refusals[condition] += 1
            return
        raise Refused(f"{method} was not refused")

    async def _ask(self, method: str, params: dict[str, object]) -> dict[str, object]:
        answer = await self.counter.ask(method, **params)
        assert isinstance(answer, dict)
        return answer

    async def sign_on(self, who: str) -> None:
        await self._ask("operator.sign_on", {"operator": who, "pin": OPERATORS[who]})
        self._who = who

    async def kill(self) -> None:
        """SIGKILL, a new start, and the operator signs on again."""
        await self.counter.restart()
        self.kills += 1
        self.drops = 0
        await self.sign_on(self._who)

    async def until(self, mode: str, *, papers_max: int = PRINTING_MAX) -> None:
        """Waits until the till says so itself (a view that was pushed may be older than the last order), and until no more
        papers than these wait for the printer."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                view = await self._ask("view.get", {})
                sale = view["sale"]
                assert isinstance(sale, dict)
                waiting = view["receipts_waiting"]
                assert isinstance(waiting, int)
                if sale["mode"] == mode and waiting <= papers_max:
                    return
                await asyncio.sleep(LOOK_S)

    async def idle(self) -> None:
        await self.until("idle")

    # --- the drawer --------------------------------------------------------------------------------------------------

    def pieces(self, amount_minor: int) -> list[dict[str, int]]:
        """An amount in coins and notes."""
        counts = []
        for unit_minor in NOTES_MINOR:
            count, amount_minor = divmod(amount_minor, unit_minor)
            if count:
                counts.append({"unit_minor": unit_minor, "count": count})
        return counts

    async def pay(self, given_minor: int | None = None) -> None:
        """Cash over the counter: what is due, or a note; the till says what goes back."""
        due = await self.due_in_cash()
        handed = due if given_minor is None else given_minor
        answer = await self.call("sale.cash", amount_minor=handed)
        self.drawer_minor += handed - _change(answer)

    async def number(self) -> int:
        """Of the open transaction."""
        number = (await self.call("sale.subtotal"))["number"]
        assert isinstance(number, int)
        return number

    async def give_back(self) -> None:
        """Cash for what came back."""
        due = await self.due_in_cash()
        assert due < 0, "nothing is to be given back"
        await self.call("sale.cash")
        self.drawer_minor += due

    async def due_in_cash(self) -> int:
        subtotal = await self.call("sale.subtotal")
        due = subtotal["cash_due_minor"]
        assert isinstance(due, int)
        return due

    async def ring(self, *codes: str) -> None:
        for code in codes:
            await self.call("sale.scan", data=code)

    # --- gift cards --------------------------------------------------------------------------------------------------

    async def gift_card(self, amount_minor: int) -> str:
        """A new gift card in the basket, to be sold with so much: its number."""
        number = f"6006490000{len(self.counter.bench.payment.gift_cards.known):06}"
        self.counter.bench.payment.gift_cards.issue(number)
        await self.call("gift.sell", amount_minor=amount_minor)
        await self.refused("gift-card-first", "sale.cash")
        await self.ring(number)
        await self.until("ringing")
        return number

    async def told(self, condition: str, order: Awaitable[object]) -> None:
        """Gives an order and waits until the till says what the payment device made of it."""
        self.counter.forget()
        await order
        await self.counter.notice(condition)

    # --- the day -----------------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """The owner, and who else works here."""
        claim = self.counter.view.operator.claim
        assert claim is not None, "a new till has a claim"
        await self._ask("operator.claim", {"claim": claim, "operator": "1", "pin": OPERATORS["1"]})
        await self.sign_on("1")
        await self._ask("operator.add", {"operator": "2", "role": "supervisor", "pin": OPERATORS["2"]})
        await self._ask("operator.add", {"operator": "17", "role": "cashier", "pin": OPERATORS["17"]})

    async def open(self, day: str, float_minor: int) -> None:
        """A session, on a day that a supervisor vouches for."""
        await self.refused("till-closed", "sale.scan", data=MILK)
        await self.call("till.business_day", business_day=day)
        await self.call("till.open", counts=self.pieces(float_minor))
        self.drawer_minor = float_minor
        if self.left_over:
            self.left_over = False
            await self.call("sale.resume", label="left over")
            await self.pay(2_000)

    async def sell(self, transactions: int, kills: int) -> None:
        """So many transactions of all kinds, in an order that the seed draws; the daemon is killed now and then."""
        flows = [self._next() for _ in range(transactions)]
        killed_at = {(index + 1) * transactions // (kills + 1) for index in range(kills)}
        for index, flow in enumerate(flows):
            if index in killed_at:
                await self.kill()
            if index and index % 40 == 0:
                await self.sign_on(self.rng.choice(list(OPERATORS)))
            await self.idle()
            await flow(self)
            self.flows[flow.__name__] += 1

    def _next(self) -> Callable[["ShopDay"], Awaitable[None]]:
        """The next flow: each comes once, in any order, before one comes again, whatever session it falls into."""
        if not self._left:
            self._left = self.rng.sample(FLOWS, len(FLOWS))
        return self._left.pop()

    async def close(self, *, taken_minor: int = 0, end_day: bool) -> int:
        """Counts what lies there, after somebody took some out without a word; what the till says was over or short."""
        await self.idle()
        await self.call("report.x", paper=False)
        self.drawer_minor -= taken_minor
        if end_day:
            await self.ring(PASTA, MILK)
            await self.call("sale.suspend", label="left over")
            self.left_over = True
        await self.refused("till-not-counted", "till.close")
        await self.begin_count()
        await self.refused("till-counting", "sale.scan", data=MILK)
        await self.refused("till-counting", "report.x", paper=False)
        await self.refused("amount-negative", "till.count", amount_minor=-1)
        await self.call("till.count", amount_minor=0)  # wrong: counted again
        await self.call("till.count", counts=self.pieces(self.drawer_minor))
        if end_day:
            await self.refused("baskets-parked", "till.close")
        closed = await self.call("till.close", end_day=end_day, parked=end_day)
        report = closed["report"]
        assert isinstance(report, dict)
        self.reports.append(report)
        over_short = report["report"].get("over_short_minor", 0)
        assert isinstance(over_short, int)
        return over_short

    async def begin_count(self) -> None:
        """The payment device ends its day; it counted what the till did."""
        self.counter.forget()
        await self.call("till.begin_count")
        await self.counter.notice("reconciliation-agrees")


def _change(answer: dict[str, object]) -> int:
    notice = answer["notice"]
    if isinstance(notice, dict) and notice["id"] == "sale-completed":
        change = notice["params"]["change_minor"]
        assert isinstance(change, int)
        return change
    return 0


# --- flows: one transaction each ------------------------------------------------------------------------------------


async def cash_with_change(day: ShopDay) -> None:
    await day.ring(*day.rng.choices(PLAIN, k=day.rng.randint(1, 6)))
    await day.pay(-(-await day.due_in_cash() // 5_000) * 5_000)


async def cash_exact(day: ShopDay) -> None:
    await day.ring(*day.rng.choices(PLAIN, k=day.rng.randint(1, 4)), BY_LABEL)
    await day.pay()


async def card(day: ShopDay) -> None:
    await day.ring(*day.rng.choices(PLAIN, k=2))
    await day.call("sale.card")


async def split_tender(day: ShopDay) -> None:
    await day.ring(BEANS, MILK)
    await day.pay(500)
    await day.call("sale.card")


async def quantity_and_void(day: ShopDay) -> None:
    await day.ring(MILK, BEANS)
    await day.call("sale.quantity", quantity_milli=3000, line=1)
    await day.call("sale.void", line=2)
    await day.pay()


async def given_up(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.refused("sale-open", "till.begin_count")
    await day.call("sale.cancel")


async def given_up_part_paid(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.pay(1_000)
    await day.call("sale.cancel")
    day.drawer_minor -= 1_000


async def card_given_back(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.call("sale.card", amount_minor=500)
    await day.until("tendering")
    await day.call("sale.cancel")


async def declined_then_cash(day: ShopDay) -> None:
    await day.ring(PASTA)
    day.counter.bench.payment.behaviour = Behaviour.DECLINE
    await day.call("sale.card")
    await day.until("ringing")
    day.counter.bench.payment.behaviour = Behaviour.APPROVE
    await day.pay()


async def answer_lost(day: ShopDay) -> None:
    """The device charges and says nothing, or the connection breaks: the till asks what became of it.

    A device whose connection breaks often is left alone for longer and longer, so not too often.
    """
    await day.ring(PASTA, MILK)
    drop = day.drops < DROPS_MAX
    day.drops += drop
    day.counter.bench.payment.behaviour = Behaviour.DROP_AFTER_CHARGE if drop else Behaviour.MUTE_AFTER_CHARGE
    await day.call("sale.card")
    await day.idle()
    day.counter.bench.payment.behaviour = Behaviour.APPROVE


async def discounts(day: ShopDay) -> None:
    await day.ring(LOAF, LOAF, BEANS)
    await day.call("sale.line_discount", line=2, percent_bp=1_500, reason="dented")
    await day.call("sale.total_discount", amount_minor=50, reason="goodwill")
    await day.pay()


async def coupon(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.call("sale.coupon", code="V-SPRING")
    await day.call("sale.card")


async def price_by_hand(day: ShopDay) -> None:
    await day.ring(PASTA)
    await day.call("sale.price", unit_price_minor=150, reason="price on the shelf", confirmed=True)
    await day.pay(500)


async def exempt(day: ShopDay) -> None:
    await day.ring(BEANS, MILK)
    await day.call("sale.tax_exemption", reason="embassy", certificate="D-17")
    await day.pay()


async def empties(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.call("sale.deposit_return", data=COLA, count=4)
    await day.pay(2_000)


async def age_and_open_price(day: ShopDay) -> None:
    await day.ring(CIDER)
    await day.call("sale.age", of_age=True)
    await day.ring(FLOWERS)
    await day.call("sale.open_price", unit_price_minor=799, confirmed=True)
    await day.pay()


async def parked(day: ShopDay) -> None:
    await day.ring(BEANS)
    await day.call("sale.suspend", label="red coat")
    await day.ring(MILK)
    await day.pay()
    await day.idle()
    await day.call("sale.resume", label="red coat")
    await day.pay(2_000)


async def by_hand(day: ShopDay) -> None:
    """A sale that was written by hand while the terminal was dead."""
    paper = f"H-{sum(day.flows.values())}-{day.kills}"
    await day.call("sale.by_hand", paper=paper, written="2026-01-02")
    await day.ring(MILK, PASTA)
    await day.refused("paper-sale-is-cash", "sale.card")
    await day.pay()
    await day.idle()
    await day.refused("paper-entered", "sale.by_hand", paper=paper, written="2026-01-02")


async def copy_and_no_sale(day: ShopDay) -> None:
    await day.ring(MILK)
    await day.pay()
    await day.until("idle", papers_max=0)
    await day.call("receipt.reprint")
    await day.call("drawer.open", reason="coins for the customer")


async def cash_moves(day: ShopDay) -> None:
    for method, sign, amount_minor in (
        ("till.loan", 1, 5_000),
        ("till.paid_in", 1, 750),
        ("till.paid_out", -1, 1_250),
        ("till.pickup", -1, 3_000),
        ("till.deposit", -1, 1_500),
    ):
        await day.call(method, counts=day.pieces(amount_minor), reason="window cleaner")
        day.drawer_minor += sign * amount_minor
    await day.refused("reason-needed", "till.paid_out", amount_minor=100)
    await day.refused("amount-negative", "till.pickup", amount_minor=-100)
    await day.ring(MILK)
    await day.pay()


async def count_given_up(day: ShopDay) -> None:
    await day.begin_count()
    await day.refused("till-counting", "sale.scan", data=MILK)
    await day.refused("till-counting", "till.loan", amount_minor=5)
    await day.call("till.give_up_count")
    await day.ring(MILK)
    await day.pay()


async def returned_for_cash(day: ShopDay) -> None:
    await day.ring(BEANS, MILK)
    number = await day.number()
    await day.pay()
    await day.idle()
    await day.call("return.line", number=number, line=1, reason="stale")
    await day.give_back()


async def returned_to_the_card(day: ShopDay) -> None:
    await day.ring(BEANS, MILK)
    number = await day.number()
    await day.call("sale.card")
    await day.idle()
    await day.call("return.line", number=number, line=2, reason="stale")
    await day.refused("refund-to-card", "sale.cash")
    await day.call("sale.card")
    await day.idle()
    await day.refused("line-refunded", "return.line", number=number, line=2, reason="again")


async def exchanged(day: ShopDay) -> None:
    await day.ring(PASTA)
    number = await day.number()
    await day.pay()
    await day.idle()
    await day.call("return.line", number=number, reason="another kind")
    await day.ring(BEANS)
    await day.pay(2_000)


async def returned_without_receipt(day: ShopDay) -> None:
    await day.call("return.unreceipted", data=MILK, reason="gift")
    await day.give_back()


async def undone(day: ShopDay) -> None:
    await day.ring(PASTA, MILK)
    await day.pay()
    await day.idle()
    await day.call("return.void", reason="wrong customer")
    await day.give_back()


async def vouchers(day: ShopDay) -> None:
    """One pays a part, another more than is due: the rest comes back in cash."""
    serial = sum(day.flows.values())
    await day.ring(BEANS)
    await day.call("sale.scan", data=f"V10-{serial:05}")
    await day.refused("voucher-used", "sale.scan", data=f"V10-{serial:05}")
    answer = await day.call("sale.scan", data=f"V5C-{serial:05}")
    day.drawer_minor -= _change(answer)


async def weighed(day: ShopDay) -> None:
    """By a weight that is typed, one of them left out."""
    await day.ring(BANANAS)
    await day.refused("weight-awaited", "sale.cash")
    await day.call("sale.weight", weight_g=day.rng.randint(20, 4_000))
    await day.ring(BANANAS)
    await day.call("sale.cancel")
    await day.pay()


async def measured(day: ShopDay) -> None:
    """By the litre and by the metre; the measure is mended, and a part comes back."""
    await day.ring(OIL)
    await day.refused("quantity-asked", "sale.scan", data=MILK)
    await day.call("sale.quantity", quantity_milli=day.rng.randint(1_001, 9_999))
    await day.ring(RIBBON)
    await day.call("sale.quantity", quantity_milli=3_333)
    await day.call("sale.quantity", quantity_milli=3_334, line=2)
    number = await day.number()
    await day.pay()
    await day.idle()
    await day.call("return.line", number=number, line=1, quantity_milli=501, reason="too much")
    await day.give_back()


async def on_account(day: ShopDay) -> None:
    """A part in cash, the rest to the customer's account, up to its limit; what comes back goes back to it."""
    await day.ring(BEANS, MILK)
    await day.refused("account-of-nobody", "sale.account")
    await day.ring("L-4711")
    await day.pay(500)
    await day.call("sale.account")
    await day.idle()
    await day.ring("L-4711")
    await day.call("sale.cancel")
    await day.idle()
    await day.ring(*(BEANS,) * 4, "L-4711")
    number = await day.number()
    await day.refused("account-over-limit", "sale.account")
    await day.call("sale.account", amount_minor=5_000)
    await day.pay()
    await day.idle()
    await day.call("return.line", number=number, line=1, quantity_milli=1_000, reason="stale")
    await day.refused("refund-to-account", "sale.cash")
    await day.call("sale.account")


async def phone(day: ShopDay) -> None:
    """A wallet's code, which passes for a card's number by its check digit, pays; and gets money back."""
    await day.ring(BEANS, MILK)
    number = await day.number()
    await day.ring(_wallet_code(day.rng))
    await day.idle()
    await day.call("return.line", number=number, line=2, reason="stale")
    await day.refused("refund-to-card", "sale.cash")
    await day.call("sale.card")


def _wallet_code(rng: random.Random) -> str:
    """Alipay's, 18 digits, the last of them Luhn's check digit."""
    payload = f"28{rng.randrange(10**15):015}"
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in payload[::-2])
    return payload + str(-(doubled + sum(int(digit) for digit in payload[-2::-2])) % 10)


async def promoted_by_each_operator(day: ShopDay) -> None:
    """One after the other signs on and sells what a promotion is on: its discount is in the one's own row."""
    for who, codes in PROMOTED.items():
        await day.idle()
        await day.sign_on(who)
        await day.ring(*codes)
        await day.pay()


async def gift_card_sold_and_spent(day: ShopDay) -> None:
    """Sold beside goods; it pays a part of the next basket, and what it paid for goes back to it."""
    await day.ring(MILK)
    number = await day.gift_card(1_000)
    await day.told("gift-card-good", day.pay())
    await day.idle()
    await day.ring(BEANS, MILK)
    sold = await day.number()
    await day.ring(number)
    await day.until("tendering")
    await day.refused("partly-paid", "gift.sell", amount_minor=100)
    await day.pay()
    await day.idle()
    await day.call("return.line", number=sold, line=2, reason="stale")
    await day.refused("refund-to-card", "sale.cash")
    await day.call("sale.card")


async def gift_card_alone(day: ShopDay) -> None:
    """It is no sale; its number is looked at, and pays no other gift card."""
    number = await day.gift_card(2_500)
    await day.told("gift-card-good", day.call("sale.card"))
    await day.idle()
    await day.told("gift-card-balance", day.ring(number))
    await day.gift_card(500)
    await day.refused("gift-card-buys-none", "sale.scan", data=number)
    await day.call("sale.void")
    await day.call("sale.cancel")


async def gift_card_returned(day: ShopDay) -> None:
    """Unspent it comes back, once; spent it stays."""
    await day.gift_card(3_000)
    sold = await day.number()
    await day.told("gift-card-good", day.pay())
    await day.idle()
    await day.told("gift-card-emptied", day.call("gift.return", number=sold, reason="not wanted"))
    await day.refused("gift-card-taken-back", "sale.cancel")
    await day.give_back()
    await day.idle()
    await day.refused("gift-card-refunded", "gift.return", number=sold)
    number = await day.gift_card(3_000)
    sold = await day.number()
    await day.told("gift-card-good", day.pay())
    await day.idle()
    await day.ring(PASTA, number)
    await day.idle()
    await day.told("gift-card-not-emptied", day.call("gift.return", number=sold))


async def gift_card_undone(day: ShopDay) -> None:
    await day.ring(PASTA)
    await day.gift_card(1_500)
    await day.told("gift-card-good", day.pay())
    await day.idle()
    await day.told("gift-card-emptied", day.call("return.void", reason="wrong customer"))
    await day.give_back()


async def gift_card_paid_out(day: ShopDay) -> None:
    """What is left on one, once it is little enough."""
    number = await day.gift_card(1_500)
    await day.told("gift-card-good", day.pay())
    await day.idle()
    await day.call("gift.cash_out")
    await day.told("gift-card-too-much-left", day.ring(number))
    await day.call("sale.cancel")
    await day.call("sale.cancel")
    await day.ring(BEANS)
    await day.ring(number)
    await day.idle()
    await day.call("gift.cash_out")
    await day.told("gift-card-emptied", day.ring(number))
    await day.give_back()


async def gift_card_answer_lost(day: ShopDay) -> None:
    """Its value is put on it and the answer is lost, where connections may break still: the till asks."""
    drop = day.drops < DROPS_MAX
    day.drops += drop
    await day.gift_card(700)
    day.counter.bench.payment.behaviour = Behaviour.DROP_AFTER_CHARGE if drop else Behaviour.APPROVE
    await day.told("gift-card-good", day.pay())
    day.counter.bench.payment.behaviour = Behaviour.APPROVE


async def killed_in_a_basket(day: ShopDay) -> None:
    await day.ring(BEANS, PASTA)
    if day.kills < KILLS_IN_BASKETS_MAX:
        await day.kill()
    await day.pay(2_000)


KILLS_IN_BASKETS_MAX = 8
FLOWS: list[Callable[[ShopDay], Awaitable[None]]] = [
    cash_with_change, cash_exact, card, split_tender, quantity_and_void, given_up, given_up_part_paid, card_given_back,
    declined_then_cash, answer_lost, discounts, coupon, price_by_hand, exempt, empties, age_and_open_price, parked, by_hand,
    copy_and_no_sale, cash_moves, count_given_up,
    weighed, measured, on_account, phone, promoted_by_each_operator,
    returned_for_cash, returned_to_the_card, exchanged, returned_without_receipt, undone, vouchers,
    gift_card_sold_and_spent, gift_card_alone, gift_card_returned, gift_card_undone, gift_card_paid_out, gift_card_answer_lost,
    killed_in_a_basket,
]  # fmt: skip
