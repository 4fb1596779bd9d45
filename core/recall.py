"""Records that headquarters sends back to a terminal that was restored from a backup. No I/O.

The terminal asks (`Recall`, signed by it): what do you hold of me, and send me what follows this record of that epoch.
Headquarters answers with a few batches of the exact bytes that it keeps (`core.delivery`, sealed by headquarters' key), and
then with what it holds (`Holdings`, signed by it, with the request's nonce). The terminal checks that each record follows
the one before, from the last one of its backup on, and asks again until it has all. So nothing rests on the order or the
number of messages, and a request that is replayed by a stranger changes nothing.
"""

from collections.abc import Callable
from typing import ClassVar, TypeVar

import msgspec

from core import nesting
from core.ledger import verify

RECALL_BYTES_MAX = 2_048
HOLDINGS_BYTES_MAX = 1 << 18
EPOCHS_MAX = 256
"""Epochs of one terminal that headquarters tells of: the newest."""

Sign = Callable[[bytes], bytes]
_T = TypeVar("_T", "Recall", "Holdings")


class RecallError(ValueError):
    """A message about records to be sent back cannot be believed. `code` is stable."""

    code: ClassVar[str] = "recall"


class RecallUnreadable(RecallError):
    """It is no such message."""

    code = "recall-unreadable"


class RecallForged(RecallError):
    """It is not signed by whose it claims to be."""

    code = "recall-forged"


class Recall(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a terminal asks for: all that follows record `after_seq` of `epoch`; with epoch ``""`` only what there is."""

    terminal: str
    nonce: str
    epoch: str = ""
    after_seq: int = 0


class Holding(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """An epoch as headquarters has it: its last record `top_seq`, and what its first record says of the epoch before."""

    epoch: str
    top_seq: int
    previous_epoch: str = ""
    previous_seq: int = 0


class Holdings(msgspec.Struct, frozen=True, kw_only=True):
    """What headquarters holds of a terminal: its epochs, and the highest transaction number. `nonce` is the request's."""

    terminal: str
    nonce: str
    number: int
    epochs: tuple[Holding, ...]


def encode_recall(recall: Recall, sign: Sign) -> bytes:
    """A request's payload, signed by the terminal."""
    return _sealed(_RECALL, recall, sign)


def open_recall(terminal: str, payload: bytes, public_key: bytes) -> Recall:
    """The request of a payload that came under a terminal's name. Raises RecallUnreadable or RecallForged."""
    recall = _opened(_RECALL, payload, RECALL_BYTES_MAX, public_key, Recall)
    if recall.terminal != terminal:
        raise RecallForged(f"a request of {recall.terminal!r} came under the name {terminal!r}")
    return recall


def encode_holdings(holdings: Holdings, sign: Sign) -> bytes:
    """An answer's payload, signed by headquarters."""
    return _sealed(_HOLDINGS, holdings, sign)


def open_holdings(terminal: str, payload: bytes, public_key: bytes) -> Holdings:
    """The answer of a payload. Raises RecallUnreadable or RecallForged."""
    holdings = _opened(_HOLDINGS, payload, HOLDINGS_BYTES_MAX, public_key, Holdings)
    if holdings.terminal != terminal:
        raise RecallForged(f"this is what headquarters holds of {holdings.terminal!r}, not of {terminal!r}")
    return holdings


def is_holdings(payload: bytes) -> bool:
    """Whether a payload is such an answer rather than a batch (which begins with zstd's magic number)."""
    return payload[:1] == b"{"


# --- inner parts -------------------------------------------------------------------------------------------------

_RECALL = b"terminald/recall/1\0"
_HOLDINGS = b"terminald/holdings/1\0"


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """A message on the wire: `signature` (hex) is over a tag and the exact bytes of `body`."""

    body: msgspec.Raw
    signature: str


_signed_decoder = msgspec.json.Decoder(_Signed)


def _sealed(tag: bytes, message: Recall | Holdings, sign: Sign) -> bytes:
    body = msgspec.json.encode(message)
    return msgspec.json.encode(_Signed(body=msgspec.Raw(body), signature=sign(tag + body).hex()))


def _opened(tag: bytes, payload: bytes, bytes_max: int, public_key: bytes, kind: type[_T]) -> _T:
    if len(payload) > bytes_max:
        raise RecallUnreadable(f"{len(payload)} bytes are more than such a message has")
    try:
        signed = nesting.decode(_signed_decoder, payload)
        signature, message = bytes.fromhex(signed.signature), nesting.decode(msgspec.json.Decoder(kind), signed.body)
    except ValueError as error:
        raise RecallUnreadable(f"no such message: {error}") from error
    if not verify(public_key, tag + bytes(signed.body), signature):
        raise RecallForged("it is not signed by the key that it should be")
    return message
