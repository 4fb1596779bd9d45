"""The journal's keeper over a real journal and a real engine: the pass over all records, pruning, and another epoch."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from core import events as v
from core.delivery import Ack, encode_ack
from core.entries import EpochOpened, JournalVerified, SegmentPruned, decode
from core.ledger import ClockQuality, open_record
from core.state import basket_of
from fleet.keys import AckKey
from store.anchor import anchor_path
from store.database import connect
from store.journal import SqlJournal
from store.verify import iter_records, verify_journal
from terminald.clock import local_time
from terminald.custody import Custody
from terminald.engine import Engine
from tests.core.transcript import CATALOGUE, SHOP
from tests.jumping_clock import JumpingClock
from tests.tills import make_key

KEY = bytes(range(48))
LOAF = v.CodeKeyed(data="036000291452")
HEADQUARTERS = make_key(9)
SEGMENT = 20
DAY_MS = 86_400_000


class Terminal:
    """A journal, an engine that runs, and the keeper."""

    def __init__(self, path: Path, journal: SqlJournal, clock: JumpingClock, signer: AckKey) -> None:
        self.path = path
        self.journal = journal
        self.clock = clock
        self.proof: Ack | None = None
        self.engine = Engine(
            shop=SHOP,
            journal=journal,
            clock=clock,
            local_time=local_time,
            lookup=lambda gtin, _: CATALOGUE.get(gtin),
            identify=self._identify,
            perform=lambda effect: None,
            changed=lambda: None,
            software="0",
        )
        self.custody = Custody(
            path=path,
            key=KEY,
            terminal="till-3",
            journal=journal,
            engine=self.engine,
            signer=signer,
            clock=clock,
            ack_key=HEADQUARTERS.public_key,
            keep_days=30,
            segment_records=SEGMENT,
            proof=lambda: self.proof,
            clock_doubtful=lambda: self.engine.clock_doubtful,
            changed=lambda: None,
            first_pass_after_s=0.0,
        )

    async def sell(self, count: int) -> None:
        for _ in range(count):
            await self.engine.order(LOAF)
            await self.engine.order(v.CashKeyed())

    async def acknowledge(self, seq: int, *, archived: int | None = None, **said: Any) -> None:
        """Headquarters' signed answer, as the forwarder keeps it."""
        epoch = self.journal.head.epoch
        (record,) = await self.journal.read(epoch, seq - 1, 1)
        ack = Ack(
            epoch=epoch, hwm=seq, archived_hwm=seq if archived is None else archived, gaps=(), quarantined=(),
            hash_at_hwm=record.hash.hex(), collector_generation=1,
        )  # fmt: skip
        key = said.pop("key", HEADQUARTERS)
        await self.journal.acknowledge(epoch, seq, encode_ack("till-3", ack, key.sign))

    async def entries(self) -> list[object]:
        await self.journal.sync()
        return [decode(open_record(record.exact).body) for record in iter_records(self.path, KEY)]

    async def _identify(self, uid: str) -> str:
        return uid


@contextlib.asynccontextmanager
async def terminal(folder: Path, clock: JumpingClock) -> AsyncIterator[Terminal]:
    path, signer = folder / "journal.db", make_key(3)
    async with await SqlJournal.open(
        path, KEY, terminal="till-3", signing_key=signer.public_key, stamp=clock.stamp()
    ) as journal:
        made = Terminal(path, journal, clock, signer)
        await made.engine.boot()
        running = asyncio.create_task(made.engine.run(), name="engine")
        try:
            yield made
        finally:
            running.cancel()
            await asyncio.wait([running])


@pytest.fixture
def clock() -> JumpingClock:
    return JumpingClock()


async def passed(made: Terminal) -> None:
    """Runs the keeper until a pass is done, and kept; this clock does not wait, so there may be several."""
    keeping = asyncio.create_task(made.custody.run(), name="custody")
    async with asyncio.timeout(20):
        while not any(isinstance(entry, JournalVerified) for entry in await made.entries()):
            await asyncio.sleep(0.01)
    keeping.cancel()
    await asyncio.wait([keeping])


# --- the pass over all records -----------------------------------------------------------------------------------


