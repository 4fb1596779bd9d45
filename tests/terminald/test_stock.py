"""Stock on hand is the count less what was sold since: over restarts, epochs, lost commits and imports, exactly."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import msgspec
import pytest

from core import entries as e
from core.ledger import GENESIS, ClockQuality, Envelope, Head, Record, seal
from core.money import currency
from store.catalogue import Catalogue, import_csv
from store.catalogue_stock import Place, SoldStock
from store.database import connect
from store.errors import JournalInUse
from terminald.clock import SystemClock
from terminald.stock import StockCounter
from tests.tills import DATABASE_KEY as KEY
from tests.tills import Till, open_till

PEN = "04006381333931"
CRATE = "10012345678902"
HEADER = "gtin,name,unit,price,tax,item,pack,stock\n"
GOODS = (
    HEADER
    + "4006381333931,Pen,each,1.20,A,,,100\n96385074,Ink,each,4.00,A,,,\n10012345678902,,,5.00,,4006381333931,6,\n"
)


@pytest.fixture
async def till(tmp_path: Path) -> AsyncIterator[Till]:
    async with open_till(tmp_path) as made:
        yield made


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A catalogue that counts 100 pens."""
    return take(tmp_path / "catalogue.db", GOODS)


def take(path: Path, text: str) -> Path:
    source = path.with_name("goods.csv")
    source.write_text(text)
    import_csv(path, KEY, source, currency("EUR"), {"A"})
    return path


def pens(path: Path) -> float | None:
    with Catalogue(path, KEY) as catalogue:
        milli = catalogue.on_hand(PEN)
    return None if milli is None else milli / 1000


def counter(till: Till, path: Path) -> StockCounter:
    return StockCounter(till.journal, SoldStock(path, KEY), SystemClock())


async def keep(till: Till, *entries: e.AnyEntry) -> None:
    await till.journal.append([e.draft(entry) for entry in entries], till.stamp())


def added(line: int, gtin: str = PEN, quantity: int = 1, **more: object) -> e.ItemAdded:
    values = {
        "line": line, "gtin": gtin, "name": "x", "unit": "each", "quantity_milli": quantity * 1000,
        "unit_price_minor": 120, "amount_minor": 120 * quantity, "tax": "A", "entry_method": "scanned", **more,
    }  # fmt: skip
    return e.ItemAdded(**values)  # type: ignore[arg-type]  # fields by name


def opened(number: int) -> e.TransactionOpened:
    return e.TransactionOpened(number=number, business_day="2026-11-24", currency="EUR")


def completed(number: int) -> e.TransactionCompleted:
    return e.TransactionCompleted(
        number=number, business_day="2026-11-24", currency="EUR", lines=1, total_minor=0, change_minor=0, taxes=(),
        tenders=(),
    )  # fmt: skip


async def test_goods_leave_the_shelf_when_the_sale_is_complete(till: Till, path: Path) -> None:
    count = counter(till, path)
    await count.catch_up()
    await keep(
        till, opened(1), added(1), added(2, quantity=5), added(3), e.LineVoided(line=3),
        e.QuantityChanged(line=1, quantity_milli=3000, amount_minor=360), added(4, "00000096385074"),
    )  # fmt: skip
    await till.journal.sync()
    await count.catch_up()
    assert pens(path) == 100
    await keep(till, completed(1))
    await count.catch_up()
    assert pens(path) == 92
    with Catalogue(path, KEY) as catalogue:
        assert catalogue.on_hand("00000096385074") is None  # nobody counted ink


async def test_a_cancelled_basket_takes_nothing(till: Till, path: Path) -> None:
    count = counter(till, path)
    await count.catch_up()
    await keep(till, opened(1), added(1), e.TransactionCancelled(number=1, reason="operator"))
    await keep(till, opened(2), added(1), completed(2))
    await count.catch_up()
    assert pens(path) == 99


async def test_a_pack_takes_what_it_holds(till: Till, path: Path) -> None:
    count = counter(till, path)
    await count.catch_up()
    await keep(till, opened(1), added(1, CRATE, 2, item=PEN, contains=6), completed(1))
    await count.catch_up()
    assert pens(path) == 88


async def test_what_was_sold_before_the_first_start_is_in_the_count(till: Till, path: Path) -> None:
    await till.sell(100)
    count = counter(till, path)
    await count.catch_up()
    assert pens(path) == 100
    await till.sell(100)
    # It ends before it has counted: the next one knows where to begin.
    await counter(till, path).catch_up()
    assert pens(path) == 99


async def test_every_start_goes_on_where_the_last_one_was(till: Till, path: Path) -> None:
    await counter(till, path).catch_up()
    await keep(till, opened(1), added(1))
    await till.journal.sync()
    await counter(till, path).catch_up()
    for _ in range(3):
        await counter(till, path).catch_up()
    await keep(till, completed(1))
    await counter(till, path).catch_up()
    await counter(till, path).catch_up()
    assert pens(path) == 99


async def test_a_lost_commit_is_counted_again_and_once(till: Till, path: Path) -> None:
    """The write-ahead log is taken back to how it was, as a power cut does with what was not flushed."""
    stock = SoldStock(path, KEY)
    count = StockCounter(till.journal, stock, SystemClock())
    await till.sell(100)
    await count.catch_up()
    keeping = connect(path, KEY)  # the log stays while somebody has it open
    log = path.with_name(path.name + "-wal")
    await till.sell(100)
    await count.catch_up()
    was = log.read_bytes()
    place = stock.place()
    await till.sell(100)
    await count.catch_up()
    assert pens(path) == 98
    stock.close()
    copy = path.with_name("cut.db")
    shutil.copy(path, copy)
    copy.with_name("cut.db-wal").write_bytes(was)
    keeping.close()
    assert pens(copy) == 99
    assert SoldStock(copy, KEY).place() == place
    await counter(till, copy).catch_up()
    assert pens(copy) == 98


