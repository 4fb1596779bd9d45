"""Orders with more than words: catalogues and logs over HTTPS, who works here, and a terminal's end. A real daemon and broker."""

import asyncio
import contextlib
import hashlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from random import Random

import pytest
import pytest_asyncio

from core.catalogue import FORMAT, Change, UpdateHead, write_update
from demo import goods
from fleet.collector import Collector
from fleet.database import Database
from fleet.report import summarize
from store.catalogue import Catalogue
from store.keys import KeyFile
from terminald.broker import parse_url
from terminald.clock import SystemClock
from terminald.config import load
from terminald.retirement import decide
from terminald.uplink import Uplink
from tests.brokers import Mosquitto, mosquitto_in
from tests.content_server import ContentServer, content_server
from tests.countertop import COLA, NUTELLA, Countertop, countertop, until
from tests.order_desk import DESK_KEY, OrderDesk, headquarters_table, order_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

OWNER, CASHIER = "384751", "4821"
NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest.fixture(scope="module")
def content(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[ContentServer, Path]]:
    with content_server(tmp_path_factory.mktemp("content")) as serving:
        yield serving


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(
    tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto, content: tuple[ContentServer, Path]
) -> AsyncIterator[Countertop]:
    more = headquarters_table(broker.url) + "[operators]\n"
    root = tmp_path_factory.mktemp("content-orders") / "shop"
    async with countertop(root, ("scanner", "printer", "drawer"), start=False, more=more) as counter:
        counter.environment = {"SSL_CERT_FILE": str(content[1])}
        await counter.start()
        claim = counter.view.operator.claim
        await counter.call("operator.claim", claim=claim, operator="1", pin=OWNER, name="Olga")
        await counter.call("operator.add", operator="17", role="cashier", pin=CASHIER)
        yield counter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(shop: Countertop, broker: Mosquitto) -> AsyncIterator[OrderDesk]:
    async with order_desk(broker.url, "till-3") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def till(shop: Countertop) -> Countertop:
    await shop.clear()
    return shop


@pytest.fixture
def server(content: tuple[ContentServer, Path]) -> ContentServer:
    return content[0]


def version_of(till: Countertop) -> tuple[int, str]:
    folder = till.layout.terminal
    with Catalogue(folder / "catalogue.db", KeyFile(folder / "journal.key").load().catalogue) as catalogue:
        summary = catalogue.summary()
    return summary.number, summary.hash


def update(till: Countertop, *changes: Change) -> bytes:
    number, hash_ = version_of(till)
    head = UpdateHead(format=FORMAT, from_number=number, from_hash=hash_, to_number=number + 1)
    return b"".join(write_update(head, changes))


def price(gtin: str, amount: str) -> Change:
    return Change(op="put", gtin=gtin, name="Cola", unit="each", price=amount, tax="A")


def described(server: ContentServer, name: str, file: bytes) -> dict[str, object]:
    return {"url": server.url(name), "sha256": hashlib.sha256(file).hexdigest(), "size_bytes": len(file)}


async def test_a_catalogue_is_taken_in_while_the_till_sells(
    till: Countertop, desk: OrderDesk, server: ContentServer
) -> None:
    file = update(till, price(COLA.gtin, "7.77"))
    server.files["good"] = file
    await till.ring_up(NUTELLA_CODE, COLA_CODE)
    before = till.view.sale.lines[-1].amount_minor
    said = await desk.give("catalogue", described(server, "good", file), role="manager")
    assert (said.state, said.text) == ("successful", "")
    assert said.output["changes"] == 1
    await till.ring_up(COLA_CODE)
    amounts = [line.amount_minor for line in till.view.sale.lines]
    assert amounts[1:] in ([before, 777], [before + 777])
    await till.call("sale.cash")
    await till.completed()
    assert list(till.layout.terminal.glob("*.download")) == []


@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("torn", "content-torn"),
        ("altered", "content-altered"),
        ("longer", "content-torn"),
        ("missing", "content-refused"),
        ("other version", "catalogue-version"),
        ("bad line", "catalogue-refused"),
        ("no update", "catalogue-refused"),
    ],
)
async def test_what_is_not_the_catalogue_changes_nothing(
    till: Countertop, desk: OrderDesk, server: ContentServer, how: str, code: str
) -> None:
    before = version_of(till)
    file = update(till, price(COLA.gtin, "1.00"), price(NUTELLA.gtin, "2.00"))
    if how == "bad line":
        file = update(till, price(COLA.gtin, "1.00"), price(NUTELLA.gtin, "free"))
    if how == "other version":
        file = b"".join(
            write_update(UpdateHead(format=FORMAT, from_number=7, from_hash="00", to_number=8), [price(COLA.gtin, "1")])
        )
    if how == "no update":
        file = b"this,is,no\ncatalogue\n"
    order = described(server, how.replace(" ", "-"), file)
    name = how.replace(" ", "-")
    if how != "missing":
        server.files[name] = file
    if how == "torn":
        server.cut[name] = len(file) // 2
    elif how == "altered":
        server.files[name] = file.replace(b"1.00", b"9.00")
    elif how == "longer":
        server.files[name] = file + b"\n"
    said = await desk.give("catalogue", order, role="manager")
    assert (said.state, said.code) == ("failed", code)
    assert version_of(till) == before
    assert list(till.layout.terminal.glob("*.download")) == []


