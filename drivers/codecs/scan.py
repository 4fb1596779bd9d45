"""A scanner's bytes as codes: framing without I/O. Time comes in as data.

A code is what stands between two terminators, without the configured prefix and suffix; a leading AIM symbology
identifier (ISO/IEC 15424: `]`, a letter, a modifier) is split off. What is not whole is reported and never joined to
what comes after it: a pause longer than `gap_s` ends a code that has no terminator yet.
"""

import re
from dataclasses import dataclass
from typing import Literal

from core.events import ScanFault, ScanGarbled, Scanned

GS = 0x1D
"""FNC1 as a separator [GS1 General Specifications 7.8]: the one control character that belongs into a code."""

Terminator = Literal["auto", "cr", "lf", "crlf", "tab"]
"""What ends a code; `auto` is CR, LF or both."""

_TERMINATORS: dict[Terminator, bytes] = {
    "auto": rb"[\r\n]",
    "cr": rb"\r",
    "lf": rb"\n",
    "crlf": rb"\r\n",
    "tab": rb"\t",
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


class ScanDecoder:
    """One scanner's bytes in, its codes out. Two scanners have two decoders, so their bytes never mix.

    `reads` and `bad_reads` count what came out since the start.
    """

    def __init__(self, device: str, framing: Framing) -> None:
        self.reads = 0
        self.bad_reads = 0
        self._device = device
        self._framing = framing
        self._terminator = re.compile(_TERMINATORS[framing.terminator])
        self._overlap = 1 if framing.terminator == "crlf" else 0
        self._edges = len(framing.prefix) + len(framing.suffix)
        # The AIM identifier is taken first and for good, as `_read` does it.
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
        self.reads += 1
        aim, code = found.groups()
        return Scanned(device=self._device, data=code.decode("ascii"), aim=aim.decode("ascii") if aim else None)

    def feed(self, data: bytes, now_s: float) -> list[Scanned | ScanGarbled]:
        """What these bytes complete, in order."""
        found = self.expire(now_s) if self._pending or self._is_skipping else []
        self._last_s = now_s
        *frames, self._pending = self._terminator.split(self._pending + data)
        for frame in frames:
            found += self._close(frame)
        # A lone CR at the end may be half of a CRLF and is no part of the code yet.
        if len(self._pending) > self._framing.length_max + self._overlap:
            found += self._overflow()
            self._pending = self._pending[len(self._pending) - self._overlap :]
        return found

    def expire(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """What the pause since the last byte has torn."""
        if self.deadline_s is None or now_s <= self.deadline_s:
            return []
        return self.tear()

    def lose(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """Bytes were lost on the way: neither what is open nor what comes up to the next terminator is a code."""
        self._last_s = now_s
        length = len(self._pending)
        self._pending = b""
        if self._is_skipping:
            return []
        self._is_skipping = True
        return [self._garbled(ScanFault.TORN, length)]

    def tear(self) -> list[Scanned | ScanGarbled]:
        """Gives up the open code: no more of it will come."""
        length = 0 if self._is_skipping else len(self._pending)
        self._pending = b""
        self._is_skipping = False
        return [self._garbled(ScanFault.TORN, length)] if length else []

    def _close(self, frame: bytes) -> list[Scanned | ScanGarbled]:
        if self._is_skipping:
            self._is_skipping = False
            return []
        if len(frame) > self._framing.length_max:
            events = self._overflow()
            self._is_skipping = False
            return events
        events = []
        if self._resync:
            # All but the last begin of a code in this frame lost their terminators.
            torn, _, rest = frame.rpartition(self._resync)
            if torn:
                events.append(self._garbled(ScanFault.TORN, len(torn)))
                frame = self._resync + rest
        if frame:
            events.append(self._read(frame))
        return events

    def _read(self, frame: bytes) -> Scanned | ScanGarbled:
        content = frame
        if self._edges:
            prefix, suffix = self._framing.prefix, self._framing.suffix
            if not (frame.startswith(prefix) and frame.endswith(suffix) and len(frame) >= self._edges):
                return self._garbled(ScanFault.BINARY if _is_binary(frame) else ScanFault.TORN, len(frame))
            content = frame[len(prefix) : len(frame) - len(suffix)]
        if _is_binary(content):
            return self._garbled(ScanFault.BINARY, len(frame))
        text, aim = content.decode("latin-1"), None
        if found := _AIM.match(text):
            text, aim = text[3:], found[1]
        if not text:
            return self._garbled(ScanFault.TORN, len(frame))
        self.reads += 1
        return Scanned(device=self._device, data=text, aim=aim)

    def _overflow(self) -> list[Scanned | ScanGarbled]:
        """Says it once, as soon as it is known, and leaves out the rest until the code ends."""
        if self._is_skipping:
            return []
        self._is_skipping = True
        return [self._garbled(ScanFault.OVERLONG, self._framing.length_max + 1)]

    def _garbled(self, fault: ScanFault, length: int) -> ScanGarbled:
        self.bad_reads += 1
        return ScanGarbled(device=self._device, fault=fault, length=length)


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
