"""Swiped cards at a real daemon: a member joins the sale, a payment card is refused, and no number is kept or told."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from core import entries as e
from core.view import DeviceView
from demo import goods
from drivers.simulated.msr import SimulatedCardReader, idtech_message, with_lrc
from tests.countertop import NUTELLA, Countertop, countertop, until

pytestmark = pytest.mark.asyncio(loop_scope="module")

MEMBER = "6006490000000004"
OTHER = "7006490000001234"
STAFF = "98000123"
PAYMENT = "4012888888881881"
"""A test number that card schemes publish."""
CONFIGURATION = """
[device.msr]
driver = "msr-serial"
path = "../bench/msr"
[device.sealed]
driver = "msr-serial"
path = "../bench/sealed"
format = "idtech"
[[cards.range]]
kind = "loyalty"
prefix = "600649"
digits = 16
[[cards.range]]
kind = "staff"
prefix = "98"
"""


class Readers:
    """One in clear and one that encrypts."""

    def __init__(self, counter: Countertop) -> None:
        self.clear = SimulatedCardReader(counter.layout.bench / "msr")
        self.sealed = SimulatedCardReader(counter.layout.bench / "sealed")

    def swipe(self, number: str) -> None:
        name, track = f"%B{number}^TEST/CARD^29121010000000000?", f";{number}=29121010000000000?"
        self.clear.swipe(with_lrc(name.encode(), 1), with_lrc(track.encode(), 2))

    def close(self) -> None:
        self.clear.close()
        self.sealed.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def module_counter(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Countertop]:
    async with countertop(
        tmp_path_factory.mktemp("cards") / "shop", ("scanner", "card", "printer", "drawer"), start=False
    ) as made:
        made.layout.config.write_text(made.layout.config.read_text() + CONFIGURATION)
        yield made


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def readers(module_counter: Countertop) -> AsyncIterator[Readers]:
    made = Readers(module_counter)
    await module_counter.start("scanner", "card", "printer", "drawer", "msr", "sealed")
    yield made
    made.close()


async def test_a_member_joins_the_sale(readers: Readers, counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    readers.swipe(MEMBER)
    await counter.see(lambda view: view.sale.customer, "the customer")
    await counter.call("sale.cash")
    await counter.completed()
    (sold,) = (entry for entry in counter.records() if isinstance(entry, e.TransactionCompleted))
    assert sold.customer
    counter.forget()
    readers.swipe(MEMBER)
    await counter.see(lambda view: view.sale.customer, "the customer")
    (again,) = (entry for entry in counter.records()[-1:] if isinstance(entry, e.CustomerIdentified))
    assert again.customer == sold.customer


async def test_other_cards_are_refused_by_name(readers: Readers, counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    readers.swipe(PAYMENT)
    assert await counter.notice("card-is-payment") == {}
    readers.swipe(OTHER)
    assert await counter.notice("card-unknown") == {"last": "1234"}
    readers.swipe(STAFF)
    assert await counter.notice("staff-card-not-taken") == {}
    readers.clear.swipe(b"%E?", b";E?")
    assert await counter.notice("card-garbled") == {"fault": "unreadable", "track": 1}
    readers.sealed.send(idtech_message({2: b";4012********1881=2912*?*"}, {2: bytes(range(40))}))
    assert await counter.notice("card-encrypted") == {}
    assert not counter.view.sale.customer
    assert len(counter.view.sale.lines) == 1


async def test_a_reader_is_pulled_and_comes_back_in_a_sale(readers: Readers, counter: Countertop) -> None:
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    readers.clear.send(f";{MEMBER}"[:9].encode())
    readers.clear.unplug()
    await counter.see(lambda view: _phase(view.devices) == "absent", "the reader's absence")
    readers.clear.plug()
    await counter.see(lambda view: _phase(view.devices) == "ready", "the reader's return")
    readers.swipe(MEMBER)
    await counter.see(lambda view: view.sale.customer, "the customer")
    assert len(counter.view.sale.lines) == 1


async def test_no_number_is_kept_or_told(readers: Readers, counter: Countertop) -> None:
    """Not in the journal's records, and byte by byte in no file of the terminal, no log, no view."""
    await counter.ring_up(goods.scan_bytes(NUTELLA))
    for number in (MEMBER, OTHER, STAFF, PAYMENT):
        before = len(counter.views)
        readers.swipe(number)
        await until(lambda before=before: len(counter.views) > before, "a view", counter.told)  # type: ignore[misc]
    await counter.call("sale.card")
    await counter.completed()
    files = [path for place in (counter.layout.terminal, counter.layout.logs) for path in place.rglob("*")]
    contents = [path.read_bytes() for path in files if path.is_file()]
    contents += [e.encode(entry) for entry in counter.records()]
    contents += [repr(view).encode() for view in counter.views]
    for number in (MEMBER, OTHER, STAFF, PAYMENT):
        assert not any(number.encode() in content for content in contents), number[-4:]


def _phase(devices: tuple[DeviceView, ...]) -> str:
    return next(device.phase for device in devices if device.name == "msr")
