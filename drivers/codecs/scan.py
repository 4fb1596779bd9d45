"""A scanner's bytes as codes: framing without I/O. Time comes in as data.

A code is what stands between two terminators, without the configured prefix and suffix; a leading AIM symbology
identifier (ISO/IEC 15424: `]`, a letter, a modifier) is split off. What is not whole is reported and never joined to
what comes after it: a pause longer than `gap_s` ends a code that has no terminator yet.
"""

import re
from dataclasses import dataclass
from typing import Literal

from core.events import ScanFault, ScanGarbled, Scanned
from drivers.codecs.scan_meter import ScanMeter

GS = 0x1D
"""FNC1 as a separator [GS1 General Specifications 7.8]: the one control character that belongs into a code."""

Terminator = Literal["auto", "cr", "lf", "crlf", "tab", "none"]
"""What ends a code; `auto` is CR, LF or both, `none` is a pause longer than `gap_s` and nothing else."""

SoftwareParity = Literal["none", "even", "odd", "any"]
"""The parity that a scanner puts into bit 7; `any` takes it off and looks at none."""

_TERMINATORS: dict[Terminator, bytes] = {
    "auto": rb"[\r\n]",
    "cr": rb"\r",
    "lf": rb"\n",
    "crlf": rb"\r\n",
    "tab": rb"\t",
    "none": rb"(?!)",
}
_ENDS: dict[Terminator, bytes] = _TERMINATORS | {"auto": rb"(?:\r\n|\r|\n)"}
_CONTROL = re.compile(rb"[\x00-\x1c\x1e\x1f\x7f]")
_C1 = re.compile(rb"[\x80-\x9f]")
_AIM = re.compile(r"\]([A-Za-z][0-9A-Za-z])")


@dataclass(frozen=True, slots=True, kw_only=True)
class Framing:
    """How codes are set apart. `length_max` in bytes, prefix and suffix counted; `gap_s` within one code."""

    terminator: Terminator = "auto"
    prefix: bytes = b""
    suffix: bytes = b""
    length_max: int = 2048
    gap_s: float = 0.1


class FrameReader:
    """Takes apart what stood between two terminators. Without state."""

    def __init__(self, device: str, framing: Framing) -> None:
        self._device = device
        self._framing = framing
        self._edges = len(framing.prefix) + len(framing.suffix)

    def read(self, frame: bytes) -> Scanned | ScanGarbled:
        """The code in a frame, or why there is none."""
        content = frame
        if self._edges:
            prefix, suffix = self._framing.prefix, self._framing.suffix
            if not (frame.startswith(prefix) and frame.endswith(suffix) and len(frame) >= self._edges):
                return self.garbled(ScanFault.BINARY if _is_binary(frame) else ScanFault.TORN, len(frame))
            content = frame[len(prefix) : len(frame) - len(suffix)]
        if _is_binary(content):
            return self.garbled(ScanFault.BINARY, len(frame))
        text, aim = content.decode("latin-1"), None
        if found := _AIM.match(text):
            text, aim = text[3:], found[1]
        if not text:
            return self.garbled(ScanFault.TORN, len(frame))
        return Scanned(device=self._device, data=text, aim=aim)

    def garbled(self, fault: ScanFault, length: int) -> ScanGarbled:
        """What is told of bytes that are no code."""
        return ScanGarbled(device=self._device, fault=fault, length=length)


