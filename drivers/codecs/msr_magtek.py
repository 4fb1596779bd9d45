"""MagTek's HID input report: one a swipe, its length says which of two layouts it has.

337 bytes: decode status, length and data of three tracks [MagTek 99875191, USB HID swipe reader]. 505 bytes and more: a
MagneSafe reader, which encrypts; with it go the reader's state and the DUKPT key serial number [MagTek 99875388 and
D998200115, the HID report's table: status at 493, KSN at 495].
"""

from typing import Final

from core.events import CardFault
from core.stripe import Opaque
from drivers.codecs.msr import Swipe

CLEAR_BYTES: Final = 337
KSN = slice(495, 505)
_STATUS = slice(493, 495)
_IS_ENCRYPTING = 0x0004
_DATA_START = 7


def decode(view: memoryview) -> Swipe:
    """A report, without its number."""
    if len(view) >= KSN.stop and int.from_bytes(view[_STATUS], "big") & _IS_ENCRYPTING:
        return Swipe(ksn=Opaque(bytearray(view[KSN])), data=Opaque(bytearray(view)))
    if len(view) < CLEAR_BYTES:
        return Swipe(faults={0: CardFault.TORN})
    return clear_tracks(view, 110 if len(view) < 343 else 112)


def clear_tracks(view: memoryview, field_bytes: int) -> Swipe:
    """Three statuses, three lengths, a card type, and three fields: a layout that ID TECH's readers have too."""
    swipe = Swipe()
    for track in (1, 2, 3):
        status, length = view[track - 1], view[track + 2]
        start = _DATA_START + (track - 1) * field_bytes
        if status & 1:
            swipe.faults[track] = CardFault.UNREADABLE
        elif length > field_bytes:
            swipe.faults[track] = CardFault.TORN
        elif length:
            swipe.tracks[track] = view[start : start + length]
    return swipe
