"""ID TECH's card data, by HID report and by serial port [SecureMag user manual 80096504-001, chapter 10].

In clear: a HID report of MagTek's layout (337 bytes), or of ID TECH's own, whose data is the readers' text. Encrypted:
``STX length card-data check-LRC check-sum ETX``, the length low byte first, in the original or the enhanced structure;
the latter has the highest bit of the card's encode type set and says in two bytes which parts follow.
"""

from typing import Final

from core.events import CardFault
from core.stripe import Opaque
from drivers.codecs import msr_text
from drivers.codecs.msr import MESSAGE_BYTES_MAX, Swipe, wipe
from drivers.codecs.msr_magtek import CLEAR_BYTES, clear_tracks

KSN_BYTES: Final = 10
_STX, _ETX = 0x02, 0x03
_AROUND = 6
"""STX, two of length, LRC, sum, ETX."""
_IS_ENHANCED = 0x80
_ISO, _RAW = 0, 4
"""Encode types that a reader encrypts."""
_OWN_DATA_START = 9


def decode_report(view: memoryview) -> Swipe:
    """A HID report, without its number; what fills it up after a shorter message is left out."""
    if len(view) > _AROUND and view[0] == _STX:
        return decode_message(view[: _AROUND + _length(view)])
    if len(view) == CLEAR_BYTES:
        return clear_tracks(view, 110)
    if len(view) <= _OWN_DATA_START:
        return Swipe(faults={0: CardFault.TORN})
    swipe = msr_text.decode(_text(view))
    for track in (1, 2, 3):
        if view[track - 1] & 1 and track not in swipe.tracks:
            swipe.faults[track] = CardFault.UNREADABLE
    return swipe


def decode_message(view: memoryview) -> Swipe:
    """One message from STX to ETX."""
    if len(view) < _AROUND + 5 or view[0] != _STX or view[-1] != _ETX or _length(view) != len(view) - _AROUND:
        return Swipe(faults={0: CardFault.TORN})
    card = view[3:-3]
    check = 0
    for value in card:
        check ^= value
    if (check, sum(card) & 0xFF) != (view[-3], view[-2]):
        return Swipe(faults={0: CardFault.TORN})
    is_enhanced = bool(card[0] & _IS_ENHANCED)
    if is_enhanced and len(card) < 7:
        return Swipe(faults={0: CardFault.TORN})
    is_encrypted = card[6] != 0 if is_enhanced else card[0] in (_ISO, _RAW)
    if is_encrypted:
        has_ksn = len(card) >= KSN_BYTES and (not is_enhanced or card[6] & 0x80)
        ksn = Opaque(bytearray(card[-KSN_BYTES:])) if has_ksn else Opaque(bytearray())
        return Swipe(ksn=ksn, data=Opaque(bytearray(view)))
    return _clear(card, 7 if is_enhanced else 5, card[5] if is_enhanced else 0b111)


def _clear(card: memoryview, start: int, present: int) -> Swipe:
    """The tracks of a card that the reader need not encrypt: no financial one, by its encoding."""
    swipe = Swipe()
    for track in (1, 2, 3):
        length = card[track + 1] if present >> (track - 1) & 1 else 0
        is_decoded, is_sampled = card[1] >> (track - 1) & 1, card[1] >> (track + 2) & 1
        if length > len(card) - start:
            swipe.faults[track] = CardFault.TORN
        elif length:
            swipe.tracks[track] = card[start : start + length]
        elif is_sampled and not is_decoded:
            swipe.faults[track] = CardFault.UNREADABLE
        start += length
    return swipe


def _length(view: memoryview) -> int:
    return view[1] | view[2] << 8


def _text(view: memoryview) -> memoryview:
    """The readers' text in a report of ID TECH's own layout; it holds no zero, and zeros fill it up."""
    end = len(view)
    while end > _OWN_DATA_START and view[end - 1] == 0:
        end -= 1
    return view[_OWN_DATA_START:end]


class MessageFrames:
    """Cuts a serial port's bytes into messages from STX to ETX; what does not begin so is torn until a pause."""

    def __init__(self) -> None:
        self._held = bytearray(MESSAGE_BYTES_MAX)
        self._count = 0

    @property
    def is_pending(self) -> bool:
        return self._count > 0

    def feed(self, data: memoryview) -> list[bytearray]:
        found: list[bytearray] = []
        while data:
            taken = min(len(data), self._wanted() - self._count)
            if taken <= 0:  # no message of ours: it fills the room and waits for the pause
                return found
            self._held[self._count : self._count + taken] = data[:taken]
            self._count += taken
            data = data[taken:]
            if self._held[0] == _STX and self._count > 3 and self._count == self._wanted():
                found.append(bytearray(memoryview(self._held)[: self._count]))
                self.pause()
        return found

    def pause(self) -> bytearray | None:
        wipe(self._held)
        self._count = 0
        return None

    def _wanted(self) -> int:
        if self._count and self._held[0] != _STX:
            return MESSAGE_BYTES_MAX
        if self._count < 3:
            return 3
        return min(_AROUND + _length(memoryview(self._held)), MESSAGE_BYTES_MAX)
