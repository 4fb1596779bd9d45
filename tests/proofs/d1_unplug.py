"""D1: every device of the counter is pulled out and put in again during sales, again and again.

The real daemon, its real drivers, the far end of every cable in this process: ptys, TCP, pins, and a USB bus of
umockdev's, on which devices come back in another port and under another node. In each sale every class of device is
pulled and put back at some moment, one of them, now and then, in the middle of a payment. Then:

- every sale completes, for the cents that its goods cost;
- every sale has a receipt, and at most one that is not marked as a copy;
- the payment device was charged for each sale that says so, once;
- the daemon has as many open descriptors, tasks and child processes as before.

A class joins by one more `Class` in `_classes`.
"""

import asyncio
import contextlib
import os
import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from core import entries as e
from core.view import View
from demo import goods
from drivers.simulated.display import SimulatedDisplay
from drivers.simulated.msr import SimulatedCardReader
from terminald.client import CallRefused
from tests.countertop import COLA, NUTELLA, PATIENCE_S, Countertop, countertop
from tests.plugs import Bus, is_installed, usb_bus
from tests.proofs.registry import CannotRun, Proof, Result, Scale

SEED = 20
PORTS = {"acm": (1, 2), "keyboard": (3, 4), "hidraw": (5, 6)}
"""Of the hub: a device comes back in either of two that are its kind's."""
WARM_CYCLES = 2
"""After so many the daemon has loaded every library that it will load."""
SETTLE_S = 10.0
LOOK_S = 0.1
STEADY_LOOKS = 5
TABLES = (
    '[device.wedge]\ndriver = "scanner-hid"\nserial = "W1"\n'
    '[device.display]\ndriver = "display-cd5220"\npath = "../bench/display"\n'
    '[device.swipe]\ndriver = "msr-hidraw"\nserial = "M1"\n'
    '[device.stripe]\ndriver = "msr-serial"\npath = "../bench/stripe"\n'
)
GOODS = (NUTELLA, COLA, goods.by_gtin("8076800195057"))
"""Three others: the same code again at once, by the same scanner, would be one piece and no second one."""
ZEBRA, HONEYWELL, MAGTEK = "05e0:1701", "0c2e:0b61", "0801:0002"


def run(scale: Scale) -> Iterator[Result]:
    """So many sales, in each of which every class of device is pulled once."""
    if not is_installed():
        raise CannotRun("umockdev is not installed (apt install libumockdev0)")
    cycles = scale.pick(smoke=1, commit=100, release=1_000)
    faults, words = asyncio.run(_counter(cycles))
    for fault in faults[:10]:
        print(f"D1: {fault}", file=sys.stderr)
    yield Result(figure=cycles - len(faults), goal=cycles, holds=not faults, what=words, reason="; ".join(faults[:3]))


PROOFS = [Proof(id="D1", title="cables pulled during sales", run=run)]


@dataclass(frozen=True, kw_only=True)
class Class:
    """A class of device: its name on the screen, its cable, and a scanner's way to read a code."""

    name: str
    pull: Callable[[], Awaitable[None]]
    put: Callable[[], Awaitable[None]]
    scan: Callable[[bytes], Awaitable[None]] | None = None
    is_noticed: bool = True
    """The daemon can know that its cable is out; two pins cannot tell."""


class _Far(Protocol):
    """The far end of a cable."""

    def plug(self) -> None: ...

    def unplug(self) -> None: ...


async def _counter(cycles: int) -> tuple[list[str], str]:
    with tempfile.TemporaryDirectory(prefix="terminald-d1-") as name:
        root = Path(name)
        devices = ("scanner", "scale", "nfc", "card", "printer", "drawer")
        async with usb_bus(root) as bus, countertop(root / "shop", devices, start=False) as counter:
            with counter.layout.config.open("a") as file:
                file.write(TABLES)
            counter.environment = bus.environment
            rng = random.Random(SEED)
            classes = _classes(counter, bus, rng)
            for each in classes:
                await each.put()
            await counter.start(*(each.name for each in classes))
            return await _shop(counter, classes, cycles, rng)


