"""How a terminal becomes trusted: what goes over the wire of an enrolment, for both ends. No I/O.

A new terminal knows one thing of headquarters: the key that signs acknowledgements. That key signs which authority is
headquarters' (`Trust`), and so the terminal knows whom it talks to. Headquarters knows a new terminal by its claim code,
which both ends compute from the keys themselves: whoever puts another key in between changes the code that a person
compares.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Literal, TypeVar

import msgspec

from core import nesting
from core.ledger import verify

MESSAGE_BYTES_MAX = 16_384
"""Of any message of an enrolment."""
CODE_CHARACTERS = 12
"""60 bits: a second pair of keys with the same code is not found by trying."""
RENEW_FROM = 2 / 3
"""Of a certificate's life: what is left is the time for which the two ends may be out of each other's reach."""

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: no letter is taken for a digit."""
_MISREAD = str.maketrans("OIL", "011")
_CODE_TAG = b"terminald/claim/1\0"
_TRUST_TAG = b"terminald/trust/1\0"
_PROOF_TAG = b"terminald/enrol/1\0"

Sign = Callable[[bytes], bytes]
State = Literal["waiting", "approved", "refused"]
T = TypeVar("T")


class EnrolmentError(ValueError):
    """A message of an enrolment is not believed, or cannot be read."""


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal asks to be enrolled, and asks again until it is answered.

    `csr` is PEM (PKCS #10) and names the terminal as its configuration does; `journal_key` (hex) is the key that its
    journal is signed with, and `proof` (hex) that key's signature of `proof_message`. `about` says which board it is.
    """

    csr: str
    journal_key: str
    proof: str
    about: str = ""


class Renew(msgspec.Struct, frozen=True, kw_only=True):
    """A terminal asks for a new certificate by its current one, which authenticates the connection."""

    csr: str


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What headquarters says. With `approved` come the terminal's name, its place, and its certificate (PEM)."""

    state: State
    code: str = ""
    again_s: int = 0
    terminal: str = ""
    workstation: str = ""
    certificate: str = ""
    why: str = ""


class _Trust(msgspec.Struct, frozen=True, kw_only=True):
    """`signature` (hex) is over the exact bytes of `authority` (PEM)."""

    authority: str
    signature: str


_encoder = msgspec.json.Encoder()
_trust_decoder = msgspec.json.Decoder(_Trust)
_ask_decoder = msgspec.json.Decoder(Ask)
_renew_decoder = msgspec.json.Decoder(Renew)
_answer_decoder = msgspec.json.Decoder(Answer)


def claim_code(public_key: bytes, journal_key: bytes) -> str:
    """The code that a terminal shows and headquarters is told: of the certificate's key (DER) and the journal's."""
    number = int.from_bytes(sha256(_CODE_TAG + sha256(public_key).digest() + journal_key).digest()[:8])
    number >>= 64 - 5 * CODE_CHARACTERS
    letters = "".join(_ALPHABET[number >> 5 * place & 31] for place in reversed(range(CODE_CHARACTERS)))
    return "-".join(letters[start : start + 4] for start in range(0, CODE_CHARACTERS, 4))


def read_code(text: str) -> str:
    """The code as it is written, of what a person typed. Raises EnrolmentError."""
    letters = "".join(text.upper().split()).replace("-", "").translate(_MISREAD)
    if len(letters) != CODE_CHARACTERS or not set(letters) <= set(_ALPHABET):
        raise EnrolmentError(f"a claim code is {CODE_CHARACTERS} letters and digits, such as 7KQ2-M4XD-9TBA")
    return "-".join(letters[start : start + 4] for start in range(0, CODE_CHARACTERS, 4))


def is_due(begins_ms: int, ends_ms: int, now_ms: int) -> bool:
    """Whether a certificate is to be renewed."""
    return now_ms >= begins_ms + RENEW_FROM * (ends_ms - begins_ms)


def proof_message(csr: bytes, journal_key: bytes) -> bytes:
    """What the journal's key signs, so that nobody asks in its name."""
    return _PROOF_TAG + sha256(csr).digest() + journal_key


def seal_trust(authority: bytes, sign: Sign) -> bytes:
    """Headquarters' authority (PEM), signed by the key that terminals know."""
    return _encoder.encode(_Trust(authority=authority.decode(), signature=sign(_TRUST_TAG + authority).hex()))


def open_trust(payload: bytes, public_key: bytes) -> bytes:
    """The authority (PEM) that headquarters' key signed. Raises EnrolmentError."""
    trust = _decode(_trust_decoder, payload)
    authority = trust.authority.encode()
    if not verify(public_key, _TRUST_TAG + authority, _unhex(trust.signature)):
        raise EnrolmentError("the authority is not signed by the key that ack_key names")
    return authority


def encode(message: Ask | Renew | Answer) -> bytes:
    """A message as it is sent."""
    return _encoder.encode(message)


def read_ask(payload: bytes) -> tuple[Ask, bytes]:
    """A request, and the journal's key that was proven in it. Raises EnrolmentError."""
    ask = _decode(_ask_decoder, payload)
    key = _unhex(ask.journal_key)
    if not verify(key, proof_message(ask.csr.encode(), key), _unhex(ask.proof)):
        raise EnrolmentError("the request is not signed by the journal's key that it names")
    return ask, key


def read_renew(payload: bytes) -> Renew:
    """A request for a new certificate. Raises EnrolmentError."""
    return _decode(_renew_decoder, payload)


def read_answer(payload: bytes) -> Answer:
    """What headquarters said. Raises EnrolmentError."""
    return _decode(_answer_decoder, payload)


def _decode(decoder: msgspec.json.Decoder[T], payload: bytes) -> T:
    if len(payload) > MESSAGE_BYTES_MAX:
        raise EnrolmentError(f"a message of an enrolment has {MESSAGE_BYTES_MAX} bytes at most")
    try:
        return nesting.decode(decoder, payload)
    except ValueError as error:
        raise EnrolmentError(f"no message of an enrolment: {error}") from None


def _unhex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise EnrolmentError("a key or a signature is not hexadecimal") from None
