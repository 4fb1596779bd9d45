"""A simulated journal is a function: the same records however it is read, and batches that headquarters' rules take."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.delivery import check, compose, decode, encode
from core.ledger import GENESIS, Stream, link, open_record
from fleet.database import Database
from fleet.intake import Arrival, commit
from fleet.simulator.journal import START, Plan, SimulatedJournal
from fleet.verify import verify_all

BEGINS_MS = 1_795_000_000_000
HOUR_MS = 3_600_000


def plan(**changes: object) -> Plan:
    values: dict[str, object] = {
        "run": "test", "seed": 7, "terminals": 9, "sales_per_hour": 60.0, "begins_ms": BEGINS_MS,
        "ends_ms": BEGINS_MS + HOUR_MS,
    }  # fmt: skip
    return Plan(**{**values, **changes})  # type: ignore[arg-type]


@given(st.lists(st.integers(1, 40), min_size=1, max_size=8))
def test_any_way_of_reading_gives_the_same_records(counts: list[int]) -> None:
    whole, places = SimulatedJournal(plan(), 3).read(START, sum(counts))
    journal, place, found = SimulatedJournal(plan(), 3), START, []
    for count in counts:
        records, reached = journal.read(place, count)
        found += records
        place = reached[-1]
    assert (found, place) == (whole, places[-1])


def test_the_sales_own_chain_holds_by_itself() -> None:
    records, _ = SimulatedJournal(plan(), 1).read(START, 50)
    prev, number = GENESIS, 0
    for record in records[1:]:
        envelope = open_record(record.exact)
        assert (envelope.stream, envelope.stream_seq) == (Stream.SALES, number + 1)
        assert envelope.stream_prev == prev.hex()
        prev, number = link(prev, record.exact), number + 1


@pytest.mark.parametrize("backlog_days", [0.0, 0.5, 3.0])
def test_sales_come_in_the_order_of_their_times_and_are_held_from_then_on(backlog_days: float) -> None:
    shop = plan(backlog_days=backlog_days)
    last = shop.backlog_sales + 60
    times = [shop.time_ms(2, sale) for sale in range(1, last + 1)]
    assert times == sorted(times)
    assert all(time_ms < BEGINS_MS for time_ms in times[: shop.backlog_sales])
    assert times[0] >= BEGINS_MS - backlog_days * 24 * HOUR_MS
    for sale in range(shop.backlog_sales + 1, last + 1):
        assert shop.sold(2, times[sale - 1]) == sale
        assert shop.sold(2, times[sale - 1] - 1) == sale - 1
    assert shop.sold(2, times[-1] + 10 * HOUR_MS) == last
    assert shop.sold(2, 0) == shop.backlog_sales


def test_terminals_and_seeds_differ() -> None:
    assert plan().total_minor(1, 1) != plan().total_minor(2, 1) != plan(seed=8).total_minor(2, 1)
    assert SimulatedJournal(plan(), 1).epoch != SimulatedJournal(plan(seed=8), 1).epoch


def test_headquarters_takes_its_batches_and_finds_nothing_wrong(tmp_path: Path) -> None:
    shop, path = plan(lines=2), tmp_path / "headquarters.db"
    with contextlib.closing(Database.open(path, now_ms=1)) as database:
        for number in (1, 2):
            journal, place = SimulatedJournal(shop, number), START
            for count in (1, 7, 30):
                records, places = journal.read(place, count)
                payload = encode(compose(journal.name, journal.head(place), records, journal.sign))
                key = check(decode(payload), journal.name, _key(journal)).header
                assert (key.first, key.last) == (place.seq + 1, places[-1].seq)
                assert not commit(database, [Arrival(journal.name, payload)], [], [], 1).refusals
                place = places[-1]
        with database.transaction() as statements:
            sold = statements.execute(
                "SELECT terminal, number, total_minor FROM retail_transaction ORDER BY 1, 2"
            ).fetchall()
    expected = [
        (shop.name(number), sale, shop.total_minor(number, sale))
        for number in (1, 2)
        for sale in range(1, SimulatedJournal(shop, number).sales_to(38) + 1)
    ]
    assert sold == expected
    assert verify_all(path) == (76, [])


def _key(journal: SimulatedJournal) -> bytes:
    opened = journal.read(START, 1)[0][0].exact
    start = opened.index(b'"signing_key":"') + len(b'"signing_key":"')
    return bytes.fromhex(opened[start : start + 64].decode())
