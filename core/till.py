"""A till's sessions as the fold of its journal's entries: what is in the drawer, what was taken, and the grand totals.

`fold` runs for every entry, inside `core.fold.apply`, and knows no shop: a till whose shop opens no sessions has one all
the same, that begins with what is first done and ends when it is settled. What a till's orders come to is in
`core.closing`.
"""

from collections.abc import Sequence

import msgspec

from core import entries as e
from core.takings import GrandTotal, Takings, Tally, TaxRow, amount_of, counted, less, taxed

PAPERS_MAX = 1_000
"""Numbers of sales written by hand that are remembered; the oldest are forgotten first."""
RECONCILED_MAX = 20
"""Answers of the payment device that a session keeps; the oldest are forgotten first (each is in the journal)."""

_INTO: frozenset[str] = frozenset(("loan", "paid-in"))


class Session(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """From the opening of a till to its settlement. `number` counts up for ever.

    `itself` is one that nobody opened. `counting`: the drawer is being counted; `counts` and `counted_minor` are the last
    count. `first` and `last` are the transaction numbers used, 0 for none.
    """

    number: int
    business_day: str = ""
    began: str = ""
    float_minor: int = 0
    itself: bool = False
    operator: str = ""
    counting: bool = False
    counted_minor: int | None = None
    counts: tuple[e.CashCount, ...] = ()
    takings: Takings = Takings()
    first: int = 0
    last: int = 0
    reconciled: tuple[e.PaymentsReconciled, ...] = ()


class Books(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All that a till knows of its sessions: the one that is open, and what is carried from one to the next.

    `settled` is the number of the last session, `z` the last Z report, `copies` those of it. `closed_day` is the last
    business day that was closed; `confirmed_day` one that a person vouched for. `charged`, `reversed` and `credited` are the cards'
    since the payment device's last end of day; `papers` own numbers of sales written by hand, the newest last.
    """

    session: Session | None = None
    settled: int = 0
    z: e.ZReported | None = None
    copies: int = 0
    closed_day: str = ""
    confirmed_day: str = ""
    charged: e.CardTotal = e.CardTotal(kind="debit", count=0, amount_minor=0)
    reversed: e.CardTotal = e.CardTotal(kind="reverse-debit", count=0, amount_minor=0)
    credited: e.CardTotal = e.CardTotal(kind="credit", count=0, amount_minor=0)
    papers: tuple[str, ...] = ()
    restored: Takings | None = None
    """What the open session had taken in a backup that was restored: somebody may have reported it elsewhere."""


def expected_minor(session: Session) -> int:
    """The cash that should be in the drawer (minor units)."""
    taken = session.takings
    moved = sum(row.amount_minor if row.kind in _INTO else -row.amount_minor for row in taken.moves)
    sold = amount_of(taken.tenders, "CASH") - amount_of(taken.refund_tenders, "CASH")
    return session.float_minor + sold + moved


def shift_total(session: Session) -> GrandTotal:
    """What the session adds to the grand totals."""
    sold, back, undone = session.takings.sales, session.takings.refunds, session.takings.undone
    return GrandTotal(
        period=str(session.number),
        count=sold.count + back.count + undone.count,
        amount_minor=sold.amount_minor - back.amount_minor - undone.amount_minor,
        absolute_minor=session.takings.absolute_minor,
    )


def fold(
    books: Books, entry: e.AnyEntry, payment_minor: int = 0, line_minor: int = 0, is_refund: bool = False
) -> Books:
    """The books after an entry, with what it does not say itself (`core.state.unsaid`): `payment_minor` is what the card
    payment comes to that it gives back, `line_minor` the line that it takes back; `is_refund` says that what was approved
    is money that goes back."""
    replace = msgspec.structs.replace
    match entry:
        case (
            e.TransactionOpened() | e.TransactionCompleted() | e.TransactionCancelled() | e.LineVoided()
            | e.DrawerCommanded() | e.CashMoved() | e.CopyOrdered() | e.ReportCopied()
        ):  # fmt: skip
            session = _taken(books.session or Session(number=books.settled + 1, itself=True), entry, line_minor)
            papers = books.papers
            if isinstance(entry, e.TransactionCompleted) and entry.paper:
                papers = (*papers, entry.paper)[-PAPERS_MAX:]
            copies = entry.copy if isinstance(entry, e.ReportCopied) else books.copies
            return replace(books, session=session, papers=papers, copies=copies)
        case e.BusinessDayConfirmed():
            return replace(books, confirmed_day=entry.business_day)
        case e.TillOpened():
            return replace(books, session=_opened(books.session, entry), confirmed_day="")
        case e.CountBegun() | e.CountGivenUp() | e.TillCounted():
            assert books.session is not None, "a count of no session"
            return replace(books, session=_count(books.session, entry))
        case e.PaymentApproved() if is_refund:
            return replace(books, credited=_one_more(books.credited, entry.amount_minor))
        case e.PaymentApproved():
            return replace(books, charged=_one_more(books.charged, entry.amount_minor))
        case e.PaymentReversed():
            return replace(books, reversed=_one_more(books.reversed, payment_minor))
        case e.PaymentsReconciled():
            return _reconciled(books, entry)
        case e.EpochOpened(reason=e.RESTORED):
            return replace(books, restored=books.session.takings if books.session is not None else None)
        case e.RecordsReturned():
            return _returned(books, entry.z)
        case e.TillSettled():
            assert books.session is not None, "a settlement of no session"
            assert books.session.number == entry.session, "a settlement of another session"
            return replace(books, session=None, settled=entry.session, restored=None)
        case e.ZReported():
            closed = max(books.closed_day, entry.report.business_day) if entry.day_closed else books.closed_day
            return replace(books, z=entry, copies=0, closed_day=closed)
        case _:
            return books


_TakenEntry = (
    e.TransactionOpened
    | e.TransactionCompleted
    | e.TransactionCancelled
    | e.LineVoided
    | e.DrawerCommanded
    | e.CashMoved
    | e.CopyOrdered
    | e.ReportCopied
)


def _taken(session: Session, entry: _TakenEntry, line_minor: int) -> Session:
    replace = msgspec.structs.replace
    taken = session.takings
    match entry:
        case e.TransactionOpened():
            return replace(
                session,
                first=session.first or entry.number,
                last=entry.number,
                business_day=session.business_day or entry.business_day,
                began=session.began or entry.began,
            )
        case e.TransactionCompleted():
            return replace(session, takings=_sold(taken, entry))
        case e.TransactionCancelled():
            return replace(session, takings=replace(taken, cancelled=taken.cancelled.add(0)))
        case e.LineVoided():
            return replace(session, takings=replace(taken, voided=taken.voided.add(line_minor)))
        case e.DrawerCommanded():
            return replace(session, takings=replace(taken, no_sales=taken.no_sales + 1))
        case e.CashMoved():
            return replace(session, takings=replace(taken, moves=counted(taken.moves, entry.move, entry.amount_minor)))
        case e.CopyOrdered() | e.ReportCopied():
            return replace(session, takings=replace(taken, copies=taken.copies + 1))


def _sold(taken: Takings, sale: e.TransactionCompleted) -> Takings:
    tenders, back = taken.tenders, taken.refund_tenders
    undone_minor = -sale.total_minor if sale.voids is not None else 0
    returned_minor = sale.returned_minor if sale.voids is None else 0
    sold_minor = sale.total_minor + returned_minor + undone_minor
    # Who buys nothing but a gift card has bought nothing yet.
    is_sale = sale.voids is None and (sold_minor != 0 or not (sale.returns or (sale.stored_value and not sale.lines)))
    for tender in sale.tenders:
        if tender.amount_minor < 0:
            back = counted(back, tender.kind, -tender.amount_minor)
        else:
            tenders = counted(tenders, tender.kind, tender.amount_minor)
    return msgspec.structs.replace(
        taken,
        sales=taken.sales.add(sold_minor) if is_sale else taken.sales,
        refunds=taken.refunds.add(returned_minor) if returned_minor else taken.refunds,
        undone=taken.undone.add(undone_minor) if sale.voids is not None else taken.undone,
        discounts=taken.discounts.add(sale.discount_minor) if sale.discount_minor else taken.discounts,
        written=taken.written.add(sale.total_minor) if sale.paper else taken.written,
        gift_cards=_stored(
            taken.gift_cards, [line.amount_minor for line in sale.stored_value if line.amount_minor > 0]
        ),
        gift_cards_back=_stored(
            taken.gift_cards_back, [-line.amount_minor for line in sale.stored_value if line.amount_minor < 0]
        ),
        rounding_minor=taken.rounding_minor + sale.rounding_minor,
        absolute_minor=taken.absolute_minor + abs(sold_minor) + returned_minor + abs(undone_minor),
        tenders=tenders,
        refund_tenders=back,
        taxes=taxed(taken.taxes, tax_rows(sale.taxes)),
        operators=counted(taken.operators, sale.operator, sale.total_minor),
    )


def _stored(tally: Tally, amounts_minor: Sequence[int]) -> Tally:
    return tally.add(sum(amounts_minor), len(amounts_minor)) if amounts_minor else tally


def tax_rows(totals: tuple[e.TaxTotal, ...]) -> list[TaxRow]:
    """A transaction's tax table as rows that can be added up."""
    return [
        TaxRow(
            code=total.code,
            rate_bp=total.rate_bp,
            included=total.included,
            more_ppm=total.more_ppm,
            exempt=total.exempt,
            gross_minor=total.gross_minor,
            net_minor=total.net_minor,
            tax_minor=total.tax_minor,
        )
        for total in totals
    ]


def _opened(session: Session | None, entry: e.TillOpened) -> Session:
    """What was done while no session was open, such as a drawer that was opened, joins the one that begins."""
    before = session.takings if session is not None else Takings()
    return Session(
        number=entry.session,
        business_day=entry.business_day,
        began=entry.began,
        float_minor=entry.float_minor,
        operator=entry.operator,
        takings=before,
        first=session.first if session is not None else 0,
        last=session.last if session is not None else 0,
    )


def _count(session: Session, entry: e.CountBegun | e.CountGivenUp | e.TillCounted) -> Session:
    replace = msgspec.structs.replace
    match entry:
        case e.CountBegun():
            return replace(session, counting=True, counted_minor=None, counts=())
        case e.CountGivenUp():
            return replace(session, counting=False, counted_minor=None, counts=())
        case e.TillCounted():
            return replace(session, counted_minor=entry.amount_minor, counts=entry.counts)


def _returned(books: Books, z: e.ZReported | None) -> Books:
    """Numbers and grand totals go on from the last Z report that was made elsewhere, and what stands in it is not counted
    here again."""
    if z is None or (books.z is not None and books.z.number >= z.number):
        return books
    session = books.session
    if session is not None and session.number <= z.report.session:
        told = books.restored or Takings()
        session = msgspec.structs.replace(session, number=z.report.session + 1, takings=less(session.takings, told))
    return msgspec.structs.replace(
        books,
        session=session,
        settled=max(books.settled, z.report.session),
        z=z,
        copies=0,
        closed_day=max(books.closed_day, z.report.business_day) if z.day_closed else books.closed_day,
        restored=None,
    )


def _one_more(total: e.CardTotal, amount_minor: int) -> e.CardTotal:
    return msgspec.structs.replace(total, count=total.count + 1, amount_minor=total.amount_minor + amount_minor)


def _reconciled(books: Books, entry: e.PaymentsReconciled) -> Books:
    """The payment device's period ended, and ours with it; without an answer it goes on."""
    session = books.session
    if session is not None and session.number == entry.session:
        session = msgspec.structs.replace(session, reconciled=(*session.reconciled, entry)[-RECONCILED_MAX:])
    if entry.fault is not None:
        return msgspec.structs.replace(books, session=session)
    fresh = Books()
    ours = {total.kind: total for total in entry.ours}
    return msgspec.structs.replace(
        books,
        session=session,
        charged=_less(books.charged, ours.get("debit", fresh.charged)),
        reversed=_less(books.reversed, ours.get("reverse-debit", fresh.reversed)),
        credited=_less(books.credited, ours.get("credit", fresh.credited)),
    )


def _less(total: e.CardTotal, told: e.CardTotal) -> e.CardTotal:
    """What came since the device was asked is of its next period."""
    return msgspec.structs.replace(
        total, count=total.count - told.count, amount_minor=total.amount_minor - told.amount_minor
    )
