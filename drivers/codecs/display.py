"""Customer displays of two rows, as bytes: Epson's ESC/POS for displays, and CD5220; and a screen that reads both back.

Sources: Epson, ESC/POS Command Reference for Customer Displays (DM-D110, DM-D30); the CD5220 command set as the makers of
2x20 vacuum fluorescent displays print it (Partner CD-7220, Bematech LV3000). Nothing is answered in either of them.
"""

import re
from collections.abc import Mapping
from typing import Final, Literal

Dialect = Literal["escpos", "cd5220"]
ROWS: Final = 2

CLEAR = b"\x1b@"  # ESC @ : both; empties the display, and resets it
_ESCPOS_CURSOR_OFF = b"\x1fC\x00"  # US C 0
_ESCPOS_OVERWRITE = b"\x1f\x01"  # US MD1 : at a row's end the cursor goes on, nothing scrolls
_CD5220_CURSOR_OFF = b"\x1b_\x00"  # ESC _ 0
_TABLE = b"\x1bt"  # ESC t n : both; the numbers differ
_UNSHOWABLE = re.compile(r"[\x00-\x1f\x7f-\x9f]")

TABLES: Mapping[Dialect, Mapping[str, int]] = {
    "escpos": {"CP437": 0, "CP850": 2, "CP852": 18, "CP858": 19, "CP1252": 16},
    "cd5220": {"CP437": 0, "CP850": 2},
}
"""The character tables of each dialect: a code page's name to the number that selects it."""


def lay_out(left: str, right: str, columns: int) -> str:
    """A row: `right` whole at its end, as far as it fits, `left` at its beginning, as far as there is room, and a space between."""
    left, right = (_UNSHOWABLE.sub("?", text) for text in (left, right))
    right = right[-columns:]
    room = columns - len(right) - 1 if right else columns
    return left[: max(room, 0)].ljust(columns - len(right)) + right


def set_up(dialect: Dialect, codepage: str) -> bytes:
    """What a display is told before it is drawn on; what it shows stays."""
    table = _TABLE + bytes((TABLES[dialect][codepage],))
    cursor = _ESCPOS_OVERWRITE + _ESCPOS_CURSOR_OFF if dialect == "escpos" else _CD5220_CURSOR_OFF
    return table + cursor


def draw(dialect: Dialect, codepage: str, rows: tuple[str, str]) -> bytes:
    """Both rows, over whatever was there. Each names its place, so that a byte lost in one does not move the next."""
    encoded = [row.encode(codepage, "replace") for row in rows]
    if dialect == "escpos":
        # US $ n m : column n, row m, from 1
        return b"".join(b"\x1f$\x01" + bytes((number,)) + row for number, row in enumerate(encoded, 1))
    # ESC Q A text CR, ESC Q B text CR : the upper and the lower row
    return b"".join(b"\x1bQ" + place + row + b"\r" for place, row in zip((b"A", b"B"), encoded, strict=True))


class Screen:
    """What a customer reads off a display that gets these bytes. Feeds in any pieces; what it does not know it skips."""

    def __init__(self, dialect: Dialect, columns: int = 20) -> None:
        self.columns = columns
        self._dialect = dialect
        self._codepage = "CP437"
        self._rest = b""
        self._reset()

    @property
    def rows(self) -> tuple[str, str]:
        """The two rows as they stand."""
        upper, lower = (bytes(row).decode(self._codepage, "replace") for row in self._cells)
        return upper, lower

    def feed(self, data: bytes) -> None:
        """Takes what came."""
        data = self._rest + data
        while data:
            used = self._take(data)
            if not used:
                break
            data = data[used:]
        self._rest = data

    def _reset(self) -> None:
        self._cells = [bytearray(b" " * self.columns) for _ in range(ROWS)]
        self._column = self._row = 0

    def _take(self, data: bytes) -> int:
        """How many bytes the first command or character has; 0 where more must come."""
        if data[0] == 0x0C:  # CLR
            self._reset()
            return 1
        if data[0] == 0x1B:
            return self._escape(data)
        if data[0] == 0x1F and self._dialect == "escpos":
            return self._unit_separator(data)
        if data[0] >= 0x20:
            self._put(data[0])
        return 1

    def _escape(self, data: bytes) -> int:
        if len(data) < 2:
            return 0
        match data[1:2]:
            case b"@":
                self._reset()
                return 2
            case b"t" if len(data) >= 3:
                names = {number: name for name, number in TABLES[self._dialect].items()}
                self._codepage = names.get(data[2], self._codepage)
                return 3
            case b"_" if len(data) >= 3:
                return 3
            case b"Q" if self._dialect == "cd5220":
                end = data.find(b"\r")
                if end < 0:
                    return 0 if len(data) <= self.columns + 4 else 2
                if data[2:3] in (b"A", b"B"):
                    row = data[3:end][: self.columns].ljust(self.columns)
                    self._cells[data[2] - ord("A")] = bytearray(row)
                return end + 1
            case b"t" | b"_":
                return 0
        return 2

    def _unit_separator(self, data: bytes) -> int:
        if len(data) < 2:
            return 0
        if data[1:2] == b"$":
            if len(data) < 4:
                return 0
            self._column = min(max(data[2], 1), self.columns) - 1
            self._row = min(max(data[3], 1), ROWS) - 1
            return 4
        if data[1:2] == b"C":
            return 3 if len(data) >= 3 else 0
        return 2

    def _put(self, character: int) -> None:
        self._cells[self._row][self._column] = character
        self._column += 1
        if self._column == self.columns:
            self._column = 0
            self._row = (self._row + 1) % ROWS
