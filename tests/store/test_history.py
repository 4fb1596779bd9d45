"""The history holds exactly what the journal says, whatever was cut short; and it is found by what people ask for."""

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from core import entries as e
from core import events as v
from core.ledger import ClockQuality, Stamp
from core.promotion import Promotion, Rulebook
from store.history import History, Query, _select
from store.history_source import catch_up
from store.journal import SqlJournal
from tests.core.transcript import SHOP, Player

KEY = bytes(range(48))
STAMP = Stamp(time_ms=1_700_000_000_000, clock=ClockQuality.NTP, boot="b" * 16, mono_ms=1)
MILK, LOAF, BEANS = "4006381333931", "036000291452", "96385074"


def _scan(*codes: str) -> list[v.AnyEvent]:
    return [v.Scanned(device="scanner", data=code) for code in codes]


def _shop() -> list[e.AnyEntry]:
    """Four transactions: cash with a void, card with a quantity, one given up, cash again; and an open basket."""
    player = Player()
    events: list[v.AnyEvent] = [
        *_scan(MILK, LOAF),
        v.VoidKeyed(line=2),
        v.CashKeyed(amount_minor=200),
        *_scan(BEANS),
        v.QuantityKeyed(quantity_milli=2000),
        v.CardKeyed(),
        v.PaymentAnswered(reference="2.1", amount_minor=2580, poi_transaction="P"),
        *_scan(MILK),
        v.CancelKeyed(),
        v.TagPresented(device="nfc", uid="04", technology="type2"),
        *_scan(MILK),
        v.CashKeyed(),
        *_scan(LOAF),
    ]
    for event in events:
        player.take(event)
    return player.kept


def _priced() -> list[e.AnyEntry]:
    """One transaction with another price, two discounts and coins of 0.05."""
    promotion = Promotion(id="ten", reason="10 % off", kind="percent", percent_bp=1000, items=("00000096385074",))
    player = Player(shop=msgspec.structs.replace(SHOP, promotions=Rulebook((promotion,)), cash_unit_minor=5))
    events: list[v.AnyEvent] = [
        *_scan(MILK, BEANS),
        v.PriceKeyed(unit_price_minor=99, reason="shelf", line=1),
        v.CardKeyed(),
        v.PaymentRefused(reference="1.1", reason="declined"),
        v.TotalDiscountKeyed(amount_minor=100, reason="goodwill"),
        v.CashKeyed(),
    ]
    for event in events:
        player.take(event)
    return player.kept


@contextlib.asynccontextmanager
async def _journal(folder: Path) -> AsyncIterator[SqlJournal]:
    async with await SqlJournal.open(
        folder / "journal.db", KEY, terminal="till-1", signing_key=bytes(32), stamp=STAMP
    ) as journal:
        yield journal


async def _keep(folder: Path, entries: list[e.AnyEntry]) -> None:
    async with _journal(folder) as journal:
        for entry in entries:
            await journal.append([e.draft(entry)], STAMP)


def _history(folder: Path) -> History:
    history = History(folder / "history.db", KEY)
    catch_up(history, folder / "journal.db", KEY)
    return history


async def test_transactions_are_put_together(tmp_path: Path) -> None:
    await _keep(tmp_path, _shop())
    with _history(tmp_path) as history:
        newest = history.find(Query())
    assert [(sold.number, sold.status, sold.total_minor) for sold in newest] == [
        (4, "completed", 129),
        (3, "cancelled", 0),
        (2, "completed", 2580),
        (1, "completed", 129),
    ]
    first, second = newest[3], newest[2]
    assert [line.name for line in first.lines] == ["Whole milk 1 l"]
    assert (first.change_minor, first.tenders) == (71, (e.TenderTotal(kind="CASH", amount_minor=129),))
    assert [(line.quantity_milli, line.amount_minor) for line in second.lines] == [(2000, 2580)]
    assert newest[0].customer == "c0ffee"


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        (Query(number=2), [2]),
        (Query(gtin=MILK), [4, 3, 1]),
        (Query(gtin=LOAF), []),
        (Query(tender="CREDIT"), [2]),
        (Query(tender="CASH"), [4, 1]),
        (Query(tender="VOUCHER"), []),
        (Query(status="cancelled"), [3]),
        (Query(gtin=MILK, status="completed", tender="CASH"), [4, 1]),
        (Query(from_day="2026-11-24", to_day="2026-11-24"), [4, 3, 2, 1]),
        (Query(from_day="2026-11-25"), []),
        (Query(to_day="2026-11-23"), []),
        (Query(operator="nobody"), []),
        (Query(limit=2), [4, 3]),
    ],
)
async def test_what_is_asked_is_found(tmp_path: Path, query: Query, numbers: list[int]) -> None:
    await _keep(tmp_path, _shop())
    with _history(tmp_path) as history:
        assert [sold.number for sold in history.find(query)] == numbers
        assert [sold.number for sold in history.walk(query, page=2)] == (
            numbers[::-1] if query.limit == 100 else [1, 2, 3, 4]
        )


