"""A gift card's number on its way to the payment device, and which numbers are gift cards' at all.

Whoever knows the number may spend by it. So it rides in an event and in an effect, is in no repr, and stands in no record:
there are its last digits, and a random reference that means nothing outside the customer store (`store.customers`).
"""

from collections.abc import Iterable

import msgspec

from core.stripe import CardRange

_SHOWN_DIGITS = 4
_HIDDEN_DIGITS_MIN = 6
"""A number that is shorter shows none of its digits."""


class GiftCard(msgspec.Struct, frozen=True, kw_only=True):
    """A gift card that was shown: its number, in digits."""

    number: str

    def __repr__(self) -> str:
        """Without the number."""
        return f"GiftCard({self.masked})"

    @property
    def masked(self) -> str:
        """What may be told, kept and printed of it.

        >>> GiftCard(number="6006490000000004").masked, GiftCard(number="12345").masked
        ('****0004', '****')
        """
        shown = self.number[-_SHOWN_DIGITS:] if len(self.number) >= _SHOWN_DIGITS + _HIDDEN_DIGITS_MIN else ""
        return f"****{shown}"

    @property
    def uid(self) -> str:
        """By what the customer store knows it (hex)."""
        return f"gift:{self.number}".encode().hex()


def is_gift_card(code: str, ranges: Iterable[CardRange]) -> bool:
    """Whether a code is a gift card's number.

    >>> is_gift_card("6006490000000004", (CardRange(kind="gift", prefix="600649", digits=16),))
    True
    """
    if not (code.isascii() and code.isdigit()):
        return False
    fitting = [one for one in ranges if code.startswith(one.prefix) and one.digits in (0, len(code))]
    return bool(fitting) and max(fitting, key=lambda one: len(one.prefix)).kind == "gift"