async def test_a_new_count_begins_anew(till: Till, path: Path) -> None:
    count = counter(till, path)
    await count.catch_up()
    await till.sell(100)
    await count.catch_up()
    take(path, GOODS.replace(",100", ",31"))
    assert pens(path) == 31
    await till.sell(100)
    await count.catch_up()
    assert pens(path) == 30
    take(path, GOODS.replace(",100", ","))  # this file does not count
    assert pens(path) == 30
    take(path, HEADER + "96385074,Ink,each,4.00,A,,,\n")
    assert pens(path) is None


async def test_an_import_under_way_is_waited_for_and_nothing_is_missed(till: Till, path: Path) -> None:
    count = counter(till, path)
    await count.catch_up()
    busy = connect(path, KEY)
    busy.execute("BEGIN IMMEDIATE")
    await till.sell(100)
    with pytest.raises(JournalInUse):
        await count.catch_up()
    await till.sell(100)
    busy.execute("COMMIT")
    busy.close()
    await count.catch_up()
    await count.catch_up()
    assert pens(path) == 98


async def test_the_task_counts_and_lets_go(till: Till, path: Path) -> None:
    task = asyncio.create_task(counter(till, path).run(), name="stock")
    async with asyncio.timeout(5):
        while (place := SoldStock(path, KEY).place()) is None:
            await asyncio.sleep(0.01)
    assert place == Place(till.journal.synced.epoch, till.journal.synced.seq)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not path.with_name(path.name + "-wal").exists()


class Epochs:
    """A journal (`core.ports.Journal`) of sealed records by epoch; the last epoch is the current one."""

    def __init__(self) -> None:
        self.epochs: dict[str, list[Record]] = {}

    def open_epoch(self, name: str, previous: str | None) -> None:
        self.epochs[name] = []
        self.append(name, e.EpochOpened(terminal="till-3", reason="test", signing_key="", previous_epoch=previous))

    def sell(self, epoch: str) -> None:
        for entry in (opened(1), added(1), completed(1)):
            self.append(epoch, entry)

    def append(self, epoch: str, entry: e.AnyEntry) -> None:
        records = self.epochs[epoch]
        draft = e.draft(entry)
        envelope = Envelope(
            version=1, epoch=epoch, seq=len(records) + 1, stream=draft.stream, stream_seq=1, stream_prev="", time_ms=0,
            clock=ClockQuality.NTP, boot="0" * 16, mono_ms=0, body=msgspec.Raw(draft.body),
        )  # fmt: skip
        records.append(seal(envelope, GENESIS))

    @property
    def head(self) -> Head:
        return self.synced

    @property
    def synced(self) -> Head:
        name, records = list(self.epochs.items())[-1]
        return Head(epoch=name, seq=len(records), hash=records[-1].hash)

    async def read(self, epoch: str, after_seq: int, count_max: int) -> Sequence[Record]:
        return self.epochs.get(epoch, [])[after_seq:][:count_max]


async def test_it_goes_through_the_epochs_that_came_since(path: Path) -> None:
    journal = Epochs()
    journal.open_epoch("a", None)
    count = StockCounter(journal, SoldStock(path, KEY), SystemClock())
    await count.catch_up()
    journal.sell("a")
    await count.catch_up()
    journal.sell("a")
    journal.open_epoch("b", "a")
    journal.sell("b")
    journal.open_epoch("c", "b")
    journal.sell("c")
    await count.catch_up()
    assert pens(path) == 96
    journal.open_epoch("d", "c")
    await StockCounter(journal, SoldStock(path, KEY), SystemClock()).catch_up()
    journal.sell("d")
    await StockCounter(journal, SoldStock(path, KEY), SystemClock()).catch_up()
    assert pens(path) == 95
    assert SoldStock(path, KEY).place() == Place("d", 4)


async def test_a_catalogue_from_elsewhere_counts_the_current_epoch(path: Path) -> None:
    SoldStock(path, KEY).keep(Place("another", 7), {})
    journal = Epochs()
    journal.open_epoch("a", None)
    journal.sell("a")
    journal.open_epoch("b", "a")
    journal.sell("b")
    await StockCounter(journal, SoldStock(path, KEY), SystemClock()).catch_up()
    assert pens(path) == 99


async def test_a_parked_basket_is_counted_when_it_is_paid_and_once(till: Till, path: Path) -> None:
    first = counter(till, path)
    await first.catch_up()
    await keep(till, opened(1), added(1, quantity=3), e.TransactionSuspended(number=1))
    await keep(till, opened(2), added(1, quantity=5), completed(2))
    await first.catch_up()
    resumed = e.TransactionResumed(number=1, business_day="2026-11-24", began="2026-11-24T15:00:00")
    await keep(till, resumed, added(2), completed(1))
    await counter(till, path).catch_up()  # a start in between: what was sold since the parking is read again
    assert pens(path) == 100 - 5 - 3 - 1
    await counter(till, path).catch_up()
    assert pens(path) == 100 - 5 - 3 - 1
