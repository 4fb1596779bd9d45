"""What the NFC helper process says to the daemon: one JSON object a line."""

import enum

import msgspec

from core import nesting
from core.ports import (
    DeviceAbsent,
    DeviceBusy,
    DeviceDenied,
    DeviceError,
    DeviceGone,
    DeviceStalled,
    LibraryMissing,
    ProtocolError,
)


class Line(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """What all lines share."""


class Ready(Line, frozen=True, kw_only=True, tag="ready"):
    """The reader is set up; `chipset` is its name and firmware."""

    chipset: str


class Alive(Line, frozen=True, kw_only=True, tag="alive"):
    """The reader still looks for tags. Comes every few seconds."""


class Presented(Line, frozen=True, kw_only=True, tag="presented"):
    """A tag was read whole: its UID in hex, its technology, and the text or URI of its first NDEF record."""

    uid: str
    technology: str
    ndef: str | None


class Torn(Line, frozen=True, kw_only=True, tag="torn"):
    """A tag was seen and went before it could be read whole."""


class FaultKind(enum.StrEnum):
    """Which DeviceError a fault is."""

    ABSENT = "absent"
    GONE = "gone"
    DENIED = "denied"
    BUSY = "busy"
    STALLED = "stalled"
    PROTOCOL = "protocol"
    LIBRARY = "library"


class Fault(Line, frozen=True, kw_only=True, tag="fault"):
    """The last line before the helper ends. `detail` never holds anything that a tag said."""

    kind: FaultKind
    detail: str


_ERRORS: dict[FaultKind, type[DeviceError]] = {
    FaultKind.ABSENT: DeviceAbsent,
    FaultKind.GONE: DeviceGone,
    FaultKind.DENIED: DeviceDenied,
    FaultKind.BUSY: DeviceBusy,
    FaultKind.STALLED: DeviceStalled,
    FaultKind.PROTOCOL: ProtocolError,
    FaultKind.LIBRARY: LibraryMissing,
}


def error_of(device: str, fault: Fault) -> DeviceError:
    """The error that a helper's last line stands for."""
    return _ERRORS[fault.kind](f"{device}: {fault.detail}")


AnyLine = Ready | Alive | Presented | Torn | Fault

_encoder = msgspec.json.Encoder()
_decoder: msgspec.json.Decoder[AnyLine] = msgspec.json.Decoder(AnyLine)


def encode(line: AnyLine) -> bytes:
    """A line with its end."""
    return _encoder.encode(line) + b"\n"


def decode(line: bytes) -> AnyLine:
    """A line without its end. Raises ProtocolError, which quotes none of it."""
    try:
        return nesting.decode(_decoder, line)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise ProtocolError("The NFC helper process said something unknown.") from None
