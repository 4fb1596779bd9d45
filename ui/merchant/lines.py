"""The basket as a list: one row a line, the newest bright, voided ones struck through. Drawn row by row, so that a long
basket costs no more than a short one."""

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from core.money import Currency
from core.view import LineView
from ui.merchant import palette
from ui.text import plain

DOT = " \N{MIDDLE DOT} "
_PRICE_WIDTH = 11
_AMOUNT_WIDTH = 11
_QUANTITY_WIDTH = 9
_MARGIN = 1
_NARROW = 60
"""Below this width the unit price gives its room to the name."""

_STYLES = {
    "plain": Style.parse(f"{palette.TEXT} on {palette.GROUND}"),
    "muted": Style.parse(f"{palette.MUTED} on {palette.GROUND}"),
    "voided": Style.parse(f"{palette.FAINT} strike on {palette.GROUND}"),
    "newest": Style.parse(f"bold {palette.NEWEST_TEXT} on {palette.NEWEST}"),
    "newest-muted": Style.parse(f"{palette.NEWEST_TEXT} on {palette.NEWEST}"),
    "chosen": Style.parse(f"bold {palette.GROUND} on {palette.AMBER}"),
    "empty": Style.parse(f"on {palette.GROUND}"),
}
_STRIPE = Style.parse(f"on {palette.STRIPE}")
_NO_STRIKE = Style(strike=False)


class Lines(ScrollView):
    """The lines of the open basket. One can be chosen by touch or arrow keys; without a choice the newest counts."""

    DEFAULT_CSS = f"""
    Lines {{
        background: {palette.GROUND};
        scrollbar-color: {palette.EDGE};
        scrollbar-background: {palette.GROUND};
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 0;
        overflow-x: hidden;
    }}
    """

    can_focus = False

    class Chosen(Message):
        """Another line is chosen; `line` is its number, 0 for none."""

        def __init__(self, line: int) -> None:
            super().__init__()
            self.line = line

    def __init__(self) -> None:
        super().__init__()
        self._lines: tuple[LineView, ...] = ()
        self._currency = Currency(code="", exponent=2)
        self.chosen = 0

    def show(self, lines: tuple[LineView, ...], currency: Currency) -> None:
        """Shows these lines, the newest in sight. A changed basket ends the choice."""
        if lines == self._lines and currency == self._currency:
            return
        self._lines, self._currency = lines, currency
        if self.chosen:
            self.choose(0)
        self.virtual_size = Size(0, len(lines))
        self.refresh()
        self._follow()
        # Whether all fit, and with them the place of the end, is known for certain only after the next layout.
        self.call_after_refresh(self._follow)

    def choose(self, line: int) -> None:
        """Chooses a line by its number, 0 for none."""
        self.chosen = line
        self.refresh()
        for place, item in enumerate(self._lines):
            if item.line == line:
                self.scroll_to_region(Region(0, place, 1, 1), animate=False)
        self.post_message(self.Chosen(line))

    def choose_next(self, step: int) -> None:
        """Moves the choice up (-1) or down (1) over lines that can still be changed; below the last it ends."""
        standing = [item.line for item in self._lines if not item.voided]
        if not standing:
            return
        place = standing.index(self.chosen) if self.chosen in standing else len(standing) - (1 if step < 0 else 0)
        if self.chosen == 0 and step < 0:
            place = len(standing)
        place += step
        self.choose(standing[max(0, place)] if place < len(standing) else 0)

    def line_shown(self) -> LineView | None:
        """The line whose details are of interest: the chosen one, else the newest that stands."""
        for item in reversed(self._lines):
            if item.line == self.chosen or (self.chosen == 0 and not item.voided):
                return item
        return None

    def on_resize(self) -> None:
        self._follow()

    def on_click(self, event: events.Click) -> None:
        place = event.y + self.scroll_offset.y
        if 0 <= place < len(self._lines) and not self._lines[place].voided:
            line = self._lines[place].line
            self.choose(0 if line == self.chosen else line)

    def render_line(self, y: int) -> Strip:
        place = y + self.scroll_offset.y
        width = self.scrollable_content_region.width
        if place >= len(self._lines):
            return Strip.blank(self.size.width, _STYLES["empty"])
        item = self._lines[place]
        if item.line == self.chosen:
            bright = muted = _STYLES["chosen"]
        elif item.voided:
            bright = muted = _STYLES["voided"]
        elif item is self._lines[-1]:
            bright, muted = _STYLES["newest"], _STYLES["newest-muted"]
        else:
            bright, muted = _STYLES["plain"], _STYLES["muted"]
        if place % 2 and item is not self._lines[-1] and item.line != self.chosen:
            bright, muted = bright + _STRIPE, muted + _STRIPE
        return Strip(self._cells(item, width, bright, muted)).extend_cell_length(self.size.width, bright + _NO_STRIKE)

    def _follow(self) -> None:
        """Keeps the newest line in sight, unless an older one is being looked at."""
        if not self.chosen:
            self.scroll_to(y=self.max_scroll_y, animate=False, force=True, immediate=True)

    def _cells(self, item: LineView, width: int, bright: Style, muted: Style) -> list[Segment]:
        money = self._currency.format
        price = money(item.unit_price_minor) + ("" if item.unit == "each" else f"/{item.unit}")
        price_width = 0 if width < _NARROW else _PRICE_WIDTH
        name_width = max(8, width - 2 * _MARGIN - _QUANTITY_WIDTH - price_width - _AMOUNT_WIDTH)
        name = DOT.join([plain(item.name), *(plain(each.reason) for each in item.discounts)])
        name = name if cell_len(name) <= name_width else set_cell_size(name, name_width - 1) + "\N{HORIZONTAL ELLIPSIS}"
        cells = [
            (name, 0, bright),
            (quantity(item), name_width - cell_len(name) + _QUANTITY_WIDTH, muted),
            (price if price_width else "", price_width, muted),
            (money(item.amount_minor - item.discount_minor), _AMOUNT_WIDTH, bright),
        ]
        # The room between words is not struck through.
        segments = [Segment(" " * _MARGIN, bright + _NO_STRIKE)]
        for word, width, style in cells:
            segments += [Segment(" " * (width - cell_len(word)), style + _NO_STRIKE), Segment(word, style)]
        return segments


def quantity(item: LineView) -> str:
    """``3 x`` (with the real sign) by the piece, ``0.642 kg`` by weight or measure."""
    if item.unit == "each" and item.quantity_milli % 1000 == 0:
        return f"{item.quantity_milli // 1000} \N{MULTIPLICATION SIGN}"
    unit = "" if item.unit == "each" else f" {item.unit}"
    return f"{item.quantity_milli // 1000}.{item.quantity_milli % 1000:03d}{unit}"
