"""The flow of all other ways to pay: a part by card, a voucher, a gift card, the customer's account. Several may pay one sale."""

from core.language import later
from ui.merchant.flows import Answers, Ask, Flow, Order
from ui.merchant.gift_cards import number_question
from ui.merchant.questions import Question, Quick
from ui.say import say

_WAYS = (
    ("card_keyed", Quick(label=later("Part by card"), text="card")),
    ("code_keyed", Quick(label=later("Voucher"), text="voucher")),
    ("balance_keyed", Quick(label=later("Gift card"), text="gift")),
    ("account_keyed", Quick(label=later("On account"), text="account")),
)
_CODE_LENGTH_MAX = 70


def _ask(about: Ask, answers: Answers) -> Question | None:
    due = about.currency.format(about.sale.owed_minor or about.sale.due_minor)
    subject = say("{amount} due", amount=f"{due} {about.currency.code}")
    way = answers.get("way")
    if way is None:
        quick = tuple(quick for event, quick in _WAYS if event in about.sale.allowed)
        return Question(name="way", kind="choice", title=say("Pay otherwise"), subject=subject, quick=quick)
    if way == "voucher" and "code" not in answers:
        return Question(
            name="code", kind="code", title=say("Voucher"), subject=subject, accept=later("Take"), letters=True,
            hint=say("Scan it, or type its number"), length_max=_CODE_LENGTH_MAX,
        )  # fmt: skip
    if way == "gift" and "data" not in answers:
        return number_question(about)
    if way == "card" and "amount" not in answers:
        title = say("How much the card pays")
        return Question(name="amount", kind="amount", title=title, subject=subject, accept=later("Charge"))
    return None


def _order(about: Ask, answers: Answers) -> Order:
    match answers["way"]:
        case "voucher":
            return "sale.scan", {"data": answers["code"]}
        case "gift":
            return "sale.scan", {"data": answers["data"]}
        case "card":
            return "sale.card", {"amount_minor": about.currency.parse(answers["amount"])}
        case _:
            return "sale.account", {}


FLOWS = (Flow(name="other", label=later("Other"), event="card_keyed", ask=_ask, order=_order),)
