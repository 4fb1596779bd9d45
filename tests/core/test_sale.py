"""Every pair of state and event is decided: nothing is raised, and what is kept can be folded into the state."""

import msgspec
import pytest

from core import entries as e
from core import events as v
from core.entries import CardTotal, CashCount
from core.fold import apply
from core.permissions import Operator
from core.sale import allowed, read, step
from core.state import Till
from core.step import Facts
from core.stripe import Opaque
from tests.core.transcript import CATALOGUE, NOW, SHOP, TODAY, Player, original_in

_APPROVED = v.PaymentAnswered(reference="1.1", amount_minor=1290, poi_transaction="P1")


def _kept(*events: v.AnyEvent) -> list[e.AnyEntry]:
    player = Player()
    for event in events:
        player.take(event)
    return player.kept


def _till(*events: v.AnyEvent) -> Till:
    player = Player()
    for event in events:
        player.take(event)
    return player.till


_SCAN = v.Scanned(device="scanner", data="96385074")
_BANANAS = v.CodeKeyed(data="02112345000008")
_PART = v.PaymentAnswered(reference="1.1", amount_minor=1000, poi_transaction="P1")
_UNANSWERED = v.PaymentUnanswered(reference="1.1")
_BY_CARD = (_SCAN, v.CardKeyed(), _APPROVED)
_REFUND_UNANSWERED = v.PaymentUnanswered(reference="2.1")

STATES = {
    "idle": _till(),
    "idle-after-sale": _till(_SCAN, v.CashKeyed()),
    "ringing": _till(_SCAN),
    "ringing-priced": _till(
        _SCAN,
        v.LineDiscountKeyed(percent_bp=1000, reason="dented"),
        v.TotalDiscountKeyed(amount_minor=100, reason="goodwill"),
        v.TaxExemptionKeyed(reason="embassy"),
    ),
    "ringing-empty": _till(_SCAN, v.VoidKeyed()),
    "weighing": _till(_SCAN, _BANANAS),
    "weighing-first": _till(_BANANAS),
    "asking-age": _till(_SCAN, v.CodeKeyed(data="40170725")),
    "asking-age-first": _till(v.CodeKeyed(data="40170725")),
    "asking-price": _till(_SCAN, v.CodeKeyed(data="012345678905")),
    "age-refused": _till(_SCAN, v.CodeKeyed(data="40170725"), v.AgeKeyed(of_age=False)),
    "returning": _till(*_BY_CARD, v.ReturnKeyed(number=1)),
    "returning-cash": _till(_SCAN, v.CashKeyed(), v.ReturnKeyed(number=1)),
    "exchanging": _till(*_BY_CARD, v.ReturnKeyed(number=1), v.CodeKeyed(data="036000291452")),
    "refunding": _till(*_BY_CARD, v.ReturnKeyed(number=1), v.CardKeyed()),
    "refund-unknown": _till(*_BY_CARD, v.ReturnKeyed(number=1), v.CardKeyed(), _REFUND_UNANSWERED),
    "refunded-in-part": _till(_SCAN, v.CashKeyed(), v.ReturnKeyed(number=1), v.CashKeyed(amount_minor=100)),
    "aside-refund": _till(*_BY_CARD, v.ReturnKeyed(number=1), v.CardKeyed(), _REFUND_UNANSWERED, v.CancelKeyed()),
    "voiding": _till(_SCAN, v.CashKeyed(), v.TransactionVoidKeyed(reason="wrong")),
    "voided": _till(_SCAN, v.CashKeyed(), v.TransactionVoidKeyed(reason="wrong"), v.CashKeyed()),
    "ringing-one-parked": _till(_SCAN, v.SuspendKeyed(label="blue coat"), _SCAN),
    "idle-one-parked": _till(_SCAN, v.SuspendKeyed()),
    "idle-two-parked": _till(_SCAN, v.SuspendKeyed(), _SCAN, v.SuspendKeyed(label="blue coat")),
    "resumed": _till(_SCAN, v.SuspendKeyed(), v.ResumeKeyed()),
    "tendering": _till(_SCAN, v.CashKeyed(amount_minor=1000)),
    "tendering-card": _till(_SCAN, v.CardKeyed(amount_minor=1000), _PART),
    "authorizing": _till(_SCAN, v.CardKeyed()),
    "enquiring": _till(_SCAN, v.CardKeyed(), _UNANSWERED),
    "aside-unknown": _till(_SCAN, v.CardKeyed(), _UNANSWERED, v.CancelKeyed()),
    "reversing": _till(_SCAN, v.CardKeyed(amount_minor=1000), _PART, v.CancelKeyed()),
    "reversal-unknown": _till(
        _SCAN, v.CardKeyed(amount_minor=1000), _PART, v.CancelKeyed(), v.ReversalUnanswered(reference="1.1")
    ),
    "aside-reversal": _till(
        _SCAN,
        v.CardKeyed(amount_minor=1000),
        _PART,
        v.CancelKeyed(),
        v.ReversalUnanswered(reference="1.1"),
        v.CancelKeyed(),
    ),
}

