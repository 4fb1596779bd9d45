"""The till's state is the fold of its entries: `apply` takes one, and nothing else ever changes a till."""

from typing import assert_never

import msgspec

from core import entries as e
from core.fold_goods import fold_asking, fold_goods_entry, fold_weighing
from core.fold_money import fold_gift, fold_payment, fold_stored_value, fold_tender
from core.order_book import fold_order
from core.permissions import Operator
from core.state import (
    COUPONS_MAX,
    PAPERS_MAX,
    PROVIDED_MAX,
    UNPRINTED_MAX,
    VOUCHERS_MAX,
    Authorizing,
    Basket,
    Completed,
    Day,
    Enquiring,
    Idle,
    Last,
    Papers,
    Parked,
    Ringing,
    Till,
    basket_of,
)
from core.till import fold


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
            return msgspec.structs.replace(till, sale=fold_weighing(till.sale, entry))
        case e.ItemProvided():
            others = (each for each in till.provided if each.gtin != entry.gtin)
            return msgspec.structs.replace(till, provided=(*others, entry)[-PROVIDED_MAX:])
        case e.ItemHeld() | e.AgeChecked() | e.HeldItemGivenUp():
            return msgspec.structs.replace(till, sale=fold_asking(till.sale, entry))
        case (
            e.ItemAdded() | e.QuantityChanged() | e.LineVoided() | e.CustomerIdentified() | e.PriceOverridden()
            | e.DiscountGiven() | e.DiscountWithdrawn() | e.CouponTaken() | e.TaxExempted() | e.DiscountsApplied()
            | e.LineRepriced() | e.ReturnBegun()
        ):  # fmt: skip
            return msgspec.structs.replace(till, sale=fold_goods_entry(till.sale, entry))
        case e.GiftCardAwaited() | e.GiftCardGivenUp() | e.GiftCardAdded() | e.GiftCardReturned():
            return fold_gift(till, entry)
        case (
            e.StoredValueRequested() | e.StoredValueApproved() | e.StoredValueRefused() | e.StoredValueUnknown()
            | e.StoredValueSetAside()
        ):  # fmt: skip
            return fold_stored_value(till, entry)
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
            return msgspec.structs.replace(till, sale=fold_tender(till.sale, entry))
        case (
            e.PaymentApproved() | e.PaymentDeclined() | e.PaymentUnknown() | e.PaymentSetAside()
            | e.ReversalRequested() | e.PaymentReversed()
        ):  # fmt: skip
            return fold_payment(till, entry)
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
