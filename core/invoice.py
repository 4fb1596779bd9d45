"""The invoice of a finished sale, for a buyer who needs one: his name and tax number on the shop's paper.

Its number is the receipt's, with the terminal's: one series without gaps that names each sale once (2006/112/EC, article
226), so that no sale has two invoices. The second of the two papers is for the shop's books: what is said of the buyer is
kept nowhere else.
"""

import msgspec

from core.document import Cut, Document, Element, Feed, QrCode, Rule, Text
from core.language import words
from core.receipt import code_of, goods, moment, money_part
from core.returns import heading
from core.state import Completed, Shop


class Buyer(msgspec.Struct, frozen=True, kw_only=True):
    """For whom an invoice is."""

    name: str
    tax_number: str = ""
    address: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without what is in it."""
        return "Buyer(…)"


def compose_invoice(shop: Shop, completed: Completed, buyer: Buyer, *, copy: int) -> Document:
    """Both papers. `copy` 0 is the invoice itself, more is a copy and says which."""
    return Document(
        elements=(*_paper(shop, completed, buyer, copy, books=False), *_paper(shop, completed, buyer, copy, books=True))
    )


def _paper(shop: Shop, completed: Completed, buyer: Buyer, copy: int, *, books: bool) -> list[Element]:
    say, sale = words(shop.language), completed.sale
    elements: list[Element] = [Text(left=shop.name, style="centre-large")]
    elements += [Text(left=line, style="centre") for line in shop.address]
    if shop.tax_number:
        elements.append(Text(left=say("Tax number {number}", number=shop.tax_number), style="centre"))
    title = say("INVOICE") if sale.total_minor >= 0 else say("CREDIT NOTE")
    elements.append(Text(left=title, style="centre-large"))
    if (headed := heading(completed)) is not None:
        said, number = headed
        elements.append(Text(left=say(said, number=f"{number:06d}"), style="centre"))
    if copy:
        elements.append(Text(left=say("*** COPY {copy} ***", copy=copy), style="centre-large"))
    if books:
        elements.append(Text(left=say("for the shop's books"), style="centre"))
    elements += [
        Text(left=say("Number"), right=f"{shop.terminal}-{sale.number:06d}"),
        Text(left=say("Date of sale"), right=moment(sale.ended)),
        Rule(),
        Text(left=say("Buyer"), style="bold"),
        Text(left=buyer.name),
        *(Text(left=line) for line in buyer.address),
    ]
    if buyer.tax_number:
        elements.append(Text(left=say("Tax number {number}", number=buyer.tax_number)))
    elements.append(Rule())
    elements += goods(completed, shop, say)
    elements.append(Rule())
    elements += money_part(completed, shop, say)
    if sale.epoch and not books:
        elements += [Feed(), QrCode(data=code_of(shop, sale).text(), to_sign=True)]
    return [*elements, Cut()]
