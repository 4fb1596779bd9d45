"""A whole counter whose terminal runs over the shim: what each sale and each quiet minute do to its medium."""

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from core.view import View
from demo import goods, processes
from demo.world import World, until
from terminald.client import Client, connect
from tests.shim.boundary import Call, environment, read_log

PATIENCE_S = 20.0
LINES = 10
LOG = "calls"
ITEMS = tuple(good for good in goods.GOODS if good.unit == "each" and good is not goods.YOGHURT)[:LINES]
RECEIPT_S = 0.2
"""How long a sale's papers take after its completion; a next customer takes longer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spell:
    """What went to the medium in some time: bytes written by file, and flushes by file."""

    seconds: float
    written: Counter[str]
    flushed: Counter[str]

    @property
    def flushes(self) -> int:
        """Of all files."""
        return sum(self.flushed.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Sale:
    """A sale: ringing up, and from the order to pay to its receipt."""

    card: bool
    ringing: Spell
    paying: Spell


class Counting:
    """A till that sells, and a look at its medium in between."""

    def __init__(self, world: World, log: Path, client: Client) -> None:
        self.world = world
        self._log = log
        self._client = client
        self._view: View | None = None
        self._seen = 0
        self._seen_s = time.monotonic()

    async def follow(self, viewer: Client) -> None:
        """Keeps the newest view; runs until cancelled."""
        async for view in viewer.views():
            self._view = view

    def spell(self) -> Spell:
        """What happened since the last look."""
        calls = read_log(self._log)[self._seen :]
        now_s = time.monotonic()
        found = Spell(seconds=now_s - self._seen_s, written=_written(calls), flushed=_flushed(calls))
        self._seen, self._seen_s = self._seen + len(calls), now_s
        return found

    async def sell(self, line_s: float, *, card: bool) -> Sale:
        """One sale of `LINES` lines, one each `line_s`."""
        self.spell()
        for number, item in enumerate(ITEMS, 1):
            began_s = time.monotonic()
            self.world.bench.scanner.scan(goods.scan_bytes(item))
            await self._see(lambda view, number=number: len(view.sale.lines) == number)  # type: ignore[misc]
            await asyncio.sleep(max(0.0, line_s - (time.monotonic() - began_s)))
        ringing = self.spell()
        papers = len(self.world.bench.papers)
        await self._client.call("sale.card" if card else "sale.cash", {})
        await self._see(lambda view: view.sale.mode == "idle" and view.receipts_waiting == 0)
        assert await until(lambda: len(self.world.bench.papers) > papers, PATIENCE_S), "no receipt came"
        self.world.bench.drawer.shut()
        await asyncio.sleep(RECEIPT_S)
        return Sale(card=card, ringing=ringing, paying=self.spell())

    async def ready(self) -> None:
        """Returns when all devices are."""
        await self._see(lambda view: all(device.phase == "ready" for device in view.devices))

    async def _see(self, condition: Callable[[View], bool]) -> None:
        assert await until(lambda: self._view is not None and condition(self._view), PATIENCE_S, 0.002), (
            f"waited in vain: {self._view}"
        )


@asynccontextmanager
async def world_over_shim(root: Path) -> AsyncIterator[World]:
    """A counter with its headquarters, whose terminal's calls are written down in `root`."""
    world = World(root / "world", lambda _: None)
    try:
        with _environ(environment(world.layout.terminal, log=str(root / LOG))):
            await world.start()
        yield world
    finally:
        await world.stop()


@asynccontextmanager
async def counting(world: World, root: Path) -> AsyncIterator[Counting]:
    """A look at that world's terminal while its devices are ready."""
    async with connect(world.layout.control_socket) as client, connect(world.layout.control_socket) as viewer:
        counter = Counting(world, root / LOG, client)
        following = asyncio.create_task(counter.follow(viewer), name="screen")
        try:
            await counter.ready()
            yield counter
        finally:
            following.cancel()


async def mutate(world: World, root: Path, program: str) -> None:
    """Kills the daemon, and starts one that runs a program before it begins: a mutant for proofs to catch."""
    await world.daemon.kill()
    world.layout.control_socket.unlink()
    (root / "mutant").mkdir()
    (root / "mutant" / "sitecustomize.py").write_text(program)
    shim = environment(world.layout.terminal, log=str(root / LOG))
    pins = world.bench.drawer.environment()
    folders = [str(root / "mutant"), pins["PYTHONPATH"], shim["PYTHONPATH"]]
    world.daemon = processes.daemon(world.layout, {**shim, **pins, "PYTHONPATH": os.pathsep.join(folders)})
    await world.daemon.start()
    await world.daemon.wait_for_path(world.layout.control_socket)


@contextmanager
def _environ(values: Mapping[str, str]) -> Iterator[None]:
    """Variables for whoever is started meanwhile."""
    before = dict(os.environ)
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def _written(calls: Sequence[Call]) -> Counter[str]:
    found: Counter[str] = Counter()
    for call in calls:
        if call.writes:
            found[call.name] += call.bytes
    return found


def _flushed(calls: Sequence[Call]) -> Counter[str]:
    return Counter(call.name for call in calls if call.flushes)
