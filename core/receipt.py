"""The receipt of a completed transaction, as a document for any printer."""

from collections.abc import Callable
from decimal import Decimal

from core.document import Cut, Document, Element, Feed, Logo, QrCode, Rule, Text
from core.entries import TaxExempted, TaxPart, TaxTotal, TransactionCompleted
from core.money import Currency
from core.receipt_code import ReceiptCode
from core.state import Basket, Completed, Line, Shop

_REASON_COLUMNS = 30
_MINUTE_CHARACTERS = len("2026-11-24T14:03")
_TENDER_WORDS = {"CASH": "Cash", "CREDIT": "Card"}


def compose(shop: Shop, completed: Completed, *, copy: int, doubtful: bool) -> Document:
    """The paper for `completed`: `copy` 0 is the receipt itself, more is a copy and says which.

    `doubtful` marks a paper of which another may have come out before a power cut.
    """
    sale = completed.sale
    elements: list[Element] = [Logo(), Text(left=shop.name, style="centre-large")]
    elements += [Text(left=line, style="centre") for line in shop.address]
    if copy:
        elements.append(Text(left=f"*** COPY {copy} ***", style="centre-large"))
    elif doubtful:
        elements.append(Text(left="*** MAY BE A COPY ***", style="centre-large"))
    if sale.paper:
        elements.append(Text(left=f"Written by hand {sale.written}", right=f"No. {sale.paper}"))
    elements.append(Rule())
    money = shop.currency.format
    off = _off(completed.basket)
    for line in completed.basket.lines:
        if not line.voided:
            elements += _line(line, shop.currency)
            elements += [
                Text(left=f"  {reason}"[:_REASON_COLUMNS], right=money(-amount))
                for reason, amount in off.get(line.item.line, ())
            ]
    elements += [
        Text(left=discount.reason[:_REASON_COLUMNS], right=money(-discount.amount_minor))
        for discount in completed.basket.discounts or ()
        if discount.whole
    ]
    elements.append(Rule())
    if sale.discount_minor:
        elements.append(Text(left="You save", right=money(sale.discount_minor)))
    spared_minor = sum(total.exempt_tax_minor for total in sale.taxes if total.included)
    if spared_minor:
        elements.append(Text(left="Tax taken off", right=money(-spared_minor)))
    added_minor = sum(total.tax_minor for total in sale.taxes if not total.included)
    if added_minor:
        elements.append(Text(left="Tax", right=money(added_minor)))
    elements.append(Text(left=f"TOTAL {sale.currency}", right=money(sale.total_minor), style="bold"))
    for tender in completed.basket.tenders:
        words = " ".join(part for part in (_TENDER_WORDS[tender.kind], tender.brand, tender.card) if part)
        elements.append(Text(left=words, right=money(tender.amount_minor)))
        if tender.authorisation:
            elements.append(Text(left=f"  authorisation {tender.authorisation}"))
    if sale.rounding_minor:
        elements.append(Text(left="Rounding", right=money(sale.rounding_minor)))
    if sale.change_minor:
        elements.append(Text(left="Change", right=money(sale.change_minor), style="bold"))
    elements.append(Rule())
    for total in sale.taxes:
        elements += _tax(total, money)
    if completed.basket.exemption is not None:
        elements.append(Text(left=_exemption(completed.basket.exemption)))
    elements.append(Text(left=_when(sale.ended), right=f"{shop.terminal} #{sale.number:06d}"))
    elements += [Feed(), Text(left="Thank you", style="centre")]
    if sale.epoch:
        elements += [Feed(), QrCode(data=code_of(shop, sale).text(), to_sign=True)]
    elements.append(Cut())
    return Document(elements=tuple(elements))


def code_of(shop: Shop, sale: TransactionCompleted) -> ReceiptCode:
    """The code of a receipt, without its signature."""
    return ReceiptCode(
        terminal=shop.terminal,
        epoch=sale.epoch,
        number=sale.number,
        total_minor=sale.total_minor,
        currency=sale.currency,
        ended=sale.ended[:_MINUTE_CHARACTERS],
    )


def _line(line: Line, currency: Currency) -> list[Element]:
    item = line.item
    amount = currency.format(item.amount_minor)
    elements: list[Element] = []
    if item.unit == "kg":
        net = " net" if item.weighed == "scale-net" else ""
        weighed = f"{item.quantity_milli / 1000:.3f} kg{net} x {currency.format(item.unit_price_minor)}/kg"
        elements += [Text(left=item.name), Text(left=f"  {weighed}", right=amount)]
        if item.weighed == "keyed":
            elements.append(Text(left="  weight typed by hand"))
    elif item.quantity_milli != 1000:
        counted = f"{item.quantity_milli // 1000} x {currency.format(item.unit_price_minor)}"
        elements += [Text(left=item.name), Text(left=f"  {counted}", right=amount)]
    else:
        elements.append(Text(left=item.name, right=amount))
    if line.regular_minor is not None:
        elements.append(Text(left=f"  regular price {currency.format(line.regular_minor)}"))
    dated = [f"lot {item.lot}"] if item.lot else []
    dated += [f"use by {item.use_by}"] if item.use_by else []
    dated += [f"best before {item.best_before}"] if item.best_before else []
    if dated:
        elements.append(Text(left="  " + ", ".join(dated)))
    return elements


def _off(basket: Basket) -> dict[int, list[tuple[str, int]]]:
    """Discounts on goods by their lines: reason and amount."""
    off: dict[int, list[tuple[str, int]]] = {}
    for discount in basket.discounts or ():
        if not discount.whole:
            for share in discount.shares:
                off.setdefault(share.line, []).append((discount.reason, share.amount_minor))
    return off


def _tax(total: TaxTotal, money: Callable[[int], str]) -> list[Text]:
    if total.exempt:
        return [Text(left=f"{total.code} exempt  net {money(total.net_minor)}")]
    rows = [
        Text(left=f"  {part.code} {_rate(part)} on {money(part.taxable_minor)}", right=f"tax {money(part.tax_minor)}")
        for part in total.parts
    ]
    rate = "" if rows else f" {_rate(total)}"
    return [
        Text(left=f"{total.code}{rate}  net {money(total.net_minor)}", right=f"tax {money(total.tax_minor)}"),
        *rows,
    ]


def _rate(row: TaxTotal | TaxPart) -> str:
    percent = Decimal(100 * row.rate_bp + row.more_ppm) / 10_000
    return f"{percent.normalize():f} %"


def _exemption(exemption: TaxExempted) -> str:
    number = f", {exemption.certificate}" if exemption.certificate else ""
    return f"Exempt from tax: {exemption.reason}{number}"[: _REASON_COLUMNS + 12]


def _when(ended: str) -> str:
    return ended.replace("T", " ")[:16]
