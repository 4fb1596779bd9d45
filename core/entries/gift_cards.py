"""Stored value: gift cards that are sold, loaded, emptied and taken back."""

from typing import Literal

import msgspec

from core.entries.base import Entry
from core.entries.goods import TransactionLink


class GiftCardAwaited(Entry, tag="gift_card_awaited", frozen=True, kw_only=True):
    """A gift card is to be sold with so much on it, or what is left on one is to be paid out (`cash_out`): the sale waits until
    one is shown."""

    amount_minor: int
    cash_out: bool = False


class GiftCardGivenUp(Entry, tag="gift_card_given_up", frozen=True, kw_only=True):
    """The gift card that the sale waited for is not sold."""


StoredValueOperation = Literal["activate", "load", "unload", "cash-out"]
"""What the payment device does with a gift card: makes a new one good, adds to one that is, takes that back, or takes off what
is left."""


class GiftCardAdded(Entry, tag="gift_card_added", frozen=True, kw_only=True):
    """A line sells a gift card, or loads one (ARTS stored value): money that the shop owes, and no turnover, so it has no tax.

    `card` are its last digits, `account` a random reference that means nothing outside the customer store. The payment
    device has reserved it under its own `reservation`; it is worth nothing before the sale is paid for.
    """

    line: int
    amount_minor: int
    card: str
    account: str = ""
    reservation: str = ""
    operation: StoredValueOperation = "activate"


class GiftCardReturned(Entry, tag="gift_card_returned", frozen=True, kw_only=True):
    """What a finished sale had put on a gift card has been taken off it again, or what was left; `amount_minor` is below zero.

    `returned` says of which sale's line (number 0: of none in particular), `original` is the reference of what is made undone.
    """

    line: int
    amount_minor: int
    card: str
    returned: TransactionLink
    original: str
    account: str = ""
    reason: str = ""
    operator: str = ""
    approver: str = ""


class StoredValueRequested(Entry, tag="stored_value_requested", frozen=True, kw_only=True):
    """The intent to have a gift card's value changed, durable before the payment device hears of it; never sent twice.

    `number` and `line` are of the transaction that it follows from. `original` is the reservation's name on the device's
    side, and where a sale is taken back our reference of what it put there; `link` is that sale's line then.
    """

    MOVES_MONEY = True
    reference: str
    operation: StoredValueOperation
    amount_minor: int
    number: int
    line: int
    card: str
    original: str
    account: str = ""
    link: TransactionLink | None = None
    reason: str = ""
    operator: str = ""
    approver: str = ""


class StoredValueApproved(Entry, tag="stored_value_approved", frozen=True, kw_only=True):
    """The payment device has done it. `balance_minor` is what is on the card now, where it told."""

    MOVES_MONEY = True
    reference: str
    poi_transaction: str = ""
    balance_minor: int | None = None


class StoredValueRefused(Entry, tag="stored_value_refused", frozen=True, kw_only=True):
    """The card's value is as it was, and this is certain."""

    MOVES_MONEY = True
    reference: str
    reason: str


class StoredValueUnknown(Entry, tag="stored_value_unknown", frozen=True, kw_only=True):
    """No answer came: whether the card's value changed is unknown until the device has been asked about `reference`."""

    MOVES_MONEY = True
    reference: str


class StoredValueSetAside(Entry, tag="stored_value_set_aside", frozen=True, kw_only=True):
    """Nobody waits for the value to be taken off the card; no money was given for it."""

    MOVES_MONEY = True
    reference: str


class StoredValueLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A gift card in a finished transaction: sold or loaded, below zero taken back. `reference` is asked about."""

    line: int
    amount_minor: int
    card: str
    account: str = ""
    reference: str = ""
    returned: TransactionLink | None = None
