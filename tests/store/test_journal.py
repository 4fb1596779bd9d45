"""The journal on the loop: order, grades, group commit, reading, and what lies beside the records."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlcipher3 import dbapi2 as sqlcipher

from core.entries import EpochOpened, decode
from core.ledger import GENESIS, Draft, Record, Stream, link, open_record
from core.ports import Journal
from store.database import connect
from store.errors import DuplicateKey, JournalClosed, JournalInUse
from store.journal import SqlJournal
from store.verify import verify_journal
from store.writer import WAITING_MAX, InlineWriter, ThreadWriter, WriterFactory
from tests.store.journals import KEY, SIGNING_KEY, STAMP, basket, money, open_journal


@pytest.fixture(params=[ThreadWriter, InlineWriter])
def writer(request: pytest.FixtureRequest) -> WriterFactory:
    """The journal behaves the same with its own thread and without."""
    chosen: WriterFactory = request.param
    return chosen


@pytest.fixture
async def journal(tmp_path: Path, writer: WriterFactory) -> AsyncIterator[SqlJournal]:
    """A journal of a first boot."""
    async with await open_journal(tmp_path / "journal.db", writer=writer) as opened:
        yield opened


def names(records: tuple[Record, ...] | list[Record]) -> list[str]:
    """The bodies' names, where there are any."""
    return [bytes(open_record(record.exact).body).decode().split('"')[3] for record in records]


async def everything(journal: SqlJournal) -> list[Record]:
    return [record async for record in journal.replay()]


async def test_first_boot_opens_an_epoch(journal: SqlJournal) -> None:
    as_port: Journal = journal
    (first,) = await everything(journal)
    opened = decode(open_record(first.exact).body)
    assert isinstance(opened, EpochOpened)
    assert (opened.terminal, opened.reason, opened.signing_key) == ("till-1", "first-boot", SIGNING_KEY.hex())
    assert len(first.epoch) == 32
    assert first.hash == link(GENESIS, first.exact)
    assert (as_port.head.seq, as_port.head.hash) == (1, first.hash)
    assert as_port.synced == as_port.head


async def test_two_journals_have_two_epochs(tmp_path: Path) -> None:
    epochs = set()
    for name in ("a.db", "b.db"):
        async with await open_journal(tmp_path / name) as journal:
            epochs.add(journal.head.epoch)
    assert len(epochs) == 2


async def test_append_gives_the_records_in_their_places(journal: SqlJournal) -> None:
    first, second = await journal.append([basket("a"), money("b")], STAMP)
    assert [first.seq, second.seq] == [2, 3]
    assert second.hash == link(first.hash, second.exact)
    assert journal.head.hash == second.hash
    assert names(await everything(journal))[1:] == ["a", "b"]


async def test_what_moves_money_is_synced_and_takes_the_basket_along(journal: SqlJournal) -> None:
    await journal.append([basket()], STAMP)
    assert (journal.head.seq, journal.synced.seq) == (2, 1)
    await journal.append([money()], STAMP)
    assert (journal.head.seq, journal.synced.seq) == (3, 3)


async def test_nothing_unsynced_is_read_or_found(journal: SqlJournal) -> None:
    await journal.append([basket()], STAMP, key="k")
    assert await journal.read(journal.head.epoch, 0, 10) == await journal.read(journal.head.epoch, 0, 1)
    assert await journal.find("k") is None
    await journal.sync()
    assert journal.synced.seq == 2
    assert [record.seq for record in await journal.read(journal.head.epoch, 0, 10)] == [1, 2]
    found = await journal.find("k")
    assert found is not None
    assert found.seq == 2


async def test_a_basket_is_synced_after_the_delay(tmp_path: Path, writer: WriterFactory) -> None:
    async with await open_journal(tmp_path / "journal.db", writer=writer, sync_delay_s=0.05) as journal:
        await journal.append([basket()], STAMP)
        assert journal.synced.seq == 1
        async with asyncio.timeout(5):
            while journal.synced.seq != 2:
                await asyncio.sleep(0.01)