class ScanDecoder:
    """One scanner's bytes in, its codes out. Two scanners have two decoders, so their bytes never mix.

    `meter` counts what came out.
    """

    def __init__(self, device: str, framing: Framing, meter: ScanMeter | None = None) -> None:
        self.meter = meter or ScanMeter()
        self._device = device
        self._framing = framing
        self._reader = FrameReader(device, framing)
        self._terminator = re.compile(_TERMINATORS[framing.terminator])
        self._overlap = 1 if framing.terminator == "crlf" else 0
        self._ends_by_pause = framing.terminator == "none"
        # The AIM identifier is taken first and for good, as `FrameReader` does it.
        self._usual = re.compile(
            re.escape(framing.prefix)
            + rb"(?:\]([A-Za-z][0-9A-Za-z]))?+([\x1d\x20-\x7e]+)"
            + re.escape(framing.suffix)
            + _ENDS[framing.terminator]
        )
        # A prefix that no code can contain shows where the next code begins, even after a lost terminator.
        self._resync = framing.prefix if _CONTROL.search(framing.prefix[:1]) else b""
        self._pending = b""
        self._is_skipping = False
        self._last_s = 0.0

    @property
    def deadline_s(self) -> float | None:
        """When `expire` has something to do if no byte comes before; None while no code is open."""
        return self._last_s + self._framing.gap_s if self._pending or self._is_skipping else None

    def whole(self, data: bytes) -> Scanned | None:
        """The usual case in one step: no code is open, and `data` is exactly one clean code. Else None, and `feed` it."""
        if self._pending or self._is_skipping or len(data) > self._framing.length_max:
            return None
        found = self._usual.fullmatch(data)
        if found is None:
            return None
        aim, code = found.groups()
        return Scanned(device=self._device, data=code.decode("ascii"), aim=aim.decode("ascii") if aim else None)

    def feed(self, data: bytes, now_s: float) -> list[Scanned | ScanGarbled]:
        """What these bytes complete, in order."""
        is_open = bool(self._pending or self._is_skipping)
        found = self.expire(now_s) if is_open else []
        self.meter.piece(now_s, is_first=not self._pending)
        self._last_s = now_s
        *frames, self._pending = self._terminator.split(self._pending + data)
        for frame in frames:
            found += self._close(frame)
        # A lone CR at the end may be half of a CRLF and is no part of the code yet.
        if len(self._pending) > self._framing.length_max + self._overlap:
            found += self._overflow(self._pending)
            self._pending = self._pending[len(self._pending) - self._overlap :]
        return found

    def hold(self, now_s: float) -> None:
        """Nobody has looked since the last byte: no pause has been seen. One that ends codes is taken for one all the same."""
        if not self._ends_by_pause:
            self._last_s = now_s

    def expire(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """What the pause since the last byte has torn; or ended, where nothing else ends a code."""
        if self.deadline_s is None or now_s <= self.deadline_s:
            return []
        if not self._ends_by_pause:
            return self.tear()
        frame, self._pending = self._pending, b""
        return self._close(frame)

    def lose(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """Bytes were lost on the way: neither what is open nor what comes up to the next terminator is a code."""
        self._last_s = now_s
        lost, self._pending = self._pending, b""
        if self._is_skipping:
            return []
        self._is_skipping = True
        return [self._garbled(ScanFault.TORN, lost)]

    def tear(self) -> list[Scanned | ScanGarbled]:
        """Gives up the open code: no more of it will come."""
        torn = b"" if self._is_skipping else self._pending
        self._pending = b""
        self._is_skipping = False
        return [self._garbled(ScanFault.TORN, torn)] if torn else []

    def _close(self, frame: bytes) -> list[Scanned | ScanGarbled]:
        if self._is_skipping:
            self._is_skipping = False
            return []
        if len(frame) > self._framing.length_max:
            events = self._overflow(frame)
            self._is_skipping = False
            return events
        events = []
        if self._resync:
            # All but the last begin of a code in this frame lost their terminators.
            torn, _, rest = frame.rpartition(self._resync)
            if torn:
                events.append(self._garbled(ScanFault.TORN, torn))
                frame = self._resync + rest
        if frame:
            events.append(self._read(frame))
        return events

    def _read(self, frame: bytes) -> Scanned | ScanGarbled:
        event = self._reader.read(frame)
        if isinstance(event, Scanned):
            self.meter.read(event.data, self._last_s)
        else:
            self.meter.bad(event.fault, frame)
        return event

    def _overflow(self, frame: bytes) -> list[Scanned | ScanGarbled]:
        """Says it once, as soon as it is known, and leaves out the rest until the code ends."""
        if self._is_skipping:
            return []
        self._is_skipping = True
        self.meter.bad(ScanFault.OVERLONG, frame)
        return [self._reader.garbled(ScanFault.OVERLONG, self._framing.length_max + 1)]

    def _garbled(self, fault: ScanFault, frame: bytes) -> ScanGarbled:
        self.meter.bad(fault, frame)
        return self._reader.garbled(fault, len(frame))


def without_parity(parity: SoftwareParity) -> bytes:
    """A table for `bytes.translate` that takes a parity bit off bit 7; a byte whose parity is wrong becomes a NUL.

    For a scanner that sends 7 bits and parity on a line that is read as 8 bits without. Empty: nothing to take off.
    """
    if parity == "none":
        return b""
    wrong = {"even": 1, "odd": 0}.get(parity)
    return bytes(0 if byte.bit_count() & 1 == wrong else byte & 0x7F for byte in range(256))


def _is_binary(content: bytes) -> bool:
    """Control characters other than GS; or bytes above 0x7F that are neither UTF-8 nor printable ISO 8859-1."""
    if _CONTROL.search(content):
        return True
    if content.isascii() or not _C1.search(content):
        return False
    try:
        return any(0x80 <= ord(character) <= 0x9F for character in content.decode("utf-8"))
    except UnicodeDecodeError:
        return True
