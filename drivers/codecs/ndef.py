"""The text or URI of an NDEF message's first record [NFC Forum: NDEF 1.0, RTD Text 1.0, RTD URI 1.0], and such messages.

A tag is written by strangers: whatever it holds, `first_text` gives a bounded text or None, and raises nothing.
"""

from typing import Final

TEXT_CHARS_MAX: Final = 4096

_TNF_WELL_KNOWN = 1
_HAS_ID, _IS_SHORT, _IS_CHUNK = 0x08, 0x10, 0x20
_BEGINS, _ENDS = 0x80, 0x40
_IS_UTF_16 = 0x80
_URI_PREFIXES = (
    "", "http://www.", "https://www.", "http://", "https://", "tel:", "mailto:", "ftp://anonymous:anonymous@",
    "ftp://ftp.", "ftps://", "sftp://", "smb://", "nfs://", "ftp://", "dav://", "news:", "telnet://", "imap:",
    "rtsp://", "urn:", "pop:", "sip:", "sips:", "tftp:", "btspp://", "btl2cap://", "btgoep://", "tcpobex://",
    "irdaobex://", "file://", "urn:epc:id:", "urn:epc:tag:", "urn:epc:pat:", "urn:epc:raw:", "urn:epc:", "urn:nfc:",
)  # fmt: skip


def first_text(message: bytes) -> str | None:
    """The text, or the URI, of the first record; None where it is of another kind, broken, or longer than we take."""
    try:
        kind, payload = _first_record(message)
        if kind == b"T":
            text = _text(payload)
        elif kind == b"U":
            text = _URI_PREFIXES[payload[0]] + payload[1:].decode()
        else:
            return None
    except (IndexError, UnicodeDecodeError):
        return None
    return text if len(text) <= TEXT_CHARS_MAX else None


def text_message(text: str, language: str = "en") -> bytes:
    """A message of one Text record in UTF-8."""
    return _message(b"T", bytes([len(language)]) + language.encode() + text.encode())


def uri_message(uri: str) -> bytes:
    """A message of one URI record, with the longest prefix abbreviated."""
    code = max((n for n, prefix in enumerate(_URI_PREFIXES) if uri.startswith(prefix)), key=_prefix_length)
    return _message(b"U", bytes([code]) + uri[len(_URI_PREFIXES[code]) :].encode())


def _first_record(message: bytes) -> tuple[bytes, bytes]:
    """Type and payload of the first record; an empty type where it is not one of the well-known, in one piece."""
    flags, type_length = message[0], message[1]
    if flags & 0x07 != _TNF_WELL_KNOWN or flags & _IS_CHUNK:
        return b"", b""
    length_bytes = 1 if flags & _IS_SHORT else 4
    at = 2 + length_bytes
    payload_length = int.from_bytes(message[2:at], "big")
    id_length = 0
    if flags & _HAS_ID:
        id_length, at = message[at], at + 1
    start = at + type_length + id_length
    payload = message[start : start + payload_length]
    if len(payload) != payload_length:
        raise IndexError("the record is longer than the message")
    return message[at : at + type_length], payload


def _text(payload: bytes) -> str:
    status = payload[0]
    encoding = "utf-16" if status & _IS_UTF_16 else "utf-8"
    text = payload[1 + (status & 0x3F) :]
    if encoding == "utf-16" and text[:2] not in (b"\xfe\xff", b"\xff\xfe"):
        encoding = "utf-16-be"  # without a mark it is big-endian
    return text.decode(encoding)


def _message(kind: bytes, payload: bytes) -> bytes:
    flags = _BEGINS | _ENDS | _TNF_WELL_KNOWN
    if len(payload) < 256:
        return bytes([flags | _IS_SHORT, len(kind), len(payload)]) + kind + payload
    return bytes([flags, len(kind)]) + len(payload).to_bytes(4, "big") + kind + payload


def _prefix_length(code: int) -> int:
    return len(_URI_PREFIXES[code])
