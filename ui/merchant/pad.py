"""The pad that takes the place of the keys: an amount of cash, a quantity, a weight, or a code, by touch or by typing."""

from dataclasses import dataclass
from typing import Literal

from textual.app import ComposeResult
from textual.containers import Container, Horizontal, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Digits, Static

from core.language import later
from core.money import Currency
from ui.merchant import palette
from ui.merchant.touchkey import TouchKey
from ui.say import say

Purpose = Literal["cash", "quantity", "weight", "price", "code"]

QUICK_MAX = 6
TEXT_MAX = {"cash": 10, "quantity": 4, "weight": 6, "price": 10, "code": 32}
_LARGE_MAX = 14
"""A longer code is shown in plain letters: a large digit takes three columns."""
_NOTES_MINOR = (500, 1000, 2000, 5000, 10000)  # at two decimal places, and in currencies that have none
_QUANTITIES = (2, 3, 4, 6, 10, 12)
_DIGITS = "789456123"
_AMOUNTS = ("cash", "price")
_TITLES = {
    "cash": later("Cash"),
    "quantity": later("Quantity"),
    "weight": later("Weight in grams"),
    "price": later("Price for one"),
    "code": later("Code"),
}
_ACCEPT = {
    "cash": later("Take"),
    "quantity": later("Set"),
    "weight": later("Set"),
    "price": later("Set"),
    "code": later("Look up"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """A value at one touch."""

    label: str
    text: str


class Pad(Widget):
    """Opened for one purpose at a time. `Entered` carries what was typed or touched; an empty text means exact cash."""

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
        .quick {{ height: 6; layout: grid; grid-size: 3 2; grid-gutter: 0 1; margin-top: 1; }}
        .keypad {{ width: 32; height: 12; layout: grid; grid-size: 3 4; grid-gutter: 0 1; }}
        .bottom {{ height: 3; margin-top: 1; }}
        .bottom TouchKey {{ margin-right: 1; }}
        .bottom TouchKey:last-child {{ margin-right: 0; width: 2fr; }}
        TouchKey {{ height: 100%; }}
        &.-long Digits {{ display: none; }}
        &.-long .typed {{ display: block; }}
        .keypad TouchKey, .quick TouchKey {{
            border-top: tall {palette.GROUND};
            border-bottom: tall {palette.GROUND};
        }}
    }}
    """

    can_focus = False

    class Entered(Message):
        """The value is complete: `text` as typed."""

        def __init__(self, purpose: Purpose, text: str) -> None:
            super().__init__()
            self.purpose: Purpose = purpose
            self.text = text

    class Closed(Message):
        """Nothing is wanted after all."""

    def __init__(self) -> None:
        super().__init__()
        self._purpose: Purpose = "cash"
        self._currency = Currency(code="", exponent=2)
        self._due_minor = 0
        self._subject = ""
        self._text = ""
        self._quick: tuple[Quick, ...] = ()

    @property
    def purpose(self) -> Purpose:
        """What it is open for."""
        return self._purpose

    def compose(self) -> ComposeResult:
        with Horizontal():
            with Vertical(classes="left"):
                yield Static(classes="title")
                yield Digits()
                yield Static(classes="typed")
                yield Static(classes="hint")
                with Container(classes="quick"):
                    for place in range(QUICK_MAX):
                        yield TouchKey(f"quick-{place}", "")
            with Container(classes="keypad"):
                for digit in _DIGITS:
                    yield TouchKey(digit, digit)
                yield TouchKey(".", ".")
                yield TouchKey("0", "0")
                yield TouchKey("rub", "\N{ERASE TO THE LEFT}")
        with Horizontal(classes="bottom"):
            yield TouchKey("back", later("Back"), "Esc")
            yield TouchKey("enter", later("Take"), "Enter", pay=True)

    def open(self, purpose: Purpose, currency: Currency, *, due_minor: int = 0, subject: str = "") -> None:
        """Empties the pad and readies it; `subject` names what a quantity or a weight is for."""
        self._purpose, self._currency, self._subject, self._text = purpose, currency, subject, ""
        self._key("enter").relabel(_ACCEPT[purpose])
        self._key(".").visible = purpose in _AMOUNTS and currency.exponent > 0
        self.owe(due_minor)

    def owe(self, due_minor: int) -> None:
        """What is due has changed."""
        self._due_minor = due_minor
        self._quick = _quick(self._purpose, self._currency, due_minor)
        for place in range(QUICK_MAX):
            key = self._key(f"quick-{place}")
            key.visible = place < len(self._quick)
            key.relabel(self._quick[place].label if key.visible else "")
        self._show()

    def type(self, char: str) -> None:
        """A digit or a decimal point."""
        if char in ".,":
            char = "."
            if self._purpose not in _AMOUNTS or "." in self._text or self._currency.exponent == 0:
                return
        whole, point, part = self._text.partition(".")
        full = len(self._text) >= TEXT_MAX[self._purpose]
        if full or (point and char != "." and len(part) >= self._currency.exponent):
            return
        self._text = self._text + char if whole != "0" or point or char == "." or self._purpose == "code" else char
        self._show()

    def rub_out(self) -> None:
        """Takes the last character back."""
        self._text = self._text[:-1]
        self._show()

    def enter(self) -> None:
        """Accepts what stands there, if it can be."""
        key = self._key("enter")
        if not key.off:
            key.flash()
            self.post_message(self.Entered(self._purpose, self._text))

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        match event.key.name or "":
            case "back":
                self.post_message(self.Closed())
            case "enter":
                self.enter()
            case "rub":
                self.rub_out()
            case name if name.startswith("quick-"):
                self.post_message(self.Entered(self._purpose, self._quick[int(name.removeprefix("quick-"))].text))
            case char:
                self.type(char)

    def _key(self, name: str) -> TouchKey:
        return next(key for key in self.query(TouchKey) if key.name == name)

    def _show(self) -> None:
        value, hint, complete = self._preview()
        title = say(_TITLES[self._purpose])
        if self._purpose == "cash":
            due = f"{self._currency.format(self._due_minor)} {self._currency.code}"
            title += f"  \N{MIDDLE DOT}  {say('{amount} due', amount=due)}"
        elif self._subject:
            title += f"  \N{MIDDLE DOT}  {self._subject}"
        self.query_one(".title", Static).update(title)
        self.query_one(".hint", Static).update(hint)
        self.set_class(len(value) > _LARGE_MAX, "-long")
        self.query_one(".typed", Static).update(value)
        self.query_one(Digits).update(value)
        self._key("enter").off = not complete

    def _preview(self) -> tuple[str, str, bool]:
        """The value as it will be taken, what follows from it, and whether it can be taken."""
        if self._purpose == "code":
            return self._text, say("Type the number under the barcode"), bool(self._text)
        if self._purpose in ("quantity", "weight"):
            hint = f"{int(self._text or 0) / 1000:.3f} kg" if self._purpose == "weight" else ""
            return self._text or "0", hint, self._text.strip("0") != ""
        if not self._text and self._purpose == "cash":
            return self._currency.format(self._due_minor), say("Exact"), True
        if self._text in ("", "."):
            return self._currency.format(0), "", False
        amount = self._currency.parse(self._text)
        if self._purpose == "price":
            return self._currency.format(amount), "", amount > 0
        over = amount - self._due_minor
        amount_ = self._currency.format(abs(over))
        hint = say("Change {amount}", amount=amount_) if over >= 0 else say("{amount} still due", amount=amount_)
        return self._currency.format(amount), hint, amount > 0


def _quick(purpose: Purpose, currency: Currency, due_minor: int) -> tuple[Quick, ...]:
    """What is mostly handed over: exact, then what the notes in use round up to."""
    if purpose in ("code", "weight", "price"):
        return ()
    if purpose == "quantity":
        return tuple(Quick(label=str(number), text=str(number)) for number in _QUANTITIES)
    amounts: list[int] = []
    for note in _NOTES_MINOR:
        note *= 10 ** max(0, currency.exponent - 2)
        rounded = -(-due_minor // note) * note
        if rounded > due_minor and rounded not in amounts:
            amounts.append(rounded)
    quick = [Quick(label=later("Exact"), text="")]
    for amount in sorted(amounts)[: QUICK_MAX - 1]:
        text = currency.format(amount).replace(",", "")
        quick.append(Quick(label=text.removesuffix("." + "0" * currency.exponent), text=text))
    return tuple(quick)
