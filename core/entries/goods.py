"""What lies on the counter: items, their weights and counts, what is asked about them, who buys them."""

from typing import Literal

import msgspec

from core.catalogue import Item
from core.entries.base import Entry
from core.ledger import Stream
from core.scan import Reading

Weighed = Literal["scale", "scale-net", "keyed"]
"""Where a weight comes from: the scale, the scale with a tare taken off, or a person's hand."""


class WeightAwaited(Entry, tag="weight_awaited", frozen=True, kw_only=True):
    """An item that is sold by weight was rung up without one: the sale waits for it."""

    item: Item
    reading: Reading


class WeighingGivenUp(Entry, tag="weighing_given_up", frozen=True, kw_only=True):
    """The item that waited for its weight is not sold."""


class ItemProvided(Entry, tag="item_provided", frozen=True, kw_only=True):
    """An item that the catalogue does not have was given a name and a price at the counter (POSLog ItemNotFound).

    This terminal sells it by that until the catalogue has it; headquarters learns of it by this record.
    """

    gtin: str
    name: str
    unit_price_minor: int
    tax: str
    operator: str = ""
    approver: str = ""


class OutlierNoticed(Entry, tag="outlier_noticed", frozen=True, kw_only=True):
    """A price for one unit, or thousandths of a unit at once, far outside what an item's last sales had (median `usual`).

    `taken` says whether it was confirmed and taken, else it was only asked about.
    """

    STREAM = Stream.TECHNICAL
    about: Literal["price", "quantity"]
    gtin: str
    value: int
    usual: int
    taken: bool = False


class ItemHeld(Entry, tag="item_held", frozen=True, kw_only=True):
    """An item waits for an answer: whether the customer has its `min_age` (POSLog AgeRestriction), what it costs, or how much
    of it there is, where it is sold by a `unit` that the counter measures."""

    about: Literal["age", "price", "quantity"]
    gtin: str
    name: str
    reading: Reading
    min_age: int = 0
    unit: str = ""


class AgeChecked(Entry, tag="age_checked", frozen=True, kw_only=True):
    """The operator looked whether the customer is `min_age` years old. It holds for the whole basket."""

    min_age: int
    passed: bool
    operator: str = ""


class HeldItemGivenUp(Entry, tag="held_item_given_up", frozen=True, kw_only=True):
    """The item that waited for an answer is not sold."""


class TransactionLink(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A finished transaction (POSLog TransactionLink), and a line of it; number 0 where nobody knows which it was."""

    terminal: str = ""
    epoch: str = ""
    number: int = 0
    line: int = 0


class ItemAdded(Entry, tag="item_added", frozen=True, kw_only=True):
    """A line was rung up. `quantity_milli` is in thousandths of `unit`; `amount_minor` is the ExtendedAmount.

    `item` is the GTIN of the item where `gtin` is another code of it, of which one unit of the line holds `contains`.
    `weighed` says where the weight of a line comes from that was weighed at the counter; what is measured is ``keyed``.
    `linked` is the line of the goods whose deposit this is; a deposit that was given back has a quantity below zero.
    So have goods that come back (POSLog Return): `returned` says of which sale's line, `reason` why.
    """

    line: int
    gtin: str
    name: str
    unit: str
    quantity_milli: int
    unit_price_minor: int
    amount_minor: int
    tax: str
    entry_method: str
    lot: str | None = None
    serial: str | None = None
    use_by: str | None = None
    best_before: str | None = None
    item: str | None = None
    contains: int = 1
    discountable: bool = True
    weighed: Weighed | None = None
    linked: int = 0
    returned: TransactionLink | None = None
    reason: str = ""


class QuantityChanged(Entry, tag="quantity_changed", frozen=True, kw_only=True):
    """A line's quantity is another now, and so is its amount."""

    line: int
    quantity_milli: int
    amount_minor: int


class LineVoided(Entry, tag="line_voided", frozen=True, kw_only=True):
    """A line was taken back before payment; it stays visible, struck through."""

    line: int
    operator: str = ""
    approver: str = ""


class ItemRefused(Entry, tag="item_refused", frozen=True, kw_only=True):
    """A scan did not become a line (POSLog ItemNotFound and the like); `reason` is the message's id."""

    STREAM = Stream.TECHNICAL
    reason: str
    gtin: str | None = None
    lot: str | None = None


class CustomerIdentified(Entry, tag="customer_identified", frozen=True, kw_only=True):
    """A loyalty tag was presented. `customer` is a random reference that means nothing outside the customer store."""

    customer: str
