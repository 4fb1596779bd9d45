"""The flows of an open sale: its goods, what they cost, and the money for them."""

from core.catalogue import MEASURED
from core.language import later
from core.view import SaleView
from ui.merchant.flows import Answers, Ask, Flow, Order, in_turn, plain_order
from ui.merchant.gift_cards import SELL, amount_question, order_sale, sell_quick
from ui.merchant.pad import milli, percent_bp
from ui.merchant.questions import Question, Quick, cash_quick, named
from ui.say import say
from ui.text import plain

_QUANTITIES = named("2", "3", "4", "6", "10", "12")
_PERCENTS = tuple(Quick(label=f"{percent} %", text=str(percent)) for percent in (5, 10, 15, 20, 30, 50))
_DISCOUNT_REASONS = (
    later("Damaged"),
    later("Short-dated"),
    later("Goodwill"),
    later("Regular customer"),
    later("Staff"),
    later("Last one"),
)
_PRICE_REASONS = (
    later("Price on the shelf"),
    later("Damaged"),
    later("Short-dated"),
    later("Agreed"),
    later("Wrong in the till"),
    later("Last one"),
)
_EXEMPT_REASONS = (later("Diplomat"), later("Export"), later("Charity"), later("Reseller"), later("Public body"))
_ITEM_NAMES = (
    later("Fruit"),
    later("Vegetables"),
    later("Bakery"),
    later("Drinks"),
    later("Household"),
    later("Other goods"),
)
_REASON_LENGTH_MAX = 60
_CODE_LENGTH_MAX = 32


def _code(about: Ask, answers: Answers) -> Question | None:
    """A number under a barcode; a gift card that is sold has none of its own to begin with."""
    if "data" not in answers:
        return Question(
            name="data", kind="code", title=say("Code"), hint=say("Type the number under the barcode"),
            accept=later("Look up"), quick=sell_quick(about), length_max=_CODE_LENGTH_MAX,
        )  # fmt: skip
    return amount_question(about, answers) if answers["data"] == SELL else None


def _order_code(about: Ask, answers: Answers) -> Order:
    return order_sale(about, answers) if answers["data"] == SELL else ("sale.scan", {"data": answers["data"]})


def reason_question(*, title: str, quick: tuple[Quick, ...] = (), subject: str = "") -> Question:
    """Why something is done."""
    return Question(
        name="reason", kind="text", title=title, subject=subject, hint=say("Type why, or choose: the receipt says it"),
        quick=quick, length_max=_REASON_LENGTH_MAX,
    )  # fmt: skip


def line_name(about: Ask) -> str:
    """What the line that is meant is called."""
    return plain(about.line.name) if about.line is not None else ""


def cash_due(sale: SaleView) -> int:
    """What cash has to pay: it has no coins for all amounts everywhere."""
    return sale.due_minor if sale.cash_due_minor is None else sale.cash_due_minor


# --- goods ---------------------------------------------------------------------------------------------------------


def _quantity(about: Ask) -> Question:
    """How many pieces; how much of what is measured: of the item that waits, or of the line that is meant."""
    held = about.sale.held
    unit = held.unit if held is not None else about.line.unit if about.line is not None else "each"
    if unit in MEASURED:
        subject = plain(held.name) if held is not None else line_name(about)
        return Question(
            name="quantity", kind="measure", title=say("Measured"), subject=subject, hint=unit, length_max=8
        )
    return Question(
        name="quantity", kind="count", title=say("Quantity"), subject=line_name(about), quick=_QUANTITIES, length_max=4
    )


def _weight(about: Ask) -> Question:
    subject = plain(about.sale.awaited or "")
    return Question(name="weight", kind="weight", title=say("Weight in grams"), subject=subject, length_max=6)


def _open_price(about: Ask) -> Question:
    subject = plain(about.sale.held.name) if about.sale.held is not None else ""
    return Question(name="price", kind="amount", title=say("Price for one"), subject=subject)


def _age(about: Ask) -> Question:
    held = about.sale.held
    asked = (
        f"{plain(held.name)}\n{say('Is the customer {age} or older?', age=held.min_age)}" if held is not None else ""
    )
    return Question(name="of_age", kind="confirm", title=asked, accept=later("Yes"), no=later("No: not sold"))


def _empties(_: Ask, answers: Answers) -> Question | None:
    if "data" not in answers:
        hint = say("Type the number on the bottle or the crate")
        return Question(
            name="data", kind="code", title=say("Empties"), hint=hint, accept=later("Next"), length_max=_CODE_LENGTH_MAX
        )
    if "count" not in answers:
        return Question(
            name="count", kind="count", title=say("How many empties"), subject=answers["data"], accept=later("Take back"),
            quick=named("1", "2", "4", "6", "12", "20"), length_max=3,
        )  # fmt: skip
    return None


