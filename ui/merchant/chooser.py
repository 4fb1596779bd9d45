"""A list to choose from: parked baskets, lines of a receipt. Rows have numbers, arrows move, Enter takes."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from core.language import later
from ui.merchant import palette
from ui.merchant.questions import Question, Row
from ui.merchant.touchkey import TouchKey
from ui.say import say

_NOTHING = Question(name="", kind="list", title="")
_CHOSEN, _NOT_CHOSEN = "\N{BALLOT BOX WITH CHECK}", "\N{BALLOT BOX}"


class _RowKey(Widget):
    """A row to touch."""

    DEFAULT_CSS = f"""
    _RowKey {{
        height: 1;
        padding: 0 1;
        color: {palette.TEXT};
        &.-cursor {{ background: {palette.NEWEST}; color: {palette.NEWEST_TEXT}; text-style: bold; }}
        &.-off {{ color: {palette.FAINT}; }}
    }}
    """

    can_focus = False

    def __init__(self, place: int, row: Row, *, many: bool) -> None:
        super().__init__(classes="-off" if row.off else "")
        self.place = place
        self._row = row
        self._many = many
        self.chosen = False

    def render(self) -> Content:
        width = self.content_size.width
        mark = f"{_CHOSEN if self.chosen else _NOT_CHOSEN} " if self._many else ""
        number = f"{self.place + 1:>2} {mark} "
        left = Content(number + self._row.left).truncate(max(0, width - len(self._row.right) - 1), ellipsis=True)
        return Content.assemble(left, " " * max(1, width - left.cell_length - len(self._row.right)), self._row.right)


class Chooser(Widget):
    """Opened for one question; rows are chosen by their numbers, by touch or by arrows."""

    DEFAULT_CSS = f"""
    Chooser {{
        height: 100%;
        background: {palette.GROUND};
        .title {{ height: 1; padding: 0 1; color: {palette.AMBER}; text-style: bold; }}
        VerticalScroll {{ height: 1fr; scrollbar-size-vertical: 1; scrollbar-color: {palette.EDGE}; }}
        Horizontal {{ height: 3; }}
        TouchKey {{ margin-right: 1; }}
        TouchKey:last-child {{ margin-right: 0; width: 2fr; }}
    }}
    """

    can_focus = False

    def __init__(self, answered: Callable[[Question, str], None], closed: Callable[[], None]) -> None:
        """`answered` hears the texts of the chosen rows, a comma between them; `closed` that nothing is wanted."""
        super().__init__()
        self._take_answer = answered
        self._give_up = closed
        self._question = _NOTHING
        self._cursor = 0
        self._list = VerticalScroll(can_focus=False)

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        yield self._list
        with Horizontal():
            yield TouchKey("back", later("Back"), "Esc")
            yield TouchKey("enter", "", "Enter", pay=True)

    def open(self, question: Question) -> None:
        """Shows the rows of a question, none of them chosen."""
        self._question = question
        keys = say("Up Down, Space, Enter") if question.many else say("Up Down, Enter")
        self.query_one(".title", Static).update(f"{question.title}  \N{MIDDLE DOT}  {keys}")
        self.query_one("TouchKey:last-child", TouchKey).relabel(question.accept)
        self._list.remove_children()
        self._list.mount(*(_RowKey(place, row, many=question.many) for place, row in enumerate(question.rows)))
        self._cursor = next((place for place, row in enumerate(question.rows) if not row.off), 0)
        self.call_after_refresh(self._paint)

    def key_in(self, key: str, character: str | None) -> bool:
        """A key of the keyboard. Whether the list has a use for it."""
        match key:
            case "up" | "down":
                self._move(-1 if key == "up" else 1)
            case "enter":
                self._take()
            case "escape":
                self._give_up()
            case "space":
                self._toggle(self._cursor)
            case _ if character is not None and character in "123456789":
                self._touch(int(character) - 1)
            case _:
                return False
        return True

    def on_click(self, event: object) -> None:
        for row in self._rows():
            if row.region.contains_point((event.screen_x, event.screen_y)):  # type: ignore[attr-defined]
                self._touch(row.place)

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        if event.key.name == "enter":
            self._take()
        else:
            self._give_up()

    def _rows(self) -> list[_RowKey]:
        return list(self._list.query(_RowKey))

    def _move(self, step: int) -> None:
        rows = self._question.rows
        place = self._cursor + step
        while 0 <= place < len(rows) and rows[place].off:
            place += step
        if 0 <= place < len(rows):
            self._cursor = place
            self._paint()

    def _touch(self, place: int) -> None:
        """A row by its number: one of many is marked, one alone is taken."""
        if not 0 <= place < len(self._question.rows) or self._question.rows[place].off:
            return
        self._cursor = place
        if self._question.many:
            self._toggle(place)
        else:
            self._take()

    def _toggle(self, place: int) -> None:
        if self._question.many and not self._question.rows[place].off:
            row = self._rows()[place]
            row.chosen = not row.chosen
            self._paint()

    def _take(self) -> None:
        rows = self._question.rows
        chosen = [row.place for row in self._rows() if row.chosen] or [self._cursor]
        texts = [rows[place].text for place in chosen if place < len(rows) and not rows[place].off]
        if texts:
            self._take_answer(self._question, ",".join(texts))

    def _paint(self) -> None:
        for row in self._rows():
            row.set_class(row.place == self._cursor, "-cursor")
            row.refresh()
            if row.place == self._cursor:
                row.scroll_visible(animate=False)
