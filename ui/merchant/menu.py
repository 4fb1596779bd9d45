"""The menu: all that is seldom needed, each at a letter and a touch. What cannot be done now keeps its place, in grey."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget
from textual.widgets import Static

from core.language import later
from core.view import View
from ui.merchant import palette
from ui.merchant.actions import MENU, OF_STAFF, can, menu_flow
from ui.merchant.flows import Flow
from ui.merchant.touchkey import TouchKey
from ui.say import say

_COLUMNS = 4


class Menu(Widget):
    """Takes the place of the keys while it is open."""

    DEFAULT_CSS = f"""
    Menu {{
        height: auto;
        background: {palette.GROUND};
        .title {{ height: 1; padding: 0 1; color: {palette.MUTED}; }}
        .entries {{ height: auto; layout: grid; grid-size: {_COLUMNS}; grid-rows: 3; grid-gutter: 0 1; }}
        TouchKey {{ border-top: tall {palette.GROUND}; border-bottom: tall {palette.GROUND}; }}
    }}
    """

    can_focus = False

    def __init__(self, picked: Callable[[Flow], None], closed: Callable[[], None]) -> None:
        """`picked` hears the flow of a place, whether it can begin now or not; `closed` that nothing is wanted."""
        super().__init__()
        self._take_pick = picked
        self._give_up = closed
        self._flows: dict[str, Flow] = {}

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        with Container(classes="entries"):
            for entry in MENU:
                yield TouchKey(entry.letter, "", entry.letter.upper())
            yield TouchKey("back", later("Back"), "Esc")

    def show(self, view: View) -> None:
        """What is possible now; who works here is no matter where nobody signs on."""
        sale = view.sale
        self.query_one(".title", Static).update(say("A letter or a touch does it, Esc goes back"))
        self._flows = {entry.letter: menu_flow(entry, view) for entry in MENU}
        for key in self.query(TouchKey):
            if key.name not in self._flows:
                continue
            flow = self._flows[key.name]
            key.display = view.operator.sign_on or flow.name not in OF_STAFF
            key.relabel(flow.label)
            key.off = not can(flow, sale)

    def key_in(self, key: str, character: str | None) -> bool:
        """A key of the keyboard: a letter of the menu, or one that leaves it."""
        if key in ("escape", "f10"):
            self._give_up()
            return True
        return self._pick(character.lower() if character else "")

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        if not self._pick(event.key.name or ""):
            self._give_up()

    def _pick(self, letter: str) -> bool:
        flow = self._flows.get(letter)
        if flow is not None:
            self._take_pick(flow)
        return flow is not None
