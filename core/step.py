"""What a step of the till asks, is told and gives: the question for the store, the facts, and the outcome."""

from collections.abc import Callable
from typing import Literal

import msgspec

from core import effects as x
from core import entries as e
from core.catalogue import Item
from core.gift_card import GiftCard
from core.history import Original
from core.permissions import Operator
from core.product_recall import ProductRecall
from core.scan import Reading
from core.state import Completed
from core.text import Message, message
from core.usual import Usual
from core.wallet import WalletCode

EPOCH_LETTERS = 8
"""Of the journal's epoch, in what the payment device is asked by."""


class ItemWanted(msgspec.Struct, frozen=True, kw_only=True, tag="item"):
    """Asks the catalogue which item a code stands for."""

    reading: Reading


def look_up(wanted: ItemWanted, find: Callable[[str], Item | None]) -> tuple[ItemWanted, Item | None]:
    """The item that a code stands for by the catalogue (`find`, by GTIN), and the code as what it is by then."""
    reading = wanted.reading
    item = find(reading.gtin)
    if item is None and reading.also is not None and (item := find(reading.also)) is not None:
        return ItemWanted(reading=msgspec.structs.replace(reading, gtin=reading.also, also=None)), item
    return wanted, item


class CustomerWanted(msgspec.Struct, frozen=True, kw_only=True, tag="customer"):
    """Asks the customer store whose tag this is."""

    uid: str


class RecallsWanted(msgspec.Struct, frozen=True, kw_only=True, tag="recalls"):
    """Asks the catalogue which of these goods (GTINs) are recalled: a basket is about to be paid."""

    gtins: tuple[str, ...]


class UsualWanted(msgspec.Struct, frozen=True, kw_only=True, tag="usual"):
    """Asks the history what is usual of a line's goods (their GTIN)."""

    gtin: str


class ParkedWanted(msgspec.Struct, frozen=True, kw_only=True, tag="parked"):
    """Asks the catalogue what the goods of a parked basket cost now, and which of `recalled_by` are recalled."""

    gtins: tuple[str, ...]
    recalled_by: tuple[str, ...]


class PaperWanted(msgspec.Struct, frozen=True, kw_only=True, tag="paper"):
    """Asks the journal for a finished transaction, whole enough to print its receipt again."""

    number: int


class OriginalWanted(msgspec.Struct, frozen=True, kw_only=True, tag="original"):
    """Asks the history for a finished transaction and what came back of it; `terminal` and `epoch` where a receipt says."""

    number: int
    epoch: str = ""
    terminal: str = ""


class CouponShown(msgspec.Struct, frozen=True, kw_only=True, tag="coupon"):
    """A code that is a coupon or a voucher, which the shop's own rules know. A voucher pays: which of the basket's goods
    are recalled (GTINs) is asked then."""

    code: str
    recalled_by: tuple[str, ...] = ()


class WalletShown(msgspec.Struct, frozen=True, kw_only=True, tag="wallet"):
    """A phone pays by this code; which of the basket's goods are recalled (GTINs) is asked then."""

    shown: WalletCode
    recalled_by: tuple[str, ...] = ()


class GiftCardShown(msgspec.Struct, frozen=True, kw_only=True, tag="gift_card"):
    """Asks the customer store for the reference of a gift card, and which of the basket's goods are recalled (GTINs): it may
    be going to pay for them."""

    card: GiftCard
    recalled_by: tuple[str, ...] = ()


class OperatorWanted(msgspec.Struct, frozen=True, kw_only=True, tag="operator"):
    """Asks the credentials whose badge this is (hex, never kept); a code that was `typed` is not the badge itself."""

    badge: str
    typed: bool = False


class Badge(msgspec.Struct, frozen=True, kw_only=True):
    """Whose badge was presented, and for how long more his sign-on is locked; `given`: it has just become his."""

    operator: Operator
    locked_ms: int = 0
    given: bool = False


Question = (
    ItemWanted | CustomerWanted | RecallsWanted | UsualWanted | ParkedWanted | PaperWanted | OriginalWanted | CouponShown
    | WalletShown | GiftCardShown | OperatorWanted | Message
)  # fmt: skip
"""What `read` makes of an event: a question for the store, or the reason why the code means nothing."""


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """What the world answered: the shop's date and local time (ISO 8601), and the answer to the event's question.

    `blocked` names why no new sale may begin (``disk-full``); one that is open always finishes.
    """

    business_day: str
    local_time: str
    question: Question | None = None
    item: Item | None = None
    recalls: tuple[ProductRecall, ...] = ()
    """Of the goods that the question names."""
    items: tuple[Item, ...] = ()
    """What the catalogue has of a parked basket's goods."""
    deposit: Item | None = None
    """What is rung up with the item, where it has a deposit and the catalogue has that."""
    original: Original | None = None
    """The finished transaction that the question names."""
    history_fault: bool = False
    """The history cannot be asked now."""
    usual: Usual | None = None
    """Of the goods that an event prices or counts; None where there is no history."""
    found: Completed | None = None
    """The finished transaction that a paper is wanted of."""
    on_hand_milli: int | None = None
    """Of an item whose price is looked up: thousandths of its unit on the shelf; None where its stock is not counted."""
    customer: str | None = None
    account: str = ""
    """The reference of the gift card that was shown; empty where the store cannot tell."""
    epoch: str = ""
    """The journal's: it makes a payment's reference one that the payment device has never heard of."""
    blocked: str | None = None
    badge: Badge | None = None
    """What the question's tag or code is, where it is an operator's."""
    approver: Operator | None = None
    """Who allows this one event, by his own PIN."""
    clock_sure: bool = True
    """Whether the clock can vouch for the date; else a person does when the till opens."""

    def reference(self, name: str) -> str:
        """By what the payment device is asked about something of a transaction, for all time."""
        # A new journal counts from 1 again; the payment device still knows what the one before asked.
        return f"{self.epoch[:EPOCH_LETTERS]}/{name}" if self.epoch else name


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """What follows from an event: entries to keep, then effects to have done, and what to tell the operator.

    `refused` says that the state did not take the event; its entries, if any, are technical ones.
    """

    entries: tuple[e.AnyEntry, ...] = ()
    effects: tuple[x.AnyEffect, ...] = ()
    notice: Message | None = None
    level: Literal["info", "warning", "error"] = "info"
    refused: bool = False


NOTHING = Step()


def refuse(condition: str, /, **params: str | int) -> Step:
    """The state does not take the event; `condition` says why, and an error sounds."""
    return Step(notice=message(condition, **params), level="error", refused=True)