async def test_the_delay_counts_from_the_oldest(tmp_path: Path) -> None:
    async with await open_journal(tmp_path / "journal.db", sync_delay_s=0.3) as journal:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while journal.synced.seq < 2:
            await journal.append([basket()], STAMP)
            await asyncio.sleep(0.02)
        assert loop.time() - began_s < 2


async def test_read_pages(journal: SqlJournal) -> None:
    for index in range(7):
        await journal.append([money(str(index))], STAMP)
    page = await journal.read(journal.head.epoch, 3, 2)
    assert [record.seq for record in page] == [4, 5]
    assert await journal.read(journal.head.epoch, 8, 2) == []
    assert await journal.read("0" * 32, 0, 2) == []


async def test_many_at_once_keep_the_order_of_their_calls(journal: SqlJournal) -> None:
    count = WAITING_MAX + 200  # more than may wait: the last ones wait at the door
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(journal.append([money(str(index))], STAMP)) for index in range(count)]
    assert [task.result()[0].seq for task in tasks] == list(range(2, count + 2))
    assert names(await everything(journal))[1:] == [str(index) for index in range(count)]


async def test_what_waits_shares_a_commit(tmp_path: Path) -> None:
    async with await open_journal(tmp_path / "journal.db") as journal:
        before = journal.commits
        async with asyncio.TaskGroup() as group:
            for index in range(200):
                group.create_task(journal.append([money(str(index))], STAMP))
        assert journal.head.seq == 201
        assert journal.commits - before < 100


async def test_a_key_is_taken_once(journal: SqlJournal) -> None:
    await journal.append([money("a")], STAMP, key="k")
    with pytest.raises(DuplicateKey):
        await journal.append([money("b"), money("c")], STAMP, key="k")
    await journal.append([money("d")], STAMP, key="other")
    assert names(await everything(journal))[1:] == ["a", "d"]
    assert journal.head.seq == 3


async def test_a_taken_key_spoils_nothing_of_its_group(tmp_path: Path) -> None:
    async with await open_journal(tmp_path / "journal.db") as journal:
        keys = ["a", "b", "a", "c", "b"]
        outcomes = await asyncio.gather(
            *(journal.append([money(key), basket()], STAMP, key=key) for key in keys), return_exceptions=True
        )
        assert [isinstance(outcome, DuplicateKey) for outcome in outcomes] == [False, False, True, False, True]
    assert verify_journal(tmp_path / "journal.db", KEY).whole


async def test_the_key_stands_in_the_first_record(journal: SqlJournal) -> None:
    first, second = await journal.append([money(), money()], STAMP, key="k")
    assert (open_record(first.exact).key, open_record(second.exact).key) == ("k", None)
    assert await journal.find("k") == first


async def test_a_cancelled_caller_leaves_the_journal_well(tmp_path: Path) -> None:
    async with await open_journal(tmp_path / "journal.db") as journal:
        for index in range(20):
            task = asyncio.ensure_future(journal.append([money(str(index))], STAMP))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        await journal.append([money("last")], STAMP)
        assert names(await everything(journal))[-1] == "last"


async def test_what_is_done_survives_a_restart(tmp_path: Path, writer: WriterFactory) -> None:
    path = tmp_path / "journal.db"
    async with await open_journal(path, writer=writer) as journal:
        await journal.append([money("a")], STAMP, key="k")
        await journal.append([basket("b")], STAMP)
        head = journal.head
    async with await open_journal(path, writer=writer) as journal:
        assert journal.head == journal.synced == head
        await journal.append([money("c")], STAMP)
        assert names(await everything(journal))[1:] == ["a", "b", "c"]
        assert await journal.find("k")
    assert verify_journal(path, KEY).whole


