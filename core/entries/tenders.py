"""Money that comes and goes: cash, vouchers, accounts, payments by card and phone, refunds."""

from typing import Literal, get_args

import msgspec

from core.entries.base import Entry
from core.entries.goods import TransactionLink


class CashTendered(Entry, tag="cash_tendered", frozen=True, kw_only=True):
    """Cash was taken towards the sale; more than is due leads to change at completion."""

    MOVES_MONEY = True
    tender: int
    amount_minor: int


class VoucherTendered(Entry, tag="voucher_tendered", frozen=True, kw_only=True):
    """A voucher of the shop's own was taken, for good; of its value `forfeited_minor` is lost."""

    MOVES_MONEY = True
    tender: int
    voucher: str
    amount_minor: int
    forfeited_minor: int = 0


class AccountCharged(Entry, tag="account_charged", frozen=True, kw_only=True):
    """What a customer will be billed for by headquarters (`customer` as in CustomerIdentified), once its transaction is
    completed; `reference` names it."""

    MOVES_MONEY = True
    tender: int
    reference: str
    customer: str
    amount_minor: int


class AccountCredited(Entry, tag="account_credited", frozen=True, kw_only=True):
    """Money for goods that came back, taken off what the customer is billed for by the charge `original`."""

    MOVES_MONEY = True
    tender: int
    original: str
    customer: str
    amount_minor: int


class RefundableTender(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What can still go back to a tender that a finished sale was paid with; `reference` is that payment's."""

    kind: str
    reference: str
    amount_minor: int
    poi_transaction: str = ""
    brand: str = ""
    card: str = ""
    customer: str = ""


class ReturnBegun(Entry, tag="return_begun", frozen=True, kw_only=True):
    """The open basket takes goods back that a finished sale has sold, of which so much money can still go back.

    With a `void_reason` the whole of it is made undone (POSLog post-void), and its `coupons` for a single time are good again.
    """

    link: TransactionLink
    business_day: str
    refundable_minor: int
    tenders: tuple[RefundableTender, ...] = ()
    void_reason: str = ""
    coupons: tuple[str, ...] = ()
    operator: str = ""
    approver: str = ""


class ReturnUnreceipted(Entry, tag="return_unreceipted", frozen=True, kw_only=True):
    """A line comes back that no receipt was shown for; who took it, and who allowed it."""

    line: int
    reason: str
    operator: str = ""
    approver: str = ""


class CashRefunded(Entry, tag="cash_refunded", frozen=True, kw_only=True):
    """Cash was given back for goods."""

    MOVES_MONEY = True
    tender: int
    amount_minor: int
    operator: str = ""
    approver: str = ""


DeviceTender = Literal["CREDIT", "MOBILE", "STORED_VALUE"]
"""The kinds of tender that the payment device moves: a card, a gift card, and a phone's wallet, for which ODM has no
TenderTypeCode (it is called as nexo's PaymentInstrumentType)."""
DEVICE_TENDERS: tuple[DeviceTender, ...] = get_args(DeviceTender)


class RefundRequested(Entry, tag="refund_requested", frozen=True, kw_only=True):
    """The intent to give money back to the card, gift card or wallet of the payment `original`, durable before the device hears of it.

    It has a `reference` of its own; PaymentApproved, PaymentDeclined and PaymentUnknown say what became of it.
    """

    MOVES_MONEY = True
    tender: int
    reference: str
    amount_minor: int
    original: str
    poi_transaction: str
    operator: str = ""
    approver: str = ""
    kind: DeviceTender = "CREDIT"


class PaymentRequested(Entry, tag="payment_requested", frozen=True, kw_only=True):
    """The intent to charge a card or a wallet, durable before the payment device hears of it. `reference` is asked about
    later; a wallet's code is not in here. Of a gift card there are its last digits and its `account`, as in GiftCardAdded.
    """

    MOVES_MONEY = True
    tender: int
    reference: str
    amount_minor: int
    kind: DeviceTender = "CREDIT"
    card: str = ""
    account: str = ""


class PaymentApproved(Entry, tag="payment_approved", frozen=True, kw_only=True):
    """The payment device approved. `card` is masked to the last four digits; `poi_transaction` is the device's own id.

    `signature` says that the card asks for the customer's, on the merchant's copy.
    """

    MOVES_MONEY = True
    reference: str
    amount_minor: int
    poi_transaction: str
    authorisation: str = ""
    brand: str = ""
    card: str = ""
    signature: bool = False


class PaymentDeclined(Entry, tag="payment_declined", frozen=True, kw_only=True):
    """No money moved, and this is certain: declined, aborted, or not known to the payment device."""

    MOVES_MONEY = True
    reference: str
    reason: str


class PaymentUnknown(Entry, tag="payment_unknown", frozen=True, kw_only=True):
    """No answer came: the outcome is unknown until the device has been asked about `reference`."""

    MOVES_MONEY = True
    reference: str


class PaymentSetAside(Entry, tag="payment_set_aside", frozen=True, kw_only=True):
    """The sale goes on without this payment; should it prove approved, it is reversed."""

    MOVES_MONEY = True
    reference: str


class ReversalRequested(Entry, tag="reversal_requested", frozen=True, kw_only=True):
    """An approved payment is to be taken back, durable before the payment device hears of it."""

    MOVES_MONEY = True
    reference: str


class PaymentReversed(Entry, tag="payment_reversed", frozen=True, kw_only=True):
    """The payment device confirmed that the approved amount was given back."""

    MOVES_MONEY = True
    reference: str
