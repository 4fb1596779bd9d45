"""A simulated PN532 reader at the far end of a serial cable, with whatever tag lies on it.

The chip's host interface as the PN532 user manual has it (UM0701-02): frames (6.2.1), the commands that nfcpy uses
(7.2, 7.3), and the speed of its serial port: spoken to at another speed than its own it hears noise.
"""

import asyncio
import os
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drivers.simulated.cable import Cable, PtyCable, Receive
from drivers.simulated.tags import Ntag213, Tag

_ACK = bytes.fromhex("0000ff00ff00")
_START = b"\x00\xff"
_SYNTAX_ERROR = bytes.fromhex("0000ff01ff7f8100")
_FIRMWARE = bytes.fromhex("32010607")
_STATUS_OK, _STATUS_TIMEOUT = b"\x00", b"\x01"
_RX_MODE, _FIFO_DATA = 0x6303, 0x6339
_CRC_ON = 0x80
_SENS_REQ = 0x26
_DEFAULT_SPEED: Final = 115_200
_SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TERMIOS_SPEEDS = {getattr(termios, f"B{speed}"): speed for speed in _SPEEDS}
_BUFFER_BYTES_MAX = 4096


class SimulatedPn532:
    """A reader on a pty that the driver finds at `link`. Works on the running loop.

    `on_change` is called when a tag is put on or taken off. `make` gives it another cable, whose pty is at `link` too.
    """

    def __init__(
        self,
        link: Path,
        on_change: Callable[[], None] | None = None,
        make: Callable[[Receive], Cable] | None = None,
    ) -> None:
        self.link = link
        self.tag: Tag | None = None
        self.speed = _DEFAULT_SPEED
        self.senses = 0
        """How often it was asked to look for a tag of Type A."""
        self._cable = make(self._on_bytes) if make is not None else PtyCable(link, self._on_bytes)
        self._port = -1
        self._buffer = bytearray()
        self._next_speed: int | None = None
        self._registers = {_FIFO_DATA: _SENS_REQ}
        self._on_change = on_change or _nothing

    # --- the bench's side ---

    async def start(self) -> None:
        """Plugs it in."""
        self.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self.unplug()

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""
        return self._cable.plugged

    def plug(self) -> None:
        """Puts it in, powered up anew."""
        if self.plugged:
            return
        self._cable.plug()
        self._port = os.open(self.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.speed, self._next_speed = _DEFAULT_SPEED, None
        self._buffer.clear()
        self._registers = {_FIFO_DATA: _SENS_REQ}

    def unplug(self) -> None:
        """Pulls the cable: the driver sees a hangup."""
        if self.plugged:
            os.close(self._port)
            self._cable.unplug()

    def deaf(self, is_deaf: bool) -> None:
        """A deaf reader hangs: it is there and answers nothing."""
        self._cable.deaf(is_deaf)

    def present(self, uid: bytes, message: bytes = b"") -> None:
        """Puts an NTAG213 with this UID (7 bytes) and NDEF message (`drivers.codecs.ndef` makes them) on the reader."""
        self.put(Ntag213(uid, message))

    def put(self, tag: Tag) -> None:
        """Puts any tag on the reader."""
        self.tag = tag
        self._on_change()

    def remove(self) -> None:
        """Takes the tag away."""
        self.tag = None
        self._on_change()

    def tap(self, uid: bytes, message: bytes = b"", held_s: float = 0.5) -> None:
        """Puts a tag on and takes it away after `held_s`."""
        self.present(uid, message)
        tapped = self.tag

        def take_away() -> None:
            if self.tag is tapped:
                self.remove()

        asyncio.get_running_loop().call_later(held_s, take_away)

    # --- the cable's side ---

    def _on_bytes(self, data: bytes) -> None:
        port_speed = _TERMIOS_SPEEDS.get(termios.tcgetattr(self._port)[4])
        if self._next_speed is not None and port_speed == self._next_speed:
            self.speed, self._next_speed = self._next_speed, None
        if port_speed != self.speed:
            self._buffer.clear()
            return
        self._buffer += data
        del self._buffer[:-_BUFFER_BYTES_MAX]
        while (frame := self._take_frame()) is not None:
            self._on_frame(frame)

    def _take_frame(self) -> bytes | None:
        """The next frame's data, from TFI on; empty for an ACK or a damaged frame; None when there is none whole."""
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

    def _on_frame(self, data: bytes) -> None:
        if len(data) < 2 or data[0] != 0xD4:
            return
        self._cable.send(_ACK)
        answer = self._command(data[1], data[2:])
        if answer is None:
            self._cable.send(_SYNTAX_ERROR)
        else:
            self._cable.send(_framed(bytes([0xD5, data[1] + 1]) + answer))

    def _command(self, code: int, data: bytes) -> bytes | None:
        match code:
            case 0x00:  # Diagnose: the line test echoes
                return data
            case 0x02:  # GetFirmwareVersion
                return _FIRMWARE
            case 0x06:  # ReadRegister
                return bytes(self._registers.get(address, 0) for address in _addresses(data, 2))
            case 0x08:  # WriteRegister
                for at, address in enumerate(_addresses(data, 3)):
                    if address != _FIFO_DATA:
                        self._registers[address] = data[3 * at + 2]
                return b""
            case 0x10 if data[0] < len(_SPEEDS):  # SetSerialBaudRate, in force with the host's ACK
                self._next_speed = _SPEEDS[data[0]]
                return b""
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


def _framed(data: bytes) -> bytes:
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
