"""The till's own day at a real daemon: papers, the payment device's end of day, kills, and what a program is refused."""

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from terminald.cli import main
from terminald.client import CallFailed
from tests.countertop import NUTELLA, Countertop, countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = goods.scan_bytes(NUTELLA).decode()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """A till that sells while it is open; its clock is a person's word."""
    async with countertop(tmp_path_factory.mktemp("till") / "shop", ("card", "printer"), start=False) as made:
        made.layout.config.write_text(made.layout.config.read_text() + "[till]\nsessions = true\n")
        await made.start()
        yield made


async def opened(counter: Countertop, day: str) -> None:
    """A till that is open with 100.00, and has taken 3.79 in cash and 3.79 by card."""
    await counter.call("till.business_day", business_day=day)
    await counter.call("till.open", float_minor=10_000)
    for method in ("sale.cash", "sale.card"):
        await counter.call("sale.scan", data=CODE)
        await counter.call(method)
        await with_idle(counter)
    counter.bench.papers.clear()
    counter.forget()


async def with_idle(counter: Countertop) -> None:
    """Until the till itself says that no sale is open, and that the last one's paper is printed."""
    while True:
        view = await counter.call("view.get")
        sale, last = view["sale"], view["last"]
        assert isinstance(sale, dict)
        assert isinstance(last, dict)
        if sale["mode"] == "idle" and last["printed"]:
            return


async def test_a_day_from_the_float_to_the_paper(counter: Countertop) -> None:
    assert await counter.refusal("sale.scan", data=CODE) == "till-closed"
    await opened(counter, "2026-03-01")
    before = len(counter.records())
    x = await counter.call("report.x")
    assert len(counter.records()) == before, "an X report changes nothing"
    assert x["report"]["expected_minor"] == 10_379  # type: ignore[index]
    await until(lambda: len(counter.bench.papers) == 1, "the X report")
    assert "X REPORT" in counter.bench.papers[0].text
    assert (await counter.call("till.status"))["state"] == "open"

    await counter.call("till.begin_count")
    await counter.notice("reconciliation-agrees")
    assert await counter.refusal("sale.scan", data=CODE) == "till-counting"
    assert "expected" not in json.dumps(await counter.call("till.status"))
    counted = [{"unit_minor": 5_000, "count": 2}, {"unit_minor": 379, "count": 1}]
    assert "expected" not in json.dumps(await counter.call("till.count", counts=counted))
    closed = await counter.call("till.close")
    z = closed["report"]
    assert isinstance(z, dict)
    assert z["report"]["counted_minor"] == 10_379
    assert z["report"].get("over_short_minor", 0) == 0
    await until(lambda: len(counter.bench.papers) == 2, "the Z report")
    assert f"Z REPORT {z['number']}" in counter.bench.papers[1].text
    again = await counter.call("report.z")
    assert again["report"] == z
    await until(lambda: len(counter.bench.papers) == 3, "the copy")
    assert "COPY 1" in counter.bench.papers[2].text
    assert await counter.refusal("till.business_day", business_day="2026-03-01") == "day-closed"


async def test_a_dead_payment_device_stops_no_closing_and_is_asked_again(counter: Countertop) -> None:
    await opened(counter, "2026-03-02")
    counter.bench.payment.unplug()
    await counter.call("till.begin_count")
    await counter.notice("reconciliation-missing")
    await counter.call("till.count", amount_minor=10_300)
    closed = await counter.call("till.close")
    report = closed["report"]["report"]  # type: ignore[index]
    assert report["over_short_minor"] == -79
    assert report["reconciled"][0]["fault"]
    counter.bench.payment.plug()
    await counter.see(lambda view: all(device.phase == "ready" for device in view.devices), "the payment device")

    await opened(counter, "2026-03-03")
    await counter.call("till.begin_count")
    await counter.notice("reconciliation-agrees")
    told = [entry for entry in counter.records() if isinstance(entry, e.PaymentsReconciled)][-1]
    assert told.theirs == (e.CardTotal(kind="debit", count=2, amount_minor=758),), "both days are of one period"
    await counter.call("till.count", amount_minor=10_379)
    await counter.call("till.close")


async def test_a_difference_is_told_and_kept(counter: Countertop) -> None:
    await opened(counter, "2026-03-04")
    counter.bench.payment.miscount_minor = 5
    await counter.call("till.begin_count")
    assert await counter.notice("reconciliation-differs") == {"difference_minor": 5}
    await counter.call("till.count", amount_minor=10_379)
    closed = await counter.call("till.close")
    (told,) = closed["report"]["report"]["reconciled"]  # type: ignore[index]
    assert (told["ours"][0]["amount_minor"], told["theirs"][0]["amount_minor"]) == (379, 384)


async def test_a_count_outlives_a_kill(counter: Countertop) -> None:
    await opened(counter, "2026-03-05")
    await counter.call("till.begin_count")
    await counter.notice("reconciliation-agrees")
    await counter.call("till.count", amount_minor=10_379, key="count-1")
    await counter.restart()
    status = await counter.call("till.status")
    assert (status["state"], status["counted_minor"], status["business_day"]) == ("counting", 10_379, "2026-03-05")
    first = await counter.call("till.close", key="close-1")
    again = await counter.call("till.close", key="close-1")
    assert again["notice"] == {"id": "already-done", "params": {}}
    assert again["report"] == first["report"]
    assert counter.count(e.TillSettled) == counter.count(e.ZReported)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("till.open", {"float_minor": "much"}),
        ("till.open", {"counts": [{"unit_minor": 5}]}),
        ("till.open", {"counts": [{"unit_minor": 5, "count": 1, "colour": "red"}]}),
        ("till.loan", {"move": "pickup"}),
        ("till.close", {"end_day": "yes"}),
    ],
)
async def test_parameters_that_do_not_fit(counter: Countertop, method: str, params: dict[str, object]) -> None:
    with pytest.raises(CallFailed) as failed:
        await counter.call(method, **params)
    assert failed.value.code == -32602


async def test_the_export_for_auditors(counter: Countertop, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["journal", "export", "--config", str(counter.layout.config)]
    whole, totals = tmp_path / "whole.jsonl", tmp_path / "totals.jsonl"
    assert main([*command, "--format", "records", "--output", str(whole)]) == 0
    assert main([*command, "--format", "records", "--stream", "totals", "--output", str(totals)]) == 0
    lines = whole.read_text().splitlines()
    assert [line for line in lines if json.loads(line)["stream"] == "totals"] == totals.read_text().splitlines()
    assert {json.loads(line)["body"]["type"] for line in totals.read_text().splitlines()} == {"z_reported"}
    assert main([*command, "--stream", "totals"]) == 2
    assert "--format records" in capsys.readouterr().err
    assert main([*command, "--format", "records", "--day", "2026-03-01"]) == 2
    assert "a chain has no gaps" in capsys.readouterr().err
