"""The configuration that headquarters wants a terminal to have, and what the terminal says of it. No I/O.

Desired: retained, signed by headquarters' key under a tag of its own, written down in one way as orders are. `doc` is TOML:
the tables that it has take the place of the terminal's own of the same name. `version` rises within `epoch`, headquarters'
generation. Reported: retained, plain JSON.
"""

import hashlib
from typing import Annotated, Literal

import msgspec

from core import nesting
from core.ledger import verify
from core.orders import HELD, OrderForged, OrderMisaddressed, OrderNotAllowed, OrderUnreadable, Sign, Whole

DESIRED_BYTES_MAX = 128 << 10
DESIRED_ROLE = "manager"
REPORTED_BYTES_MAX = 8 << 10
_TAG = b"terminald/configuration/1\0"

ReportedState = Literal["waiting", "trial", "applied", "rejected", "rolled-back"]


class Desired(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration for one terminal. `issued_ms` is when it was signed, by `issuer` in `role`."""

    terminal: str
    epoch: Whole
    version: Whole
    issued_ms: Whole
    role: str
    issuer: str
    doc: str

    @property
    def hash(self) -> str:
        """SHA-256 of the document (hex)."""
        return hashlib.sha256(self.doc.encode()).hexdigest()


class Reported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a terminal says of the configuration that it was last told: `hash` of the document, `state` and why.

    `active` is the hash of the one that it runs with; empty where that is its own file alone.
    """

    version: int
    hash: str
    state: ReportedState
    ts: int
    epoch: int = 0
    active: str = ""
    code: str = ""
    text: Annotated[str, msgspec.Meta(max_length=4_000)] = ""


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    desired: msgspec.Raw
    signature: str


_encoder = msgspec.json.Encoder()
_desired_decoder = msgspec.json.Decoder(Desired)
_signed_decoder = msgspec.json.Decoder(_Signed)
_reported_decoder = msgspec.json.Decoder(Reported)


def encode_desired(desired: Desired, sign: Sign) -> bytes:
    """A configuration, signed, as it is published. Raises ValueError where it is too large."""
    body = _encoder.encode(desired)
    signature = sign(_message(desired.terminal, body)).hex()
    payload = _encoder.encode(_Signed(desired=msgspec.Raw(body), signature=signature)) + b"\n"
    if len(payload) > DESIRED_BYTES_MAX:
        raise ValueError(f"a configuration has {DESIRED_BYTES_MAX} bytes at most, this one has {len(payload)}")
    return payload


def open_desired(payload: bytes, *, terminal: str, public_key: bytes) -> Desired:
    """The configuration in a payload, believed to be headquarters' for this terminal.

    Raises OrderUnreadable, OrderForged, OrderMisaddressed or OrderNotAllowed, in this order.
    """
    if len(payload) > DESIRED_BYTES_MAX:
        raise OrderUnreadable(f"a configuration has {DESIRED_BYTES_MAX} bytes at most")
    try:
        signed = nesting.decode(_signed_decoder, payload)
        signature = bytes.fromhex(signed.signature)
        desired = nesting.decode(_desired_decoder, signed.desired)
        exact = _encoder.encode(_Signed(desired=msgspec.Raw(_encoder.encode(desired)), signature=signature.hex()))
    except ValueError as error:
        raise OrderUnreadable(f"no signed configuration: {error}") from error
    if exact + b"\n" != payload:
        raise OrderUnreadable("no signed configuration: it is not written down as they are")
    if not verify(public_key, _message(desired.terminal, bytes(signed.desired)), signature):
        raise OrderForged("headquarters' key did not sign this configuration")
    if desired.terminal != terminal:
        raise OrderMisaddressed(f"it is for {desired.terminal!r}, not for {terminal!r}")
    if DESIRED_ROLE not in HELD.get(desired.role, ()) or not desired.issuer:
        raise OrderNotAllowed(f"a configuration takes the role {DESIRED_ROLE}")
    return desired


def encode_reported(reported: Reported) -> bytes:
    """What a terminal reports, as it is published."""
    return _encoder.encode(reported)


def decode_reported(payload: bytes) -> Reported:
    """What a terminal reports, from a broker. Raises ValueError."""
    if len(payload) > REPORTED_BYTES_MAX:
        raise ValueError(f"a report of a configuration has {REPORTED_BYTES_MAX} bytes at most")
    return nesting.decode(_reported_decoder, payload)


def _message(terminal: str, body: bytes) -> bytes:
    return _TAG + terminal.encode() + b"\0" + body
