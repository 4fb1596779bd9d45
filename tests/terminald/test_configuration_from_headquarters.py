"""Headquarters' configuration at a real terminal: tried, put in force, refused, taken back; a real daemon and broker."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from tests.brokers import Mosquitto, mosquitto_in
from tests.countertop import NUTELLA, Countertop, countertop, until
from tests.order_desk import OrderDesk, headquarters_table, order_desk

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE = goods.scan_bytes(NUTELLA)
SHOP = """\
[shop]
name = "{name}"
address = ["12 Harbour Street"]
currency = "EUR"
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
"""


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto_in(tmp_path_factory.mktemp("broker")) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shop(tmp_path_factory: pytest.TempPathFactory, broker: Mosquitto) -> AsyncIterator[Countertop]:
    root = tmp_path_factory.mktemp("configured") / "shop"
    async with countertop(root, ("scanner", "printer", "drawer"), more=headquarters_table(broker.url)) as counter:
        yield counter


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def desk(shop: Countertop, broker: Mosquitto) -> AsyncIterator[OrderDesk]:
    async with order_desk(broker.url, "till-3") as opened:
        yield opened


@pytest_asyncio.fixture(loop_scope="module")
async def till(shop: Countertop) -> Countertop:
    await shop.clear()
    return shop


async def ended(till: Countertop) -> None:
    await until(lambda: not till.daemon.running, "the daemon's end")


async def test_a_configuration_waits_for_the_open_sale_and_is_put_in_force(till: Countertop, desk: OrderDesk) -> None:
    own = till.layout.config.read_text()
    await till.ring_up(NUTELLA_CODE)
    await desk.desire(1, SHOP.format(name="First"))
    assert (await desk.reported(1, "waiting")).code == "sale-open"
    assert till.view.shop.name == "Corner Shop"
    await till.call("sale.cash")
    await ended(till)
    view = await till.start()
    assert view.shop.name == "First"
    report = await desk.reported(1, "applied")
    assert (report.code, report.active) == ("", report.hash)
    assert (await till.restart()).shop.name == "First"
    assert till.layout.config.read_text() == own
    kept = [entry for entry in till.records() if isinstance(entry, e.ConfigurationOrdered)]
    assert [(entry.version, entry.state, entry.issuer) for entry in kept] == [(1, "trial", "anna"), (1, "applied", "")]


@pytest.mark.parametrize(
    ("version", "doc", "code", "words"),
    [
        (2, "[shop\n", "configuration-not-valid", "line 1"),
        (3, SHOP.format(name="x") + 'langage = "de"\n', "configuration-not-valid", "unknown key 'langage'"),
        (4, '[terminal]\nid = "till-4"\n', "configuration-not-allowed", "the terminal's id"),
        (5, '[keys]\nsource = "tpm"\n', "configuration-not-allowed", "[keys]"),
        (6, '[journal]\npath = "elsewhere.db"\n', "configuration-not-allowed", "[journal] path"),
        (7, '[device.scanner]\ndriver = "scanner-serial"\n', "configuration-not-valid", "path"),
    ],
)
async def test_what_is_not_valid_is_told_and_changes_nothing(
    till: Countertop, desk: OrderDesk, version: int, doc: str, code: str, words: str
) -> None:
    before = till.view.shop
    await desk.desire(version, doc)
    report = await desk.reported(version, "rejected")
    assert report.code == code
    assert words in report.text
    assert till.daemon.running
    assert (await till.restart()).shop == before


@pytest.mark.timeout(180)  # several starts of a daemon, on a machine that may be busy
async def test_one_that_does_not_stay_up_is_taken_back_and_not_tried_again(till: Countertop, desk: OrderDesk) -> None:
    before, doc = till.view.shop, SHOP.format(name="Broken")
    await desk.desire(20, doc)
    await ended(till)
    for _ in range(2):
        assert (await till.start()).shop.name == "Broken"
        await till.daemon.kill()
    assert (await till.start()).shop == before
    report = await desk.reported(20, "rolled-back")
    assert report.code == "configuration-unhealthy"
    assert (await till.restart()).shop == before  # it lies on the broker all the same
    await asyncio.sleep(1.0)
    assert till.daemon.running
    await desk.desire(21, doc)
    assert (await desk.reported(21, "rejected")).code == "configuration-failed-before"
    states = [entry.state for entry in till.records() if isinstance(entry, e.ConfigurationOrdered)]
    assert states == ["trial", "rolled-back", "rejected"]


async def test_an_older_version_and_another_role_count_for_nothing(till: Countertop, desk: OrderDesk) -> None:
    before = till.view.shop
    await desk.desire(30, "[shop\n")
    await desk.reported(30, "rejected")
    await desk.desire(29, SHOP.format(name="Old"))
    await desk.desire(31, SHOP.format(name="Stranger"), role="support")
    await desk.desire(32, "[shop\n")
    await desk.reported(32, "rejected")
    assert {report.version for report in desk.reports if report.version > 28} == {30, 32}
    assert till.daemon.running
    assert till.view.shop == before


@pytest.mark.timeout(180)  # several starts of a daemon, on a machine that may be busy
async def test_the_terminals_own_configuration_comes_back_with_an_empty_one(till: Countertop, desk: OrderDesk) -> None:
    await desk.desire(39, SHOP.format(name="Again"))
    await ended(till)
    assert (await till.start()).shop.name == "Again"
    await desk.reported(39, "applied")
    await desk.desire(40, "")
    await ended(till)
    assert (await till.start()).shop.name == "Corner Shop"
    await desk.reported(40, "applied")
