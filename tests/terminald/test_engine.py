"""The engine over a real journal: what is durable when an effect is done, and what a start makes of any end."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from core import effects as x
from core import entries as e
from core import events as v
from core.effects import AnyEffect
from core.fold import apply
from core.ledger import Draft, Record, Stamp, open_record
from core.state import Ringing, Till, basket_of
from store.errors import OutcomeUnknown
from store.journal import SqlJournal
from terminald.clock import SystemClock, local_time
from terminald.engine import EVENTS_MAX, Doubles, Engine
from tests.core.transcript import CATALOGUE, SHOP

KEY = bytes(range(48))
LOAF = v.CodeKeyed(data="036000291452")
SCAN = v.Scanned(device="scanner", data="036000291452")


class BreakableJournal(SqlJournal):
    """A journal whose medium can be made to fail."""

    fails = False

    async def append(self, drafts: Sequence[Draft], stamp: Stamp, *, key: str | None = None) -> tuple[Record, ...]:
        if self.fails:
            raise OutcomeUnknown("a commit failed: Input/output error")
        return await super().append(drafts, stamp, key=key)


class Terminal:
    """An engine and its journal; `done` holds each effect but signs, with the heads (committed, synced) at its moment."""

    def __init__(self, journal: BreakableJournal, double_read_ms: int = 0) -> None:
        self.journal = journal
        self.done: list[tuple[AnyEffect, int, int]] = []
        self.engine = Engine(
            shop=SHOP,
            journal=journal,
            clock=SystemClock(),
            local_time=local_time,
            lookup=lambda gtin, _: CATALOGUE.get(gtin),
            identify=self._identify,
            perform=self._perform,
            changed=lambda: None,
            software="0",
            double_read_ms=double_read_ms,
        )

    async def folded(self) -> Till:
        """All records of the journal, folded from the first one."""
        await self.journal.sync()
        till = Till()
        async for record in self.journal.replay(0):
            till = apply(till, e.decode(open_record(record.exact).body))
        return till

    async def kinds(self) -> list[str]:
        """What the journal holds, in order."""
        await self.journal.sync()
        bodies = [e.decode(open_record(record.exact).body) async for record in self.journal.replay(0)]
        return [str(entry.__struct_config__.tag) for entry in bodies]

    def _perform(self, effect: AnyEffect) -> None:
        if not isinstance(effect, x.SignEffect):
            self.done.append((effect, self.journal.head.seq, self.journal.synced.seq))

    async def _identify(self, uid: str) -> str:
        return "c0ffee"


@contextlib.asynccontextmanager
async def terminal(folder: Path, *, running: bool = True, double_read_ms: int = 0) -> AsyncIterator[Terminal]:
    """A booted terminal; without `stop` its end is that of a killed process, but for the journal's closing."""
    clock = SystemClock()
    async with await BreakableJournal.open(
        folder / "journal.db", KEY, terminal="till-3", signing_key=bytes(32), stamp=clock.stamp()
    ) as journal:
        made = Terminal(journal, double_read_ms)
        await made.engine.boot()
        running_task = asyncio.create_task(made.engine.run(), name="engine") if running else None
        try:
            yield made
        finally:
            if running_task is not None:
                running_task.cancel()
                await asyncio.wait([running_task])


