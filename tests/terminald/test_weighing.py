"""Goods weighed at a real counter: the daemon asks its scale, takes the weight, and waits for zero before the next one."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from tests.countertop import NUTELLA, Countertop, countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

BANANAS = goods.BANANAS.key


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """One with a scale."""
    async with countertop(
        tmp_path_factory.mktemp("weighing") / "shop", ("scanner", "scale", "printer", "drawer")
    ) as counter:
        yield counter


async def _empty(counter: Countertop) -> None:
    counter.bench.scale.put(0)
    await counter.see(
        lambda view: any(device.detail.get("cleared") == "yes" for device in view.devices), "the empty scale"
    )


async def test_a_weight_is_taken_from_the_scale(counter: Countertop) -> None:
    await _empty(counter)
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    await counter.call("sale.scan", data=BANANAS)
    await counter.see(lambda view: (view.sale.mode, view.sale.awaited) == ("weighing", "Bananas"), "the wait")
    assert await counter.refusal("sale.cash") == "weight-awaited"
    assert await counter.refusal("sale.weight", weight_g=642) == "weight-not-keyed"
    counter.bench.scale.put(642)
    await counter.see(lambda view: len(view.sale.lines) == 2 and view.sale.mode == "ringing", "the weighed line")
    await counter.call("sale.cash")
    await counter.completed()
    (paper,) = await counter.papers(1)
    assert "0.642 kg x 1.99/kg                  1.28" in paper
    assert [entry.weighed for entry in counter.records() if isinstance(entry, e.ItemAdded)] == [None, "scale"]


async def test_the_same_goods_are_not_sold_twice(counter: Countertop) -> None:
    await _empty(counter)
    await counter.call("sale.scan", data=BANANAS)
    counter.bench.scale.put(500)
    await counter.see(lambda view: len(view.sale.lines) == 1, "the weighed line")
    await counter.call("sale.scan", data=BANANAS)
    await counter.notice("scale-not-cleared")
    assert len(counter.view.sale.lines) == 1
    counter.bench.scale.put(0)
    await _empty(counter)
    counter.bench.scale.put(700)
    view = await counter.see(lambda view: len(view.sale.lines) == 2, "the second line")
    assert [line.quantity_milli for line in view.sale.lines] == [500, 700]


async def test_the_plug_is_pulled_while_the_scale_is_waited_for(counter: Countertop) -> None:
    await _empty(counter)
    await counter.call("sale.scan", data=BANANAS)
    await counter.restart()
    await counter.see(lambda view: view.sale.mode == "weighing", "the sale as it was")
    await _empty(counter)
    counter.bench.scale.put(333)
    view = await counter.see(lambda view: len(view.sale.lines) == 1, "the weighed line")
    assert view.sale.lines[0].quantity_milli == 333


async def test_a_scale_that_is_pulled_out_and_put_back(counter: Countertop) -> None:
    await _empty(counter)
    await counter.call("sale.scan", data=BANANAS)
    counter.bench.scale.unplug()
    assert (await counter.notice("device-lost"))["device"] == "scale"
    counter.bench.scale.put(250)
    counter.bench.scale.plug()
    view = await counter.see(lambda view: len(view.sale.lines) == 1, "the weighed line")
    assert view.sale.lines[0].quantity_milli == 250
    assert counter.count(e.ItemAdded) == 1


async def test_it_is_given_up(counter: Countertop) -> None:
    await _empty(counter)
    await counter.call("sale.scan", data=BANANAS)
    await counter.call("sale.cancel")
    await counter.see(lambda view: view.sale.mode == "ringing" and not view.sale.lines, "the sale without it")
    counter.bench.scale.put(250)
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    assert [line.name for line in counter.view.sale.lines] == [NUTELLA.name]
