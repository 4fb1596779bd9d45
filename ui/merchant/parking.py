"""The flows of baskets that are put aside for a while."""

from datetime import datetime

from core.language import later
from core.view import ParkedView
from ui.merchant.flows import Answers, Ask, Flow, Order
from ui.merchant.questions import Question, Row
from ui.say import say
from ui.text import plain

_LABEL_LENGTH_MAX = 30
_MINUTES_MAX = 120
_HOURS_MAX = 48
"""Longer ago it is told in hours, and then in days."""


def _label(_: Ask, answers: Answers) -> Question | None:
    if "label" in answers:
        return None
    return Question(
        name="label", kind="text", title=say("Put the basket aside"), hint=say("Type a name for it, or just Enter for its number"),
        accept=later("Put aside"), empty=True, length_max=_LABEL_LENGTH_MAX,
    )  # fmt: skip


def _order_suspend(_: Ask, answers: Answers) -> Order:
    label = answers["label"].strip()
    return "sale.suspend", {"label": label} if label else {}


def _which(about: Ask, answers: Answers) -> Question | None:
    if "number" in answers or len(about.sale.parked) == 1:
        return None
    rows = tuple(_row(about, parked) for parked in about.sale.parked)
    return Question(
        name="number", kind="list", title=say("Baskets put aside"), accept=later("Go on with it"), rows=rows
    )


def _row(about: Ask, parked: ParkedView) -> Row:
    name = plain(parked.label) or say("number {number}", number=parked.number)
    lines = say.plural("{count} line", "{count} lines", parked.lines)
    return Row(
        text=str(parked.number),
        left=f"{name}  {_since(parked.began, about.view.time_ms)}",
        right=f"{lines}  {about.currency.format(parked.total_minor):>10}",
    )


def _since(began: str, now_ms: int) -> str:
    """How long ago a local time (ISO 8601) was."""
    try:
        minutes = int(now_ms / 1000 - datetime.fromisoformat(began).timestamp()) // 60
    except ValueError:
        return ""
    if minutes < 1:
        return say("just now")
    if minutes <= _MINUTES_MAX:
        return say("{minutes} min ago", minutes=minutes)
    if minutes < _HOURS_MAX * 60:
        return say("{hours} h ago", hours=minutes // 60)
    return say("{days} days ago", days=minutes // 1440)


def _order_resume(about: Ask, answers: Answers) -> Order:
    number = answers.get("number") or str(about.sale.parked[0].number)
    return "sale.resume", {"number": int(number)}


FLOWS = (
    Flow(name="park", label=later("Park"), event="suspend_keyed", ask=_label, order=_order_suspend),
    Flow(name="resume", label=later("Resume"), event="resume_keyed", ask=_which, order=_order_resume),
)
