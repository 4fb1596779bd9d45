"""The rules of a sale: which event each state takes, and what follows, stands in this file and nowhere else.

``read`` says what an event asks of the store, ``step`` what is to be kept and done once that is answered. Neither
changes anything: the engine journals the entries, folds them with `core.fold.apply`, then has the effects done.

A record is durable before its effect; an effect may run again only if that is harmless: a payment is enquired about,
never requested again; a receipt whose printing is not certain is marked so; the drawer is opened for a new record only.
"""

from typing import assert_never

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core import parked, returns, stored_value
from core.asking import ANSWERS, answer_age, answer_price, answer_quantity, give_up, refuse_while_asking
from core.closing import day_of_sale, gift_card_orders, no_sale_now, order, report_orders, till_orders, written_by_hand
from core.codes import gift_card, question
from core.counter import ORDERS, sense
from core.drawer import blocks_sale, no_sale, sense_drawer
from core.gift_returns import take_gift_card_back
from core.goods import (
    change_quantity,
    find_line,
    identify_customer,
    price_of,
    ring_up,
    take_empties_back,
    void,
    weighing_reference,
)
from core.notes import see_note
from core.operators import is_badge, lock_at_start, permitted, show_badge, signed, staff, unauthorised
from core.papers import invoice, paper_wanted, print_again, print_receipt, reprint
from core.payment import (
    PaymentEvent,
    cancel,
    charge_card,
    charge_gift_card,
    charge_wallet,
    give_up_reversal,
    ignore_stray,
    refuse_while_paying,
    reverse,
    reverse_again,
    set_aside,
    settle_aside,
    stop,
    take_answer,
    take_back,
    take_cash,
    unreversed,
)
from core.product_recall import gtins_in, recalled_line
from core.provided import provide, with_provided
from core.repricing import reprice
from core.state import (
    Asking,
    Authorizing,
    Basket,
    Enquiring,
    Idle,
    Loading,
    Reversing,
    Ringing,
    Shop,
    Tender,
    Tendering,
    Till,
    Unloading,
    Weighing,
    voucher_kind,
)
from core.step import (
    NOTHING,
    CouponShown,
    CustomerWanted,
    Facts,
    GiftCardShown,
    ItemWanted,
    OperatorWanted,
    OriginalWanted,
    Question,
    RecallsWanted,
    Step,
    UsualWanted,
    WalletShown,
    refuse,
)
from core.tenders import charge_account, take_voucher
from core.text import message
from core.training import PRACTISED_TAGS, in_training, practise, turn
from core.weighing import give_up_weighing, refuse_while_weighing, take_keyed_weight, take_weight

_OperatorEvent = (
    v.Scanned | v.CodeKeyed | v.TagPresented | v.CardSwiped | v.WeightSensed | v.QuantityKeyed | v.WeightKeyed
    | v.VoidKeyed | v.CashKeyed | v.CardKeyed | v.CancelKeyed | v.CouponPresented | v.LineDiscountKeyed
    | v.TotalDiscountKeyed | v.PriceKeyed | v.TaxExemptionKeyed | v.AgeKeyed | v.OpenPriceKeyed | v.DepositReturnKeyed
    | v.ItemKeyed | v.SuspendKeyed | v.ResumeKeyed | v.ReturnKeyed | v.UnreceiptedReturnKeyed | v.TransactionVoidKeyed | v.AccountKeyed
    | v.GiftCardSaleKeyed | v.GiftCardReturnKeyed | v.GiftCardCashOutKeyed
)  # fmt: skip
_SaleEvent = _OperatorEvent | PaymentEvent
_CHANGES_GOODS = (
    v.Scanned, v.CodeKeyed, v.QuantityKeyed, v.VoidKeyed, v.CouponPresented, v.LineDiscountKeyed, v.TotalDiscountKeyed,
    v.PriceKeyed, v.TaxExemptionKeyed, v.DepositReturnKeyed, v.ItemKeyed, v.SuspendKeyed, v.ReturnKeyed,
    v.UnreceiptedReturnKeyed, v.GiftCardSaleKeyed, v.GiftCardReturnKeyed, v.GiftCardCashOutKeyed,
)  # fmt: skip
"""What a basket does not take that makes a finished transaction undone: it is all of that one, and nothing else."""


