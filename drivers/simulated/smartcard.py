"""A simulated chip card, and the slot of a virtual reader that it is put into (vsmartcard's vpcd).

The reader is pcscd's, with the driver vpcd, which listens on a TCP port; a card that is put in connects there. Messages
have two bytes of length before them; one byte asks for power or for the ATR, more are a command (APDU) [vsmartcard,
virtualsmartcard/src/vpcd].
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import Final

from core.tlv import encode

ATR: Final = bytes.fromhex("3b80800101")
"""T=1, without historical bytes (ISO/IEC 7816-3)."""
_POWER_OFF, _POWER_ON, _RESET, _GET_ATR = 0, 1, 2, 4
_OK, _NOT_FOUND = b"\x90\x00", b"\x6a\x82"
_APDUS_MAX = 256


def fci(aid: bytes, number: str | None = None) -> bytes:
    """What a SELECT of an application says: its name, and the card's number where it is there."""
    proprietary = encode(0xA5, encode(0x53, number.encode())) if number is not None else b""
    return encode(0x6F, encode(0x84, aid) + proprietary)


class ChipCard:
    """A card with applications: an identifier to what its SELECT says and what its first file holds.

    It selects by a shortened identifier too, as cards do, and keeps what it was asked. `answers_left` APDUs, and it has
    been pulled out.
    """

    def __init__(self, applications: Mapping[bytes, tuple[bytes, bytes]], answers_left: int | None = None) -> None:
        self.apdus: list[bytes] = []
        self.answers_left = answers_left
        self._applications = dict(applications)
        self._file: bytes | None = None

    def answer(self, command: bytes) -> bytes | None:
        """Its answer; None when it is gone."""
        self.apdus.append(command)
        del self.apdus[:-_APDUS_MAX]
        if self.answers_left is not None:
            if self.answers_left == 0:
                return None
            self.answers_left -= 1
        if command[:4] == bytes.fromhex("00a40400"):
            return self._select(command[5 : 5 + command[4]])
        if command[:4] == bytes.fromhex("00b08100") and self._file:
            return self._file[: command[4] or 256] + _OK
        return _NOT_FOUND

    def reset(self) -> None:
        """Nothing is selected any more."""
        self._file = None

    def _select(self, name: bytes) -> bytes:
        for aid, (said, file) in self._applications.items():
            if aid.startswith(name):
                self._file = file
                return said + _OK
        return _NOT_FOUND


class VirtualSlot:
    """The slot of the virtual reader at `port`. Works on the running loop."""

    def __init__(self, port: int, host: str = "127.0.0.1") -> None:
        self._port = port
        self._host = host
        self._task: asyncio.Task[None] | None = None
        self._powered = asyncio.Event()

    async def put_in(self, card: ChipCard) -> None:
        """Puts a card in; returns when the reader has given it power. Raises OSError where there is no reader."""
        await self.take_out()
        reader, writer = await asyncio.open_connection(self._host, self._port)
        self._powered.clear()
        self._task = asyncio.create_task(self._serve(card, reader, writer), name="chip card")
        await self._powered.wait()

    async def take_out(self) -> None:
        """Pulls the card; harmless when there is none."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
            self._task = None

    async def _serve(self, card: ChipCard, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                while True:
                    message = await reader.readexactly(int.from_bytes(await reader.readexactly(2), "big"))
                    answer = self._control(card, message[0]) if len(message) == 1 else card.answer(message)
                    if answer is None:
                        return
                    if answer:
                        writer.write(len(answer).to_bytes(2, "big") + answer)
                        await writer.drain()
        finally:
            self._powered.set()
            writer.close()

    def _control(self, card: ChipCard, order: int) -> bytes:
        if order == _GET_ATR:
            return ATR
        if order in (_POWER_OFF, _POWER_ON, _RESET):
            card.reset()
        if order == _POWER_ON:
            self._powered.set()
        return b""
