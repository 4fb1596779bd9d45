"""Simulated contactless tags: what they answer to the frames that a reader sends (ISO/IEC 14443-3 and -4, no CRC)."""

from typing import Final, Protocol

CAPACITY_BYTES: Final = 144
"""User memory of an NTAG213 [NXP NTAG213/215/216 data sheet, 8.5]."""

_ACK, _NAK = b"\x0a", b"\x00"
_VERSION = bytes.fromhex("0004040201000f03")
_NDEF_APPLICATION = bytes.fromhex("d2760000850101")
_NOT_FOUND, _OK = b"\x6a\x82", b"\x90\x00"
_ATS = bytes.fromhex("0578807002")
_APDUS_MAX = 256


class Tag(Protocol):
    """A tag in the field. Type A, 106 kbit/s."""

    uid: bytes
    """4 or 7 bytes."""
    sens_res: bytes
    sel_res: int

    def select(self) -> None:
        """It was found by the reader and is active now."""

    def answer(self, frame: bytes) -> bytes | None:
        """Its answer; None is silence."""


class Ntag213:
    """An NTAG213 with `message` as its NDEF message. `reads_max` reads, and it has been pulled away."""

    sens_res = b"\x44\x00"
    sel_res = 0x00

    def __init__(self, uid: bytes, message: bytes = b"", reads_max: int | None = None) -> None:
        if len(uid) != 7:
            raise ValueError(f"an NTAG213's UID has 7 bytes, not {len(uid)}")
        self.uid = uid
        self.reads_left = reads_max
        self._memory = _memory(uid, message)
        self._is_awake = False

    def select(self) -> None:
        self._is_awake = True

    def answer(self, frame: bytes) -> bytes | None:
        if not self._is_awake:
            return None
        match frame[:1]:
            case b"\x30" if len(frame) == 2:
                return self._read(frame[1])
            case b"\x3a" if len(frame) == 3 and frame[1] <= frame[2] < len(self._memory) // 4:
                return bytes(self._memory[4 * frame[1] : 4 * frame[2] + 4])
            case b"\xa2" if len(frame) == 6 and 4 <= frame[1] < len(self._memory) // 4:
                self._memory[4 * frame[1] : 4 * frame[1] + 4] = frame[2:]
                return _ACK
            case b"\x60":
                return _VERSION
        return self._refuse()

    def _read(self, page: int) -> bytes | None:
        if self.reads_left is not None:
            if self.reads_left == 0:
                return None
            self.reads_left -= 1
        if page >= len(self._memory) // 4:
            return self._refuse()
        twice = self._memory + self._memory  # a read over the end goes on at page 0
        return bytes(twice[4 * page : 4 * page + 16])

    def _refuse(self) -> bytes:
        """After a NAK it is silent until it is selected again [data sheet, 8.3]."""
        self._is_awake = False
        return _NAK


class Type4Card:
    """A card that speaks ISO-DEP: a payment card, or with `message` a Type 4 tag. It keeps what it was asked.

    `apdus` shows whether a reader has tried to select a payment application.
    """

    sens_res = b"\x04\x00"
    sel_res = 0x20

    def __init__(self, uid: bytes, message: bytes = b"", is_payment_card: bool = True) -> None:
        self.uid = uid
        self.apdus: list[bytes] = []
        self._is_payment_card = is_payment_card
        length = len(message).to_bytes(2, "big")
        container = bytes.fromhex("000f20007f007f0406e10404000000")
        self._files = {b"\xe1\x03": container, b"\xe1\x04": length + message} if message else {}
        self._selected = b""

    def select(self) -> None:
        self._selected = b""

    def answer(self, frame: bytes) -> bytes | None:
        block = frame[0]
        if block == 0xE0:  # RATS
            return _ATS
        if block & 0xE2 == 0x02:  # an I-block, answered under its own number
            return frame[:1] + self._apdu(frame[1:])
        if block & 0xF6 == 0xB2:  # R(NAK): is somebody there?
            return bytes([0xA2 | block & 1])
        if block & 0xF7 == 0xC2:  # S(DESELECT)
            return frame[:1]
        return None

    def _apdu(self, apdu: bytes) -> bytes:
        self.apdus.append(apdu)
        del self.apdus[:-_APDUS_MAX]
        if apdu[1] == 0xA4 and apdu[2] == 0x04:
            return self._select_application(apdu[5 : 5 + apdu[4]])
        if apdu[1] == 0xA4 and apdu[5:7] in self._files:
            self._selected = apdu[5:7]
            return _OK
        if apdu[1] == 0xB0 and self._selected:
            offset = int.from_bytes(apdu[2:4], "big")
            return self._files[self._selected][offset : offset + (apdu[4] or 256)] + _OK
        return _NOT_FOUND

    def _select_application(self, name: bytes) -> bytes:
        if name == _NDEF_APPLICATION and self._files:
            return _OK
        if name == b"2PAY.SYS.DDF01" and self._is_payment_card:
            return bytes([0x6F, 2 + len(name), 0x84, len(name)]) + name + _OK
        return _NOT_FOUND


def _memory(uid: bytes, message: bytes) -> bytearray:
    """The 45 pages of an NTAG213, the message in a TLV of its own."""
    check_0 = 0x88 ^ uid[0] ^ uid[1] ^ uid[2]
    check_1 = uid[3] ^ uid[4] ^ uid[5] ^ uid[6]
    header = uid[:3] + bytes([check_0]) + uid[3:] + bytes([check_1, 0x48, 0, 0]) + bytes.fromhex("e1101200")
    user = bytes([0x03, len(message)]) + message + b"\xfe" if len(message) < 255 else b""
    if not user or len(user) > CAPACITY_BYTES:
        raise ValueError(f"the message has {len(message)} bytes, more than fit on an NTAG213")
    configuration = bytes.fromhex("000000bd040000ff0005000000000000") + bytes(4)
    return bytearray(header + user.ljust(CAPACITY_BYTES, b"\0") + configuration)
