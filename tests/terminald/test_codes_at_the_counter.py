"""What scanners and readers bring to the daemon: unknown, misread, torn, doubled, interleaved and binary codes, and tags."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from core import entries as e
from demo import goods
from drivers.simulated.tags import Ntag213
from tests.countertop import COLA, DOUBLE_READ_S, NUTELLA, Countertop, countertop

pytestmark = pytest.mark.asyncio(loop_scope="module")

NUTELLA_CODE = goods.scan_bytes(NUTELLA)
COLA_CODE = goods.scan_bytes(COLA)
GAP_S = 0.1
"""The scanner's driver takes a longer pause inside a code for its end."""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    """One with two scanners and a reader."""
    async with countertop(
        tmp_path_factory.mktemp("codes") / "shop", ("scanner", "second", "nfc", "printer")
    ) as counter:
        yield counter


def _scanner(counter: Countertop) -> dict[str, str | int]:
    return next(device.detail for device in counter.view.devices if device.name == "scanner")


def _basket(counter: Countertop) -> list[tuple[str, int]]:
    return [(line.name, line.quantity_milli // 1000) for line in counter.view.sale.lines]


async def _sells_on(counter: Countertop) -> None:
    """The sale goes on as if nothing had been."""
    before = _basket(counter)
    await asyncio.sleep(DOUBLE_READ_S)
    await counter.ring_up(COLA_CODE)
    assert _basket(counter) == [*before, ("Coca-Cola 330 ml", 1)]


async def test_unknown_code(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.scan(goods.UNKNOWN)
    assert await counter.notice("item-not-found") == {"code": "4006381333931"}
    assert counter.view.notice is not None
    assert counter.view.notice.level == "error", "an error sounds"
    await _sells_on(counter)


async def test_wrong_check_digit(counter: Countertop) -> None:
    before = int(_scanner(counter)["misreads"])
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.scan(goods.MISREAD)
    assert await counter.notice("check-digit-wrong") == {"code": "3017620422008"}
    await _sells_on(counter)
    assert [entry.reason for entry in counter.records() if isinstance(entry, e.ItemRefused)] == ["check-digit-wrong"]
    assert (_scanner(counter)["misreads"], _scanner(counter)["bad_reads"]) == (before + 1, 0)


async def test_expired_goods_are_not_sold(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.scan(goods.expired_yoghurt(datetime.now(UTC).astimezone().date()))
    await counter.notice("item-expired")
    await _sells_on(counter)


async def test_torn_scan(counter: Countertop) -> None:
    """A code cut off in the middle is no beginning of the next one."""
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.send(COLA_CODE[:7])
    assert (await counter.notice("scan-garbled"))["fault"] == "torn"
    await _sells_on(counter)


async def test_doubled_scan(counter: Countertop) -> None:
    """A scanner that sends a code twice has seen one piece."""
    counter.bench.scanner.send(2 * (NUTELLA_CODE + b"\r"))
    await counter.see(lambda _: bool(_basket(counter)), "the item")
    await _sells_on(counter)
    assert _basket(counter) == [("Nutella 400 g", 1), ("Coca-Cola 330 ml", 1)]


async def test_the_same_item_again_is_another_piece(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    await asyncio.sleep(DOUBLE_READ_S)
    await counter.ring_up(NUTELLA_CODE)
    assert _basket(counter) == [("Nutella 400 g", 2)]


async def test_two_codes_in_one_are_refused(counter: Countertop) -> None:
    """Two codes without an end between them are no item that either of them is."""
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.scan(b"54490000009963017620422003")
    await counter.notice("codes-glued")
    await _sells_on(counter)
    assert int(_scanner(counter)["glued"]) >= 1


async def test_binary_scan(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.send(bytes(range(0x80, 0xA0)) + b"\x00\x01\x02\r")
    assert (await counter.notice("scan-garbled"))["fault"] == "binary"
    await _sells_on(counter)


async def test_endless_scan(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.send(b"7" * 6_000 + b"\r")
    assert (await counter.notice("scan-garbled"))["fault"] == "overlong"
    await asyncio.sleep(2 * GAP_S)
    await _sells_on(counter)


async def test_two_scanners_at_once(counter: Countertop) -> None:
    """Their bytes arrive in turns; each code is whole, none is lost."""
    assert counter.second is not None
    first, second = NUTELLA_CODE + b"\r", COLA_CODE + b"\r"
    for at in range(max(len(first), len(second))):
        counter.bench.scanner.send(first[at : at + 1])
        counter.second.send(second[at : at + 1])
        await asyncio.sleep(0)
    await counter.see(lambda view: len(view.sale.lines) == 2, "both items")
    assert sorted(_basket(counter)) == [("Coca-Cola 330 ml", 1), ("Nutella 400 g", 1)]


async def test_the_same_code_by_two_scanners_is_two_pieces(counter: Countertop) -> None:
    assert counter.second is not None
    counter.bench.scanner.scan(NUTELLA_CODE)
    counter.second.scan(NUTELLA_CODE)
    await counter.see(lambda _: _basket(counter) == [("Nutella 400 g", 2)], "two pieces")


async def test_scanner_pulled_out_in_the_middle_of_a_code(counter: Countertop) -> None:
    """The basket stays, half a code is none, and the scanner comes back by itself."""
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.scanner.send(COLA_CODE[:6])
    counter.bench.scanner.unplug()
    await counter.see(lambda view: view.devices[0].phase == "absent", "the scanner's absence")
    assert counter.view.devices[0].fault is not None
    identity = counter.view.devices[0].identity
    counter.bench.scanner.plug()
    await counter.see(lambda view: view.devices[0].phase == "ready", "the scanner's return")
    assert counter.view.devices[0].identity == identity
    await _sells_on(counter)


async def test_tag_and_torn_tag(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.nfc.present(bytes.fromhex("04a1b2c3d4e5f6"))
    await counter.see(lambda view: view.sale.customer, "the customer")
    counter.bench.nfc.remove()
    await _sells_on(counter)


async def test_tag_pulled_away_in_the_middle_of_its_reading(counter: Countertop) -> None:
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.nfc.put(Ntag213(bytes.fromhex("04ffeeddccbbaa"), b"\x03\x04\xd0\x00\x00\xfe" * 20, reads_max=2))
    await counter.notice("tag-torn")
    assert not counter.view.sale.customer
    await _sells_on(counter)


async def test_no_uid_of_a_tag_is_kept_or_logged(counter: Countertop) -> None:
    """Neither in the journal's records nor, byte by byte, in any file of the terminal or in its log."""
    uid = bytes.fromhex("04c0de5eed1234")
    await counter.ring_up(NUTELLA_CODE)
    counter.bench.nfc.present(uid)
    await counter.see(lambda view: view.sale.customer, "the customer")
    counter.bench.nfc.remove()
    await counter.call("sale.cash")
    await counter.completed()
    sold = [entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted)]
    assert sold[0].customer
    hidden = (uid, uid.hex().encode(), uid.hex().upper().encode(), uid.hex(":").encode(), uid.hex(" ").encode())
    places = [counter.layout.terminal, counter.layout.logs]
    files = [path for place in places for path in place.rglob("*") if path.is_file()]
    contents = [path.read_bytes() for path in files] + [e.encode(entry) for entry in counter.records()]
    assert not any(form in content for form in hidden for content in contents)
