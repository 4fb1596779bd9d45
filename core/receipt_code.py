"""The code on a receipt: by it its transaction is found again, and a stranger sees that the receipt is genuine.

``TD1:till-3/EPOCH/17`` names a transaction: `TD1:` is the form's name; terminal, epoch (32 hex digits) and number are one
transaction's for all time. ``TD1:till-3/EPOCH/17/1234EUR/2026-11-24T14:03/SIGNATURE`` also says what it came to, in minor
units, when it ended in the shop's local time, and bears the terminal's Ed25519 signature over all before it, in base64url
without padding: 150 to 185 characters, a QR of version 8 to 10 at level M.

This module needs Python alone: it is part of the verifier that is given to strangers.
"""

import base64
import re
from dataclasses import dataclass, replace

from core.ed25519 import SIGNATURE_BYTES
from core.topics import check_terminal

PREFIX = "TD1:"
_TAG = b"terminald/receipt/1\0"

_FORM = re.compile(
    r"TD1:([^/]{1,64})/([0-9a-f]{32})/([1-9]\d{0,11})"
    r"(?:/(-?(?:0|[1-9]\d{0,14}))([A-Z]{3})/(\d{4}-\d\d-\d\dT\d\d:\d\d)(?:/([A-Za-z0-9_-]{86}))?)?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceiptCode:
    """Which transaction a receipt is of (POSLog WorkstationID and SequenceNumber, with the journal's epoch), and what it
    says of it; `ended` is empty where it only names the transaction, `signature` where nobody signed."""

    terminal: str
    epoch: str
    number: int
    total_minor: int = 0
    currency: str = ""
    ended: str = ""
    signature: str = ""

    def text(self) -> str:
        """As it stands in the code."""
        said = f"/{self.total_minor}{self.currency}/{self.ended}" if self.ended else ""
        signed = f"/{self.signature}" if self.signature else ""
        return f"{PREFIX}{self.terminal}/{self.epoch}/{self.number}{said}{signed}"

    def message(self) -> bytes:
        """What the terminal signs: everything before the signature, under a tag of its own."""
        return _TAG + replace(self, signature="").text().encode()

    def signed(self, signature: bytes) -> "ReceiptCode":
        """The same with the terminal's signature (64 bytes) over its `message`."""
        return replace(self, signature=base64.urlsafe_b64encode(signature).rstrip(b"=").decode())

    def signature_bytes(self) -> bytes:
        """64 bytes, or none."""
        return base64.urlsafe_b64decode(self.signature + "==") if self.signature else b""


def parse(text: str) -> ReceiptCode:
    """What `ReceiptCode.text` gave. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not the code of a receipt")
    check_terminal(found[1])
    code = ReceiptCode(
        terminal=found[1],
        epoch=found[2],
        number=int(found[3]),
        total_minor=int(found[4] or 0),
        currency=found[5] or "",
        ended=found[6] or "",
        signature=found[7] or "",
    )
    # 86 characters hold four bits more than 64 bytes do, and minus zero is none: one receipt has one code.
    signature = code.signature_bytes()
    if code.text() != text or (signature and code.signed(signature) != code):
        raise ValueError("not the code of a receipt")
    assert len(signature) in (0, SIGNATURE_BYTES)
    return code
