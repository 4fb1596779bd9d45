"""What finance reads by POSLog's names, the same from both databases."""

from collections.abc import Iterator
from typing import Any

import pytest
from msgspec import structs

from core.delivery import compose, encode
from core.entries import (
    AnyEntry,
    CashMoved,
    Discount,
    DiscountsApplied,
    DiscountShare,
    GiftCardAdded,
    GiftCardAwaited,
    ItemAdded,
    LineVoided,
    PriceOverridden,
    QuantityChanged,
    StoredValueApproved,
    StoredValueLine,
    StoredValueRefused,
    StoredValueRequested,
    StoredValueUnknown,
    TenderTotal,
    TillOpened,
    TillSettled,
    TransactionCancelled,
    TransactionLink,
    TransactionOpened,
    TransactionResumed,
    TransactionSuspended,
)
from core.entries import encode as encode_entry
from core.ledger import GENESIS, Head
from fleet.intake import Arrival, commit
from fleet.store import Address, Store, open_store, reading
from tests.records import KEY, TERMINAL, chain, completed, follow, start_of

DAY = "2026-11-22"
UNKNOWN = (
    b'{"type":"of_next_year","line":1,"number":[7],"amount_minor":{}}',
    b'{"type":"item_added","line":"one"}',
    b'{"type":"discounts_applied","discounts":"none"}',
    b'{"type":"till_settled","session":1e300}',
    b'{"type":["transaction_opened"]}',
    b'{"type":"stored_value_approved","reference":7,"balance_minor":"much"}',
)


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def take(store: Store, *entries: AnyEntry | bytes) -> None:
    first = chain([])[0]
    bodies = [
        encode_entry(chain_opened()),
        *(each if isinstance(each, bytes) else encode_entry(each) for each in entries),
    ]
    records = follow(Head(epoch=first.epoch, seq=0, hash=GENESIS), bodies)
    payload = encode(compose(TERMINAL, start_of(records), records, KEY.sign))
    assert not commit(store, [Arrival(TERMINAL, payload)], [], [], 1).refusals


def chain_opened() -> AnyEntry:
    from core.entries import EpochOpened

    return EpochOpened(terminal=TERMINAL, reason="made", signing_key=KEY.public_key.hex())


def rows(store: Store, columns: str, view: str) -> list[Any]:
    with reading(store.address) as statements:
        return statements.execute(f"SELECT {columns} FROM {view} ORDER BY 1, 2").fetchall()


def opened(number: int) -> TransactionOpened:
    return TransactionOpened(number=number, business_day=DAY, currency="EUR")


def item(line: int, amount_minor: int) -> ItemAdded:
    return ItemAdded(
        line=line, gtin="4006381333931", name="Pen", unit="each", quantity_milli=1000, unit_price_minor=amount_minor,
        amount_minor=amount_minor, tax="A", entry_method="scanned",
    )  # fmt: skip


def test_a_basket_that_was_put_aside_has_its_own_lines_and_prices(store: Store) -> None:
    take(
        store, opened(1), item(1, 100), item(2, 70), TransactionSuspended(number=1),
        opened(2), item(1, 5), completed(2, 5),
        TransactionResumed(number=1, business_day=DAY, began=""),
        PriceOverridden(line=1, regular_unit_price_minor=100, unit_price_minor=90, amount_minor=90, reason="damaged"),
        QuantityChanged(line=1, quantity_milli=2000, amount_minor=180), LineVoided(line=2), item(3, 20),
        completed(1, 200),
    )  # fmt: skip
    columns = (
        "sequence_number, line_item_number, quantity_milli, regular_sales_unit_price_minor,"
        " actual_sales_unit_price_minor, extended_amount_minor, void_flag"
    )
    assert rows(store, columns, "pos_line_item") == [
        (1, 1, 2000, 100, 90, 180, 0),
        (1, 2, 1000, 70, 70, 70, 1),
        (1, 3, 1000, 20, 20, 20, 0),
        (2, 1, 1000, 5, 5, 5, 0),
    ]


def test_discounts_are_those_said_last(store: Store) -> None:
    def applied(amount_minor: int) -> DiscountsApplied:
        shares = (DiscountShare(line=1, amount_minor=amount_minor), DiscountShare(line=2, amount_minor=1))
        return DiscountsApplied(
            discounts=(Discount(reason="promotion", amount_minor=amount_minor + 1, shares=shares, promotion="p1"),)
        )

    take(store, opened(1), item(1, 100), item(2, 50), applied(10), item(3, 1), applied(20), completed(1, 130))
    columns = "sequence_number, line_item_number, amount_minor, promotion_id, whole_basket"
    assert rows(store, columns, "pos_price_modifier") == [(1, 1, 20, "p1", 0), (1, 2, 1, "p1", 0)]


