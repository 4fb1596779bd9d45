"""Readers that hand over a stripe's bits: the serial protocol of MSR206 and MSR605 [MSR605 programmer's manual, 6 and 7].

The reader is told once to pack eight bits into a byte, and before each card to read one raw. It answers ``ESC s``, for each
track ``ESC`` its number, a length and the bits, then ``? FS ESC`` and a status. Which bit of a byte comes first is not
said, so both are tried: parity and LRC tell.
"""

from typing import Final

from core.events import CardFault
from drivers.codecs.msr import MESSAGE_BYTES_MAX, Swipe, wipe
from drivers.codecs.track import characters

READ_ONE: Final = b"\x1ba\x1bo\x08\x08\x08\x1bm"
"""Reset, eight bits to a byte on each track, and read one card raw; to be said again after each."""
_START = b"\x1bs"
_END = b"?\x1c\x1b"
_TRACKS = (1, 2, 3)


def decode(view: memoryview) -> Swipe:
    """One answer, from ESC s to its status. The characters are in `Swipe.made`, to be wiped with the message."""
    swipe = Swipe()
    at = len(_START)
    while len(view) > at + 2 and view[at] == _START[0]:
        track, length = view[at + 1], view[at + 2]
        bits = view[at + 3 : at + 3 + length]
        at += 3 + length
        if track not in _TRACKS or len(bits) < length:
            return Swipe(faults={0: CardFault.TORN})
        if not any(bits):
            continue
        found = characters(bits, track)
        if isinstance(found, CardFault):
            other = characters(bits, track, lowest_first=True)
            found = other if not isinstance(other, CardFault) or found is CardFault.START else found
        if isinstance(found, CardFault):
            swipe.faults[track] = found
        else:
            swipe.made.append(found)
            swipe.tracks[track] = memoryview(found)
    return swipe


class RawFrames:
    """Cuts a serial port's bytes into answers to READ_ONE; other answers are left out."""

    def __init__(self) -> None:
        self._held = bytearray(MESSAGE_BYTES_MAX)
        self._count = 0
        self._at = len(_START)

    @property
    def is_pending(self) -> bool:
        return self._count > 1

    def feed(self, data: memoryview) -> list[bytearray]:
        found: list[bytearray] = []
        for byte in data:
            if self._count < len(_START) and byte != _START[self._count]:
                self._count = 0
                if byte != _START[0]:
                    continue
            self._held[self._count] = byte
            self._count += 1
            if self._is_whole():
                found.append(bytearray(memoryview(self._held)[: self._count]))
                self.pause()
            elif self._count == len(self._held):
                self.pause()
        return found

    def pause(self) -> bytearray | None:
        wipe(self._held)
        self._count = 0
        self._at = len(_START)
        return None

    def _is_whole(self) -> bool:
        """Whether the tracks' blocks are there, as long as they say, and the end after them."""
        # From the last block that was looked at: thousands of empty ones are no reason to begin again at each byte.
        while self._at + 2 < self._count and self._held[self._at] == _START[0]:
            self._at += 3 + self._held[self._at + 2]
        end = self._at + len(_END)
        return self._count == end + 1 and memoryview(self._held)[self._at : end] == _END
