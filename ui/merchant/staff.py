"""The flows of who works here: signing on and off, locking, the first owner, and a supervisor's word for one order.

A PIN is asked for last, goes into the one order that it is for, and is kept nowhere.
"""

from core.language import later
from core.text import Message, message
from core.view import OperatorView, View
from ui.merchant.flows import Answers, Ask, Flow, Order, in_turn, plain_order
from ui.merchant.questions import Question, named
from ui.say import say
from ui.text import plain

_ID_LENGTH_MAX = 8
_PIN_LENGTH_MAX = 12


def _operator(about: Ask) -> Question:
    who = about.view.operator
    title, quick = say("Sign on: your number"), named()
    if who.locked and who.id:
        title, quick = say("Locked by operator {operator}: your number", operator=plain(who.id)), named(plain(who.id))
    return Question(
        name="operator",
        kind="code",
        title=title,
        accept=later("Next"),
        letters=True,
        quick=quick,
        length_max=_ID_LENGTH_MAX,
    )


def _pin(_: Ask) -> Question:
    return Question(name="pin", kind="secret", title=say("PIN"), accept=later("Sign on"), length_max=_PIN_LENGTH_MAX)


def _owner(_: Ask) -> Question:
    return Question(
        name="operator", kind="code", title=say("The owner's number, to sign on with"), accept=later("Next"), letters=True,
        hint=say("Short, such as 1"), length_max=_ID_LENGTH_MAX,
    )  # fmt: skip


def _claim(about: Ask) -> Question:
    return Question(
        name="claim", kind="code", title=say("Become the owner of this till"), accept=later("Next"), letters=True,
        hint=say("Type {claim}", claim=about.view.operator.claim or ""), length_max=_PIN_LENGTH_MAX,
    )  # fmt: skip


def _owner_pin(_: Ask) -> Question:
    return Question(
        name="pin", kind="secret", title=say("The owner's PIN"), hint=say("6 to 12 digits, none that is guessed first"),
        accept=later("Next"), length_max=_PIN_LENGTH_MAX,
    )  # fmt: skip


def _owner_pin_again(_: Ask) -> Question:
    return Question(name="again", kind="secret", title=say("The same PIN again"), length_max=_PIN_LENGTH_MAX)


def _order_claim(_: Ask, answers: Answers) -> Order | Message:
    if answers["pin"] != answers["again"]:
        return message("pins-differ")
    return "operator.claim", {name: answers[name] for name in ("claim", "operator", "pin")}


def _approver(about: Ask) -> Question:
    return Question(
        name="approver", kind="code", title=say("This takes a supervisor: his number"), accept=later("Next"), letters=True,
        hint=say("Esc leaves it"), length_max=_ID_LENGTH_MAX,
    )  # fmt: skip


def _approver_pin(_: Ask) -> Question:
    return Question(
        name="approver_pin",
        kind="secret",
        title=say("The supervisor's PIN"),
        accept=later("Allow it"),
        length_max=_PIN_LENGTH_MAX,
    )


def wanted(who: OperatorView) -> Flow | None:
    """What has to come before all else: that somebody signs on, or that the till gets its first owner."""
    if not who.sign_on or (who.id is not None and not who.locked):
        return None
    return CLAIM if who.claim else SIGN_ON


def still(flow: Flow, view: View) -> bool:
    """Whether a flow that has begun still leads somewhere."""
    if flow.event:
        return flow.event in view.sale.allowed or flow.event in view.sale.supervised
    return wanted(view.operator) is flow


def approval(flow: Flow, orders: tuple[Order, ...]) -> Flow:
    """The flow that has a supervisor allow what was refused, and what was to follow it."""
    return Flow(
        name="approval", label=flow.label, event=flow.event, ask=in_turn(_approver, _approver_pin),
        order=lambda _, said: tuple((method, {**params, **said}) for method, params in orders), told=flow.told,
    )  # fmt: skip


def again(flow: Flow, orders: tuple[Order, ...], why: Message) -> Flow | None:
    """The flow that has a refused order confirmed, where saying yes makes the till take it: what is unusual, a closing while
    card payments are open or baskets put aside, and a date that the clock cannot vouch for."""
    method, params = orders[0]
    if why.id == "payments-open":
        title = say("Close without these card payments?\nThey are settled later.")
        confirmed: tuple[Order, ...] = ((method, {**params, "open_payments": True}),)
    elif why.id == "baskets-parked":
        title = say("Close over these baskets?\nThey wait for tomorrow; a supervisor decides.")
        confirmed = ((method, {**params, "parked": True}),)
    elif why.id == "date-not-confirmed":
        day = plain(str(why.params.get("business_day", "")))
        title = say("Is today {day}?", day=day)
        confirmed = (("till.business_day", {"business_day": day}), *orders)
    elif why.id.endswith("-unusual"):
        title = say("Is that right?\nIt is far from what is usual.")
        confirmed = ((method, {**params, "confirmed": True}),)
    else:
        return None
    asked = Question(name="sure", kind="confirm", title=title, accept=later("Yes"), no=later("No"))
    return Flow(
        name="again", label=flow.label, event=flow.event, ask=in_turn(lambda _: asked),
        order=lambda _, said: confirmed if said["sure"] == "yes" else None, told=flow.told,
    )  # fmt: skip


SIGN_ON = Flow(
    name="sign-on", label=later("Sign on"), event="", ask=in_turn(_operator, _pin),
    order=lambda _, said: ("operator.sign_on", dict(said)),
)  # fmt: skip
CLAIM = Flow(
    name="claim", label=later("Owner"), event="", ask=in_turn(_claim, _owner, _owner_pin, _owner_pin_again),
    order=_order_claim,
)  # fmt: skip

FLOWS = (
    SIGN_ON,
    CLAIM,
    Flow(name="sign-off", label=later("Sign off"), event="sign_off_keyed", order=plain_order("operator.sign_off")),
    Flow(name="lock", label=later("Lock"), event="lock_keyed", order=plain_order("operator.lock")),
)