def read(shop: Shop, till: Till, event: v.AnyEvent, today: str) -> Question | None:
    """What an event asks of the store before it can be decided, on the shop's date (ISO 8601); None when it asks nothing."""
    shop, till = in_training(shop, till)
    match event:
        case v.Scanned() | v.CodeKeyed():
            return question(shop, till, event, today)
        case v.PriceCheckKeyed():
            return question(shop, till, v.CodeKeyed(data=event.data), today)
        case v.DepositReturnKeyed() | v.ItemKeyed() | v.UnreceiptedReturnKeyed():
            asked = question(shop, till, v.CodeKeyed(data=event.data), today)
            return message("code-of-no-item") if isinstance(asked, GiftCardShown) else asked
        case v.QuantityKeyed() if isinstance(till.sale, Asking) and till.sale.held.about == "quantity":
            return ItemWanted(reading=till.sale.held.reading)
        case v.BalanceKeyed():
            asked = question(shop, till, v.CodeKeyed(data=event.data), today)
            return asked if isinstance(asked, GiftCardShown) else message("code-of-no-gift-card")
        case v.QuantityKeyed() | v.PriceKeyed():
            line = find_line(till.sale.basket, event.line) if isinstance(till.sale, Ringing) else None
            return UsualWanted(gtin=line.item.gtin) if line is not None else None
        case v.ReprintKeyed() | v.InvoiceKeyed():
            return paper_wanted(till, event)
        case v.ReturnKeyed() | v.GiftCardReturnKeyed() | v.TransactionVoidKeyed():
            return returns.wanted(till, event) if isinstance(till.sale, Idle | Ringing) else None
        case v.ResumeKeyed():
            return parked.wanted(till, event) if isinstance(till.sale, Idle) else None
        case v.AgeKeyed() | v.OpenPriceKeyed():
            return ItemWanted(reading=till.sale.held.reading) if isinstance(till.sale, Asking) else None
        case v.TagPresented():
            return CustomerWanted(uid=event.uid)
        case v.CardSwiped(kind="staff") if shop.sign_on:
            return OperatorWanted(badge=f"card:{event.number}".encode().hex())
        case v.CardSwiped(kind="gift"):
            return gift_card(till, event.number)
        case v.CardSwiped(kind="loyalty"):
            return CustomerWanted(uid=f"card:{event.number}".encode().hex())
        case v.CashKeyed() | v.CardKeyed() | v.AccountKeyed():
            # Goods may have been recalled since they were scanned; once a part is paid they are the customer's.
            return RecallsWanted(gtins=gtins_in(till.sale.basket)) if isinstance(till.sale, Ringing) else None
        case v.ButtonPressed():
            return read(shop, till, ORDERS[event.order], today)
        case _:
            return None


def step(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts) -> Step:
    """What follows from `event` in the state `till`, where whoever is signed on may do it."""
    if (denied := unauthorised(shop, till, event, facts)) is not None:
        return denied
    if not is_badge(facts) and (practised := practise(shop, till, event, facts, _step)) is not None:
        return practised
    taken = written_by_hand(till, _step(shop, till, event, with_provided(till, facts)))
    return signed(shop, till, event, facts, taken)


