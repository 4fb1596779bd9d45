"""The code on a receipt by which its transaction is found again: ``TD1:till-3/EPOCH/17``, and a signature behind it.

`TD1:` is the form's name. Terminal, epoch (32 hex digits) and number name one transaction for all time; a fourth part, in
base64url, is for a signature over the text before it.
"""

import re

import msgspec

from core.topics import check_terminal

PREFIX = "TD1:"

_FORM = re.compile(r"TD1:([^/]{1,64})/([0-9a-f]{32})/([1-9]\d{0,11})(?:/([A-Za-z0-9_-]{1,200}))?", re.ASCII)


class ReceiptCode(msgspec.Struct, frozen=True, kw_only=True):
    """Which transaction a receipt is of (POSLog WorkstationID and SequenceNumber, with the journal's epoch)."""

    terminal: str
    epoch: str
    number: int
    signature: str = ""

    def text(self) -> str:
        """As it stands in the code."""
        signed = f"/{self.signature}" if self.signature else ""
        return f"{PREFIX}{self.terminal}/{self.epoch}/{self.number}{signed}"


def parse(text: str) -> ReceiptCode:
    """What `ReceiptCode.text` gave. Raises ValueError."""
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError("not the code of a receipt")
    check_terminal(found[1])
    return ReceiptCode(terminal=found[1], epoch=found[2], number=int(found[3]), signature=found[4] or "")