def _classes(counter: Countertop, bus: Bus, rng: random.Random) -> list[Class]:
    bench = counter.bench
    usual: dict[str, _Far] = {"scanner": bench.scanner, "scale": bench.scale, "nfc": bench.nfc, "card": bench.payment}
    usual |= {"printer": bench.printer, "drawer": bench.drawer}
    usual["stripe"] = SimulatedCardReader(counter.layout.bench / "stripe")
    usual["display"] = SimulatedDisplay(counter.layout.bench / "display", "cd5220")

    def at_once(action: Callable[[], None]) -> Callable[[], Awaitable[None]]:
        async def do() -> None:
            action()

        return do

    async def scan(code: bytes) -> None:
        bench.scanner.scan(code)

    def on_bus(
        name: str, kind: str, usb_id: str, serial: str, send: Callable[[bytes], Awaitable[None]] | None = None
    ) -> Class:
        async def put() -> None:
            await bus.plug(name, kind, usb_id, serial=serial, port=f"1.{rng.choice(PORTS[kind])}")

        async def pull() -> None:
            await bus.unplug(name)

        return Class(name=name, pull=pull, put=put, scan=send)

    async def send(code: bytes) -> None:
        await bus.send("scanner-a1", code + b"\r")

    async def typed(code: bytes) -> None:
        await bus.type("wedge", code.decode())

    wired = [
        Class(
            name=name,
            pull=at_once(far.unplug),
            put=at_once(far.plug),
            scan=scan if name == "scanner" else None,
            is_noticed=name != "drawer",
        )
        for name, far in usual.items()
    ]
    return [
        *wired,
        on_bus("wedge", "keyboard", HONEYWELL, "W1", typed),
        on_bus("scanner-a1", "acm", ZEBRA, "A1", send),
        on_bus("swipe", "hidraw", MAGTEK, "M1"),
    ]


async def _shop(counter: Countertop, classes: list[Class], cycles: int, rng: random.Random) -> tuple[list[str], str]:
    faults: list[str] = []
    before: tuple[int, int, int] | None = None
    open_before: Counter[str] = Counter()
    for number in range(1, cycles + WARM_CYCLES + 1):
        if number == WARM_CYCLES + 1:
            before = await _steady(counter)
            open_before = await asyncio.to_thread(_open, counter.daemon.pid)
        try:
            await _Sale(counter, classes, rng).run()
            await counter.see(lambda view, number=number: counter.sold == number, f"sale {number}")  # type: ignore[misc]
        except (AssertionError, CallRefused, TimeoutError) as error:
            faults.append(f"sale {number}: {str(error)[:300]}")
            print(counter.told(), file=sys.stderr)
            return faults, "stopped at the first sale that did not complete"
    assert before is not None, "there is at least one cycle after the warm ones"
    after = await _settled(counter, before)
    if _is_more(after, before):
        more = await asyncio.to_thread(_open, counter.daemon.pid) - open_before
        print(f"D1: open now and not before: {dict(more)}", file=sys.stderr)
        faults.append(f"descriptors, tasks, children: {before} before, {after} after {cycles} cycles")
    faults += _looked_through(counter, cycles + WARM_CYCLES)
    pulls = cycles * len(classes)
    return faults, f"sales in which each of {len(classes)} classes was pulled, {pulls} pulls; {after[0]} descriptors"