async def test_streams_go_on_after_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    for _ in range(3):
        async with await open_journal(path) as journal:
            for stream in (Stream.SALES, Stream.TILL, Stream.TECHNICAL):
                await journal.append([money(stream=stream)], STAMP)
            await journal.save_checkpoint(journal.head.seq - 1, b"state")
            await journal.append([basket()], STAMP)
    found = verify_journal(path, KEY)
    assert (found.whole, found.finding, found.records) == (True, None, 13)


async def test_the_newest_checkpoint_is_given(journal: SqlJournal) -> None:
    assert await journal.load_checkpoint() is None
    for index in range(4):
        await journal.append([money()], STAMP)
        await journal.save_checkpoint(journal.head.seq, b"%d" % index)
    kept = await journal.load_checkpoint()
    assert kept is not None
    assert (kept.seq, kept.state) == (5, b"3")
    assert [record.seq async for record in journal.replay(kept.seq - 2)] == [4, 5]


async def test_two_checkpoints_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await open_journal(path) as journal:
        for _ in range(5):
            await journal.save_checkpoint(1, b"state")
    connection = connect(path, KEY)
    assert connection.execute("SELECT count(*) FROM checkpoint").fetchone() == (2,)
    connection.close()


async def test_the_outbox_keeps_headquarters_answer(journal: SqlJournal) -> None:
    epoch = journal.head.epoch
    assert await journal.acknowledged(epoch) is None
    await journal.acknowledge(epoch, 1, b"one")
    await journal.acknowledge(epoch, 7, b"seven")
    kept = await journal.acknowledged(epoch)
    assert kept is not None
    assert (kept.seq, kept.ack) == (7, b"seven")


async def test_records_are_neither_changed_nor_deleted(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await open_journal(path) as journal:
        await journal.append([money()], STAMP, key="k")
    connection = connect(path, KEY)
    for statement in (
        "UPDATE record SET key = 'other'",
        "DELETE FROM record",
        "DELETE FROM epoch",
        "UPDATE epoch SET id = hex(randomblob(16))",
    ):
        with pytest.raises(sqlcipher.IntegrityError, match="is never"):
            connection.execute(statement)
    connection.close()


async def test_nobody_else_writes(tmp_path: Path, writer: WriterFactory) -> None:
    async with await open_journal(tmp_path / "journal.db", writer=writer):
        with pytest.raises(JournalInUse) as caught:
            await open_journal(tmp_path / "journal.db", writer=writer)
    assert caught.value.code == "journal-in-use"
    async with await open_journal(tmp_path / "journal.db", writer=writer) as journal:
        assert journal.head.seq == 1


async def test_a_closed_journal_says_so(journal: SqlJournal) -> None:
    await journal.append([basket()], STAMP)
    await journal.close()
    await journal.close()
    assert journal.synced == journal.head
    with pytest.raises(JournalClosed):
        await journal.append([money()], STAMP)
    with pytest.raises(JournalClosed):
        await journal.read(journal.head.epoch, 0, 1)


async def test_close_finishes_what_was_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    journal = await open_journal(path)
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(journal.append([money(str(index))], STAMP)) for index in range(50)]
        await asyncio.sleep(0)
        await journal.close()
    assert [task.result()[0].seq for task in tasks] == list(range(2, 52))
    assert verify_journal(path, KEY).records == 51


async def test_a_bad_body_is_a_programmers_mistake(journal: SqlJournal) -> None:
    for body in (b'{"a":\n1}', b"[1]", b""):
        with pytest.raises(AssertionError):
            await journal.append([Draft(stream=Stream.SALES, body=body, moves_money=True)], STAMP)
    assert journal.head.seq == 1


async def test_the_log_stays_small(tmp_path: Path) -> None:
    path = tmp_path / "journal.db"
    async with await open_journal(path) as journal:
        log = path.with_name("journal.db-wal")
        warm = log.stat().st_size
        for index in range(600):
            await journal.append([money("x" * 500)], STAMP, key=str(index))
        assert log.stat().st_size == warm
