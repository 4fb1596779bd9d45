"""A record's exact bytes, its chain and its signed head: shared by terminal, headquarters and strangers.

The exact bytes of a record are one compact JSON object (an `Envelope`), stored, sent and hashed as they are and never
encoded again. The chain is ``h = SHA-256(prev + exact bytes)``; the first record of an epoch has 32 zero bytes for
``prev`` and a body that names the epoch and the head before it. Within an epoch ``seq`` starts at 1 and has no gaps.
Records also form a chain within their stream (`stream_seq`, `stream_prev`), so that one stream can be shown to an
auditor without the others.
"""

import enum
import hashlib

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from core import nesting

VERSION = 1
GENESIS = bytes(32)
_HEAD_TAG = b"terminald/head/1\0"
_TOMBSTONE_TAG = b"terminald/tombstone/1\0"
_ACK_TAG = b"terminald/ack/1\0"


class Stream(enum.StrEnum):
    """The separate chains of a terminal, as French fiscal practice has them."""

    SALES = "sales"
    TILL = "till"
    TOTALS = "totals"
    COPIES = "copies"
    TECHNICAL = "technical"
    TRAINING = "training"


class ClockQuality(enum.StrEnum):
    """How far the wall clock of a record can be trusted."""

    NTP = "ntp"
    RTC = "rtc"
    RESTORED = "restored"
    UNSYNCED = "unsynced"


class Stamp(msgspec.Struct, frozen=True, kw_only=True):
    """When something happened: wall time with its quality, and the boot's own clock.

    `time_ms` is Unix time in milliseconds, `boot` 16 hex digits minted at each start, `mono_ms` milliseconds since it.
    Order is by ``seq``, never by time.
    """

    time_ms: int
    clock: ClockQuality
    boot: str
    mono_ms: int


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A record before it has a place: its stream, its body (exact JSON bytes) and whether it moves money.

    What moves money is on the medium before `Journal.append` returns; what only builds the basket is committed without
    a sync and reaches the medium with the next of those, or 5 s later.
    """

    stream: Stream
    body: bytes
    moves_money: bool


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a record, in the order in which they stand in its exact bytes.

    `stream_prev` (hex) is the chain over the records of this stream alone: ``link(stream_prev, exact)`` of the stream's
    record before, and `GENESIS` for its first. So one stream can be verified without the bytes of the others.
    """

    version: int
    epoch: str
    seq: int
    stream: Stream
    stream_seq: int
    stream_prev: str
    time_ms: int
    clock: ClockQuality
    boot: str
    mono_ms: int
    body: msgspec.Raw
    key: str | None = None


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """A record in its place: `seq` within `epoch`, its exact bytes, and the chain's hash up to and including it."""

    epoch: str
    seq: int
    exact: bytes
    hash: bytes


class Head(msgspec.Struct, frozen=True, kw_only=True):
    """The end of a chain: the last `seq` of `epoch` (0 before the first record) and the hash there."""

    epoch: str
    seq: int
    hash: bytes


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Envelope)


def link(prev: bytes, exact: bytes) -> bytes:
    """The chain's next hash: SHA-256 over the hash before and a record's exact bytes."""
    return hashlib.sha256(prev + exact).digest()


def seal(envelope: Envelope, prev: bytes) -> Record:
    """Fixes a record's exact bytes and links them to the hash before."""
    exact = _encoder.encode(envelope)
    return Record(epoch=envelope.epoch, seq=envelope.seq, exact=exact, hash=link(prev, exact))


def open_record(exact: bytes) -> Envelope:
    """The fields of a record's exact bytes. Raises msgspec.DecodeError (a ValueError) on anything else."""
    return nesting.decode(_decoder, exact)


def head_message(terminal: str, head: Head) -> bytes:
    """What a terminal signs with Ed25519: its name and the head of its chain."""
    return _HEAD_TAG + f"{terminal}\0{head.epoch}\0{head.seq}\0".encode() + head.hash


def tombstone_message(terminal: str, prev: Head, last: Head) -> bytes:
    """What a terminal signs with Ed25519 where it prunes the records after `prev` up to `last`."""
    said = f"{terminal}\0{last.epoch}\0{prev.seq}\0{last.seq}\0"
    return _TOMBSTONE_TAG + said.encode() + prev.hash + last.hash


def ack_message(terminal: str, body: bytes) -> bytes:
    """What headquarters signs with Ed25519: the exact bytes of an acknowledgement for one terminal."""
    return _ACK_TAG + terminal.encode() + b"\0" + body


def verify(public_key: bytes, message: bytes, signature: bytes) -> bool:
    """Whether `signature` (64 bytes) over `message` was made by the holder of the Ed25519 `public_key` (32 bytes)."""
    try:
        Ed25519PublicKey.from_public_bytes(public_key).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True
