"""Epochs: when one is opened, what its first record says, and what goes on over it."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from core.entries import EpochOpened, TransactionOpened, decode, draft
from core.ledger import Draft, Head, Record, open_record
from store.anchor import anchor_path, binding
from store.database import connect
from store.epochs import NUMBERS_SKIPPED, NUMBERS_SKIPPED_BLIND, AdoptedEpoch, Founding, found_adopted
from store.errors import JournalDamaged
from store.journal import SqlJournal
from store.verify import verify_journal
from store.writer import InlineWriter
from tests.store.journals import KEY, SIGNING_KEY, STAMP, basket, money, open_journal

HERE = binding("board", "card", "uuid", "machine")
ADOPTING = Founding(terminal="till-1", signing_key=SIGNING_KEY, stamp=STAMP, reason="adopted")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the journal lies."""
    return tmp_path / "journal.db"


def transaction(number: int) -> Draft:
    return draft(TransactionOpened(number=number, business_day="2026-11-22", currency="EUR"))


async def sell(journal: SqlJournal, *numbers: int) -> None:
    for number in numbers:
        await journal.append([transaction(number), money()], STAMP, key=f"sale-{number}")


async def everything(journal: SqlJournal) -> list[Record]:
    return [record async for record in journal.replay()]


async def opening(journal: SqlJournal, epoch: str) -> EpochOpened:
    (first,) = await journal.read(epoch, 0, 1)
    opened = decode(open_record(first.exact).body)
    assert isinstance(opened, EpochOpened)
    return opened


async def bound(path: Path, place: bytes) -> SqlJournal:
    return await SqlJournal.open(
        path, KEY, terminal="till-1", signing_key=SIGNING_KEY, stamp=STAMP, binding=place, writer=InlineWriter
    )


# --- opened while it runs ----------------------------------------------------------------------------------------


async def test_an_epoch_names_the_one_before(path: Path) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1, 2)
        before = journal.head
        opened = await journal.open_epoch("restored", STAMP, skip=5, lost_seq=99)
        assert opened == await opening(journal, journal.head.epoch)
        assert (opened.previous_epoch, opened.previous_seq, opened.previous_head) == (
            before.epoch, before.seq, before.hash.hex(),
        )  # fmt: skip
        assert (opened.reason, opened.terminal, opened.lost_seq, opened.number) == ("restored", "till-1", 99, 2 + 5)
        assert (journal.head.seq, journal.synced) == (1, journal.head)
        await journal.append([basket(), money()], STAMP)
        assert [record.seq for record in await journal.read(journal.head.epoch, 0, 9)] == [1, 2, 3]
    assert verify_journal(path, KEY).whole


async def test_keys_and_reading_go_over_epochs(path: Path) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1)
        first = journal.head.epoch
        await journal.open_epoch("restored", STAMP)
        await sell(journal, 2)
        found = await journal.find("sale-1")
        assert found is not None
        assert (found.epoch, found.seq) == (first, 2)
        records = await everything(journal)
        assert [(record.epoch == first, record.seq) for record in records] == [
            (True, 1), (True, 2), (True, 3), (False, 1), (False, 2), (False, 3),
        ]  # fmt: skip
        after = [record async for record in journal.replay(2, first)]
        assert after == records[2:]
        assert [record async for record in journal.replay(1, journal.head.epoch)] == records[4:]


async def test_a_checkpoint_of_an_epoch_before_is_found(path: Path) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1)
        await journal.save_checkpoint(2, b"state")
        epoch = journal.head.epoch
        await journal.open_epoch("restored", STAMP)
    async with await open_journal(path) as journal:
        kept = await journal.load_checkpoint()
        assert kept is not None
        assert (kept.epoch, kept.seq, kept.state) == (epoch, 2, b"state")
        await journal.save_checkpoint(1, b"newer")
        kept = await journal.load_checkpoint()
        assert kept is not None
        assert (kept.epoch, kept.state) == (journal.head.epoch, b"newer")


