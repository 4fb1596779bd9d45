"""X and Z reports: how a session stands, as a value and as a paper. A Z is numbered and kept; an X changes nothing."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from core import entries as e
from core.document import Cut, Document, Element, Rule, Text
from core.language import Words, later, words
from core.state import Shop, Till
from core.takings import GrandTotal, Row, Takings, TaxRow, rolled
from core.till import Session, expected_minor, shift_total

_TENDERS = {
    "CASH": later("Cash"),
    "CREDIT": later("Card"),
    "MOBILE": later("Phone"),
    "STORED_VALUE": later("Gift card"),
    "VOUCHER": later("Voucher"),
    "CUST_ACCT": later("On account"),
}
_MOVES = {
    "loan": later("Loans"),
    "paid-in": later("Paid in"),
    "pickup": later("Picked up"),
    "paid-out": later("Paid out"),
    "deposit": later("To the safe"),
}
_CARDS = {
    "debit": later("charged"),
    "credit": later("given back"),
    "reverse-debit": later("charges taken back"),
    "reverse-credit": later("refunds taken back"),
}
_BLANK = GrandTotal(period="")


def report_of(shop: Shop, till: Till, session: Session, local_time: str) -> e.Report:
    """How the session stands at a local time (ISO 8601), the grand totals rolled on from the report before."""
    before = till.books.z.report if till.books.z is not None else None
    shift, day, expected = shift_total(session), session.business_day, expected_minor(session)
    return e.Report(
        session=session.number,
        business_day=day,
        currency=shop.currency.code,
        began=session.began,
        ended=local_time,
        float_minor=session.float_minor,
        expected_minor=expected,
        counted_minor=session.counted_minor,
        over_short_minor=session.counted_minor - expected if session.counted_minor is not None else 0,
        counts=session.counts,
        takings=session.takings,
        first=session.first,
        last=session.last,
        shift=shift,
        day=rolled(before.day if before is not None else _BLANK, day, shift),
        month=rolled(before.month if before is not None else _BLANK, day[:7], shift),
        year=rolled(before.year if before is not None else _BLANK, day[:4], shift),
        perpetual=rolled(before.perpetual if before is not None else _BLANK, "", shift),
        reconciled=session.reconciled,
        open_payments=tuple(
            e.PaymentOpen(reference=tender.reference, amount_minor=tender.amount_minor, phase=tender.phase)
            for tender in till.aside
        )
        + tuple(
            e.PaymentOpen(reference=order.asked.reference, amount_minor=order.asked.amount_minor, phase=order.phase)
            for order in till.gifts
        ),
        parked=tuple(
            e.BasketParked(
                number=one.basket.number,
                amount_minor=sum(line.item.amount_minor for line in one.basket.lines if not line.voided),
            )
            for one in till.parked
        ),
    )


def net_minor(totals: Sequence[e.CardTotal]) -> int:
    """What card payments come to in all: charged, less what was given or taken back."""
    return sum(
        total.amount_minor if total.kind in ("debit", "reverse-credit") else -total.amount_minor for total in totals
    )


def differs(told: e.PaymentsReconciled) -> bool:
    """Whether the payment device's totals are others than ours; one that did not answer differs in nothing."""
    if told.fault is not None:
        return False
    return {each for each in told.ours if each.count} != {each for each in told.theirs if each.count}


def report_document(shop: Shop, report: e.Report, *, z: e.ZReported | None = None, copy: int = 0) -> Document:
    """The paper of a report: of a Z with its number, else of an X. `copy` 0 is the report itself."""
    money, say = shop.currency.format, words(shop.language)
    elements: list[Element] = [Text(left=shop.name, style="centre-large")]
    title = say("Z REPORT {number}", number=z.number) if z is not None else say("X REPORT")
    elements.append(Text(left=title, style="centre-large"))
    if copy:
        elements.append(Text(left=say("*** COPY {copy} ***", copy=copy), style="centre-large"))
    elements += [
        Text(left=say("Business day"), right=report.business_day),
        Text(left=say("From"), right=_when(report.began)),
        Text(left=say("To"), right=_when(report.ended)),
        Text(
            left=say("{terminal} session {number}", terminal=shop.terminal, number=report.session),
            right=_numbers(report, say),
        ),
        Rule(),
    ]
    elements += _sold(report.takings, money, say)
    elements += _drawer(report, money, say)
    elements += _cards(report, money, say)
    elements += [
        Text(left=say("Put aside #{number:06}", number=basket.number), right=money(basket.amount_minor))
        for basket in report.parked
    ]
    elements += [Rule(), Text(left=say("GRAND TOTALS"), style="bold")]
    elements += [
        Text(left=f"{span} {total.period}".rstrip(), right=money(total.amount_minor))
        for span, total in (
            (say("Shift"), report.shift),
            (say("Day"), report.day),
            (say("Month"), report.month),
            (say("Year"), report.year),
            (say("Perpetual"), report.perpetual),
            (say("Perpetual, refunds added"), _absolute(report.perpetual)),
        )
    ]
    if z is not None and z.day_closed:
        elements += [Rule(), Text(left=say("The business day is closed"), style="centre")]
    return Document(elements=(*elements, Cut()))


