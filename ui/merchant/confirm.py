"""A question that yes or no answers, mostly before something that cannot be taken back."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Static

from core.language import later
from ui.merchant import palette
from ui.merchant.questions import Question
from ui.merchant.touchkey import TouchKey


class Confirm(Widget):
    """Asks, and hears Enter or Esc, or a touch."""

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

    def __init__(self, answered: Callable[[Question, str], None], just_changed: Callable[[], bool]) -> None:
        """`answered` hears ``yes`` or ``no``; a touch while it `just_changed` was meant for what was there before."""
        super().__init__()
        self._take_answer = answered
        self._just_changed = just_changed
        self._question = Question(name="", kind="confirm", title="")

    def compose(self) -> ComposeResult:
        yield Static(markup=False)
        with Horizontal():
            yield TouchKey("no", later("Keep it"), "Esc")
            yield TouchKey("yes", "", "Enter")

    def open(self, question: Question) -> None:
        """Puts the question, and labels its keys."""
        self._question = question
        self.query_one(Static).update(question.title)
        for key in self.query(TouchKey):
            key.relabel(question.accept if key.name == "yes" else question.no)

    def key_in(self, key: str) -> bool:
        """A key of the keyboard. Whether it answers."""
        if key not in ("enter", "escape"):
            return False
        self._take_answer(self._question, "yes" if key == "enter" else "no")
        return True

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        if not self._just_changed():
            self._take_answer(self._question, event.key.name or "no")
