"""Toledo 8217: ``W`` asks, and STX, the weight, CR answers; or STX, ``?``, a status, CR where there is none to sell by.

Source: the service manuals of Mettler Toledo's Viva and Ariva ("8217 protocol") and of scales that speak it too (Rice Lake
BenchPro, Brecknell). A status byte has its bit 0 in motion, 1 over capacity, 2 under zero, 4 in the centre of zero; of the
others the manuals tell different things, so they are left alone. ``N`` after the weight says that a tare is taken off.
In kilograms the weight has three decimals, in pounds two.

NCI's variant (LF, weight with its unit, CR, LF, two or more status bytes, CR, ETX) is not this one; most scales have both.
"""

import re

from core.events import WeightCondition
from drivers.codecs.scale import FRAME_BYTES_MAX, Said, Unusable, Weighed, weighed

STX = 0x02
CR = 0x0D
ASK = b"W"
IN_MOTION, OVER_CAPACITY, UNDER_ZERO, CENTRE_OF_ZERO = 0x01, 0x02, 0x04, 0x10

# Six characters and no fewer: there is no check sum, and a weight that lost a digit on the way is another weight.
_KILOGRAMS = re.compile(rb"([ \d]{2}\.\d{3})(N?)")
_POUNDS = re.compile(rb"[ \d]{2,3}\.\d{2}N?")
_STATUS = re.compile(rb"\?([\x00-\xff])", re.DOTALL)


class Toledo8217:
    """A `drivers.codecs.scale.ScaleCodec`. The line has 8 data bits or 7 and parity: only the lower 7 bits count."""

    def __init__(self) -> None:
        self._frame = bytearray()
        self._is_open = False

    def ask(self) -> bytes:
        self._is_open = False
        return ASK

    def feed(self, data: bytes) -> list[Said]:
        said: list[Said] = []
        for byte in data:
            byte &= 0x7F
            if byte == STX:
                if self._is_open:
                    said.append(Unusable(complaint="garbled"))
                self._frame.clear()
                self._is_open = True
            elif byte == CR and not (self._is_open and self._frame == b"?"):  # the status byte itself may be any
                said.append(_read(bytes(self._frame)) if self._is_open else Unusable(complaint="garbled"))
                self._is_open = False
            elif self._is_open:
                self._frame.append(byte)
                if len(self._frame) > FRAME_BYTES_MAX:
                    said.append(Unusable(complaint="garbled"))
                    self._is_open = False
        return said


def _read(frame: bytes) -> Said:
    if found := _STATUS.fullmatch(frame):
        return _of_status(found[1][0])
    if found := _KILOGRAMS.fullmatch(frame):
        return weighed(found[1].decode("ascii"), "kg", stable=True, net=found[2] == b"N")
    return Unusable(complaint="unit" if _POUNDS.fullmatch(frame) else "garbled")


def _of_status(status: int) -> Said:
    if status & OVER_CAPACITY:
        return Weighed(condition=WeightCondition.OVERLOAD)
    if status & UNDER_ZERO:
        return Weighed(condition=WeightCondition.UNDERLOAD)
    if status & IN_MOTION:
        return Weighed(condition=WeightCondition.MOVING)
    if status & CENTRE_OF_ZERO:
        return Weighed(condition=WeightCondition.STABLE)
    return Unusable(complaint="garbled")
