"""What the smart-card helper process says to the daemon: one JSON object a line."""

import msgspec

from core import nesting
from core.ports import ProtocolError
from core.stripe import CardKind
from drivers.codecs.nfc_lines import Alive, Fault, Line, Ready, Torn


class CardRead(Line, frozen=True, kw_only=True, tag="card_read"):
    """A card has one of the shop's applications; `number` is the one in it."""

    kind: CardKind
    number: str


class CardForeign(Line, frozen=True, kw_only=True, tag="card_foreign"):
    """A card has none of the shop's applications, or the number of a payment card in one."""

    is_payment: bool = False


AnyLine = Ready | Alive | CardRead | CardForeign | Torn | Fault

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
        raise ProtocolError("The smart-card helper process said something unknown.") from None
