"""Deleted, altered or put elsewhere: a pass over headquarters' records finds it, on both databases."""

from collections.abc import Iterator

import pytest

from core.delivery import compose, encode
from fleet.intake import Arrival, commit
from fleet.store import Address, Server, Store, open_store
from fleet.verify import verify_all
from tests.records import KEY, TERMINAL, chain, sales, start_of

RECORDS = chain(sales(10))


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    """With 21 records, and without what keeps them from being changed."""
    opened = open_store(address, now_ms=1)
    commit(opened, [Arrival(TERMINAL, encode(compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)))], [], [], 1)
    with opened.transaction() as statements:
        on = " ON record" if isinstance(opened.address, Server) else ""
        statements.execute(f"DROP TRIGGER record_stays{on}")
    yield opened
    opened.close()


def found(store: Store) -> list[tuple[str, int]]:
    records, findings = verify_all(store.address)
    assert records >= 20
    return [(finding.kind, finding.seq) for finding in findings]


def test_what_is_whole_has_no_findings(store: Store) -> None:
    assert found(store) == []


@pytest.mark.parametrize("seq", [1, 10, 21])
def test_a_deleted_record_is_a_gap(store: Store, seq: int) -> None:
    with store.transaction() as statements:
        statements.execute("DELETE FROM record WHERE seq = ?", (seq,))
    assert ("gap", seq) in found(store)


@pytest.mark.parametrize("seq", [1, 10, 21])
def test_an_altered_record_is_an_edit_even_with_a_hash_of_its_own(store: Store, seq: int) -> None:
    from core.ledger import GENESIS, link

    other = RECORDS[seq - 1].exact.replace(b'"boot":"0', b'"boot":"1')
    prev = RECORDS[seq - 2].hash if seq > 1 else GENESIS
    with store.transaction() as statements:
        statements.execute("UPDATE record SET exact = ? WHERE seq = ?", (other, seq))
    assert ("edit", seq) in found(store)
    with store.transaction() as statements:
        statements.execute("UPDATE record SET hash = ? WHERE seq = ?", (link(prev, other), seq))
    assert found(store)[0] == (("edit", seq + 1) if seq < 21 else ("signature", seq))


def test_two_that_changed_places_are_edits(store: Store) -> None:
    with store.transaction() as statements:
        for seq, record in ((5, RECORDS[6]), (7, RECORDS[4])):
            statements.execute("UPDATE record SET exact = ?, hash = ? WHERE seq = ?", (record.exact, record.hash, seq))
    assert ("edit", 5) in found(store)


def test_finances_rows_are_those_of_the_records(store: Store) -> None:
    with store.transaction() as statements:
        statements.execute("UPDATE retail_transaction SET total_minor = 1 WHERE seq = 21")
        statements.execute("DELETE FROM retail_transaction WHERE seq = 3")
    assert found(store) == [("finance", 3), ("finance", 21)]
