"""Training: a till inside the till. What is done in it is kept in a stream of its own, and touches nothing else.

`Till.practice` is folded from `Trained` entries, as the till is from all others: its basket, its receipts, its numbers. So
no total, no stock, no history and no session sees them, and fiscal numbers do not skip. Nothing reaches the drawer or the payment
device: a card pays at once, and a gift card is good at once. Every paper says what it is, and bears no code that could be taken for a receipt's.
"""

from collections.abc import Callable

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.document import Barcode, Cut, Document, Element, QrCode, Rule, Text
from core.fold import apply
from core.language import words
from core.operators import signed
from core.provided import with_provided
from core.state import Shop, Till, basket_of
from core.step import NOTHING, Facts, OriginalWanted, Step, refuse
from core.text import message

NUMBERS_ABOVE = 1_000_000_000
"""Training's transactions count from the next one: a paper's number tells by itself what it is."""
ANSWERS_MAX = 100
"""Card payments that are answered in one step; a basket has fewer."""

Take = Callable[[Shop, Till, v.AnyEvent, Facts], Step]

_PRACTISED = (
    v.Scanned, v.CodeKeyed, v.TagPresented, v.CardSwiped, v.WeightSensed, v.QuantityKeyed, v.WeightKeyed, v.VoidKeyed,
    v.CashKeyed, v.CardKeyed, v.CancelKeyed, v.CouponPresented, v.LineDiscountKeyed, v.TotalDiscountKeyed, v.PriceKeyed,
    v.TaxExemptionKeyed, v.AgeKeyed, v.OpenPriceKeyed, v.DepositReturnKeyed, v.ItemKeyed, v.SuspendKeyed, v.ResumeKeyed,
    v.GiftCardSaleKeyed,
)  # fmt: skip
_APART = (
    v.DrawerKeyed, v.ReprintKeyed, v.InvoiceKeyed, v.BusinessDayKeyed, v.TillOpenKeyed, v.CashMoveKeyed,
    v.CountBegunKeyed, v.CountKeyed, v.CountGivenUpKeyed, v.TillCloseKeyed, v.XReportKeyed, v.ZReportKeyed,
    v.PaperSaleKeyed, v.ReturnKeyed, v.UnreceiptedReturnKeyed, v.TransactionVoidKeyed, v.GiftCardReturnKeyed,
    v.BalanceKeyed, v.GiftCardCashOutKeyed,
)  # fmt: skip
"""What has no place in training: it is about real money, or real paper."""
PRACTISED_TAGS = frozenset(str(each.__struct_config__.tag) for each in (*_PRACTISED, v.PriceCheckKeyed))
_KEPT = (x.PrintReceipt, x.AskWeight, x.ReleaseScale)


def turn(till: Till, event: v.TrainingKeyed) -> Step:
    """Training begins between two sales, and ends whenever; what was in its basket is nothing."""
    if event.on == (till.practice is not None):
        return refuse("training-already" if event.on else "no-training")
    if not event.on:
        return Step(entries=(e.TrainingEnded(),), notice=message("training-ended"))
    if basket_of(till.sale) is not None:
        return refuse("sale-open")
    begun = e.TrainingBegun(number=max(till.next_practice, NUMBERS_ABOVE + 1))
    return Step(entries=(begun,), notice=message("training-begun"), level="warning")


def in_training(shop: Shop, till: Till) -> tuple[Shop, Till]:
    """The shop and the till that sales are made in now: the ones given, or those of training."""
    if till.practice is None:
        return shop, till
    shop = msgspec.structs.replace(shop, till_sessions=False, drawer_must_shut=False)
    return shop, msgspec.structs.replace(till.practice, operator=till.operator, locked=till.locked)


def practise(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts, take: Take) -> Step | None:
    """What follows in training; None where the event is not for it. `take` is a step of a till, whosever it is."""
    if isinstance(event, v.ReceiptTaken | v.ReceiptUncertain) and event.number > NUMBERS_ABOVE:
        if till.practice is None:
            return NOTHING
        shop, practice = in_training(shop, till)
        return _wrapped(shop, take(shop, practice, event, facts))
    if till.practice is None:
        return None
    if isinstance(event, _APART) or isinstance(facts.question, OriginalWanted):
        return refuse("not-in-training")
    if not isinstance(event, _PRACTISED):
        return None
    shop, practice = in_training(shop, till)
    given = with_provided(practice, facts)
    waiting: list[v.AnyEvent] = [event]
    done: list[Step] = []
    while waiting and len(done) < ANSWERS_MAX:
        taken = take(shop, practice, waiting.pop(0), given)
        done.append(taken)
        for entry in taken.entries:
            practice = apply(practice, entry)
        waiting += [answer for effect in taken.effects if (answer := _answer(effect)) is not None]
    joined = msgspec.structs.replace(
        done[-1],
        entries=tuple(entry for taken in done for entry in taken.entries),
        effects=tuple(effect for taken in done for effect in taken.effects),
        refused=done[0].refused,
    )
    return _wrapped(shop, signed(shop, till, event, facts, joined))


def unwrapped(taken: Step) -> Step:
    """The step as it would be without training, for what is shown of it."""
    entries = tuple(each.entry if isinstance(each, e.Trained) else each for each in taken.entries)
    return msgspec.structs.replace(taken, entries=entries)


def marked(shop: Shop, document: Document) -> Document:
    """The paper as training puts it out: it says so first and last, and bears no code."""
    say = words(shop.language)
    mark: tuple[Element, ...] = (
        Text(left=say("*** TRAINING ***"), style="centre-large"),
        Text(left=say("No receipt: nothing was sold"), style="centre"),
        Rule(),
    )
    kept = tuple(each for each in document.elements if not isinstance(each, QrCode | Barcode | Cut))
    return Document(elements=(*mark, *kept, *reversed(mark), Cut()))


def _wrapped(shop: Shop, taken: Step) -> Step:
    """The step as training keeps it and has it done."""
    effects = tuple(
        msgspec.structs.replace(effect, document=marked(shop, effect.document))
        if isinstance(effect, x.PrintReceipt)
        else effect
        for effect in taken.effects
        if isinstance(effect, _KEPT)
    )
    return msgspec.structs.replace(
        taken, entries=tuple(e.Trained(entry=entry) for entry in taken.entries), effects=effects
    )


def _answer(effect: x.AnyEffect) -> v.AnyEvent | None:
    """What the payment device would say: yes, at once."""
    match effect:
        case x.RequestPayment() | x.RequestRefund():
            return v.PaymentAnswered(
                reference=effect.reference,
                amount_minor=effect.amount_minor,
                poi_transaction="training",
                brand="TRAINING",
            )
        case x.ReversePayment():
            return v.PaymentTakenBack(reference=effect.reference)
        case x.ReserveGiftCard():
            return v.GiftCardReserved(
                reference=effect.reference,
                card=effect.card.masked,
                account=effect.account,
                poi_transaction="training",
            )
        case x.ChangeStoredValue():
            return v.StoredValueAnswered(reference=effect.reference, poi_transaction="training")
        case x.EnquireBalance():
            return v.BalanceUntold(card=effect.card.masked, reason="training")
        case _:
            return None
