"""A roll-out over a real broker while the collector is killed again and again: each terminal is told in its wave, and once."""

import asyncio
import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet import rollout
from fleet.dispatch import Draft
from fleet.keys import beside, load_or_make
from fleet.orders_report import Dispatch, shown
from fleet.registry import Filter, put
from fleet.rollout import Plan
from fleet.store import open_store
from tests.brokers import Mosquitto
from tests.fleet.far_terminals import FarTerminal, at_work
from tests.fleet.test_dispatch import MAX

KILLS = 3


@pytest.mark.timeout(240)
async def test_a_rollout_goes_on_whoever_is_killed(tmp_path: Path, mosquitto: Mosquitto) -> None:
    address = tmp_path / "hq.db"
    key = load_or_make(beside(address))
    tills = [FarTerminal(f"till-{number:02d}", key.public_key) for number in range(24)]
    now_ms = time.time_ns() // 1_000_000
    with contextlib.closing(open_store(address, now_ms=now_ms)) as store:
        with store.transaction() as statements:
            for till in tills:
                put(statements, till.terminal, now_ms)
        plan = Plan(waves_bp=(1000, 3000, 6000, 10_000), stop_bp=0, silent_ms=3_600_000, rest_ms=1_000)
        draft = Draft(kind="ping", params={}, wanted=Filter(all=True))
        number = rollout.start(store, key, MAX, draft, plan, now_ms)

    def stands() -> Dispatch:
        return shown(address, number, time.time_ns() // 1_000_000)

    kills = 0
    async with at_work(mosquitto.url, *tills):
        while stands().state == "open":
            with _collector(address, mosquitto.url) as collector:
                before = stands().counts
                while stands().state == "open" and (kills == KILLS or stands().counts == before):
                    assert collector.poll() is None
                    await asyncio.sleep(0.05)
                kills += 1
                collector.kill()
    assert kills >= KILLS
    assert stands().counts == {"successful": 24}
    assert [len(till.done) for till in tills] == [1] * 24
    begun = [min(till.done[0].issued_ms for till in tills if _wave(stands(), till) == wave) for wave in range(4)]
    ended = [max(each.changed_ms for each in stands().terminals if each.wave == wave) for wave in range(4)]
    assert all(later > sooner for sooner, later in zip(ended, begun[1:], strict=False))


def _wave(found: Dispatch, till: FarTerminal) -> int:
    return next(each.wave for each in found.terminals if each.terminal == till.terminal)


@contextlib.contextmanager
def _collector(address: Path, url: str) -> Iterator[subprocess.Popen[bytes]]:
    words = ["collect", "--broker", url, "--database", str(address)]
    with subprocess.Popen([sys.executable, "-m", "fleet", *words], stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()
