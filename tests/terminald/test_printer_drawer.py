"""A drawer on the printer's connector at a real counter: opened by a cash sale before its receipt, and watched."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from tests.countertop import NUTELLA, Countertop, countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    async with countertop(tmp_path_factory.mktemp("drawer") / "shop", ("scanner", "printer", "printer-drawer")) as made:
        yield made


async def test_a_cash_sale_opens_it_before_its_receipt(counter: Countertop) -> None:
    printer = counter.bench.printer
    openings: list[int] = []
    printer.on_mark = lambda _: openings.append(printer.kicks)
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await counter.call("sale.cash")
    await until(lambda: printer.drawer_open, "the open drawer")
    await counter.papers(1)
    assert set(openings) == {1}
    await counter.notice("drawer-left-open")
    printer.shut_drawer()
    await counter.see(lambda view: any(device.detail.get("state") == "closed" for device in view.devices), "it shut")
    kept = [entry for entry in counter.records() if isinstance(entry, e.DrawerOpened | e.DrawerClosed)]
    assert isinstance(kept[0], e.DrawerOpened)
    assert kept[0].commanded
    assert isinstance(kept[1], e.DrawerClosed)
    assert counter.count(e.DrawerLeftOpen) == 1


async def test_it_is_pried_open(counter: Countertop) -> None:
    counter.bench.printer.pry_drawer()
    await counter.notice("drawer-opened-by-hand")
    counter.bench.printer.shut_drawer()


async def test_it_comes_back_with_its_printer(counter: Countertop) -> None:
    counter.bench.printer.unplug()
    await counter.see(lambda view: all(device.phase != "ready" for device in view.devices[1:]), "both gone")
    counter.bench.printer.plug()
    await counter.see(lambda view: all(device.phase == "ready" for device in view.devices), "both back")
    await counter.call("drawer.open")
    await until(lambda: counter.bench.printer.drawer_open, "the open drawer")