_GIFT = v.CardSwiped(device="msr", kind="gift", number="6006490000000004")
_RESERVED = v.GiftCardReserved(reference="1.r1", card="****0004", account="b0b0", poi_transaction="V1")
_REST = v.GiftCardReserved(reference="1.r1", card="****0004", account="b0b0", poi_transaction="V1", balance_minor=300)
_GIFT_SOLD = (v.GiftCardSaleKeyed(amount_minor=5_000), _RESERVED, v.CashKeyed())
_GIFT_GOOD = v.StoredValueAnswered(reference="1.g1", poi_transaction="V2", balance_minor=5_000)
_GIFT_BACK = (*_GIFT_SOLD, _GIFT_GOOD, v.GiftCardReturnKeyed(number=1))
STATES |= {
    "loading": _till(_SCAN, v.GiftCardSaleKeyed(amount_minor=5_000)),
    "loading-first": _till(v.GiftCardSaleKeyed(amount_minor=5_000)),
    "ringing-gift": _till(v.GiftCardSaleKeyed(amount_minor=5_000), _RESERVED),
    "gift-pending": _till(*_GIFT_SOLD),
    "gift-unknown": _till(*_GIFT_SOLD, v.StoredValueUnanswered(reference="1.g1")),
    "gift-sold": _till(*_GIFT_SOLD, _GIFT_GOOD),
    "unloading": _till(*_GIFT_BACK),
    "unload-unknown": _till(*_GIFT_BACK, v.StoredValueUnanswered(reference="2.u1")),
    "unloaded": _till(*_GIFT_BACK, v.StoredValueAnswered(reference="2.u1")),
    "aside-unload": _till(*_GIFT_BACK, v.StoredValueUnanswered(reference="2.u1"), v.CancelKeyed()),
    "unloaded-late": _till(
        *_GIFT_BACK,
        v.StoredValueUnanswered(reference="2.u1"),
        v.CancelKeyed(),
        v.StoredValueAnswered(reference="2.u1"),
        v.StoredValueAnswered(reference="1.u1"),
        v.StoredValueRefused(reference="1.u1", reason="declined"),
        v.StoredValueUnanswered(reference="1.u1"),
    ),
    "cashing-out": _till(v.GiftCardCashOutKeyed()),
    "cashing-out-beside": _till(_SCAN, v.GiftCardCashOutKeyed(), _RESERVED),
    "cash-out-unloading": _till(v.GiftCardCashOutKeyed(), _REST),
    "aside-cash-out": _till(
        v.GiftCardCashOutKeyed(), _REST, v.StoredValueUnanswered(reference="1.u1"), v.CancelKeyed()
    ),
    "cashed-out": _till(v.GiftCardCashOutKeyed(), _REST, v.StoredValueAnswered(reference="1.u1")),
    "authorizing-gift": _till(_SCAN, _GIFT),
    "tendering-gift": _till(_SCAN, _GIFT, _PART),
}

