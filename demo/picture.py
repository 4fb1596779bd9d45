"""``python -m demo.picture FILE.png``: the README's picture, taken from a real session that a script plays.

The picture is Textual's own screenshot of the virtual counter; ``rsvg-convert`` (librsvg) makes the PNG of it.
"""

import argparse
import asyncio
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from textual.pilot import Pilot

from demo.app import VirtualCounter
from demo.world import World

COLUMNS, ROWS = 180, 48
WIDTH_PX = 1600
READY_S = 30.0
SETTLE_S = 60.0

# A crowd with the plug pulled and the network cut under it, then a sale in cash, then a basket that stays open.
_CROWD_S = 6.0
_CASH_SALE = ("2", "3", "5", "4", "f1", "2", "0", "enter")
_BASKET = ("1", "right", "5", "5", "3", "left", "4", "right", "8", "right", "4", "4", "left", "left", "5")
_PAUSE_S = 0.35


class NotSettled(RuntimeError):
    """What the picture is to show did not come about in time."""


async def play(app: VirtualCounter, pilot: Pilot[None]) -> None:
    """Plays the session up to the moment of the picture. Raises NotSettled."""
    await _until(pilot, lambda: app.ready, READY_S)
    await pilot.press("a")
    await pilot.pause(_CROWD_S)
    await pilot.press("k")
    await pilot.pause(_CROWD_S)
    await pilot.press("n", "k")
    await pilot.pause(_CROWD_S)
    await pilot.press("n", "a")
    await _until(pilot, lambda: not app.actions.crowd_shops and app.ready, SETTLE_S)
    await _press(pilot, *_CASH_SALE)
    await _until(
        pilot, lambda: not app.counter.panel_open and app.view is not None and app.view.sale.mode == "idle", SETTLE_S
    )
    await pilot.pause(2.0)
    await pilot.press("o")
    await _press(pilot, "t", *_BASKET)
    await pilot.press("v")
    await _until(pilot, lambda: app.settled and app.actions.chain == "whole", SETTLE_S)
    await pilot.pause(1.0)


async def take(path: Path) -> None:
    """Sets a world up, plays in it, and writes the picture to `path` (PNG)."""
    with tempfile.TemporaryDirectory(prefix="terminald-picture-") as folder:
        world = World(Path(folder) / "world", lambda _: None)
        try:
            await world.start()
            app = VirtualCounter(world)
            async with app.run_test(size=(COLUMNS, ROWS)) as pilot:
                await play(app, pilot)
                svg = app.export_screenshot()
        finally:
            await world.stop()
        drawn = Path(folder) / "picture.svg"
        # librsvg takes a space that begins a text for none, unless it is told.
        drawn.write_text(svg.replace("<svg ", '<svg xml:space="preserve" ', 1), encoding="utf-8")
        command = ("rsvg-convert", "--width", str(WIDTH_PX), "--output", str(path), str(drawn))
        await asyncio.to_thread(subprocess.run, command, check=True)


async def _press(pilot: Pilot[None], *keys: str) -> None:
    """Presses keys as a person does, one after the other."""
    for key in keys:
        await pilot.press(key)
        await pilot.pause(_PAUSE_S)


async def _until(pilot: Pilot[None], condition: Callable[[], bool], timeout_s: float) -> None:
    end_s = asyncio.get_running_loop().time() + timeout_s
    while not condition():
        if asyncio.get_running_loop().time() > end_s:
            raise NotSettled(
                "the counter did not come to rest; look at its logs with: make demo ARGS='--directory DIR'"
            )
        await pilot.pause(0.1)


def main() -> int:
    """Takes the picture."""
    parser = argparse.ArgumentParser(prog="python -m demo.picture", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("path", type=Path, metavar="FILE.png")
    path = parser.parse_args().path
    if shutil.which("rsvg-convert") is None:
        print("picture: rsvg-convert is missing (Debian: librsvg2-bin)", file=sys.stderr)
        return 2
    asyncio.run(take(path))
    return 0


if __name__ == "__main__":
    sys.exit(main())
