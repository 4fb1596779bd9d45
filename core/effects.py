"""What is asked of the world, after the records that call for it are durable. Each is keyed and may run again."""

import msgspec

from core.document import Document


class Effect(msgspec.Struct, frozen=True, kw_only=True, tag_field="type", omit_defaults=True):
    """What all effects share."""


class PrintReceipt(Effect, frozen=True, kw_only=True, tag="print_receipt"):
    """Put the receipt of transaction `number` on paper; waits for the printer as long as it takes."""

    number: int
    copy: int
    doubtful: bool
    document: Document


class OpenDrawer(Effect, frozen=True, kw_only=True, tag="open_drawer"):
    """Kick the drawer open, once, now or not at all."""


class RequestPayment(Effect, frozen=True, kw_only=True, tag="request_payment"):
    """Ask the payment device to charge a card. Never sent twice for one reference."""

    reference: str
    amount_minor: int
    currency: str


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


AnyEffect = PrintReceipt | OpenDrawer | RequestPayment | AbortPayment | EnquirePayment | ReversePayment
