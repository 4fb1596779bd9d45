"""What headquarters takes, what it puts into quarantine, and what it acknowledges."""

import itertools
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

import psycopg
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import structs

from core.delivery import Ack, Batch, compose, encode
from core.entries import ItemAdded, LineVoided, QuantityChanged, TransactionOpened
from core.ledger import GENESIS, Head, Record, link
from fleet.database import Database, DatabaseAbsent, DatabaseError, DatabaseForeign, DatabaseNotWritable
from fleet.intake import EVIDENCE_MAX, Arrival, Intake, Mark, Presence, commit, trust
from fleet.report import as_text, summarize
from fleet.store import Address, Store, locate, open_store, reading
from tests.records import KEY, TERMINAL, chain, completed, head_of, sales, start_of
from tests.tills import make_key

NOW_MS = 1_800_000_000_000
RECORDS = chain(sales(30))
EPOCH = RECORDS[0].epoch


def batch(
    records: Sequence[Record], *, key: int = 3, terminal: str = TERMINAL, acked: tuple[int, int] = (0, 0)
) -> Batch:
    """A batch of some of a chain's records, which may begin in its middle."""
    first = records[0]
    if first.seq == 1:
        prev = start_of(records)
    else:
        known = next(r for r in (*RECORDS, *FORK) if r.seq == first.seq - 1 and link(r.hash, first.exact) == first.hash)
        prev = head_of(known)
    return compose(terminal, prev, records, make_key(key).sign, acked=acked)


def payload(first: int, last: int, acked: tuple[int, int] = (0, 0)) -> bytes:
    """The batch of a range of RECORDS."""
    return encode(batch(RECORDS[first - 1 : last], acked=acked))


def _fork() -> list[Record]:
    """The same epoch, by a copy of the terminal that sold something else after record 20."""
    from tests.records import follow

    tail = follow(head_of(RECORDS[19]), [b'{"type":"line_voided","line":7}', b'{"type":"line_voided","line":8}'])
    return [*RECORDS[:20], *tail]


FORK: list[Record] = _fork()


@pytest.fixture
def database(address: Address) -> Iterator[Store]:
    opened = open_store(address, now_ms=NOW_MS)
    yield opened
    opened.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Database]:
    """The embedded database, for what it alone does."""
    opened = Database.open(tmp_path / "embedded.db", now_ms=NOW_MS)
    yield opened
    opened.close()


def take(database: Store, *payloads: bytes, terminal: str = TERMINAL, marks: Sequence[Mark] = ()) -> Intake:
    return commit(database, [Arrival(terminal, each) for each in payloads], marks, [], NOW_MS + 1)


def one_ack(intake: Intake) -> Ack:
    ((_, ack),) = intake.acks
    return ack


def held(database: Store) -> list[tuple[int, bytes]]:
    with reading(database.address) as connection:
        return connection.execute("SELECT seq, exact FROM record ORDER BY seq").fetchall()


def sums(database: Store) -> tuple[int, int]:
    with reading(database.address) as connection:
        count, total = connection.execute("SELECT count(*), sum(total_minor) FROM retail_transaction").fetchone()
        return count, total


# --- what is taken -----------------------------------------------------------------------------------------------


def test_records_are_kept_byte_by_byte(database: Store) -> None:
    ack = one_ack(take(database, payload(1, 61)))
    assert held(database) == [(record.seq, record.exact) for record in RECORDS]
    assert sums(database) == (30, sum(range(1, 31)))
    assert (ack.epoch, ack.hwm, ack.hash_at_hwm) == (EPOCH, 61, RECORDS[-1].hash.hex())
    assert (ack.gaps, ack.quarantined, ack.fault, ack.collector_generation) == ((), (), None, NOW_MS)


def test_what_comes_twice_changes_nothing(database: Store) -> None:
    take(database, payload(1, 61))
    again = take(database, payload(1, 61), payload(1, 61), payload(31, 50))
    assert one_ack(again).hwm == 61
    assert (again.records, len(held(database)), sums(database)) == (0, 61, (30, 465))


