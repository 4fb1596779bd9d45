"""What a till remembers of headquarters' orders: part of its state, and so the fold of its journal.

The numbers that were taken (each order counts once, over restarts, power cuts and restores), the orders that wait or run,
how the newest ended, and what some of them left behind: the lock, and lines for people. All rules of that memory are here.
"""

import msgspec

from core import entries as e
from core.orders import Order, Window

OPEN_MAX = 32
"""Orders that wait or run at once; one more is refused."""
ENDED_MAX = 64
"""Ends that are remembered; older ones are in the journal."""
NOTES_MAX = 8
"""Lines for people that nobody has seen yet; of more the newest stay."""


class OpenOrder(msgspec.Struct, frozen=True, kw_only=True):
    """An order that was taken. `begun`: it runs, or ran when the power went; `mark` is what it noted then."""

    order: Order
    begun: bool = False
    mark: str = ""


class NoteLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line for people, of the order `id`."""

    id: str
    text: str


class OrderBook(msgspec.Struct, frozen=True, kw_only=True):
    """`locked` is the text to show while headquarters keeps the till from selling; None while it does not. `untold` are the
    ids of those in `ended` that no broker is known to have."""

    window: Window = Window()
    open: tuple[OpenOrder, ...] = ()
    ended: tuple[e.OrderEnded, ...] = ()
    untold: tuple[str, ...] = ()
    locked: str | None = None
    notes: tuple[NoteLine, ...] = ()

    def find(self, order_id: str) -> OpenOrder | None:
        """The open order of an id."""
        return next((each for each in self.open if each.order.id == order_id), None)

    def end(self, order_id: str) -> e.OrderEnded | None:
        """How the order of an id ended, if that was lately."""
        return next((each for each in reversed(self.ended) if each.id == order_id), None)


def fold_order(book: OrderBook, entry: e.OrderEntry) -> OrderBook:
    """The book after an entry. Raises AssertionError on one that cannot follow."""
    replace = msgspec.structs.replace
    match entry:
        case e.OrderTaken():
            taken = replace(book, window=book.window.took(entry.epoch, entry.counter, entry.issued_ms))
            if entry.refused:
                end = e.OrderEnded(id=entry.id, order=entry.order, state="rejected", code=entry.refused, text=entry.why)
                return _with_end(taken, end)
            return replace(taken, open=(*book.open, OpenOrder(order=_order(entry))))
        case e.OrderBegun():
            assert book.find(entry.id) is not None, "only an open order begins"
            begun = (
                replace(each, begun=True, mark=entry.mark) if each.order.id == entry.id else each for each in book.open
            )
            return replace(book, open=tuple(begun))
        case e.OrderEnded():
            assert book.find(entry.id) is not None, "only an open order ends"
            return _with_end(book, entry)
        case e.OrderTold():
            return replace(book, untold=tuple(each for each in book.untold if each != entry.id))
        case e.TerminalLocked():
            return replace(book, locked=entry.text)
        case e.TerminalUnlocked():
            return replace(book, locked=None)
        case e.NotePosted():
            others = tuple(each for each in book.notes if each.id != entry.order)
            return replace(book, notes=(*others, NoteLine(id=entry.order, text=entry.text))[-NOTES_MAX:])
        case e.NoteSeen():
            return replace(book, notes=tuple(each for each in book.notes if each.id != entry.order))


def _with_end(book: OrderBook, end: e.OrderEnded) -> OrderBook:
    return msgspec.structs.replace(
        book,
        open=tuple(each for each in book.open if each.order.id != end.id),
        ended=(*book.ended, end)[-ENDED_MAX:],
        untold=(*book.untold, end.id)[-ENDED_MAX:],
    )


def _order(entry: e.OrderTaken) -> Order:
    return Order(
        terminal="",
        order=entry.order,
        counter=entry.counter,
        not_after_ms=entry.not_after_ms,
        role=entry.role,
        params=entry.params,
        id=entry.id,
        epoch=entry.epoch,
        issued_ms=entry.issued_ms,
        not_before_ms=entry.not_before_ms,
        issuer=entry.issuer,
        seconded=entry.seconded,
    )
