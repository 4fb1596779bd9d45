"""Cards that exist nowhere else, and the search for any trace of them in bytes of any kind.

A card has a number with its Luhn digit (ISO/IEC 7812), both tracks (ISO/IEC 7813), a security code, a PIN and a PIN block
(ISO 9564 format 0). What counts as a trace:

- twelve digits in a row of a number: more than PCI DSS 3.4.1 lets be shown, and too many to be there by chance;
- eleven in a row of a track's discretionary data, or a whole PIN;
- a PIN block, a cardholder's name, a security code beside a word that says that it is one.

They are sought as text, with up to three other bytes between two digits (blanks, dashes, the zeros of UTF-16), packed two
digits a byte, in hexadecimal, in Base64 at each of its offsets, and in all of that within gzip, zlib and zstd.
"""

import base64
import gzip
import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from random import Random

import zstandard

from core.scan import check_digit

PAN_WINDOW = 12
OTHER_WINDOW = 11
BLOCK_DIGITS = 16
DEPTH_MAX = 3
UNPACKED_BYTES_MAX = 1 << 24
MARK_BYTES = 16
AROUND_BYTES = 120
NAME = "CANARY/"
GIFT_BEGINNING = "600649"
GIFT_DIGITS = 16

_SCHEMES = ("4", "51", "55", "2221", "2720", "34", "37", "36", "3528", "6011", "65", "62", "81", "9792")
_LENGTHS = (16, 16, 16, 16, 15, 13, 14, 19, 18)
_DIGITS = re.compile(rb"\d(?:[^0-9A-Za-z]{0,3}\d){10,}")
_PLAIN_DIGITS = re.compile(rb"\d{11,}")
_ZEROS = re.compile(rb"0{12,}")
_NO_DIGIT = re.compile(rb"\D+")
_NAME = re.compile(rb"\0?".join(re.escape(bytes([byte])) for byte in NAME.encode()))
_HEX = re.compile(rb"(?:[0-9a-f]{22,}|[0-9A-F]{22,})")
_BLOCK = re.compile(rb"[0-9A-Fa-f]{16,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{16,}")
_URL_SAFE = bytes.maketrans(b"-_", b"+/")
_CODE = re.compile(rb"(?i)(?:cvv|cvc|csc|card_?security_?code)2?[^0-9A-Za-z]{1,8}(\d{3,4})(?!\d)")
_ZSTD = b"\x28\xb5\x2f\xfd"
_PACKED = re.compile(rb"\x28\xb5\x2f\xfd|\x1f\x8b\x08|\x78[\x01\x5e\x9c\xda]")
_TURNS_OF_BASE64 = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """One card. The `pin` has eleven digits (ISO 9564 allows twelve), so that it cannot be found by chance. `gift` is the number
    of a gift card of the shop's own, which whoever knows it can spend."""

    pan: str
    name: str
    expiry: str
    discretionary: str
    cvv: str
    pin: str
    pin_block: str
    gift: str

    @property
    def track_1(self) -> str:
        return f"%B{self.pan}^{self.name}^{self.expiry}201{self.discretionary}?"

    @property
    def track_2(self) -> str:
        return f";{self.pan}={self.expiry}201{self.discretionary}?"


def make_cards(count: int, seed: int) -> list[Card]:
    """So many cards, of all lengths and of the ranges that schemes use."""
    rng = Random(f"cards/{seed}")
    made: dict[str, Card] = {}
    while len(made) < count:
        pan = _pan(rng, _LENGTHS[len(made) % len(_LENGTHS)])
        name = "".join(rng.choice("ABCDEFGHKLMNPRSTUVWXZ") for _ in range(6))
        made[pan] = Card(
            pan=pan,
            name=f"{NAME}{name}",
            expiry=f"{rng.randint(27, 35)}{rng.randint(1, 12):02}",
            discretionary=_number(rng, 13),
            cvv=_number(rng, 4 if pan[0] == "3" else 3),
            pin=_number(rng, OTHER_WINDOW),
            pin_block=f"{rng.getrandbits(64):016X}",
            gift=GIFT_BEGINNING + _number(rng, GIFT_DIGITS - len(GIFT_BEGINNING)),
        )
    return list(made.values())


def _pan(rng: Random, length: int) -> str:
    """Of 13 and 14 digits only such as are no article's number too: those nobody could tell from one."""
    while True:
        start = rng.choice(_SCHEMES)
        payload = start + _number(rng, length - 1 - len(start))
        pan = payload + luhn_digit(payload)
        if length > 14 or check_digit(payload) != pan[-1]:
            return pan


