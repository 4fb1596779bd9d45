"""U5: from a dead terminal's stick in the spare to a spare that sells, and that it has every sale.

A till sells offline with its stick, is killed, and its folder is deleted. The clock runs from the start of ``terminald
adopt`` to the first view of the spare's daemon in which a sale may begin; what people do in between (pull the stick, plug
it in, type) comes on top. The times are of the machine they are taken on.
"""

import asyncio
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from bench.registry import CannotRun, Proof, Result, Scale, at_most
from bench.two_tills import Shop, Till, run, shop
from store.adoption import inherit
from store.keys_recovery import load_recovery
from store.mirror_format import recovered
from tests.brokers import find_mosquitto

READY_S_MAX = 60.0
"""Minutes are for people; the machine may take one of them."""
_SETTLED_S = 120.0


async def _sold_offline(world: Shop, sales: int) -> tuple[Till, Path]:
    """A till that sold and is gone, and a copy of its stick as it was before the last sale."""
    till = await world.till("till-3")
    await till.start()
    await till.view(lambda view: view.mirror.state == "ready")
    await world.stop_headquarters()
    await till.sell(sales - 1)
    await till.view(lambda view: view.mirror.sales_at_risk == 0)
    stale = Path(shutil.copytree(world.stick, world.root / "stale"))
    await till.sell(1)
    await till.process.kill()  # at once: the last sale was on the stick before its order was answered
    till.lose()
    return till, stale


async def _adopted(world: Shop, spare: Till, stick: Path) -> tuple[float, float]:
    """Seconds until the command has ended, and until the spare's screen takes a sale."""
    began_s = time.monotonic()
    status, _, heard = await run(
        ["adopt", "--json", "--stick", str(stick), "--config", str(spare.config), "--recovery-key", str(world.recovery_key)]
    )  # fmt: skip
    assert status == 0, heard
    command_s = time.monotonic() - began_s
    await spare.start()
    await spare.view(lambda view: view.sale.mode == "idle" and "code_keyed" in view.sale.allowed)
    return command_s, time.monotonic() - began_s


async def _missing(world: Shop, spare: Till, tally: dict[int, int]) -> int:
    """Sales that headquarters does not have, or has with another sum, once the spare has delivered all it has."""
    await world.start_headquarters()
    await spare.view(lambda view: view.link.connected and view.journal.acknowledged_seq == view.journal.seq)
    held: dict[int, int] = {}
    end_s = time.monotonic() + _SETTLED_S
    while time.monotonic() < end_s:
        try:
            held = {number: total for (number, _), total in world.held("till-3").items()}
        except sqlite3.OperationalError:
            held = {}
        if held == tally:
            return 0
        if await _is_all_sent(spare):
            break
        await asyncio.sleep(0.1)
    return sum(held.get(number) != total for number, total in tally.items())


async def _is_all_sent(spare: Till) -> bool:
    view = await spare.view()
    return view.journal.acknowledged_seq == view.journal.seq and view.mirror.sales_at_risk == 0


def _short_of(stick: Path, recovery_key: Path, tally: dict[int, int]) -> int:
    """How many of the sales an heir of this stick would be without."""
    private = load_recovery(recovery_key, bytes)
    return len(tally) - inherit(stick, "till-3", lambda left: recovered(left.header, private)).sales


async def _measure(root: Path, sales: int) -> tuple[float, float, int, int]:
    async with shop(root) as world:
        till, stale = await _sold_offline(world, sales)
        spare = await world.till("spare")
        command_s, ready_s = await _adopted(world, spare, world.stick)
        missing = await _missing(world, spare, till.tally)
    # A mutant, for which the last sale did not wait: the same judgement must find that sale missing.
    return command_s, ready_s, missing, _short_of(stale, world.recovery_key, till.tally)


def adopt(scale: Scale) -> Iterable[Result]:
    """U5."""
    if find_mosquitto() is None:
        raise CannotRun("mosquitto is not installed")
    sales = scale.pick(smoke=5, commit=500, release=5_000)
    with tempfile.TemporaryDirectory(prefix="terminald-u5-") as folder:
        command_s, ready_s, missing, caught = asyncio.run(_measure(Path(folder), sales))
    print(f"U5: the command took {command_s:.2f} s", file=sys.stderr)
    yield at_most(
        round(ready_s, 2), READY_S_MAX, part="a",
        what=f"s from adopt to a selling till, {sales} unsent sales, of which the command {command_s:.2f}",
    )  # fmt: skip
    yield Result(
        figure=missing, goal=0, holds=missing == 0 and caught == 1, part="b",
        what=f"of {sales} unsent sales missing at headquarters; a stick without the last one: {caught} found missing",
    )  # fmt: skip


BENCHES = [Proof(id="U5", title="a dead terminal to a selling one", run=adopt, parts=("a", "b"))]
