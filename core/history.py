"""Finished transactions put together from their records, for export, queries and whoever reads a journal later.

The records of one transaction lie apart: its opening, its lines, what was changed of them, its tenders, its end. The
assembler folds them, in order, into one `Transaction` when the end comes; POSLog's names stand in the fields' comments.
"""

from typing import Literal, assert_never

import msgspec

from core import entries as e
from core.ledger import Record, open_record


class HistoryLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line as it was sold (POSLog LineItem with Sale); voided ones are left out.

    `amount_minor` is before `discount_minor`; `regular_unit_price_minor` stands where a person put in another price.
    """

    line: int
    gtin: str
    name: str
    unit: str
    quantity_milli: int
    unit_price_minor: int
    amount_minor: int
    tax: str
    lot: str | None = None
    regular_unit_price_minor: int | None = None
    discount_minor: int = 0
    serial: str | None = None
    item: str | None = None
    contains: int = 1
    linked: int = 0
    returned: e.TransactionLink | None = None
    reason: str = ""


class Payment(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One tender as it was posted; `refund_of` is the reference of the payment that money went back to."""

    kind: str
    amount_minor: int
    reference: str = ""
    poi_transaction: str = ""
    brand: str = ""
    card: str = ""
    customer: str = ""
    refund_of: str = ""


class Transaction(msgspec.Struct, frozen=True, kw_only=True):
    """A finished transaction. `epoch` and `seq` are of its last record, `ended` is local time (ISO 8601)."""

    epoch: str
    seq: int
    number: int
    status: Literal["completed", "cancelled"]
    business_day: str
    ended: str
    time_ms: int
    currency: str
    total_minor: int
    change_minor: int
    lines: tuple[HistoryLine, ...]
    tenders: tuple[e.TenderTotal, ...]
    taxes: tuple[e.TaxTotal, ...]
    customer: str | None = None
    operator: str | None = None
    discounts: tuple[e.Discount, ...] = ()
    rounding_minor: int = 0
    payments: tuple[Payment, ...] = ()
    refunds: tuple[e.RefundTotal, ...] = ()
    voids: e.TransactionLink | None = None
    coupons: tuple[str, ...] = ()
    """Those for a single time that it took."""
    stored_value: tuple[e.StoredValueLine, ...] = ()

    @property
    def stored_value_minor(self) -> int:
        """What gift cards come to: sold, less taken back; in no total."""
        return sum(line.amount_minor for line in self.stored_value)


