"""What becomes of an order, as the terminal tells it: retained JSON beside the order's own topic. No I/O.

An order begins as ``init`` (its own message); then ``accepted``, ``waiting`` (for `code`: an open sale, the shop's hours, the
time), ``running``, and one of four ends: ``successful``, ``failed``, ``rejected`` (it was never begun), ``expired``.

A result is not signed: whoever needs a proof reads the terminal's journal, where each order that was taken stands with
who gave it, and its end (stream ``technical``).
"""

from typing import Annotated, Any, Literal, get_args

import msgspec

from core import nesting

RESULT_BYTES_MAX = 64 << 10
TEXT_LENGTH_MAX = 1_000

State = Literal["init", "accepted", "waiting", "running", "successful", "failed", "rejected", "expired"]
STATES: tuple[State, ...] = get_args(State)
ENDS: frozenset[str] = frozenset(("successful", "failed", "rejected", "expired"))


class Result(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Where an order stands. `code` is stable, `text` for people, `output` what the order is for; `ts` in Unix milliseconds."""

    id: str
    order: str
    state: State
    ts: int
    code: str = ""
    text: Annotated[str, msgspec.Meta(max_length=TEXT_LENGTH_MAX)] = ""
    output: dict[str, Any] = {}


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Result)


def encode_result(result: Result) -> bytes:
    """A result's payload; output that would make it too large is left out, and said to be."""
    payload = _encoder.encode(result)
    if len(payload) > RESULT_BYTES_MAX:
        short = msgspec.structs.replace(result, output={"left_out_bytes": len(payload)})
        payload = _encoder.encode(short)
    return payload


def decode_result(payload: bytes) -> Result:
    """A result that came from a broker. Raises ValueError."""
    if len(payload) > RESULT_BYTES_MAX:
        raise ValueError(f"a result has {RESULT_BYTES_MAX} bytes at most")
    return nesting.decode(_decoder, payload)