def _absolute(total: GrandTotal) -> GrandTotal:
    return GrandTotal(period=total.period, count=total.count, amount_minor=total.absolute_minor)


def _sold(taken: Takings, money: Callable[[int], str], say: Words) -> list[Element]:
    elements: list[Element] = [
        Text(left=say("Sales {count}", count=taken.sales.count), right=money(taken.sales.amount_minor), style="bold"),
        Text(left=say("Refunds {count}", count=taken.refunds.count), right=money(-taken.refunds.amount_minor)),
        Text(left=say("Sales made undone {count}", count=taken.undone.count), right=money(-taken.undone.amount_minor)),
        Text(left=say("Discounts {count}", count=taken.discounts.count), right=money(-taken.discounts.amount_minor)),
        Text(left=say("Lines taken back {count}", count=taken.voided.count), right=money(taken.voided.amount_minor)),
        Text(left=say("Baskets given up"), right=str(taken.cancelled.count)),
        Text(left=say("Drawer opened without a sale"), right=str(taken.no_sales)),
        Text(left=say("Copies"), right=str(taken.copies)),
    ]
    if taken.written.count:
        elements.append(
            Text(
                left=say("Of these by hand {count}", count=taken.written.count), right=money(taken.written.amount_minor)
            )
        )
    if taken.rounding_minor:
        elements.append(Text(left=say("Rounding"), right=money(taken.rounding_minor)))
    if taken.gift_cards.count or taken.gift_cards_back.count:
        sold, back = taken.gift_cards, taken.gift_cards_back
        elements += [
            Rule(),
            Text(left=say("Gift cards sold {count}", count=sold.count), right=money(sold.amount_minor)),
            Text(left=say("Gift cards taken back {count}", count=back.count), right=money(-back.amount_minor)),
            Text(left=say("Owed to customers, no turnover"), right=money(sold.amount_minor - back.amount_minor)),
        ]
    elements.append(Rule())
    elements += _rows(taken.tenders, money, {kind: say(named) for kind, named in _TENDERS.items()})
    elements += _rows(
        taken.refund_tenders,
        money,
        {kind: say("{tender} back", tender=say(named)) for kind, named in _TENDERS.items()},
        -1,
    )
    elements.append(Rule())
    elements += [
        Text(
            left=say("{code}  net {net}", code=_rate(row, say), net=money(row.net_minor)),
            right=say("tax {tax}", tax=money(row.tax_minor)),
        )
        for row in taken.taxes
    ]
    named = [row for row in taken.operators if row.kind]
    if named:
        elements.append(Rule())
        elements += _rows(named, money, {row.kind: say("Operator {operator}", operator=row.kind) for row in named})
    return elements


def _drawer(report: e.Report, money: Callable[[int], str], say: Words) -> list[Element]:
    elements: list[Element] = [Rule(), Text(left=say("Float"), right=money(report.float_minor))]
    elements += [
        Text(
            left=f"{say(_MOVES[row.kind])} {row.count}",
            right=money(row.amount_minor if row.kind in ("loan", "paid-in") else -row.amount_minor),
        )
        for row in report.takings.moves
    ]
    elements.append(Text(left=say("Cash expected"), right=money(report.expected_minor)))
    if report.counted_minor is not None:
        outcome = (
            say("Over") if report.over_short_minor > 0 else say("Short") if report.over_short_minor else say("Exact")
        )
        elements += [
            Text(left=say("Cash counted"), right=money(report.counted_minor)),
            Text(left=outcome, right=money(report.over_short_minor), style="bold"),
        ]
    elements += [
        Text(left=f"  {each.count} x {money(each.unit_minor)}", right=money(each.count * each.unit_minor))
        for each in report.counts
        if each.count
    ]
    return elements


def _cards(report: e.Report, money: Callable[[int], str], say: Words) -> list[Element]:
    elements: list[Element] = []
    for told in report.reconciled:
        elements.append(Rule())
        if told.fault is not None:
            elements.append(Text(left=say("Payment device: no end of day"), right=told.fault))
            continue
        elements.append(Text(left=say("Payment device"), right=say("DIFFERS") if differs(told) else say("agrees")))
        for who, totals in ((say("here"), told.ours), (say("there"), told.theirs)):
            elements += [
                Text(left=f"  {who}: {total.count} {say(_CARDS[total.kind])}", right=money(total.amount_minor))
                for total in totals
            ]
    for payment in report.open_payments:
        elements.append(
            Text(left=say("Not settled {reference}", reference=payment.reference), right=money(payment.amount_minor))
        )
    return elements


def _rows(rows: Iterable[Row], money: Callable[[int], str], named: dict[str, str], sign: int = 1) -> list[Element]:
    return [
        Text(left=f"{named.get(row.kind, row.kind)} {row.count}", right=money(sign * row.amount_minor)) for row in rows
    ]


def _rate(row: TaxRow, say: Words) -> str:
    if row.exempt:
        return say("{code} exempt", code=row.code)
    percent = Decimal(100 * row.rate_bp + row.more_ppm) / 10_000
    return f"{row.code} {percent.normalize():f} %"


def _numbers(report: e.Report, say: Words) -> str:
    return say("#{first:06} to #{last:06}", first=report.first, last=report.last) if report.last else ""


def _when(local_time: str) -> str:
    return local_time.replace("T", " ")[:16]
