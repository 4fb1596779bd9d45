"""What can be done at the counter: for each thing the event it stands for, what has to be asked, and the order that follows.

A flow is asked question by question, each of which may depend on the answers before it; nothing is ordered before all are
answered, and giving up half-way leaves nothing behind.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from core.money import Currency
from core.text import Message
from core.view import LineView, SaleView, View
from ui.merchant.questions import Question
from ui.text import plain

Answers = Mapping[str, str]
Order = tuple[str, Mapping[str, object]]
"""A method of the till and its parameters."""
Outcome = Order | tuple[Order, ...] | Message | None
"""What the answers come to: an order, several one after the other, nothing to be done, or why nothing can be."""
Paper = tuple[str, tuple[tuple[str, str], ...]]
"""What is shown of an order's answer: a title, and rows of a name and a value."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """What the questions of a flow may need: the newest view, and the line that is meant.

    `chosen` is the number of the line that was chosen, 0 for none: then `line` is the newest.
    """

    view: View
    currency: Currency
    line: LineView | None = None
    chosen: int = 0

    @property
    def sale(self) -> SaleView:
        """The open transaction."""
        return self.view.sale

    @property
    def unknown_code(self) -> str:
        """The code that was last found in no catalogue, while nothing newer was told."""
        notice = self.view.notice
        if notice is None or notice.message.id != "item-not-found":
            return ""
        return plain(str(notice.message.params.get("code", "")))

    def at_line(self) -> dict[str, object]:
        """The parameter that names the chosen line."""
        return {"line": self.chosen} if self.chosen else {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """`event` is its tag in `SaleView.allowed`; `ask` gives the next question, None when all is answered.

    `told` makes of the till's answer what is shown of it.
    """

    name: str
    label: str
    event: str
    order: Callable[[Ask, Answers], Outcome]
    ask: Callable[[Ask, Answers], Question | None] = lambda _, __: None
    told: Callable[[Ask, object], Paper | None] = lambda _, __: None


def orders_of(outcome: Order | tuple[Order, ...] | None) -> tuple[Order, ...]:
    """The orders that answers come to, none, one or several."""
    if not outcome:
        return ()
    first = outcome[0]
    return (outcome,) if isinstance(first, str) else outcome  # type: ignore[return-value]


def in_turn(*questions: Callable[[Ask], Question]) -> Callable[[Ask, Answers], Question | None]:
    """Asks these, one after the other."""

    def ask(about: Ask, answers: Answers) -> Question | None:
        for question in questions:
            asked = question(about)
            if asked.name not in answers:
                return asked
        return None

    return ask


def plain_order(method: str) -> Callable[[Ask, Answers], Order]:
    """A method that takes nothing."""
    return lambda _about, _answers: (method, {})


LOOK = Flow(name="look", label="", event="", order=lambda _about, _answers: None)
"""What only asks the till for something."""
