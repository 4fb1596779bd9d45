"""X and Z reports: how a session stands, as a value and as a paper. A Z is numbered and kept; an X changes nothing."""

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal

from core import entries as e
from core.document import Cut, Document, Element, Rule, Text
from core.state import Shop, Till
from core.takings import GrandTotal, Row, Takings, TaxRow, rolled
from core.till import Session, expected_minor, shift_total

_TENDERS = {"CASH": "Cash", "CREDIT": "Card"}
_MOVES = {
    "loan": "Loans",
    "paid-in": "Paid in",
    "pickup": "Picked up",
    "paid-out": "Paid out",
    "deposit": "To the safe",
}
_CARDS = {
    "debit": "charged",
    "credit": "given back",
    "reverse-debit": "charges taken back",
    "reverse-credit": "refunds taken back",
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
    money = shop.currency.format
    elements: list[Element] = [Text(left=shop.name, style="centre-large")]
    title = f"Z REPORT {z.number}" if z is not None else "X REPORT"
    elements.append(Text(left=title, style="centre-large"))
    if copy:
        elements.append(Text(left=f"*** COPY {copy} ***", style="centre-large"))
    elements += [
        Text(left="Business day", right=report.business_day),
        Text(left="From", right=_when(report.began)),
        Text(left="To", right=_when(report.ended)),
        Text(left=f"{shop.terminal} session {report.session}", right=_numbers(report)),
        Rule(),
    ]
    elements += _sold(report.takings, money)
    elements += _drawer(report, money)
    elements += _cards(report, money)
    elements += [Rule(), Text(left="GRAND TOTALS", style="bold")]
    elements += [
        Text(left=f"{words} {total.period}".rstrip(), right=money(total.amount_minor))
        for words, total in (
            ("Shift", report.shift),
            ("Day", report.day),
            ("Month", report.month),
            ("Year", report.year),
            ("Perpetual", report.perpetual),
            ("Perpetual, refunds added", _absolute(report.perpetual)),
        )
    ]
    if z is not None and z.day_closed:
        elements += [Rule(), Text(left="The business day is closed", style="centre")]
    return Document(elements=(*elements, Cut()))


def _absolute(total: GrandTotal) -> GrandTotal:
    return GrandTotal(period=total.period, count=total.count, amount_minor=total.absolute_minor)


def _sold(taken: Takings, money: Callable[[int], str]) -> list[Element]:
    elements: list[Element] = [
        Text(left=f"Sales {taken.sales.count}", right=money(taken.sales.amount_minor), style="bold"),
        Text(left=f"Refunds {taken.refunds.count}", right=money(-taken.refunds.amount_minor)),
        Text(left=f"Discounts {taken.discounts.count}", right=money(-taken.discounts.amount_minor)),
        Text(left=f"Lines taken back {taken.voided.count}", right=money(taken.voided.amount_minor)),
        Text(left="Baskets given up", right=str(taken.cancelled.count)),
        Text(left="Drawer opened without a sale", right=str(taken.no_sales)),
        Text(left="Copies", right=str(taken.copies)),
    ]
    if taken.written.count:
        elements.append(Text(left=f"Of these by hand {taken.written.count}", right=money(taken.written.amount_minor)))
    if taken.rounding_minor:
        elements.append(Text(left="Rounding", right=money(taken.rounding_minor)))
    elements.append(Rule())
    elements += _rows(taken.tenders, money, _TENDERS)
    elements += _rows(taken.refund_tenders, money, {kind: f"{words} back" for kind, words in _TENDERS.items()}, -1)
    elements.append(Rule())
    elements += [
        Text(left=f"{_rate(row)}  net {money(row.net_minor)}", right=f"tax {money(row.tax_minor)}")
        for row in taken.taxes
    ]
    named = [row for row in taken.operators if row.kind]
    if named:
        elements.append(Rule())
        elements += _rows(named, money, {row.kind: f"Operator {row.kind}" for row in named})
    return elements


def _drawer(report: e.Report, money: Callable[[int], str]) -> list[Element]:
    elements: list[Element] = [Rule(), Text(left="Float", right=money(report.float_minor))]
    elements += [
        Text(
            left=f"{_MOVES[row.kind]} {row.count}",
            right=money(row.amount_minor if row.kind in ("loan", "paid-in") else -row.amount_minor),
        )
        for row in report.takings.moves
    ]
    elements.append(Text(left="Cash expected", right=money(report.expected_minor)))
    if report.counted_minor is not None:
        words = "Over" if report.over_short_minor > 0 else "Short" if report.over_short_minor else "Exact"
        elements += [
            Text(left="Cash counted", right=money(report.counted_minor)),
            Text(left=words, right=money(report.over_short_minor), style="bold"),
        ]
    elements += [
        Text(left=f"  {each.count} x {money(each.unit_minor)}", right=money(each.count * each.unit_minor))
        for each in report.counts
        if each.count
    ]
    return elements


def _cards(report: e.Report, money: Callable[[int], str]) -> list[Element]:
    elements: list[Element] = []
    for told in report.reconciled:
        elements.append(Rule())
        if told.fault is not None:
            elements.append(Text(left="Payment device: no end of day", right=told.fault))
            continue
        elements.append(Text(left="Payment device", right="DIFFERS" if differs(told) else "agrees"))
        for who, totals in (("here", told.ours), ("there", told.theirs)):
            elements += [
                Text(left=f"  {who}: {total.count} {_CARDS[total.kind]}", right=money(total.amount_minor))
                for total in totals
            ]
    for payment in report.open_payments:
        elements.append(Text(left=f"Not settled {payment.reference}", right=money(payment.amount_minor)))
    return elements


def _rows(rows: Iterable[Row], money: Callable[[int], str], words: dict[str, str], sign: int = 1) -> list[Element]:
    return [
        Text(left=f"{words.get(row.kind, row.kind)} {row.count}", right=money(sign * row.amount_minor)) for row in rows
    ]


def _rate(row: TaxRow) -> str:
    if row.exempt:
        return f"{row.code} exempt"
    percent = Decimal(100 * row.rate_bp + row.more_ppm) / 10_000
    return f"{row.code} {percent.normalize():f} %"


def _numbers(report: e.Report) -> str:
    return f"#{report.first:06d} to #{report.last:06d}" if report.last else ""


def _when(local_time: str) -> str:
    return local_time.replace("T", " ")[:16]