# --- opened at a start -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", [1, 3])
async def test_an_older_file_goes_on_in_another_epoch(path: Path, lost: int) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1, 2)
    shutil.copy(path, path.with_suffix(".old"))
    async with await open_journal(path) as journal:
        old = journal.head
        await sell(journal, *range(3, 3 + lost))
        reached = journal.head
    shutil.copy(path.with_suffix(".old"), path)
    found = verify_journal(path, KEY)
    assert (found.kind, found.first, found.last) == ("rollback", old.seq + 1, reached.seq)
    async with await open_journal(path) as journal:
        opened = journal.opened
        assert opened is not None
        assert (opened.reason, opened.previous_seq, opened.lost_seq) == ("rollback", old.seq, reached.seq)
        assert opened.number == 2 + lost + NUMBERS_SKIPPED
        assert await journal.find("sale-2") is not None
        assert await journal.find("sale-3") is None
        await sell(journal, opened.number + 1)
    assert verify_journal(path, KEY).whole
    async with await open_journal(path) as journal:
        assert journal.opened is None


async def test_an_older_file_from_before_an_epoch(path: Path) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1)
    shutil.copy(path, path.with_suffix(".old"))
    async with await open_journal(path) as journal:
        await journal.open_epoch("restored", STAMP)
        await sell(journal, 2)
    shutil.copy(path.with_suffix(".old"), path)
    found = verify_journal(path, KEY)
    assert (found.kind, found.first, found.last) == ("rollback", 1, 3)
    async with await open_journal(path) as journal:
        assert journal.opened is not None
        assert journal.opened.reason == "rollback"
        assert journal.opened.number >= 2 + NUMBERS_SKIPPED


async def test_a_journal_that_went_on_elsewhere_is_a_fork(path: Path, tmp_path: Path) -> None:
    async with await open_journal(path) as journal:
        await sell(journal, 1)
    away = tmp_path / "away"
    away.mkdir()
    for each in (path, anchor_path(path)):
        shutil.copy(each, away)
    async with await open_journal(path) as journal:
        await sell(journal, 2)
    async with await open_journal(away / "journal.db") as journal:
        await sell(journal, 7)
        await sell(journal, 8)
    shutil.copy(away / "journal.db", path)
    found = verify_journal(path, KEY)
    assert (found.kind, found.first) == ("fork", 5)
    async with await open_journal(path) as journal:
        assert journal.opened is not None
        assert journal.opened.reason == "fork"
        assert journal.opened.number == 8 + NUMBERS_SKIPPED


@pytest.mark.parametrize(
    "elsewhere",
    [
        binding("another", "card", "uuid", "machine"),
        binding("board", "another", "uuid", "machine"),
        binding("board", "card", "another", "machine"),
        binding("", "", "", "another"),
    ],
)
async def test_a_card_in_another_place_goes_on_in_another_epoch(path: Path, elsewhere: bytes) -> None:
    async with await bound(path, HERE) as journal:
        await sell(journal, 5)
        first = journal.head.epoch
    async with await bound(path, HERE) as journal:
        assert journal.opened is None
    async with await bound(path, elsewhere) as journal:
        assert journal.opened is not None
        assert (journal.opened.reason, journal.opened.previous_epoch) == ("copied", first)
        assert journal.opened.number == 5 + NUMBERS_SKIPPED_BLIND
    async with await bound(path, elsewhere) as journal:
        assert journal.opened is None
    assert verify_journal(path, KEY).whole


async def test_what_is_not_known_of_a_place_is_no_other_place(path: Path) -> None:
    for place in (bytes(32), HERE, binding("board", "", "", ""), bytes(32), HERE):
        async with await bound(path, place) as journal:
            assert journal.opened is None
    async with await bound(path, binding("", "another card", "", "")) as journal:
        assert journal.opened is not None


