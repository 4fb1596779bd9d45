"""The drawer counted by coins and notes: type how many of each, Enter goes to the next. What should be there is not told."""

from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Digits, Static

from core.language import later
from core.money import Currency
from ui.merchant import palette
from ui.merchant.questions import Question
from ui.merchant.touchkey import TouchKey
from ui.say import say

_DIGITS = "789456123"
_COUNT_LENGTH_MAX = 4
_NOTHING = Question(name="", kind="pieces", title="")


class _Pieces(Widget):
    """The coins and notes, a row each."""

    DEFAULT_CSS = f"_Pieces {{ height: auto; width: 1fr; color: {palette.TEXT}; }}"
    can_focus = False

    def __init__(self, touched: Callable[[int], None]) -> None:
        super().__init__()
        self._touched = touched
        self._content = Content("")

    def show(self, content: Content) -> None:
        """Shows these rows."""
        self._content = content
        self.refresh(layout=True)

    def render(self) -> Content:
        return self._content

    def on_click(self, event: events.Click) -> None:
        event.stop()
        self._touched(event.y)


class Counting(Widget):
    """Opened for one question; its answer is ``5000:3,100:12``."""

    DEFAULT_CSS = f"""
    Counting {{
        height: 100%;
        background: {palette.GROUND};
        .title {{ height: 1; padding: 0 1; color: {palette.AMBER}; text-style: bold; }}
        .both {{ height: 1fr; }}
        .right {{ width: 32; height: auto; }}
        .keypad {{ height: 12; layout: grid; grid-size: 3 4; grid-gutter: 0 1; }}
        .keypad TouchKey {{
            height: 100%;
            border-top: tall {palette.GROUND};
            border-bottom: tall {palette.GROUND};
        }}
        Digits {{ height: 3; width: 100%; text-align: right; color: {palette.AMBER}; text-style: bold; }}
        .bottom {{ height: 3; }}
        .bottom TouchKey {{ margin-right: 1; }}
        .bottom TouchKey:last-child {{ margin-right: 0; width: 2fr; }}
    }}
    """

    can_focus = False

    def __init__(self, answered: Callable[[Question, str], None], closed: Callable[[], None]) -> None:
        """`answered` hears the count; `closed` that nothing is wanted."""
        super().__init__()
        self._take_answer = answered
        self._give_up = closed
        self._question = _NOTHING
        self._currency = Currency(code="", exponent=2)
        self._counts: dict[int, str] = {}
        self._cursor = 0
        self._pieces = _Pieces(self._go_to)

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        with Horizontal(classes="both"):
            yield self._pieces
            with Vertical(classes="right"):
                yield Digits()
                with Container(classes="keypad"):
                    for digit in _DIGITS:
                        yield TouchKey(digit, digit)
                    yield TouchKey("next", later("Next"))
                    yield TouchKey("0", "0")
                    yield TouchKey("rub", "\N{ERASE TO THE LEFT}")
        with Horizontal(classes="bottom"):
            yield TouchKey("back", later("Back"), "Esc")
            yield TouchKey("done", later("Counted"), "F1", pay=True)

    def open(self, question: Question, currency: Currency) -> None:
        """Begins a count at the largest note."""
        self._question, self._currency, self._counts, self._cursor = question, currency, {}, 0
        keys = say("type how many, Enter goes on, F1 ends it")
        self.query_one(".title", Static).update(f"{question.title}  \N{MIDDLE DOT}  {keys}")
        self._show()

    def key_in(self, key: str, character: str | None) -> bool:
        """A key of the keyboard. Whether the count has a use for it."""
        match key:
            case "enter" | "down":
                self._go_to(self._cursor + 1)
            case "up":
                self._go_to(self._cursor - 1)
            case "backspace" | "delete":
                self._type("")
            case "escape":
                self._give_up()
            case "f1":
                self._done()
            case _ if character is not None and character.isascii() and character.isdigit():
                self._type(character)
            case _:
                return False
        return True

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        match event.key.name or "":
            case "back":
                self._give_up()
            case "done":
                self._done()
            case "next":
                self._go_to(self._cursor + 1)
            case "rub":
                self._type("")
            case digit:
                self._type(digit)

    @property
    def _units(self) -> tuple[int, ...]:
        return self._question.pieces

    def _type(self, digit: str) -> None:
        """A digit of how many there are; an empty one takes the last back."""
        unit = self._units[self._cursor]
        was = self._counts.get(unit, "")
        self._counts[unit] = (was + digit)[:_COUNT_LENGTH_MAX] if digit else was[:-1]
        self._show()

    def _go_to(self, place: int) -> None:
        self._cursor = place % len(self._units)
        self._show()

    def _done(self) -> None:
        counted = ",".join(f"{unit}:{int(count)}" for unit, count in self._counts.items() if count)
        self._take_answer(self._question, counted)

    def _show(self) -> None:
        money = self._currency.format
        rows = []
        for place, unit in enumerate(self._units):
            count = self._counts.get(unit, "")
            worth = money(unit * int(count)) if count else ""
            row = f" {money(unit):>8} \N{MULTIPLICATION SIGN} {count:>4} {worth:>11} "
            here = f"bold {palette.NEWEST_TEXT} on {palette.NEWEST}"
            rows.append(Content.styled(row, here) if place == self._cursor else Content(row))
        self._pieces.show(Content("\n").join(rows))
        total = sum(unit * int(count) for unit, count in self._counts.items() if count)
        self.query_one(Digits).update(money(total))