def _new_item(about: Ask, answers: Answers) -> Question | None:
    if "data" not in answers and not about.unknown_code:
        return Question(
            name="data", kind="code", title=say("New item"), hint=say("Type the number under the barcode"), accept=later("Next"),
            length_max=_CODE_LENGTH_MAX,
        )  # fmt: skip
    code = answers.get("data", about.unknown_code)
    if "name" not in answers:
        return Question(
            name="name", kind="text", title=say("Name of the new item"), subject=code, accept=later("Next"),
            hint=say("Type it as the receipt shall say it, or choose"), quick=named(*_ITEM_NAMES), length_max=100,
        )  # fmt: skip
    if "price" not in answers:
        return Question(
            name="price", kind="amount", title=say("Price for one"), subject=answers["name"], accept=later("Next")
        )
    if "tax" not in answers and len(about.view.shop.taxes) > 1:
        quick = tuple(
            Quick(label=f"{tax.code}  {_percent(tax.rate_bp)}", text=tax.code) for tax in about.view.shop.taxes[:9]
        )
        return Question(name="tax", kind="choice", title=say("Its tax"), subject=answers["name"], quick=quick)
    return None


def _order_new_item(about: Ask, answers: Answers) -> Order:
    taxes = about.view.shop.taxes
    return "sale.item", {
        "data": answers.get("data", about.unknown_code),
        "name": answers["name"],
        "unit_price_minor": about.currency.parse(answers["price"]),
        "tax": answers.get("tax", taxes[0].code if taxes else ""),
    }


def _percent(rate_bp: int) -> str:
    whole, part = divmod(rate_bp, 100)
    return f"{whole}.{part:02d}".rstrip("0").rstrip(".") + " %"


def _price_check(_: Ask) -> Question:
    hint = say("Type the number under the barcode: nothing is sold")
    return Question(
        name="data",
        kind="code",
        title=say("What does it cost"),
        hint=hint,
        accept=later("Ask"),
        length_max=_CODE_LENGTH_MAX,
    )


# --- prices --------------------------------------------------------------------------------------------------------

_HOW = (
    Quick(label=later("In percent"), text="percent"),
    Quick(label=later("An amount"), text="amount"),
    Quick(label=later("Take it back"), text="none"),
)


def _discount(answers: Answers, title: str, subject: str) -> Question | None:
    how = answers.get("how")
    if how is None:
        return Question(name="how", kind="choice", title=title, subject=subject, quick=_HOW)
    if how == "none":
        return None
    if "off" not in answers:
        if how == "percent":
            return Question(
                name="off",
                kind="percent",
                title=title,
                subject=subject,
                accept=later("Next"),
                quick=_PERCENTS,
                length_max=5,
            )
        return Question(name="off", kind="amount", title=title, subject=subject, accept=later("Next"))
    if "reason" not in answers:
        return reason_question(title=say("Why the discount"), subject=subject, quick=named(*_DISCOUNT_REASONS))
    return None


def _discount_params(about: Ask, answers: Answers) -> dict[str, object]:
    match answers["how"]:
        case "percent":
            return {"percent_bp": percent_bp(answers["off"]), "reason": answers["reason"]}
        case "amount":
            return {"amount_minor": about.currency.parse(answers["off"]), "reason": answers["reason"]}
        case _:
            return {}


def _price(about: Ask) -> Question:
    return Question(
        name="price",
        kind="amount",
        title=say("Another price for one"),
        subject=line_name(about),
        accept=later("Next"),
        zero=True,
    )


def _price_reason(about: Ask) -> Question:
    return reason_question(title=say("Why the other price"), subject=line_name(about), quick=named(*_PRICE_REASONS))


def _exemption(_: Ask, answers: Answers) -> Question | None:
    if "reason" not in answers:
        return reason_question(title=say("Why no tax is charged"), quick=named(*_EXEMPT_REASONS))
    if "certificate" not in answers:
        return Question(
            name="certificate", kind="text", title=say("Number of the paper that says so"), empty=True,
            hint=say("Type it, or just Enter"), length_max=_REASON_LENGTH_MAX,
        )  # fmt: skip
    return None


def _coupon(_: Ask) -> Question:
    return Question(
        name="code", kind="code", title=say("Coupon"), hint=say("Type the number on the coupon"), accept=later("Take"), letters=True,
        length_max=70,
    )  # fmt: skip


# --- money and the end ---------------------------------------------------------------------------------------------


def _cash(about: Ask, answers: Answers) -> Question | None:
    if "amount" in answers or about.sale.owed_minor:
        return None  # what is owed to the customer is given back whole
    due_minor = cash_due(about.sale)
    return Question(
        name="amount", kind="cash", title=say("Cash"), accept=later("Take"), due_minor=due_minor,
        quick=cash_quick(about.currency, due_minor),
    )  # fmt: skip