async def test_a_strangers_certificate_is_not_trusted(till: Countertop, desk: OrderDesk, tmp_path: Path) -> None:
    file = update(till, price(COLA.gtin, "1.00"))
    with content_server(tmp_path) as (stranger, _):
        stranger.files["c"] = file
        said = await desk.give("catalogue", described(stranger, "c", file), role="manager")
    assert said.code == "content-unreachable"
    assert "certificate" in said.text


async def test_the_log_goes_to_a_url(till: Countertop, desk: OrderDesk, server: ContentServer) -> None:
    said = await desk.give("logs", {"lines": 5_000, "url": server.url("till-3.log")})
    assert (said.state, said.text) == ("successful", "")
    lines = server.sent["till-3.log"].decode().splitlines()
    assert len(lines) == said.output["lines_sent"]
    assert all(json.loads(line)["level"] for line in lines)


async def test_who_is_revoked_works_here_no_more(till: Countertop, desk: OrderDesk) -> None:
    listed = await desk.give("staff", role="manager")
    assert [row["operator"] for row in listed.output["staff"]] == ["1", "17"]
    await till.call("operator.sign_on", operator="17", pin=CASHIER)
    await till.ring_up(NUTELLA_CODE)
    said = await desk.give("staff", {"revoke": ["17", "99"]}, role="manager")
    assert (said.state, said.output["revoked"]) == ("successful", ["17"])
    assert await till.refusal("sale.scan", data="5449000000996") == "till-locked"
    assert await till.refusal("operator.sign_on", operator="17", pin=CASHIER) == "operator-not-known"
    await till.call("operator.sign_on", operator="1", pin=OWNER)
    last = await desk.give("staff", {"revoke": ["1"]}, role="manager")
    assert (last.state, last.code) == ("failed", "last-supervisor")
    await till.call("sale.cash")
    await till.completed()


@contextlib.asynccontextmanager
async def collecting(database: Path, broker: Mosquitto) -> AsyncIterator[None]:
    """Headquarters' collector, while the block runs."""
    clock = SystemClock()
    collector = Collector(database=Database.open(database, now_ms=clock.stamp().time_ms), key=DESK_KEY, clock=clock)
    uplink = Uplink(
        brokers=(parse_url(broker.url),), client_id="headquarters", users=[collector], clock=clock, random=Random(2),
        session_expiry_s=60,
    )  # fmt: skip
    task = asyncio.create_task(uplink.run(), name="collector")
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        collector.close()


def keys_in(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir() if each.suffix in (".key", ".keyring", ".copy")]


@pytest.mark.timeout(180)  # several starts of a daemon, on a machine that may be busy
async def test_a_power_cut_takes_a_retirement_back_before_it_is_decided_and_not_after(tmp_path: Path) -> None:
    with mosquitto_in(tmp_path) as broker:
        async with (
            countertop(tmp_path / "shop", ("scanner",), more=headquarters_table(broker.url)) as till,
            order_desk(broker.url, "till-3") as desk,
        ):
            first = desk.order("retire")
            await desk.publish(first)
            await desk.state(first.id, "running")
            assert await till.refusal("sale.scan", data="5449000000996") == "headquarters-at-work"
            await till.restart()
            assert (await desk.end(first.id)).code == "interrupted"
            await till.ring_up(NUTELLA_CODE)
            await till.call("sale.cash")
            second = desk.order("retire")
            await desk.publish(second)
            await desk.state(second.id, "running")
            await till.daemon.kill()
            decide(load(till.layout.config))  # what it had done, had the power gone a moment later
            await till.daemon.start()
            async with collecting(tmp_path / "headquarters.db", broker):
                assert (await desk.end(second.id)).state == "successful"
                await until(lambda: not till.daemon.running, "the daemon's end")
            assert keys_in(till.layout.terminal) == []


@pytest.mark.timeout(180)  # several starts of a daemon, on a machine that may be busy
async def test_a_retired_terminal_has_delivered_all_and_never_sells_again(
    till: Countertop, desk: OrderDesk, broker: Mosquitto, tmp_path: Path
) -> None:
    order = desk.order("retire")
    await till.ring_up(NUTELLA_CODE)
    await desk.publish(order)
    assert (await desk.state(order.id, "waiting")).code == "sale-open"
    await till.call("sale.cash")
    await desk.state(order.id, "running")
    await asyncio.sleep(0.5)
    assert till.daemon.running  # nobody has signed for its sales yet
    database = tmp_path / "headquarters.db"
    async with collecting(database, broker):
        assert (await desk.end(order.id)).state == "successful"
        await until(lambda: not till.daemon.running, "the daemon's end")
    folder = till.layout.terminal
    assert summarize(database).transactions == till.view.day.transactions
    assert keys_in(folder) == []
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "terminald", "run", "--config", str(till.layout.config)),
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ},
    )
    assert process.stderr is not None
    async with asyncio.timeout(20):
        assert b"retired" in await process.stderr.readline()
    process.send_signal(signal.SIGTERM)
    await process.wait()
    assert keys_in(folder) == []
