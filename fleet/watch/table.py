"""A table of any number of terminals: only the lines that are seen are ever made."""

from collections.abc import Sequence
from typing import ClassVar, Final

from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from fleet.watch.fleet import Seen

MATTER: Final = "WHAT IS THE MATTER"
COLUMNS: Final = (
    ("TERMINAL", 16, "left"), ("SITE", 16, "left"), ("STATE", 8, "left"), (MATTER, 24, "left"),
    ("WAITING", 7, "right"), ("OLDEST", 7, "right"), ("DISK", 6, "right"), ("TEMP", 6, "right"), ("DOING", 10, "left"),
    ("SALES", 6, "right"), ("SOFTWARE", 9, "left"), ("HEARD", 7, "right"),
)  # fmt: skip
"""Their heads, widths, and sides. What is the matter has all the room that is left."""
STYLES: Final = {
    "critical": Style.parse("bold white on #b00020"), "major": Style.parse("#ff6b5e"), "minor": Style.parse("#f2c14e"),
    "warning": Style.parse("#9db4c0"), "offline": Style.parse("#ff9f43"), "fine": Style.parse("#7bd389"),
    "dim": Style.parse("#7f8c8d"), "plain": Style(),
}  # fmt: skip
_CHOSEN: Final = Style.parse("on #24445c")
_HEAD: Final = Style.parse("bold #cfd8dc on #263238")


class FleetTable(ScrollView, can_focus=True):
    """Lines of terminals; one is chosen, and stays so wherever it moves."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "move(-1)", show=False), Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False), Binding("pagedown", "page(1)", show=False),
        Binding("home", "to(0)", show=False), Binding("end", "to(-1)", show=False),
        Binding("enter", "open", "Details"),
    ]  # fmt: skip
    chosen: reactive[str | None] = reactive(None)

    class Opened(Message):
        """A terminal's details are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.rows: Sequence[Seen] = ()
        self._now_s = 0.0
        self._more = 0

    def show(self, rows: Sequence[Seen], now_s: float) -> None:
        """Takes what is to be seen now."""
        self.rows, self._now_s = rows, now_s
        self._fit()
        if self.chosen is None and rows:
            self.chosen = rows[0].name
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The head stays; below it the lines that are scrolled to."""
        place = self.scroll_offset.y + y
        if y == 0:
            strip = self._strip([Text(head, style=_HEAD) for head, _, _ in COLUMNS], _HEAD)
        elif place - 1 < len(self.rows):
            seen = self.rows[place - 1]
            strip = self._strip(cells(seen, self._now_s), _CHOSEN if seen.name == self.chosen else Style())
        else:
            return Strip.blank(self.size.width)
        return strip.crop_extend(self.scroll_offset.x, self.scroll_offset.x + self.size.width, None)

    def on_resize(self) -> None:
        """The room is divided anew."""
        self._fit()

    def watch_chosen(self) -> None:
        """It is seen."""
        self.refresh()

    def action_move(self, by: int) -> None:
        """To another line."""
        self._choose(self._place() + by)

    def action_page(self, by: int) -> None:
        """A screen further."""
        self._choose(self._place() + by * max(self.size.height - 2, 1))

    def action_to(self, place: int) -> None:
        """To the first line, or the last."""
        self._choose(place if place >= 0 else len(self.rows) - 1)

    def action_open(self) -> None:
        """Asks for the details."""
        self.post_message(self.Opened())

    def on_click(self, event: Click) -> None:
        """Chooses the line under it."""
        if event.y > 0:
            self._choose(self.scroll_offset.y + event.y - 1)

    def _fit(self) -> None:
        least = sum(width + 2 for _, width, _ in COLUMNS)
        self._more = max(self.scrollable_content_region.width - least, 0)
        self.virtual_size = Size(least + self._more, len(self.rows) + 1)

    def _strip(self, texts: Sequence[Text], below: Style) -> Strip:
        segments: list[Segment] = []
        for text, (head, width, side) in zip(texts, COLUMNS, strict=True):
            width += self._more if head == MATTER else 0
            cell = Text(text.plain.replace("\n", " "))
            cell.truncate(width, overflow="ellipsis")
            said = Segment(cell.plain, below + (text.style if isinstance(text.style, Style) else Style()))
            blank = Segment(" " * (width - cell.cell_len), below)
            segments += [blank, said] if side == "right" else [said, blank]
            segments.append(Segment("  ", below))
        return Strip(segments)

    def _place(self) -> int:
        return next((place for place, seen in enumerate(self.rows) if seen.name == self.chosen), 0)

    def _choose(self, place: int) -> None:
        if not self.rows:
            return
        place = min(max(place, 0), len(self.rows) - 1)
        self.chosen = self.rows[place].name
        top, height = self.scroll_offset.y, max(self.size.height - 1, 1)
        if place < top:
            self.scroll_to(y=place, animate=False)
        elif place >= top + height:
            self.scroll_to(y=place - height + 1, animate=False)


def cells(seen: Seen, now_s: float) -> list[Text]:
    """What stands in a terminal's line."""
    worst, stale = seen.worst, seen.is_stale(now_s)
    matter, kind = "", "fine"
    if worst is not None:
        more = f" (+{len(seen.alarms) - 1})" if len(seen.alarms) > 1 else ""
        matter, kind = f"{worst.text}{more}", worst.severity
    elif seen.state == "offline":
        matter, kind = "It is offline.", "offline"
    elif stale:
        matter, kind = "It says that it is online, and tells nothing.", "minor"
    state = "offline" if seen.state == "offline" else "fine" if seen.state == "online" and not stale else "dim"
    waiting, disk = seen.number("unacked"), seen.number("disk_free_pct")
    heat = seen.number("temperature_c")
    return [
        Text(seen.name, STYLES["plain"]),
        Text(seen.site or str(seen.info.get("shop", "")), STYLES["plain"]),
        Text(seen.state, STYLES[state]),
        Text(matter, STYLES[kind]),
        Text("-" if waiting is None else f"{waiting:.0f}", STYLES["minor" if waiting else "dim"]),
        Text(_age(seen.number("oldest_unacked_s") or 0) if waiting else "-", STYLES["dim"]),
        Text("-" if disk is None else f"{disk:.0f} %", STYLES["dim"]),
        Text("-" if heat is None else f"{heat:.0f} °C", STYLES["dim"]),
        Text(str(seen.values.get("mode", "-")) if seen.state == "online" else "-", STYLES["plain"]),
        Text(_whole(seen.number("transactions")), STYLES["plain"]),
        Text(str(seen.info.get("software", "-")), STYLES["dim"]),
        Text("-" if seen.seen_s is None else _age(now_s - seen.seen_s), STYLES["dim"]),
    ]


def _whole(number: float | None) -> str:
    return "-" if number is None else f"{number:.0f}"


def _age(age_s: float) -> str:
    age_s = max(age_s, 0)
    for unit_s, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if age_s >= unit_s:
            return f"{age_s / unit_s:.0f} {unit}"
    return f"{age_s:.0f} s"
