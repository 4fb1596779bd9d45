"""Two terminals under one name are noticed at headquarters, and what they sold is kept."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.delivery import compose, encode
from core.entries import EpochOpened
from core.entries import encode as encode_entry
from core.ledger import GENESIS, Head, Record
from fleet.database import Database
from fleet.intake import Arrival, Intake, commit
from fleet.report import as_text, summarize
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
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database.open(tmp_path / "headquarters.db", now_ms=1)
    yield opened
    opened.close()


def take(database: Database, records: list[Record], first: int = 1) -> Intake:
    prev = start_of(records) if first == 1 else head_of(records[first - 2])
    payload = encode(compose(TERMINAL, prev, records[first - 1 :], KEY.sign))
    return commit(database, [Arrival(TERMINAL, payload)], [], [], 1)


def test_a_successor_is_no_alarm(database: Database) -> None:
    take(database, OLDER)
    assert take(database, successor("a")).refusals == ()
    assert summarize(database.path).terminals[0].twins == ()


def test_two_successors_are_an_alarm_and_both_are_kept(database: Database) -> None:
    take(database, OLDER)
    take(database, successor("a"))
    (alarm,) = take(database, successor("b")).refusals
    assert (alarm.code, alarm.alarm, alarm.taken) == ("fork", True, True)
    assert f"{'a' * 32} and {'b' * 32} both follow {OLDER[0].epoch}" in alarm.detail
    assert take(database, successor("b")).refusals == (), "said once"
    report = summarize(database.path)
    assert report.transactions == 5 + 2
    assert "TWO TERMINALS: epochs" in as_text(report)


def test_a_dead_terminal_that_sells_on_is_seen(database: Database) -> None:
    take(database, OLDER[:8])
    take(database, successor("a", after=8))
    assert summarize(database.path).terminals[0].twins == ()
    take(database, OLDER, first=9)
    (twins,) = summarize(database.path).terminals[0].twins
    assert (twins.previous_seq, twins.beyond) == (8, len(OLDER))
    assert f"went on to record {len(OLDER)}" in as_text(summarize(database.path))


def test_what_a_successor_knows_to_be_lost_is_no_twin(database: Database) -> None:
    take(database, OLDER)
    take(database, successor("a", after=8, lost_seq=len(OLDER)))
    assert summarize(database.path).terminals[0].twins == ()