def test_tills_moves_cancellations_and_money_given_back(store: Store) -> None:
    back = structs.replace(completed(3, -40), tenders=(TenderTotal(kind="CASH", amount_minor=-40),), operator="ann")
    take(
        store, TillOpened(session=4, business_day=DAY, float_minor=5000), CashMoved(move="pickup", amount_minor=300),
        CashMoved(move="paid-in", amount_minor=20), opened(1), item(1, 9), TransactionCancelled(number=1, reason="keyed"),
        opened(3), back,
        TillSettled(session=4, business_day=DAY, expected_minor=4680, counted_minor=4679, over_short_minor=-1),
    )  # fmt: skip
    assert rows(store, "record_seq, session_number, move, amount_minor", "pos_tender_control") == [
        (2, 4, "float", 5000), (3, 4, "pickup", -300), (4, 4, "paid-in", 20)
    ]  # fmt: skip
    assert rows(store, "session_number, expected_minor, counted_minor, over_short_minor", "pos_till_settlement") == [
        (4, 4680, 4679, -1)
    ]
    assert rows(store, "sequence_number, reason, returned_minor", "pos_cancelled_transaction") == [(1, "keyed", 0)]
    assert rows(store, "sequence_number, tender_type_code, amount_minor", "pos_tender") == [(3, "CASH", -40)]
    assert rows(store, "sequence_number, operator_id, total_minor", "pos_transaction") == [(3, "ann", -40)]


def test_gift_cards_are_no_turnover(store: Store) -> None:
    sold = StoredValueLine(line=2, amount_minor=5000, card="****0004", account="c0ffee", reference="e/1.g2")
    back = StoredValueLine(
        line=1, amount_minor=-5000, card="****0004", account="c0ffee", returned=TransactionLink(number=1, line=2)
    )
    cash, given = TenderTotal(kind="CASH", amount_minor=5007), TenderTotal(kind="CASH", amount_minor=-5000)
    asked = StoredValueRequested(
        reference="e/1.g2", operation="activate", amount_minor=5000, number=1, line=2, card="****0004", original="V1"
    )
    take(
        store, opened(1), item(1, 7), GiftCardAwaited(amount_minor=5000),
        GiftCardAdded(line=2, amount_minor=5000, card="****0004", account="c0ffee", reservation="V1"), asked,
        structs.replace(completed(1, 7), tenders=(cash,), stored_value=(sold,)),
        StoredValueUnknown(reference="e/1.g2"), StoredValueApproved(reference="e/1.g2", balance_minor=5000),
        opened(2), structs.replace(completed(2, 0), tenders=(given,), stored_value=(back,)),
        StoredValueRefused(reference="e/9.g9", reason="declined"),
    )  # fmt: skip
    assert rows(store, "sequence_number, total_minor", "pos_transaction") == [(1, 7), (2, 0)]
    assert rows(store, "sequence_number, extended_amount_minor", "pos_line_item") == [(1, 7)]
    assert rows(store, "sequence_number, amount_minor", "pos_tender") == [(1, 5007), (2, -5000)]
    assert rows(store, "sequence_number, line_item_number, amount_minor, account_id, card", "pos_stored_value") == [
        (1, 2, 5000, "c0ffee", "****0004"), (2, 1, -5000, "c0ffee", "****0004")
    ]  # fmt: skip
    outcomes = rows(store, "record_seq, reference, outcome, reason, balance_minor", "pos_stored_value_outcome")
    assert [each[1:] for each in outcomes] == [
        ("e/1.g2", "unknown", "", None), ("e/1.g2", "done", "", 5000), ("e/9.g9", "refused", "declined", None)
    ]  # fmt: skip


def test_what_is_not_known_spoils_no_view(store: Store) -> None:
    take(store, opened(1), item(1, 7), *UNKNOWN, completed(1, 7))
    with reading(store.address) as statements:
        for view in ("pos_transaction", "pos_line_item", "pos_price_modifier", "pos_tender", "pos_tax",
                     "pos_cancelled_transaction", "pos_till_settlement", "pos_tender_control", "pos_stored_value",
                     "pos_stored_value_outcome"):  # fmt: skip
            statements.execute(f"SELECT * FROM {view}").fetchall()
    assert (1, 1, 7) in rows(store, "sequence_number, line_item_number, extended_amount_minor", "pos_line_item")
