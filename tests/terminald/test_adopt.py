"""A spare terminal takes over from a dead one: real daemons, a real broker, a real collector."""

import asyncio
from pathlib import Path

import pytest

from bench.two_tills import Shop, Till, run, shop
from terminald.client import connect
from tests.tills import eventually

SALES_ONLINE = 3
SALES_OFFLINE = 6


async def dead_till(world: Shop) -> Till:
    """A till that sold online, then offline with its stick, and was then destroyed with a basket open."""
    till = await world.till("till-3")
    await till.start()
    await till.view(lambda view: view.mirror.state == "ready" and view.link.connected)
    await till.sell(SALES_ONLINE)
    await till.view(lambda view: view.journal.acknowledged_seq == view.journal.seq)
    await world.stop_headquarters()
    await till.view(lambda view: not view.link.connected)
    await till.sell(SALES_OFFLINE)

    async with connect(till.socket) as client:
        await till.ring_up(client, 2)
        await asyncio.sleep(0.1)
    await till.view(lambda view: view.mirror.sales_at_risk == 0 and view.journal.synced_seq == view.journal.seq)
    await till.view(lambda view: view.mirror.behind == 0)
    await till.process.kill()
    till.lose()
    return till


@pytest.mark.timeout(180)
async def test_a_spare_sells_on_and_headquarters_has_everything_once(tmp_path: Path) -> None:
    async with shop(tmp_path) as world:
        dead = await dead_till(world)
        spare = await world.till("spare")
        status, said, heard = await run(["adopt", "--json", "--stick", str(world.stick), "--config", str(spare.config)])
        assert (status, said["terminal"]) == (1, "till-3"), heard
        status, said, heard = await run(
            ["adopt", "--json", "--stick", str(world.stick), "--config", str(spare.config),
             "--recovery-key", str(world.recovery_key)]
        )  # fmt: skip
        assert status == 0, heard
        assert (said["terminal"], said["sales"], said["sale_open"]) == ("till-3", SALES_OFFLINE, True)
        view = await spare.start()
        assert view.shop.terminal == "till-3"
        view = await spare.view(lambda view: view.sale.number is not None)
        assert view.sale.number == SALES_ONLINE + SALES_OFFLINE + 1
        spare.tally.update(dead.tally)

        async with connect(spare.socket) as client:
            await spare.pay(client)
        await spare.sell(2)
        await world.start_headquarters()
        await eventually(lambda: world.agrees("till-3", spare.tally), 40)
        assert len(spare.tally) == SALES_ONLINE + SALES_OFFLINE + 3
        status, said, _ = await run(["journal", "verify", "--json", "--config", str(spare.config)])
        assert (status, said["whole"]) == (0, True), said
