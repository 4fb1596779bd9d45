"""What a till remembers of orders: each number once, how they ended, the lock and the lines for people."""

import msgspec
import pytest

from core import entries as e
from core.fold import apply
from core.order_book import ENDED_MAX, NOTES_MAX, OrderBook, fold_order
from core.state import Till


def taken(number: int, order: str = "ping") -> e.OrderTaken:
    return e.OrderTaken(
        id=f"o-{number}", order=order, epoch=1, counter=number, role="support", issuer="anna", not_after_ms=1_000,
        issued_ms=10 * number,
    )  # fmt: skip


def fold(*entries: e.OrderEntry) -> OrderBook:
    book = OrderBook()
    for entry in entries:
        book = fold_order(book, entry)
    return book


def test_an_order_is_taken_begun_and_ended() -> None:
    begun = fold(taken(1), taken(2), e.OrderBegun(id="o-2", mark="k3"))
    assert [(each.order.id, each.begun, each.mark) for each in begun.open] == [("o-1", False, ""), ("o-2", True, "k3")]
    ended = fold_order(begun, e.OrderEnded(id="o-2", order="ping", state="successful"))
    assert [each.order.id for each in ended.open] == ["o-1"]
    assert ended.end("o-2") == e.OrderEnded(id="o-2", order="ping", state="successful")
    assert ended.window.refuses(1, 2)
    assert ended.window.known_ms == 20


def test_a_number_is_not_taken_twice() -> None:
    with pytest.raises(AssertionError):
        fold(taken(1), taken(1))


@pytest.mark.parametrize("entry", [e.OrderBegun(id="x"), e.OrderEnded(id="x", order="ping", state="failed")])
def test_nothing_becomes_of_an_order_that_was_not_taken(entry: e.OrderEntry) -> None:
    with pytest.raises(AssertionError):
        fold(entry)


def test_a_refused_order_ends_with_its_taking() -> None:
    book = fold(msgspec.structs.replace(taken(1), refused="order-not-allowed", why="a role"))
    assert book.open == ()
    assert book.window.refuses(1, 1)
    end = book.end("o-1")
    assert end is not None
    assert (end.state, end.code, end.text) == ("rejected", "order-not-allowed", "a role")


def test_it_stays_small() -> None:
    book = OrderBook()
    for number in range(1, 3 * ENDED_MAX):
        book = fold_order(fold_order(book, taken(number)), e.OrderEnded(id=f"o-{number}", order="ping", state="failed"))
        book = fold_order(book, e.NotePosted(order=f"o-{number}", text="x"))
    assert (len(book.open), len(book.ended), len(book.notes)) == (0, ENDED_MAX, NOTES_MAX)


def test_the_lock_and_the_lines_stay_until_they_end() -> None:
    book = fold(e.TerminalLocked(order="o-1", text="Stolen"), e.NotePosted(order="o-2", text="Hello"))
    assert book.locked == "Stolen"
    assert [note.text for note in book.notes] == ["Hello"]
    assert fold_order(book, e.NoteSeen(order="o-2")).notes == ()
    assert fold_order(book, e.TerminalUnlocked(order="o-3")).locked is None


def test_a_restore_forgets_no_order_and_opens_no_lock() -> None:
    till = apply(apply(Till(), taken(1)), e.TerminalLocked(order="o-1", text="Stolen"))
    restored = apply(
        till,
        e.EpochOpened(
            terminal="till-3", signing_key="00", reason=e.RESTORED, number=5, previous_epoch="e", previous_seq=1,
            previous_head="00",
        ),
    )  # fmt: skip
    assert restored.orders == till.orders
