"""Simulated NFC readers on USB, apart from the bus: what they answer to each bulk transfer.

The ACR122U is a PN532 behind CCID escape commands [ACS, ACR122U Application Programming Interface V2.04]; the SCL3711 is
a PN533 that speaks its own frames.
"""

import struct
from typing import Final, Literal

from drivers.simulated.pn53x import ACK, SYNTAX_ERROR, Chip, Frames, framed

Reader = Literal["acr122u", "scl3711"]
IDS: Final[dict[Reader, tuple[int, int]]] = {"acr122u": (0x072F, 0x2200), "scl3711": (0x04E6, 0x5591)}
ENDPOINTS: Final[dict[Reader, tuple[int, int]]] = {"acr122u": (0x02, 0x82), "scl3711": (0x04, 0x84)}
"""Bulk out and bulk in."""
NAMES: Final[dict[Reader, tuple[str, str]]] = {"acr122u": ("ACS", "ACR122U PICC"), "scl3711": ("SCM Micro", "SCL3711")}

_CCID_OUT, _CCID_IN = struct.Struct("<BI5B"), struct.Struct("<BI5B")
_ESCAPE, _POWER_ON, _DATA_BLOCK = 0x6F, 0x62, 0x80
_ATR = bytes.fromhex("3b00")
_OK, _FAILED = b"\x90\x00", b"\x63\x00"


class SimulatedUsbReader:
    """A reader with whatever lies on its `chip`."""

    def __init__(self, reader: Reader) -> None:
        self.reader: Reader = reader
        self.chip = Chip("pn532" if reader == "acr122u" else "pn533")
        self._frames = Frames()

    def took(self, data: bytes) -> list[bytes]:
        """The bulk transfers with which it answers one from the host."""
        if self.reader == "acr122u":
            return [self._ccid(data)] if len(data) >= _CCID_OUT.size else []
        answers: list[bytes] = []
        for frame in self._frames.feed(data):
            if len(frame) >= 2 and frame[0] == 0xD4:
                answer = self.chip.command(frame[1], frame[2:])
                answers += [ACK, framed(bytes((0xD5, frame[1] + 1)) + answer) if answer is not None else SYNTAX_ERROR]
        return answers

    def _ccid(self, data: bytes) -> bytes:
        kind, length, *_ = _CCID_OUT.unpack_from(data)
        body = data[_CCID_OUT.size :][:length]
        answer = _ATR if kind == _POWER_ON else self._escape(body) if kind == _ESCAPE else b""
        return _CCID_IN.pack(_DATA_BLOCK, len(answer), 0, 0, 0, 0, 0) + answer

    def _escape(self, apdu: bytes) -> bytes:
        match apdu[:3]:
            case b"\xff\x00\x48":  # firmware version
                return b"ACR122U207"
            case b"\xff\x00\x51" | b"\xff\x00\x40":  # automatic polling, LED and buzzer
                return _OK
            case b"\xff\x00\x00" if len(apdu) >= 7 and apdu[5] == 0xD4:  # direct transmit, to the chip
                answer = self.chip.command(apdu[6], apdu[7:])
                return bytes((0xD5, apdu[6] + 1)) + answer + _OK if answer is not None else _FAILED
        return _FAILED
