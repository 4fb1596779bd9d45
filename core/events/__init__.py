"""What comes in: device facts, answers of the payment device and the operator's orders, in past tense.

Drivers emit the events of the first half under their own device's name; the control socket and the engine make the
others. Time is not in an event: it comes with the facts of a step.
"""

from core.events.answers import (
    BalanceTold,
    BalanceUntold,
    DrawerStuck,
    GiftCardReserved,
    GiftCardUnreserved,
    InvoiceTorn,
    PaymentAnswered,
    PaymentRefused,
    PaymentsTotalled,
    PaymentTakenBack,
    PaymentUnanswered,
    ReceiptTaken,
    ReceiptUncertain,
    ReportTorn,
    ReversalUnanswered,
    StoredValueAnswered,
    StoredValueRefused,
    StoredValueUnanswered,
)
from core.events.base import (
    Event,
)
from core.events.devices import (
    ButtonOrder,
    ButtonPressed,
    CardEncrypted,
    CardFault,
    CardGarbled,
    CardRefused,
    CardSwiped,
    CaseOpened,
    DeviceChanged,
    DevicePhase,
    DrawerFound,
    DrawerLeftOpen,
    DrawerSensed,
    KeyLockTurned,
    KeyPosition,
    PaperStatus,
    PowerSensed,
    PrinterSensed,
    ScanFault,
    ScanGarbled,
    Scanned,
    TagPresented,
    TagTorn,
    WeightCondition,
    WeightSensed,
)
from core.events.keyed import (
    AccountKeyed,
    AgeKeyed,
    BalanceKeyed,
    CancelKeyed,
    CardKeyed,
    CashKeyed,
    CodeKeyed,
    CouponPresented,
    DepositReturnKeyed,
    DrawerKeyed,
    GiftCardCashOutKeyed,
    GiftCardReturnKeyed,
    GiftCardSaleKeyed,
    InvoiceKeyed,
    ItemKeyed,
    LineDiscountKeyed,
    OpenPriceKeyed,
    PriceCheckKeyed,
    PriceKeyed,
    QuantityKeyed,
    ReprintKeyed,
    ResumeKeyed,
    ReturnKeyed,
    SuspendKeyed,
    TaxExemptionKeyed,
    TotalDiscountKeyed,
    TransactionVoidKeyed,
    UnreceiptedReturnKeyed,
    VoidKeyed,
    WeightKeyed,
)
from core.events.people import (
    Booted,
    Change,
    LockKeyed,
    NoteSeenKeyed,
    OperatorAdministered,
    OperatorChecked,
    SignOffKeyed,
    SignOnOutcome,
    TillIdled,
    TrainingKeyed,
)
from core.events.till import (
    BusinessDayKeyed,
    CashMoveKeyed,
    CountBegunKeyed,
    CountGivenUpKeyed,
    CountKeyed,
    PaperSaleKeyed,
    TillCloseKeyed,
    TillOpenKeyed,
    XReportKeyed,
    ZReportKeyed,
)