class _Sale:
    """One customer: three pieces and a payment, while every cable is pulled and put back."""

    def __init__(self, counter: Countertop, classes: list[Class], rng: random.Random) -> None:
        self._counter = counter
        self._classes = {each.name: each for each in classes}
        self._rng = rng
        self._away: set[str] = set()
        self._pieces = 0

    async def run(self) -> None:
        """Everything is plugged in before and after."""
        rng, names = self._rng, list(self._classes)
        rng.shuffle(names)
        early = rng.randint(0, len(names))
        steps: list[Callable[[], Awaitable[None]]] = [self._ring, self._ring, self._ring]
        for name in names[:early]:
            steps.insert(rng.randint(1, len(steps)), lambda name=name: self._pull(name))  # type: ignore[misc]
        for step in steps:
            await step()
            if self._away and rng.random() < 0.3:
                await self._put(rng.choice(sorted(self._away)))
        in_payment = rng.random() < 0.3 and "card" not in self._away
        for name in names[early:]:
            if not (in_payment and name == "card"):
                await self._pull(name)
        await self._pay(by_card="card" not in self._away and (in_payment or rng.random() < 0.5), pulled=in_payment)
        for name in sorted(self._away):
            await self._put(name)
        await self._all_back()

    async def _ring(self) -> None:
        able = [each for each in self._classes.values() if each.scan is not None and each.name not in self._away]
        good = GOODS[self._pieces]
        self._pieces += 1
        if able:
            chosen = self._rng.choice(able)
            await self._counter.see(lambda view: _phase(view, chosen.name) == "ready", f"{chosen.name} ready")
            assert chosen.scan is not None
            await chosen.scan(goods.scan_bytes(good))
        else:
            await self._counter.call("sale.scan", data=good.gtin)
        pieces = self._pieces
        await self._counter.see(lambda view: _pieces(view) == pieces, f"{pieces} pieces")

    async def _pay(self, *, by_card: bool, pulled: bool) -> None:
        counter = self._counter
        if by_card:
            await counter.call("sale.card")
            if pulled:
                await self._pull("card")
                await self._put("card")
        await self._settle()

    async def _settle(self) -> None:
        """Pays in cash what no card has paid; while a card's outcome is open, that is refused."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    await self._counter.call("sale.cash")
                    return
                except CallRefused as refused:
                    if refused.message.id == "no-open-sale":
                        return
                await asyncio.sleep(0.05)

    async def _pull(self, name: str) -> None:
        if name in self._away:
            return
        self._away.add(name)
        await self._counter.see(lambda view: _phase(view, name) == "ready", f"{name} ready")
        await self._classes[name].pull()
        if self._classes[name].is_noticed and (name != "card" or self._rng.random() < 0.5):
            await self._counter.see(lambda view: _phase(view, name) != "ready", f"{name} away")

    async def _put(self, name: str) -> None:
        self._away.discard(name)
        await self._classes[name].put()

    async def _all_back(self) -> None:
        counter = self._counter
        await counter.see(lambda view: all(_phase(view, name) == "ready" for name in self._classes), "all devices back")
        await counter.see(lambda view: view.receipts_waiting == 0, "the receipts")
        counter.bench.drawer.shut()
        counter.forget()


async def _footprint(counter: Countertop) -> tuple[int, int, int]:
    """Descriptors, tasks and children of the daemon."""
    tasks = (await counter.call("daemon.status"))["tasks"]
    assert isinstance(tasks, int)
    return (
        await asyncio.to_thread(_descriptors, counter.daemon.pid),
        tasks,
        await asyncio.to_thread(_children, counter.daemon.pid),
    )


def _descriptors(pid: int | None) -> int:
    return _open(pid).total()


def _open(pid: int | None) -> Counter[str]:
    """What the daemon's descriptors lead to, without numbers that are another's each time."""
    found: Counter[str] = Counter()
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed since
            found[re.sub(r"\[\d+\]|pts/\d+", "", os.readlink(each))] += 1
    return found


def _children(pid: int | None) -> int:
    return len(Path(f"/proc/{pid}/task/{pid}/children").read_text().split())


async def _steady(counter: Countertop) -> tuple[int, int, int]:
    """The footprint, once nothing is on its way out any more."""
    same, now = 0, await _footprint(counter)
    while same < STEADY_LOOKS:
        await asyncio.sleep(LOOK_S)
        before, now = now, await _footprint(counter)
        same = same + 1 if now == before else 0
    return now


async def _settled(counter: Countertop, wanted: tuple[int, int, int]) -> tuple[int, int, int]:
    """The footprint, as soon as it is no more than it was: what is on its way out is given a moment."""
    loop = asyncio.get_running_loop()
    end_s = loop.time() + SETTLE_S
    while _is_more(now := await _footprint(counter), wanted) and loop.time() < end_s:
        await asyncio.sleep(LOOK_S)
    return now


def _is_more(now: tuple[int, int, int], than: tuple[int, int, int]) -> bool:
    return any(here > there for here, there in zip(now, than, strict=True))


def _looked_through(counter: Countertop, sales: int) -> list[str]:
    """What is lost or doubled in the journal, on paper, and at the payment device."""
    faults = []
    completed = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    wanted_minor = sum(good.price_minor for good in GOODS)
    if len(completed) != sales or any(entry.total_minor != wanted_minor for entry in completed):
        totals = Counter(entry.total_minor for entry in completed)
        faults.append(f"{len(completed)} sales of {dict(totals)} instead of {sales} of {wanted_minor}")
    papers = Counter(receipt.number for receipt in counter.bench.receipts)
    unmarked = Counter(receipt.number for receipt in counter.bench.receipts if not receipt.marked)
    faults += [f"sale {entry.number} has no receipt" for entry in completed if not papers[entry.number]]
    faults += [
        f"sale {number} has {count} receipts that pass for the first" for number, count in unmarked.items() if count > 1
    ]
    by_card = [tender.amount_minor for entry in completed for tender in entry.tenders if tender.kind == "CREDIT"]
    if sum(by_card) != counter.bench.payment.charged_minor():
        faults.append(f"{sum(by_card)} paid by card, {counter.bench.payment.charged_minor()} charged")
    return faults


def _phase(view: View, name: str) -> str:
    return next((device.phase for device in view.devices if device.name == name), "unknown")


def _pieces(view: View) -> int:
    return sum(line.quantity_milli // 1000 for line in view.sale.lines if not line.voided)
