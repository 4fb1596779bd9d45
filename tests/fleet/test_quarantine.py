"""People look into what was not taken, and decide; on both databases."""

import json
from collections.abc import Iterator

import pytest

from core.delivery import compose, encode, wiped
from fleet.cli import main
from fleet.intake import Arrival, announce, commit, trust
from fleet.quarantine import QuarantineError, drop, forks, listed, release, shown
from fleet.report import summarize
from fleet.store import Address, Server, Store, open_store
from tests.records import KEY, TERMINAL, chain, completed, follow, head_of, sales, start_of
from tests.tills import make_key

RECORDS = chain(sales(20))


@pytest.fixture
def store(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=1)
    yield opened
    opened.close()


@pytest.fixture
def forked(store: Store) -> Store:
    """A copy of the terminal sold something else after record 10."""
    from core.entries import encode as encode_entry

    tail = follow(head_of(RECORDS[9]), [encode_entry(completed(77, 999)), encode_entry(completed(78, 1))])
    for some, prev in ((RECORDS, start_of(RECORDS)), (tail, head_of(RECORDS[9]))):
        commit(store, [Arrival(TERMINAL, encode(compose(TERMINAL, prev, some, KEY.sign)))], [], [], 1)
    return store


def newer(seed: int) -> bytes:
    """The first batch of another card, under a key of its own; whether its digits look like a card's is chance."""
    other = chain(sales(2), salt=f"new card {seed}", signing_key=make_key(seed).public_key)
    return encode(compose(TERMINAL, start_of(other), other, make_key(seed).sign))


def url(store: Store) -> str:
    return store.address.url if isinstance(store.address, Server) else str(store.address)


def test_a_fork_is_shown_with_what_was_sold_in_it(forked: Store) -> None:
    (held,) = listed(forked.address)
    assert (held.reason, held.first, held.last, held.settled_ms) == ("fork", 11, 12, None)
    _, lines = shown(forked.address, held.id)
    assert [(line.seq, line.held, line.type) for line in lines] == [
        (11, "other", "transaction_completed"),
        (12, "other", "transaction_completed"),
    ]
    assert b'"total_minor":999' in bytes(lines[0].body)
    (fork,) = forks(forked.address)
    assert (fork.terminal, fork.batches, fork.twins) == (TERMINAL, (held,), ())


def test_dropped_it_is_settled_kept_and_the_terminal_is_told(forked: Store) -> None:
    (held,) = listed(forked.address)
    drop(forked, held.id, "booked by hand", 5)
    assert listed(forked.address) == []
    (settled,) = listed(forked.address, settled=True)
    assert (settled.settled_ms, settled.decision) == (5, "dropped")
    ((_, ack),) = announce(forked, 6)
    assert ack.quarantined == ()
    assert len(shown(forked.address, held.id)[1]) == 2
    with pytest.raises(QuarantineError, match="settled already"):
        drop(forked, held.id, "again", 7)


def test_a_fork_cannot_be_released_over_what_is_held(forked: Store) -> None:
    (held,) = listed(forked.address)
    assert [refusal.code for refusal in release(forked, held.id, 5)] == ["fork"]
    assert summarize(forked.address).transactions == 20
    assert [each.settled_ms for each in listed(forked.address)] == [None]


def test_after_trust_a_batch_can_be_released(store: Store) -> None:
    commit(store, [Arrival(TERMINAL, encode(compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)))], [], [], 1)
    payloads = {make_key(seed).public_key: newer(seed) for seed in range(4, 40)}
    plain = next(key for key, payload in payloads.items() if wiped(payload) == payload)
    starred = next(key for key, payload in payloads.items() if wiped(payload) != payload)
    for key in (plain, starred):
        commit(store, [Arrival(TERMINAL, payloads[key])], [], [], 1)
    held, kept_starred = listed(store.address, TERMINAL)
    assert [refusal.code for refusal in release(store, held.id, 2)] == ["key-untrusted"]
    trust(store, TERMINAL, plain, 3)
    assert release(store, held.id, 4) == ()
    assert summarize(store.address).transactions == 22
    with pytest.raises(QuarantineError, match="starred"):
        release(store, kept_starred.id, 5)
    settled = listed(store.address, settled=True)[0]
    assert settled.decision == "released"


def test_the_commands(forked: Store, capsys: pytest.CaptureFixture[str]) -> None:
    (held,) = listed(forked.address)
    number = str(held.id)

    def run(*words: str) -> tuple[int, str, str]:
        status = main([*words, "--database", url(forked)])
        said = capsys.readouterr()
        return status, said.out, said.err

    assert "fork: record 11" in run("quarantine", "list")[1]
    assert run("quarantine", "list", "--terminal", "till-9", "--json")[1] == "[]\n"
    assert "11 transaction_completed (held: other)" in run("quarantine", "show", number)[1]
    assert json.loads(run("quarantine", "show", number, "--json")[1])["records"][0]["body"]["number"] == 77
    assert TERMINAL in run("forks")[1]
    assert json.loads(run("forks", "--json")[1])[0]["batches"][0]["id"] == held.id
    status, _, error = run("quarantine", "release", number)
    assert (status, "fork" in error) == (1, True)
    assert run("quarantine", "drop", number, "--why", "booked by hand")[0] == 0
    assert run("forks")[1] == ""
    status, _, error = run("quarantine", "show", "12345")
    assert (status, "there is no 12345" in error) == (1, True)


def test_noise_has_no_records_to_show(store: Store) -> None:
    commit(store, [Arrival(TERMINAL, encode(compose(TERMINAL, start_of(RECORDS), RECORDS, KEY.sign)))], [], [], 1)
    commit(store, [Arrival(TERMINAL, b"noise")], [], [], 1)
    (held,) = listed(store.address)
    assert (held.first, shown(store.address, held.id)[1]) == (None, [])
