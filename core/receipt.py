"""The receipt of a completed transaction, as a document for any printer."""

from collections.abc import Callable

from core.document import Cut, Document, Element, Feed, Rule, Text
from core.entries import ItemAdded, TaxTotal
from core.money import Currency
from core.state import Completed, Shop

_TENDER_WORDS = {"CASH": "Cash", "CREDIT": "Card"}


def compose(shop: Shop, completed: Completed, *, copy: int, doubtful: bool) -> Document:
    """The paper for `completed`: `copy` 0 is the receipt itself, more is a copy and says which.

    `doubtful` marks a paper of which another may have come out before a power cut.
    """
    sale = completed.sale
    elements: list[Element] = [Text(left=shop.name, style="centre-large")]
    elements += [Text(left=line, style="centre") for line in shop.address]
    if copy:
        elements.append(Text(left=f"*** COPY {copy} ***", style="centre-large"))
    elif doubtful:
        elements.append(Text(left="*** MAY BE A COPY ***", style="centre-large"))
    elements.append(Rule())
    for line in completed.basket.lines:
        if not line.voided:
            elements += _line(line.item, shop.currency)
    elements.append(Rule())
    money = shop.currency.format
    elements.append(Text(left=f"TOTAL {sale.currency}", right=money(sale.total_minor), style="bold"))
    for tender in completed.basket.tenders:
        words = " ".join(part for part in (_TENDER_WORDS[tender.kind], tender.brand, tender.card) if part)
        elements.append(Text(left=words, right=money(tender.amount_minor)))
        if tender.authorisation:
            elements.append(Text(left=f"  authorisation {tender.authorisation}"))
    if sale.change_minor:
        elements.append(Text(left="Change", right=money(sale.change_minor), style="bold"))
    elements.append(Rule())
    elements += [_tax(total, money) for total in sale.taxes]
    elements.append(Text(left=_when(sale.ended), right=f"{shop.terminal} #{sale.number:06d}"))
    elements += [Feed(), Text(left="Thank you", style="centre"), Cut()]
    return Document(elements=tuple(elements))


def _line(item: ItemAdded, currency: Currency) -> list[Element]:
    amount = currency.format(item.amount_minor)
    elements: list[Element] = []
    if item.unit == "kg":
        weighed = f"{item.quantity_milli / 1000:.3f} kg x {currency.format(item.unit_price_minor)}/kg"
        elements += [Text(left=item.name), Text(left=f"  {weighed}", right=amount)]
    elif item.quantity_milli != 1000:
        counted = f"{item.quantity_milli // 1000} x {currency.format(item.unit_price_minor)}"
        elements += [Text(left=item.name), Text(left=f"  {counted}", right=amount)]
    else:
        elements.append(Text(left=item.name, right=amount))
    dated = [f"lot {item.lot}"] if item.lot else []
    dated += [f"use by {item.use_by}"] if item.use_by else []
    dated += [f"best before {item.best_before}"] if item.best_before else []
    if dated:
        elements.append(Text(left="  " + ", ".join(dated)))
    return elements


def _tax(total: TaxTotal, money: Callable[[int], str]) -> Text:
    rate = f"{total.rate_bp / 100:g} %"
    return Text(left=f"{total.code} {rate}  net {money(total.net_minor)}", right=f"tax {money(total.tax_minor)}")


def _when(ended: str) -> str:
    return ended.replace("T", " ")[:16]
