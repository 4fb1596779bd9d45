"""A document in ESC/POS: bytes for the paper, by python-escpos, and the printer's status bytes read back.

Source: Epson's ESC/POS Command Reference. The names of the commands are in the comments beside their bytes.
"""

import re
import textwrap
import unicodedata
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
QR_LEVEL_M = 1

CHINESE_ON = b"\x1c&"  # FS & : what follows is GB18030, two columns an ideograph [Xprinter, Epson TM for China]
YEN, FULL_YEN = (
    "\N{YEN SIGN}",
    "\N{FULLWIDTH YEN SIGN}",
)  # the first has four bytes in GB18030, and many printers have two
CENTRE = b"\x1ba\x01"  # ESC a 1
LEFT = b"\x1ba\x00"
BARCODE_SET = b"\x1dH\x02\x1dh\x50\x1dw\x02"  # GS H 2, GS h 80, GS w 2 : text below, 10 mm high, bars of 2 dots
DOTS_A_COLUMN = 12
CODE128_MODULES = 11  # a character; start, check and stop are 35 more

# What a western printer has, by python-escpos' names; text that needs another one gets question marks.
_PAGES = ("CP437", "CP850", "CP852", "CP858", "CP866", "CP737", "CP857", "CP1252")
# python-escpos would send a whole line as GB18030 for the sake of one ideograph.
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u4e00-\u9fff]")

_STYLES = {
    "plain": {"align": "left", "bold": False},
    "bold": {"align": "left", "bold": True},
    "large": {"align": "left", "bold": False, "double_width": True, "double_height": True},
    "centre": {"align": "center", "bold": False},
    "centre-large": {"align": "center", "bold": False, "double_width": True, "double_height": True},
}


class EscposEncoder:
    """Draws documents `columns` characters wide. Making one imports python-escpos, which takes a quarter of a second.

    `codepage` is the character table that is tried first, or ``GB18030`` for printers made for China. `logo` is what
    `drivers.codecs.escpos_raster.raster` makes of a picture.
    """

    def __init__(self, columns: int, codepage: str, logo: bytes = b"") -> None:
        from escpos.magicencode import Encoder, MagicEncode
        from escpos.printer import Dummy

        self._columns = columns
        self._codepage = codepage
        self._is_chinese = codepage == "GB18030"
        self._logo = logo
        self._paper = Dummy()
        known = self._paper.profile.get_code_pages()
        self._pages = {name: number for name, number in known.items() if name in _PAGES}
        self._encoder, self._magic = Encoder, MagicEncode

    def encode(self, document: Document) -> bytes:
        """The whole piece of paper, from ESC @ on, so that nothing of a torn one before it is left in the printer."""
        paper = self._paper
        paper.clear()
        if self._is_chinese:
            for element in document.elements:
                self._draw(element)
            return INITIALISE + CHINESE_ON + STATUS_BACK_ON + bytes(paper.output)
        # Fresh, so that the same document gives the same bytes whatever was printed before.
        encoder = self._encoder(self._pages)
        encoder.used_encodings.add(self._codepage)  # tried first each time another page was needed
        paper.magic = self._magic(paper, encoder=encoder)
        paper.magic.write_with_encoding(self._codepage, None)
        for element in document.elements:
            self._draw(element)
        return INITIALISE + KANJI_OFF + STATUS_BACK_ON + bytes(paper.output)

    def _draw(self, element: Element) -> None:
        paper = self._paper
        match element:
            case Text():
                wide = "large" in element.style
                style = _STYLES[element.style]
                paper.set(normal_textsize=not wide, **style)
                columns = self._columns // 2 if wide else self._columns
                for line in lay_out(element.left, element.right, columns, chinese=self._is_chinese):
                    self._line(line)
            case Rule():
                paper.set(normal_textsize=True, **_STYLES["plain"])
                self._line("-" * self._columns)
            case Feed():
                paper.print_and_feed(element.lines)
            case QrCode():
                paper.set(**_STYLES["centre"])
                paper.qr(element.data, ec=QR_LEVEL_M, size=QR_DOTS, native=True)
            case Barcode():
                self._barcode(element)
            case Logo():
                if self._logo:
                    paper._raw(CENTRE + self._logo + LEFT)
            case Cut():
                paper.cut()
            case _:
                assert_never(element)

    def _line(self, text: str) -> None:
        if self._is_chinese:
            self._paper._raw(text.encode("gb18030") + b"\n")
        else:
            self._paper.textln(text)

    def _barcode(self, code: Barcode) -> None:
        """The bars; what cannot be such a code, or is too wide for the paper, is printed as text."""
        bars = _barcode_bytes(code)
        modules = CODE128_MODULES * len(code.data) + 35
        if bars is None or (code.kind == "code128" and 2 * modules > DOTS_A_COLUMN * self._columns):
            self._draw(Text(left=code.data, style="centre"))
            return
        self._paper._raw(CENTRE + BARCODE_SET + bars + LEFT)


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
    text = unicodedata.normalize("NFC", text)
    if chinese:
        return _CONTROL.sub("?", text).replace(YEN, FULL_YEN)
    return _UNPRINTABLE.sub("?", text)


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