def luhn_digit(payload: str) -> str:
    """The digit that makes a number pass ISO/IEC 7812-1, annex B."""
    doubled = (int(digit) * (2 - place % 2) for place, digit in enumerate(reversed(payload)))
    return str(-sum(value // 10 + value % 10 for value in doubled) % 10)


def _number(rng: Random, length: int) -> str:
    """Digits; the first is none that the milliseconds of our century begin with."""
    return str(rng.randint(2, 9)) + "".join(str(rng.randint(0, 9)) for _ in range(length - 1))


class Searcher:
    """Looks for any trace of some cards. What it has looked through before, it knows and passes over."""

    def __init__(self, cards: Iterable[Card]) -> None:
        self.searched_bytes = 0
        self._digits: dict[bytes, str] = {}
        self._blocks: set[bytes] = set()
        self._codes: set[bytes] = set()
        for card in cards:
            self._digits |= dict.fromkeys(_windows(card.pan, PAN_WINDOW), "a card's number")
            self._digits |= dict.fromkeys(_windows(card.gift, PAN_WINDOW), "a gift card's number")
            self._digits |= dict.fromkeys(_windows(card.discretionary, OTHER_WINDOW), "a track")
            self._digits |= dict.fromkeys(_windows(card.pin, OTHER_WINDOW), "a PIN")
            self._blocks.add(card.pin_block.encode())
            self._codes.add(card.cvv.encode())
        self._known: set[bytes] = set()

    def find(self, data: bytes, *, deep: bool = True) -> dict[str, bytes]:
        """What is in these bytes, each with the way in which it was written; and what stands around one of it.

        Without `deep` only what is written as text.
        """
        self.searched_bytes += len(data)
        return dict(self._look(data, "", 0 if deep else DEPTH_MAX)) if self._is_new("data", data) else {}

    def _look(self, data: bytes, way: str, depth: int) -> Iterator[tuple[str, bytes]]:
        for run in _DIGITS.finditer(data):
            for what in self._among(_NO_DIGIT.sub(b"", run[0])):
                yield what + way, _around(data, run)
        for name in _NAME.finditer(data):
            yield "a name" + way, _around(data, name)
        for code in _CODE.finditer(data):
            if code[1] in self._codes:
                yield "a security code" + way, _around(data, code)
        for run in _BLOCK.finditer(data):
            if not self._blocks.isdisjoint(_windows(run[0].decode().upper(), BLOCK_DIGITS)):
                yield "a PIN block" + way, _around(data, run)
        if depth < DEPTH_MAX:
            packed = _ZEROS.sub(b"-", data.hex().encode())
            for run in _PLAIN_DIGITS.finditer(packed):
                for what in self._among(run[0]):
                    yield f"{what}{way} packed", _around(packed, run)
            for how, inner in self._inside(data):
                yield from self._look(inner, f"{way} {how}", depth + 1)

    def _among(self, digits: bytes) -> Iterator[str]:
        for length in (PAN_WINDOW, OTHER_WINDOW):
            for start in range(len(digits) - length + 1):
                if (what := self._digits.get(digits[start : start + length])) is not None:
                    yield what

    def _inside(self, data: bytes) -> Iterator[tuple[str, bytes]]:
        """What is written in these bytes in another way."""
        for run in _HEX.finditer(data):
            text = run[0].upper()
            if self._is_new("hex", text):
                for start in (0, 1):
                    even = text[start : start + (len(text) - start) // 2 * 2]
                    yield "in hexadecimal", bytes.fromhex(even.decode())
        for run in _BASE64.finditer(data):
            text = run[0].translate(_URL_SAFE)
            if self._is_new("base64", text):
                for start in range(_TURNS_OF_BASE64):
                    turned = text[start:] if (len(text) - start) % 4 != 1 else text[start:-1]
                    yield "in Base64", base64.b64decode(turned + b"=" * (-len(turned) % 4))
        for found in _PACKED.finditer(data):
            if (plain := unpack(data[found.start() :])) and self._is_new("packed", plain):
                yield "compressed", plain

    def _is_new(self, kind: str, run: bytes) -> bool:
        mark = hashlib.blake2b(run, digest_size=MARK_BYTES, person=kind.encode()).digest()
        if mark in self._known:
            return False
        self._known.add(mark)
        return True


def unpack(data: bytes) -> bytes:
    """What a compressed stream at the beginning of `data` holds, as far as it goes; nothing where there is none."""
    try:
        if data.startswith(_ZSTD):
            return zstandard.ZstdDecompressor().decompressobj().decompress(data)[:UNPACKED_BYTES_MAX]
        bits = 31 if data.startswith(gzip.compress(b"")[:2]) else 15
        return zlib.decompressobj(bits).decompress(data, UNPACKED_BYTES_MAX)
    except (zlib.error, zstandard.ZstdError):
        return b""


def _windows(digits: str, length: int) -> Iterator[bytes]:
    for start in range(len(digits) - length + 1):
        yield digits[start : start + length].encode()


def _around(data: bytes, found: re.Match[bytes]) -> bytes:
    return data[max(0, found.start() - AROUND_BYTES) : found.end() + AROUND_BYTES]