async def test_folding_at_any_place_gives_the_same(tmp_path: Path) -> None:
    """The cursor stands in the same transaction as what was folded: an interruption anywhere changes nothing."""
    entries = _shop()
    await _keep(tmp_path, entries)
    with _history(tmp_path) as whole:
        expected = whole.find(Query())
    for cut in range(1, len(entries)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        await _keep(folder, entries[:cut])
        with _history(folder):
            pass
        await _keep(folder, entries[cut:])
        with _history(folder) as history:
            found = [msgspec.structs.replace(sold, epoch="", seq=0) for sold in history.find(Query())]
        assert found == [msgspec.structs.replace(sold, epoch="", seq=0) for sold in expected]


async def test_a_journal_put_back_is_folded_anew(tmp_path: Path) -> None:
    await _keep(tmp_path, _shop())
    with _history(tmp_path):
        pass
    for name in ("journal.db", "journal.db-wal", "journal.db-shm"):
        (tmp_path / name).unlink(missing_ok=True)
    await _keep(tmp_path, _shop()[:8])
    with _history(tmp_path) as history:
        assert [sold.number for sold in history.find(Query())] == [1]


async def test_beside_a_running_writer(tmp_path: Path) -> None:
    entries = _shop()
    async with _journal(tmp_path) as journal:
        with History(tmp_path / "history.db", KEY) as history:
            for entry in entries:
                await journal.append([e.draft(entry)], STAMP)
                await asyncio.to_thread(catch_up, history, tmp_path / "journal.db", KEY)
            assert history.count() == 4


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(from_day="2026-11-01", to_day="2026-11-30"),
        Query(gtin=MILK),
        Query(gtin=MILK, from_day="2026-11-01", status="cancelled"),
        Query(operator="ann", from_day="2026-11-01"),
        Query(operator="ann", status="cancelled"),
        Query(tender="CASH", to_day="2026-11-30"),
        Query(status="cancelled"),
    ],
)
def test_a_question_walks_along_one_index_and_sorts_nothing(tmp_path: Path, query: Query) -> None:
    """So it ends at its limit, however many sales there are."""
    sql, values = _select(query)
    with History(tmp_path / "history.db", KEY) as history:
        plan = [row[3] for row in history._run(f"EXPLAIN QUERY PLAN {sql}", *values)]
    assert not [step for step in plan if "TEMP B-TREE" in step or "AUTOMATIC" in step], plan
    assert all("INDEX" in step or "PRIMARY KEY" in step or "SUBQUERY" in step for step in plan), plan


@pytest.mark.parametrize("asked", [{"from_day": "24.11.2026"}, {"gtin": "milk"}, {"lmit": 3}])
def test_what_cannot_be_asked_is_named(asked: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(asked, Query)


_CONFIG = """
[terminal]
id = "till-1"
[shop]
name = "Shop"
[[shop.tax]]
code = "A"
rate = "19.00"
"""


def _terminald(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "terminald", *words, "--config", str(folder / "terminal.toml")]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


async def test_on_the_command_line(tmp_path: Path) -> None:
    from terminald.config import load
    from terminald.paths import load_or_make_keys

    (tmp_path / "terminal.toml").write_text(_CONFIG)
    keys = load_or_make_keys(load(tmp_path / "terminal.toml"))
    entries = [
        msgspec.structs.replace(entry, name="=1+1") if isinstance(entry, e.ItemAdded) else entry for entry in _shop()
    ]
    async with await SqlJournal.open(
        tmp_path / "journal.db", keys.journal, terminal="till-1", signing_key=bytes(32), stamp=STAMP
    ) as journal:
        await journal.append([e.draft(entry) for entry in entries], STAMP)

    found = await asyncio.to_thread(_terminald, tmp_path, "journal", "find", "--tender", "CREDIT", "--json")
    assert [sold["number"] for sold in json.loads(found.stdout)["transactions"]] == [2]

    exported = await asyncio.to_thread(_terminald, tmp_path, "journal", "export")
    assert [json.loads(line)["number"] for line in exported.stdout.splitlines()] == [1, 2, 3, 4]

    output = tmp_path / "sales.csv"
    done = await asyncio.to_thread(
        _terminald, tmp_path, "journal", "export", "--format", "csv", "--output", str(output)
    )
    assert done.returncode == 0, done.stderr
    rows = output.read_text().splitlines()
    assert rows[0].startswith("number,status,business_day")
    assert len(rows) == 5
    assert ",'=1+1," in rows[1]
    assert "25.80" in rows[2]

    refused = await asyncio.to_thread(_terminald, tmp_path, "journal", "find", "--day", "yesterday")
    assert refused.returncode == 2
    assert "day" in refused.stderr


async def test_prices_and_discounts_are_those_of_the_sale(tmp_path: Path) -> None:
    await _keep(tmp_path, _priced())
    with _history(tmp_path) as history:
        (sold,) = history.find(Query())
    assert [(line.unit_price_minor, line.regular_unit_price_minor) for line in sold.lines] == [(99, 129), (1290, None)]
    assert [(each.reason, each.amount_minor) for each in sold.discounts] == [("10 % off", 129), ("goodwill", 100)]
    paid_minor = sum(line.amount_minor - line.discount_minor for line in sold.lines)
    assert paid_minor == sold.total_minor == 1160
    assert sum(tender.amount_minor for tender in sold.tenders) == sold.total_minor + sold.rounding_minor == 1160


async def test_a_parked_basket_has_all_its_lines_when_it_is_paid(tmp_path: Path) -> None:
    player = Player()
    for event in (*_scan(MILK), v.SuspendKeyed(label="x"), *_scan(BEANS), v.SuspendKeyed(), v.ResumeKeyed(number=1)):
        player.take(event)
    await _keep(tmp_path, player.kept)
    with _history(tmp_path) as history:
        assert history.find(Query()) == []  # the cursor has both baskets
    before = len(player.kept)
    for event in (*_scan(LOAF), v.CashKeyed(), v.ResumeKeyed(), v.CashKeyed()):
        player.take(event)
    await _keep(tmp_path, player.kept[before:])
    with _history(tmp_path) as history:
        found = history.find(Query())
    assert [(sold.number, [line.name for line in sold.lines]) for sold in found] == [
        (2, ["Espresso beans 1 kg"]),
        (1, ["Whole milk 1 l", "Sourdough loaf"]),
    ]
