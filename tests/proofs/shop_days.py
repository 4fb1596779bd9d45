"""Random days at a till against `shop_model`: the till is the core's functions alone, the world is played here."""

import random
from collections import Counter

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.fold import apply
from core.history import Assembler, Original, Transaction
from core.sale import read, step
from core.state import Authorizing, Enquiring, Idle, Loading, Ringing, Tendering, Till, Unloading, basket_of
from core.step import CustomerWanted, Facts, GiftCardShown, ItemWanted, OriginalWanted, ParkedWanted, Step
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY
from tests.proofs.shop_model import GOODS, Disagreement, Piece, ShopModel

REFOLD_STEPS = 200
SETTLE_STEPS_MAX = 200
RECEIPTS_RECENT = 12

GIFT_CARDS = tuple(f"600649000000{at:04}" for at in range(6))

_Asked = x.RequestPayment | x.RequestRefund | x.EnquirePayment | x.ReversePayment
_AskedOfGift = x.ReserveGiftCard | x.ChangeStoredValue | x.EnquireStoredValue | x.EnquireBalance


class CoreTill:
    """The till that is tried: the core's own functions, and the history out of its entries."""

    def __init__(self) -> None:
        self.till = Till()
        self.bodies: list[bytes] = []
        self.checkpoint: tuple[bytes, int] = (msgspec.json.encode(self.till), 0)
        self._assembler = Assembler()
        self._sold: dict[int, Transaction] = {}
        self._later: dict[int, list[Transaction]] = {}

    def take(self, event: v.AnyEvent) -> Step:
        """What the engine does with an event, but for the medium."""
        question = read(SHOP, self.till, event, TODAY)
        facts = Facts(
            business_day=TODAY,
            local_time=NOW,
            question=question,
            item=CATALOGUE.get(question.reading.gtin) if isinstance(question, ItemWanted) else None,
            customer="c0ffee" if isinstance(question, CustomerWanted) else None,
            items=tuple(CATALOGUE[gtin] for gtin in question.gtins) if isinstance(question, ParkedWanted) else (),
            original=self.original(question.number) if isinstance(question, OriginalWanted) else None,
            account=f"account-{question.card.number[-1]}" if isinstance(question, GiftCardShown) else "",
        )
        taken = step(SHOP, self.till, event, facts)
        for entry in taken.entries:
            self.keep(entry)
        return taken

    def keep(self, entry: e.AnyEntry) -> None:
        """As the journal does: what is folded is what was written."""
        body = e.encode(entry)
        self.bodies.append(body)
        self.till = apply(self.till, e.decode(body))
        if (ended := self._assembler.fold("", len(self.bodies), 0, entry)) is not None and ended.status == "completed":
            self._sold[ended.number] = ended
            links = [line.returned for line in ended.lines] + [gift.returned for gift in ended.stored_value]
            for number in {link.number for link in links if link is not None} - {0}:
                self._later.setdefault(number, []).append(ended)

    def original(self, number: int) -> Original | None:
        """What the history has of a transaction."""
        sold = self._sold.get(number)
        return Original(sold=sold, later=tuple(self._later.get(number, ()))) if sold is not None else None

    def gifts_of(self, number: int) -> tuple[e.StoredValueLine, ...]:
        """The gift cards of a finished transaction."""
        sold = self._sold.get(number)
        return sold.stored_value if sold is not None else ()

    def refold(self) -> Till:
        """The till as a start would make it: from the checkpoint, over the entries since."""
        state, upto = self.checkpoint
        till = msgspec.json.decode(state, type=Till)
        for body in self.bodies[upto:]:
            till = apply(till, e.decode(body))
        self.checkpoint = msgspec.json.encode(till), len(self.bodies)
        return till


