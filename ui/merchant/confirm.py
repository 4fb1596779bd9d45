"""A question before something that cannot be taken back."""

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from core.language import later
from ui.merchant import palette
from ui.merchant.touchkey import TouchKey


class Confirm(Widget):
    """Asks, and posts `Answered`."""

    DEFAULT_CSS = f"""
    Confirm {{
        height: 7;
        background: {palette.GROUND};
        Static {{ height: 3; text-align: center; text-style: bold; color: {palette.TEXT}; padding: 0 1; }}
        Horizontal {{ height: 3; margin-top: 1; }}
        TouchKey {{ margin-right: 1; }}
        TouchKey:last-child {{ margin-right: 0; }}
    }}
    """

    can_focus = False

    class Answered(Message):
        """Yes or no."""

        def __init__(self, yes: bool) -> None:
            super().__init__()
            self.yes = yes

    def compose(self) -> ComposeResult:
        yield Static()
        with Horizontal():
            yield TouchKey("no", later("Keep it"), "Esc")
            yield TouchKey("yes", "", "Enter")

    def ask(self, question: str, yes: str, no: str = later("Keep it")) -> None:
        """Puts the question; `yes` and `no` label its keys."""
        self.query_one(Static).update(question)
        for key in self.query(TouchKey):
            key.relabel(yes if key.name == "yes" else no)

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        self.post_message(self.Answered(event.key.name == "yes"))