def test_what_is_held_whole_is_answered_without_being_looked_into(database: Store) -> None:
    """Not even its seal: there is nothing that it could change. One record less held, and all of it is looked into."""
    take(database, payload(1, 40))
    stranger = encode(batch(RECORDS[20:40], key=7))
    again = take(database, stranger)
    assert (one_ack(again).hwm, again.refusals) == (40, ())
    with database.transaction() as statements:
        statements.execute("DELETE FROM record WHERE seq = 30")
    (refusal,) = take(database, stranger).refusals
    assert refusal.code == "signature-wrong"
    assert take(database, payload(21, 40)).records == 1


def test_a_damaged_copy_of_what_is_held_is_settled_by_the_next_whole_one(database: Store) -> None:
    take(database, payload(1, 40))
    torn = batch(RECORDS[20:40])
    take(database, encode(structs.replace(torn, lines=torn.lines[:-1])))
    assert len(summarize(database.address).terminals[0].quarantined) == 1
    take(database, payload(21, 40))
    assert not summarize(database.address).terminals[0].quarantined


def test_overlapping_ranges_are_taken_once(database: Store) -> None:
    take(database, payload(1, 40))
    assert one_ack(take(database, payload(21, 61))).hwm == 61
    assert sums(database) == (30, 465)


@settings(max_examples=40, deadline=None)
@given(order=st.permutations(range(6)), twice=st.integers(0, 5), together=st.booleans())
def test_any_order_ends_in_the_same(
    tmp_path_factory: pytest.TempPathFactory, order: list[int], twice: int, together: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "hq.db"
    database = Database.open(path, now_ms=NOW_MS)
    ranges = [(1, 10), (11, 20), (21, 30), (31, 40), (41, 50), (51, 61)]
    try:
        take(database, payload(1, 1))  # the key must be known
        payloads = [payload(*ranges[index]) for index in (*order, order[twice])]
        intakes = [take(database, *payloads)] if together else [take(database, each) for each in payloads]
        assert (one_ack(intakes[-1]).hwm, one_ack(intakes[-1]).gaps) == (61, ())
        assert sums(database) == (30, 465)
        marks = [one_ack(intake).hwm for intake in intakes]
        assert marks == sorted(marks)
    finally:
        database.close()


def test_gaps_are_named_and_closed(database: Store) -> None:
    take(database, payload(1, 10))
    assert one_ack(take(database, payload(31, 40), payload(51, 61))).gaps == ((11, 30), (41, 50))
    assert one_ack(take(database, payload(11, 30))).hwm == 40
    last = one_ack(take(database, payload(41, 50)))
    assert (last.hwm, last.gaps, last.hash_at_hwm) == (61, (), RECORDS[-1].hash.hex())


def test_several_terminals_in_one_commit(database: Store) -> None:
    other = chain(sales(2), terminal="till-4", signing_key=make_key(4).public_key)
    theirs = encode(compose("till-4", start_of(other), other, make_key(4).sign))
    intake = commit(database, [Arrival(TERMINAL, payload(1, 61)), Arrival("till-4", theirs)], [], [], NOW_MS)
    assert {(terminal, ack.hwm) for terminal, ack in intake.acks} == {(TERMINAL, 61), ("till-4", 5)}


def test_a_newer_epoch_of_the_same_terminal_stands_beside_the_older(database: Store) -> None:
    take(database, payload(1, 61))
    newer = chain(sales(1), salt="again")
    assert one_ack(take(database, encode(compose(TERMINAL, start_of(newer), newer, KEY.sign)))).hwm == 3
    (report,) = summarize(database.address).terminals
    assert len(report.epochs) == 2
    assert report.transactions == 31


# --- what is not taken -------------------------------------------------------------------------------------------


def test_a_torn_batch_moves_nothing_and_may_come_again(database: Store) -> None:
    take(database, payload(1, 10))
    intake = take(database, payload(11, 20)[:-3])
    assert [refusal.code for refusal in intake.refusals] == ["batch-torn"]
    assert intake.acks == ()
    assert one_ack(take(database, payload(11, 20))).hwm == 20


def test_a_batch_with_an_altered_record_moves_nothing_and_may_come_again(database: Store) -> None:
    take(database, payload(1, 10))
    text = zstandard.decompress(payload(11, 20)).replace(b'"amount_minor":6', b'"amount_minor":9')
    intake = take(database, *[zstandard.compress(text)] * 4)
    assert {refusal.code for refusal in intake.refusals} == {"chain-broken"}
    assert (one_ack(intake).hwm, one_ack(intake).quarantined) == (10, ())
    assert (one_ack(intake).fault or "").startswith("chain-broken")
    good = one_ack(take(database, payload(11, 20)))
    assert (good.hwm, good.fault) == (20, None)


def test_a_wrong_total_goes_to_quarantine_and_the_stream_moves_on(database: Store) -> None:
    take(database, payload(1, 10))
    poison = batch(RECORDS[10:20])
    total = structs.replace(poison.header.totals[0], amount_minor=1)
    poison = structs.replace(poison, header=structs.replace(poison.header, totals=(total,))).sealed(KEY.sign)
    ack = one_ack(take(database, encode(poison)))
    assert (ack.hwm, ack.quarantined, ack.hash_at_hwm) == (20, ((11, 20),), RECORDS[19].hash.hex())
    after = one_ack(take(database, payload(21, 61)))
    assert (after.hwm, after.quarantined) == (61, ((11, 20),))
    with reading(database.address) as connection:
        assert connection.execute("SELECT payload FROM quarantine").fetchall() == [(encode(poison),)]
    assert one_ack(take(database, payload(11, 20))).quarantined == ()  # put right
    assert sums(database) == (30, 465)


def test_another_signature_moves_nothing(database: Store) -> None:
    take(database, payload(1, 10))
    intake = take(database, encode(batch(RECORDS[10:20], key=4)))
    assert [(refusal.code, refusal.alarm) for refusal in intake.refusals] == [("signature-wrong", False)]
    assert one_ack(intake).hwm == 10


def test_a_terminal_that_comes_with_another_key_is_an_alarm_until_it_is_trusted(database: Store) -> None:
    take(database, payload(1, 10))
    copied = chain(sales(1), salt="copy", signing_key=make_key(4).public_key)
    theirs = encode(compose(TERMINAL, start_of(copied), copied, make_key(4).sign))
    intake = take(database, theirs)
    assert [(refusal.code, refusal.alarm) for refusal in intake.refusals] == [("key-untrusted", True)]
    assert f"terminald-fleet trust {TERMINAL} {make_key(4).public_key.hex()}" in intake.refusals[0].detail
    assert one_ack(intake).hwm == 0
    trust(database, TERMINAL, make_key(4).public_key, NOW_MS)
    assert one_ack(take(database, theirs)).hwm == 3
    assert summarize(database.address).terminals[0].trust == "pinned"


def test_a_pinned_key_is_never_replaced_by_first_use(database: Store) -> None:
    trust(database, TERMINAL, make_key(4).public_key, NOW_MS)
    assert take(database, payload(1, 61)).refusals[0].code == "key-untrusted"
    assert held(database) == []


def test_an_unknown_terminal_is_asked_for_its_beginning(database: Store) -> None:
    ack = one_ack(take(database, payload(31, 40)))
    assert (ack.hwm, ack.hash_at_hwm) == (0, GENESIS.hex())
    assert held(database) == []


def test_a_batch_under_another_terminals_name_moves_nothing(database: Store) -> None:
    take(database, payload(1, 10))
    intake = take(database, payload(11, 20), terminal="till-4")
    assert intake.refusals[0].code == "terminal-unknown"
    take(database, encode(batch(RECORDS[:10])), terminal="till-4")
    assert [terminal.terminal for terminal in summarize(database.address).terminals if terminal.transactions] == [
        TERMINAL
    ]


@pytest.mark.parametrize("part", [slice(20, 22), slice(15, 22), slice(20, 21)], ids=["beside", "across", "one"])
def test_a_fork_is_kept_apart_and_overwrites_nothing(database: Store, part: slice) -> None:
    take(database, payload(1, 61))
    before = held(database)
    intake = take(database, encode(batch(FORK[part])))
    assert [(refusal.code, refusal.alarm) for refusal in intake.refusals] == [("fork", True)]
    assert one_ack(intake).hwm == 61
    assert one_ack(intake).quarantined == ((FORK[part][0].seq, FORK[part][-1].seq),)
    assert held(database) == before


def test_a_fork_that_only_follows_is_found_by_the_hash_before_it(database: Store) -> None:
    take(database, encode(batch(FORK)))
    intake = take(database, payload(23, 40))
    assert [refusal.code for refusal in intake.refusals] == ["fork"]
    assert len(held(database)) == 22


def test_a_fork_that_only_precedes_is_found_by_the_record_after_it(database: Store) -> None:
    take(database, payload(1, 10))
    take(database, payload(23, 40))
    intake = take(database, encode(batch(FORK[10:22])))
    assert [refusal.code for refusal in intake.refusals] == ["fork"]
    assert one_ack(take(database, payload(11, 22))).hwm == 40


def test_poison_that_does_not_join_what_is_held_does_not_move_the_mark(database: Store) -> None:
    take(database, payload(1, 61))
    poison = batch(FORK[20:22])
    header = structs.replace(
        poison.header, acked_seq=0, totals=(*poison.header.totals, *batch(RECORDS[:5]).header.totals)
    )
    forged = structs.replace(poison, header=structs.replace(header, first=62, last=63)).sealed(KEY.sign)
    assert one_ack(take(database, encode(forged))).hwm == 61


def test_evidence_is_bounded(database: Store) -> None:
    take(database, payload(1, 10))
    take(database, *[b"noise %d" % number for number in range(EVIDENCE_MAX + 20)])
    with reading(database.address) as connection:
        assert connection.execute("SELECT count(*) FROM quarantine").fetchone() == (EVIDENCE_MAX,)


# --- a database that was restored --------------------------------------------------------------------------------


@pytest.mark.parametrize("by", ["batch", "mark"])
def test_a_restored_database_notices_and_asks_for_what_it_lost(tmp_path: Path, by: str) -> None:
    path, backup = tmp_path / "hq.db", tmp_path / "backup.db"
    database = Database.open(path, now_ms=NOW_MS)
    take(database, payload(1, 20))
    database.close()
    shutil.copy(path, backup)
    database = Database.open(path, now_ms=NOW_MS)
    assert one_ack(take(database, payload(21, 40))).hwm == 40
    database.close()
    shutil.copy(backup, path)
    database = Database.open(path, now_ms=NOW_MS)
    try:
        mark = (40, NOW_MS)
        if by == "batch":
            intake = take(database, payload(41, 50, acked=mark))
        else:
            intake = take(database, marks=[Mark(TERMINAL, EPOCH, *mark)])
        ack = one_ack(intake)
        assert intake.raised
        assert (ack.hwm, ack.collector_generation) == (20, NOW_MS + 1)
        again = take(database, payload(41, 50, acked=mark))  # the terminal has not heard of it yet
        assert not again.raised
        assert one_ack(take(database, payload(21, 61, acked=(20, NOW_MS + 1)))).hwm == 61
    finally:
        database.close()


def test_a_mark_out_of_this_world_raises_nothing(database: Store) -> None:
    take(database, payload(1, 20))
    intake = take(database, marks=[Mark(TERMINAL, EPOCH, 1 << 60, 1 << 62)])
    assert (intake.raised, intake.acks) == (False, ())


def test_a_terminal_that_was_told_by_a_later_generation_to_begin_anew_is_heard(database: Store) -> None:
    """The restored database was restored once more: the terminal holds nothing acknowledged, and goes by what it heard."""
    take(database, payload(1, 20))
    intake = take(database, marks=[Mark(TERMINAL, EPOCH, 0, NOW_MS + 7)])
    assert intake.raised
    assert one_ack(intake).collector_generation == NOW_MS + 8
    assert one_ack(take(database, payload(21, 40, acked=(0, NOW_MS + 8)))).hwm == 40


def test_an_honest_mark_is_not_answered(database: Store) -> None:
    take(database, payload(1, 20))
    assert take(database, marks=[Mark(TERMINAL, EPOCH, 20, NOW_MS)]).acks == ()


# --- presence and report -----------------------------------------------------------------------------------------


def test_an_old_will_does_not_overwrite_a_newer_status(database: Store) -> None:
    for presence in (
        Presence(TERMINAL, "online", "b1", 4),
        Presence(TERMINAL, "offline", "b1", 3),
        Presence(TERMINAL),
    ):
        commit(database, [], [], [presence], NOW_MS)
    assert summarize(database.address).terminals[0].state == "online"
    commit(database, [], [], [Presence(TERMINAL, "offline", "b1", 4)], NOW_MS)
    assert summarize(database.address).terminals[0].state == "offline"
    commit(database, [], [], [Presence(TERMINAL, "online", "b2", 1)], NOW_MS)
    assert summarize(database.address).terminals[0].state == "online"


def test_a_card_number_in_what_is_refused_is_not_kept(database: Store) -> None:
    intake = take(database, b'{"terminal": "%B4111111111111111^DOE/JANE^29121010000000123?"}')
    assert [refusal.code for refusal in intake.refusals] == ["batch-torn"]
    with reading(database.address) as statements:
        kept = statements.execute("SELECT detail, payload FROM quarantine").fetchall()
    assert len(kept) == 1
    assert "4111111" not in str(kept)
    assert "DOE" not in str(kept)


def test_the_list_names_totals_gaps_trust_and_quarantine(database: Store) -> None:
    take(database, payload(1, 10), payload(31, 40), b"noise")
    text = as_text(summarize(database.address))
    assert TERMINAL in text
    assert "first-use" in text
    assert "quarantine: batch-torn" in text
    (report,) = summarize(database.address).terminals
    assert (report.epochs[0].hwm, report.epochs[0].gaps, report.epochs[0].records) == (10, 20, 20)


def test_lines_tenders_and_taxes_are_read_out_of_the_records(database: Store) -> None:
    def item(line: int, amount_minor: int) -> ItemAdded:
        return ItemAdded(
            line=line, gtin="4006381333931", name=f"Item {line}", unit="each", quantity_milli=1000,
            unit_price_minor=amount_minor, amount_minor=amount_minor, tax="A", entry_method="scanned",
        )  # fmt: skip

    opened = TransactionOpened(number=1, business_day="2026-11-22", currency="EUR")
    records = chain(
        [opened, item(1, 100), item(2, 50), QuantityChanged(line=1, quantity_milli=3000, amount_minor=300),
         LineVoided(line=2), completed(1, 300), structs.replace(opened, number=2), item(1, 20), completed(2, 20)]
    )  # fmt: skip
    take(database, encode(compose(TERMINAL, start_of(records), records, KEY.sign)))
    with reading(database.address) as connection:
        run = connection.execute
        lines = run(
            "SELECT sequence_number, line_item_number, description, quantity_milli, extended_amount_minor, void_flag"
            " FROM pos_line_item ORDER BY 1, 2"
        ).fetchall()
        assert lines == [(1, 1, "Item 1", 3000, 300, 0), (1, 2, "Item 2", 1000, 50, 1), (2, 1, "Item 1", 1000, 20, 0)]
        assert run("SELECT sequence_number, tender_type_code, amount_minor FROM pos_tender ORDER BY 1").fetchall() == [
            (1, "CASH", 300), (2, "CASH", 20)
        ]  # fmt: skip
        assert run("SELECT sequence_number, tax_group, percent_bp, gross_minor FROM pos_tax ORDER BY 1").fetchall() == [
            (1, "A", 700, 300), (2, "A", 700, 20)
        ]  # fmt: skip


# --- the database itself -----------------------------------------------------------------------------------------


def test_records_cannot_be_changed(database: Store) -> None:
    take(database, payload(1, 10))
    with pytest.raises(DatabaseError, match="never changed"), database.transaction() as connection:
        connection.execute("UPDATE record SET exact = ?", (b"0",))


def test_a_commit_is_flushed_whole(embedded: Database) -> None:
    with embedded.transaction() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_transaction_that_fails_leaves_nothing(database: Store) -> None:
    def fail() -> None:
        with database.transaction() as connection:
            connection.execute("INSERT INTO terminal VALUES ('x', ?, 'pinned', 0)", (bytes(32),))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert summarize(database.address).terminals == ()
    assert one_ack(take(database, payload(1, 10))).hwm == 10


def test_a_reader_beside_the_writer_changes_nothing(database: Store) -> None:
    take(database, payload(1, 10))
    with reading(database.address) as connection:
        before = connection.execute("SELECT count(*) FROM record").fetchone()
        take(database, payload(11, 20))
        assert connection.execute("SELECT count(*) FROM record").fetchone() == before
        with pytest.raises((sqlite3.OperationalError, psycopg.Error), match=r"read-?only"):
            connection.execute("DELETE FROM terminal")


def test_a_file_that_is_no_database_of_ours_is_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("no database, but a longer text than nothing\n" * 50)
    foreign = tmp_path / "foreign.db"
    connection = sqlite3.connect(foreign)
    connection.execute("CREATE TABLE mine (a)")
    connection.close()
    for path in (text, foreign):
        before = path.read_bytes()
        with pytest.raises(DatabaseForeign):
            Database.open(path, now_ms=NOW_MS)
        assert path.read_bytes() == before


def test_a_database_of_a_newer_version_is_refused(tmp_path: Path, embedded: Database) -> None:
    with embedded.transaction() as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(DatabaseForeign):
        Database.open(embedded.path, now_ms=NOW_MS)


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(DatabaseNotWritable, match="No such file"):
        Database.open(tmp_path / "nowhere" / "hq.db", now_ms=NOW_MS)
    with pytest.raises(DatabaseAbsent):
        summarize(tmp_path / "hq.db")


@pytest.mark.parametrize(
    ("url", "path"),
    [("hq.db", "hq.db"), ("/a/hq.db", "/a/hq.db"), ("sqlite:///hq.db", "hq.db"), ("sqlite:////a/hq.db", "/a/hq.db")],
)
def test_where_a_database_is(url: str, path: str) -> None:
    assert locate(url) == Path(path)


@pytest.mark.parametrize("url", ["mysql://h/db", "sqlite://hq.db", "sqlite:///"])
def test_what_is_no_database_address_is_named(url: str) -> None:
    with pytest.raises(ValueError, match="sqlite:///"):
        locate(url)


def test_a_fork_is_one() -> None:
    assert [record.hash for record in FORK[:20]] == [record.hash for record in RECORDS[:20]]
    assert not any(a.hash == b.hash for a, b in itertools.product(FORK[20:], RECORDS))
    assert Head(epoch=EPOCH, seq=20, hash=RECORDS[19].hash) == head_of(FORK[19])


# --- what no database can hold -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "value"), [("total_minor", 1 << 70), ("number", 1 << 64), ("change_minor", -1 << 64)]
)
def test_a_number_beyond_64_bits_is_poison_and_the_stream_moves_on(database: Store, place: str, value: int) -> None:
    records = chain([completed(1, 5), structs.replace(completed(2, 5), **{place: value}), completed(3, 5)])
    parts = ((start_of(records), records[:2]), (head_of(records[1]), records[2:3]), (head_of(records[2]), records[3:]))
    ack = one_ack(take(database, *(encode(compose(TERMINAL, prev, some, KEY.sign)) for prev, some in parts)))
    assert (ack.hwm, ack.quarantined) == (4, ((3, 3),))
    assert sums(database)[0] == 2


def test_a_range_beyond_64_bits_is_torn(database: Store) -> None:
    take(database, payload(1, 10))
    text = zstandard.decompress(payload(11, 20))
    text = text.replace(b'"first":11,"last":20', b'"first":%d,"last":%d' % (1 << 70, (1 << 70) + 9))
    intake = take(database, zstandard.compress(text))
    assert [refusal.code for refusal in intake.refusals] == ["batch-torn"]


def test_a_nul_in_what_a_terminal_signed_stops_nothing(database: Store) -> None:
    sale = structs.replace(completed(1, 5), currency="E\0R", operator="a\0b")
    records = chain([sale, completed(2, 7)])
    ack = one_ack(take(database, encode(compose(TERMINAL, start_of(records), records, KEY.sign))))
    assert (ack.hwm, ack.fault) == (3, None)
    assert [exact for _, exact in held(database)] == [record.exact for record in records]
    with reading(database.address) as statements:
        assert len(statements.execute("SELECT * FROM pos_transaction").fetchall()) == 2