def _step(shop: Shop, till: Till, event: v.AnyEvent, facts: Facts) -> Step:
    match event:
        case v.OperatorChecked() | v.SignOffKeyed() | v.LockKeyed() | v.TillIdled() | v.OperatorAdministered():
            return staff(shop, till, event)
        case v.TrainingKeyed():
            return turn(till, event)
        case v.NoteSeenKeyed():
            return see_note(till)
        case v.Scanned() | v.CodeKeyed() | v.TagPresented() | v.CardSwiped() if is_badge(facts):
            return show_badge(shop, till, facts)
        case v.Booted():
            return _booted(shop, till)
        case v.ReceiptTaken():
            return Step(entries=(e.ReceiptPrinted(number=event.number, copy=event.copy, doubtful=event.doubtful),))
        case v.ReceiptUncertain():
            return print_again(shop, till, event)
        case v.ReprintKeyed():
            return reprint(shop, till, event, facts)
        case v.InvoiceKeyed():
            return invoice(shop, till, event, facts)
        case v.InvoiceTorn():
            return Step(notice=message("invoice-torn", number=event.number), level="error")
        case v.PriceCheckKeyed() if isinstance(facts.question, GiftCardShown):
            return stored_value.ask_balance(shop, facts.question)
        case v.PriceCheckKeyed():
            return price_of(facts)
        case v.BalanceKeyed():
            if not isinstance(facts.question, GiftCardShown):
                return refuse("code-of-no-gift-card")
            return stored_value.ask_balance(shop, facts.question)
        case v.DrawerKeyed():
            return no_sale(event)
        case (
            v.BusinessDayKeyed() | v.TillOpenKeyed() | v.CashMoveKeyed() | v.CountBegunKeyed() | v.CountKeyed()
            | v.CountGivenUpKeyed() | v.TillCloseKeyed() | v.XReportKeyed() | v.ZReportKeyed() | v.PaperSaleKeyed()
            | v.PaymentsTotalled() | v.ReportTorn()
        ):  # fmt: skip
            return order(shop, till, event, facts)
        case v.DrawerSensed() | v.DrawerFound() | v.DrawerLeftOpen() | v.DrawerStuck():
            return sense_drawer(till, event)
        case v.ScanGarbled(fault=v.ScanFault.AMBIGUOUS):
            return refuse("scan-layout-unknown", device=event.device)
        case v.ScanGarbled():
            return refuse("scan-garbled", device=event.device, fault=event.fault.value)
        case v.TagTorn():
            return refuse("tag-torn")
        case v.CardEncrypted() | v.CardRefused() | v.CardGarbled():
            return _card(event)
        case v.CardSwiped(kind="staff"):
            return refuse("staff-card-not-taken")
        case v.PrinterSensed() | v.DeviceChanged():
            return _device(event)
        case v.ButtonPressed():
            return step(shop, till, ORDERS[event.order], facts)
        case v.KeyLockTurned() | v.CaseOpened() | v.PowerSensed():
            return sense(event)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            for tender in till.aside:
                if tender.reference == event.reference:
                    return settle_aside(shop, tender, event)
        case v.GiftCardReserved() | v.GiftCardUnreserved():
            return stored_value.take_reservation(shop, till, event, facts)
        case v.StoredValueAnswered() | v.StoredValueRefused() | v.StoredValueUnanswered():
            return stored_value.settle(shop, till, event)
        case v.BalanceTold() | v.BalanceUntold():
            return stored_value.tell_balance(event)
    sale = till.sale
    match sale:
        case Idle():
            return _idle(shop, till, event, facts)
        case Ringing() | Tendering():
            return _ringing(shop, till, sale, event, facts)
        case Weighing():
            return _weighing(shop, sale, event, facts)
        case Asking():
            return _asking(shop, sale, event, facts)
        case Loading():
            return _loading(shop, sale, event, facts)
        case Unloading():
            return _unloading(sale, event)
        case Authorizing():
            return _authorizing(shop, till, sale, event, facts)
        case Enquiring():
            return _enquiring(shop, till, sale, event, facts)
        case Reversing():
            return _reversing(shop, sale, event)
    assert_never(sale)


