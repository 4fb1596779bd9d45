"""What the codecs of card readers share: a swipe, what becomes of it, and how messages are cut out of a byte stream.

A message is one bytearray, filled here and wiped by whoever got it; tracks are views into it. The one copy that Python
forces is the text of a number that the shop takes; a payment card's number never becomes a text.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

from core.events import CardEncrypted, CardFault, CardGarbled, CardRefused, CardSwiped
from core.stripe import CardRange, Opaque, sort
from drivers.codecs.track import number_of

CardEvent = CardSwiped | CardEncrypted | CardRefused | CardGarbled
MESSAGE_BYTES_MAX: Final = 2048
LAST_DIGITS_FROM: Final = 8
"""A number must have so many digits before its last four are told."""


@dataclass(slots=True, repr=False)
class Swipe:
    """What a reader said of one swipe: tracks in clear (views into its message), tracks at fault, or what it encrypted."""

    tracks: dict[int, memoryview] = field(default_factory=dict)
    faults: dict[int, CardFault] = field(default_factory=dict)
    ksn: Opaque | None = None
    data: Opaque | None = None
    made: list[bytearray] = field(default_factory=list)
    """What had to be made beside the message, to be wiped with it."""


Decode = Callable[[memoryview], Swipe]
"""Takes a message apart, without a copy. Raises nothing: what is no message of the format is a fault of track 0."""


class Frames(Protocol):
    """Cuts a reader's bytes into messages. Holds at most MESSAGE_BYTES_MAX."""

    @property
    def is_pending(self) -> bool:
        """Whether a message has begun."""

    def feed(self, data: memoryview) -> list[bytearray]:
        """The messages that are whole now; the caller wipes them."""

    def pause(self) -> bytearray | None:
        """Nothing more came: the message that a pause ends, or None where what came was torn. Forgets it."""


def outcome(device: str, swipe: Swipe, ranges: Sequence[CardRange]) -> CardEvent:
    """What a swipe is for the shop. Its tracks may be wiped afterwards."""
    if swipe.data is not None:
        return CardEncrypted(device=device, ksn=swipe.ksn or Opaque(bytearray()), data=swipe.data)
    faults = dict(swipe.faults)
    numbers: list[memoryview] = []
    for track, text in swipe.tracks.items():
        found = number_of(text, track)
        if isinstance(found, CardFault):
            faults[track] = found
        else:
            numbers.append(found)
    kinds = {sort(number, ranges) for number in numbers}
    if "payment" in kinds:
        return CardRefused(device=device, is_payment=True)
    if any(number != numbers[0] for number in numbers):
        # Both tracks have the same number (ISO/IEC 7813): on one of them a character was lost on its way here.
        return CardGarbled(device=device, fault=CardFault.TORN)
    if numbers:
        (kind,) = kinds
        if kind != "unknown" and kind != "payment":
            return CardSwiped(device=device, kind=kind, number=str(numbers[0], "ascii"))
        last = str(numbers[0][-4:], "ascii") if len(numbers[0]) >= LAST_DIGITS_FROM else ""
        return CardRefused(device=device, is_payment=False, last=last)
    track, fault = min(faults.items(), default=(0, CardFault.UNREADABLE))
    return CardGarbled(device=device, fault=fault, track=track)


def wipe(message: bytearray) -> None:
    """Overwrites it with zeros, where it lies."""
    message[:] = bytes(len(message))


class ReportFrames:
    """HID reports of one fixed length; a report's number, where it has one, is left out."""

    def __init__(self, length: int, *, is_numbered: bool = False) -> None:
        if not 0 < length <= MESSAGE_BYTES_MAX:
            raise ValueError(f"a report of {length} bytes")
        self._skip = int(is_numbered)
        self.length = length + self._skip
        self._held = bytearray(self.length)
        self._count = 0

    @property
    def is_pending(self) -> bool:
        return self._count > 0

    def feed(self, data: memoryview) -> list[bytearray]:
        found: list[bytearray] = []
        while data:
            taken = min(len(data), len(self._held) - self._count)
            self._held[self._count : self._count + taken] = data[:taken]
            self._count += taken
            data = data[taken:]
            if self._count == len(self._held):
                found.append(bytearray(memoryview(self._held)[self._skip :]))
                self.pause()
        return found

    def pause(self) -> bytearray | None:
        wipe(self._held)
        self._count = 0
        return None


class PausedFrames:
    """Messages that a pause ends, with `terminator` as the last byte where all came (a reader in its text mode)."""

    def __init__(self, terminators: bytes = b"\r\n") -> None:
        self._terminators = terminators
        self._held = bytearray(MESSAGE_BYTES_MAX)
        self._count = 0
        self._is_overlong = False

    @property
    def is_pending(self) -> bool:
        return self._count > 0

    def feed(self, data: memoryview) -> list[bytearray]:
        taken = min(len(data), len(self._held) - self._count)
        self._is_overlong |= taken < len(data)
        self._held[self._count : self._count + taken] = data[:taken]
        self._count += taken
        return []

    def pause(self) -> bytearray | None:
        is_whole = not self._is_overlong and self._count > 0 and self._held[self._count - 1] in self._terminators
        found = bytearray(memoryview(self._held)[: self._count]) if is_whole else None
        wipe(self._held)
        self._count, self._is_overlong = 0, False
        return found