class Original(msgspec.Struct, frozen=True, kw_only=True):
    """A finished sale, and the finished transactions in which something of it came back."""

    sold: Transaction
    later: tuple[Transaction, ...] = ()

    def returned(self, line: int) -> tuple[HistoryLine, ...]:
        """What came back of a line."""
        sold = self.sold
        return tuple(
            back
            for later in self.later
            for back in later.lines
            if back.returned is not None
            and (back.returned.number, back.returned.epoch, back.returned.line) == (sold.number, sold.epoch, line)
        )


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a transaction that has not ended."""

    number: int
    business_day: str
    currency: str
    lines: tuple[HistoryLine, ...] = ()
    voided: frozenset[int] = frozenset()
    customer: str | None = None
    discounts: tuple[e.Discount, ...] = ()
    payments: tuple[Payment, ...] = ()
    asked: tuple[Payment, ...] = ()
    """Of payments and refunds that have not been answered."""
    coupons: tuple[str, ...] = ()


class Assembler:
    """Takes records in order and gives each transaction with its last one. `open` and `parked` are all that it remembers."""

    def __init__(self, open_: Open | None = None, parked: tuple[Open, ...] = ()) -> None:
        self.open = open_
        self.parked = parked

    def take(self, record: Record) -> Transaction | None:
        """The transaction that this record ends, if it ends one. Raises msgspec.MsgspecError on an unreadable record."""
        envelope = open_record(record.exact)
        return self.fold(record.epoch, record.seq, envelope.time_ms, e.decode(envelope.body))

    def fold(self, epoch: str, seq: int, time_ms: int, entry: e.AnyEntry) -> Transaction | None:
        """As `take`, of what stands in a record."""
        if isinstance(entry, e.TransactionCompleted | e.TransactionCancelled):
            return self._end(epoch, seq, time_ms, entry)
        self._note(entry)
        return None

    def _end(
        self, epoch: str, seq: int, time_ms: int, entry: e.TransactionCompleted | e.TransactionCancelled
    ) -> Transaction | None:
        was, self.open = self.open, None
        if was is None or was.number != entry.number:
            # A journal that begins in the middle of a transaction: its lines are not here.
            was = Open(number=entry.number, business_day="", currency="")
        lines = tuple(line for line in was.lines if line.line not in was.voided)
        match entry:
            case e.TransactionCompleted():
                return Transaction(
                    epoch=epoch,
                    seq=seq,
                    number=entry.number,
                    status="completed",
                    business_day=entry.business_day,
                    ended=entry.ended,
                    time_ms=time_ms,
                    currency=entry.currency,
                    total_minor=entry.total_minor,
                    change_minor=entry.change_minor,
                    lines=tuple(_discounted(line, was.discounts) for line in lines),
                    tenders=entry.tenders,
                    taxes=entry.taxes,
                    customer=entry.customer,
                    operator=entry.operator or None,
                    discounts=was.discounts,
                    rounding_minor=entry.rounding_minor,
                    payments=was.payments,
                    refunds=entry.refunds,
                    voids=entry.voids,
                    coupons=was.coupons,
                    stored_value=entry.stored_value,
                )
            case e.TransactionCancelled():
                return Transaction(
                    epoch=epoch,
                    seq=seq,
                    number=entry.number,
                    status="cancelled",
                    business_day=was.business_day,
                    ended="",
                    time_ms=time_ms,
                    currency=was.currency,
                    total_minor=0,
                    change_minor=0,
                    lines=lines,
                    tenders=(),
                    taxes=(),
                    customer=was.customer,
                    operator=entry.operator or None,
                )
        assert_never(entry)

    def _note(self, entry: e.AnyEntry) -> None:
        if isinstance(entry, e.TransactionOpened):
            self.open = Open(number=entry.number, business_day=entry.business_day, currency=entry.currency)
            return
        if isinstance(entry, e.TransactionResumed):
            self.open = next((each for each in self.parked if each.number == entry.number), None)
            self.parked = tuple(each for each in self.parked if each is not self.open)
            return
        was = self.open
        if was is None:
            return
        match entry:
            case e.TransactionSuspended():
                self.open, self.parked = None, (*self.parked, was)
            case e.LineRepriced():
                lines = tuple(_repriced(line, entry) if line.line == entry.line else line for line in was.lines)
                self.open = msgspec.structs.replace(was, lines=lines, discounts=())
            case e.ItemAdded():
                self.open = msgspec.structs.replace(was, lines=(*was.lines, _line(entry)), discounts=())
            case e.QuantityChanged():
                lines = tuple(_changed(line, entry) if line.line == entry.line else line for line in was.lines)
                self.open = msgspec.structs.replace(was, lines=lines, discounts=())
            case e.PriceOverridden():
                lines = tuple(_overridden(line, entry) if line.line == entry.line else line for line in was.lines)
                self.open = msgspec.structs.replace(was, lines=lines, discounts=())
            case e.DiscountGiven() | e.DiscountWithdrawn():
                self.open = msgspec.structs.replace(was, discounts=())  # said anew when payment begins again
            case e.CouponTaken():
                coupons = (*was.coupons, entry.coupon) if entry.once else was.coupons
                self.open = msgspec.structs.replace(was, discounts=(), coupons=coupons)
            case e.DiscountsApplied():
                self.open = msgspec.structs.replace(was, discounts=entry.discounts)
            case e.LineVoided():
                self.open = msgspec.structs.replace(was, voided=was.voided | {entry.line}, discounts=())
            case e.CustomerIdentified():
                self.open = msgspec.structs.replace(was, customer=entry.customer)
            case e.CashTendered():
                paid = Payment(kind="CASH", amount_minor=entry.amount_minor)
                self.open = msgspec.structs.replace(was, payments=(*was.payments, paid))
            case e.CashRefunded():
                back = Payment(kind="CASH", amount_minor=entry.amount_minor, refund_of="cash")
                self.open = msgspec.structs.replace(was, payments=(*was.payments, back))
            case e.VoucherTendered():
                paid = Payment(kind="VOUCHER", amount_minor=entry.amount_minor)
                self.open = msgspec.structs.replace(was, payments=(*was.payments, paid))
            case e.AccountCharged() | e.AccountCredited():
                account = Payment(
                    kind="CUST_ACCT",
                    amount_minor=entry.amount_minor,
                    customer=entry.customer,
                    reference=entry.reference if isinstance(entry, e.AccountCharged) else "",
                    refund_of=entry.original if isinstance(entry, e.AccountCredited) else "",
                )
                self.open = msgspec.structs.replace(was, payments=(*was.payments, account))
            case e.PaymentRequested():
                asked = Payment(kind=entry.kind, amount_minor=entry.amount_minor, reference=entry.reference)
                self.open = msgspec.structs.replace(was, asked=(*was.asked, asked))
            case e.RefundRequested():
                asked = Payment(
                    kind=entry.kind,
                    amount_minor=entry.amount_minor,
                    reference=entry.reference,
                    refund_of=entry.original,
                )
                self.open = msgspec.structs.replace(was, asked=(*was.asked, asked))
            case e.PaymentApproved() | e.PaymentSetAside():
                self.open = _answered(was, entry)
            case e.PaymentReversed():
                kept = tuple(paid for paid in was.payments if paid.reference != entry.reference)
                self.open = msgspec.structs.replace(was, payments=kept)
            case _:
                pass  # The rest is of no transaction.


def _line(entry: e.ItemAdded) -> HistoryLine:
    return HistoryLine(
        line=entry.line,
        gtin=entry.gtin,
        name=entry.name,
        unit=entry.unit,
        quantity_milli=entry.quantity_milli,
        unit_price_minor=entry.unit_price_minor,
        amount_minor=entry.amount_minor,
        tax=entry.tax,
        lot=entry.lot,
        serial=entry.serial,
        item=entry.item,
        contains=entry.contains,
        linked=entry.linked,
        returned=entry.returned,
        reason=entry.reason,
    )


def _answered(was: Open, entry: e.PaymentApproved | e.PaymentSetAside) -> Open:
    """A payment that was approved; a refund counts as given too while nobody knows."""
    asked = next((each for each in was.asked if each.reference == entry.reference), None)
    if asked is None:
        return was
    others = tuple(each for each in was.asked if each is not asked)
    if isinstance(entry, e.PaymentSetAside) and not asked.refund_of:
        return msgspec.structs.replace(was, asked=others)  # should it be approved, it is given back
    if isinstance(entry, e.PaymentApproved):
        asked = msgspec.structs.replace(
            asked,
            amount_minor=entry.amount_minor,
            poi_transaction=entry.poi_transaction,
            brand=entry.brand,
            card=entry.card,
        )
    return msgspec.structs.replace(was, payments=(*was.payments, asked), asked=others)


def _changed(line: HistoryLine, entry: e.QuantityChanged) -> HistoryLine:
    return msgspec.structs.replace(line, quantity_milli=entry.quantity_milli, amount_minor=entry.amount_minor)


def _repriced(line: HistoryLine, entry: e.LineRepriced) -> HistoryLine:
    return msgspec.structs.replace(line, unit_price_minor=entry.unit_price_minor, amount_minor=entry.amount_minor)


def _overridden(line: HistoryLine, entry: e.PriceOverridden) -> HistoryLine:
    return msgspec.structs.replace(
        line,
        unit_price_minor=entry.unit_price_minor,
        amount_minor=entry.amount_minor,
        regular_unit_price_minor=entry.regular_unit_price_minor,
    )


def _discounted(line: HistoryLine, discounts: tuple[e.Discount, ...]) -> HistoryLine:
    off_minor = sum(
        share.amount_minor for discount in discounts for share in discount.shares if share.line == line.line
    )
    return msgspec.structs.replace(line, discount_minor=off_minor) if off_minor else line
