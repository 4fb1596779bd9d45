"""What is kept: the bodies of the journal's records, in past tense. Folding them in order gives the till's state.

No personal data and no tag's UID stands in any of them, and never a card number beyond its last four digits.
"""

import msgspec

from core import nesting
from core.entries.base import (
    Entry,
)
from core.entries.devices import (
    CaseOpened,
    DeviceReported,
    KeyLockTurned,
    PowerChanged,
)
from core.entries.gift_cards import (
    GiftCardAdded,
    GiftCardAwaited,
    GiftCardGivenUp,
    GiftCardReturned,
    StoredValueApproved,
    StoredValueLine,
    StoredValueOperation,
    StoredValueRefused,
    StoredValueRequested,
    StoredValueSetAside,
    StoredValueUnknown,
)
from core.entries.goods import (
    AgeChecked,
    CustomerIdentified,
    HeldItemGivenUp,
    ItemAdded,
    ItemHeld,
    ItemProvided,
    ItemRefused,
    LineVoided,
    OutlierNoticed,
    QuantityChanged,
    TransactionLink,
    Weighed,
    WeighingGivenUp,
    WeightAwaited,
)
from core.entries.headquarters import (
    ConfigurationOrdered,
    NotePosted,
    NoteSeen,
    OrderBegun,
    OrderEnded,
    OrderEntry,
    OrderTaken,
    OrderTold,
    TerminalLocked,
    TerminalUnlocked,
)
from core.entries.journal import (
    RESTORED,
    ClockStepped,
    DaemonStarted,
    DaemonStopped,
    EpochOpened,
    JournalVerified,
    RecordsReturned,
    SegmentPruned,
)
from core.entries.papers import (
    CopyOrdered,
    DrawerClosed,
    DrawerCommanded,
    DrawerFound,
    DrawerLeftOpen,
    DrawerOpened,
    DrawerStayedShut,
    InvoiceOrdered,
    ReceiptPrinted,
)
from core.entries.people import (
    ClaimOpened,
    OperatorAdministered,
    OperatorSignedOff,
    OperatorSignedOn,
    SignOnRefused,
    TillLocked,
    TrainingBegun,
    TrainingEnded,
)
from core.entries.prices import (
    CouponTaken,
    Discount,
    DiscountGiven,
    DiscountsApplied,
    DiscountShare,
    DiscountWithdrawn,
    LineRepriced,
    PriceOverridden,
    TaxExempted,
)
from core.entries.tenders import (
    DEVICE_TENDERS,
    AccountCharged,
    AccountCredited,
    CashRefunded,
    CashTendered,
    DeviceTender,
    PaymentApproved,
    PaymentDeclined,
    PaymentRequested,
    PaymentReversed,
    PaymentSetAside,
    PaymentUnknown,
    RefundableTender,
    RefundRequested,
    ReturnBegun,
    ReturnUnreceipted,
    ReversalRequested,
    VoucherTendered,
)
from core.entries.till import (
    BasketParked,
    BusinessDayConfirmed,
    CardTotal,
    CashCount,
    CashMove,
    CashMoved,
    CountBegun,
    CountGivenUp,
    PaymentOpen,
    PaymentsReconciled,
    Report,
    ReportCopied,
    TillCounted,
    TillOpened,
    TillSettled,
    ZReported,
)
from core.entries.transaction import (
    RefundTotal,
    TaxPart,
    TaxTotal,
    TenderTotal,
    TransactionCancelled,
    TransactionCompleted,
    TransactionOpened,
    TransactionResumed,
    TransactionSuspended,
    TransactionVoided,
)
from core.ledger import Draft, Stream