async def test_a_pass_over_a_whole_journal_is_kept(tmp_path: Path, clock: JumpingClock) -> None:
    async with terminal(tmp_path, clock) as made:
        await made.sell(3)
        await passed(made)
        assert made.custody.conditions() == ()
        facts = made.custody.facts()
        assert (facts["verified_whole"], facts["verified_kind"], facts["epoch_opened"]) == (True, None, None)
        kept, *_ = [entry for entry in await made.entries() if isinstance(entry, JournalVerified)]
        assert (kept.kind, kept.records, kept.first) == (None, 14, None)
    assert verify_journal(tmp_path / "journal.db", KEY).whole


async def test_a_pass_finds_what_a_start_does_not_read(tmp_path: Path, clock: JumpingClock) -> None:
    path = tmp_path / "journal.db"
    async with terminal(tmp_path, clock) as made:
        await made.sell(20)
        await made.engine.stop()
    connection = connect(path, KEY)
    connection.execute("DROP TRIGGER record_stays")
    connection.execute("UPDATE record SET exact = CAST(exact || ' ' AS BLOB) WHERE position & 1099511627775 = 9")
    connection.close()
    async with terminal(tmp_path, clock) as made:
        await made.sell(1)
        await passed(made)
        (told,) = made.custody.conditions()
        assert (told.id, told.params) == ("journal-not-whole", {"kind": "edit", "record": 9})
        assert made.custody.facts()["verified_kind"] == "edit"
        kept, *_ = [entry for entry in await made.entries() if isinstance(entry, JournalVerified)]
        assert (kept.kind, kept.first, kept.last) == ("edit", 9, 9)
        await made.sell(1)


async def test_a_pass_that_is_stopped_lets_go(tmp_path: Path, clock: JumpingClock) -> None:
    async with terminal(tmp_path, clock) as made:
        await made.sell(2)
        for _ in range(10):
            keeping = asyncio.create_task(made.custody.run(), name="custody")
            await asyncio.sleep(0.005)
            keeping.cancel()
            await asyncio.wait([keeping])
        await made.sell(1)


# --- epochs ------------------------------------------------------------------------------------------------------


async def test_headquarters_proof_opens_an_epoch_in_the_middle_of_a_sale(tmp_path: Path, clock: JumpingClock) -> None:
    async with terminal(tmp_path, clock) as made:
        await made.sell(2)
        await made.engine.order(LOAF)
        before, till = made.journal.head, made.engine.till
        made.proof = Ack(
            epoch=before.epoch, hwm=before.seq + 500, archived_hwm=0, gaps=(), quarantined=(), hash_at_hwm="00",
            collector_generation=1,
        )  # fmt: skip
        keeping = asyncio.create_task(made.custody.run(), name="custody")
        made.custody.look()
        async with asyncio.timeout(5):
            while made.journal.head.epoch == before.epoch:
                await asyncio.sleep(0.01)
        made.custody.look()
        await asyncio.sleep(0.05)
        assert [told.id for told in made.custody.conditions()] == ["journal-behind"]
        assert made.engine.till.sale == till.sale
        await made.engine.order(v.CashKeyed())
        await made.sell(1)
        keeping.cancel()
        await asyncio.wait([keeping])
        openings = [entry for entry in await made.entries() if isinstance(entry, EpochOpened)]
        assert [(each.reason, each.lost_seq) for each in openings[1:]] == [("headquarters-ahead", before.seq + 500)]
        assert openings[1].number >= till.next_number - 1 + 500
        number = made.engine.till.next_number
        assert number == openings[1].number + 2
    async with terminal(tmp_path, clock) as made:
        assert made.engine.till.next_number == number
        assert basket_of(made.engine.till.sale) is None


async def test_a_till_is_folded_over_epochs(tmp_path: Path, clock: JumpingClock) -> None:
    """From a checkpoint of an epoch before; the open basket is there, and its number is not used again."""
    async with terminal(tmp_path, clock) as made:
        await made.sell(3)
        await made.engine.stop()
    async with terminal(tmp_path, clock) as made:
        await made.engine.order(LOAF)
        await made.engine.open_epoch("headquarters-fork", skip=7)
        await made.engine.order(LOAF)
        till = made.engine.till
    async with terminal(tmp_path, clock) as made:
        assert basket_of(made.engine.till.sale) == basket_of(till.sale)
        assert made.engine.till.next_number == till.next_number == 4 + 1 + 7
        assert made.engine.till.day == till.day


