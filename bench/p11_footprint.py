"""P11: what the daemon takes of a small computer: its memory after many sales, and its processor and wake-ups at rest.

The whole counter runs: scanner, NFC reader, payment device, printer, drawer, the broker and headquarters. The daemon alone
is looked at, as the kernel counts it; what reads tags is a process of its own. Memory is its resident set. A wake-up is one
switch of a thread of it onto a processor (`/proc/PID/task/*/schedstat`), which counts more than timers: also what the kernel
hands over by itself.
"""

import asyncio
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.counter import Cashier, at_a_counter, grows
from bench.registry import Proof, Result, Scale, at_most, cannot
from demo.goods import GOODS, scan_bytes

RSS_GOAL_MIB = 64.0
CPU_GOAL_PERCENT = 0.1
WAKE_UPS_GOAL = 2.0
SETTLE_S = 8.0
"""What follows a sale at its own pace: the journal's owed flush, the history, the acknowledgement."""
_CODES = [scan_bytes(good) for good in GOODS if good.unit == "each"][:3]


def run(scale: Scale) -> Iterable[Result]:
    """Memory (a), processor (b), wake-ups (c)."""
    sales = scale.pick(smoke=20, commit=2_000, release=10_000)
    rest_s = scale.pick(smoke=0, commit=60, release=300)

    async def measure(cashier: Cashier) -> tuple[float, "_Use"]:
        pid = cashier.world.daemon.pid
        assert pid is not None
        await _sell(cashier, sales)
        await asyncio.sleep(SETTLE_S)
        before = _use(pid)
        await asyncio.sleep(rest_s)
        after = _use(pid)
        return _rss_mib(pid), _Use(cpu_s=after.cpu_s - before.cpu_s, turns=after.turns - before.turns)

    rss_mib, use = at_a_counter(measure)
    devices = "six devices and headquarters"
    yield at_most(round(rss_mib, 1), RSS_GOAL_MIB, part="a", what=f"MiB resident after {sales} sales, {devices}")
    if not rest_s:
        yield cannot("a minute of rest takes one; try --scale commit", part="b")
        yield cannot("a minute of rest takes one; try --scale commit", part="c")
        return
    yield at_most(
        round(100 * use.cpu_s / rest_s, 3), CPU_GOAL_PERCENT, part="b", what=f"% of a processor in {rest_s} s of rest"
    )
    yield at_most(
        round(use.turns / rest_s, 2), WAKE_UPS_GOAL, part="c", what=f"wake-ups a second in {rest_s} s of rest"
    )


BENCHES = [Proof(id="P11", title="the daemon's footprint", run=run, parts=("a", "b", "c"))]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Use:
    cpu_s: float
    turns: int


async def _sell(cashier: Cashier, sales: int) -> None:
    """Cash sales of one item, each with its receipt."""
    bench = cashier.world.bench
    for number in range(sales):
        papers = len(bench.papers)
        bench.scanner.scan(_CODES[number % len(_CODES)])  # not the same twice: that would be a double read
        await cashier.is_in("ringing")
        await cashier.press("sale.cash")
        await grows(bench.papers, papers)
        await cashier.is_in("idle")


def _use(pid: int) -> _Use:
    """Of all threads since they began [proc(5), schedstat: ns on a processor, ns waiting, turns]."""
    cpu_ns = turns = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        on_cpu_ns, _, count = task.joinpath("schedstat").read_text().split()
        cpu_ns += int(on_cpu_ns)
        turns += int(count)
    return _Use(cpu_s=cpu_ns / 1e9, turns=turns)


def _rss_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
