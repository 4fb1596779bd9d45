"""The bench's keys: goods to scan and things that befall a shop, each by a letter or digit and by a click."""

from collections.abc import Callable
from dataclasses import dataclass

from textual import events
from textual.app import ComposeResult
from textual.containers import Container
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ui.merchant import palette

TILES = 9
FLASH_S = 0.15


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """What a tile stands for: two lines, and what it does."""

    label: str
    detail: str
    do: Callable[[], None]


class BenchKey(Widget):
    """One line: the key on the keyboard, and what it does. Posts `Pressed`."""

    DEFAULT_CSS = f"""
    BenchKey {{
        height: 1;
        padding: 0 1;
        background: {palette.PANEL};
        color: {palette.TEXT};
        &:hover {{ background: {palette.EDGE}; }}
        &.-danger {{ color: {palette.RED}; }}
        &.-on {{ background: #5c1620; color: {palette.TEXT}; text-style: bold; }}
        &.-flash {{ background: {palette.PRESSED}; color: {palette.GROUND}; }}
    }}
    """

    can_focus = False

    class Pressed(Message):
        """The key was clicked."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, key: str, label: str, *, danger: bool = False) -> None:
        super().__init__(classes="-danger" if danger else "")
        self.key = key
        self._label = label

    def relabel(self, label: str, *, on: bool = False) -> None:
        """Another label; `on` while what it has done lasts."""
        self.set_class(on, "-on")
        if label != self._label:
            self._label = label
            self.refresh()

    def flash(self) -> None:
        """Shows that it was hit."""
        self.add_class("-flash")
        self.set_timer(FLASH_S, lambda: self.remove_class("-flash"), name="flash")

    def render(self) -> Content:
        return Content.assemble(
            (self.key, "" if self.has_class("-flash") else f"bold {palette.AMBER}"), " ", self._label
        )

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(self.Pressed(self.key))


class Tile(Widget):
    """One of the nine goods that lie in front: two lines where there is room."""

    DEFAULT_CSS = f"""
    Tile {{
        height: 2;
        padding: 0 1;
        background: {palette.PANEL};
        color: {palette.TEXT};
        &:hover {{ background: {palette.EDGE}; }}
        &.-flash {{ background: {palette.PRESSED}; color: {palette.GROUND}; }}
    }}
    """

    can_focus = False

    def __init__(self, number: int) -> None:
        super().__init__()
        self.number = number
        self._choice: Choice | None = None

    def show(self, choice: Choice | None) -> None:
        """Puts something there, or nothing."""
        self._choice = choice
        self.visible = choice is not None
        self.refresh()

    def flash(self) -> None:
        """Shows that it was hit."""
        self.add_class("-flash")
        self.set_timer(FLASH_S, lambda: self.remove_class("-flash"), name="flash")

    def render(self) -> Content:
        if self._choice is None:
            return Content("")
        flash = self.has_class("-flash")
        width = max(0, self.content_size.width - 2)
        label = Content(self._choice.label).truncate(width, ellipsis=True)
        detail = Content.styled(self._choice.detail, "" if flash else palette.MUTED).truncate(width, ellipsis=True)
        number = (str(self.number), "" if flash else f"bold {palette.AMBER}")
        return Content.assemble(number, " ", label, "\n  ", detail)

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self.post_message(BenchKey.Pressed(str(self.number)))


class Shelf(Container):
    """Nine tiles for the digits 1 to 9."""

    DEFAULT_CSS = f"""
    Shelf {{
        height: 6;
        layout: grid;
        grid-size: 3 3;
        grid-gutter: 0 1;
        background: {palette.GROUND};
    }}
    """

    def compose(self) -> ComposeResult:
        for number in range(1, TILES + 1):
            yield Tile(number)

    def show(self, choices: tuple[Choice, ...]) -> None:
        """Lays out up to nine choices."""
        assert len(choices) <= TILES
        self._choices = choices
        for tile in self.query(Tile):
            tile.show(choices[tile.number - 1] if tile.number <= len(choices) else None)

    def press(self, number: int) -> None:
        """Does what the tile stands for, if there is one."""
        if number > len(self._choices):
            return
        for tile in self.query(Tile):
            if tile.number == number:
                tile.flash()
        self._choices[number - 1].do()
