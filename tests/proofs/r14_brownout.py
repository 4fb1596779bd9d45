"""R14: the supply sags under the terminal: within 1 s no tender begins any more, the basket stands, and it goes on by itself.

The real daemon with the real driver, on a file that says what the firmware's would. The time is from the change of the
bits until the first tender that is refused; tenders are tried without a pause, each with no more in it than nothing at
all would take. Daemons that look too seldom go through the same, and must be caught.
"""

import asyncio
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from core import entries as e
from tests.proofs.careless_power import DRIVERS
from tests.proofs.guarded_till import ITEM, GuardedTill
from tests.proofs.registry import Proof, Result, Scale

BLOCKED_S_MAX = 1.0
WATCH_S = 1.5
BITS = (b"1\n", b"50005\n", b"4\n", b"10000\n")
"""Under-voltage, with throttling, throttling alone, and a dip that was over before anybody looked."""


@dataclass(slots=True)
class Seen:
    """Faults, and how long each sag had lasted when the first tender was refused."""

    faults: list[str] = field(default_factory=list)
    blocked_s: list[float] = field(default_factory=list)


def run(scale: Scale) -> Iterator[Result]:
    """Sags of one terminal's power; then one of each mutant's."""
    seen = _watch(scale.pick(smoke=1, commit=20, release=500), None)
    for fault in seen.faults:
        print(f"R14: {fault}", file=sys.stderr)
    mutants = list(DRIVERS)[:1] if scale is Scale.SMOKE else list(DRIVERS)
    caught = {name: bool(_watch(1, name).faults) for name in mutants}
    slowest_s = max(seen.blocked_s, default=float("inf"))
    told = ", ".join(f"a daemon that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        figure=round(slowest_s, 3),
        goal=BLOCKED_S_MAX,
        holds=not seen.faults and slowest_s <= BLOCKED_S_MAX and all(caught.values()),
        what=(
            f"s from weak power until a tender is refused, the slowest of {len(seen.blocked_s)}; each in the journal, the"
            f" basket stands, and it is paid after the power has come back; {told}"
        ),
        reason="; ".join(seen.faults[:3])
        or "; ".join(f"{name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="R14", title="brown-out", run=run)]


def _watch(sags: int, mutant: str | None) -> Seen:
    command = ("-m", "tests.proofs.careless_power", mutant) if mutant is not None else None
    with tempfile.TemporaryDirectory(prefix="terminald-r14-") as name, contextlib.redirect_stdout(sys.stderr):
        return asyncio.run(_sag(Path(name), sags, command))


async def _sag(root: Path, sags: int, command: tuple[str, ...] | None) -> Seen:
    seen, firmware = Seen(), root / "get_throttled"
    firmware.write_bytes(b"0\n")
    tables = f'[device.power]\ndriver = "power-rpi"\npath = "{firmware}"\nrecover_s = 0.3\n'
    till = GuardedTill(root, tables, *([command] if command else []))
    try:
        await till.start()
        await till.ready("power")
        for number in range(sags):
            await till.call("sale.scan", data=ITEM)
            blocked_s = await _blocked_after(till, firmware, BITS[number % len(BITS)])
            if blocked_s is None:
                seen.faults.append(f"a tender was still taken {WATCH_S} s after the power had become weak")
                return seen
            seen.blocked_s.append(blocked_s)
            await till.call("sale.scan", data=ITEM)  # what builds the basket goes on
            view = await till.see(lambda view: any(each.id == "power-weak" for each in view.conditions))
            if not view.sale.lines:
                seen.faults.append("the basket is gone")
            firmware.write_bytes(b"0\n" if number % 4 < 3 else b"10000\n")
            await till.see(lambda view: not any(each.id == "power-weak" for each in view.conditions))
            await till.call("sale.cash")
            firmware.write_bytes(b"0\n")
            await asyncio.sleep(0.3)  # the bits that stay set are seen to be clear again
        told = [each.weak for each in till.records() if isinstance(each, e.PowerChanged)]
        if told != [True, False] * sags:
            seen.faults.append(f"the journal tells of {told}")
        sold = sum(isinstance(each, e.TransactionCompleted) for each in till.records())
        if sold != sags:
            seen.faults.append(f"{sold} of {sags} sales are in the journal")
    finally:
        await till.close()
    return seen


async def _blocked_after(till: GuardedTill, firmware: Path, bits: bytes) -> float | None:
    """Seconds from the bits until a tender is refused for them; None where none is in time."""
    firmware.write_bytes(bits)  # noqa: ASYNC240
    since_s = time.perf_counter()
    while time.perf_counter() - since_s < WATCH_S:
        # A tender of nothing is refused for its amount, which is looked at after the power.
        if await till.refusal("sale.cash", amount_minor=0) == "power-weak":
            return time.perf_counter() - since_s
        await asyncio.sleep(0.005)
    return None