async def test_money_is_on_the_medium_before_its_effect(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        await till.engine.order(v.CardKeyed(amount_minor=100))
        (effect, head, synced) = till.done[-1]
        assert isinstance(effect, x.RequestPayment)
        assert head == synced
        till.engine.post(v.PaymentAnswered(reference=effect.reference, amount_minor=100, poi_transaction="P"))
        await till.engine.order(v.CashKeyed())
        assert [type(effect) for effect, _, _ in till.done[1:]] == [x.OpenDrawer, x.PrintReceipt]
        assert all(head == synced for _, head, synced in till.done)


async def test_what_only_builds_the_basket_waits_for_no_flush(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.journal.sync()
        await till.engine.order(LOAF)
        assert till.journal.head.seq > till.journal.synced.seq


async def test_a_start_finds_the_basket(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        before = till.engine.till.sale
    async with terminal(tmp_path) as till:
        assert till.engine.till.sale == before
        assert till.done == []


async def test_a_start_says_whether_the_end_before_was_clean(tmp_path: Path) -> None:
    async with terminal(tmp_path):
        pass
    async with terminal(tmp_path) as till:
        await till.engine.stop()
    async with terminal(tmp_path) as till:
        await till.journal.sync()
        bodies = [e.decode(open_record(record.exact).body) async for record in till.journal.replay(0)]
        assert [body.clean for body in bodies if isinstance(body, e.DaemonStarted)] == [True, False, True]


async def test_a_start_asks_about_a_payment_and_requests_none(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        await till.engine.order(v.CardKeyed())
        requested = till.done[-1][0]
        assert isinstance(requested, x.RequestPayment)
    for _ in range(2):
        async with terminal(tmp_path) as till:
            assert [effect for effect, _, _ in till.done] == [x.EnquirePayment(reference=requested.reference)]


async def test_another_journal_uses_other_references(tmp_path: Path) -> None:
    references = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        async with terminal(tmp_path / name) as till:
            await till.engine.order(LOAF)
            await till.engine.order(v.CardKeyed())
            effect = till.done[-1][0]
            assert isinstance(effect, x.RequestPayment)
            references.append(effect.reference)
    assert len(set(references)) == 2


async def test_a_checkpoint_shortens_the_start(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        await till.engine.order(v.CashKeyed())
        await till.engine.stop()
        before = till.engine.till
    async with terminal(tmp_path, running=False) as till:
        checkpoint = await till.journal.load_checkpoint()
        assert checkpoint is not None
        assert till.engine.till.day == before.day
        assert await till.folded() == till.engine.till
        assert len([record async for record in till.journal.replay(checkpoint.seq)]) == 1


@pytest.mark.parametrize("state", [b"", b"[1,{}", b'[1,{"sale":7}]', b"[999,{}]", b"null"])
async def test_a_checkpoint_that_cannot_be_read_is_left(tmp_path: Path, state: bytes) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        await till.engine.order(v.CashKeyed())
        await till.engine.stop()
        await till.journal.save_checkpoint(till.journal.head.seq, state)
        day = till.engine.till.day
    async with terminal(tmp_path) as till:
        assert till.engine.till.day == day
        assert await till.folded() == till.engine.till


@pytest.mark.parametrize("turns", range(8))
async def test_an_event_that_comes_with_the_goodbye_is_not_lost_in_the_checkpoint(tmp_path: Path, turns: int) -> None:
    """Whenever it comes: what a start makes of checkpoint and records is what the records alone make."""
    async with terminal(tmp_path) as till:
        stopping = asyncio.create_task(till.engine.stop(), name="stop")
        for _ in range(turns):
            await asyncio.sleep(0)
        till.engine.post(SCAN)
        await stopping
        await asyncio.sleep(0.05)
    async with terminal(tmp_path) as till:
        assert till.engine.till == await till.folded()


async def test_a_key_is_known_for_ever(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF, "k1")
        assert not (await till.engine.order(LOAF, "k1")).entries
    async with terminal(tmp_path) as till:
        told = await till.engine.order(LOAF, "k1")
        assert not told.entries
        assert told.notice is not None
        assert told.notice.id == "already-done"
        assert (await till.engine.order(LOAF, "k2")).entries


async def test_the_key_of_a_refused_order_is_free(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        unknown = v.CodeKeyed(data="4000000000006")
        assert (await till.engine.order(unknown, "k1")).refused
        assert (await till.engine.order(LOAF, "k1")).entries


async def test_a_double_read_is_one_piece(tmp_path: Path) -> None:
    async with terminal(tmp_path, double_read_ms=10_000) as till:
        for event in (SCAN, SCAN, v.Scanned(device="second", data=SCAN.data)):
            till.engine.post(event)
        await till.engine.order(v.QuantityKeyed(quantity_milli=0))
        basket = basket_of(till.engine.till.sale)
        assert basket is not None
        assert basket.lines[0].item.quantity_milli == 2000
        assert till.engine.doubles.count == 1


def test_a_double_read_is_told_by_code_scanner_and_time() -> None:
    doubles = Doubles(window_ms=150)
    other = v.Scanned(device="scanner", data="96385074")
    assert [
        doubles.is_double(event, mono_ms)
        for event, mono_ms in ((SCAN, 0), (SCAN, 149), (SCAN, 299), (SCAN, 298), (other, 300), (SCAN, 301))
    ] == [False, True, False, True, False, False]


async def test_a_journal_that_fails_stops_the_engine_and_whoever_waits(tmp_path: Path) -> None:
    async with terminal(tmp_path, running=False) as till:
        running = asyncio.create_task(till.engine.run(), name="engine")
        await till.engine.order(LOAF)
        before = till.engine.till
        till.journal.fails = True
        waiting = asyncio.create_task(till.engine.order(v.CashKeyed()), name="order")
        with pytest.raises(OutcomeUnknown):
            await waiting
        with pytest.raises(OutcomeUnknown):
            await running
        assert till.engine.till == before
        assert isinstance(till.engine.till.sale, Ringing)
        assert till.done == []


async def test_a_full_queue_drops_and_says_so_without_the_code(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    async with terminal(tmp_path, running=False) as till:
        with caplog.at_level(logging.ERROR):
            for _ in range(EVENTS_MAX + 1):
                till.engine.post(SCAN)
        (record,) = caplog.records
        assert "dropped" in record.getMessage()
        assert SCAN.data not in str(vars(record))


async def test_parked_baskets_outlive_a_restart(tmp_path: Path) -> None:
    async with terminal(tmp_path) as till:
        await till.engine.order(LOAF)
        await till.engine.order(v.SuspendKeyed(label="blue coat"))
        await till.engine.order(LOAF)
        await till.engine.order(v.SuspendKeyed())
        assert (await till.folded()).parked == till.engine.till.parked
    async with terminal(tmp_path) as till:
        assert [parked.label for parked in till.engine.till.parked] == ["blue coat", ""]
        assert not (await till.engine.order(v.ResumeKeyed(label="blue coat"))).refused
        assert isinstance(till.engine.till.sale, Ringing)
        assert till.engine.till.sale.basket.number == 1
