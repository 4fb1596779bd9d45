"""A simulated PN532 or PN533, apart from its cable: frames, the commands that nfcpy uses, and the tag that lies on it.

The host interface as the PN532 user manual has it (UM0701-02): frames (6.2.1) and commands (7.2, 7.3). The PN533 puts a
status before the registers that it reads or writes (UM0801-03).
"""

from collections.abc import Callable
from typing import Final, Literal

from drivers.simulated.tags import Tag

Model = Literal["pn532", "pn533"]
ACK: Final = bytes.fromhex("0000ff00ff00")
SYNTAX_ERROR: Final = bytes.fromhex("0000ff01ff7f8100")
_START = b"\x00\xff"
_FIRMWARE = {"pn532": bytes.fromhex("32010607"), "pn533": bytes.fromhex("33020707")}
_STATUS_OK, _STATUS_TIMEOUT, _STATUS_PARAMETER = b"\x00", b"\x01", b"\x10"
_RX_MODE, _FIFO_DATA, _EEPROM = 0x6303, 0x6339, 0xA000
_CRC_ON = 0x80
_SENS_REQ = 0x26
_BUFFER_BYTES_MAX = 4096


class Chip:
    """Its commands and what lies on it. `on_change` is called when a tag is put on or taken off."""

    def __init__(self, model: Model, on_change: Callable[[], None] | None = None) -> None:
        self.tag: Tag | None = None
        self.senses = 0
        """How often it was asked to look for a tag of Type A."""
        self._model: Model = model
        self._on_change = on_change or _nothing
        self._registers: dict[int, int] = {}
        self.reset()

    def reset(self) -> None:
        """Powers it up anew; what lies on it stays there."""
        self._registers = {_FIFO_DATA: _SENS_REQ}

    def put(self, tag: Tag) -> None:
        """Puts a tag on it."""
        self.tag = tag
        self._on_change()

    def remove(self) -> None:
        """Takes the tag away."""
        self.tag = None
        self._on_change()

    def command(self, code: int, data: bytes) -> bytes | None:
        """The answer to a command; None for one that it does not know."""
        status = _STATUS_OK if self._model == "pn533" else b""
        match code:
            case 0x00:  # Diagnose: the line test echoes
                return data
            case 0x02:  # GetFirmwareVersion
                return _FIRMWARE[self._model]
            case 0x06:  # ReadRegister
                addresses = _addresses(data, 2)
                if addresses and addresses[0] >= _EEPROM:
                    return _STATUS_PARAMETER  # it has no EEPROM
                return status + bytes(self._registers.get(address, 0) for address in addresses)
            case 0x08:  # WriteRegister
                for at, address in enumerate(_addresses(data, 3)):
                    if address != _FIFO_DATA:
                        self._registers[address] = data[3 * at + 2]
                return status
            case 0x12 | 0x14 | 0x32:  # SetParameters, SAMConfiguration, RFConfiguration
                return b""
            case 0x16:  # PowerDown
                return _STATUS_OK
            case 0x42:  # InCommunicateThru
                return self._through(data)
            case 0x4A:  # InListPassiveTarget
                return self._listed(data[1], data[2:])
        return None

    def _listed(self, technology: int, wanted: bytes) -> bytes:
        self.senses += technology == 0
        tag = self.tag
        if technology != 0 or tag is None or (wanted and wanted not in (tag.uid, b"\x88" + tag.uid)):
            return b"\x00"
        if getattr(tag, "reads_left", None) == 0:  # pulled away in the middle of a reading
            self.remove()
            return b"\x00"
        tag.select()
        self._registers[_RX_MODE] = _CRC_ON
        return b"\x01\x01" + tag.sens_res[::-1] + bytes([tag.sel_res, len(tag.uid)]) + tag.uid

    def _through(self, data: bytes) -> bytes:
        answer = self.tag.answer(data) if self.tag is not None else None
        if answer is None:
            return _STATUS_TIMEOUT
        if len(answer) > 1 and not self._registers.get(_RX_MODE, 0) & _CRC_ON:
            answer += _crc_a(answer)
        return _STATUS_OK + answer


class Frames:
    """Takes frames out of what the host sends, in whatever pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def clear(self) -> None:
        """Forgets what came."""
        self._buffer.clear()

    def feed(self, data: bytes) -> list[bytes]:
        """The data of each frame that is whole now, from TFI on; empty for an ACK or a damaged frame."""
        self._buffer += data
        del self._buffer[:-_BUFFER_BYTES_MAX]
        found = []
        while (frame := self._take()) is not None:
            found.append(frame)
        return found

    def _take(self) -> bytes | None:
        start = self._buffer.find(_START)
        if start < 0:
            del self._buffer[:-1]
            return None
        del self._buffer[:start]
        head = self._buffer[2:7]
        if len(head) < 2:
            return None
        if head[:2] == b"\x00\xff":
            del self._buffer[:4]
            return b""
        if head[:2] == b"\xff\xff":
            if len(head) < 5:
                return None
            length, at = head[2] << 8 | head[3], 7
        else:
            length, at = head[0], 4
        end = at + length + 1
        if len(self._buffer) < end:
            return None
        body = bytes(self._buffer[at:end])
        del self._buffer[:end]
        return body[:-1] if sum(body) & 0xFF == 0 else b""


def framed(data: bytes) -> bytes:
    """A frame of the chip's, around data from TFI on."""
    if len(data) < 256:
        head = bytes([len(data), -len(data) & 0xFF])
    else:
        size = len(data).to_bytes(2, "big")
        head = b"\xff\xff" + size + bytes([-sum(size) & 0xFF])
    return b"\x00" + _START + head + data + bytes([-sum(data) & 0xFF, 0])


def _addresses(data: bytes, step: int) -> list[int]:
    return [data[at] << 8 | data[at + 1] for at in range(0, len(data), step)]


def _crc_a(data: bytes) -> bytes:
    """ISO/IEC 14443-3, annex B: CRC_A, low byte first."""
    crc = 0x6363
    for byte in data:
        byte ^= crc & 0xFF
        byte ^= byte << 4 & 0xFF
        crc = crc >> 8 ^ byte << 8 ^ byte << 3 ^ byte >> 4
    return (crc & 0xFFFF).to_bytes(2, "little")


def _nothing() -> None:
    """Nobody looks at it."""