__all__ = [
    "DEVICE_TENDERS",
    "RESTORED",
    "AccountCharged",
    "AccountCredited",
    "AgeChecked",
    "AnyEntry",
    "BasketParked",
    "BusinessDayConfirmed",
    "CardTotal",
    "CaseOpened",
    "CashCount",
    "CashMove",
    "CashMoved",
    "CashRefunded",
    "CashTendered",
    "ClaimOpened",
    "ClockStepped",
    "ConfigurationOrdered",
    "CopyOrdered",
    "CountBegun",
    "CountGivenUp",
    "CouponTaken",
    "CustomerIdentified",
    "DaemonStarted",
    "DaemonStopped",
    "DeviceReported",
    "DeviceTender",
    "Discount",
    "DiscountGiven",
    "DiscountShare",
    "DiscountWithdrawn",
    "DiscountsApplied",
    "DrawerClosed",
    "DrawerCommanded",
    "DrawerFound",
    "DrawerLeftOpen",
    "DrawerOpened",
    "DrawerStayedShut",
    "Entry",
    "EpochOpened",
    "GiftCardAdded",
    "GiftCardAwaited",
    "GiftCardGivenUp",
    "GiftCardReturned",
    "HeldItemGivenUp",
    "InvoiceOrdered",
    "ItemAdded",
    "ItemHeld",
    "ItemProvided",
    "ItemRefused",
    "JournalVerified",
    "KeyLockTurned",
    "LineRepriced",
    "LineVoided",
    "NotePosted",
    "NoteSeen",
    "OperatorAdministered",
    "OperatorSignedOff",
    "OperatorSignedOn",
    "OrderBegun",
    "OrderEnded",
    "OrderEntry",
    "OrderTaken",
    "OrderTold",
    "OutlierNoticed",
    "PaymentApproved",
    "PaymentDeclined",
    "PaymentOpen",
    "PaymentRequested",
    "PaymentReversed",
    "PaymentSetAside",
    "PaymentUnknown",
    "PaymentsReconciled",
    "PowerChanged",
    "PriceOverridden",
    "QuantityChanged",
    "ReceiptPrinted",
    "RecordsReturned",
    "RefundRequested",
    "RefundTotal",
    "RefundableTender",
    "Report",
    "ReportCopied",
    "ReturnBegun",
    "ReturnUnreceipted",
    "ReversalRequested",
    "SegmentPruned",
    "SignOnRefused",
    "StoredValueApproved",
    "StoredValueLine",
    "StoredValueOperation",
    "StoredValueRefused",
    "StoredValueRequested",
    "StoredValueSetAside",
    "StoredValueUnknown",
    "TaxExempted",
    "TaxPart",
    "TaxTotal",
    "TenderTotal",
    "TerminalLocked",
    "TerminalUnlocked",
    "TillCounted",
    "TillLocked",
    "TillOpened",
    "TillSettled",
    "Trained",
    "TrainingBegun",
    "TrainingEnded",
    "TransactionCancelled",
    "TransactionCompleted",
    "TransactionLink",
    "TransactionOpened",
    "TransactionResumed",
    "TransactionSuspended",
    "TransactionVoided",
    "VoucherTendered",
    "Weighed",
    "WeighingGivenUp",
    "WeightAwaited",
    "ZReported",
    "decode",
    "draft",
    "encode",
]


class Trained(Entry, tag="trained", frozen=True, kw_only=True):
    """What would have been kept, had it not been training. It counts for nothing outside of it."""

    STREAM = Stream.TRAINING
    entry: "AnyEntry"


AnyEntry = (
    EpochOpened | DaemonStarted | DaemonStopped | TransactionOpened | WeightAwaited | WeighingGivenUp | ItemAdded | QuantityChanged | LineVoided
    | ItemRefused | CustomerIdentified | CashTendered | PaymentRequested | PaymentApproved | PaymentDeclined
    | PaymentUnknown | PaymentSetAside | ReversalRequested | PaymentReversed | TransactionCompleted
    | TransactionCancelled | ReceiptPrinted | CopyOrdered | InvoiceOrdered | DrawerCommanded | DrawerOpened | DrawerFound | DrawerLeftOpen
    | DrawerStayedShut
    | DrawerClosed | KeyLockTurned | PowerChanged | CaseOpened | OrderEntry | ConfigurationOrdered | DeviceReported | RecordsReturned | JournalVerified | SegmentPruned | ClockStepped
    | ItemHeld | AgeChecked | HeldItemGivenUp | ItemProvided | OutlierNoticed
    | TrainingBegun | TrainingEnded | Trained
    | OperatorSignedOn | OperatorSignedOff | SignOnRefused | TillLocked | ClaimOpened | OperatorAdministered
    | TransactionSuspended | TransactionResumed | LineRepriced
    | BusinessDayConfirmed | TillOpened | CashMoved | CountBegun | CountGivenUp | TillCounted | PaymentsReconciled | TillSettled
    | ZReported | ReportCopied
    | VoucherTendered | AccountCharged | AccountCredited
    | ReturnBegun | ReturnUnreceipted | CashRefunded | RefundRequested | TransactionVoided
    | DiscountsApplied | CouponTaken | DiscountGiven | DiscountWithdrawn | PriceOverridden | TaxExempted
    | GiftCardAwaited | GiftCardGivenUp | GiftCardAdded | GiftCardReturned
    | StoredValueRequested | StoredValueApproved | StoredValueRefused | StoredValueUnknown | StoredValueSetAside
)  # fmt: skip
_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyEntry] = msgspec.json.Decoder(AnyEntry)


def encode(entry: AnyEntry) -> bytes:
    """An entry's JSON, as it goes into a record's body."""
    return _encoder.encode(entry)


def decode(body: bytes | msgspec.Raw) -> AnyEntry:
    """The entry in a record's body. Raises msgspec.DecodeError or ValidationError (ValueErrors) on anything else."""
    return nesting.decode(_decoder, body)


def draft(entry: AnyEntry) -> Draft:
    """An entry made ready for the journal."""
    return Draft(stream=entry.STREAM, body=encode(entry), moves_money=entry.MOVES_MONEY)