def _order_cash(about: Ask, answers: Answers) -> Order:
    text = answers.get("amount")
    return "sale.cash", {"amount_minor": about.currency.parse(text)} if text else {}


def _cancel(about: Ask, answers: Answers) -> Question | None:
    if "sure" in answers:
        return None
    total = f"{about.currency.format(about.sale.total_minor)} {about.currency.code}"
    match about.sale.mode:
        case "ringing":
            asked, yes = say("Give up this basket of {total}?", total=total), later("Give it up")
        case "tendering":
            asked = say("Give up this basket of {total}?\nWhat was paid is given back first.", total=total)
            yes = later("Give it up")
        case "enquiring":
            asked = say("Go on without this card payment?\nShould it have charged, it is given back.")
            yes = later("Go on")
        case _:
            return None
    return Question(name="sure", kind="confirm", title=asked, accept=yes)


def _order_cancel(_: Ask, answers: Answers) -> Order | None:
    return None if answers.get("sure") == "no" else ("sale.cancel", {})


FLOWS = (
    Flow(name="cash", label=later("Cash"), event="cash_keyed", ask=_cash, order=_order_cash),
    Flow(name="card", label=later("Card"), event="card_keyed", order=plain_order("sale.card")),
    Flow(
        name="code", label=later("Code"), event="code_keyed", ask=_code, order=_order_code,
    ),
    Flow(
        name="quantity", label=later("Quantity"), event="quantity_keyed", ask=in_turn(_quantity),
        order=lambda about, said: (
            "sale.quantity", {"quantity_milli": milli(said["quantity"]), **about.at_line()}
        ),
    ),
    Flow(
        name="weight", label=later("Weight"), event="weight_keyed", ask=in_turn(_weight),
        order=lambda _, said: ("sale.weight", {"weight_g": int(said["weight"])}),
    ),
    Flow(
        name="open-price", label=later("Price"), event="open_price_keyed", ask=in_turn(_open_price),
        order=lambda about, said: ("sale.open_price", {"unit_price_minor": about.currency.parse(said["price"])}),
    ),
    Flow(
        name="age", label=later("Age"), event="age_keyed", ask=in_turn(_age),
        order=lambda _, said: ("sale.age", {"of_age": said["of_age"] == "yes"}),
    ),
    Flow(
        name="void", label=later("Void"), event="void_keyed", order=lambda about, _: ("sale.void", about.at_line())
    ),
    Flow(name="reprint", label=later("Reprint"), event="reprint_keyed", order=plain_order("receipt.reprint")),
    Flow(name="drawer", label=later("Drawer"), event="drawer_keyed", order=plain_order("drawer.open")),
    Flow(name="cancel", label=later("Cancel"), event="cancel_keyed", ask=_cancel, order=_order_cancel),
    Flow(
        name="coupon", label=later("Coupon"), event="coupon_presented", ask=in_turn(_coupon),
        order=lambda _, said: ("sale.coupon", {"code": said["code"]}),
    ),
    Flow(
        name="line-discount", label=later("Line discount"), event="line_discount_keyed",
        ask=lambda about, said: _discount(said, say("Discount on"), line_name(about)),
        order=lambda about, said: ("sale.line_discount", {**_discount_params(about, said), **about.at_line()}),
    ),
    Flow(
        name="total-discount", label=later("Discount"), event="total_discount_keyed",
        ask=lambda about, said: _discount(said, say("Discount on"), say("the whole basket")),
        order=lambda about, said: ("sale.total_discount", _discount_params(about, said)),
    ),
    Flow(
        name="price", label=later("Other price"), event="price_keyed", ask=in_turn(_price, _price_reason),
        order=lambda about, said: (
            "sale.price",
            {"unit_price_minor": about.currency.parse(said["price"]), "reason": said["reason"], **about.at_line()},
        ),
    ),
    Flow(
        name="exemption", label=later("No tax"), event="tax_exemption_keyed", ask=_exemption,
        order=lambda _, said: ("sale.tax_exemption", {key: word for key, word in said.items() if word}),
    ),
    Flow(name="taxed", label=later("Charge tax"), event="tax_exemption_keyed", order=plain_order("sale.tax_exemption")),
    Flow(name="new-item", label=later("New item"), event="item_keyed", ask=_new_item, order=_order_new_item),
    Flow(
        name="empties", label=later("Empties"), event="deposit_return_keyed", ask=_empties,
        order=lambda _, said: ("sale.deposit_return", {"data": said["data"], "count": int(said["count"])}),
    ),
    Flow(
        name="price-check", label=later("Price check"), event="price_check_keyed", ask=in_turn(_price_check),
        order=lambda _, said: ("sale.price_check", {"data": said["data"]}),
    ),
)  # fmt: skip
