"""A whole counter with somebody at it, for benches: real drivers over simulated cables, the real journal and headquarters."""

import asyncio
import sys
import tempfile
from collections.abc import Callable, Coroutine, Sized
from pathlib import Path
from typing import TypeVar

from core.view import View
from demo.world import World, until
from terminald.client import Link

T = TypeVar("T")
PATIENCE_S = 10.0


class Cashier:
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

    async def is_in(self, mode: str) -> None:
        assert await until(lambda: self.mode == mode, PATIENCE_S, 0.002), f"the till is {self.mode}, not {mode}"

    def _on_view(self, view: object) -> None:
        assert isinstance(view, View)
        self.mode = view.sale.mode
        self.ready = all(device.phase == "ready" for device in view.devices)


def at_a_counter(measure: Callable[[Cashier], Coroutine[None, None, T]]) -> T:
    """What `measure` finds once all devices are ready."""

    async def run() -> T:
        with tempfile.TemporaryDirectory(prefix="terminald-bench-") as folder:
            world = World(Path(folder) / "world", lambda text: print(text, file=sys.stderr))
            try:
                await world.start()
                cashier = Cashier(world)
                follower = asyncio.create_task(cashier.follow(), name="cashier")
                try:
                    assert await until(lambda: cashier.ready, 30.0), "the devices are not ready"
                    return await measure(cashier)
                finally:
                    follower.cancel()
            finally:
                await world.stop()

    return asyncio.run(run())


async def grows(values: Sized, count: int) -> None:
    """Returns when more than `count` values are there."""
    assert await until(lambda: len(values) > count, PATIENCE_S, 0.0005), "nothing came"


async def ring_up(cashier: Cashier, code: bytes) -> None:
    """Scans the first item of a sale."""
    await asyncio.sleep(0.16)  # the same code sooner would be a double read
    cashier.world.bench.scanner.scan(code)
    await cashier.is_in("ringing")
