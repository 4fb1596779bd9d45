"""A device's raw traffic as a file: JSON lines, a `Heading` and then `Piece`s, with whatever may be a card's number masked, and
what a phone pays by.

A mask holds traffic back until its text is whole (up to a terminator), because a number may come a byte at a time. The
classes through which cards pass as a matter of course are not recorded at all.
"""

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, Protocol

import msgspec

from core import nesting
from core.card import wipe
from core.wallet import hide
from drivers.tap import Source

RECORDED = frozenset(("Scanner", "Scale", "POSPrinter", "LineDisplay"))
"""UnifiedPOS classes whose traffic may be kept. Cards pass through MSR, CAT and SmartCardRW, tags' UIDs through RFIDScanner."""
HELD_BYTES_MAX = 4096
PIECES_MAX = 100_000
LINE_BYTES_MAX = 1 << 20

_ENDS = b"\r\n\t\0\x03"
_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
"""A serial line's parity may stand in the eighth bit."""
_NUMERIC = frozenset(b"0123456789 ._-=")
_STAR = ord("*")

_EVENT = struct.Struct("@llHHi")
"""struct input_event: seconds, microseconds, type, code, value [linux/input.h]."""
_DIGITS = dict(zip((*range(2, 12), 79, 80, 81, 75, 76, 77, 71, 72, 73, 82), "12345678901234567890", strict=True))
_SEPARATORS = {57: " ", 52: ".", 12: "-"}
_SHIFT_KEYS = frozenset((29, 42, 54, 56, 97, 100))
_END_KEYS = frozenset((15, 28, 96))
_ALT, _ZERO = 56, 11
_CPM_KEYS = (35, 16, 47, 32, 22, 33, 21, 17, 50, 17)
"""What a phone's EMVCo code begins with (`core.wallet.CPM_BEGIN`), as a US keyboard types it: the keys of hQVDUFYwMW."""


