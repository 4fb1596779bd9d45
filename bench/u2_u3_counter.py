"""What a cashier feels: U2 from the scanner's cable to the painted line, U3 from the tender to drawer and receipt.

The whole counter runs as in the demonstration: real drivers over simulated cables, the real journal, the real screen
`terminald-counter` on a pty of 120 by 40. The times are of the machine they are taken on.
"""

import asyncio
import statistics
import time
from collections.abc import Iterable

from bench.counter import Cashier, at_a_counter, grows, ring_up
from bench.registry import Proof, Result, Scale, at_most
from bench.screen import Screen
from demo.goods import BANANAS, GOODS, YOGHURT, scan_bytes

_PAINTED_P95_MS = 100.0
"""What a person takes for at once (Miller 1968; Nielsen, Usability Engineering, 1993: 0.1 s)."""
_RECEIPT_P95_MS = 1_000.0
"""What does not break a person's flow (the same sources: 1 s); a printer's own speed comes on top."""


def scan_to_painted(scale: Scale) -> Iterable[Result]:
    """U2."""
    goods = [good for good in GOODS if good is not BANANAS and good is not YOGHURT]
    rounds = scale.pick(smoke=1, commit=10, release=100)

    async def measure(cashier: Cashier) -> list[float]:
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
                await cashier.is_in("idle")
                await asyncio.sleep(0.2)
        return took_ms

    yield at_most(_p95(at_a_counter(measure)), _PAINTED_P95_MS, what="scan to painted line, p95 ms")


def tender_to_receipt(scale: Scale) -> Iterable[Result]:
    """U3: from the key for cash to the drawer's solenoid, and from the card's approval to the cut receipt."""
    sales = scale.pick(smoke=5, commit=100, release=1_000)
    code = scan_bytes(next(good for good in GOODS if good is not BANANAS and good is not YOGHURT))

    async def measure(cashier: Cashier) -> tuple[list[float], list[float]]:
        bench = cashier.world.bench
        drawer_ms: list[float] = []
        receipt_ms: list[float] = []
        for _ in range(sales):
            await ring_up(cashier, code)
            papers, pulses = len(bench.papers), len(bench.drawer.pulses)
            began_ns = time.monotonic_ns()
            await cashier.press("sale.cash")
            await grows(bench.drawer.pulses, pulses)
            drawer_ms.append((bench.drawer.pulses[-1].began_ns - began_ns) / 1e6)
            await grows(bench.papers, papers)
            await ring_up(cashier, code)
            papers, charges = len(bench.papers), len(bench.payment.charges)
            await cashier.press("sale.card")
            await grows(bench.payment.charges, charges)
            began_ns = time.monotonic_ns()
            await grows(bench.papers, papers)
            receipt_ms.append((time.monotonic_ns() - began_ns) / 1e6)
        return drawer_ms, receipt_ms

    drawer_ms, receipt_ms = at_a_counter(measure)
    yield at_most(_p95(drawer_ms), _RECEIPT_P95_MS, part="a", what="cash key to drawer, p95 ms")
    yield at_most(_p95(receipt_ms), _RECEIPT_P95_MS, part="b", what="approval to cut receipt, p95 ms")


def _p95(values: list[float]) -> float:
    return round(statistics.quantiles(values, n=20, method="inclusive")[-1], 1)


BENCHES = [
    Proof(id="U2", title="scan to painted line", run=scan_to_painted),
    Proof(id="U3", title="tender to drawer and receipt", run=tender_to_receipt, parts=("a", "b")),
]
