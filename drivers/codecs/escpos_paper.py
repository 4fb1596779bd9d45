"""ESC/POS read as a printer reads it: bytes in, what happens to the paper out. Without I/O; the printer's far end.

It knows what receipts are made of and the lengths of the other common commands, so that it stays in step with them.
Source: Epson's ESC/POS Command Reference.
"""

import codecs
import re
from dataclasses import dataclass
from typing import Literal

Align = Literal["left", "centre", "right"]

INPUT_BYTES_MAX = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class LinePrinted:
    """One line of text. `large` takes two columns a character."""

    text: str
    bold: bool = False
    large: bool = False
    align: Align = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperFed:
    """Empty lines."""

    lines: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QrPrinted:
    """A QR code."""

    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BarcodePrinted:
    """A bar code: `kind` is ``ean13`` or ``code128``."""

    kind: str
    data: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RasterPrinted:
    """A picture: `rows` from the top, each `width` dots wide, 8 dots a byte, 1 is black."""

    width: int
    rows: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PaperCut:
    """The paper was cut here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Initialised:
    """ESC @: what was not printed yet is forgotten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusBackSet:
    """GS a: which changes are to be told unasked; 0 is none."""

    mask: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessedAsked:
    """GS r: to be answered now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawerKicked:
    """ESC p: a pulse on the drawer's connector."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotUnderstood:
    """Bytes that are no command we know."""

    data: bytes


Happening = (
    LinePrinted | PaperFed | QrPrinted | BarcodePrinted | RasterPrinted | PaperCut | Initialised | StatusBackSet | ProcessedAsked | DrawerKicked
    | NotUnderstood
)  # fmt: skip

# How many bytes follow; commands with a length of their own are in `_length`.
_ARGUMENTS = {
    b"\x1b": {
        **dict.fromkeys(b"@2<", 0),
        **dict.fromkeys(b"!EGatdJM-R{V3 =%?SU", 1),
        **dict.fromkeys(b"c$\\", 2),
        **dict.fromkeys(b"p", 3),
    },
    b"\x1d": {**dict.fromkeys(b"!BabrhHwfIE:", 1), **dict.fromkeys(b"LWP", 2)},
    b"\x1c": {**dict.fromkeys(b".&", 0), **dict.fromkeys(b"!-CW", 1), **dict.fromkeys(b"S", 2)},
    b"\x10": {0x04: 1, 0x05: 1, 0x14: 3},
}

# The table's numbers after ESC t on Epson's TM series, and Python's names.
_PAGES = {
    0: "cp437", 2: "cp850", 3: "cp860", 4: "cp863", 5: "cp865", 13: "cp857", 14: "cp737", 15: "iso8859_7", 16: "cp1252",
    17: "cp866", 18: "cp852", 19: "cp858", 33: "cp775", 34: "cp855", 35: "cp861", 36: "cp862", 37: "cp864",
    38: "cp869", 39: "iso8859_2", 40: "iso8859_15", 45: "cp1250", 46: "cp1251", 47: "cp1253", 48: "cp1254",
    49: "cp1255", 50: "cp1256", 51: "cp1257", 52: "cp1258",
}  # fmt: skip

_BARCODES = {67: "ean13", 73: "code128"}  # function B of GS k
_GB18030 = codecs.getincrementaldecoder("gb18030")
_TEXT = re.compile(rb"[\x20-\x7e\x80-\xff]+")
_ALIGN: dict[int, Align] = {0: "left", 1: "centre", 2: "right", 48: "left", 49: "centre", 50: "right"}


