"""A simulated PN532 reader at the far end of a serial cable, with whatever tag lies on it.

The chip is `drivers.simulated.pn53x`'s. Here is the speed of its serial port: spoken to at another speed than its own it
hears noise.
"""

import asyncio
import os
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Final

from drivers.simulated.cable import Cable, PtyCable, Receive
from drivers.simulated.pn53x import ACK, SYNTAX_ERROR, Chip, Frames, framed
from drivers.simulated.tags import Ntag213, Tag

_DEFAULT_SPEED: Final = 115_200
_SPEEDS = (9600, 19200, 38400, 57600, 115200, 230400, 460800, 921600)
_TERMIOS_SPEEDS = {getattr(termios, f"B{speed}"): speed for speed in _SPEEDS}


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
        self.speed = _DEFAULT_SPEED
        self.sensed_s = 0.0
        """When it was last asked to look for a tag of any type, by the loop's time."""
        self._chip = Chip("pn532", on_change)
        self._frames = Frames()
        self._cable = make(self._on_bytes) if make is not None else PtyCable(link, self._on_bytes)
        self._port = -1
        self._next_speed: int | None = None

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

    @property
    def tag(self) -> Tag | None:
        """What lies on it."""
        return self._chip.tag

    @property
    def senses(self) -> int:
        """How often it was asked to look for a tag of Type A."""
        return self._chip.senses

    def plug(self) -> None:
        """Puts it in, powered up anew."""
        if self.plugged:
            return
        self._cable.plug()
        self._port = os.open(self.link, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
        self.speed, self._next_speed = _DEFAULT_SPEED, None
        self._frames.clear()
        self._chip.reset()

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
        self._chip.put(tag)

    def remove(self) -> None:
        """Takes the tag away."""
        self._chip.remove()

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
            self._frames.clear()
            return
        for frame in self._frames.feed(data):
            self._on_frame(frame)

    def _on_frame(self, data: bytes) -> None:
        if len(data) < 2 or data[0] != 0xD4:
            return
        if data[1] == 0x4A:  # InListPassiveTarget
            self.sensed_s = asyncio.get_running_loop().time()
        self._cable.send(ACK)
        answer = self._command(data[1], data[2:])
        if answer is None:
            self._cable.send(SYNTAX_ERROR)
        else:
            self._cable.send(framed(bytes([0xD5, data[1] + 1]) + answer))

    def _command(self, code: int, data: bytes) -> bytes | None:
        if code == 0x10 and data[0] < len(_SPEEDS):  # SetSerialBaudRate, in force with the host's ACK
            self._next_speed = _SPEEDS[data[0]]
            return b""
        return self._chip.command(code, data)
