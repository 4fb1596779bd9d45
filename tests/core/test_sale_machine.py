"""Random sales against a small reference model: a counter's cash, a payment device's ledger, a printer's tray.

The model knows nothing of the till's states. It does what the effects ask, loses answers, pulls the plug, and keeps its
own books; at the end everything that is open is settled, and the till's records must agree with them.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core import effects as x
from core import entries as e
from core import events as v
from core.fold import apply
from core.pricing import due_minor, total_minor
from core.promotion import Promotion, Rulebook
from core.sale import read, step
from core.state import (
    UNPRINTED_MAX,
    Authorizing,
    Enquiring,
    Idle,
    Reversing,
    Ringing,
    Tender,
    Tendering,
    Till,
    basket_of,
)
from core.step import CustomerWanted, Facts, ItemWanted, Step
from core.view import sale_view
from core.wallet import WalletCode
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

SETTLING_STEPS_MAX = 500
PIECES_MAX = 9_999

GOODS = {"4006381333931": 129, "036000291452": 420, "96385074": 1290, "4008400404127": 95}
"""What is scanned, and what one costs (the model's own price list)."""
NONSENSE = ("4006381333932", "5000112637922", "nonsense", "")
ONCE = (
    e.TransactionOpened,
    e.TransactionCompleted,
    e.TransactionCancelled,
    e.PaymentRequested,
    e.PaymentApproved,
    e.PaymentDeclined,
    e.PaymentSetAside,
    e.ReversalRequested,
    e.PaymentReversed,
)
"""Records of which there is one for each transaction or each payment."""


TAG = v.TagPresented(device="nfc", uid="04a1b2c3d4e5f6", technology="type2")


@dataclass
class Line:
    """A line of the model's basket."""

    code: str
    quantity: int
    voided: bool = False


@dataclass
class Charge:
    """A card payment as the payment device knows it."""

    amount_minor: int
    is_reversed: bool = False


class SaleMachine(RuleBasedStateMachine):
    shop = SHOP

    def __init__(self) -> None:
        super().__init__()
        self.till = Till()
        self.kept: list[bytes] = []
        self.replayed = Till()
        self.once: Counter[tuple[str, object]] = Counter()
        self.asked: list[x.RequestPayment | x.EnquirePayment | x.ReversePayment] = []
        self.printing: list[x.PrintReceipt] = []
        self.requested: Counter[str] = Counter()
        self.unmarked: Counter[int] = Counter()
        self.ledger: dict[str, Charge] = {}
        self.answers: list[v.AnyEvent] = []
        self.basket: list[Line] = []
        self.cash_minor = 0
        self.sold_minor = 0
        self.rounded_minor = 0
        self.card_sold_minor = 0

    # --- the till ------------------------------------------------------------------------------------------------

    def take(self, event: v.AnyEvent) -> Step:
        """Does with an event what the engine does, and checks what must hold for every step."""
        question = read(self.shop, self.till, event, TODAY)
        facts = Facts(
            business_day=TODAY,
            local_time=NOW,
            question=question,
            item=CATALOGUE.get(question.reading.gtin) if isinstance(question, ItemWanted) else None,
            customer="c0ffee" if isinstance(question, CustomerWanted) else None,
        )
        taken = step(self.shop, self.till, event, facts)
        for entry in taken.entries:
            self.keep(entry)
        if taken.refused:
            assert not taken.effects
            assert taken.notice is not None
        for effect in taken.effects:
            self.have_done(effect, taken)
        return taken

    def keep(self, entry: e.AnyEntry) -> None:
        if isinstance(entry, ONCE):
            name = getattr(entry, "reference", None) or getattr(entry, "number", None)
            self.once[type(entry).__name__, name] += 1
            assert self.once[type(entry).__name__, name] == 1, f"{entry} is kept twice"
        self.till = apply(self.till, entry)
        self.kept.append(e.encode(entry))
        self.replayed = apply(self.replayed, e.decode(self.kept[-1]))
        match entry:
            case e.CashTendered():
                self.cash_minor += entry.amount_minor
            case e.TransactionCompleted():
                self.complete(entry)
            case e.TransactionCancelled():
                self.cash_minor -= entry.returned_minor
                self.basket = []

    def complete(self, entry: e.TransactionCompleted) -> None:
        """Money in is total and change, by the records and by the model's own sums."""
        assert self.till.last is not None
        assert self.till.last.completed is not None
        tenders = self.till.last.completed.basket.tenders
        assert all(tender.phase == "posted" for tender in tenders)
        assert sum(tender.amount_minor for tender in tenders) == (
            entry.total_minor + entry.rounding_minor + entry.change_minor
        )
        assert sum(total.amount_minor for total in entry.tenders) == entry.total_minor + entry.rounding_minor
        assert entry.total_minor == self.total_minor()
        assert entry.discount_minor == self.full_minor() - self.total_minor()
        assert abs(entry.rounding_minor) < self.shop.cash_unit_minor
        assert sum(tax.gross_minor for tax in entry.taxes) == entry.total_minor
        assert entry.change_minor >= 0
        self.cash_minor -= entry.change_minor
        self.sold_minor += entry.total_minor
        self.rounded_minor += entry.rounding_minor
        self.card_sold_minor += sum(tender.amount_minor for tender in tenders if tender.kind in e.DEVICE_TENDERS)
        self.basket = []

    def have_done(self, effect: x.AnyEffect, taken: Step) -> None:
        match effect:
            case x.OpenDrawer():
                assert taken.entries, "the drawer opens for a new record only"
            case x.PrintReceipt():
                self.printing.append(effect)
                if effect.copy == 0 and not effect.doubtful:
                    self.unmarked[effect.number] += 1
            case x.RequestPayment():
                self.requested[effect.reference] += 1
                self.asked.append(effect)
            case x.EnquirePayment() | x.ReversePayment():
                self.asked.append(effect)
            case x.AbortPayment():
                assert effect.reference in self.requested
            case x.ShowOnDisplay() | x.SetLights() | x.SoundTone():
                raise AssertionError("signs follow from a step, and are no part of it")

    def total_minor(self) -> int:
        return self.full_minor()

    def full_minor(self) -> int:
        return sum(GOODS[line.code] * line.quantity for line in self.basket if not line.voided)

    # --- the operator --------------------------------------------------------------------------------------------

    @rule(code=st.sampled_from(sorted(GOODS)), keyed=st.booleans())
    def ring_up(self, code: str, keyed: bool) -> None:
        taken = self.take(v.CodeKeyed(data=code) if keyed else v.Scanned(device="scanner", data=code))
        last = self.basket[-1] if self.basket else None
        again = last is not None and last.code == code and not last.voided
        if not isinstance(self.till.sale, Ringing):
            assert taken.refused
        elif last is None or not again:
            assert not taken.refused
            self.basket.append(Line(code, 1))
        elif last.quantity == PIECES_MAX:
            assert taken.refused
        else:
            assert not taken.refused
            last.quantity += 1

    @rule(code=st.sampled_from(NONSENSE))
    def scan_nonsense(self, code: str) -> None:
        before = self.till
        assert self.take(v.Scanned(device="scanner", data=code)).refused
        assert self.till == before

    @precondition(lambda self: self.in_sale())
    @rule(line=st.integers(0, 6), quantity=st.sampled_from((1, 2, 3, 12, 9_999, 10_000, 0, -1)))
    def change_quantity(self, line: int, quantity: int) -> None:
        taken = self.take(v.QuantityKeyed(quantity_milli=1000 * quantity, line=line))
        at = line - 1 if line else len(self.basket) - 1
        can = isinstance(self.till.sale, Ringing) and 0 <= at < len(self.basket) and 0 < quantity <= PIECES_MAX
        if can and not self.basket[at].voided:
            assert not taken.refused
            self.basket[at].quantity = quantity
        else:
            assert taken.refused

    @precondition(lambda self: self.in_sale())
    @rule(line=st.integers(0, 6))
    def void(self, line: int) -> None:
        taken = self.take(v.VoidKeyed(line=line))
        standing = [at for at, held in enumerate(self.basket) if not held.voided]
        at = line - 1 if line else (standing[-1] if standing else -1)
        if isinstance(self.till.sale, Ringing) and at in standing:
            assert not taken.refused
            self.basket[at].voided = True
        else:
            assert taken.refused

    @precondition(lambda self: self.in_sale())
    @rule(amount_minor=st.none() | st.integers(-5, 6_000))
    def pay_cash(self, amount_minor: int | None) -> None:
        self.take(v.CashKeyed(amount_minor=amount_minor))

    @precondition(lambda self: self.in_sale())
    @rule(amount_minor=st.none() | st.integers(-5, 3_000))
    def pay_by_card(self, amount_minor: int | None) -> None:
        self.take(v.CardKeyed(amount_minor=amount_minor))

    @precondition(lambda self: self.in_sale())
    @rule(last=st.integers(0, 9))
    def pay_by_phone(self, last: int) -> None:
        code = f"28123456789012345{last}"
        taken = self.take(v.Scanned(device="scanner", data=code))
        for effect in taken.effects:
            assert isinstance(effect, x.RequestPayment)
            assert effect.wallet == WalletCode(wallet="alipay", code=code)
        assert not any(code.encode() in body for body in self.kept)

    @precondition(lambda self: self.in_sale() and not isinstance(self.till.sale, Ringing))
    @rule()
    def cancel_payment(self) -> None:
        self.take(v.CancelKeyed())

    @rule(
        event=st.sampled_from((v.CancelKeyed(), v.DrawerKeyed(), v.ReprintKeyed(), TAG, v.CashKeyed(), v.CardKeyed()))
    )
    def do_something_else(self, event: v.AnyEvent) -> None:
        self.take(event)

    # --- the world -----------------------------------------------------------------------------------------------

    @precondition(lambda self: self.asked)
    @rule(data=st.data(), answered=st.booleans(), done=st.booleans(), more_minor=st.integers(-50, 50))
    def answer(self, data: st.DataObject, answered: bool, done: bool, more_minor: int) -> None:
        """The payment device does what it is asked, or not; and its answer arrives, or not."""
        asked = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        self.hand_on(self.outcome(asked, answered=answered, done=done, more_minor=more_minor))

    @precondition(lambda self: self.asked)
    @rule(more_minor=st.sampled_from((0, -1, 1)))
    def approve(self, more_minor: int) -> None:
        self.hand_on(self.outcome(self.asked.pop(), answered=True, done=True, more_minor=more_minor))

    @precondition(lambda self: self.asked)
    @rule(done=st.booleans())
    def lose_an_answer(self, done: bool) -> None:
        self.hand_on(self.outcome(self.asked.pop(), answered=False, done=done, more_minor=0))

    @precondition(lambda self: self.answers)
    @rule(data=st.data())
    def answer_again(self, data: st.DataObject) -> None:
        """An answer comes a second time, whatever has happened since."""
        before = self.till
        self.take(data.draw(st.sampled_from(self.answers)))
        assert self.till == before

    @precondition(lambda self: self.printing)
    @rule(data=st.data(), taken=st.booleans())
    def print(self, data: st.DataObject, taken: bool) -> None:
        paper = self.printing.pop(0)
        if taken:
            self.take(v.ReceiptTaken(number=paper.number, copy=paper.copy, doubtful=paper.doubtful))
        else:
            self.take(v.ReceiptUncertain(number=paper.number, copy=paper.copy))

    @rule(data=st.data())
    def pull_the_plug(self, data: st.DataObject) -> None:
        """All that was being done is lost; what was on its way to the payment device arrived, or did not."""
        for asked in self.asked:
            self.outcome(asked, answered=False, done=data.draw(st.booleans()), more_minor=0)
        self.asked, self.printing = [], []
        till = Till()
        for body in self.kept:
            till = apply(till, e.decode(body))
        assert till == self.till
        self.take(v.Booted())

    def outcome(
        self,
        asked: x.RequestPayment | x.EnquirePayment | x.ReversePayment,
        *,
        answered: bool,
        done: bool,
        more_minor: int,
    ) -> v.AnyEvent:
        """What the till hears; the ledger is what really happened."""
        reference = asked.reference
        match asked:
            case x.RequestPayment():
                assert reference not in self.ledger, "charged twice"
                if done:
                    self.ledger[reference] = Charge(max(1, asked.amount_minor + more_minor))
            case x.ReversePayment():
                assert self.ledger[reference].amount_minor == asked.amount_minor
                self.ledger[reference].is_reversed |= done
                if answered and self.ledger[reference].is_reversed:
                    return v.PaymentTakenBack(reference=reference)
                return v.ReversalUnanswered(reference=reference)
        if not answered:
            return v.PaymentUnanswered(reference=reference)
        charge = self.ledger.get(reference)
        if charge is None:
            return v.PaymentRefused(reference=reference, reason="declined")
        return v.PaymentAnswered(reference=reference, amount_minor=charge.amount_minor, poi_transaction="P1")

    def hand_on(self, event: v.AnyEvent) -> None:
        self.take(event)
        if isinstance(event, v.PaymentAnswered | v.PaymentRefused | v.PaymentTakenBack):
            self.answers.append(event)

    # --- what always holds ---------------------------------------------------------------------------------------

    @invariant()
    def records_give_the_state(self) -> None:
        assert self.replayed == self.till

    @invariant()
    def screen_shows_the_basket(self) -> None:
        basket = basket_of(self.till.sale)
        assert sale_view(self.shop, self.till).total_minor == self.total_minor()
        if basket is not None:
            assert [line.item.quantity_milli for line in basket.lines] == [1000 * line.quantity for line in self.basket]
            assert total_minor(self.shop, basket) == self.total_minor()
            if isinstance(self.till.sale, Ringing):
                assert due_minor(self.shop, basket) == self.total_minor()

    @invariant()
    def no_payment_is_requested_twice(self) -> None:
        assert all(count == 1 for count in self.requested.values())

    @invariant()
    def no_receipt_is_unmarked_twice(self) -> None:
        assert all(count == 1 for count in self.unmarked.values())

    @invariant()
    def what_is_open_is_being_asked_about(self) -> None:
        """Each card payment without a certain outcome has exactly one question on its way: none is forgotten."""
        assert Counter(asked.reference for asked in self.asked) == Counter(tender.reference for tender in self.open())

    @invariant()
    def a_receipt_is_on_paper_or_on_its_way(self) -> None:
        waiting = Counter(paper.number for paper in self.printing if paper.copy == 0)
        known = Counter(completed.sale.number for completed in self.till.unprinted)
        if len(self.till.unprinted) == UNPRINTED_MAX:  # the till has forgotten the oldest, which may still be printed
            waiting = Counter({number: count for number, count in waiting.items() if number >= min(known)})
        assert waiting == known

    @invariant()
    def the_day_is_the_sum_of_sales(self) -> None:
        assert self.till.day.amount_minor == self.sold_minor

    def in_sale(self) -> bool:
        return basket_of(self.till.sale) is not None

    def open(self) -> list[Tender]:
        sale = self.till.sale
        tenders = list(self.till.aside)
        if isinstance(sale, Authorizing | Enquiring):
            tenders.append(sale.pending)
        if isinstance(sale, Reversing):
            tenders += [tender for tender in sale.basket.tenders if tender.phase in ("reversing", "reversal-unknown")]
        return tenders

    def teardown(self) -> None:
        """Everything works again: whatever is open settles by itself, and all books agree."""
        for _ in range(SETTLING_STEPS_MAX):
            if self.asked:
                done = isinstance(self.asked[0], x.ReversePayment)
                self.hand_on(self.outcome(self.asked.pop(0), answered=True, done=done, more_minor=0))
            elif self.printing:
                paper = self.printing.pop(0)
                self.take(v.ReceiptTaken(number=paper.number, copy=paper.copy, doubtful=paper.doubtful))
            elif isinstance(self.till.sale, Ringing | Tendering):
                self.take(v.CancelKeyed())
            else:
                break
        assert isinstance(self.till.sale, Idle)
        assert not self.till.aside
        assert not self.till.unprinted
        charged_minor = sum(charge.amount_minor for charge in self.ledger.values() if not charge.is_reversed)
        assert charged_minor == self.card_sold_minor
        assert self.cash_minor + charged_minor == self.sold_minor + self.rounded_minor


SaleMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=60, deadline=None)
TestSaleMachine: Any = SaleMachine.TestCase


class PricedSaleMachine(SaleMachine):
    """The same with two promotions and coins of 0.05."""

    shop = msgspec.structs.replace(
        SHOP,
        cash_unit_minor=5,
        promotions=Rulebook(
            (
                Promotion(id="milk", reason="3 for 2", kind="buy-get", buy=2, get=1, percent_bp=10_000,
                          items=("04006381333931",)),
                Promotion(id="beans", reason="10 % off", kind="percent", percent_bp=1_000, items=("00000096385074",)),
            )
        ),
    )  # fmt: skip

    def total_minor(self) -> int:
        counts: Counter[str] = Counter()
        for line in self.basket:
            counts[line.code] += 0 if line.voided else line.quantity
        return self.full_minor() - counts["4006381333931"] // 3 * 129 - counts["96385074"] * 129


PricedSaleMachine.TestCase.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestPricedSaleMachine: Any = PricedSaleMachine.TestCase