class PaperDecoder:
    """A printer's command interpreter, `columns` characters of font A wide.

    `feed` puts bytes into its receive buffer, `step` takes one happening out: the far end can stop in between, as a
    printer without paper does.
    """

    def __init__(self, columns: int = 42) -> None:
        self._columns = columns
        self._input = bytearray()
        self._ready: list[Happening] = []
        self._line = ""
        self._used = 0
        self._chinese: codecs.IncrementalDecoder | None = None
        self._qr = b""
        self._page = "cp437"
        self._bold = False
        self._large = False
        self._align: Align = "left"

    def feed(self, data: bytes) -> None:
        """Bytes for later. What a full buffer cannot hold is lost."""
        self._input += data[: INPUT_BYTES_MAX - len(self._input)]

    def clear(self) -> None:
        """The power was off: buffers and modes are as on the first day."""
        self._input.clear()
        self._ready.clear()
        self._reset()

    def step(self) -> Happening | None:
        """The next thing that happens, or None until more bytes come."""
        while not self._ready and self._input:
            if text := _TEXT.match(self._input):
                self._write(self._decoded(text[0]))
                del self._input[: text.end()]
                continue
            length = self._length()
            if length is None or len(self._input) < length:
                return None
            command = bytes(self._input[:length])
            del self._input[:length]
            self._run(command)
        return self._ready.pop(0) if self._ready else None

    def _length(self) -> int | None:
        """How long the command is that the input begins with; None when that cannot be told yet."""
        data = self._input
        arguments = _ARGUMENTS.get(bytes(data[:1]))
        if arguments is None:
            return 1
        if len(data) < 2:
            return None
        if data[:2] == b"\x1d(":  # GS ( X pL pH ...
            return 5 + data[3] + 256 * data[4] if len(data) >= 5 else None
        if data[:2] == b"\x1dv" and bytes(data[2:3]) in (b"", b"0"):  # GS v 0 m xL xH yL yH : raster
            return 8 + (data[4] + 256 * data[5]) * (data[6] + 256 * data[7]) if len(data) >= 8 else None
        if data[:2] == b"\x1dV":  # GS V m [n]
            return (3 if data[2] in b"\x00\x0101" else 4) if len(data) >= 3 else None
        if data[:2] == b"\x1bD":  # ESC D : tab stops, ended by NUL
            end = data.find(0, 2)
            return end + 1 if end >= 0 else None
        if data[:2] == b"\x1dk":  # GS k : a bar code, ended by NUL or with its length
            return self._barcode_length()
        return 2 + arguments.get(data[1], 0)

    def _barcode_length(self) -> int | None:
        data = self._input
        if len(data) < 4:
            return None
        if data[2] >= 65:
            return 4 + data[3]
        end = data.find(0, 3)
        return end + 1 if end >= 0 else None

    def _decoded(self, data: bytes) -> str:
        """In Chinese mode a character may come in pieces."""
        return self._chinese.decode(data) if self._chinese is not None else data.decode(self._page, "replace")

    def _run(self, command: bytes) -> None:
        if self._chinese is not None:
            self._write(self._chinese.decode(b"", final=True))
        code, argument = command[:2], command[2] if len(command) > 2 else 0
        if command == b"\n":
            self._end_line()
        elif command in (b"\r", b"\x00"):
            pass
        elif command == b"\t":
            self._write(" " * (8 - len(self._line) % 8))
        elif code == b"\x1b@":
            self._reset()
            self._ready.append(Initialised())
        elif code == b"\x1c&":
            self._chinese = _GB18030("replace")
        elif code == b"\x1c.":
            self._chinese = None
        elif command[:3] == b"\x1dv0":
            row_bytes = command[4] + 256 * command[5]
            dots = command[8:]
            rows = tuple(dots[at : at + row_bytes] for at in range(0, len(dots), row_bytes or 1))
            self._ready.append(RasterPrinted(width=8 * row_bytes, rows=rows))
        elif code == b"\x1dk" and command[2] in _BARCODES:
            data = command[4:].decode("ascii", "replace")
            kind = _BARCODES[command[2]]
            data = data.removeprefix("{B").replace("{{", "{") if kind == "code128" else data
            self._ready.append(BarcodePrinted(kind=kind, data=data))
        elif code == b"\x1bt":
            self._page = _PAGES.get(argument, "cp437")
        elif code in _MODES:
            self._set_mode(code, argument)
        elif code == b"\x1bd":
            if self._line:
                self._end_line()
                argument -= 1
            self._ready.append(PaperFed(lines=max(argument, 0)))
        elif code == b"\x1d(":
            self._run_sized(command)
        elif code == b"\x1dV":
            if self._line:
                self._end_line()
            self._ready.append(PaperCut())
        elif code == b"\x1da":
            self._ready.append(StatusBackSet(mask=argument))
        elif code == b"\x1dr":
            self._ready.append(ProcessedAsked())
        elif code == b"\x1bp":
            self._ready.append(DrawerKicked())
        elif (code[1:2] and code[1] in _ARGUMENTS[code[:1]]) or code in (b"\x1dv", b"\x1dk", b"\x1bD"):
            pass  # known, and nothing that our paper shows
        else:
            self._ready.append(NotUnderstood(data=command))

    def _set_mode(self, code: bytes, argument: int) -> None:
        if code == b"\x1b!":  # font, emphasis and size in one byte
            self._bold = bool(argument & 0x08)
            self._large = bool(argument & 0x20)
        elif code in (b"\x1bE", b"\x1bG"):
            self._bold = bool(argument & 1)
        elif code == b"\x1d!":  # width in the high half
            self._large = argument >> 4 > 0
        elif code == b"\x1ba":
            self._align = _ALIGN.get(argument, "left")

    def _run_sized(self, command: bytes) -> None:
        """GS ( k with cn 49 is the QR code: function 80 stores the data, 81 prints it."""
        if command[2:3] == b"k" and command[5:7] == b"1P":
            self._qr = command[8:]
        elif command[2:3] == b"k" and command[5:7] == b"1Q":
            self._ready.append(QrPrinted(data=self._qr.decode("utf-8", "replace")))

    def _write(self, text: str) -> None:
        """A line that is full prints itself."""
        columns = self._columns // 2 if self._large else self._columns
        for character in text:
            width = 2 if self._chinese is not None and not character.isascii() else 1
            if self._used + width > columns:
                self._end_line()
            self._line += character
            self._used += width

    def _end_line(self) -> None:
        if self._line:
            line = LinePrinted(text=self._line.rstrip(), bold=self._bold, large=self._large, align=self._align)
            self._ready.append(line)
            self._line = ""
            self._used = 0
        else:
            self._ready.append(PaperFed(lines=1))

    def _reset(self) -> None:
        self._line = ""
        self._used = 0
        self._chinese = None
        self._qr = b""
        self._page = "cp437"
        self._bold = False
        self._large = False
        self._align = "left"


_MODES = (b"\x1b!", b"\x1bE", b"\x1bG", b"\x1d!", b"\x1ba")