async def test_numbers_are_known_where_no_checkpoint_tells(path: Path) -> None:
    """A journal of before: its checkpoint's tail says nothing of numbers."""
    async with await open_journal(path) as journal:
        await sell(journal, 41)
        await journal.save_checkpoint(journal.head.seq, b"state")
    connection = connect(path, KEY)
    connection.execute("UPDATE checkpoint SET tail = CAST(json_remove(CAST(tail AS TEXT), '$.number') AS BLOB)")
    connection.close()
    anchor_path(path).unlink()
    async with await open_journal(path) as journal:
        assert journal.opened is not None
        assert journal.opened.number == 41 + NUMBERS_SKIPPED_BLIND


# --- adopted -----------------------------------------------------------------------------------------------------


async def dead(path: Path) -> Sequence[Record]:
    """The records of a terminal of which some are wanted."""
    path.parent.mkdir(exist_ok=True)
    async with await open_journal(path) as journal:
        await sell(journal, 1, 2, 3, 4)
        return await everything(journal)


def after(record: Record) -> Head:
    return Head(epoch=record.epoch, seq=record.seq, hash=record.hash)


async def test_a_journal_may_begin_in_the_middle_of_an_epoch(path: Path, tmp_path: Path) -> None:
    records = await dead(tmp_path / "dead" / "journal.db")
    adopted = AdoptedEpoch(prev=after(records[3]), records=records[4:], ack=(4, b"ack"), state=(6, b"state"))
    found_adopted(path, KEY, [adopted], ADOPTING)
    async with await open_journal(path) as journal:
        assert journal.opened is None
        assert (journal.head.seq, await journal.begins_whole()) == (1, False)
        opened = await opening(journal, journal.head.epoch)
        assert (opened.reason, opened.previous_epoch, opened.previous_seq) == ("adopted", records[0].epoch, 9)
        assert opened.number == 4 + NUMBERS_SKIPPED
        assert (await everything(journal))[:5] == list(records[4:])
        kept = await journal.load_checkpoint()
        assert kept is not None
        assert (kept.epoch, kept.seq) == (records[0].epoch, 6)
        assert await journal.find("sale-3") is not None
        mark = await journal.acknowledged(records[0].epoch)
        assert mark is not None
        assert mark.seq == 4
        await sell(journal, opened.number + 1)
    found = verify_journal(path, KEY, terminal="till-1")
    assert (found.whole, found.finding) == (True, None)


async def test_records_that_do_not_follow_are_not_adopted(path: Path, tmp_path: Path) -> None:
    records = list(await dead(tmp_path / "dead" / "journal.db"))
    for wrong in (records[4:6] + records[7:], records[5:], [records[5], records[4]]):
        with pytest.raises(JournalDamaged, match="do not follow"):
            found_adopted(path, KEY, [AdoptedEpoch(prev=after(records[3]), records=wrong)], ADOPTING)
    found_adopted(path, KEY, [AdoptedEpoch(prev=after(records[3]), records=records[4:])], ADOPTING)


async def test_several_epochs_are_adopted(path: Path, tmp_path: Path) -> None:
    place = tmp_path / "dead" / "journal.db"
    first = await dead(place)
    async with await open_journal(place) as journal:
        await journal.open_epoch("restored", STAMP)
        await sell(journal, 9)
        second = (await everything(journal))[len(first) :]
    epochs = [
        AdoptedEpoch(prev=after(first[6]), records=first[7:]),
        AdoptedEpoch(prev=Head(epoch=second[0].epoch, seq=0, hash=bytes(32)), records=second),
    ]
    found_adopted(path, KEY, epochs, ADOPTING)
    async with await open_journal(path) as journal:
        assert (await everything(journal))[:-1] == [*first[7:], *second]
        assert (await opening(journal, journal.head.epoch)).number == 9 + NUMBERS_SKIPPED
    assert verify_journal(path, KEY).whole
