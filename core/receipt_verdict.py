"""Whether the code on a receipt is genuine, by the terminals' public keys and nothing else.

This module needs Python alone: it is part of the verifier that is given to strangers.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from core import ed25519
from core.receipt_code import ReceiptCode, parse

Finding = Literal["genuine", "forged", "other-terminal", "damaged", "unsigned"]
"""``forged``: the key did not sign this, so that the code was made up or altered. ``other-terminal``: the receipt is of a
terminal whose key is not given. ``damaged``: not a whole code. ``unsigned``: it names a transaction and proves nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicKey:
    """A terminal's Ed25519 key (32 bytes); without a name it is taken for any terminal's."""

    key: bytes
    terminal: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What was found; `code` is what the receipt says of itself, which is true only where it is genuine."""

    finding: Finding
    code: ReceiptCode | None = None


def judge(text: str, keys: Iterable[PublicKey]) -> Verdict:
    """Whether the holder of one of the keys signed this code."""
    try:
        code = parse(text)
    except ValueError:
        return Verdict(finding="damaged")
    if not code.signature:
        return Verdict(finding="unsigned", code=code)
    fitting = [key for key in keys if key.terminal in ("", code.terminal)]
    if not fitting:
        return Verdict(finding="other-terminal", code=code)
    signature, message = code.signature_bytes(), code.message()
    genuine = any(ed25519.verify(key.key, message, signature) for key in fitting)
    return Verdict(finding="genuine" if genuine else "forged", code=code)


def read_keys(text: str) -> tuple[PublicKey, ...]:
    """Keys, one a line: 64 hex digits, the terminal's id before them or none; ``#`` begins a comment.

    Raises ValueError that names the line.
    """
    keys = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            key = bytes.fromhex(words[-1])
        except ValueError:
            key = b""
        if len(words) > 2 or not ed25519.is_public_key(key):
            raise ValueError(f"line {number} is no public key: 64 hex digits are, after a terminal's id or alone")
        keys.append(PublicKey(key=key, terminal=words[0] if len(words) == 2 else ""))
    if not keys:
        raise ValueError("there is no public key: 64 hex digits are one")
    return tuple(keys)
