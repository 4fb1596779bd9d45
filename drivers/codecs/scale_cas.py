"""CAS's protocol for tills (SW-II, PD-II, ER; others call it "CAS" or "ECR"): ENQ asks, ACK agrees, DC1 has the weight sent.

Source: CAS SW-II manual, "RS-232C Protocol"; Ohaus Aviator 7000 service manual, the same frame. The frame is SOH STX, a
status (``S`` stable, ``U`` unstable), a sign (space, ``-``, or ``F`` for overflow), six characters of weight with their
point, two of unit, the exclusive-or of all these, ETX EOT: 15 bytes.
"""

from functools import reduce
from operator import xor

from core.events import WeightCondition
from drivers.codecs.scale import Said, Send, Unusable, Weighed, weighed

SOH, STX, ETX, EOT, ENQ, ACK, DC1, NAK = 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x11, 0x15
FRAME_BYTES = 15
_CONTENT = slice(2, 12)


class CasEcr:
    """A `drivers.codecs.scale.ScaleCodec`."""

    def __init__(self) -> None:
        self._frame = bytearray()

    def ask(self) -> bytes:
        self._frame.clear()
        return bytes((ENQ,))

    def feed(self, data: bytes) -> list[Said]:
        said: list[Said] = []
        for byte in data:
            if self._frame:
                self._frame.append(byte)
                if len(self._frame) == FRAME_BYTES:
                    said.append(_read(bytes(self._frame)))
                    self._frame.clear()
            elif byte == SOH:
                self._frame.append(byte)
            elif byte == ACK:
                said.append(Send(data=bytes((DC1,))))
            elif byte == NAK:
                said.append(Weighed(condition=WeightCondition.MOVING))  # not ready: asked again soon
            else:
                said.append(Unusable(complaint="garbled"))
        return said


def block_check(content: bytes) -> int:
    """The exclusive-or of the ten bytes between STX and itself."""
    return reduce(xor, content, 0)


def _read(frame: bytes) -> Said:
    content = frame[_CONTENT]
    if frame[1] != STX or frame[13:] != bytes((ETX, EOT)) or frame[12] != block_check(content):
        return Unusable(complaint="garbled")
    status, sign, number, unit = content[0:1], content[1:2], content[2:8], content[8:10]
    if sign == b"F":
        return Weighed(condition=WeightCondition.OVERLOAD)
    if status not in (b"S", b"U") or sign not in (b" ", b"-"):
        return Unusable(complaint="garbled")
    text = (sign + number).decode("ascii", "replace").replace(" ", "")
    return weighed(text, unit.decode("ascii", "replace"), stable=status == b"S")