CASHIER = Operator(id="17", role="cashier")
COUNTED = (v.CountBegunKeyed(), v.CountKeyed(amount_minor=1290))
STATES |= {
    "till-open": _till(v.TillOpenKeyed(float_minor=10_000)),
    "till-counting": _till(_SCAN, v.CashKeyed(), v.CountBegunKeyed()),
    "till-counted": _till(_SCAN, v.CashKeyed(), *COUNTED),
    "till-settled": _till(_SCAN, v.CashKeyed(), *COUNTED, v.TillCloseKeyed()),
    "till-counted-aside": _till(_SCAN, v.CardKeyed(), _UNANSWERED, v.CancelKeyed(), v.CancelKeyed(), *COUNTED),
    "paper-sale": _till(v.PaperSaleKeyed(paper="A 17", written=TODAY), _SCAN),
}

ORIGINAL = original_in(_kept(*_BY_CARD), 1)
"""What the history says in each state, whatever is asked."""

EVENTS: tuple[v.AnyEvent, ...] = (
    _SCAN,
    v.Scanned(device="scanner", data="nonsense"),
    v.ScanGarbled(device="scanner", fault=v.ScanFault.TORN, length=3),
    v.TagPresented(device="nfc", uid="04", technology="type2"),
    v.TagTorn(device="nfc"),
    v.CardSwiped(device="msr", kind="loyalty", number="6006490000000004"),
    v.CardSwiped(device="msr", kind="gift", number="6006490000000004"),
    v.CardSwiped(device="msr", kind="staff", number="6006490000000004"),
    v.CardEncrypted(device="msr", ksn=Opaque(bytearray(10)), data=Opaque(bytearray(40))),
    v.CardRefused(device="msr", is_payment=True),
    v.CardRefused(device="msr", is_payment=False, last="0004"),
    v.CardGarbled(device="msr", fault=v.CardFault.PARITY, track=2),
    v.DrawerSensed(device="drawer", is_open=True),
    v.DrawerSensed(device="drawer", is_open=False, open_ms=5),
    v.DrawerFound(device="drawer", is_open=True),
    v.DrawerLeftOpen(device="drawer", open_ms=60_000),
    v.DrawerLeftOpen(device="drawer", open_ms=120_000, again=True),
    v.PrinterSensed(device="printer", online=True, cover_open=False, paper=v.PaperStatus.OUT),
    v.KeyLockTurned(device="lock", position="supervisor"),
    v.ButtonPressed(device="buttons", order="no-sale"),
    v.ButtonPressed(device="buttons", order="cash"),
    v.ButtonPressed(device="buttons", order="cancel"),
    v.CaseOpened(device="case"),
    v.PowerSensed(device="power", weak=True, flags=("under-voltage",)),
    v.PowerSensed(device="power", weak=False),
    v.DeviceChanged(device="scanner", phase=v.DevicePhase.READY),
    _APPROVED,
    v.PaymentRefused(reference="1.1", reason="declined"),
    _UNANSWERED,
    v.PaymentTakenBack(reference="1.1"),
    v.ReversalUnanswered(reference="1.1"),
    v.PaymentAnswered(reference="9.9", amount_minor=5, poi_transaction="P9"),
    v.ReceiptTaken(number=1, copy=0),
    v.ReceiptUncertain(number=1, copy=0),
    v.DrawerStuck(fault="device-gone"),
    v.CodeKeyed(data="96385074"),
    _BANANAS,
    v.WeightSensed(device="scale", condition=v.WeightCondition.STABLE, weight_g=642, cleared=True, reference="1.2"),
    v.WeightSensed(device="scale", condition=v.WeightCondition.OVERLOAD),
    v.WeightKeyed(weight_g=642),
    v.WeightKeyed(weight_g=0),
    v.QuantityKeyed(quantity_milli=2000),
    v.VoidKeyed(),
    v.CashKeyed(),
    v.CashKeyed(amount_minor=1),
    v.CardKeyed(),
    v.CancelKeyed(),
    v.ReprintKeyed(),
    v.DrawerKeyed(),
    v.Booted(),
    v.CouponPresented(code="SPRING"),
    v.CouponPresented(code="nonsense"),
    v.LineDiscountKeyed(percent_bp=1000, reason="dented"),
    v.LineDiscountKeyed(),
    v.TotalDiscountKeyed(amount_minor=100, reason="goodwill"),
    v.PriceKeyed(unit_price_minor=50, reason="price on the shelf"),
    v.PriceKeyed(unit_price_minor=-1, reason="price on the shelf"),
    v.TaxExemptionKeyed(reason="embassy", certificate="D-17"),
    v.TaxExemptionKeyed(),
    v.AgeKeyed(of_age=True),
    v.AgeKeyed(of_age=False),
    v.ItemKeyed(data="5000112637922", name="Cola", unit_price_minor=100, tax="A"),
    v.OpenPriceKeyed(unit_price_minor=500),
    v.OpenPriceKeyed(unit_price_minor=0),
    v.CodeKeyed(data="40170725"),
    v.PriceCheckKeyed(data="96385074"),
    v.DepositReturnKeyed(data="4006381333931", count=2),
    v.OperatorChecked(outcome="granted", operator=CASHIER),
    v.OperatorChecked(outcome="denied", operator=CASHIER, tries_left=3),
    v.OperatorChecked(outcome="locked", operator=CASHIER, left_ms=60_000),
    v.OperatorChecked(outcome="unknown"),
    v.LockKeyed(),
    v.SignOffKeyed(),
    v.NoteSeenKeyed(),
    v.TillIdled(),
    v.TrainingKeyed(on=True),
    v.TrainingKeyed(on=False),
    v.OperatorAdministered(subject="17", change="removed"),
    v.OperatorAdministered(subject="18", change="added", role="cashier"),
    _REFUND_UNANSWERED,
    v.AccountKeyed(),
    v.AccountKeyed(amount_minor=9_999),
    v.CodeKeyed(data="V10-0001"),
    v.CodeKeyed(data="V5C-0001"),
    v.PaymentAnswered(reference="2.1", amount_minor=1290, poi_transaction="P2"),
    v.PaymentRefused(reference="2.1", reason="declined"),
    v.ReturnKeyed(),
    v.ReturnKeyed(number=1),
    v.ReturnKeyed(number=1, line=1, quantity_milli=1000),
    v.ReturnKeyed(line=9),
    v.UnreceiptedReturnKeyed(data="96385074", reason="gift"),
    v.UnreceiptedReturnKeyed(data="nonsense", reason=""),
    v.TransactionVoidKeyed(reason="wrong goods"),
    v.TransactionVoidKeyed(reason="wrong goods", number=1),
    v.Scanned(device="scanner", data=f"TD1:till-3/{'0' * 32}/1"),
    v.SuspendKeyed(),
    v.SuspendKeyed(label="Blue coat"),
    v.ResumeKeyed(),
    v.ResumeKeyed(number=1),
    v.ResumeKeyed(label="BLUE  coat"),
    v.BusinessDayKeyed(business_day="2026-11-25"),
    v.BusinessDayKeyed(business_day="yesterday"),
    v.TillOpenKeyed(float_minor=10_000),
    v.TillOpenKeyed(float_minor=-1),
    v.CashMoveKeyed(move="pickup", amount_minor=500, reason="to the safe"),
    v.CashMoveKeyed(move="paid-out", amount_minor=500),
    v.CountBegunKeyed(),
    v.CountKeyed(counts=(CashCount(unit_minor=500, count=3),)),
    v.CountKeyed(amount_minor=-5),
    v.CountGivenUpKeyed(),
    v.TillCloseKeyed(),
    v.XReportKeyed(),
    v.ZReportKeyed(),
    v.PaperSaleKeyed(paper="A 17", written="2026-11-23"),
    v.PaymentsTotalled(session=1, theirs=(CardTotal(kind="debit", count=1, amount_minor=5),)),
    v.PaymentsTotalled(session=1, fault="no-device"),
    v.ReportTorn(),
    v.ReprintKeyed(number=9_999),
    v.InvoiceKeyed(name="Harbour Books Ltd", tax_number="DE 123", address=("1 Quay",)),
    v.InvoiceKeyed(name="4111 1111 1111 1111"),
    v.InvoiceTorn(number=1),
    v.CodeKeyed(data="6006490000000004"),
    v.BalanceKeyed(data="6006490000000004"),
    v.BalanceKeyed(data="96385074"),
    v.GiftCardSaleKeyed(amount_minor=5_000),
    v.GiftCardSaleKeyed(amount_minor=0),
    v.GiftCardCashOutKeyed(),
    v.GiftCardReserved(reference="1.r1", card="****0004", account="b0b0", poi_transaction="V1", balance_minor=300),
    v.GiftCardReturnKeyed(),
    v.GiftCardReturnKeyed(number=1, reason="not wanted"),
    _RESERVED,
    v.GiftCardReserved(reference="1.r2", card="****0012", account="b1b1", poi_transaction="V7", balance_minor=300),
    v.GiftCardUnreserved(reference="1.r1", reason="invalid-card"),
    _GIFT_GOOD,
    v.StoredValueRefused(reference="1.g1", reason="declined"),
    v.StoredValueUnanswered(reference="1.g1"),
    v.StoredValueAnswered(reference="2.u1"),
    v.StoredValueRefused(reference="2.u1", reason="not-allowed"),
    v.StoredValueUnanswered(reference="2.u1"),
    v.BalanceTold(card="****0004", balance_minor=1_200),
    v.BalanceUntold(card="****0004", reason="no-answer"),
)


