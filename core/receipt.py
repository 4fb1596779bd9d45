"""The receipt of a completed transaction, as a document for any printer."""

from collections.abc import Callable
from decimal import Decimal

from core.card import wipe
from core.catalogue import MEASURED
from core.document import Cut, Document, Element, Feed, Logo, QrCode, Rule, Text
from core.entries import GiftCardReturned, TaxExempted, TaxPart, TaxTotal, TransactionCompleted
from core.language import Words, later, words
from core.money import Currency
from core.receipt_code import ReceiptCode
from core.returns import heading
from core.state import Basket, Completed, GiftLine, Line, Shop, Tender

_MINUTE_CHARACTERS = len("2026-11-24T14:03")
_TENDERS = {
    "CASH": later("Cash"),
    "CREDIT": later("Card"),
    "MOBILE": later("Phone"),
    "STORED_VALUE": later("Gift card"),
    "VOUCHER": later("Voucher"),
    "CUST_ACCT": later("On account"),
}


def compose(shop: Shop, completed: Completed, *, copy: int, doubtful: bool) -> Document:
    """The paper for `completed`: `copy` 0 is the receipt itself, more is a copy and says which.

    `doubtful` marks a paper of which another may have come out before a power cut.
    """
    sale, say = completed.sale, words(shop.language)
    elements: list[Element] = [Logo(), Text(left=shop.name, style="centre-large")]
    elements += [Text(left=line, style="centre") for line in shop.address]
    if shop.tax_number:
        elements.append(Text(left=say("Tax number {number}", number=shop.tax_number), style="centre"))
    if copy:
        elements.append(Text(left=say("*** COPY {copy} ***", copy=copy), style="centre-large"))
    elif doubtful:
        elements.append(Text(left=say("*** MAY BE A COPY ***"), style="centre-large"))
    if sale.paper:
        elements.append(
            Text(left=say("Written by hand {date}", date=sale.written), right=say("No. {paper}", paper=sale.paper))
        )
    if (headed := heading(completed)) is not None:
        said, number = headed
        elements.append(Text(left=say(said, number=f"{number:06d}"), style="centre-large"))
    elements.append(Rule())
    elements += goods(completed, shop, say)
    elements.append(Rule())
    elements += money_part(completed, shop, say)
    elements.append(Text(left=moment(sale.ended), right=f"{shop.terminal} #{sale.number:06d}"))
    elements += [Feed(), Text(left=say("Thank you"), style="centre")]
    if sale.epoch:
        elements += [Feed(), QrCode(data=code_of(shop, sale).text(), to_sign=True)]
    elements.append(Cut())
    if not copy:
        elements += _slips(shop, completed, say)
    return Document(elements=tuple(elements))


def goods(completed: Completed, shop: Shop, say: Words) -> list[Element]:
    """What was sold, each line with what was taken off it, and what was taken off the whole."""
    money, elements = shop.currency.format, list[Element]()
    off = _off(completed.basket)
    for line in completed.basket.lines:
        if not line.voided:
            elements += _line(line, shop.currency, say)
            elements += [
                Text(left=f"  {reason}", right=money(-amount)) for reason, amount in off.get(line.item.line, ())
            ]
    elements += [
        Text(left=discount.reason, right=money(-discount.amount_minor))
        for discount in completed.basket.discounts or ()
        if discount.whole
    ]
    for gift in completed.basket.gifts:
        if not gift.voided:
            elements += _gift_card(gift, money, say)
    return elements


def money_part(completed: Completed, shop: Shop, say: Words) -> list[Element]:
    """What it came to, how it was paid, and the table of taxes."""
    sale, money, elements = completed.sale, shop.currency.format, list[Element]()
    if sale.discount_minor:
        elements.append(Text(left=say("You save"), right=money(sale.discount_minor)))
    spared_minor = sum(total.exempt_tax_minor for total in sale.taxes if total.included)
    if spared_minor:
        elements.append(Text(left=say("Tax taken off"), right=money(-spared_minor)))
    added_minor = sum(total.tax_minor for total in sale.taxes if not total.included)
    if added_minor:
        elements.append(Text(left=say("Tax"), right=money(added_minor)))
    total = say("TOTAL {currency}", currency=sale.currency)
    elements.append(Text(left=total, right=money(sale.total_minor + sale.stored_value_minor), style="bold"))
    for tender in completed.basket.tenders:
        elements += _tender(tender, money, say)
    if sale.rounding_minor:
        elements.append(Text(left=say("Rounding"), right=money(sale.rounding_minor)))
    if sale.change_minor:
        elements.append(Text(left=say("Change"), right=money(sale.change_minor), style="bold"))
    elements.append(Rule())
    for row in sale.taxes:
        elements += _tax(row, money, say)
    if completed.basket.exemption is not None:
        elements.append(Text(left=_exemption(completed.basket.exemption, say)))
    return elements


