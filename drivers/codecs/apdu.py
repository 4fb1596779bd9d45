"""What may be said to a smart card, and what of its answers is ours (ISO/IEC 7816-4).

The applications are the shop's own, by the identifiers that the configuration names. A payment application is never
selected: that would make this a payment terminal that reads clear card numbers. Therefore `allowed` lets nothing pass
but the few commands that stand here, and no SELECT that could end in one, by a shortened identifier either.
"""

import re
from collections.abc import Collection
from typing import Final

from core.tlv import TlvFault, parse, walk

AID_BYTES_MIN: Final = 5
AID_BYTES_MAX: Final = 16
RESPONSE_BYTES_MAX: Final = 256
READ_FIRST_FILE: Final = bytes.fromhex("00b0810000")
"""READ BINARY of the elementary file with the short identifier 1, from its beginning."""
_GET_RESPONSE = bytes.fromhex("00c00000")
_NUMBER = 0x53
"""Discretionary data (ISO/IEC 7816-6): the card's number in ASCII."""
_NUMBER_FORM = re.compile(rb"[0-9A-Za-z-]{4,32}")

_PAYMENT = tuple(
    bytes.fromhex(prefix)
    for prefix in (
        "315041592e", "325041592e",  # 1PAY.SYS.DDF01, 2PAY.SYS.DDF01
        "a000000003", "a000000098",  # Visa
        "a000000004", "a000000005", "a000000010",  # Mastercard, Maestro
        "a000000025", "a000000065", "a000000152", "a000000324",  # American Express, JCB, Discover and Diners
        "a000000333", "a000000524", "a000000658", "a000000672", "a000000371",  # UnionPay, RuPay, Mir, Troy, Verve
        "a000000042", "a000000359", "d276000025", "a000000121", "a000000141",  # CB, girocard, Dankort, PagoBancomat
        "a000000277", "a000000384", "a000000615", "a000000228", "a000000029",  # Interac, eftpos, MyDebit, mada, LINK
        "a000000154", "a000000620",  # Banrisul, DNA
    )
)  # fmt: skip
"""How the identifiers of payment applications begin: the registered providers of schemes, and the two directories."""


class ForbiddenCommand(ValueError):
    """A command that no card gets from us."""


def is_payment(aid: bytes) -> bool:
    """Whether a SELECT by this identifier, whole or shortened, could find a payment application.

    >>> is_payment(b"2PAY.SYS.DDF01"), is_payment(bytes.fromhex("A000")), is_payment(bytes.fromhex("F04D454D42"))
    (True, True, False)
    """
    return any(aid.startswith(prefix) or prefix.startswith(aid) for prefix in _PAYMENT)


def select(aid: bytes) -> bytes:
    """SELECT by an application's identifier. Raises ForbiddenCommand for a payment application's."""
    command = bytes((0x00, 0xA4, 0x04, 0x00, len(aid))) + aid + b"\0"
    allowed(command, (aid,))
    return command


def get_response(length: int) -> bytes:
    """GET RESPONSE: the rest of an answer, by T=0."""
    return _GET_RESPONSE + bytes((length & 0xFF,))


def allowed(command: bytes, aids: Collection[bytes]) -> bytes:
    """The command itself, where it is one that a card may get. Raises ForbiddenCommand."""
    if command in (READ_FIRST_FILE, READ_FIRST_FILE[:-1] + command[-1:]) and len(command) == len(READ_FIRST_FILE):
        return command
    if command[:4] == _GET_RESPONSE and len(command) == 5:
        return command
    for aid in aids:
        is_whole = AID_BYTES_MIN <= len(aid) <= AID_BYTES_MAX
        if command == bytes((0x00, 0xA4, 0x04, 0x00, len(aid))) + aid + b"\0" and is_whole and not is_payment(aid):
            return command
    raise ForbiddenCommand("This command is not said to a card.")


def number_in(answer: bytes) -> str | None:
    """The card's number in what a SELECT or a READ BINARY gave: the first object 53 anywhere in it.

    A file is read whole, so that what follows its last object may be filling; None where there is no number of 4 to 32
    letters and digits.
    """
    try:
        objects = parse(answer.rstrip(b"\xff"))
    except TlvFault:
        return None
    for found in walk(objects):
        if found.tag == _NUMBER and _NUMBER_FORM.fullmatch(found.value):
            return found.value.decode()
    return None
