"""The terminal's signature in the codes that its receipts carry: the core composes them, and only the shell has the key."""

import msgspec

from core import receipt_code
from core.document import Document, QrCode
from core.ports import Signer


def signed_text(text: str, signer: Signer) -> str:
    """A receipt's code with the terminal's signature. The same code has the same one each time (RFC 8032)."""
    code = receipt_code.parse(text)
    if not code.ended:
        return text  # of a sale that an older version completed: it names the transaction, and proves nothing
    return code.signed(signer.sign(code.message())).text()


def sealed(document: Document, signer: Signer) -> Document:
    """The document with each code signed that is to be."""
    elements = tuple(
        QrCode(data=signed_text(element.data, signer)) if isinstance(element, QrCode) and element.to_sign else element
        for element in document.elements
    )
    return msgspec.structs.replace(document, elements=elements)
