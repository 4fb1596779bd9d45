"""Keyboard scanners of any layout before a real daemon, under umockdev: nobody has told it how they are set."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.countertop import COLA, NUTELLA, countertop
from tests.drivers.typing_scanner import typed
from tests.plugs import is_installed, usb_bus
from tests.terminald.test_plugging import HONEYWELL, Plugboard

pytestmark = pytest.mark.skipif(not is_installed(), reason="umockdev is not installed (apt install libumockdev0)")


@pytest_asyncio.fixture
async def board(tmp_path: Path) -> AsyncIterator[Plugboard]:
    async with usb_bus(tmp_path) as bus, countertop(tmp_path / "shop", ("drawer",), start=False) as counter:
        made = Plugboard(counter, bus)
        await made.start()
        yield made


async def test_two_scanners_of_two_layouts_at_once(board: Plugboard) -> None:
    """Their keys come in turn, one by one; each code is its own scanner's."""
    await board.bus.plug("left", "keyboard", HONEYWELL, serial="L")
    await board.bus.plug("right", "keyboard", HONEYWELL, serial="R", port="1.2")
    await board.sees(scanner_l="ready", scanner_r="ready")
    french, american = typed(NUTELLA.gtin, "fr"), typed(COLA.gtin)
    while french or american:
        await board.bus.press("left", french[:8])
        await board.bus.press("right", american[:4])
        del french[:8], american[:4]
    await board.sold(2)
    assert {line.gtin for line in board.counter.view.sale.lines} == {NUTELLA.gtin.zfill(14), COLA.gtin.zfill(14)}
    assert "fr" in str(board.device("scanner-l").detail["layouts_possible"]).split()
    assert "us" in str(board.device("scanner-r").detail["layouts_possible"]).split()


async def test_pulled_in_the_middle_of_a_code_and_put_in_elsewhere(board: Plugboard) -> None:
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="S")
    await board.sees(scanner_s="ready")
    await board.bus.type("new", NUTELLA.gtin, "fr")
    await board.sold(1)
    await board.bus.press("new", typed(COLA.gtin, "fr")[:20])
    await board.bus.unplug("new")
    await board.sees(scanner_s="absent")
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="S", port="1.3")
    await board.sees(scanner_s="ready")
    await board.bus.type("new", COLA.gtin, "fr")
    await board.sold(2)
    detail = board.device("scanner-s").detail
    # Half a code is torn where it had come this far; what was in the cable went with it.
    assert (detail["reads"], detail["quality"]) == (2, "good")
    assert detail["torn"] in (0, 1)
    await board.counter.call("sale.cash")
    await board.counter.completed()


async def test_what_reads_in_two_ways_is_refused_until_the_layout_is_known(board: Plugboard) -> None:
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="S")
    await board.sees(scanner_s="ready")
    await board.bus.type("new", "YVONNE7")
    assert (await board.counter.notice("scan-layout-unknown"))["device"] == "scanner-s"
    assert board.device("scanner-s").detail["quality"] == "set-layout"
    await board.bus.type("new", f"https://id.gs1.org/01/{COLA.gtin.zfill(14)}/10/AZ-1")
    await board.sold(1)
    await board.bus.type("new", "YVONNE7")
    await board.counter.notice("code-unknown")
