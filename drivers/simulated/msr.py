"""The far end of a card reader's cable, and the cards: what their stripes hold, bit by bit, and what readers say of them."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from drivers.codecs.track import lrc
from drivers.simulated.cable import Cable, PtyCable, Receive

_WIDTH: Final = {1: 7, 2: 5, 3: 5}
_BASE: Final = {7: 0x20, 5: 0x30}
_LEADING_ZEROS: Final = 13
"""Clocking bits before the first character; after the last come as many."""
KSN: Final = bytes.fromhex("ffff9876543210e00008")
"""The key serial number that the makers' own examples have."""


def track_bits(text: bytes, track: int, *, backwards: bool = False) -> bytearray:
    """The bits of a track with its LRC, first bit highest: `text` from sentinel to sentinel (ISO/IEC 7811-6)."""
    width = _WIDTH[track]
    base = _BASE[width]
    bits = [0] * _LEADING_ZEROS
    for value in (*(character - base for character in text), lrc(text, base)):
        data = [value >> weight & 1 for weight in range(width - 1)]
        bits += [*data, 1 - sum(data) % 2]
    bits += [0] * _LEADING_ZEROS
    bits += [0] * (-len(bits) % 8)
    if backwards:
        bits.reverse()
    return bytearray(int("".join(map(str, bits[at : at + 8])), 2) for at in range(0, len(bits), 8))


def with_lrc(text: bytes, track: int) -> bytes:
    """A track's characters and its LRC's."""
    base = _BASE[_WIDTH[track]]
    return text + bytes((lrc(text, base) + base,))


def magtek_report(tracks: Mapping[int, bytes], failed: tuple[int, ...] = ()) -> bytes:
    """MagTek's report in clear, 337 bytes; ID TECH's readers have it as their "other mode"."""
    return _head(tracks, failed) + b"".join(tracks.get(track, b"").ljust(110, b"\0") for track in (1, 2, 3))


def magnesafe_report(ciphers: Mapping[int, bytes], masked: Mapping[int, bytes], ksn: bytes = KSN) -> bytes:
    """An encrypting MagTek reader's report, 856 bytes."""
    report = bytearray(_head(ciphers, ()))
    report += b"".join(ciphers.get(track, b"").ljust(112, b"\0") for track in (1, 2, 3))
    report += bytes(1 + 4 + 1 + 128) + b"B35F1F1".ljust(16, b"\0") + bytes((0, 6)) + ksn
    report += bytes(len(masked.get(track, b"")) for track in (1, 2, 3))
    report += b"".join(masked.get(track, b"").ljust(112, b"\0") for track in (1, 2, 3))
    return bytes(report.ljust(856, b"\0"))


def idtech_report(tracks: Mapping[int, bytes], failed: tuple[int, ...] = ()) -> bytes:
    """ID TECH's own report in clear, 509 bytes: the same head, a length, and the reader's text."""
    text = b"".join(tracks[track] + b"\r" for track in sorted(tracks))
    return (_head(tracks, failed) + len(text).to_bytes(2, "little") + text).ljust(509, b"\0")


def idtech_message(
    masked: Mapping[int, bytes],
    ciphers: Mapping[int, bytes],
    *,
    enhanced: bool = True,
    kind: int = 0,
    ksn: bytes = KSN,
) -> bytes:
    """A message from STX to ETX; `kind` is the card's encode type, 0 an ISO one; without `ciphers` all is in clear."""
    present = masked.keys() | ciphers.keys()
    status = sum(0b1001 << (track - 1) for track in present)
    card = bytes((0x80 | kind if enhanced else kind, status, *(len(masked.get(track, b"")) for track in (1, 2, 3))))
    if enhanced:
        card += bytes((sum(1 << (track - 1) for track in masked), _sent(ciphers)))
    card += b"".join(masked[track] for track in sorted(masked)) + b"".join(ciphers[track] for track in sorted(ciphers))
    if ciphers:
        card += ksn
    check = 0
    for value in card:
        check ^= value
    return b"\x02" + len(card).to_bytes(2, "little") + card + bytes((check, sum(card) & 0xFF, 3))


