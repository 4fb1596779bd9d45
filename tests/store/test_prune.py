"""Pruning: only whole, archived, old segments go; what is left verifies, goes on, and says what is gone."""

from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from core.entries import SegmentPruned, TransactionOpened, decode, draft
from core.ledger import Record, Stamp, open_record
from store.anchor import anchor_path
from store.database import connect
from store.journal import SqlJournal
from store.pruning import Archived
from store.verify import iter_records, verify_journal
from tests.store.journals import KEY, STAMP, basket, money

SIGNER = Ed25519PrivateKey.from_private_bytes(bytes(32))
SEGMENT = 10
NOW_MS = STAMP.time_ms + 1


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal lies."""
    return tmp_path / "journal.db"


async def open_journal(path: Path) -> SqlJournal:
    return await SqlJournal.open(
        path, KEY, terminal="till-1", signing_key=SIGNER.public_key().public_bytes_raw(), stamp=STAMP
    )


async def fill(journal: SqlJournal, records: int, prefix: str = "k") -> None:
    for number in range(records):
        await journal.append([money()], STAMP, key=f"{prefix}{number}")


async def archived(
    journal: SqlJournal, seq: int, *, epoch: str | None = None, **more: tuple[tuple[int, int], ...]
) -> Archived:
    epoch = epoch or journal.head.epoch
    (record,) = await journal.read(epoch, seq - 1, 1)
    return Archived(epoch=epoch, seq=seq, mark=seq, hash_at_mark=record.hash, **more)


async def prune(journal: SqlJournal, let_go: Archived, before_ms: int = NOW_MS) -> SegmentPruned | None:
    return await journal.prune(let_go, before_ms, terminal="till-1", sign=SIGNER.sign, stamp=STAMP, records=SEGMENT)


async def checkpoint(journal: SqlJournal) -> None:
    await journal.save_checkpoint(journal.head.seq, b"state")


async def test_a_segment_goes_and_the_rest_verifies(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        let_go = await archived(journal, 30)
        before = [record async for record in journal.replay()]
        stones = [await prune(journal, let_go) for _ in range(4)]
        assert [(stone.first, stone.last, stone.count) for stone in stones if stone] == [
            (2, 10, 9),
            (11, 20, 10),
            (21, 30, 10),
        ]
        first, last = stones[1], before[19]
        assert first is not None
        assert first.last_hash == last.hash.hex()
        assert first.first_hash == before[10].hash.hex()
        assert await journal.find("k3") is None
        assert await journal.find("k31") is not None
        assert not await journal.begins_whole()
    found = verify_journal(path, KEY, terminal="till-1")
    assert (found.whole, found.finding, found.records) == (True, None, 1 + 5 + 3)
    assert [record.seq for record in iter_records(path, KEY)] == [1, *range(31, 39)]
    async with await open_journal(path) as journal:
        assert journal.opened is None
        await fill(journal, 3, "more")
    assert verify_journal(path, KEY).whole


@pytest.mark.parametrize(
    ("why", "seq", "before_ms", "quarantined"),
    [
        ("not archived", 19, NOW_MS, ()),
        ("too young", 20, STAMP.time_ms, ()),
        ("in quarantine", 20, NOW_MS, ((5, 12),)),
    ],
)
async def test_what_may_not_go_stays(
    path: Path, why: str, seq: int, before_ms: int, quarantined: tuple[tuple[int, int], ...]
) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        if why == "not archived":
            assert await prune(journal, await archived(journal, 20), before_ms) is not None
        let_go = await archived(journal, seq, quarantined=quarantined)
        assert await prune(journal, let_go, before_ms) is None
    assert verify_journal(path, KEY).whole


async def test_what_a_start_needs_stays(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        let_go = await archived(journal, 30)
        assert await prune(journal, let_go) is None
        await journal.save_checkpoint(15, b"state")
        assert await prune(journal, let_go) is not None
        assert await prune(journal, let_go) is None


async def test_an_answer_about_another_chain_lets_nothing_go(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        good = await archived(journal, 30)
        forged = Archived(epoch=good.epoch, seq=30, mark=30, hash_at_mark=bytes(32))
        assert await prune(journal, forged) is None
        assert await prune(journal, Archived(epoch="0" * 32, seq=30, mark=30, hash_at_mark=bytes(32))) is None


async def test_the_open_segment_stays(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 9)
        await checkpoint(journal)
        assert await prune(journal, await archived(journal, 10)) is None


async def test_an_old_epoch_goes_to_its_end_and_its_tombstone_is_carried(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 24)
        old = journal.head.epoch
        await journal.open_epoch("restored", STAMP)
        await fill(journal, 30, "new")
        await checkpoint(journal)
        gone = await archived(journal, 25, epoch=old)
        assert [stone.last for _ in range(3) if (stone := await prune(journal, gone))] == [10, 20, 25]
        await fill(journal, 20, "later")
        await checkpoint(journal)
        now = await archived(journal, 50)
        while await prune(journal, now):
            pass
    assert verify_journal(path, KEY).whole
    stones = [entry for record in iter_records(path, KEY) if isinstance(entry := _entry(record), SegmentPruned)]
    assert (old, 25) in {(stone.epoch, stone.last) for stone in stones}
    async with await open_journal(path) as journal:
        assert journal.opened is None


async def test_numbers_go_on_after_all_that_named_them_is_gone(path: Path) -> None:
    async with await open_journal(path) as journal:
        await journal.append([draft(TransactionOpened(number=77, business_day="", currency="EUR"))], STAMP)
        await fill(journal, 30)
        await checkpoint(journal)
        let_go = await archived(journal, 30)
        while await prune(journal, let_go):
            pass
    anchor_path(path).unlink()
    async with await open_journal(path) as journal:
        assert journal.opened is not None
        assert journal.opened.number > 77


async def test_rows_that_a_power_cut_left_are_passed_over_and_swept(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        let_go = await archived(journal, 30)
    connection = connect(path, KEY)
    kept = connection.execute("SELECT * FROM record WHERE position & 1099511627775 BETWEEN 2 AND 6").fetchall()
    connection.close()
    async with await open_journal(path) as journal:
        assert await prune(journal, let_go) is not None
    connection = connect(path, KEY)
    connection.executemany("INSERT INTO record VALUES (?, ?, ?, ?)", kept)
    connection.close()
    assert verify_journal(path, KEY).whole
    async with await open_journal(path) as journal:
        assert await prune(journal, await archived(journal, 20)) is not None
    assert [record.seq for record in iter_records(path, KEY)][:2] == [1, 21]


def tamper(path: Path, *statements: str) -> None:
    connection = connect(path, KEY)
    for trigger in ("record_stays", "record_is_kept", "base_rises", "base_is_named", "base_is_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    for statement in statements:
        connection.execute(statement)
    connection.close()


async def pruned(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        let_go = await archived(journal, 30)
        assert await prune(journal, let_go) is not None
        assert await prune(journal, let_go) is not None


async def test_pruning_without_a_tombstone_is_found(path: Path) -> None:
    await pruned(path)
    tamper(
        path,
        "UPDATE base SET seq = 25, tail = CAST(json_set(CAST(tail AS TEXT), '$.seq', 25) AS BLOB)",
        "DELETE FROM record WHERE position & 1099511627775 BETWEEN 2 AND 25",
    )
    found = verify_journal(path, KEY)
    assert not found.whole
    assert (found.kind, found.first) in (("edit", 26), ("gap", 2))


async def test_a_base_that_is_gone_is_found(path: Path) -> None:
    await pruned(path)
    tamper(path, "DELETE FROM base")
    found = verify_journal(path, KEY)
    assert (found.kind, found.first, found.last) == ("gap", 2, 20)


async def test_a_tombstone_of_somebody_else_is_found(path: Path) -> None:
    forger = Ed25519PrivateKey.from_private_bytes(bytes([1]) * 32)
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        await journal.prune(
            await archived(journal, 30), NOW_MS, terminal="till-1", sign=forger.sign, stamp=STAMP, records=SEGMENT
        )
    found = verify_journal(path, KEY)
    assert (found.kind, found.first, found.last) == ("edit", 2, 10)
    assert found.finding is not None
    assert "not signed" in found.finding


@pytest.mark.parametrize(
    "statement",
    [
        "DELETE FROM record WHERE position & 1099511627775 = 25",
        "DELETE FROM record WHERE position & 1099511627775 = 1",
        "UPDATE base SET seq = 10",
        "UPDATE base SET seq = 30, tombstone = 7",
        "UPDATE base SET seq = 30, tombstone = NULL",
        "DELETE FROM base",
        "INSERT INTO base (ordinal, seq, tail, tombstone) VALUES (2, 5, x'00', 12)",
    ],
)
async def test_the_database_itself_lets_nothing_else_go(path: Path, statement: str) -> None:
    await pruned(path)
    connection = connect(path, KEY)
    with pytest.raises(Exception, match=r"never deleted|says so|stays so"):
        connection.execute(statement)
    connection.close()


async def test_a_damaged_segment_is_not_pruned(path: Path) -> None:
    async with await open_journal(path) as journal:
        await fill(journal, 34)
        await checkpoint(journal)
        let_go = await archived(journal, 30)
    tamper(path, f"UPDATE record SET hash = zeroblob(32) WHERE position = {(1 << 40) + 5}")
    async with await open_journal(path) as journal:
        with pytest.raises(Exception, match="record 5 does not fit"):
            await prune(journal, let_go)
    assert len(list(iter_records(path, KEY))) == 35


async def test_a_stamp_of_the_future_keeps_a_segment(path: Path) -> None:
    late = Stamp(time_ms=STAMP.time_ms + 5_000, clock=STAMP.clock, boot=STAMP.boot, mono_ms=1)
    async with await open_journal(path) as journal:
        await fill(journal, 3)
        await journal.append([basket()], late)
        await fill(journal, 30, "later")
        await checkpoint(journal)
        assert await prune(journal, await archived(journal, 30)) is None


def _entry(record: Record) -> object:
    try:
        return decode(open_record(record.exact).body)
    except ValueError:
        return None
