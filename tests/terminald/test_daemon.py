"""The daemon's life as a process: a sale, signals, plug pulls, and what it leaves in its folder."""

import asyncio
import json
import resource
import sys
from pathlib import Path

import pytest

from core import entries as e
from demo import goods
from drivers.simulated.payment import BRAND, MASKED_PAN, Behaviour
from terminald.cli import CANNOT, SOFTWARE
from terminald.client import CallFailed, Disconnected
from tests.countertop import COLA, COMMANDED_S, NUTELLA, Countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

LOG_BYTES_MAX = 12_288
NUTELLA_CODE, COLA_CODE = goods.scan_bytes(NUTELLA), goods.scan_bytes(COLA)


async def test_cash_sale(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE, COLA_CODE)
    told = await counter.call("sale.cash", amount_minor=1000)
    assert told["notice"] == {"id": "sale-completed", "params": {"change_minor": 522}}
    (paper,) = await counter.papers(1)
    assert "Nutella 400 g" in paper
    assert "COPY" not in paper
    await until(lambda: counter.drawer_openings == 1, "the drawer", counter.told)


async def test_open_basket_survives_a_plug_pull(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE, COLA_CODE)
    before = counter.view.sale
    view = await counter.restart()
    assert view.sale == before
    assert view.boot
    await counter.call("sale.cash")
    await counter.completed()
    assert (await counter.papers(1))[0].count("Nutella") == 1
    started = [entry for entry in counter.records() if isinstance(entry, e.DaemonStarted)]
    assert [entry.clean for entry in started] == [False]


