"""A spare terminal takes over from a dead one: real daemons, a real broker, a real collector."""

import shutil
from pathlib import Path

import pytest

from bench.two_tills import Shop, Till, run, shop
from demo.processes import output_of
from terminald.client import connect
from tests.tills import eventually

SALES_ONLINE = 3
SALES_OFFLINE = 6
SETTLED_S = 40.0

pytestmark = [pytest.mark.serial, pytest.mark.timeout(240)]


async def covered(till: Till) -> None:
    """Waits until all that there is of a till is on its stick too."""
    await till.view(
        lambda view: (
            view.mirror.state == "ready"
            and view.mirror.behind == view.mirror.sales_at_risk == 0
            and view.journal.synced_seq == view.journal.seq
        )
    )


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
    await covered(till)
    await till.process.kill()
    till.lose()
    return till


async def adopt(world: Shop, spare: Till, stick: Path, *more: str) -> tuple[int, dict[str, object], str]:
    command = ["adopt", "--json", "--stick", str(stick), "--config", str(spare.config)]
    return await run([*command, "--recovery-key", str(world.recovery_key), *more])


async def is_whole(till: Till) -> bool:
    status, said, _ = await run(["journal", "verify", "--json", "--config", str(till.config)])
    return (status, said["whole"]) == (0, True)


async def test_a_spare_sells_on_and_headquarters_has_everything_once(tmp_path: Path) -> None:
    async with shop(tmp_path) as world:
        dead = await dead_till(world)
        spare = await world.till("spare")
        status, said, heard = await adopt(world, spare, world.stick)
        assert status == 0, heard
        assert (said["terminal"], said["sales"], said["sale_open"]) == ("till-3", SALES_OFFLINE, True)
        assert (await spare.start()).shop.terminal == "till-3"
        view = await spare.view(lambda view: view.sale.number is not None)
        assert view.sale.number == SALES_ONLINE + SALES_OFFLINE + 1
        spare.tally.update(dead.tally)
        async with connect(spare.socket) as client:
            await spare.pay(client)  # the basket that was open
        await spare.sell(2)
        assert min(number for number in spare.tally if number > view.sale.number) > 1_000
        await world.start_headquarters()
        await eventually(lambda: world.agrees("till-3", spare.tally), SETTLED_S)
        assert len(spare.tally) == SALES_ONLINE + SALES_OFFLINE + 3
        assert await is_whole(spare)
        await spare.view(lambda view: view.journal.acknowledged_seq == view.journal.seq)
        await covered(spare)


async def test_a_terminal_that_dies_twice_and_a_stick_that_is_adopted_twice(tmp_path: Path) -> None:
    """The second heir gets two epochs that were not delivered; the third one is a fork, and is seen."""
    async with shop(tmp_path) as world:
        dead = await dead_till(world)
        copy = shutil.copytree(world.stick, tmp_path / "copied")
        first, second, third = [await world.till(name) for name in ("spare-1", "spare-2", "spare-3")]
        assert (await adopt(world, first, world.stick))[0] == 0
        await first.start()
        first.tally.update(dead.tally)
        async with connect(first.socket) as client:
            await first.pay(client)
        await first.sell(2)
        await covered(first)
        await first.process.kill()
        first.lose()
        status, said, heard = await adopt(world, second, world.stick)
        assert status == 0, heard
        assert said["sales"] == SALES_OFFLINE + 3
        await second.start()
        second.tally.update(first.tally)
        await second.sell(2)
        await world.start_headquarters()
        await eventually(lambda: world.agrees("till-3", second.tally), SETTLED_S)
        assert await is_whole(second)
        await second.view(lambda view: view.journal.acknowledged_seq == view.journal.seq)

        # A copy of the stick from before knows nothing of that. Headquarters does.
        status, said, heard = await adopt(world, third, copy)
        assert (status, said["fault"]) == (1, "adoption-refused")
        assert "headquarters" in heard
        await second.process.stop()
        assert (await adopt(world, third, copy, "--force"))[0] == 0
        await third.start()
        await third.sell(1)
        await third.view(lambda view: view.journal.acknowledged_seq == view.journal.seq)
        assert len(world.held("till-3")) == len(second.tally) + 1, "what was sold is kept, whoever sold it"
        listed = await output_of(["fleet", "list", "--database", str(world.database)])
        assert "TWO TERMINALS" in listed
        assert "both follow" in (tmp_path / "collector.log").read_text()
