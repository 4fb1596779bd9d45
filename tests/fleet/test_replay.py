"""Records on their way back to a restored terminal: who may ask, what is sent, and what the terminal takes."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random

import pytest

from core import topics
from core.delivery import BATCH_RECORDS_MAX, check, compose, cut, decode, encode
from core.entries import RESTORED, DaemonStarted, RecordsReturned, draft
from core.entries import decode as decode_entry
from core.ledger import GENESIS, Head, Record, open_record
from core.recall import (
    Holdings,
    Recall,
    RecallError,
    RecallForged,
    RecallUnreadable,
    encode_holdings,
    encode_recall,
    is_holdings,
    open_holdings,
    open_recall,
)
from fleet.database import Database
from fleet.intake import Arrival, commit
from fleet.replay import BATCHES_MAX, Replayer, answer
from store.database import connect
from store.epochs import AdoptedEpoch, Cause, Founding, Place, found_adopted, open_next, resume
from store.errors import RecordsRefused
from store.verify import verify_journal
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.mqtt import Connection
from terminald.recall import Recaller
from terminald.uplink import Uplink, User
from tests.brokers import Mosquitto
from tests.hostile import malice, meddling
from tests.tills import DATABASE_KEY, Till, eventually, make_key, open_till

HEADQUARTERS = make_key(9)
TILL = make_key(3)
NAME = "till-3"


def deliver(path: Path, records: list[Record], prev: Head) -> None:
    """Puts records into headquarters' database, in batches as the terminal would send them."""
    database = Database.open(path, now_ms=1)
    try:
        while records:
            some = cut(records)
            batch = encode(compose(NAME, prev, some, TILL.sign))
            intake = commit(database, [Arrival(NAME, batch)], [], [], 1)
            assert not intake.refusals
            prev = Head(epoch=prev.epoch, seq=some[-1].seq, hash=some[-1].hash)
            records = records[len(some) :]
    finally:
        database.close()


async def held(till: Till, epoch: str | None = None) -> list[Record]:
    found: list[Record] = []
    while page := await till.journal.read(epoch or till.journal.head.epoch, len(found), 500):
        found += page
    return found


@contextlib.asynccontextmanager
async def restored(folder: Path, before: int, after: int) -> AsyncIterator[tuple[Till, list[Record]]]:
    """A till whose journal is that of a backup after `before` sales, in a new epoch; headquarters has `after` more."""
    (folder / "old").mkdir()
    async with open_till(folder / "old", NAME) as till:
        await till.sell_many(before, Random(1))
        kept = len(await held(till))
        await till.sell_many(after, Random(2))
        records = await held(till)
    deliver(folder / "headquarters.db", records, Head(epoch=records[0].epoch, seq=0, hash=GENESIS))
    (folder / "new").mkdir()
    async with open_till(folder / "new", "spare"):
        pass
    spare = folder / "new" / "spare.db"
    _as_backup(spare, records[:kept])
    spare.rename(folder / "new" / f"{NAME}.db")
    (folder / "new" / "spare.anchor").unlink()
    async with open_till(folder / "new", NAME) as new:
        yield new, records


def _as_backup(path: Path, records: list[Record]) -> None:
    """Makes a journal of these records, and opens an epoch in it as a restore does."""
    clock = SystemClock()
    path.unlink()
    founding = Founding(terminal=NAME, signing_key=TILL.public_key, stamp=clock.stamp(), reason="made")
    begin = Head(epoch=records[0].epoch, seq=0, hash=GENESIS)
    found_adopted(path, DATABASE_KEY, [AdoptedEpoch(prev=begin, records=records)], founding)
    connection = connect(path, DATABASE_KEY)
    for trigger in ("record_is_kept", "epoch_is_kept"):
        connection.execute(f"DROP TRIGGER {trigger}")
    connection.execute("DELETE FROM record WHERE position >> 40 = 2")
    connection.execute("DELETE FROM epoch WHERE ordinal = 2")
    connection.execute("BEGIN IMMEDIATE")
    place = resume(connection)
    cause = Cause(reason=RESTORED, skip=10_000)
    open_next(connection, Place(place.ordinal + 10, place.chain), founding, cause)
    connection.execute("COMMIT")
    connection.close()