def allowed(shop: Shop, till: Till) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The tags of the events that the state takes now from whoever is signed on, and of those that it takes from him if a
    supervisor allows it: for screens to enable their keys by."""
    training, practice = in_training(shop, till)
    tags = _taken(training, practice)
    if till.practice is not None:
        tags = (*(tag for tag in tags if tag in PRACTISED_TAGS), "training_keyed")
    return permitted(shop, till, tags)


def _taken(shop: Shop, till: Till) -> tuple[str, ...]:
    notes = ("note_seen_keyed",) if till.orders.notes else ()
    always = ("drawer_keyed", "reprint_keyed", "invoice_keyed", "price_check_keyed", *report_orders(till), *notes)
    if shop.takes_gift_cards:
        always = (*always, "balance_keyed")
    match till.sale:
        case Idle():
            return (*always, *till_orders(shop, till), "training_keyed")
        case Ringing():
            goods = (
                "code_keyed",
                "item_keyed",
                "deposit_return_keyed",
                "quantity_keyed",
                "void_keyed",
                "coupon_presented",
                "suspend_keyed",
                "return_keyed",
                "unreceipted_return_keyed",
                "gift_card_return_keyed",
                *gift_card_orders(shop),
            )
            prices = ("line_discount_keyed", "total_discount_keyed", "price_keyed", "tax_exemption_keyed")
            return (*always, *goods, *prices, "cash_keyed", "card_keyed", "account_keyed", "cancel_keyed")
        case Asking():
            return (*always, ANSWERS[till.sale.held.about], "cancel_keyed")
        case Weighing():
            return (*always, *(("weight_keyed",) if shop.keyed_weight else ()), "cancel_keyed")
        case Tendering():
            codes = ("code_keyed",) if shop.voucher_tenders or shop.takes_gift_cards else ()
            return (*always, *codes, "cash_keyed", "card_keyed", "account_keyed", "cancel_keyed")
        case Loading():
            return (*always, "code_keyed", "cancel_keyed")
        case Authorizing() | Enquiring() | Reversing() | Unloading():
            return (*always, "cancel_keyed")
    assert_never(till.sale)


# --- one function a state ----------------------------------------------------------------------------------------


def _idle(shop: Shop, till: Till, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case (
            v.Scanned() | v.CodeKeyed() | v.TagPresented() | v.CardSwiped() | v.DepositReturnKeyed() | v.ItemKeyed()
            | v.ReturnKeyed() | v.UnreceiptedReturnKeyed() | v.TransactionVoidKeyed()
            | v.GiftCardSaleKeyed() | v.GiftCardReturnKeyed()
            | v.GiftCardCashOutKeyed()
        ):  # fmt: skip
            if facts.blocked is not None and not isinstance(facts.question, GiftCardShown):
                return refuse(facts.blocked)
            if (blocked := no_sale_now(shop, till, facts)) is not None:
                return blocked
            if isinstance(facts.question, GiftCardShown):
                return stored_value.ask_balance(shop, facts.question)
            if blocks_sale(shop, till):
                return refuse("drawer-open")
            opened = e.TransactionOpened(
                number=till.next_number,
                business_day=day_of_sale(shop, till, facts),
                currency=shop.currency.code,
                began=facts.local_time,
            )
            basket = Basket(number=opened.number, business_day=opened.business_day, began=opened.began)
            if isinstance(facts.question, CouponShown):
                return refuse("no-open-sale")
            if isinstance(event, v.DepositReturnKeyed):
                added = take_empties_back(basket, event, facts)
            elif isinstance(event, v.ItemKeyed):
                added = provide(shop, basket, event, facts)
            elif isinstance(event, v.TransactionVoidKeyed):
                added = returns.void_transaction(shop, basket, event, facts)
            elif isinstance(event, v.GiftCardSaleKeyed):
                added = stored_value.sell(shop, basket, event)
            elif isinstance(event, v.GiftCardCashOutKeyed):
                added = stored_value.cash_out(shop, basket)
            elif isinstance(event, v.GiftCardReturnKeyed):
                added = take_gift_card_back(shop, till, basket, event, facts)
            elif isinstance(event, v.ReturnKeyed | v.UnreceiptedReturnKeyed):
                added = _take_back(shop, basket, event, facts)
            else:
                added = _present(shop, basket, facts)
            if added.refused:
                return added
            return msgspec.structs.replace(added, entries=(opened, *added.entries))
        case (
            v.QuantityKeyed() | v.WeightKeyed() | v.VoidKeyed() | v.CashKeyed() | v.CardKeyed() | v.CancelKeyed()
            | v.CouponPresented() | v.LineDiscountKeyed() | v.TotalDiscountKeyed() | v.PriceKeyed()
            | v.TaxExemptionKeyed() | v.AgeKeyed() | v.OpenPriceKeyed() | v.SuspendKeyed()
            | v.AccountKeyed()
        ):  # fmt: skip
            return refuse("no-open-sale")
        case v.ResumeKeyed():
            if (blocked := no_sale_now(shop, till, facts)) is not None:
                return blocked
            return refuse("drawer-open") if blocks_sale(shop, till) else parked.resume(shop, till, event, facts)
        case v.WeightSensed():
            return NOTHING
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    assert_never(event)


def _ringing(shop: Shop, till: Till, sale: Ringing | Tendering, event: _SaleEvent, facts: Facts) -> Step:
    basket = sale.basket
    if basket.voiding is not None and isinstance(event, _CHANGES_GOODS):
        return refuse("void-in-hand")
    if isinstance(facts.question, CouponShown) and voucher_kind(shop, facts.question.code) is not None:
        if basket.paper:
            return refuse("paper-sale-is-cash")
        taken = take_voucher(shop, till, basket, facts.question.code, facts)
        return refuse("power-weak") if till.power_weak else _recalled(sale, facts) or taken
    if isinstance(facts.question, WalletShown) and isinstance(event, v.Scanned | v.CodeKeyed):
        if basket.paper:
            return refuse("paper-sale-is-cash")
        if till.power_weak:
            return refuse("power-weak")
        return _recalled(sale, facts) or charge_wallet(shop, basket, facts.question.shown, facts)
    if isinstance(facts.question, GiftCardShown):
        if basket.paper:
            return refuse("paper-sale-is-cash")
        if till.power_weak:
            return refuse("power-weak")
        return _recalled(sale, facts) or charge_gift_card(shop, basket, facts.question.card, facts)
    match event:
        case v.Scanned() | v.CodeKeyed():
            if isinstance(sale, Tendering) and isinstance(facts.question, ItemWanted | CouponShown):
                return refuse("partly-paid")
            if isinstance(facts.question, CouponShown):
                return reprice(shop, till, basket, v.CouponPresented(code=facts.question.code), facts)
            return _present(shop, basket, facts)
        case v.TagPresented() | v.CardSwiped():
            return identify_customer(facts)
        case v.QuantityKeyed():
            return change_quantity(basket, event, facts) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.WeightKeyed():
            return refuse("no-weight-awaited")
        case v.AgeKeyed() | v.OpenPriceKeyed():
            return refuse("nothing-asked")
        case v.ItemKeyed():
            return provide(shop, basket, event, facts) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.DepositReturnKeyed():
            return take_empties_back(basket, event, facts) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.WeightSensed():
            return NOTHING
        case v.VoidKeyed():
            return void(basket, event) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.TaxExemptionKeyed() if returns.is_return(basket):
            return refuse("return-exempt-alone")
        case (
            v.CouponPresented() | v.LineDiscountKeyed() | v.TotalDiscountKeyed() | v.PriceKeyed()
            | v.TaxExemptionKeyed()
        ):  # fmt: skip
            return reprice(shop, till, basket, event, facts) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.ReturnKeyed() | v.UnreceiptedReturnKeyed():
            return _take_back(shop, basket, event, facts) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.GiftCardSaleKeyed():
            return stored_value.sell(shop, basket, event) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.GiftCardCashOutKeyed():
            return stored_value.cash_out(shop, basket) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.GiftCardReturnKeyed():
            if isinstance(sale, Tendering):
                return refuse("partly-paid")
            return take_gift_card_back(shop, till, basket, event, facts)
        case v.TransactionVoidKeyed():
            return refuse("sale-open")
        case v.CashKeyed() | v.CardKeyed() | v.AccountKeyed() if till.power_weak:
            return refuse("power-weak")
        case v.CashKeyed():
            return _recalled(sale, facts) or take_cash(shop, till, basket, event, facts)
        case v.AccountKeyed() if basket.paper:
            return refuse("paper-sale-is-cash")
        case v.AccountKeyed():
            return _recalled(sale, facts) or charge_account(shop, till, basket, event, facts)
        case v.CardKeyed() if basket.paper:
            return refuse("paper-sale-is-cash")
        case v.CardKeyed():
            return _recalled(sale, facts) or charge_card(shop, basket, event, facts)
        case v.SuspendKeyed():
            return parked.suspend(till, basket, event) if isinstance(sale, Ringing) else refuse("partly-paid")
        case v.ResumeKeyed():
            return refuse("sale-open")
        case v.CancelKeyed():
            return cancel(shop, basket)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    assert_never(event)


_Order = (
    v.Scanned | v.CodeKeyed | v.TagPresented | v.CardSwiped | v.QuantityKeyed | v.WeightKeyed | v.VoidKeyed | v.CashKeyed
    | v.CardKeyed | v.CouponPresented | v.LineDiscountKeyed | v.TotalDiscountKeyed | v.PriceKeyed | v.TaxExemptionKeyed
    | v.AgeKeyed | v.OpenPriceKeyed | v.DepositReturnKeyed | v.ItemKeyed | v.SuspendKeyed | v.ResumeKeyed | v.ReturnKeyed
    | v.UnreceiptedReturnKeyed | v.TransactionVoidKeyed | v.AccountKeyed | v.GiftCardSaleKeyed | v.GiftCardReturnKeyed
    | v.GiftCardCashOutKeyed
)  # fmt: skip
"""What is shown or keyed to go on with a sale: nothing of it is taken while the world's answer is awaited."""