def _slips(shop: Shop, completed: Completed, say: Words) -> list[Element]:
    """The merchant's copy of each card payment that the customer signs, cut off behind the receipt."""
    slips: list[Element] = []
    for tender in completed.basket.tenders:
        if tender.signature:
            sale = completed.sale
            slips += [
                Text(left=shop.name, style="centre-large"),
                Text(left=say("MERCHANT COPY"), style="centre"),
                Rule(),
                Text(left=moment(sale.ended), right=f"{shop.terminal} #{sale.number:06d}"),
                *_tender(tender, shop.currency.format, say),
                Feed(lines=3),
                Rule(),
                Text(left=say("Signature of the cardholder"), style="centre"),
                Cut(),
            ]
    return slips


def code_of(shop: Shop, sale: TransactionCompleted) -> ReceiptCode:
    """The code of a receipt, without its signature."""
    return ReceiptCode(
        terminal=shop.terminal,
        epoch=sale.epoch,
        number=sale.number,
        total_minor=sale.total_minor + sale.stored_value_minor,
        currency=sale.currency,
        ended=sale.ended[:_MINUTE_CHARACTERS],
    )


def _tender(tender: Tender, money: Callable[[int], str], say: Words) -> list[Element]:
    """What was paid with; of a card its brand and last digits, and what names the payment on the device's side."""
    parts = (say(_TENDERS.get(tender.kind, tender.kind)), tender.brand, tender.card)
    elements: list[Element] = [Text(left=" ".join(part for part in parts if part), right=money(tender.signed_minor))]
    if tender.authorisation:
        elements.append(Text(left=say("  authorisation {code}", code=tender.authorisation)))
    if tender.poi_transaction:
        # The device's own id is kept exact for a reversal; on paper nothing may look like a card's number.
        elements.append(Text(left=say("  payment {id}", id=wipe(tender.poi_transaction))))
    return elements


def _gift_card(gift: GiftLine, money: Callable[[int], str], say: Words) -> list[Element]:
    """A gift card: never its number."""
    item = gift.item
    if isinstance(item, GiftCardReturned) and not item.returned.number:
        named = say("Gift card {card} paid out", card=item.card)
    elif isinstance(item, GiftCardReturned):
        named = say("Gift card {card} taken back", card=item.card)
    elif item.operation == "load":
        named = say("Gift card {card} loaded", card=item.card)
    else:
        named = say("Gift card {card}", card=item.card)
    return [Text(left=named, right=money(item.amount_minor))]


def _line(line: Line, currency: Currency, say: Words) -> list[Element]:
    item = line.item
    amount = currency.format(item.amount_minor)
    elements: list[Element] = []
    if item.unit == "kg":
        price, weight = currency.format(item.unit_price_minor), f"{item.quantity_milli / 1000:.3f}"
        if item.weighed == "scale-net":
            weighed = say("  {weight} kg net x {price}/kg", weight=weight, price=price)
        else:
            weighed = say("  {weight} kg x {price}/kg", weight=weight, price=price)
        elements += [Text(left=item.name), Text(left=weighed, right=amount)]
        if item.weighed == "keyed":
            elements.append(Text(left=say("  weight typed by hand")))
    elif item.unit in MEASURED:
        price = currency.format(item.unit_price_minor)
        measured = f"  {item.quantity_milli / 1000:.3f} {item.unit} x {price}/{item.unit}"
        elements += [Text(left=item.name), Text(left=measured, right=amount)]
    elif item.quantity_milli != 1000:
        counted = f"{item.quantity_milli // 1000} x {currency.format(item.unit_price_minor)}"
        elements += [Text(left=item.name), Text(left=f"  {counted}", right=amount)]
    else:
        elements.append(Text(left=item.name, right=amount))
    if line.regular_minor is not None:
        elements.append(Text(left=say("  regular price {price}", price=currency.format(line.regular_minor))))
    dated = [say("lot {lot}", lot=item.lot)] if item.lot else []
    dated += [say("use by {date}", date=item.use_by)] if item.use_by else []
    dated += [say("best before {date}", date=item.best_before)] if item.best_before else []
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


def _tax(total: TaxTotal, money: Callable[[int], str], say: Words) -> list[Text]:
    if total.exempt:
        return [Text(left=say("{code} exempt  net {net}", code=total.code, net=money(total.net_minor)))]
    rows = [
        Text(
            left=say("  {code} {rate} on {net}", code=part.code, rate=_rate(part), net=money(part.taxable_minor)),
            right=say("tax {tax}", tax=money(part.tax_minor)),
        )
        for part in total.parts
    ]
    code = total.code if rows else f"{total.code} {_rate(total)}"
    return [
        Text(
            left=say("{code}  net {net}", code=code, net=money(total.net_minor)),
            right=say("tax {tax}", tax=money(total.tax_minor)),
        ),
        *rows,
    ]


def _rate(row: TaxTotal | TaxPart) -> str:
    percent = Decimal(100 * row.rate_bp + row.more_ppm) / 10_000
    return f"{percent.normalize():f} %"


def _exemption(exemption: TaxExempted, say: Words) -> str:
    number = f", {exemption.certificate}" if exemption.certificate else ""
    return say("Exempt from tax: {reason}", reason=exemption.reason + number)


def moment(ended: str) -> str:
    """A local time as papers have it: ``2026-11-24 14:03``."""
    return ended.replace("T", " ")[:16]
