"""The printer's paper as it comes out of the slot: line by line, with style, QR codes and the edge where it was cut."""

from collections import deque
from typing import assert_never

import segno
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from drivers.codecs.escpos_paper import BarcodePrinted, LinePrinted, PaperFed, QrPrinted, RasterPrinted
from drivers.simulated.printer import COLUMNS, Mark
from ui.merchant import palette

ROWS_MAX = 600
"""What is kept of the roll; the oldest goes."""
WIDTH = COLUMNS + 4
"""With the paper's margins, where there is room for them."""
PRINT_S = 0.03
"""A row each time: slow enough to be seen. A backlog is printed faster."""
_BACKLOG_ROWS = 25
_NEAR_END_ROWS = 4

_PAPER = "#f7f3e8"
_INK = "#26231c"
_PLAIN = Style.parse(f"{_INK} on {_PAPER}")
_BOLD = Style.parse(f"bold {_INK} on {_PAPER}")
_EDGE = Style.parse(f"{_PAPER} on {palette.GROUND}")
_GROUND = Style.parse(f"on {palette.GROUND}")
_FAINT = Style.parse(f"{palette.FAINT} on {palette.GROUND}")
_EMPTY = "receipts come out here"

Row = tuple[str, Style]


class PaperRoll(ScrollView):
    """White paper that grows upwards out of a slot at its foot; older pieces stay above and can be scrolled to."""

    DEFAULT_CSS = f"""
    PaperRoll {{
        width: 100%;
        background: {palette.GROUND};
        scrollbar-size-vertical: 0;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
    }}
    """

    can_focus = False

    def __init__(self) -> None:
        super().__init__()
        self._rows: deque[Row] = deque(maxlen=ROWS_MAX)
        self._coming: deque[Row] = deque(maxlen=ROWS_MAX)
        self._open = False
        self._follows = True
        self.pieces = 0
        """Papers that were cut off so far."""

    def on_mount(self) -> None:
        self.set_interval(PRINT_S, self._print, name="paper")

    def mark(self, mark: Mark) -> None:
        """The printer's head made this."""
        if not self._open:
            self._open = True
            self._coming.append(("", _PLAIN))
        match mark:
            case PaperFed():
                self._coming.extend([("", _PLAIN)] * min(mark.lines, 3))
            case LinePrinted():
                self._coming.append((_shown(mark), _BOLD if mark.bold or mark.large else _PLAIN))
            case QrPrinted():
                self._coming.extend((row, _PLAIN) for row in _qr(mark.data))
            case BarcodePrinted():
                self._coming.extend((row.center(COLUMNS), _PLAIN) for row in (_bars(mark.data), mark.data))
            case RasterPrinted():
                self._coming.extend((row, _PLAIN) for row in _picture(mark))
            case _:
                assert_never(mark)

    def cut(self, *, torn: bool = False) -> None:
        """The knife came down; a torn paper ends in a ragged edge."""
        if self._open:
            self._open = False
            self.pieces += 1
            edge = ("\N{UPPER HALF BLOCK}\N{LOWER HALF BLOCK}" * (WIDTH // 2), _EDGE)
            self._coming.append(edge if torn else ("", _GROUND))

    def text(self) -> str:
        """All that is in sight or was, for tests and for reading aloud."""
        return "\n".join(text for text, _ in [*self._rows, *self._coming])

    def finish(self) -> None:
        """Shows at once what is still to come."""
        self._rows.extend(self._coming)
        self._coming.clear()
        self._grow()

    def render_line(self, y: int) -> Strip:
        height = self.scrollable_content_region.height
        if not self._rows and y == height - 3:
            return Strip([Segment(_EMPTY.center(self.size.width), _FAINT)])
        empty = max(0, height - len(self._rows))
        place = y + self.scroll_offset.y - empty
        if not 0 <= place < len(self._rows):
            return Strip.blank(self.size.width, _GROUND)
        text, style = self._rows[place]
        width = min(WIDTH, self.size.width)
        margin = 0 if style in (_EDGE, _GROUND) else (width - COLUMNS) // 2
        row = Segment(" " * margin + set_cell_size(text, width - margin), style)
        return Strip([row]).extend_cell_length(self.size.width, _GROUND)

    def on_resize(self) -> None:
        self._to_end()

    def on_mouse_scroll_up(self) -> None:
        self._follows = False

    def on_mouse_scroll_down(self) -> None:
        self._follows = self.scroll_offset.y >= self.max_scroll_y - _NEAR_END_ROWS

    def _print(self) -> None:
        if not self._coming:
            return
        count = 1 if len(self._coming) < _BACKLOG_ROWS else len(self._coming) // 6
        for _ in range(count):
            self._rows.append(self._coming.popleft())
        self._grow()

    def _grow(self) -> None:
        self.virtual_size = Size(0, len(self._rows))
        self.refresh()
        self.call_after_refresh(self._to_end)

    def _to_end(self) -> None:
        """The newest paper stays in sight, unless somebody scrolled back to an older one."""
        if self._follows:
            self.scroll_end(animate=False, immediate=True, x_axis=False)


def _shown(line: LinePrinted) -> str:
    """A line on `COLUMNS` columns. Large letters take two columns each, so they are set apart."""
    text = " ".join(line.text) if line.large else line.text
    room = max(0, COLUMNS - cell_len(text))
    match line.align:
        case "centre":
            return " " * (room // 2) + text
        case "right":
            return " " * room + text
        case "left":
            return text


def _qr(data: str) -> list[str]:
    """A QR code in half blocks; one that is too wide for them in finer dots, of about its size on real paper."""
    dots = [[bool(dot) for dot in row] for row in segno.make(data, error="m").matrix]
    return _half_blocks(dots) if len(dots) <= COLUMNS else _fine_dots(dots)


def _fine_dots(dots: list[list[bool]]) -> list[str]:
    """Braille: two dots wide and four high in each letter, centred. Its bits are 0 to 2 and 6 at the left, then 3 to 5, 7."""
    bits = ((0, 0, 0), (1, 0, 1), (2, 0, 2), (0, 1, 3), (1, 1, 4), (2, 1, 5), (3, 0, 6), (3, 1, 7))
    size = len(dots)
    rows = [
        "".join(
            chr(
                ord("\N{BRAILLE PATTERN BLANK}")
                + sum(
                    1 << bit
                    for down, right, bit in bits
                    if top + down < size and left + right < size and dots[top + down][left + right]
                )
            )
            for left in range(0, size, 2)
        )
        for top in range(0, size, 4)
    ]
    return [row.center(COLUMNS).rstrip() for row in rows]


def _bars(data: str) -> str:
    """Bars that look like those of a code, and are none: real ones are finer than our columns."""
    return "".join("\N{LEFT HALF BLOCK}\N{FULL BLOCK}\N{RIGHT HALF BLOCK} "[ord(letter) % 4] for letter in data * 2)


def _picture(mark: RasterPrinted) -> list[str]:
    """A picture made small: a dot of ours is black where most of its dots are."""
    step = max(1, -(-mark.width // COLUMNS))
    dots = [[bool(row[at // 8] & 0x80 >> at % 8) for at in range(mark.width)] for row in mark.rows]
    return _half_blocks(
        [
            [_is_dark(dots[top : top + step], left, left + step) for left in range(0, mark.width, step)]
            for top in range(0, len(dots), step)
        ]
    )


def _is_dark(rows: list[list[bool]], left: int, right: int) -> bool:
    cell = [dot for row in rows for dot in row[left:right]]
    return 2 * sum(cell) > len(cell)


def _half_blocks(matrix: list[list[bool]]) -> list[str]:
    """Dots in half blocks, two rows of them in one of ours, in the middle of the paper."""
    if not matrix:
        return []
    size = len(matrix[0])
    if len(matrix) % 2:
        matrix.append([False] * size)
    blocks = {
        (False, False): " ",
        (True, False): "\N{UPPER HALF BLOCK}",
        (False, True): "\N{LOWER HALF BLOCK}",
        (True, True): "\N{FULL BLOCK}",
    }
    indent = " " * max(0, (COLUMNS - size) // 2)
    return [
        indent + "".join(blocks[upper, lower] for upper, lower in zip(*pair, strict=True))
        for pair in zip(matrix[::2], matrix[1::2], strict=True)
    ]
