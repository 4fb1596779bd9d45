"""What a cashier feels: U2 from the scanner's cable to the painted line, U3 from the tender to drawer and receipt.

The whole counter runs as in the demonstration: real drivers over simulated cables, the real journal, the real screen
`terminald-counter` on a pty of 120 by 40. The times are of the machine they are taken on.
"""

import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterable, Sized
from pathlib import Path
from typing import TypeVar

from bench.registry import Proof, Result, Scale, at_most
from bench.screen import Screen
from demo.goods import BANANAS, GOODS, YOGHURT, scan_bytes
from demo.world import World, until
from terminald.client import Link

T = TypeVar("T")
_PATIENCE_S = 10.0
_PAINTED_P95_MS = 100.0
"""What a person takes for at once (Miller 1968; Nielsen, Usability Engineering, 1993: 0.1 s)."""
_RECEIPT_P95_MS = 1_000.0
"""What does not break a person's flow (the same sources: 1 s); a printer's own speed comes on top."""


class _Cashier:
    """Presses keys over the control socket, and knows when the till is idle again."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.mode = ""
        self.ready = False
        self._link = Link(world.layout.control_socket, self._on_view, lambda _: None)

    async def follow(self) -> None:
        await self._link.run()

    async def press(self, method: str) -> None:
        await self._link.order(method)

    async def is_idle(self) -> None:
        await until(lambda: self.mode == "idle", _PATIENCE_S, 0.002)

    def _on_view(self, view: object) -> None:
        from core.view import View

        assert isinstance(view, View)
        self.mode = view.sale.mode
        self.ready = all(device.phase == "ready" for device in view.devices)


def _at_a_counter(measure: Callable[[_Cashier], Coroutine[None, None, T]]) -> T:
    async def run() -> T:
        with tempfile.TemporaryDirectory(prefix="terminald-bench-") as folder:
            world = World(Path(folder) / "world", lambda text: print(text, file=sys.stderr))
            try:
                await world.start()
                cashier = _Cashier(world)
                follower = asyncio.create_task(cashier.follow(), name="cashier")
                try:
                    assert await until(lambda: cashier.ready, 30.0), "the devices are not ready"
                    return await measure(cashier)
                finally:
                    follower.cancel()
            finally:
                await world.stop()

    return asyncio.run(run())


def scan_to_painted(scale: Scale) -> Iterable[Result]:
    """U2."""
    goods = [good for good in GOODS if good is not BANANAS and good is not YOGHURT]
    rounds = scale.pick(smoke=1, commit=10, release=100)

    async def measure(cashier: _Cashier) -> list[float]:
        took_ms: list[float] = []
        async with Screen(cashier.world.layout.control_socket) as screen:
            await screen.shows("Scan the first item")
            for _ in range(rounds):
                for good in goods[:12]:
                    screen.clear()
                    began_s = time.perf_counter()
                    cashier.world.bench.scanner.scan(scan_bytes(good))
                    await screen.shows(good.name)
                    took_ms.append((time.perf_counter() - began_s) * 1000)
                    await asyncio.sleep(0.05)
                await cashier.press("sale.cancel")
                await cashier.is_idle()
                await asyncio.sleep(0.2)
        return took_ms

    yield at_most(_p95(_at_a_counter(measure)), _PAINTED_P95_MS, what="scan to painted line, p95 ms")


def tender_to_receipt(scale: Scale) -> Iterable[Result]:
    """U3: from the key for cash to the drawer's solenoid, and from the card's approval to the cut receipt."""
    sales = scale.pick(smoke=5, commit=100, release=1_000)
    code = scan_bytes(next(good for good in GOODS if good is not BANANAS and good is not YOGHURT))

    async def measure(cashier: _Cashier) -> tuple[list[float], list[float]]:
        bench = cashier.world.bench
        drawer_ms: list[float] = []
        receipt_ms: list[float] = []
        for _ in range(sales):
            await _ring_up(cashier, code)
            papers, pulses = len(bench.papers), len(bench.drawer.pulses)
            began_ns = time.monotonic_ns()
            await cashier.press("sale.cash")
            await _grows(bench.drawer.pulses, pulses)
            drawer_ms.append((bench.drawer.pulses[-1].began_ns - began_ns) / 1e6)
            await _grows(bench.papers, papers)
            await _ring_up(cashier, code)
            papers, charges = len(bench.papers), len(bench.payment.charges)
            await cashier.press("sale.card")
            await _grows(bench.payment.charges, charges)
            began_ns = time.monotonic_ns()
            await _grows(bench.papers, papers)
            receipt_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        return drawer_ms, receipt_ms

    drawer_ms, receipt_ms = _at_a_counter(measure)
    yield at_most(_p95(drawer_ms), _RECEIPT_P95_MS, part="a", what="cash key to drawer, p95 ms")
    yield at_most(_p95(receipt_ms), _RECEIPT_P95_MS, part="b", what="approval to cut receipt, p95 ms")


async def _grows(values: Sized, count: int) -> None:
    assert await until(lambda: len(values) > count, _PATIENCE_S, 0.0005), "nothing came"


async def _ring_up(cashier: _Cashier, code: bytes) -> None:
    await asyncio.sleep(0.16)  # the same code sooner would be a double read
    cashier.world.bench.scanner.scan(code)
    await until(lambda: cashier.mode == "ringing", _PATIENCE_S, 0.002)


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 1)


BENCHES = [
    Proof(id="U2", title="scan to painted line", run=scan_to_painted),
    Proof(id="U3", title="tender to drawer and receipt", run=tender_to_receipt, parts=("a", "b")),
]