async def test_sigterm_in_the_middle_of_a_sale(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    before = counter.view.sale
    assert await counter.daemon.stop() == 0
    assert not counter.layout.control_socket.exists()
    view = await counter.start()
    assert view.sale == before
    kinds = [entry.__struct_config__.tag for entry in counter.records()]
    assert kinds.index("daemon_stopped") < kinds.index("daemon_started")
    assert [entry.clean for entry in counter.records() if isinstance(entry, e.DaemonStarted)] == [True]


async def test_an_order_is_done_once_for_its_key(counter: Countertop) -> None:
    """The same key again, in the same life and after a plug pull, does nothing more."""
    await counter.ring_up(NUTELLA_CODE)
    first = await counter.call("sale.scan", data="5449000000996", key="order-1")
    assert first["entries"] == ["item_added"]
    again = await counter.call("sale.scan", data="5449000000996", key="order-1")
    assert again["entries"] == []
    await counter.restart()
    again = await counter.call("sale.scan", data="5449000000996", key="order-1")
    assert again["entries"] == []
    assert [line.quantity_milli for line in counter.view.sale.lines] == [1000, 1000]


async def test_the_drawer_is_opened_once_for_a_key(counter: Countertop) -> None:
    """A no-sale is in the journal before the kick, so that no retry kicks again."""
    await counter.call("drawer.open", key="drawer-1")
    await until(lambda: counter.drawer_openings == 1, "the drawer", counter.told)
    await counter.shut_drawer()
    await counter.restart()
    await counter.call("drawer.open", key="drawer-1")
    await counter.ring_up(NUTELLA_CODE)
    assert counter.drawer_openings == 1
    assert counter.count(e.DrawerCommanded) == 1


@pytest.mark.parametrize("key", ["4111111111111111", "till:4111-1111-1111-1111", "two words", "x" * 129])
async def test_a_key_that_may_be_a_cards_number_is_not_kept(counter: Countertop, key: str) -> None:
    """It would stand in the journal for good."""
    assert await counter.refusal("sale.scan", data=NUTELLA.gtin, key=key) == "key-not-valid"
    assert not counter.view.sale.lines


async def test_a_refused_order_may_be_tried_again_with_its_key(counter: Countertop) -> None:
    assert await counter.refusal("sale.cash", key="early") == "no-open-sale"
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.cash", key="early")
    await counter.completed()


async def test_device_unplugged_in_the_middle_of_a_sale(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    for device in (counter.bench.scanner, counter.bench.printer, counter.bench.payment):
        device.unplug()
    await counter.see(lambda view: sum(device.phase == "ready" for device in view.devices) == 1, "three lost devices")
    assert counter.view.sale.total_minor == 379
    for device in (counter.bench.scanner, counter.bench.printer, counter.bench.payment):
        device.plug()
    await counter.see(lambda view: all(device.phase == "ready" for device in view.devices), "their return")
    await counter.ring_up(COLA_CODE)
    await counter.call("sale.card")
    await counter.completed()
    assert len(await counter.papers(1)) == 1


async def test_drawer_opened_by_hand_and_by_order(counter: Countertop) -> None:
    await asyncio.sleep(2 * COMMANDED_S)  # a kick of the test before would count as this opening's
    counter.bench.drawer.pry()
    await counter.notice("drawer-opened-by-hand")
    await counter.shut_drawer()
    await counter.call("drawer.open")
    await until(lambda: counter.count(e.DrawerOpened) == 2, "two openings", counter.told)
    commanded = [entry.commanded for entry in counter.records() if isinstance(entry, e.DrawerOpened)]
    assert commanded == [False, True]


async def test_second_daemon_on_the_same_terminal(counter: Countertop) -> None:
    """It says what is the matter and what to do; the first one sells on."""
    status, said = await _run_to_its_end("terminald", "run", "--config", str(counter.layout.config))
    assert status == CANNOT
    assert "stop it first" in said
    assert "Traceback" not in said
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.cash")
    await counter.completed()


async def test_second_daemon_with_a_socket_of_its_own(counter: Countertop) -> None:
    """The journal itself takes one daemon alone."""
    config = counter.layout.terminal / "second.toml"
    config.write_text(counter.layout.config.read_text() + '[control]\nsocket = "second.sock"\n')
    status, said = await _run_to_its_end("terminald", "run", "--config", str(config))
    assert status == CANNOT
    assert "journal-in-use" in said
    assert "stop it first" in said
    await counter.ring_up(NUTELLA_CODE)
    await counter.call("sale.cash")
    await counter.completed()


async def test_socket_left_by_a_killed_daemon_is_replaced(counter: Countertop) -> None:
    await counter.daemon.kill()
    assert counter.layout.control_socket.exists()
    await counter.start()
    assert (await counter.call("daemon.status"))["pid"] == counter.daemon.pid


async def test_folder_and_logs_hold_no_goods_no_amount_no_tag_no_card(counter: Countertop) -> None:
    """What is at rest is encrypted, and what is logged names no goods: looked for byte by byte, after faults too."""
    track = ";4111111111111111=30121010000000000?"
    counter.bench.scanner.scan(track.encode())
    await counter.notice("code-is-card")
    await counter.ring_up(NUTELLA_CODE, COLA_CODE)
    counter.bench.payment.behaviour = Behaviour.MUTE_AFTER_CHARGE
    await counter.call("sale.card")
    await counter.completed()
    await counter.papers(1)
    await counter.daemon.kill()
    canaries = ["Nutella", "Coca", "3017620422003", "5449000000996", '"total_minor"', "item_added", "4.78", ":478"]
    canaries += ["4111111111111111", "3012101", MASKED_PAN, MASKED_PAN[-4:] + '"', BRAND]
    found = [
        (path.name, canary)
        for path in _files(counter.layout.terminal, counter.layout.logs)
        for canary in canaries
        if canary.encode() in path.read_bytes()
    ]
    assert not found
    assert {path.name for path in _files(counter.layout.terminal)} >= {"journal.db", "journal.db-wal", "catalogue.db"}
    kept = json.dumps([e.encode(entry).decode() for entry in counter.records()])
    assert "4111111111111111" not in kept
    assert "Nutella" in kept, "the search would find it in plain text"


async def test_medium_that_fails_ends_the_daemon_and_loses_nothing(counter: Countertop) -> None:
    """A write fails: nobody knows what was kept, so the process ends and looks after its restart."""
    await counter.ring_up(NUTELLA_CODE)
    before = counter.view.sale
    pid = counter.daemon.pid
    assert pid is not None
    limit = LOG_BYTES_MAX  # its log goes on, its journal does not
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (limit, limit))
    with pytest.raises((CallFailed, Disconnected)):
        await counter.call("sale.cash")
    await until(lambda: not counter.daemon.running, "the end of the daemon", counter.told)
    assert await counter.daemon.stop() == SOFTWARE
    assert "journal-outcome-unknown" in counter.log
    assert "379" not in counter.log.split("journal-outcome-unknown")[-1]
    view = await counter.start()
    assert view.sale == before
    assert counter.drawer_openings == 0
    await counter.call("sale.cash")
    await counter.completed()


def _files(*folders: Path) -> list[Path]:
    return [path for folder in folders for path in sorted(folder.rglob("*")) if path.is_file()]


async def _run_to_its_end(*command: str) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said, _ = await process.communicate()
    return process.returncode, said.decode()