class Day:
    """One till, one model, one seed. `run` raises Disagreement (or whatever the till raises)."""

    def __init__(self, seed: int, till: CoreTill) -> None:
        self.chance = random.Random(seed)
        self.core = till
        self.model = ShopModel()
        self.asked: list[_Asked] = []
        self.gifts_asked: list[_AskedOfGift] = []
        self.answers: list[v.AnyEvent] = []
        self.papers: Counter[int] = Counter()
        self.gone: dict[str, set[str]] = {}
        """By what put value on a gift card: the references under which that was to be undone."""
        self.pairs: set[tuple[str, str]] = set()
        self.steps = 0

    def run(self, steps: int) -> None:
        """So many events, and then everything that is open settles."""
        actions = (
            (self._scan, 30), (self._quantity, 5), (self._void_line, 4), (self._cash, 16), (self._card, 10), (self._voucher, 3), (self._account, 4),
            (self._answer, 24), (self._answer_again, 2), (self._cancel, 4), (self._return, 16), (self._return_all, 3),
            (self._void, 3), (self._park, 4), (self._unpark, 4), (self._other, 3),
            (self._sell_gift, 4), (self._show_gift, 8), (self._return_gift, 5), (self._pay_rest_out, 3), (self._answer_of_gift, 14),
        )  # fmt: skip
        does = [action for action, _ in actions]
        weights = [weight for _, weight in actions]
        while self.steps < steps:
            self.chance.choices(does, weights)[0]()
            if self.steps % REFOLD_STEPS == 0 and self.core.refold() != self.core.till:
                raise Disagreement("the entries give another till than the one that wrote them")
        self._settle()

    def take(self, event: v.AnyEvent) -> Step:
        """An event, what the world does of it, and what always holds."""
        before = self.core.till
        self.steps += 1
        self.pairs.add((type(before.sale).__name__, type(event).__name__))
        taken = self.core.take(event)
        if taken.refused and (self.core.till != before or taken.effects):
            raise Disagreement(f"{type(event).__name__} was refused, and something was done")
        for entry in taken.entries:
            self._record(entry, before)
        for effect in taken.effects:
            self._do(effect)
        if self.model.total_minor() != self._shown_minor():
            raise Disagreement(f"the basket is {self.model.total_minor()}, the till says {self._shown_minor()}")
        return taken

    # --- the operator -----------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        code = self.chance.choice(sorted(GOODS))
        ringing = isinstance(self.core.till.sale, Idle | Ringing) and not self._voiding()
        if ringing:
            self.model.rung_up(code)
        taken = self.take(v.Scanned(device="scanner", data=code))
        if taken.refused is ringing:
            raise Disagreement(f"a scan was {'refused' if taken.refused else 'taken'}")

    def _quantity(self) -> None:
        count, piece = self.chance.choice((1, 2, 3, 7, 0, 10_000)), self._last()
        can = (
            isinstance(self.core.till.sale, Ringing)
            and not self._voiding()
            and piece is not None
            and not piece.voided
            and not piece.gift
            and piece.count > 0
            and 0 < count < 10_000
        )
        if can and piece is not None:
            piece.count = count
        if self.take(v.QuantityKeyed(quantity_milli=1000 * count)).refused is can:
            raise Disagreement(f"a quantity of {count} was {'refused' if can else 'taken'}")

    def _void_line(self) -> None:
        standing = [piece for piece in self.model.counter if not piece.voided]
        can = isinstance(self.core.till.sale, Ringing) and not self._voiding() and bool(standing)
        can = can and not (standing[-1].gift and standing[-1].count < 0)
        if can:
            standing[-1].voided = True
        if self.take(v.VoidKeyed()).refused is can:
            raise Disagreement(f"a void was {'refused' if can else 'taken'}")

    def _cash(self) -> None:
        self.take(v.CashKeyed(amount_minor=self.chance.choice((None, None, None, 100, 2000, 5000, 0, -1))))

    def _card(self) -> None:
        self.take(v.CardKeyed(amount_minor=self.chance.choice((None, None, 100, 700, 9999))))

    def _voucher(self) -> None:
        code = f"{self.chance.choice(('V5C', 'V5F', 'V10'))}-{self.chance.randrange(60)}"
        used = code in self.model.vouchers
        if not self.take(v.Scanned(device="scanner", data=code)).refused and used:
            raise Disagreement(f"voucher {code} was taken again")

    def _account(self) -> None:
        if self.chance.random() < 0.5:
            self.take(v.TagPresented(device="nfc", uid="04", technology="type2"))
        self.take(v.AccountKeyed(amount_minor=self.chance.choice((None, None, 300))))

    def _cancel(self) -> None:
        self.take(v.CancelKeyed())

    def _return(self) -> None:
        recent = list(self.model.receipts)[-RECEIPTS_RECENT:]
        number = self.chance.choice([*recent, 99_999])
        receipt = self.model.receipts.get(number)
        line = self.chance.choice([*(receipt.pieces if receipt is not None else ()), 9])
        count = self.chance.choice((1, 1, 1, 2, 3))
        state = isinstance(self.core.till.sale, Idle | Ringing) and not self._voiding()
        can = state and self.model.may_return(number, line, count) and len(self._receipts(number)) <= 10
        if can:
            self.model.returned(number, line, count)
        if self.take(v.ReturnKeyed(number=number, line=line, quantity_milli=1000 * count)).refused is can:
            raise Disagreement(f"{count} of #{number}, line {line}, were {'refused' if can else 'taken back'}")

    def _return_all(self) -> None:
        """All that is left of the receipt in hand."""
        basket = basket_of(self.core.till.sale)
        begun = basket.originals if basket is not None else ()
        can = False
        if begun and isinstance(self.core.till.sale, Ringing) and not self._voiding():
            number = begun[-1].link.number
            for line, (_, count) in self.model.receipts[number].pieces.items():
                left = next((some for some in range(count, 0, -1) if self.model.may_return(number, line, some)), 0)
                if left:
                    can = True
                    self.model.returned(number, line, left)
        if self.take(v.ReturnKeyed()).refused is can:
            raise Disagreement(f"all of a receipt was {'refused' if can else 'taken back'}")

    def _void(self) -> None:
        number = self.chance.choice([0, *list(self.model.receipts)[-3:]])
        receipt = self.model.receipts.get(number or next(reversed(self.model.receipts), 0))
        of_number = number or next(reversed(self.model.receipts), 0)
        had_gifts = any(gift.returned is None for gift in self.core.gifts_of(of_number))
        if had_gifts:
            return  # what becomes of such a void is the payment device's word: the transcripts show it
        last = self.core.till.last
        last_is_sale = last is not None and not last.cancelled
        can = (
            isinstance(self.core.till.sale, Idle)
            and receipt is not None
            and (number != 0 or last_is_sale)
            and not receipt.has_returns
            and not receipt.voided
            and all(receipt.left[at] == count for at, (_, count) in receipt.pieces.items())
            and bool(receipt.pieces)
        )
        if can and receipt is not None:
            of = number or next(reversed(self.model.receipts))
            self.model.counter = [Piece(price, -count, of=(of, at)) for at, (price, count) in receipt.pieces.items()]
        if self.take(v.TransactionVoidKeyed(number=number, reason="wrong")).refused is can:
            raise Disagreement(f"the void of #{number} was {'refused' if can else 'taken'}")

    def _park(self) -> None:
        basket = basket_of(self.core.till.sale)
        was = self.model.counter
        if basket is not None:
            self.model.counter = []
        taken = self.core.till.sale if basket is None else None
        before = len(self.core.till.parked)
        step_ = self._parking(was)
        if not step_.refused and (basket is None or taken is not None or len(self.core.till.parked) != before + 1):
            raise Disagreement("nothing was parked, and the till took it")
        if not step_.refused and basket is not None:
            self.model.parked[basket.number] = was

    def _parking(self, was: list[Piece]) -> Step:
        """The model cannot say whether a basket may be parked but by the till's answer; a return never may."""
        stand_in, self.model.counter = self.model.counter, was
        before = self.core.till
        self.steps += 1
        self.pairs.add((type(before.sale).__name__, "SuspendKeyed"))
        taken = self.core.take(v.SuspendKeyed())
        if not taken.refused:
            self.model.counter = stand_in
            if any(piece.count < 0 and not piece.voided for piece in was):
                raise Disagreement("a return was parked")
        elif self.core.till != before:
            raise Disagreement("parking was refused, and something was done")
        return taken

    def _unpark(self) -> None:
        number = self.chance.choice([*self.model.parked, 77_777])
        can = isinstance(self.core.till.sale, Idle) and number in self.model.parked
        if can:
            self.model.counter = self.model.parked.pop(number)
        if self.take(v.ResumeKeyed(number=number)).refused is can:
            raise Disagreement(f"parked basket #{number} was {'refused' if can else 'given'}")

    def _other(self) -> None:
        events = (
            v.ReprintKeyed(),
            v.DrawerKeyed(),
            v.AgeKeyed(of_age=True),
            v.WeightKeyed(weight_g=5),
            v.TagTorn(device="n"),
        )
        self.take(self.chance.choice(events))

    # --- gift cards -------------------------------------------------------------------------------------------------

    def _sell_gift(self) -> None:
        can = isinstance(self.core.till.sale, Idle | Ringing) and not self._voiding()
        if self.take(v.GiftCardSaleKeyed(amount_minor=self.chance.choice((1_000, 2_500)))).refused is can:
            raise Disagreement(f"a gift card's sale was {'refused' if can else 'taken'}")

    def _pay_rest_out(self) -> None:
        can = isinstance(self.core.till.sale, Idle | Ringing) and not self._voiding()
        if self.take(v.GiftCardCashOutKeyed()).refused is can:
            raise Disagreement(f"paying out what is left was {'refused' if can else 'taken'}")

    def _show_gift(self) -> None:
        """In whatever state: it is reserved, pays, or is looked at."""
        before = len(self.core.bodies)
        number = self.chance.choice(GIFT_CARDS)
        self.take(v.CardSwiped(device="msr", kind="gift", number=number))
        if any(number.encode() in body for body in self.core.bodies[before:]):
            raise Disagreement("a gift card's number is kept")

    def _return_gift(self) -> None:
        recent = [number for number, receipt in self.model.receipts.items() if receipt.gifts][-RECEIPTS_RECENT:]
        number = self.chance.choice([*recent, 99_999])
        sold = self.model.receipts[number].gifts if number in self.model.receipts else {}
        line = self.chance.choice([*sold, 9])
        self.take(v.GiftCardReturnKeyed(number=number, line=line))

    def _answer_of_gift(self) -> None:
        if self.gifts_asked:
            asked = self.gifts_asked.pop(self.chance.randrange(len(self.gifts_asked)))
            self._hear_of_gift(asked, answers=self.chance.random() < 0.7, does=self.chance.random() < 0.8)

    def _hear_of_gift(self, asked: _AskedOfGift, *, answers: bool, does: bool) -> None:
        values = self.model.ledger.values
        match asked:
            case x.EnquireBalance():
                self.take(v.BalanceTold(card=asked.card.masked, balance_minor=100))
                return
            case x.ReserveGiftCard() if does and answers:
                self.take(
                    v.GiftCardReserved(
                        reference=asked.reference,
                        card=asked.card.masked,
                        account=asked.account,
                        poi_transaction=f"V{self.steps}",
                        balance_minor=self.chance.choice((None, 0, 300, 900)),
                    )
                )
                return
            case x.ReserveGiftCard():
                self.take(v.GiftCardUnreserved(reference=asked.reference, reason="no-answer"))
                return
            case x.ChangeStoredValue():
                self.model.ledger.asked[asked.reference] += 1
                if self.model.ledger.asked[asked.reference] > 1:
                    raise Disagreement(f"{asked.reference} was sent to the payment device twice")
                if does:
                    values.add(asked.reference)
            case x.EnquireStoredValue():
                pass
        if not answers:
            self.take(v.StoredValueUnanswered(reference=asked.reference))
            return
        known = asked.reference in values
        told: v.AnyEvent = v.StoredValueRefused(reference=asked.reference, reason="declined")
        if known:
            told = v.StoredValueAnswered(reference=asked.reference, poi_transaction="V", balance_minor=1)
        self.take(told)
        self.answers.append(told)

    def _record_gift(self, entry: e.GiftCardAdded | e.GiftCardReturned) -> None:
        """What joins the basket: sold, or taken back after the payment device has emptied it."""
        if isinstance(entry, e.GiftCardAdded):
            self.model.counter.append(Piece(entry.amount_minor, 1, gift=True))
            return
        undone = self.gone.get(entry.original, set())
        if not undone & self.model.ledger.values:
            raise Disagreement("money is given for a gift card that keeps its value")
        of = (entry.returned.number, entry.returned.line) if entry.returned.number else None
        self.model.counter.append(Piece(-entry.amount_minor, -1, of=of, gift=True))

    # --- the world --------------------------------------------------------------------------------------------------

    def _answer(self) -> None:
        if self.asked:
            asked = self.asked.pop(self.chance.randrange(len(self.asked)))
            self._hand_on(self._outcome(asked, answers=self.chance.random() < 0.7, does=self.chance.random() < 0.7))

    def _answer_again(self) -> None:
        if self.answers:
            before = self.core.till
            self.take(self.chance.choice(self.answers[-20:]))
            if self.core.till != before:
                raise Disagreement("an answer that came twice changed something")

    def _outcome(self, asked: _Asked, *, answers: bool, does: bool) -> v.AnyEvent:
        reference, ledger = asked.reference, self.model.ledger
        match asked:
            case x.RequestPayment() | x.RequestRefund():
                ledger.asked[reference] += 1
                if ledger.asked[reference] > 1:
                    raise Disagreement(f"{reference} was sent to the payment device twice")
                if does:
                    given = isinstance(asked, x.RequestRefund)
                    ledger.moved[reference] = -asked.amount_minor if given else asked.amount_minor
            case x.ReversePayment():
                if does:
                    ledger.reversed.add(reference)
                if answers and reference in ledger.reversed:
                    return v.PaymentTakenBack(reference=reference)
                return v.ReversalUnanswered(reference=reference)
            case x.EnquirePayment():
                pass
        if not answers:
            return v.PaymentUnanswered(reference=reference)
        if reference not in ledger.moved:
            return v.PaymentRefused(reference=reference, reason=self.chance.choice(("declined", "aborted")))
        amount_minor = abs(ledger.moved[reference])
        return v.PaymentAnswered(reference=reference, amount_minor=amount_minor, poi_transaction=f"P{reference}")

    def _hand_on(self, event: v.AnyEvent) -> None:
        self.take(event)
        if not isinstance(event, v.PaymentUnanswered | v.ReversalUnanswered):
            self.answers.append(event)

    def _do(self, effect: x.AnyEffect) -> None:
        match effect:
            case x.RequestPayment() | x.RequestRefund() | x.EnquirePayment() | x.ReversePayment():
                self.asked.append(effect)
            case x.ChangeStoredValue(operation="unload" | "cash-out"):
                self.gone.setdefault(effect.original, set()).add(effect.reference)
                self.gifts_asked.append(effect)
            case x.ReserveGiftCard() | x.ChangeStoredValue() | x.EnquireStoredValue() | x.EnquireBalance():
                self.gifts_asked.append(effect)
            case x.PrintReceipt(copy=0, doubtful=False):
                self.papers[effect.number] += 1
                if self.papers[effect.number] > 1:
                    raise Disagreement(f"receipt {effect.number} is printed twice, unmarked")
                self.core.take(v.ReceiptTaken(number=effect.number, copy=0))
            case _:
                pass

    def _record(self, entry: e.AnyEntry, before: Till) -> None:
        match entry:
            case e.TransactionCompleted():
                last = self.core.till.last
                assert last is not None
                assert last.completed is not None
                moved: Counter[str] = Counter()
                for tender in last.completed.basket.tenders:
                    moved[tender.kind] += -tender.amount_minor if tender.refund_of else tender.amount_minor
                kept = last.completed.sale
                self.model.finished(
                    kept.number,
                    kept.total_minor,
                    kept.change_minor,
                    moved["CASH"],
                    moved["CREDIT"] + moved["STORED_VALUE"],
                    moved["VOUCHER"] + moved["CUST_ACCT"],
                )
                for tender in last.completed.basket.tenders:
                    if tender.voucher in self.model.vouchers:
                        raise Disagreement(f"voucher {tender.voucher} has paid twice")
                self.model.vouchers |= {t.voucher for t in last.completed.basket.tenders if t.voucher}
                if entry.voids is not None:
                    self.model.receipts[entry.voids.number].voided = True
            case e.TransactionCancelled():
                basket = basket_of(before.sale)
                paid = basket.tenders if basket is not None else ()
                self.model.given_up(entry.returned_minor, sum(t.amount_minor for t in paid if t.kind == "CASH"))
            case e.GiftCardAdded() | e.GiftCardReturned():
                self._record_gift(entry)
            case e.PaymentDeclined():
                aside = [tender for tender in before.aside if tender.reference == entry.reference]
                self.model.unmade_minor += sum(tender.amount_minor for tender in aside if tender.refund_of)
            case _:
                pass

    def _settle(self) -> None:
        """Everything works again."""
        for _ in range(SETTLE_STEPS_MAX):
            sale = self.core.till.sale
            if self.asked:
                asked = self.asked.pop(0)
                self._hand_on(self._outcome(asked, answers=True, does=isinstance(asked, x.ReversePayment)))
            elif self.gifts_asked:
                self._hear_of_gift(self.gifts_asked.pop(0), answers=True, does=False)
            elif isinstance(sale, Loading):
                self.take(v.CancelKeyed())
            elif isinstance(sale, Ringing | Tendering):
                for event in (v.CancelKeyed(), v.CashKeyed(), v.CardKeyed(), v.AccountKeyed()):
                    if not self.take(event).refused:
                        break
            elif isinstance(sale, Authorizing | Enquiring | Unloading):
                raise Disagreement("a payment waits that nobody asks about")
            else:
                break
        if not isinstance(self.core.till.sale, Idle) or self.core.till.aside or self.core.till.gifts:
            raise Disagreement("something is still open")
        if self.core.refold() != self.core.till:
            raise Disagreement("the entries give another till than the one that wrote them")
        self.model.balanced()

    def _last(self) -> Piece | None:
        return self.model.counter[-1] if self.model.counter else None

    def _voiding(self) -> bool:
        basket = basket_of(self.core.till.sale)
        return basket is not None and basket.voiding is not None

    def _receipts(self, number: int) -> set[int]:
        return {number, *(piece.of[0] for piece in self.model.counter if piece.of is not None)}

    def _shown_minor(self) -> int:
        basket = basket_of(self.core.till.sale)
        lines = basket.lines if basket is not None else ()
        return sum(line.item.amount_minor for line in lines if not line.voided)
