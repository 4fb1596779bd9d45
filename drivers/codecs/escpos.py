"""A document in ESC/POS: bytes for the paper, and the printer's status bytes read back.

Source: Epson's ESC/POS Command Reference. The names of the commands are in the comments beside their bytes.
"""

import re
import textwrap
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from core.document import Barcode, Cut, Document, Element, Feed, Logo, QrCode, Rule, Text
from core.events import PaperStatus

INITIALISE = b"\x1b@"  # ESC @
KANJI_OFF = b"\x1c."  # FS . : printers made for China otherwise read umlauts as halves of ideographs
STATUS_BACK_ON = b"\x1da\xff"  # GS a : Automatic Status Back (ASB) for every change; ESC @ switches it off
ASK_STATUS = b"\x10\x04\x01\x10\x04\x02\x10\x04\x04"  # DLE EOT 1, 2, 4 : answered at once, in this order, a byte each
ASK_PROCESSED = b"\x1dr\x01"  # GS r 1 : answered when all that came before it has been printed

PULSE_STEP_MS = 2
PULSE_STEP_REALTIME_MS = 100


def pulse(connector: int, pulse_ms: int, *, realtime: bool) -> bytes:
    """A pulse on the drawer's connector 1 or 2 (pins 2 and 5), in its turn (ESC p m t1 t2) or at once (DLE DC4 1 m t).

    The first counts in steps of 2 ms, with a rest of twice the pulse; the second in steps of 100 ms, 8 at most.
    """
    if realtime:
        return b"\x10\x14\x01" + bytes((connector - 1, min(max(-(-pulse_ms // PULSE_STEP_REALTIME_MS), 1), 8)))
    on = min(max(pulse_ms // PULSE_STEP_MS, 1), 255)
    return b"\x1bp" + bytes((connector - 1, on, min(2 * on, 255)))


QR_DOTS = 6
"""Printer dots a QR module: 0.75 mm at 203 dots an inch, read well by a phone."""
QR_LEVEL_M = 0x31

CHINESE_ON = b"\x1c&"  # FS & : what follows is GB18030, two columns an ideograph [Xprinter, Epson TM for China]
# The first has four bytes in GB18030, and many printers have two.
YEN, FULL_YEN = "\N{YEN SIGN}", "\N{FULLWIDTH YEN SIGN}"
CENTRE = b"\x1ba\x01"  # ESC a 1
LEFT = b"\x1ba\x00"
BARCODE_SET = b"\x1dH\x02\x1dh\x50\x1dw\x02"  # GS H 2, GS h 80, GS w 2 : text below, 10 mm high, bars of 2 dots
DOTS_A_COLUMN = 12
CODE128_MODULES = 11  # a character; start, check and stop are 35 more

# What a western printer has: ESC t's number by Python's codec, in the order in which they are tried.
CODEPAGES = {"CP437": 0, "CP850": 2, "CP857": 13, "CP737": 14, "CP1252": 16, "CP866": 17, "CP852": 18, "CP858": 19}
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")

_PLAIN = b"\x1b!\x00"  # ESC ! 0
_LARGE = b"\x1b!\x30"  # twice as wide and as high
_LIGHT = b"\x1bE\x00"  # ESC E
_BOLD = b"\x1bE\x01"
_STYLES = {
    "plain": _PLAIN + _LIGHT + LEFT,
    "bold": _PLAIN + _BOLD + LEFT,
    "large": _LARGE + _LIGHT + LEFT,
    "centre": _PLAIN + _LIGHT + CENTRE,
    "centre-large": _LARGE + _LIGHT + CENTRE,
}
CUT = b"\x1bd\x06\x1dV\x00"  # ESC d 6 : the last lines past the knife; GS V 0


class EscposEncoder:
    """Draws documents `columns` characters wide.

    `codepage` is the character table that is tried first, or ``GB18030`` for printers made for China. `logo` is what
    `drivers.codecs.escpos_raster.raster` makes of a picture.
    """

    def __init__(self, columns: int, codepage: str, logo: bytes = b"") -> None:
        self._columns = columns
        self._codepage = codepage
        self._is_chinese = codepage == "GB18030"
        self._logo = logo

    def encode(self, document: Document) -> bytes:
        """The whole piece of paper, from ESC @ on, so that nothing of a torn one before it is left in the printer."""
        if self._is_chinese:
            start, text = INITIALISE + CHINESE_ON + STATUS_BACK_ON, _in_chinese
        else:
            tables = _Tables(self._codepage)
            start, text = INITIALISE + KANJI_OFF + STATUS_BACK_ON + tables.chosen(), tables.encode
        return start + b"".join(self._draw(element, text) for element in document.elements)

    def _draw(self, element: Element, text: Callable[[str], bytes]) -> bytes:
        match element:
            case Text():
                columns = self._columns // 2 if "large" in element.style else self._columns
                lines = lay_out(element.left, element.right, columns, chinese=self._is_chinese)
                return _STYLES[element.style] + b"".join(text(line) + b"\n" for line in lines)
            case Rule():
                return _STYLES["plain"] + b"-" * self._columns + b"\n"
            case Feed():
                return b"\x1bd" + bytes((element.lines,))  # ESC d
            case QrCode():
                return CENTRE + _qr(element.data) + LEFT
            case Barcode():
                return self._barcode(element, text)
            case Logo():
                return CENTRE + self._logo + LEFT if self._logo else b""
            case Cut():
                return CUT
        assert_never(element)

    def _barcode(self, code: Barcode, text: Callable[[str], bytes]) -> bytes:
        """The bars; what cannot be such a code, or is too wide for the paper, is printed as text."""
        bars = _barcode_bytes(code)
        modules = CODE128_MODULES * len(code.data) + 35
        if bars is None or (code.kind == "code128" and 2 * modules > DOTS_A_COLUMN * self._columns):
            return self._draw(Text(left=code.data, style="centre"), text)
        return CENTRE + BARCODE_SET + bars + LEFT


class _Tables:
    """One paper's character tables: the one that is in force is left only where it lacks a character."""

    def __init__(self, codepage: str) -> None:
        self._now = codepage
        self._order = [codepage, *(name for name in CODEPAGES if name != codepage)]

    def chosen(self) -> bytes:
        """ESC t n: the table that is in force."""
        return b"\x1bt" + bytes((CODEPAGES[self._now],))

    def encode(self, text: str) -> bytes:
        """What no table has becomes a question mark."""
        found = bytearray()
        for character in text:
            table = next((name for name in (self._now, *self._order) if _has(name, character)), None)
            if table is None:
                found += b"?"
                continue
            if table != self._now:
                self._now = table
                self._order.remove(table)
                self._order.insert(1, table)  # after the first choice: where one came from, more will
                found += self.chosen()
            found += character.encode(table)
        return bytes(found)


def _has(table: str, character: str) -> bool:
    try:
        character.encode(table)
    except UnicodeEncodeError:
        return False
    return True


def _in_chinese(text: str) -> bytes:
    return text.encode("gb18030")


def _qr(data: str) -> bytes:
    """GS ( k: model 2, size, error correction, the data, print."""
    content = data.encode()
    parts = (
        b"\x31\x41\x32\x00",
        bytes((0x31, 0x43, QR_DOTS)),
        bytes((0x31, 0x45, QR_LEVEL_M)),
        b"\x31\x50\x30" + content,
        b"\x31\x51\x30",
    )
    return b"".join(b"\x1d(k" + len(part).to_bytes(2, "little") + part for part in parts)


def lay_out(left: str, right: str, columns: int, *, chinese: bool = False) -> list[str]:
    """`left` from the left margin, wrapped where it is too long, `right` at the end of its last line.

    Control characters become question marks: text from a catalogue never commands the printer. In Chinese, all that is
    no ASCII takes two columns.
    """
    left, right = _printable(left, chinese), _printable(right, chinese)
    width = _columns_of if chinese else len
    while width(right) > columns:
        right = right[:-1]
    room = columns - width(right) - 1 if right else columns
    if width(left) <= room:
        lines = [left]
    else:
        lines = _wrap(left, columns) if chinese else textwrap.wrap(left, columns, drop_whitespace=True) or [""]
        if width(lines[-1]) > room:
            lines.append("")
    if right:
        lines[-1] += " " * (columns - width(lines[-1]) - width(right)) + right
    return lines


def _columns_of(text: str) -> int:
    return sum(1 if character.isascii() else 2 for character in text)


def _wrap(text: str, columns: int) -> list[str]:
    """Breaks at a space where there is one in the line, else between any two characters."""
    lines = []
    while _columns_of(text) > columns:
        end = len(text)
        while _columns_of(text[:end]) > columns:
            end -= 1
        space = text.rfind(" ", 1, end + 1)
        cut = space if space > 0 else end
        lines.append(text[:cut].rstrip(" "))
        text = text[cut:].lstrip(" ")
    return [*lines, text]


def _printable(text: str, chinese: bool) -> str:
    text = _CONTROL.sub("?", unicodedata.normalize("NFC", text))
    return text.replace(YEN, FULL_YEN) if chinese else text


def _barcode_bytes(code: Barcode) -> bytes | None:
    """GS k m n data; None for what cannot be such a code."""
    if code.kind == "ean13":
        if re.fullmatch(r"[0-9]{12,13}", code.data):
            return b"\x1dk\x43" + bytes((len(code.data),)) + code.data.encode()
        return None
    if not re.fullmatch(r"[ -~]{1,80}", code.data):
        return None
    data = b"{B" + code.data.replace("{", "{{").encode()
    return b"\x1dk\x49" + bytes((len(data),)) + data


# --- status --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class PrinterStatus:
    """What the printer says of itself. `online` is false for any reason that keeps it from printing."""

    online: bool
    cover_open: bool
    paper: PaperStatus
    drawer_high: bool
    """The level of pin 3 of the drawer's connector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBack:
    """An ASB block: unasked, or after GS a."""

    status: PrinterStatus


@dataclass(frozen=True, slots=True, kw_only=True)
class RealTimeReply:
    """One byte that answers one DLE EOT; which one, only their order tells."""

    value: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Processed:
    """The answer to GS r."""


class StatusDecoder:
    """What a printer sends, byte by byte, apart: fixed bits tell the kinds. Anything else (XON, ids) is left out."""

    def __init__(self) -> None:
        self._block = bytearray()

    def feed(self, data: bytes) -> list[StatusBack | RealTimeReply | Processed]:
        """What these bytes complete, in order."""
        found: list[StatusBack | RealTimeReply | Processed] = []
        for byte in data:
            if byte & 0x93 == 0x10:  # 0xx1xx00 begins an ASB block
                self._block[:] = bytes((byte,))
            elif byte & 0x93 == 0x12:  # 0xx1xx10
                found.append(RealTimeReply(value=byte))
            elif byte & 0x90 == 0x00 and self._block:  # 0xx0xxxx goes on with it
                self._block.append(byte)
                if len(self._block) == 4:
                    found.append(StatusBack(status=_from_block(self._block)))
                    self._block.clear()
            elif byte & 0x90 == 0x00:
                found.append(Processed())
        return found


def from_replies(printer: int, offline: int, paper: int) -> PrinterStatus:
    """The answers to DLE EOT 1, 2 and 4."""
    if paper & 0x60:
        kind = PaperStatus.OUT
    else:
        kind = PaperStatus.NEAR_END if paper & 0x0C else PaperStatus.OK
    return PrinterStatus(
        online=not printer & 0x08, cover_open=bool(offline & 0x04), paper=kind, drawer_high=bool(printer & 0x04)
    )


def _from_block(block: bytearray) -> PrinterStatus:
    if block[2] & 0x0C:
        kind = PaperStatus.OUT
    else:
        kind = PaperStatus.NEAR_END if block[2] & 0x03 else PaperStatus.OK
    return PrinterStatus(
        online=not block[0] & 0x08, cover_open=bool(block[0] & 0x20), paper=kind, drawer_high=bool(block[0] & 0x04)
    )
