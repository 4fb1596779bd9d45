"""The far end of a serial scale's cable: a platter that goods are put on, and the three protocols that it may speak.

It answers only what it is asked. What is put on it moves for `settle_s` and is stable then, as on a real one.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path

from drivers.codecs.scale_8217 import CENTRE_OF_ZERO, IN_MOTION, OVER_CAPACITY, UNDER_ZERO
from drivers.codecs.scale_cas import ACK, DC1, ENQ, EOT, ETX, SOH, STX, block_check
from drivers.options import ScaleProtocol
from drivers.simulated.cable import Cable, PtyCable, Receive

CAPACITY_G = 15_000
_ALWAYS = 0x60  # bits of an 8217's status byte that make it printable
_LINE_BYTES_MAX = 64


class SimulatedScale:
    """A scale on a pty whose symlink is `place`, or on a cable that `place` makes. Works on the running loop; starts
    plugged.
    """

    def __init__(
        self,
        place: Path | Callable[[Receive], Cable],
        protocol: ScaleProtocol = "toledo-8217",
        *,
        settle_s: float = 0.0,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.unit = "kg"
        """``lb`` shows the same in pounds."""
        self.latency_s = 0.0
        """How long it thinks before it answers."""
        self.is_silent = False
        """It takes questions and does not answer."""
        self.asked = 0
        self._protocol = protocol
        self._settle_s = settle_s
        self._on_change = on_change or _nothing
        self._gross_g = self._tare_g = 0
        self._settling: asyncio.TimerHandle | None = None
        self._line = b""
        self._cable = place(self._receive) if callable(place) else PtyCable(place, self._receive)
        self._cable.plug()

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""
        return self._cable.plugged

    @property
    def net_g(self) -> int:
        """What it shows: what lies on it, less the tare."""
        return self._gross_g - self._tare_g

    @property
    def is_stable(self) -> bool:
        """Whether nothing moves."""
        return self._settling is None

    def put(self, weight_g: int) -> None:
        """So much lies on it now, in place of what was there; 0 takes everything off, less pulls at it."""
        self._gross_g = weight_g
        self.shake(self._settle_s)

    def tare(self) -> None:
        """The key that makes what lies there the tare; on an empty scale it takes the tare away."""
        self._tare_g = self._gross_g
        self._on_change()

    def shake(self, seconds: float) -> None:
        """It moves for so long."""
        if self._settling is not None:
            self._settling.cancel()
            self._settling = None
        if seconds:
            self._settling = asyncio.get_running_loop().call_later(seconds, self._settled)
        self._on_change()

    def send(self, data: bytes) -> None:
        """Puts bytes on the wire as they are: noise, or half an answer."""
        self._cable.send(data)

    def unplug(self) -> None:
        """Pulls the cable: the driver sees a hangup. What lies on it stays."""
        self._cable.unplug()

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        if self._settling is not None:
            self._settling.cancel()
        self._cable.close()

    def _settled(self) -> None:
        self._settling = None
        self._on_change()

    def _receive(self, data: bytes) -> None:
        for byte in data:
            answer = self._answer(byte)
            if answer is None:
                continue
            self.asked += 1
            if self.is_silent:
                continue
            if self.latency_s:
                asyncio.get_running_loop().call_later(self.latency_s, self._cable.send, answer)
            else:
                self._cable.send(answer)

    def _answer(self, byte: int) -> bytes | None:
        match self._protocol:
            case "toledo-8217":
                return self._toledo() if byte == ord("W") else None
            case "cas":
                return {ENQ: bytes((ACK,)), DC1: self._cas()}.get(byte)
            case "mettler-sics":
                self._line = (self._line + bytes((byte,)))[-_LINE_BYTES_MAX:]
                if byte != 0x0A:
                    return None
                line, self._line = self._line, b""
                return self._sics(line.strip().decode("ascii", "replace"))

    def _toledo(self) -> bytes:
        status = (
            (0 if self.is_stable else IN_MOTION)
            | (OVER_CAPACITY if self._gross_g > CAPACITY_G else 0)
            | (UNDER_ZERO if self.net_g < 0 else 0)
        )
        if status:
            status |= CENTRE_OF_ZERO if self.net_g == 0 else 0
            return b"\x02?" + bytes((_ALWAYS | status,)) + b"\r"
        digits = f"{self.net_g // 1000:02d}.{self.net_g % 1000:03d}" if self.unit == "kg" else f"{self._pounds:05.2f}"
        return f"\x02{digits}{'N' if self._tare_g else ''}\r".encode()

    def _sics(self, command: str) -> bytes:
        if command not in ("S", "SI"):
            return b"ES\r\n"
        if self._gross_g > CAPACITY_G:
            return b"S +\r\n"
        value = f"{self.net_g / 1000:.3f}" if self.unit == "kg" else f"{self._pounds:.3f}"
        return f"S {'S' if self.is_stable else 'D'} {value:>10} {self.unit}\r\n".encode()

    def _cas(self) -> bytes:
        weight = abs(self.net_g) / 1000 if self.unit == "kg" else abs(self._pounds)
        sign = "F" if self._gross_g > CAPACITY_G else "-" if self.net_g < 0 else " "
        content = f"{'S' if self.is_stable else 'U'}{sign}{weight:06.3f}{self.unit}".encode()[:10]
        return bytes((SOH, STX)) + content + bytes((block_check(content), ETX, EOT))

    @property
    def _pounds(self) -> float:
        return self.net_g / 453.59237


def _nothing() -> None:
    """Nobody looks at it."""