class Heading(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The first line: what was recorded, when (Unix milliseconds), and how its driver was set."""

    recording: Literal[1] = 1
    device: str
    driver: str
    started_ms: int
    options: dict[str, str | int | float | bool | None] = {}


class Piece(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bytes that passed at once, in hex; `at_ms` since the recording began."""

    at_ms: int
    source: Source
    data: str


_heading = msgspec.json.Decoder(Heading)
_piece = msgspec.json.Decoder(Piece)


class Mask(Protocol):
    """Takes traffic and gives what may be kept of it, in its order for each source."""

    def feed(self, at_ms: int, source: Source, data: bytes) -> list[Piece]:
        """What may be kept now."""

    def finish(self) -> list[Piece]:
        """The rest. The recording is over."""


class ByteMask:
    """For a device that speaks in bytes: digits of a card's number, and tracks, become stars."""

    def __init__(self) -> None:
        self._held: dict[Source, list[tuple[int, bytes]]] = {"device": [], "till": []}

    def feed(self, at_ms: int, source: Source, data: bytes) -> list[Piece]:
        held = self._held[source]
        held.append((at_ms, data))
        whole = b"".join(piece for _, piece in held)
        cut = max(whole.translate(_SEVEN_BITS).rfind(end) for end in (bytes((each,)) for each in _ENDS)) + 1
        if not cut and len(whole) > HELD_BYTES_MAX:
            cut = _before_number(whole)
        return self._release(source, cut)

    def finish(self) -> list[Piece]:
        return [piece for source in self._held for piece in self._release(source, None)]

    def _release(self, source: Source, cut: int | None) -> list[Piece]:
        whole = b"".join(piece for _, piece in self._held[source])
        cut = len(whole) if cut is None else cut
        left, released, place = _masked(whole[:cut]), [], 0
        kept: list[tuple[int, bytes]] = []
        for at_ms, data in self._held[source]:
            end = place + len(data)
            if left[place:end]:
                released.append(Piece(at_ms=at_ms, source=source, data=left[place:end].hex()))
            if end > cut:
                kept.append((at_ms, data[max(cut - place, 0) :]))
            place = end
        self._held[source] = kept
        return released


class KeyMask:
    """For a scanner that acts as a keyboard: its traffic is struct input_event. Where the keys up to Enter or Tab may be a
    card, every one of them becomes the key 0."""

    def __init__(self) -> None:
        self._held: list[tuple[int, Source, bytes]] = []
        self._rest = b""

    def feed(self, at_ms: int, source: Source, data: bytes) -> list[Piece]:
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        released: list[Piece] = []
        for place in range(0, whole, _EVENT.size):
            event = data[place : place + _EVENT.size]
            self._held.append((at_ms, source, event))
            _, _, kind, code, value = _EVENT.unpack(event)
            if kind == 1 and code in _END_KEYS and value == 0:
                released += self._release()
        if len(self._held) * _EVENT.size > 16 * HELD_BYTES_MAX:
            released += self._release(is_card=True)
        return released

    def finish(self) -> list[Piece]:
        self._rest = b""
        return self._release()

    def _release(self, *, is_card: bool = False) -> list[Piece]:
        is_card = is_card or self._is_cpm() or any(wipe(hide(text)) != text for text in self._texts())
        released = [
            Piece(at_ms=at_ms, source=source, data=(self._hidden(event) if is_card else event).hex())
            for at_ms, source, event in self._held
        ]
        self._held = []
        return released

    def _is_cpm(self) -> bool:
        keys = [code for _, _, kind, code, value in map(_EVENT.unpack, self._events()) if kind == 1 and value == 1]
        letters = [key for key in keys if key not in _SHIFT_KEYS]
        count = len(_CPM_KEYS)
        return any(tuple(letters[at : at + count]) == _CPM_KEYS for at in range(len(letters) - count + 1))

    def _events(self) -> Iterator[bytes]:
        return (event for _, _, event in self._held)

    def _texts(self) -> Iterator[str]:
        """What was typed, as digits by their keys; and what was typed by its number, with Alt held down."""
        typed, numbers, number, is_alt = "", "", "", False
        for _, _, event in self._held:
            _, _, kind, code, value = _EVENT.unpack(event)
            if kind != 1:
                continue
            if code == _ALT:
                if not value and number:
                    numbers += chr(int(number) & 0x7F)
                is_alt, number = value != 0, ""
            elif value == 1 and code not in _SHIFT_KEYS:
                letter = _DIGITS.get(code) or _SEPARATORS.get(code, "x")
                typed += letter
                number = number + letter if is_alt and letter.isdigit() and len(number) < 5 else number
        yield typed
        yield numbers

    def _hidden(self, event: bytes) -> bytes:
        seconds, micros, kind, code, value = _EVENT.unpack(event)
        if kind == 1 and code not in _SHIFT_KEYS | _END_KEYS:
            code = _ZERO
        # What the key's place on the keyboard was (EV_MSC, MSC_SCAN) tells as much as the key.
        return _EVENT.pack(seconds, micros, kind, code, 0 if kind == 4 else value)


def mask_for(driver: str) -> Mask:
    """The mask for a driver's traffic."""
    return KeyMask() if driver == "scanner-hid" else ByteMask()


def read(lines: Iterable[bytes]) -> tuple[Heading, Sequence[Piece]]:
    """A recording. Raises ValueError, with the line, where it is none."""
    heading: Heading | None = None
    pieces: list[Piece] = []
    for number, line in enumerate(lines, start=1):
        try:
            if heading is None:
                heading = nesting.decode(_heading, line)
                continue
            piece = nesting.decode(_piece, line)
            bytes.fromhex(piece.data)
        except (ValueError, UnicodeDecodeError) as error:
            raise ValueError(f"line {number} is no line of a recording: {wipe(str(error))}") from error
        pieces.append(piece)
        if len(pieces) > PIECES_MAX:
            raise ValueError(f"a recording has at most {PIECES_MAX} pieces")
    if heading is None:
        raise ValueError("the file is empty")
    return heading, pieces


def _masked(data: bytes) -> bytes:
    text = data.translate(_SEVEN_BITS).decode("ascii")
    clean = wipe(hide(text))
    if clean == text:
        return data
    return bytes(byte if was == now else _STAR for byte, was, now in zip(data, text, clean, strict=True))


def _before_number(data: bytes) -> int:
    """Up to where nothing of a number can stand that goes on after the end."""
    plain = data.translate(_SEVEN_BITS)
    cut = len(plain)
    while cut and plain[cut - 1] in _NUMERIC:
        cut -= 1
    return cut or len(plain)
