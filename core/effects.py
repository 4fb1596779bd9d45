"""What is asked of the world, after the records that call for it are durable. Each is keyed and may run again."""

from typing import Literal

import msgspec

from core.document import Document
from core.entries import CardTotal, StoredValueOperation
from core.gift_card import GiftCard
from core.wallet import WalletCode


class Effect(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all effects share."""


class PrintReceipt(Effect, frozen=True, kw_only=True, tag="print_receipt"):
    """Put the receipt of transaction `number` on paper; waits for the printer as long as it takes."""

    number: int
    copy: int
    doubtful: bool
    document: Document


class PrintReport(Effect, frozen=True, kw_only=True, tag="print_report"):
    """Put a report of the till on paper; waits for the printer as receipts do."""

    document: Document


class PrintInvoice(Effect, frozen=True, kw_only=True, tag="print_invoice"):
    """Put the invoice of transaction `number` on paper; waits for the printer as receipts do, until the till is stopped."""

    number: int
    document: Document

    def __repr__(self) -> str:
        """Without the buyer."""
        return f"PrintInvoice(number={self.number})"


class OpenDrawer(Effect, frozen=True, kw_only=True, tag="open_drawer"):
    """Kick the drawer open, once, now or not at all."""


class RequestPayment(Effect, frozen=True, kw_only=True, tag="request_payment"):
    """Ask the payment device to charge a card, or what was shown at the till: a wallet's code, or a gift card. Never sent
    twice for one reference."""

    reference: str
    amount_minor: int
    currency: str
    wallet: WalletCode | None = None
    gift_card: GiftCard | None = None


class RequestRefund(Effect, frozen=True, kw_only=True, tag="request_refund"):
    """Ask the payment device to give money back to the card of the payment `original`. Never sent twice for one reference."""

    reference: str
    amount_minor: int
    currency: str
    original: str
    poi_transaction: str


class AbortPayment(Effect, frozen=True, kw_only=True, tag="abort_payment"):
    """Ask the payment device to stop the payment `reference`; the payment's own answer says how it ended."""

    reference: str


class EnquirePayment(Effect, frozen=True, kw_only=True, tag="enquire_payment"):
    """Ask the payment device what became of `reference`, after a pause."""

    reference: str
    after_s: float = 0.0


class ReversePayment(Effect, frozen=True, kw_only=True, tag="reverse_payment"):
    """Ask the payment device to give back `reference`, after a pause."""

    reference: str
    amount_minor: int
    currency: str
    poi_transaction: str
    after_s: float = 0.0


class ReserveGiftCard(Effect, frozen=True, kw_only=True, tag="reserve_gift_card"):
    """Ask the payment device to hold a gift card for a sale. It changes no value, and what becomes of no sale lapses."""

    reference: str
    card: GiftCard
    account: str
    amount_minor: int
    currency: str


class ChangeStoredValue(Effect, frozen=True, kw_only=True, tag="change_stored_value"):
    """Ask the payment device to put value on a reserved gift card, or to take it off. Never sent twice for one reference.

    `original` is as in `core.entries.StoredValueRequested`.
    """

    reference: str
    operation: StoredValueOperation
    amount_minor: int
    currency: str
    original: str


class EnquireStoredValue(Effect, frozen=True, kw_only=True, tag="enquire_stored_value"):
    """Ask the payment device what became of `reference`, after a pause."""

    reference: str
    currency: str
    after_s: float = 0.0


class EnquireBalance(Effect, frozen=True, kw_only=True, tag="enquire_balance"):
    """Ask the payment device what is on a gift card."""

    card: GiftCard
    currency: str


class ReconcilePayments(Effect, frozen=True, kw_only=True, tag="reconcile_payments"):
    """Ask the payment device to close its period and tell its totals; `ours` are carried to its answer."""

    session: int
    currency: str
    ours: tuple[CardTotal, ...]


class ShowOnDisplay(Effect, frozen=True, kw_only=True, tag="show_on_display"):
    """What the customer sees now, in place of what was there: two rows, each a text at the left and one at the right.

    The right one is an amount or empty, and is never cut; the left one gives way on a narrow display.
    """

    upper: tuple[str, str]
    lower: tuple[str, str] = ("", "")


LightState = Literal["ready", "busy", "attention"]
"""The till takes goods, waits for a payment, or has something to tell the operator."""


class SetLights(Effect, frozen=True, kw_only=True, tag="set_lights"):
    """How the till's lights stand now, in place of how they stood."""

    state: LightState


ToneName = Literal["refused", "drawer-left-open"]


class SoundTone(Effect, frozen=True, kw_only=True, tag="sound_tone"):
    """Sound a tone once, now or not at all."""

    tone: ToneName


SignEffect = ShowOnDisplay | SetLights | SoundTone
"""What is shown and sounded at the counter: of several, only the newest counts, and no sale waits for any."""


class AskWeight(Effect, frozen=True, kw_only=True, tag="ask_weight"):
    """Have the scale tell what lies on it, under this `reference`, until `ReleaseScale`."""

    reference: str


class ReleaseScale(Effect, frozen=True, kw_only=True, tag="release_scale"):
    """No weight is wanted any more; what was `sold` has to be taken off before the next one counts."""

    sold: bool


AnyEffect = (
    PrintReceipt | OpenDrawer | RequestPayment | RequestRefund | AbortPayment | EnquirePayment | ReversePayment
    | ReserveGiftCard | ChangeStoredValue | EnquireStoredValue | EnquireBalance
    | AskWeight | ReleaseScale | PrintReport | PrintInvoice | ReconcilePayments
    | SignEffect
)  # fmt: skip
