"""The virtual counter, played by its keys and clicks, over a real daemon, broker and collector."""

import asyncio
from collections.abc import AsyncIterator, Callable
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot
from textual.widgets import Static

from demo.app import VirtualCounter
from demo.world import World
from ui.merchant.actions import ACTIONS
from ui.merchant.curtain import Help

WAIT_S = 40.0
LONG_S = 180
"""A whole shop starts, works and stops in each of these tests."""


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """A shop with everything running."""
    world = World(tmp_path / "shop", lambda _: None)
    try:
        await world.start()
        yield world
    finally:
        await world.stop()


async def until(pilot: Pilot[None], condition: Callable[[], bool]) -> None:
    """Waits until a condition holds, drawing meanwhile."""
    end_s = asyncio.get_running_loop().time() + WAIT_S
    while not condition():
        assert asyncio.get_running_loop().time() < end_s, "it did not come about in time"
        await pilot.pause(0.05)


def lines(app: VirtualCounter) -> int:
    """How many lines the open basket has; -1 while the till is away."""
    return len(app.view.sale.lines) if app.view is not None else -1


@pytest.mark.timeout(LONG_S)
async def test_a_day_at_the_counter(world: World) -> None:
    app = VirtualCounter(world)
    async with app.run_test(size=(180, 50)) as pilot:
        await until(pilot, lambda: app.ready)
        assert "Nutella 400 g" in str(app.shelf.query("Tile").first().render())

        # Scan by key and by click, pay in cash: the receipt comes out and the drawer opens.
        await pilot.press("1")
        await until(pilot, lambda: lines(app) == 1)
        await pilot.click(app.shelf.query("Tile")[1])
        await until(pilot, lambda: lines(app) == 2)
        await pilot.press("f1", "5", "enter")
        await until(pilot, lambda: [receipt.total_minor for receipt in world.bench.receipts] == [478])
        assert "TOTAL EUR" in app.roll.text()
        await until(pilot, lambda: "open" in app.drawer.plain())
        await pilot.press("o")
        assert "shut" in app.drawer.plain()

        # What must be refused is refused aloud, and opens no sale.
        for key, words in (("7", "item-expired"), ("8", "item-not-found"), ("9", "check-digit-wrong")):
            await pilot.press(key)
            await until(pilot, partial(_told, app, words))
        assert lines(app) == 0
        await until(pilot, lambda: "1 bad" in app.devices.plain())

        # A card is charged once, although the answer is lost.
        await pilot.press("3", "t")
        await until(pilot, lambda: lines(app) == 1 and app.view is not None and app.view.sale.customer)
        await pilot.press("f2")
        await until(pilot, lambda: world.bench.payment.held is not None)
        assert "Present card" in app.card.plain()
        await pilot.press("x")
        await until(pilot, lambda: len(world.bench.receipts) == 2)
        assert world.bench.payment.charged_minor() == 199

        # The plug, with a basket open and the network cut: the basket comes back, and the totals agree again.
        await pilot.press("n", "4", "5", "6")
        await until(pilot, lambda: lines(app) == 3 and not world.broker.running)
        await pilot.press("k")
        await until(pilot, lambda: app.view is None)
        await until(pilot, lambda: world.daemon.running)
        await pilot.press("k")  # and again, while it starts
        await until(pilot, lambda: lines(app) == 3)
        assert world.plug_pulls == 2
        await pilot.press("f1", "enter")
        await until(pilot, lambda: len(world.bench.receipts) == 3)
        assert "the network is cut" in app.day.plain()
        await pilot.press("n")
        await until(pilot, lambda: app.settled)
        app.show_all()
        assert "agree to the cent" in app.day.plain()
        assert "lost 0, counted twice 0" in app.proof.plain()

        # The journal is verified when asked for, and a damaged one is not called whole.
        await pilot.press("v")
        await until(pilot, lambda: any("The journal is whole" in said for said in app.story.told()))
        await world.daemon.kill()
        for part in ("journal.db", "journal.db-wal"):
            with (world.layout.terminal / part).open("r+b") as file:
                content = file.read()
                file.seek(len(content) // 2)
                file.write(bytes(len(content) - file.tell()))
        await pilot.press("v")
        await until(pilot, lambda: any("The journal is damaged" in said for said in app.story.told()))
        app.show_all()
        assert "chain BROKEN" in app.proof.plain()


@pytest.mark.timeout(LONG_S)
async def test_mishaps_at_the_bench(world: World) -> None:
    app = VirtualCounter(world)
    async with app.run_test(size=(120, 36)) as pilot:
        await until(pilot, lambda: app.ready)

        # Digits scan goods here: nowhere is it said that they type a code.
        assert "F3" in str(app.counter.query_one(".hint", Static).render())
        assert "0-9" not in str(app.counter.query_one(Help).query_one(".list", Static).render())

        # Without paper the sale completes, and the receipt comes out with the new roll.
        await pilot.press("p", "1")
        await until(pilot, lambda: lines(app) == 1)
        await pilot.press("f1", "enter")
        await until(pilot, lambda: app.view is not None and app.view.receipts_waiting == 1)
        assert app.roll.pieces == 0
        await pilot.press("p")
        await until(pilot, lambda: app.roll.pieces == 1)

        # A cable pulled and put in again, by the key's choice and by a click on the device.
        await pilot.press("u", "1")
        await until(pilot, lambda: "unplugged" in app.devices.plain() or "gone" in app.devices.plain())
        await pilot.click(app.devices, offset=(3, 1))
        assert world.bench.scanner.plugged
        await until(pilot, lambda: app.ready)
        await pilot.press("u", "escape", "right", "1")
        await until(pilot, lambda: lines(app) == 1)
        assert app.view is not None
        assert app.view.sale.lines[0].name == "Bananas"
        assert app.view.sale.lines[0].quantity_milli == 642, "what lay on the scale"

        # A letter while the merchant types an amount is still the bench's; a digit is not.
        await pilot.press("f1", "7", "t")
        await until(pilot, lambda: app.view is not None and app.view.sale.customer)
        assert app.counter.panel_open
        assert lines(app) == 1

        # A crowd waits until the open basket is done, shops at the same devices, and leaves when it is told to.
        await pilot.press("escape", "a")
        assert not app.actions.crowd_shops
        await pilot.press("f1", "enter")
        await until(pilot, lambda: len(world.bench.receipts) == 2)
        await pilot.press("a")
        await until(pilot, lambda: len(world.bench.receipts) >= 4)
        await pilot.press("a")
        await until(pilot, lambda: not app.actions.crowd_shops and app.settled)
        assert not any("not served" in said for said in app.story.told())

        await pilot.resize_terminal(100, 30)
        await until(pilot, lambda: app.query_one("#small").display)


def test_no_key_is_both_the_merchants_and_the_benchs(tmp_path: Path) -> None:
    bench = {key.key for key in VirtualCounter(World(tmp_path, lambda _: None)).actions.keys}
    merchant = {action.key for action in ACTIONS} | {"up", "down", "?", "enter"}
    assert not bench & merchant
    assert not any(key.isdigit() for key in bench)


def _told(app: VirtualCounter, condition: str) -> bool:
    return app.view is not None and app.view.notice is not None and app.view.notice.message.id == condition
