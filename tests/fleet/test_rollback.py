"""A till whose journal went back in time, through a real broker to the real collector: each sale is there once."""

import asyncio
import contextlib
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

from core.entries import EpochOpened, decode
from core.ledger import open_record
from fleet.report import Report
from store.anchor import anchor_path
from store.verify import iter_records, verify_journal
from terminald.clock import SystemClock, local_time
from terminald.custody import Custody
from terminald.engine import Engine
from terminald.forwarder import Forwarder
from tests.brokers import Mosquitto
from tests.core.transcript import CATALOGUE, SHOP
from tests.fleet.test_end_to_end import HEADQUARTERS, collecting, forwarding, is_drained
from tests.tills import DATABASE_KEY, Till, eventually, open_till

NAME = "till-3"


@contextlib.asynccontextmanager
async def selling(folder: Path, numbers: range, url: str | None) -> AsyncIterator[tuple[Till, Forwarder | None]]:
    """A till that sells these transactions, and delivers what it has where there is a network."""
    async with open_till(folder, NAME) as till:
        till.tally = dict.fromkeys(range(1, numbers.start), 0)
        async with contextlib.AsyncExitStack() as stack:
            forwarder = await stack.enter_async_context(forwarding(till, url)) if url else None
            for number in numbers:
                await till.sell(number)
                if forwarder is not None:
                    forwarder.notify()
            yield till, forwarder


async def delivered(till: Till, forwarder: Forwarder | None) -> None:
    assert forwarder is not None
    await eventually(lambda: is_drained(till, forwarder))


def sums(report: Report, *sold: range) -> None:
    """Each transaction costs as many cents as its number says."""
    assert report.totals == {"EUR": sum(sum(numbers) for numbers in sold)}
    assert report.transactions == sum(len(numbers) for numbers in sold)


def openings(path: Path) -> list[EpochOpened]:
    entries = [decode(open_record(record.exact).body) for record in iter_records(path, DATABASE_KEY) if record.seq == 1]
    return [entry for entry in entries if isinstance(entry, EpochOpened)]


