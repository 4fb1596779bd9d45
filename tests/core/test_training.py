"""Training touches nothing: whatever is done in it, the till outside stays, and neither drawer nor payment device hears of it."""

import msgspec
import pytest

from core import effects as x
from core import entries as e
from core import events as v
from core.document import Barcode, QrCode, Text
from core.fold import apply
from core.ledger import Stream
from core.sale import read, step
from core.state import Till
from core.step import Facts, OriginalWanted, Step
from core.training import NUMBERS_ABOVE, in_training
from core.view import sale_view
from tests.core.test_sale import EVENTS, STATES
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY

SCAN = v.Scanned(device="scanner", data="96385074")
PEOPLE_AND_COUNTER = frozenset(
    ("operator", "locked", "key", "practice", "next_practice", "drawer_open", "power_weak", "started", "unprinted")
)


def take(till: Till, event: v.AnyEvent) -> tuple[Till, Step]:
    facts = Facts(
        business_day=TODAY,
        local_time=NOW,
        question=read(SHOP, till, event, TODAY),
        item=CATALOGUE["00000096385074"],
        customer="c0ffee",
    )
    taken = step(SHOP, till, event, facts)
    for entry in taken.entries:
        till = apply(till, entry)
    return till, taken


def training() -> Till:
    till, _ = take(Till(next_number=8), v.TrainingKeyed(on=True))
    return till


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.__struct_config__.tag))
@pytest.mark.parametrize("state", STATES)
def test_nothing_comes_out_of_training(state: str, event: v.AnyEvent) -> None:
    before = msgspec.structs.replace(training(), practice=STATES[state])
    after, taken = take(before, event)
    for name in Till.__struct_fields__:
        if name not in PEOPLE_AND_COUNTER:
            assert getattr(after, name) == getattr(before, name), name
    kinds = x.OpenDrawer | x.RequestPayment | x.RequestRefund | x.EnquirePayment | x.ReversePayment | x.AbortPayment
    kinds |= x.PrintReport | x.PrintInvoice | x.ReconcilePayments
    assert not any(isinstance(effect, kinds) for effect in taken.effects)
    for effect in taken.effects:
        if isinstance(effect, x.PrintReceipt):
            texts = [each.left for each in effect.document.elements if isinstance(each, Text)]
            assert texts[0] == texts[-1] == "*** TRAINING ***"
            assert not any(isinstance(each, QrCode | Barcode) for each in effect.document.elements)
    for entry in taken.entries:
        inside = isinstance(entry, e.Trained)
        assert (e.draft(entry).stream is Stream.TRAINING) == inside
        assert not (inside and e.draft(entry).moves_money)
        assert e.decode(e.encode(entry)) == entry


@pytest.mark.parametrize("pay", [v.CashKeyed(), v.CardKeyed()])
def test_numbers_of_its_own(pay: v.AnyEvent) -> None:
    till = training()
    for _ in range(2):
        till, _ = take(till, SCAN)
        till, _ = take(till, pay)
    assert till.practice is not None
    assert till.practice.day.transactions == 2
    assert (till.next_number, till.day.transactions) == (8, 0)
    till, _ = take(till, v.TrainingKeyed(on=False))
    assert till.practice is None
    till, _ = take(till, v.TrainingKeyed(on=True))
    till, taken = take(till, SCAN)
    assert isinstance(taken.entries[0], e.Trained)
    assert isinstance(taken.entries[0].entry, e.TransactionOpened)
    assert taken.entries[0].entry.number == NUMBERS_ABOVE + 3
    till, _ = take(till, v.TrainingKeyed(on=False))
    _, taken = take(till, SCAN)
    assert isinstance(taken.entries[0], e.TransactionOpened)
    assert taken.entries[0].number == 8


def test_a_card_that_was_paid_with_goes_back_at_once() -> None:
    till = training()
    for event in (SCAN, v.CardKeyed(amount_minor=500), v.CancelKeyed()):
        till, _ = take(till, event)
    assert till.practice is not None
    assert sale_view(SHOP, till).mode == "idle"
    assert not till.practice.aside


def test_a_real_receipt_is_not_for_training() -> None:
    till = training()
    wanted = OriginalWanted(number=1, epoch="0f1e2d3c", terminal="till-3")
    facts = Facts(business_day=TODAY, local_time=NOW, question=wanted)
    taken = step(SHOP, till, v.Scanned(device="scanner", data="-"), facts)
    assert taken.notice is not None
    assert taken.notice.id == "not-in-training"


def test_not_between_two_goods() -> None:
    till, _ = take(Till(), SCAN)
    after, taken = take(till, v.TrainingKeyed(on=True))
    assert after == till
    assert taken.notice is not None
    assert taken.notice.id == "sale-open"


def test_a_paper_that_comes_after_its_training_is_nobodys() -> None:
    till, _ = take(training(), SCAN)
    till, taken = take(till, v.CashKeyed())
    (paper,) = (effect for effect in taken.effects if isinstance(effect, x.PrintReceipt))
    till, _ = take(till, v.TrainingKeyed(on=False))
    after, taken = take(till, v.ReceiptTaken(number=paper.number, copy=0))
    assert after == till
    assert not taken.entries


def test_a_real_receipt_that_waits_is_printed_during_training() -> None:
    till, _ = take(Till(), SCAN)
    till, _ = take(till, v.CashKeyed())
    till, _ = take(till, v.TrainingKeyed(on=True))
    assert till.unprinted
    till, taken = take(till, v.ReceiptTaken(number=1, copy=0))
    assert isinstance(taken.entries[0], e.ReceiptPrinted)
    assert not till.unprinted


def test_the_sale_of_training_is_what_screens_show() -> None:
    till, _ = take(training(), SCAN)
    view = sale_view(SHOP, till)
    assert (view.mode, view.number) == ("ringing", NUMBERS_ABOVE + 1)
    assert "cash_keyed" in view.allowed
    assert "drawer_keyed" not in view.allowed
    shop, practice = in_training(SHOP, till)
    assert not shop.till_sessions
    assert practice.practice is None