class SimulatedCardReader:
    """A serial reader on a pty that the driver finds at `link`. Works on the running loop; starts plugged."""

    def __init__(self, link: Path, make: Callable[[Receive], Cable] | None = None) -> None:
        self._cable = make(_ignore) if make is not None else PtyCable(link, _ignore)
        self._cable.plug()

    @property
    def plugged(self) -> bool:
        """Whether a driver can open it."""
        return self._cable.plugged

    def swipe(self, *tracks: bytes) -> None:
        """Sends tracks as text, a CR after each, as readers do by default."""
        self._cable.send(b"".join(track + b"\r" for track in tracks))

    def send(self, data: bytes) -> None:
        """Sends a message as it is."""
        self._cable.send(data)

    def unplug(self) -> None:
        """Pulls the cable: the driver sees a hangup."""
        self._cable.unplug()

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self._cable.close()


def raw_answer(tracks: Mapping[int, bytes], *, backwards: bool = False, lowest_first: bool = False) -> bytes:
    """What an MSR605 says of a card when it is asked for its bits, eight to a byte."""
    answer = b"\x1bs"
    for track in (1, 2, 3):
        bits = bytes(track_bits(tracks[track], track, backwards=backwards)) if track in tracks else bytes(4)
        if lowest_first:
            bits = bytes(int(f"{byte:08b}"[::-1], 2) for byte in bits)
        answer += bytes((0x1B, track, len(bits))) + bits
    return answer + b"?\x1c\x1b0"


class SimulatedRawReader:
    """An MSR605 on a pty: it reads a card only when it was told to, and takes commands in whatever pieces they come."""

    def __init__(self, link: Path, make: Callable[[Receive], Cable] | None = None) -> None:
        self._heard = b""
        self.is_asked = False
        """Whether the next card is read."""
        self.is_set_up = False
        self._cable = make(self._on_bytes) if make is not None else PtyCable(link, self._on_bytes)
        self._cable.plug()

    def swipe(self, tracks: Mapping[int, bytes], *, backwards: bool = False) -> None:
        """A card passes; nothing is said where nobody asked, or eight bits were not agreed upon."""
        if self.is_asked and self.is_set_up:
            self.is_asked = False
            self._cable.send(raw_answer(tracks, backwards=backwards))

    def unplug(self) -> None:
        """Pulls the cable; it loses its power and what it was told."""
        self._cable.unplug()
        self._heard, self.is_asked, self.is_set_up = b"", False, False

    def plug(self) -> None:
        """Puts it in again, at the same place."""
        self._cable.plug()

    def close(self) -> None:
        """Removes it. May be called twice."""
        self._cable.close()

    def _on_bytes(self, data: bytes) -> None:
        self._heard = (self._heard + data)[-64:]
        while self._heard:
            if self._heard.startswith(b"\x1bo"):
                if len(self._heard) < 5:
                    return
                self.is_set_up = self._heard[2:5] == b"\x08\x08\x08"
                self._cable.send(b"\x1b0" + self._heard[2:5])
                self._heard = self._heard[5:]
            elif self._heard.startswith(b"\x1b"):
                if len(self._heard) < 2:
                    return
                self.is_asked = self._heard[1:2] == b"m"
                self._heard = self._heard[2:]
            else:
                self._heard = self._heard[1:]


def _head(tracks: Mapping[int, bytes], failed: tuple[int, ...]) -> bytes:
    statuses = bytes(int(track in failed) for track in (1, 2, 3))
    return statuses + bytes(len(tracks.get(track, b"")) for track in (1, 2, 3)) + b"\0"


def _sent(ciphers: Mapping[int, bytes]) -> int:
    return sum(1 << (track - 1) for track in ciphers) | (0x80 if ciphers else 0)


def _ignore(data: bytes) -> None:
    """Our reader takes no commands."""
