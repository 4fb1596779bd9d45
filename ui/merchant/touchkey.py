"""A key to touch: large, labelled with the key on the keyboard that does the same, and bright the moment it is hit."""

from rich.cells import cell_len
from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from ui.merchant import palette
from ui.say import say

FLASH_S = 0.15


class TouchKey(Widget):
    """Posts `Pressed` with its `name`; its label is said in the screen's language. It takes no focus, so that the keyboard stays where it is."""

    DEFAULT_CSS = f"""
    TouchKey {{
        width: 1fr;
        height: 3;
        content-align: center middle;
        text-align: center;
        background: {palette.RAISED};
        color: {palette.TEXT};
        text-style: bold;
        &:hover {{ background: {palette.EDGE}; }}
        &.-pay {{ background: {palette.PAY}; }}
        &.-pay:hover {{ background: {palette.PAY_EDGE}; }}
        &.-off {{ background: {palette.PANEL}; color: {palette.FAINT}; text-style: none; }}
        &.-flash {{ background: {palette.PRESSED}; color: {palette.GROUND}; }}
    }}
    """

    can_focus = False

    class Pressed(Message):
        """The key was touched."""

        def __init__(self, key: "TouchKey") -> None:
            super().__init__()
            self.key = key

        @property
        def control(self) -> "TouchKey":
            return self.key

    def __init__(self, name: str, label: str, cap: str = "", *, pay: bool = False) -> None:
        super().__init__(name=name, classes="-pay" if pay else "")
        self._label = label
        self._cap = cap

    @property
    def off(self) -> bool:
        """Whether the key does nothing now."""
        return self.has_class("-off")

    @off.setter
    def off(self, off: bool) -> None:
        self.set_class(off, "-off")

    def relabel(self, label: str) -> None:
        """Another label, the same key."""
        if label != self._label:
            self._label = label
            self.refresh()

    def recap(self, cap: str) -> None:
        """Another key of the keyboard does the same."""
        if cap != self._cap:
            self._cap = cap
            self.refresh()

    def flash(self) -> None:
        """Shows that the key was hit, by touch or on the keyboard."""
        self.add_class("-flash")
        self.set_timer(FLASH_S, lambda: self.remove_class("-flash"), name="flash")

    def render(self) -> Content:
        label = say(self._label)
        if not self._cap:
            return Content(label)
        # Where there is no room for both, the word counts.
        if self.content_size.width and len(self._cap) + cell_len(label) + 2 > self.content_size.width:
            return Content(label)
        cap_style = palette.FAINT if self.off else ("" if self.has_class("-flash") else palette.AMBER)
        return Content.assemble((self._cap, cap_style), "  ", label)

    def on_mouse_down(self, event: events.MouseDown) -> None:
        event.stop()
        if not self.off:
            self.flash()

    def on_click(self, event: events.Click) -> None:
        event.stop()
        if not self.off:
            self.post_message(self.Pressed(self))
