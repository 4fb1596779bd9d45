"""The flows of goods that come back, of whole sales made undone, and of the papers of finished sales."""

import msgspec

from core.language import later
from core.papers import ADDRESS_LINES_MAX
from core.text import message
from ui.merchant.flows import Answers, Ask, Flow, Order, Outcome
from ui.merchant.questions import Question, Quick, Row, named
from ui.merchant.selling import reason_question
from ui.say import say
from ui.text import plain

_REASONS = (
    later("Changed mind"), later("Damaged"), later("Wrong item"), later("Wrong size"), later("Not as described"),
    later("Spoiled"),
)  # fmt: skip
_VOID_REASONS = (later("Wrong customer"), later("Rung up twice"), later("Paid wrongly"), later("Customer went away"))
_NONE = "-"
"""Answers the question for a receipt's number where there is no receipt."""
_REST = "rest"
"""Answers it where what is left on a gift card is to be paid out."""
_GIFT = "g"
"""Begins the answer that names a gift card's line."""
_CODE_LENGTH_MAX = 32
_ADDRESS = tuple(f"address_{number}" for number in range(1, ADDRESS_LINES_MAX + 1))
_NAME_LENGTH_MAX = 80


def _receipt(about: Ask) -> Question:
    last = about.view.last
    quick = () if last is None or last.cancelled else (Quick(label=later("Last sale"), text=str(last.number)),)
    takes = "gift_card_cash_out_keyed" in (*about.sale.allowed, *about.sale.supervised)
    rest = (Quick(label=later("Card's rest"), text=_REST),) if takes else ()
    return Question(
        name="number", kind="code", title=say("Return"), hint=say("Scan the receipt, or type its number"),
        accept=later("Next"), quick=(*quick, Quick(label=later("No receipt"), text=_NONE), *rest), length_max=12,
    )  # fmt: skip


def _number(about: Ask, answers: Answers) -> str | None:
    """The receipt that goods come back of: the one in hand, else the one that was named."""
    if about.sale.receipts:
        return answers.get("number", str(about.sale.receipts[-1]))
    return answers.get("number")


def _return(about: Ask, answers: Answers) -> Question | None:
    number = _number(about, answers)
    if number is None:
        return _receipt(about)
    if number == _REST:
        return None
    if number == _NONE:
        return _unreceipted(answers)
    if "sold" not in answers:
        return Question(
            name="sold", kind="look", title=say("Return"), method="return.receipt", params={"number": int(number)}
        )
    rows = _rows(about, answers)
    if all(row.off for row in rows):
        return None
    if "lines" not in answers:
        title = say("What comes back of receipt {number}", number=number)
        return Question(name="lines", kind="list", title=title, accept=later("Next"), rows=rows, many=True)
    line = _the_line(answers)
    if line is not None and line.unit == "each" and line.left_milli > 1000 and "count" not in answers:
        most = line.left_milli // 1000
        return Question(
            name="count", kind="count", title=say("How many come back, of {most}", most=most), subject=plain(line.name),
            accept=later("Next"), quick=named(*(str(count) for count in range(1, min(most, 6) + 1))), length_max=4,
        )  # fmt: skip
    if "reason" not in answers:
        return reason_question(title=say("Why it comes back"), quick=named(*_REASONS))
    return None


