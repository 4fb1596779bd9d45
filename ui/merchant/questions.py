"""What the screen asks before it can order something: one question at a time, by touch or by typing."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from core.language import later
from core.money import Currency
from ui.say import say

Kind = Literal[
    "cash",
    "amount",
    "count",
    "weight",
    "measure",
    "percent",
    "code",
    "text",
    "secret",
    "choice",
    "confirm",
    "list",
    "pieces",
    "look",
]
"""How a question is answered: by digits that mean something, by words, by one of a few, by yes or no, by rows of a list, by a
count of coins and notes; or by the till itself, which is asked for what the next question needs."""

QUICK_MAX = 9
NUMBERS_QUICK_MAX = 6
_NOTES_MINOR = (500, 1000, 2000, 5000, 10000)  # at two decimal places, and in currencies that have none


@dataclass(frozen=True, slots=True, kw_only=True)
class Quick:
    """An answer at one touch: what is read, and what is answered."""

    label: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A row of a list: `text` is answered, `left` and `right` are read. One that is `off` cannot be chosen."""

    text: str
    left: str
    right: str = ""
    off: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One question. `title`, `subject` and `hint` are said already, labels are said where they are shown. `name` is what the answer is known by, `subject` what it is about, `accept` the word for Enter.

    `empty` allows an answer of nothing, `zero` one of none; `letters` says that a code has letters too. `due_minor` is what
    cash is to pay; `rows` are a list's, of which `many` may be chosen; `pieces` are coins and notes. The till is
    asked by `method` and `params`; its answer is JSON. `no` is the word for a question's no.
    """

    name: str
    kind: Kind
    title: str
    subject: str = ""
    hint: str = ""
    accept: str = later("Set")
    no: str = later("Keep it")
    quick: tuple[Quick, ...] = ()
    length_max: int = 10
    empty: bool = False
    zero: bool = False
    letters: bool = False
    due_minor: int = 0
    rows: tuple[Row, ...] = ()
    many: bool = False
    pieces: tuple[int, ...] = ()
    method: str = ""
    params: Mapping[str, object] = field(default_factory=dict)

    @property
    def is_money(self) -> bool:
        """Whether an amount is asked for."""
        return self.kind in ("cash", "amount")

    @property
    def in_words(self) -> bool:
        """Whether letters answer it, or one of a few words."""
        return self.kind in ("text", "choice")


def named(*words: str) -> tuple[Quick, ...]:
    """Answers that are what is read, in the language of the screen."""
    return tuple(Quick(label=word, text=say(word)) for word in words)


def cash_quick(currency: Currency, due_minor: int) -> tuple[Quick, ...]:
    """What is mostly handed over: exact, then what the notes in use round up to."""
    amounts: list[int] = []
    for note in _NOTES_MINOR:
        note *= 10 ** max(0, currency.exponent - 2)
        rounded = -(-due_minor // note) * note
        if rounded > due_minor and rounded not in amounts:
            amounts.append(rounded)
    quick = [Quick(label=later("Exact"), text="")]
    for amount in sorted(amounts)[: NUMBERS_QUICK_MAX - 1]:
        text = currency.format(amount).replace(",", "")
        quick.append(Quick(label=text.removesuffix("." + "0" * currency.exponent), text=text))
    return tuple(quick)
