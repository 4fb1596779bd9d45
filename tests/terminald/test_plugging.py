"""Devices that are plugged in, pulled out and put into other ports, before a real daemon on a bus of umockdev's."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.view import DeviceView, View
from tests.countertop import COLA, NUTELLA, Countertop, countertop
from tests.plugs import Bus, is_installed, usb_bus

pytestmark = pytest.mark.skipif(not is_installed(), reason="umockdev is not installed (apt install libumockdev0)")

ZEBRA, HONEYWELL, KEYBOARD = "05e0:1701", "0c2e:0b61", "046d:c31c"


class Plugboard:
    """A counter whose scanners hang at a USB bus."""

    def __init__(self, counter: Countertop, bus: Bus) -> None:
        self.counter = counter
        self.bus = bus

    async def start(self, tables: str = "") -> None:
        """Starts the daemon with these tables more."""
        with self.counter.layout.config.open("a") as file:
            file.write(tables)
        self.counter.environment = self.bus.environment
        await self.counter.start("drawer")

    async def sees(self, **phases: str) -> View:
        """Waits until the daemon has these scanners, and no others."""
        wanted = {name.replace("_", "-"): phase for name, phase in phases.items()}
        return await self.counter.see(
            lambda view: {d.name: d.phase for d in view.devices if d.kind == "Scanner"} == wanted, f"{wanted}"
        )

    async def sold(self, count: int) -> None:
        """Waits until there are so many pieces in the basket."""
        await self.counter.see(lambda view: _pieces(view) == count, f"{count} pieces in the basket")

    def device(self, name: str) -> DeviceView:
        """As the screen has it now."""
        return next(device for device in self.counter.view.devices if device.name == name)


def _pieces(view: View) -> int:
    return sum(line.quantity_milli // 1000 for line in view.sale.lines)


@pytest_asyncio.fixture
async def board(tmp_path: Path) -> AsyncIterator[Plugboard]:
    async with usb_bus(tmp_path) as bus, countertop(tmp_path / "shop", ("drawer",), start=False) as counter:
        yield Plugboard(counter, bus)


async def test_a_scanner_bought_on_a_saturday(board: Plugboard) -> None:
    """No word of it in the configuration, and it works at once; the merchant is told so."""
    await board.start()
    await board.sees()
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="B17-4711")
    await board.sees(scanner_b17_4711="ready")
    assert (await board.counter.notice("device-new"))["device"] == "scanner-b17-4711"
    await board.bus.type("new", NUTELLA.gtin)
    await board.sold(1)
    await board.bus.plug("other", "acm", ZEBRA, port="1.4")
    await board.sees(scanner_b17_4711="ready", scanner_1_4="ready")
    await board.bus.send("other", COLA.gtin.encode() + b"\r")
    await board.sold(2)
    assert board.device("scanner-1-4").driver == "scanner-serial"


async def test_a_kicked_cable_and_another_port(board: Plugboard) -> None:
    """The sale goes on, and the scanner has its name again wherever it is put."""
    await board.start()
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="S1")
    await board.sees(scanner_s1="ready")
    await board.bus.type("new", NUTELLA.gtin)
    await board.sold(1)
    for port in ("1.2", "1.3"):
        await board.bus.unplug("new")
        await board.sees(scanner_s1="absent")
        await board.bus.plug("new", "keyboard", HONEYWELL, serial="S1", port=port)
        await board.sees(scanner_s1="ready")
        assert f"0:{port}" in board.device("scanner-s1").place
    await board.bus.type("new", COLA.gtin)
    await board.sold(2)
    told = board.device("scanner-s1")
    assert told.detail["faults"] == 2
    assert told.between_faults_s is not None


async def test_the_operators_keyboard_is_left_alone(board: Plugboard) -> None:
    await board.start()
    await board.bus.plug("keyboard", "keyboard", KEYBOARD)
    await board.bus.plug("adapter", "acm", "0403:6001", port="1.2")
    await board.bus.plug("scanner", "acm", ZEBRA, serial="Z", port="1.3")
    await board.sees(scanner_z="ready")


async def test_any_keyboard_where_the_shop_says_so(board: Plugboard) -> None:
    await board.start("[devices]\nadopt_keyboards = true\n")
    await board.bus.plug("keyboard", "keyboard", KEYBOARD)
    await board.sees(scanner_1_1="ready")


async def test_nothing_is_adopted_where_the_shop_says_so(board: Plugboard) -> None:
    await board.start('[devices]\nadopt = []\n[device.till]\ndriver = "scanner-serial"\nvendor = "05e0"\n')
    await board.bus.plug("scanner", "keyboard", HONEYWELL)
    await board.bus.plug("known", "acm", ZEBRA, port="1.2")
    await board.sees(till="ready")


async def test_the_closest_description_wins_and_then_the_first(board: Plugboard) -> None:
    await board.start(
        '[device.any]\ndriver = "scanner-serial"\nvendor = "05e0"\n'
        '[device.left]\ndriver = "scanner-serial"\nvendor = "05e0:1701"\n'
        '[device.right]\ndriver = "scanner-serial"\nport_path = "pci-0:usb-0:1.3"\n'
        '[device.mine]\ndriver = "scanner-serial"\nserial = "M"\n'
    )
    await board.sees(any="absent", left="absent", right="absent", mine="absent")
    await board.bus.plug("a", "acm", ZEBRA, port="1.1")
    await board.bus.plug("b", "acm", ZEBRA, port="1.3")
    await board.bus.plug("c", "acm", ZEBRA, serial="M", port="1.2")
    await board.bus.plug("d", "acm", "05e0:0600", port="1.4")
    await board.sees(any="ready", left="ready", right="ready", mine="ready")
    places = {name: board.device(name).place for name in ("any", "left", "right", "mine")}
    assert places == {
        "any": "pci-0:usb-0:1.4:1.0",
        "left": "pci-0:usb-0:1.1:1.0",
        "right": "pci-0:usb-0:1.3:1.0",
        "mine": "pci-0:usb-0:1.2:1.0",
    }


async def test_a_table_for_several_keeps_their_names_through_a_restart(board: Plugboard) -> None:
    await board.start('[device.desk]\ndriver = "scanner-hid"\nvendor = "0c2e"\n')
    await board.bus.plug("one", "keyboard", HONEYWELL, serial="ONE", port="1.3")
    await board.sees(desk="ready")
    await board.bus.plug("two", "keyboard", HONEYWELL, serial="TWO", port="1.2")
    await board.sees(desk="ready", desk_two="ready")
    assert await board.counter.daemon.stop() == 0
    await board.bus.unplug("one")
    await board.start()
    await board.sees(desk="absent", desk_two="ready")
    await board.bus.plug("one", "keyboard", HONEYWELL, serial="ONE", port="1.1")
    await board.sees(desk="ready", desk_two="ready")
    assert board.device("desk").identity.endswith("ONE")


async def test_a_scanner_that_was_replaced(board: Plugboard) -> None:
    """The new one takes the table's own name; the old one, when it comes back, gets one of its own."""
    await board.start('[device.desk]\ndriver = "scanner-hid"\nvendor = "0c2e"\n')
    await board.bus.plug("old", "keyboard", HONEYWELL, serial="OLD")
    await board.sees(desk="ready")
    await board.bus.unplug("old")
    await board.bus.plug("new", "keyboard", HONEYWELL, serial="NEW")
    await board.sees(desk="ready")
    assert board.device("desk").identity.endswith("NEW")
    await board.bus.plug("old", "keyboard", HONEYWELL, serial="OLD", port="1.2")
    await board.sees(desk="ready", desk_old="ready")


