"""JSON from outside: nested too deeply it is no message, and an error like any other."""

from typing import TypeVar

import msgspec

T = TypeVar("T")


def decode(decoder: msgspec.json.Decoder[T], data: bytes | str | msgspec.Raw) -> T:
    """What `decoder` makes of it. Raises msgspec.DecodeError (a ValueError), and UnicodeDecodeError (one too).

    msgspec itself raises RecursionError on some hundred brackets, which is no ValueError and ends what takes it for one.
    """
    try:
        return decoder.decode(data)
    except RecursionError:
        raise msgspec.DecodeError("JSON is nested too deeply") from None