def test_the_product_covers_every_event() -> None:
    assert {type(event) for event in EVENTS} == set(v.AnyEvent.__args__)


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: str(event.__struct_config__.tag))
@pytest.mark.parametrize("state", STATES)
def test_every_pair_is_decided(state: str, event: v.AnyEvent) -> None:
    till = STATES[state]
    question = read(SHOP, till, event, TODAY)
    item = CATALOGUE["00000096385074"]
    facts = Facts(
        business_day=TODAY, local_time=NOW, question=question, item=item, customer="c0ffee", original=ORIGINAL
    )
    taken = step(SHOP, till, event, facts)
    after = till
    for entry in taken.entries:
        after = apply(after, entry)
    if taken.refused:
        assert taken.notice is not None
        assert after == till
        assert not taken.effects


@pytest.mark.parametrize("state", STATES)
def test_a_key_that_is_not_allowed_is_refused(state: str) -> None:
    """Screens enable their keys by `allowed`: what is not in it, the till does not take."""
    till = STATES[state]
    for event in EVENTS:
        tag = str(event.__struct_config__.tag)
        if (tag.endswith("_keyed") or tag == "coupon_presented") and tag not in allowed(SHOP, till)[0]:
            facts = Facts(
                business_day=TODAY,
                local_time=NOW,
                question=read(SHOP, till, event, TODAY),
                item=CATALOGUE["00000096385074"],
            )
            assert step(SHOP, till, event, facts).refused, tag


@pytest.mark.parametrize("state", STATES)
def test_a_checkpoint_holds_the_whole_state(state: str) -> None:
    till = STATES[state]
    assert msgspec.json.decode(msgspec.json.encode(till), type=Till) == till


@pytest.mark.parametrize(
    "event",
    [
        v.LineDiscountKeyed(percent_bp=1000, reason="x"),
        v.TotalDiscountKeyed(amount_minor=10, reason="x"),
        v.PriceKeyed(unit_price_minor=50, reason="x"),
        v.TaxExemptionKeyed(reason="x", certificate="x"),
    ],
    ids=lambda event: str(event.__struct_config__.tag),
)
def test_a_card_number_in_any_text_of_an_order_is_not_kept(event: v.AnyEvent) -> None:
    facts = Facts(business_day=TODAY, local_time=NOW, question=None)
    card = "4111111111111111"
    for name in event.__struct_fields__:
        if isinstance(getattr(event, name), str):
            taken = step(SHOP, STATES["ringing"], msgspec.structs.replace(event, **{name: f"it is {card}"}), facts)
            assert taken.entries
            assert card.encode() not in msgspec.json.encode(taken)