__all__ = [
    "AccountKeyed",
    "AgeKeyed",
    "AnyEvent",
    "BalanceKeyed",
    "BalanceTold",
    "BalanceUntold",
    "Booted",
    "BusinessDayKeyed",
    "ButtonOrder",
    "ButtonPressed",
    "CancelKeyed",
    "CardEncrypted",
    "CardFault",
    "CardGarbled",
    "CardKeyed",
    "CardRefused",
    "CardSwiped",
    "CaseOpened",
    "CashKeyed",
    "CashMoveKeyed",
    "Change",
    "CodeKeyed",
    "CountBegunKeyed",
    "CountGivenUpKeyed",
    "CountKeyed",
    "CouponPresented",
    "DepositReturnKeyed",
    "DeviceChanged",
    "DeviceEvent",
    "DevicePhase",
    "DrawerFound",
    "DrawerKeyed",
    "DrawerLeftOpen",
    "DrawerSensed",
    "DrawerStuck",
    "Event",
    "GiftCardCashOutKeyed",
    "GiftCardReserved",
    "GiftCardReturnKeyed",
    "GiftCardSaleKeyed",
    "GiftCardUnreserved",
    "InvoiceKeyed",
    "InvoiceTorn",
    "ItemKeyed",
    "KeyLockTurned",
    "KeyPosition",
    "LineDiscountKeyed",
    "LockKeyed",
    "NoteSeenKeyed",
    "OpenPriceKeyed",
    "OperatorAdministered",
    "OperatorChecked",
    "PaperSaleKeyed",
    "PaperStatus",
    "PaymentAnswered",
    "PaymentRefused",
    "PaymentTakenBack",
    "PaymentUnanswered",
    "PaymentsTotalled",
    "PowerSensed",
    "PriceCheckKeyed",
    "PriceKeyed",
    "PrinterSensed",
    "QuantityKeyed",
    "ReceiptTaken",
    "ReceiptUncertain",
    "ReportTorn",
    "ReprintKeyed",
    "ResumeKeyed",
    "ReturnKeyed",
    "ReversalUnanswered",
    "ScanFault",
    "ScanGarbled",
    "Scanned",
    "SignOffKeyed",
    "SignOnOutcome",
    "StoredValueAnswered",
    "StoredValueRefused",
    "StoredValueUnanswered",
    "SuspendKeyed",
    "TagPresented",
    "TagTorn",
    "TaxExemptionKeyed",
    "TillCloseKeyed",
    "TillIdled",
    "TillOpenKeyed",
    "TotalDiscountKeyed",
    "TrainingKeyed",
    "TransactionVoidKeyed",
    "UnreceiptedReturnKeyed",
    "VoidKeyed",
    "WeightCondition",
    "WeightKeyed",
    "WeightSensed",
    "XReportKeyed",
    "ZReportKeyed",
]

DeviceEvent = (
    Scanned
    | ScanGarbled
    | TagPresented
    | TagTorn
    | CardSwiped
    | CardEncrypted
    | CardRefused
    | CardGarbled
    | DrawerSensed
    | DrawerFound
    | DrawerLeftOpen
    | DrawerStuck
    | PrinterSensed
    | WeightSensed
    | KeyLockTurned
    | ButtonPressed
    | CaseOpened
    | PowerSensed
    | DeviceChanged
)
AnyEvent = (
    DeviceEvent | PaymentAnswered | PaymentRefused | PaymentUnanswered | PaymentTakenBack | ReversalUnanswered
    | ReceiptTaken | ReceiptUncertain | CodeKeyed | QuantityKeyed | WeightKeyed | VoidKeyed | CashKeyed | CardKeyed | CancelKeyed | ReprintKeyed
    | ItemKeyed | AgeKeyed | OpenPriceKeyed | PriceCheckKeyed | DepositReturnKeyed
    | LockKeyed | SignOffKeyed | NoteSeenKeyed | TrainingKeyed | OperatorAdministered | OperatorChecked | TillIdled
    | BusinessDayKeyed | TillOpenKeyed | CashMoveKeyed | CountBegunKeyed | CountKeyed | CountGivenUpKeyed
    | TillCloseKeyed | XReportKeyed | ZReportKeyed | PaperSaleKeyed | PaymentsTotalled | ReportTorn
    | InvoiceKeyed | InvoiceTorn
    | SuspendKeyed | ResumeKeyed | ReturnKeyed | UnreceiptedReturnKeyed | TransactionVoidKeyed | AccountKeyed
    | GiftCardSaleKeyed | GiftCardCashOutKeyed | BalanceKeyed | GiftCardReturnKeyed | GiftCardReserved | GiftCardUnreserved
    | StoredValueAnswered | StoredValueRefused | StoredValueUnanswered | BalanceTold | BalanceUntold
    | DrawerKeyed | Booted | CouponPresented | LineDiscountKeyed | TotalDiscountKeyed | PriceKeyed | TaxExemptionKeyed
)  # fmt: skip