async def test_two_devices_with_one_serial_number(board: Plugboard) -> None:
    await board.start()
    await board.bus.plug("one", "keyboard", HONEYWELL, serial="0000", port="1.1")
    await board.bus.plug("two", "keyboard", HONEYWELL, serial="0000", port="1.2")
    await board.counter.see(
        lambda view: sum(d.phase == "ready" for d in view.devices if d.kind == "Scanner") == 2, "both scanners"
    )
    await board.bus.type("one", NUTELLA.gtin)
    await board.bus.type("two", COLA.gtin)
    await board.sold(2)


async def test_links_of_a_killed_daemon_are_gone_and_nothing_else(board: Plugboard) -> None:
    folder = board.counter.layout.terminal / ".devices"
    folder.mkdir()
    (folder / "desk").symlink_to("/dev/null")
    (folder / "old").symlink_to("/dev/null")
    (folder / "notes.txt").write_text("ours")
    await board.start('[device.desk]\ndriver = "scanner-hid"\nvendor = "0c2e"\n')
    await board.sees(desk="absent")
    assert sorted(each.name for each in folder.iterdir()) == ["notes.txt"]


async def test_a_device_that_went_without_a_word(board: Plugboard) -> None:
    """No hangup comes, but udev says that it went: it is not believed to be there."""
    await board.start()
    await board.bus.plug("new", "acm", ZEBRA, serial="S1")
    await board.sees(scanner_s1="ready")
    await board.bus.vanish("new")
    await board.sees(scanner_s1="absent")
    await board.bus.plug("new", "acm", ZEBRA, serial="S1")
    await board.sees(scanner_s1="ready")