def _weighing(shop: Shop, sale: Weighing, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case v.WeightSensed():
            return take_weight(shop, sale, event, facts)
        case v.WeightKeyed():
            return take_keyed_weight(shop, sale, event, facts)
        case v.CardSwiped(kind="gift"):
            return refuse_while_weighing(sale)
        case v.TagPresented() | v.CardSwiped():
            return identify_customer(facts)
        case v.CancelKeyed():
            return give_up_weighing(sale)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    if isinstance(event, _Order):
        return refuse_while_weighing(sale)
    assert_never(event)


def _asking(shop: Shop, sale: Asking, event: _SaleEvent, facts: Facts) -> Step:
    match event:
        case v.AgeKeyed():
            return answer_age(shop, sale, event, facts)
        case v.OpenPriceKeyed():
            return answer_price(shop, sale, event, facts)
        case v.QuantityKeyed():
            return answer_quantity(shop, sale, event, facts)
        case v.CardSwiped(kind="gift"):
            return refuse_while_asking(sale)
        case v.TagPresented() | v.CardSwiped():
            return identify_customer(facts)
        case v.CancelKeyed():
            return give_up(sale)
        case v.WeightSensed():
            return NOTHING
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    if isinstance(event, _Order):
        return refuse_while_asking(sale)
    assert_never(event)


def _loading(shop: Shop, sale: Loading, event: _SaleEvent, facts: Facts) -> Step:
    if isinstance(facts.question, GiftCardShown) and isinstance(event, v.Scanned | v.CodeKeyed | v.CardSwiped):
        return stored_value.show(shop, sale, facts.question, facts)
    match event:
        case v.TagPresented() | v.CardSwiped(kind="loyalty"):
            return identify_customer(facts)
        case v.CancelKeyed():
            return stored_value.give_up(sale)
        case v.WeightSensed():
            return NOTHING
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    if isinstance(event, _Order):
        return stored_value.refuse_while_loading(sale)
    assert_never(event)


def _unloading(sale: Unloading, event: _SaleEvent) -> Step:
    if isinstance(event, _Order):
        return refuse("gift-card-pending")
    match event:
        case v.WeightSensed():
            return NOTHING
        case v.CancelKeyed():
            return stored_value.leave(sale)
        case (
            v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered()
            | v.PaymentTakenBack() | v.ReversalUnanswered()
        ):  # fmt: skip
            return ignore_stray(event)
    assert_never(event)


def _authorizing(shop: Shop, till: Till, sale: Authorizing, event: _SaleEvent, facts: Facts) -> Step:
    if isinstance(event, _Order):
        return refuse_while_paying(sale)
    match event:
        case v.WeightSensed():
            return NOTHING
        case v.CancelKeyed():
            return stop(sale)
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return take_answer(shop, till, sale, event, facts)
        case v.PaymentTakenBack() | v.ReversalUnanswered():
            return ignore_stray(event)
    assert_never(event)


def _enquiring(shop: Shop, till: Till, sale: Enquiring, event: _SaleEvent, facts: Facts) -> Step:
    if isinstance(event, _Order):
        return refuse_while_paying(sale)
    match event:
        case v.WeightSensed():
            return NOTHING
        case v.CancelKeyed():
            return set_aside(shop, till, sale, facts)
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return take_answer(shop, till, sale, event, facts)
        case v.PaymentTakenBack() | v.ReversalUnanswered():
            return ignore_stray(event)
    assert_never(event)


def _reversing(shop: Shop, sale: Reversing, event: _SaleEvent) -> Step:
    basket = sale.basket
    if isinstance(event, _Order):
        return refuse("payment-reversing")
    match event:
        case v.WeightSensed():
            return NOTHING
        case v.CancelKeyed():
            return give_up_reversal(shop, basket)
        case v.PaymentTakenBack():
            return take_back(shop, basket, event.reference)
        case v.ReversalUnanswered():
            return reverse_again(shop, basket, event.reference)
        case v.PaymentAnswered() | v.PaymentRefused() | v.PaymentUnanswered():
            return ignore_stray(event)
    assert_never(event)


def _present(shop: Shop, basket: Basket, facts: Facts) -> Step:
    """What a code, a tag or a card at the counter stands for joins the sale: a customer, goods, or a finished sale."""
    if isinstance(facts.question, OriginalWanted):
        return returns.begin(shop, basket, facts)
    return identify_customer(facts) if isinstance(facts.question, CustomerWanted) else ring_up(shop, basket, facts)


def _take_back(shop: Shop, basket: Basket, event: v.ReturnKeyed | v.UnreceiptedReturnKeyed, facts: Facts) -> Step:
    """Goods come back, with a receipt or without."""
    if isinstance(event, v.ReturnKeyed):
        return returns.take_back(shop, basket, event, facts)
    return returns.take_back_unreceipted(shop, basket, event, facts)


def _recalled(sale: Ringing | Tendering, facts: Facts) -> Step | None:
    """Nothing is paid for goods that were recalled after they were scanned."""
    line = recalled_line(sale.basket, facts.recalls) if isinstance(sale, Ringing) else None
    if line is None:
        return None
    refused = e.ItemRefused(reason="recalled-in-basket", gtin=line.item.gtin, lot=line.item.lot)
    return msgspec.structs.replace(
        refuse("recalled-in-basket", name=line.item.name, line=line.item.line), entries=(refused,)
    )


# --- devices, boot ----------------------------------------------------------------------------------------------------


def _card(event: v.CardEncrypted | v.CardRefused | v.CardGarbled) -> Step:
    match event:
        case v.CardEncrypted():
            return refuse("card-encrypted")
        case v.CardRefused(is_payment=True):
            return refuse("card-is-payment")
        case v.CardRefused(last=""):
            return refuse("card-not-ours")
        case v.CardRefused():
            return refuse("card-unknown", last=event.last)
        case v.CardGarbled():
            return refuse("card-garbled", fault=event.fault.value, track=event.track)
    assert_never(event)


def _device(event: v.PrinterSensed | v.DeviceChanged) -> Step:
    match event:
        case v.PrinterSensed():
            if event.paper is v.PaperStatus.OUT:
                return Step(notice=message("printer-paper-out"), level="error")
            if event.cover_open:
                return Step(notice=message("printer-cover-open"), level="error")
            if not event.online:
                return Step(notice=message("printer-offline"), level="error")
            if event.paper is v.PaperStatus.NEAR_END:
                return Step(notice=message("printer-paper-low"), level="warning")
            return NOTHING
        case v.DeviceChanged():
            return _device_changed(event)
    assert_never(event)


_UNFIT = ("device-protocol", "device-denied", "device-busy", "library-missing")
"""Faults that no cable mends: how a device is set, or the system that it is plugged into."""


def _device_changed(event: v.DeviceChanged) -> Step:
    if event.phase is v.DevicePhase.OPENING:
        return NOTHING
    entries = (e.DeviceReported(device=event.device, phase=event.phase.value, fault=event.fault),)
    if event.is_new:
        return Step(entries=entries, notice=message("device-new", device=event.device))
    if event.phase is v.DevicePhase.READY or event.fault == "device-absent":
        return Step(entries=entries)
    told = "device-unfit" if event.fault in _UNFIT else "device-lost"
    notice = message(told, device=event.device, fault=event.fault or "")
    return Step(entries=entries, notice=notice, level="error")


def _booted(shop: Shop, till: Till) -> Step:
    """What a power cut left open: payments are asked about, reversals go on, receipts are printed and say so."""
    asked: list[x.AnyEffect] = [_resolve(shop, tender) for tender in till.aside]
    asked += stored_value.enquiries(shop, till)
    entries: tuple[e.AnyEntry, ...] = (*lock_at_start(shop, till), *stored_value.unsettled(till))
    match till.sale:
        case Authorizing(pending=pending):
            entries = (*entries, e.PaymentUnknown(reference=pending.reference))
            asked.append(x.EnquirePayment(reference=pending.reference))
        case Enquiring(pending=pending):
            asked.append(x.EnquirePayment(reference=pending.reference))
        case Reversing(basket=basket):
            asked.extend(reverse(shop, tender) for tender in unreversed(basket))
        case Weighing(basket=basket):
            asked.append(x.AskWeight(reference=weighing_reference(basket)))
        case Idle() | Ringing() | Asking() | Loading() | Unloading() | Tendering():
            pass
        case _:
            assert_never(till.sale)
    papers = tuple(print_receipt(shop, completed, copy=0, doubtful=True) for completed in till.unprinted)
    return Step(entries=entries, effects=(*asked, *papers))


def _resolve(shop: Shop, tender: Tender) -> x.AnyEffect:
    if tender.phase in ("pending", "unknown"):
        return x.EnquirePayment(reference=tender.reference)
    return reverse(shop, tender)
