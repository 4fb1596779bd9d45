"""One terminal after another under one name: two at once are noticed, and what was sold is kept, with its lines."""

from collections.abc import Iterator

import pytest

from core.delivery import compose, encode
from core.entries import EpochOpened, ItemAdded, LineVoided, QuantityChanged, TransactionOpened
from core.entries import encode as encode_entry
from core.ledger import GENESIS, Head, Record
from fleet.intake import Arrival, Intake, commit
from fleet.report import as_text, summarize
from fleet.store import Address, Store, open_store, reading
from tests.records import KEY, TERMINAL, chain, completed, follow, head_of, sales, start_of

OLDER = chain(sales(5))


def successor(name: str, *, after: int = len(OLDER), lost_seq: int = 0) -> list[Record]:
    """An epoch that follows the older one, with a sale."""
    last = OLDER[after - 1]
    opened = EpochOpened(
        terminal=TERMINAL, reason="adopted", signing_key=KEY.public_key.hex(), previous_epoch=last.epoch,
        previous_seq=last.seq, previous_head=last.hash.hex(), number=1005, lost_seq=lost_seq,
    )  # fmt: skip
    return follow(
        Head(epoch=name * 32, seq=0, hash=GENESIS), [encode_entry(opened), encode_entry(completed(1006, 100))]
    )


@pytest.fixture
def database(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


def take(database: Store, records: list[Record], first: int = 1) -> Intake:
    prev = start_of(records) if first == 1 else head_of(records[first - 2])
    payload = encode(compose(TERMINAL, prev, records[first - 1 :], KEY.sign))
    return commit(database, [Arrival(TERMINAL, payload)], [], [], 1)


def test_a_successor_is_no_alarm(database: Store) -> None:
    take(database, OLDER)
    assert take(database, successor("a")).refusals == ()
    assert summarize(database.address).terminals[0].twins == ()


def test_two_successors_are_an_alarm_and_both_are_kept(database: Store) -> None:
    take(database, OLDER)
    take(database, successor("a"))
    (alarm,) = take(database, successor("b")).refusals
    assert (alarm.code, alarm.alarm, alarm.taken) == ("fork", True, True)
    assert f"{'a' * 32} and {'b' * 32} both follow {OLDER[0].epoch}" in alarm.detail
    assert take(database, successor("b")).refusals == (), "said once"
    report = summarize(database.address)
    assert report.transactions == 5 + 2
    assert "TWO TERMINALS: epochs" in as_text(report)


def test_a_dead_terminal_that_sells_on_is_seen(database: Store) -> None:
    take(database, OLDER[:8])
    take(database, successor("a", after=8))
    assert summarize(database.address).terminals[0].twins == ()
    take(database, OLDER, first=9)
    (twins,) = summarize(database.address).terminals[0].twins
    assert (twins.previous_seq, twins.beyond) == (8, len(OLDER))
    assert f"went on to record {len(OLDER)}" in as_text(summarize(database.address))


def test_what_a_successor_knows_to_be_lost_is_no_twin(database: Store) -> None:
    take(database, OLDER)
    take(database, successor("a", after=8, lost_seq=len(OLDER)))
    assert summarize(database.address).terminals[0].twins == ()


def test_a_sale_that_was_open_when_its_terminal_died_has_all_its_lines(database: Store) -> None:
    older = chain([*sales(2), TransactionOpened(number=3, business_day="2026-11-22", currency="EUR"),
                   item(1, 100), item(2, 200), QuantityChanged(line=1, quantity_milli=2000, amount_minor=200),
                   LineVoided(line=2)])  # fmt: skip
    last = older[-1]
    opened = EpochOpened(
        terminal=TERMINAL, reason="adopted", signing_key=KEY.public_key.hex(), previous_epoch=last.epoch,
        previous_seq=last.seq, previous_head=last.hash.hex(), number=1003,
    )  # fmt: skip
    newer = follow(
        Head(epoch="a" * 32, seq=0, hash=GENESIS),
        [encode_entry(each) for each in (
            opened, item(3, 50), QuantityChanged(line=1, quantity_milli=3000, amount_minor=300), completed(3, 350),
            TransactionOpened(number=1004, business_day="2026-11-22", currency="EUR"), item(1, 7), completed(1004, 7),
        )],
    )  # fmt: skip
    take(database, older)
    take(database, newer)
    with reading(database.address) as connection:
        lines = connection.execute(
            "SELECT sequence_number, line_item_number, quantity_milli, extended_amount_minor, void_flag"
            " FROM pos_line_item ORDER BY 1, 2"
        ).fetchall()
    assert lines == [(3, 1, 3000, 300, 0), (3, 2, 1000, 200, 1), (3, 3, 1000, 50, 0), (1004, 1, 1000, 7, 0)]


def item(line: int, amount_minor: int) -> ItemAdded:
    return ItemAdded(
        line=line, gtin="4006381333931", name="Pen", unit="each", quantity_milli=1000, unit_price_minor=amount_minor,
        amount_minor=amount_minor, tax="A", entry_method="scanned",
    )  # fmt: skip
