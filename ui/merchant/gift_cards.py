"""The questions of gift cards: one is sold, one is shown. One that pays is among the ways to pay, one that comes back among what
a receipt was for; what is on one is told where its code is, or its price is asked."""

from core.language import later
from ui.merchant.flows import Answers, Ask, Flow, Order, in_turn
from ui.merchant.questions import Question, Quick
from ui.say import say

SELL = "gift"
"""Answers the question for a code where a gift card is to be sold; no code has letters there."""
NUMBER_LENGTH_MAX = 19


def number_question(_: Ask) -> Question:
    """A gift card's number; a swipe or a scan goes without."""
    return Question(
        name="data", kind="code", title=say("Gift card"), hint=say("Swipe or scan it, or type its number"),
        accept=later("Next"), length_max=NUMBER_LENGTH_MAX,
    )  # fmt: skip


def sell_quick(about: Ask) -> tuple[Quick, ...]:
    """The key that begins to sell one, where the till takes it."""
    takes = "gift_card_sale_keyed" in (*about.sale.allowed, *about.sale.supervised)
    return (Quick(label=later("Gift card"), text=SELL),) if takes else ()


def amount_question(about: Ask, answers: Answers) -> Question | None:
    """What it is sold with: any amount, or one of the shop's."""
    if "amount" in answers:
        return None
    amounts = [about.currency.format(each) for each in about.view.shop.gift_card_amounts_minor]
    if amounts:
        quick = tuple(Quick(label=f"{each} {about.currency.code}", text=each) for each in amounts[:9])
        return Question(name="amount", kind="choice", title=say("Sell a gift card"), quick=quick)
    return Question(name="amount", kind="amount", title=say("Sell a gift card"), accept=later("Next"))


def order_sale(about: Ask, answers: Answers) -> Order:
    """The order to sell one."""
    return "gift.sell", {"amount_minor": about.currency.parse(answers["amount"])}


FLOWS = (
    Flow(
        name="gift-card-number", label=later("Number"), event="code_keyed", ask=in_turn(number_question),
        order=lambda _, said: ("sale.scan", {"data": said["data"]}),
    ),
)  # fmt: skip