class _Line(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a receipt, and how much of it can still come back."""

    line: int
    name: str
    unit: str
    quantity_milli: int
    left_milli: int
    amount_minor: int


class _GiftCard(msgspec.Struct, frozen=True, kw_only=True):
    """A gift card that a receipt was for."""

    line: int
    card: str
    amount_minor: int
    came_back: bool


class _Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the till says of a receipt."""

    lines: tuple[_Line, ...]
    gift_cards: tuple[_GiftCard, ...] = ()


def _lines(answers: Answers) -> tuple[_Line, ...]:
    return msgspec.json.decode(answers["sold"], type=_Receipt).lines


def _rows(about: Ask, answers: Answers) -> tuple[Row, ...]:
    gift_cards = msgspec.json.decode(answers["sold"], type=_Receipt).gift_cards
    return (*_goods(about, answers), *(_gift_card(about, gift) for gift in gift_cards))


def _gift_card(about: Ask, gift: _GiftCard) -> Row:
    return Row(
        text=f"{_GIFT}{gift.line}",
        left=say("Gift card {card}", card=gift.card),
        right=f"{about.currency.format(gift.amount_minor):>10}",
        off=gift.came_back,
    )


def _goods(about: Ask, answers: Answers) -> tuple[Row, ...]:
    return tuple(
        Row(
            text=str(line.line),
            left=plain(line.name),
            right=f"{_quantity(line.unit, line.left_milli)}  {about.currency.format(line.amount_minor):>10}",
            off=line.left_milli <= 0,
        )
        for line in _lines(answers)
    )


def _quantity(unit: str, quantity_milli: int) -> str:
    return str(quantity_milli // 1000) if unit == "each" else f"{quantity_milli / 1000:.3f} {unit}"


def _the_line(answers: Answers) -> _Line | None:
    """The line that was chosen, where it is one alone."""
    chosen = answers["lines"].split(",")
    return next((line for line in _lines(answers) if [str(line.line)] == chosen), None)


def _unreceipted(answers: Answers) -> Question | None:
    if "data" not in answers:
        return Question(
            name="data", kind="code", title=say("Return without a receipt"),
            hint=say("Type the number under the barcode"), accept=later("Next"), length_max=_CODE_LENGTH_MAX,
        )  # fmt: skip
    if "count" not in answers:
        return Question(
            name="count", kind="count", title=say("How many come back"), subject=answers["data"], accept=later("Next"),
            quick=named("1", "2", "3", "4", "5", "6"), length_max=4,
        )  # fmt: skip
    if "reason" not in answers:
        return reason_question(title=say("Why it comes back"), quick=named(*_REASONS))
    return None


def _order_return(about: Ask, answers: Answers) -> Outcome:
    number = _number(about, answers) or ""
    if number == _REST:
        return ("gift.cash_out", {})
    if number == _NONE:
        quantity_milli = int(answers["count"]) * 1000
        given = {"data": answers["data"], "quantity_milli": quantity_milli, "reason": answers["reason"]}
        return ("return.unreceipted", given)
    if all(row.off for row in _rows(about, answers)):
        return message("transaction-refunded", number=int(number))
    rows = [row for row in _goods(about, answers) if not row.off]
    gifts = [line.removeprefix(_GIFT) for line in answers["lines"].split(",") if line.startswith(_GIFT)]
    if len(gifts) > 1:
        return message("gift-card-one-by-one")
    chosen = [line for line in answers["lines"].split(",") if not line.startswith(_GIFT)]
    each: dict[str, object] = {"number": int(number), "reason": answers["reason"]}
    # The payment device has to empty a gift card first: it comes last, and all else is in the basket by then.
    last = tuple(("gift.return", {**each, "line": int(line)}) for line in gifts)
    if len(chosen) == len(rows) and len(chosen) > 1:
        return (("return.line", each), *last)
    count = {"quantity_milli": int(answers["count"]) * 1000} if "count" in answers else {}
    return (*(("return.line", {**each, "line": int(line), **count}) for line in chosen), *last)


def _void(about: Ask, answers: Answers) -> Question | None:
    if "reason" in answers:
        return None
    last = about.view.last
    what = say("sale {number}", number=last.number) if last is not None else ""
    return reason_question(title=say("Make the last sale undone: why"), subject=what, quick=named(*_VOID_REASONS))


def _paper(about: Ask, answers: Answers, title: str) -> Question | None:
    if "number" in answers:
        return None
    last = about.view.last
    quick = () if last is None or last.cancelled else (Quick(label=later("Last sale"), text=str(last.number)),)
    return Question(
        name="number", kind="code", title=title, hint=say("Type the number of the receipt"), accept=later("Next"),
        quick=quick, length_max=12,
    )  # fmt: skip


def _invoice(about: Ask, answers: Answers) -> Question | None:
    asked = _paper(about, answers, say("Invoice"))
    if asked is not None:
        return asked
    if "name" not in answers:
        return Question(
            name="name", kind="text", title=say("The buyer's name"), hint=say("It is on the paper, and kept nowhere"),
            accept=later("Next"), length_max=_NAME_LENGTH_MAX,
        )  # fmt: skip
    if "tax_number" not in answers:
        return Question(
            name="tax_number", kind="text", title=say("The buyer's tax number"), hint=say("Type it, or just Enter"),
            accept=later("Next"), empty=True, length_max=_NAME_LENGTH_MAX,
        )  # fmt: skip
    return _address(answers)


def _address(answers: Answers) -> Question | None:
    """The next line of the buyer's address; the first empty one ends it."""
    for number, name in enumerate(_ADDRESS, 1):
        if name not in answers:
            return Question(
                name=name, kind="text", title=say("The buyer's address, line {number}", number=number),
                hint=say("Just Enter where there is no more of it"), accept=later("Next"), empty=True,
                length_max=_NAME_LENGTH_MAX,
            )  # fmt: skip
        if not answers[name].strip():
            return None
    return None


def _order_invoice(_: Ask, answers: Answers) -> Order:
    given: dict[str, object] = {"number": int(answers["number"]), "name": answers["name"]}
    if answers["tax_number"].strip():
        given["tax_number"] = answers["tax_number"]
    if address := [line for name in _ADDRESS if (line := answers.get(name, "").strip())]:
        given["address"] = address
    return "receipt.invoice", given


FLOWS = (
    Flow(name="return", label=later("Return"), event="return_keyed", ask=_return, order=_order_return),
    Flow(
        name="void-sale", label=later("Undo sale"), event="transaction_void_keyed", ask=_void,
        order=lambda _, said: ("return.void", {"reason": said["reason"]}),
    ),
    Flow(
        name="reprint-any", label=later("Copy of any"), event="reprint_keyed",
        ask=lambda about, said: _paper(about, said, say("Copy of a receipt")),
        order=lambda _, said: ("receipt.reprint", {"number": int(said["number"])}),
    ),
    Flow(name="invoice", label=later("Invoice"), event="invoice_keyed", ask=_invoice, order=_order_invoice),
)  # fmt: skip