async def test_an_older_file_costs_no_sale_and_raises_no_alarm(tmp_path: Path, mosquitto: Mosquitto) -> None:
    path, old = tmp_path / f"{NAME}.db", tmp_path / "old.db"
    async with collecting(tmp_path, mosquitto.url) as report:
        async with selling(tmp_path, range(1, 6), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        shutil.copy(path, old)
        async with selling(tmp_path, range(6, 11), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        shutil.copy(old, path)
        async with selling(tmp_path, range(1_011, 1_016), mosquitto.url) as (till, forwarder):
            opened = till.journal.opened
            assert opened is not None
            assert (opened.reason, opened.number) == ("rollback", 1_010)
            await delivered(till, forwarder)
            await eventually(lambda: forwarder is not None and forwarder.fault is None)
        sums(report(), range(1, 11), range(1_011, 1_016))
        (terminal,) = report().terminals
        assert terminal.quarantined == ()
        assert terminal.twins == ()
        assert len(terminal.epochs) == 2
    assert verify_journal(path, DATABASE_KEY, terminal=NAME).whole
    assert [record.seq for record in iter_records(path, DATABASE_KEY)][:21] == list(range(1, 22))


async def test_what_was_not_delivered_before_is_delivered_from_the_older_file(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    path, old = tmp_path / f"{NAME}.db", tmp_path / "old.db"
    async with selling(tmp_path, range(1, 6), None):
        pass
    shutil.copy(path, old)
    async with selling(tmp_path, range(6, 11), None):
        pass  # these five are lost with their file, and the new epoch says so
    shutil.copy(old, path)
    async with collecting(tmp_path, mosquitto.url) as report:
        async with selling(tmp_path, range(1_011, 1_014), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        sums(report(), range(1, 6), range(1_011, 1_014))
        assert report().terminals[0].quarantined == ()
    assert [(opened.previous_seq, opened.lost_seq) for opened in openings(path)] == [(0, 0), (21, 41)]


async def test_an_older_card_goes_on_in_another_epoch_on_headquarters_word(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """The anchor went back with the file: nobody but headquarters can know."""
    path = tmp_path / f"{NAME}.db"
    card = tmp_path / "card"
    card.mkdir()
    async with collecting(tmp_path, mosquitto.url) as report:
        async with selling(tmp_path, range(1, 6), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        for each in (path, anchor_path(path)):
            shutil.copy(each, card)
        async with selling(tmp_path, range(6, 11), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
            reached = till.journal.head.seq
        for each in (path, anchor_path(path)):
            shutil.copy(card / each.name, each)
        async with selling(tmp_path, range(6, 6), mosquitto.url) as (till, forwarder):
            assert till.journal.opened is None
            assert forwarder is not None
            engine = booted(till)
            await engine.boot()
            keeper = custody(path, till, engine, forwarder)
            keeping = asyncio.create_task(keeper.run(), name="custody")
            await eventually(lambda: forwarder.ahead is not None)
            keeper.look()
            await eventually(lambda: engine.till.next_number > 10)
            keeping.cancel()
            await till.sell(2_000)
            forwarder.notify()
            await delivered(till, forwarder)
        sums(report(), range(1, 11), range(2_000, 2_001))
        assert report().terminals[0].twins == ()
    *_, opened = openings(path)
    assert (opened.reason, opened.lost_seq) == ("headquarters-ahead", reached)
    assert verify_journal(path, DATABASE_KEY).whole


async def test_what_an_older_card_sold_before_it_was_told_is_kept_for_people(
    tmp_path: Path, mosquitto: Mosquitto
) -> None:
    """Its records stand where headquarters has others: a fork. They are put aside whole, with an alarm, and not counted."""
    path = tmp_path / f"{NAME}.db"
    card = tmp_path / "card"
    card.mkdir()
    async with collecting(tmp_path, mosquitto.url) as report:
        async with selling(tmp_path, range(1, 6), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        for each in (path, anchor_path(path)):
            shutil.copy(each, card)
        async with selling(tmp_path, range(6, 11), mosquitto.url) as (till, forwarder):
            await delivered(till, forwarder)
        for each in (path, anchor_path(path)):
            shutil.copy(card / each.name, each)
        async with selling(tmp_path, range(6, 9), None):
            pass
        async with selling(tmp_path, range(9, 9), mosquitto.url) as (till, forwarder):
            assert forwarder is not None
            engine = booted(till)
            await engine.boot()
            keeper = custody(path, till, engine, forwarder)
            keeping = asyncio.create_task(keeper.run(), name="custody")
            await eventually(lambda: forwarder.ahead is not None)
            old = till.journal.head.epoch
            await till.sell(9)  # in the moment before the new epoch
            reached = till.journal.head.seq
            keeper.look()
            await eventually(lambda: till.journal.head.epoch != old)
            await till.sell(2_000)
            forwarder.notify()
            await delivered(till, forwarder)
            keeping.cancel()
            await eventually(lambda: aside(report()) >= set(range(22, reached + 1)))
        sums(report(), range(1, 11), range(2_000, 2_001))
        assert {each.reason for each in report().terminals[0].quarantined} == {"fork"}
    assert verify_journal(path, DATABASE_KEY).whole


def aside(report: Report) -> set[int]:
    """The records that headquarters has put aside."""
    ranges = [(each.first or 0, each.last or 0) for each in report.terminals[0].quarantined]
    return {seq for first, last in ranges for seq in range(first, last + 1)}


def booted(till: Till) -> Engine:
    """The real engine over the till's journal."""

    async def identify(uid: str) -> str:
        return uid

    return Engine(
        shop=SHOP,
        journal=till.journal,
        clock=till.clock,
        local_time=local_time,
        lookup=lambda gtin, _: CATALOGUE.get(gtin),
        identify=identify,
        perform=lambda effect: None,
        changed=lambda: None,
        software="0",
    )


def custody(path: Path, till: Till, engine: Engine, forwarder: Forwarder) -> Custody:
    return Custody(
        path=path,
        key=DATABASE_KEY,
        terminal=NAME,
        journal=till.journal,
        engine=engine,
        signer=till.key,
        clock=SystemClock(),
        ack_key=HEADQUARTERS.public_key,
        keep_days=30,
        segment_records=100,
        proof=lambda: forwarder.ahead,
        clock_doubtful=lambda: False,
        changed=forwarder.notify,
    )
