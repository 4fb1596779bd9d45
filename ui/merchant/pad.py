"""The pad that takes the place of the keys and asks one question: a number, a code, a PIN, a word, or one of a few."""

from collections.abc import Callable

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Digits, Static

from core.language import later
from core.money import Currency
from ui.merchant import palette
from ui.merchant.questions import NUMBERS_QUICK_MAX, QUICK_MAX, Question
from ui.merchant.touchkey import TouchKey
from ui.say import say

_LARGE_MAX = 14
"""A longer code is shown in plain letters: a large digit takes three columns."""
_DIGITS = "789456123"
_NOTHING = Question(name="", kind="count", title="")
_WHOLE_BP = 10_000


class Pad(Widget):
    """Opened for one question at a time.

    What is typed as an answer to a question for a secret is shown as dots, and is gone when the pad closes.
    """

    DEFAULT_CSS = f"""
    Pad {{
        height: auto;
        background: {palette.GROUND};
        Horizontal {{ height: auto; }}
        .left {{ width: 1fr; height: 12; padding: 0 2 0 1; }}
        .title {{ height: 1; color: {palette.MUTED}; }}
        Digits {{ height: 3; width: 1fr; text-align: right; color: {palette.AMBER}; text-style: bold; }}
        .typed {{ height: 3; content-align: right middle; text-style: bold; color: {palette.AMBER}; display: none; }}
        .hint {{ height: 1; text-align: right; color: {palette.TEXT}; }}
        .quick {{ height: 7; layout: grid; grid-size: 3; grid-rows: 3; grid-gutter: 0 1; padding-top: 1; }}
        .keypad {{ width: 32; height: 12; layout: grid; grid-size: 3 4; grid-gutter: 0 1; }}
        .bottom {{ height: 3; margin-top: 1; }}
        .bottom TouchKey {{ margin-right: 1; }}
        .bottom TouchKey:last-child {{ margin-right: 0; width: 2fr; }}
        TouchKey {{ height: 100%; }}
        &.-plain Digits {{ display: none; }}
        &.-plain .typed {{ display: block; }}
        &.-words .keypad {{ display: none; }}
        &.-words .left {{ padding: 0; }}
        &.-words .title, &.-words .typed, &.-words .hint {{ padding: 0 1; }}
        &.-words .typed, &.-words .hint {{ text-align: left; content-align: left middle; }}
        &.-choice .typed, &.-choice .hint {{ display: none; }}
        &.-choice .left, &.-choice .quick {{ height: auto; }}
        .keypad TouchKey, .quick TouchKey {{
            border-top: tall {palette.GROUND};
            border-bottom: tall {palette.GROUND};
        }}
    }}
    """

    can_focus = False

    def __init__(self, answered: Callable[[Question, str], None], closed: Callable[[], None]) -> None:
        """`answered` hears what was typed or touched, an empty text meaning exact cash; `closed` that nothing is wanted."""
        super().__init__()
        self._take_answer = answered
        self._give_up = closed
        self._question = _NOTHING
        self._currency = Currency(code="", exponent=2)
        self._text = ""

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(classes="left"):
                yield Static(classes="title", markup=False)
                yield Digits()
                yield Static(classes="typed", markup=False)
                yield Static(classes="hint", markup=False)
                with Container(classes="quick"):
                    for place in range(QUICK_MAX):
                        yield TouchKey(f"quick-{place}", "", str(place + 1))
            with Container(classes="keypad"):
                for digit in _DIGITS:
                    yield TouchKey(digit, digit)
                yield TouchKey(".", ".")
                yield TouchKey("0", "0")
                yield TouchKey("rub", "\N{ERASE TO THE LEFT}")
        with Horizontal(classes="bottom"):
            yield TouchKey("back", later("Back"), "Esc")
            yield TouchKey("enter", later("Take"), "Enter", pay=True)

    def open(self, question: Question, currency: Currency) -> None:
        """Empties the pad and readies it for a question."""
        self._currency, self._text = currency, ""
        self.set_class(question.in_words, "-words")
        self.set_class(question.kind == "choice", "-choice")
        self._key("enter").relabel(question.accept)
        self._key("enter").display = question.kind != "choice"
        self._key(".").visible = self._has_point(question)
        self.follow(question)

    def follow(self, question: Question) -> None:
        """The same question, of which something has changed, such as what is due; what was typed stays."""
        self._question = question
        for place in range(QUICK_MAX):
            key = self._key(f"quick-{place}")
            given = place < len(question.quick)
            key.visible = given
            key.display = given or (place < NUMBERS_QUICK_MAX and not question.in_words)
            key.recap(self._quick_cap(place))
            key.relabel(question.quick[place].label if given else "")
        self._show()

    def close(self) -> None:
        """Forgets what was typed."""
        self._text = ""
        self._question = _NOTHING
        self._show()

    def key_in(self, key: str, character: str | None) -> bool:
        """A key of the keyboard, as Textual names it. Whether the question has a use for it."""
        quick = self._quick_of(key, character)
        if quick is not None:
            self._touch_quick(quick)
            return True
        match key:
            case "enter":
                self.enter()
            case "escape":
                self._give_up()
            case "backspace" | "delete":
                self.rub_out()
            case _ if character is not None and self._takes(character):
                self.type(character)
            case _:
                return False
        return True

    def type(self, char: str) -> None:
        """A digit, a letter or a decimal point."""
        question = self._question
        if question.kind in ("text", "code", "secret"):
            if len(self._text) < question.length_max:
                self._text += char
        else:
            self._type_number(char)
        self._show()

    def rub_out(self) -> None:
        """Takes the last character back."""
        self._text = self._text[:-1]
        self._show()

    def enter(self) -> None:
        """Accepts what stands there, if it can be."""
        key = self._key("enter")
        if not key.off and self._question.kind != "choice":
            key.flash()
            self._answer(self._text)

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        match event.key.name or "":
            case "back":
                self._give_up()
            case "enter":
                self.enter()
            case "rub":
                self.rub_out()
            case name if name.startswith("quick-"):
                self._touch_quick(int(name.removeprefix("quick-")))
            case char:
                self.type(char)

    def _answer(self, text: str) -> None:
        self._take_answer(self._question, text)

    def _touch_quick(self, place: int) -> None:
        if place < len(self._question.quick):
            self._answer(self._question.quick[place].text)

    def _quick_cap(self, place: int) -> str:
        match self._question.kind:
            case "choice":
                return str(place + 1)
            case "text" | "code":
                return f"F{place + 1}"
            case _:
                return ""

    def _quick_of(self, key: str, character: str | None) -> int | None:
        """Which quick answer a key of the keyboard stands for: digits, where nothing is typed, else the F-keys."""
        if self._question.kind == "choice" and character is not None and character in "123456789":
            return int(character) - 1
        if (
            self._question.kind in ("text", "code")
            and key[:1] == "f"
            and key[1:].isdigit()
            and int(key[1:]) <= QUICK_MAX
        ):
            return int(key[1:]) - 1
        return None

    def _takes(self, character: str) -> bool:
        question = self._question
        if question.kind == "text" or (question.kind == "code" and question.letters):
            return character.isprintable()
        if question.kind == "choice":
            return False
        return character.isascii() and (character.isdigit() or character in ".,")

    @staticmethod
    def _places(question: Question, currency: Currency) -> int:
        if question.is_money:
            return currency.exponent
        return {"percent": 2, "measure": 3}.get(question.kind, 0)

    def _has_point(self, question: Question) -> bool:
        return self._places(question, self._currency) > 0

    def _type_number(self, char: str) -> None:
        if char in ".,":
            char = "."
            if "." in self._text or not self._has_point(self._question):
                return
        whole, point, part = self._text.partition(".")
        full = len(self._text) >= self._question.length_max
        if full or (point and len(part) >= self._places(self._question, self._currency)):
            return
        self._text = self._text + char if whole != "0" or point or char == "." else char

    def _key(self, name: str) -> TouchKey:
        return next(key for key in self.query(TouchKey) if key.name == name)

    def _show(self) -> None:
        question = self._question
        value, hint, complete = self._preview()
        title = question.title
        if question.kind == "cash":
            due = f"{self._currency.format(question.due_minor)} {self._currency.code}"
            title += f"  \N{MIDDLE DOT}  {say('{amount} due', amount=due)}"
        elif question.subject:
            title += f"  \N{MIDDLE DOT}  {question.subject}"
        self.query_one(".title", Static).update(title)
        self.query_one(".hint", Static).update(hint)
        plain = question.in_words or len(value) > _LARGE_MAX or not value.isascii()
        plain = plain or any(char.isalpha() for char in value)
        self.set_class(plain, "-plain")
        self.query_one(".typed", Static).update(f"{value}\N{LOW LINE}" if question.kind == "text" else value)
        self.query_one(Digits).update("" if plain else value)
        self._key("enter").off = not complete

    def _preview(self) -> tuple[str, str, bool]:
        """The value as it will be taken, what follows from it, and whether it can be taken."""
        question, text = self._question, self._text
        match question.kind:
            case "code" | "text":
                return text, question.hint, bool(text.strip()) or question.empty
            case "secret":
                return "\N{BULLET}" * len(text), question.hint, bool(text)
            case "count" | "weight":
                hint = f"{int(text or 0) / 1000:.3f} kg" if question.kind == "weight" else question.hint
                return text or "0", hint, text.strip("0") != ""
            case "measure":
                return f"{text or '0'} {question.hint}", "", milli(text) > 0
            case "percent":
                whole = text if text not in ("", ".") else "0"
                return f"{whole} %", question.hint, 0 < percent_bp(text) <= _WHOLE_BP
            case "cash" if not text:
                return self._currency.format(question.due_minor), say("Exact"), True
            case "cash" | "amount":
                return self._preview_money(question, text)
            case _:
                return "", question.hint, False

    def _preview_money(self, question: Question, text: str) -> tuple[str, str, bool]:
        if text in ("", "."):
            return self._currency.format(0), question.hint, False
        amount = self._currency.parse(text)
        if question.kind == "amount":
            return self._currency.format(amount), question.hint, amount > 0 or question.zero
        over = amount - question.due_minor
        left = self._currency.format(abs(over))
        hint = say("Change {amount}", amount=left) if over >= 0 else say("{amount} still due", amount=left)
        return self._currency.format(amount), hint, amount > 0


def milli(text: str) -> int:
    """Thousandths from what was typed: ``2.5`` is 2500. Text of the pad's own making."""
    return Currency(code="", exponent=3).parse(text) if text not in ("", ".") else 0


def percent_bp(text: str) -> int:
    """Hundredths of a percent from what was typed: ``12.5`` is 1250. Text of the pad's own making."""
    return Currency(code="", exponent=2).parse(text) if text not in ("", ".") else 0