@contextlib.asynccontextmanager
async def connected(url: str, name: str, *users: User) -> AsyncIterator[None]:
    clock = SystemClock()
    uplink = Uplink(brokers=[parse_url(url)], client_id=name, users=users, clock=clock, random=Random(5))
    task = asyncio.create_task(uplink.run(), name=name)
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@contextlib.asynccontextmanager
async def replaying(folder: Path, url: str) -> AsyncIterator[None]:
    replayer = Replayer(database=folder / "headquarters.db", key=HEADQUARTERS)
    try:
        async with connected(url, "headquarters", replayer):
            yield
    finally:
        replayer.close()


async def recalling(till: Till, said: list[RecordsReturned]) -> Recaller:
    async def keep(entry: RecordsReturned, key: str) -> None:
        said.append(entry)
        await till.journal.append([draft(entry)], till.stamp(), key=key)

    recaller = Recaller(
        terminal=NAME, journal=till.journal, signer=till.key, ack_key=HEADQUARTERS.public_key, clock=till.clock,
        random=Random(1), keep=keep,
    )  # fmt: skip
    await recaller.load()
    return recaller


# --- who may ask -------------------------------------------------------------------------------------------------


async def test_only_the_terminal_itself_is_answered(tmp_path: Path) -> None:
    async with open_till(tmp_path, NAME) as till:
        await till.sell_many(3, Random(1))
        records = await held(till)
    path = tmp_path / "headquarters.db"
    deliver(path, records, Head(epoch=records[0].epoch, seq=0, hash=GENESIS))
    asked = Recall(terminal=NAME, nonce="1")
    whole = encode_recall(asked, TILL.sign)
    (told,) = answer(path, HEADQUARTERS, NAME, whole)
    holdings = open_holdings(NAME, told, HEADQUARTERS.public_key)
    assert [(each.epoch, each.top_seq) for each in holdings.epochs] == [(records[0].epoch, len(records))]
    assert (holdings.nonce, holdings.number) == ("1", 3)
    for payload, fault in (
        (encode_recall(asked, make_key(7).sign), RecallForged),
        (whole.replace(b'"nonce":"1"', b'"nonce":"2"'), RecallForged),
        (b"", RecallUnreadable),
        (b"{}", RecallUnreadable),
        (whole + bytes(4_096), RecallUnreadable),
    ):
        with pytest.raises(fault):
            answer(path, HEADQUARTERS, NAME, payload)
    with pytest.raises(RecallError):
        answer(path, HEADQUARTERS, "till-4", whole)
    with pytest.raises(RecallForged):
        open_recall("till-4", encode_recall(asked, TILL.sign), TILL.public_key)


def test_what_headquarters_says_is_signed_for_one_terminal() -> None:
    said = encode_holdings(Holdings(terminal=NAME, nonce="1", number=7, epochs=()), HEADQUARTERS.sign)
    assert open_holdings(NAME, said, HEADQUARTERS.public_key).number == 7
    assert is_holdings(said)
    for terminal, payload, key in (
        ("till-4", said, HEADQUARTERS.public_key),
        (NAME, said, TILL.public_key),
        (NAME, said.replace(b'"number":7', b'"number":8'), HEADQUARTERS.public_key),
    ):
        with pytest.raises(RecallForged):
            open_holdings(terminal, payload, key)


# --- what is sent ------------------------------------------------------------------------------------------------


