"""Cards with a magnetic stripe: which ones a shop takes by itself, and how what may be card data is held.

A clear number is taken only in a range that the configuration names: loyalty, gift, staff. A payment card's is never
taken, whatever the configuration says: it belongs into the payment device (PCI DSS; `core.card` keeps it out of texts).
"""

from collections.abc import Sequence
from typing import Literal, NoReturn, Self

import msgspec

from core.card import is_card_number

CardKind = Literal["loyalty", "gift", "staff"]
NUMBER_DIGITS_MIN = 4
NUMBER_DIGITS_MAX = 19
"""ISO/IEC 7812-1: a number has 19 digits at most."""

_PAYMENT: tuple[tuple[str, str], ...] = (
    ("1", "1"),  # UATP
    ("2200", "2204"),  # Mir
    ("2221", "2720"),  # Mastercard
    ("300", "305"), ("3095", "3095"), ("36", "36"), ("38", "39"),  # Diners Club
    ("34", "34"), ("37", "37"),  # American Express
    ("3528", "3589"),  # JCB, RuPay
    ("4", "4"),  # Visa
    ("50", "58"),  # Mastercard, Maestro, Verve, RuPay
    ("6011", "6011"), ("644", "649"),  # Discover
    ("606282", "606282"),  # Hipercard
    ("6069", "6085"),  # RuPay
    ("62", "62"), ("81", "82"),  # UnionPay, RuPay
    ("6304", "6304"), ("636", "639"), ("67", "67"),  # Maestro, InterPayment, InstaPayment, Elo
    ("65", "65"),  # Discover, RuPay, Troy, Verve
    ("9792", "9792"),  # Troy
)  # fmt: skip
"""First digits, from and to, of the numbers that payment schemes issue, as the schemes publish their ranges."""


_MASTERCARD_2 = ("2221", "2720")
_MASTERCARD_DIGITS = 16
"""Of all of Mastercard's numbers that begin with 2; other schemes' numbers have 13 to 19."""


class CardRange(msgspec.Struct, frozen=True, kw_only=True):
    """Cards that the shop takes: those whose number begins with `prefix`, and has so many `digits` where it says."""

    kind: CardKind
    prefix: str
    digits: int = 0


def sort(number: memoryview, ranges: Sequence[CardRange]) -> CardKind | Literal["payment", "unknown"]:
    """What a card is by its number in ASCII digits; the longest prefix decides. Makes no copy of the number.

    >>> sort(memoryview(b"6006491234"), (CardRange(kind="loyalty", prefix="600649"),))
    'loyalty'
    """
    if any(_begins_between(number, low, high) for low, high in _PAYMENT):
        return "payment"
    if not NUMBER_DIGITS_MIN <= len(number) <= NUMBER_DIGITS_MAX:
        return "unknown"
    fitting = [
        one
        for one in ranges
        if number[: len(one.prefix)] == one.prefix.encode() and one.digits in (0, len(number))
    ]  # fmt: skip
    return max(fitting, key=lambda one: len(one.prefix)).kind if fitting else "unknown"


def is_payment(prefix: str) -> bool:
    """Whether a number that begins so may be a payment card's.

    >>> is_payment("60"), is_payment("600649"), is_payment("4")
    (True, False, True)
    """
    for low, high in _PAYMENT:
        width = min(len(prefix), len(low))
        if low[:width] <= prefix[:width] <= high[:width]:
            return True
    return False


def is_issued(number: str) -> bool:
    """Whether a payment scheme issues cards of such a number: by its check digit, its beginning and its length.

    Alipay's codes of 18 digits begin as Mastercard's numbers of 16 may; UnionPay's codes are as long as its cards' numbers.

    >>> is_issued("2720990000000007"), is_issued("270000000000000009"), is_issued("6212345678901234569")
    (True, False, True)
    """
    if not is_card_number(number) or not is_payment(number):
        return False
    return len(number) == _MASTERCARD_DIGITS or not _begins_between(memoryview(number.encode()), *_MASTERCARD_2)


class Opaque:
    """Bytes that are carried and never looked at: a ciphertext, the key serial number with it.

    It has no text, is equal to nothing but itself, and cannot be pickled, copied or encoded: it is written nowhere.
    """

    __slots__ = ("_held",)

    def __init__(self, data: bytearray) -> None:
        """Takes `data` over: it is the only copy."""
        self._held = data

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"Opaque({len(self._held)} bytes)"

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("an Opaque is carried, not copied")

    def __deepcopy__(self, memo: object) -> Self:
        raise TypeError("an Opaque is carried, not copied")

    def view(self) -> memoryview:
        """What it holds, for the one who hands it to a payment device or a gateway."""
        return memoryview(self._held).toreadonly()

    def wipe(self) -> None:
        """Overwrites it with zeros."""
        self._held[:] = bytes(len(self._held))


def _begins_between(number: memoryview, low: str, high: str) -> bool:
    if len(number) < len(low):
        return False
    first = 0
    for digit in number[: len(low)]:
        first = 10 * first + digit - 0x30
    return int(low) <= first <= int(high)