async def test_an_older_file_is_said_and_sold_upon(tmp_path: Path, clock: JumpingClock) -> None:
    path = tmp_path / "journal.db"
    async with terminal(tmp_path, clock) as made:
        await made.sell(2)
    old = path.read_bytes()
    async with terminal(tmp_path, clock) as made:
        await made.sell(2)
    path.write_bytes(old)
    async with terminal(tmp_path, clock) as made:
        assert [told.id for told in made.custody.conditions()] == ["journal-rollback"]
        assert made.custody.facts()["epoch_opened"] == "rollback"
        assert made.engine.till.next_number > 4
        await made.sell(1)
        assert made.engine.till.day.transactions == 3


async def test_an_anchor_that_cannot_be_kept_is_said(tmp_path: Path, clock: JumpingClock) -> None:
    anchor_path(tmp_path / "journal.db").mkdir()
    async with terminal(tmp_path, clock) as made:
        await made.sell(1)
        assert [told.id for told in made.custody.conditions()] == ["journal-unanchored"]


# --- pruning -----------------------------------------------------------------------------------------------------


async def grown(made: Terminal, clock: JumpingClock) -> int:
    """A journal of some segments, all acknowledged and forty days old; where it ends."""
    await made.sell(20)
    await made.journal.save_checkpoint(made.journal.head.seq, b"[0,{}]")
    await made.journal.sync()
    clock.pass_ms(40 * DAY_MS)
    return made.journal.head.seq


async def test_what_is_archived_and_old_is_pruned(tmp_path: Path, clock: JumpingClock) -> None:
    async with terminal(tmp_path, clock) as made:
        end = await grown(made, clock)
        await made.acknowledge(end)
        assert await made.custody.prune() == end // SEGMENT
        stones = [entry for entry in await made.entries() if isinstance(entry, SegmentPruned)]
        assert [(stone.first, stone.last) for stone in stones] == [
            (max(first, 2), first + SEGMENT - 1) for first in range(1, end - SEGMENT + 2, SEGMENT)
        ]
        await made.sell(1)
    assert verify_journal(tmp_path / "journal.db", KEY, terminal="till-3").whole


@pytest.mark.parametrize("why", ["not archived", "too young", "another key", "clock", "doubt"])
async def test_what_may_not_be_pruned_stays(tmp_path: Path, clock: JumpingClock, why: str) -> None:
    async with terminal(tmp_path, clock) as made:
        end = await grown(made, clock)
        await made.acknowledge(end, archived=SEGMENT - 1 if why == "not archived" else None,
                               key=make_key(8) if why == "another key" else HEADQUARTERS)  # fmt: skip
        if why == "too young":
            clock.jump(-15 * DAY_MS)
        elif why == "clock":
            clock.quality = ClockQuality.UNSYNCED
        elif why == "doubt":
            clock.quality = ClockQuality.RTC
            clock.jump(3650 * DAY_MS)
            await made.sell(1)
        assert await made.custody.prune() == 0


async def test_a_till_starts_from_its_checkpoint_after_a_prune(tmp_path: Path, clock: JumpingClock) -> None:
    async with terminal(tmp_path, clock) as made:
        await made.sell(20)
        await made.engine.stop()
    async with terminal(tmp_path, clock) as made:
        await made.journal.sync()
        end, till = made.journal.head.seq, made.engine.till
        clock.pass_ms(40 * DAY_MS)
        await made.acknowledge(end)
        assert await made.custody.prune() > 0
    async with terminal(tmp_path, clock) as made:
        assert made.engine.till == till
        await made.sell(1)


async def test_a_till_without_its_checkpoint_goes_on_all_the_same(tmp_path: Path, clock: JumpingClock) -> None:
    """A newer software cannot read the checkpoint, and what it was made of is gone: sales go on, no number comes again."""
    async with terminal(tmp_path, clock) as made:
        end = await grown(made, clock)
        await made.acknowledge(end)
        assert await made.custody.prune() > 0
        await made.sell(2)
        number = made.engine.till.next_number
    async with terminal(tmp_path, clock) as made:
        await made.sell(1)
        assert made.engine.till.next_number == number + 1