async def test_a_few_batches_at_a_time_up_to_a_gap(tmp_path: Path) -> None:
    async with open_till(tmp_path, NAME) as till:
        await till.sell_many(BATCH_RECORDS_MAX * (BATCHES_MAX + 2) // 4, Random(1))
        records = await held(till)
    path, epoch = tmp_path / "headquarters.db", records[0].epoch
    deliver(path, records[:1200], Head(epoch=epoch, seq=0, hash=GENESIS))
    after = records[1999]
    deliver(path, records[2000:], Head(epoch=epoch, seq=2000, hash=after.hash))

    def ask(after_seq: int) -> tuple[list[int], Holdings]:
        recall = Recall(terminal=NAME, nonce="1", epoch=epoch, after_seq=after_seq)
        *batches, told = answer(path, HEADQUARTERS, NAME, encode_recall(recall, TILL.sign))
        seqs = []
        for batch in batches:
            seqs += [each.seq for each in check(decode(batch), NAME, HEADQUARTERS.public_key).records]
        return seqs, open_holdings(NAME, told, HEADQUARTERS.public_key)

    seqs, holdings = ask(100)
    assert seqs == list(range(101, 1201))
    assert holdings.epochs[0].top_seq == len(records)
    assert ask(1200)[0] == []
    assert ask(1500)[0] == [], "it does not have the record after which it is asked for more"
    assert ask(2000)[0] == [], "nor that one"
    seqs, _ = ask(2001)
    assert seqs == list(range(2002, len(records) + 1))
    seqs, _ = ask(0)
    assert len(seqs) == 1200
    assert len(seqs) <= BATCHES_MAX * BATCH_RECORDS_MAX


# --- what the terminal takes -------------------------------------------------------------------------------------


async def test_all_of_it_comes_back_through_a_bad_network(tmp_path: Path, mosquitto: Mosquitto) -> None:
    harm = malice(Random(3), drop=0.1, double=0.3, delay=0.3, delay_max_s=0.05)
    async with restored(tmp_path, 50, 700) as (till, records):
        said: list[RecordsReturned] = []
        recaller = await recalling(till, said)
        epoch = records[0].epoch
        (after,) = recaller.pending.values()
        async with meddling(mosquitto.port, harm) as url, replaying(tmp_path, url), connected(url, NAME, recaller):
            await eventually(lambda: not recaller.pending, 100)
        assert await held(till, epoch) == records
        assert recaller.returned == len(records) - after
        (entry,) = said
        assert (entry.first, entry.last, entry.head) == (after + 1, len(records), records[-1].hash.hex())
        assert (entry.transactions, entry.day_transactions, entry.fault) == (700, 700, None)
        assert entry.number == 750
        again = await recalling(till, said)
        assert not again.pending, "it is done once"
        found = verify_journal(tmp_path / "new" / f"{NAME}.db", DATABASE_KEY, terminal=NAME)
        assert found.whole, found.finding
        line = [record async for record in till.journal.replay()]
        assert [record.seq for record in line if record.epoch == epoch] == list(range(1, after + 1))


async def test_a_stranger_on_the_topic_is_not_listened_to(tmp_path: Path, mosquitto: Mosquitto) -> None:
    class Stranger:
        """Says in headquarters' place whatever comes to mind."""

        async def serve(self, connection: Connection, number: int) -> None:
            prev = Head(epoch=records[0].epoch, seq=0, hash=GENESIS)
            forged = encode(compose(NAME, prev, records[:10], make_key(7).sign))
            none = encode_holdings(Holdings(terminal=NAME, nonce="1", number=1, epochs=()), make_key(7).sign)
            while True:
                for payload in (b"", b"{}", b"nonsense", forged, none):
                    connection.publish(topics.replay(NAME), payload)
                await asyncio.sleep(0.01)

    async with restored(tmp_path, 10, 300) as (till, records):
        said: list[RecordsReturned] = []
        recaller = await recalling(till, said)
        async with (
            connected(mosquitto.url, "stranger", Stranger()),
            replaying(tmp_path, mosquitto.url),
            connected(mosquitto.url, NAME, recaller),
        ):
            await eventually(lambda: not recaller.pending, 60)
        assert await held(till, records[0].epoch) == records


async def test_what_headquarters_does_not_have_is_said_and_not_waited_for(tmp_path: Path, mosquitto: Mosquitto) -> None:
    async with restored(tmp_path, 5, 5) as (till, records):
        path = tmp_path / "headquarters.db"
        path.unlink()
        deliver(path, records[:30], Head(epoch=records[0].epoch, seq=0, hash=GENESIS))
        deliver(path, records[34:], Head(epoch=records[0].epoch, seq=34, hash=records[33].hash))
        said: list[RecordsReturned] = []
        recaller = await recalling(till, said)
        async with replaying(tmp_path, mosquitto.url), connected(mosquitto.url, NAME, recaller):
            await eventually(lambda: not recaller.pending, 60)
        (entry,) = said
        assert entry.last == 30
        assert entry.fault is not None
        assert entry.fault.startswith("records-missing")


async def test_nothing_is_taken_that_does_not_follow(tmp_path: Path) -> None:
    async with restored(tmp_path, 5, 5) as (till, records):
        (before,) = (span.last for span in await till.journal.spans() if span.prev.epoch == records[0].epoch)
        foreign = Record(epoch=records[0].epoch, seq=before + 1, exact=records[0].exact, hash=records[0].hash)
        for wrong in (
            records[before + 1 :],  # a gap
            records[before - 1 :],  # one that is here
            [foreign],
            [Record(epoch="0" * 32, seq=1, exact=records[0].exact, hash=records[0].hash)],
            await held(till),  # of the present epoch
        ):
            with pytest.raises(RecordsRefused):
                await till.journal.take_back(wrong)
        await till.journal.take_back(records[before:])
        assert await held(till, records[0].epoch) == records
        await till.sell(100)
    found = verify_journal(tmp_path / "new" / f"{NAME}.db", DATABASE_KEY, terminal=NAME)
    assert found.whole, found.finding


async def test_an_epoch_that_was_opened_since_comes_back_whole(tmp_path: Path, mosquitto: Mosquitto) -> None:
    (tmp_path / "old").mkdir()
    async with open_till(tmp_path / "old", NAME) as till:
        await till.sell_many(5, Random(1))
        first = await held(till)
        await till.journal.open_epoch("copied", till.stamp(), number=5, skip=100)
        await till.journal.append([draft(DaemonStarted(software="1", clean=True))], till.stamp())
        second = await held(till)
    path = tmp_path / "headquarters.db"
    deliver(path, first, Head(epoch=first[0].epoch, seq=0, hash=GENESIS))
    deliver(path, second, Head(epoch=second[0].epoch, seq=0, hash=GENESIS))
    (tmp_path / "new").mkdir()
    _made = tmp_path / "new" / f"{NAME}.db"
    async with open_till(tmp_path / "new", NAME):
        pass
    _as_backup(_made, first[:9])
    _made.with_suffix(".anchor").unlink()
    async with open_till(tmp_path / "new", NAME) as new:
        said: list[RecordsReturned] = []
        recaller = await recalling(new, said)
        async with replaying(tmp_path, mosquitto.url), connected(mosquitto.url, NAME, recaller):
            await eventually(lambda: not recaller.pending, 60)
        assert await held(new, first[0].epoch) == first
        assert await held(new, second[0].epoch) == second
        assert {entry.epoch for entry in said} == {first[0].epoch, second[0].epoch}
        assert said[-1].number >= 105
        line = [record.epoch async for record in new.journal.replay()]
        assert second[0].epoch not in line
        entries = [decode_entry(open_record(each.exact).body) for each in await held(new)]
        assert sum(isinstance(each, RecordsReturned) for each in entries) == 2
    found = verify_journal(tmp_path / "new" / f"{NAME}.db", DATABASE_KEY, terminal=NAME)
    assert found.whole, found.finding
