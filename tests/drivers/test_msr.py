"""Card readers on a serial port, over cables that treat bytes badly; what is refused is left nowhere in memory."""

import asyncio
import gc
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from core.events import CardEncrypted, CardFault, CardGarbled, CardRefused, CardSwiped
from core.ports import DeviceAbsent, DeviceGone, ProtocolError
from core.stripe import CardRange
from drivers.msr import HidrawCardReader, SerialCardReader
from drivers.msr_formats import report_format
from drivers.options import HidrawMsrOptions, SerialMsrOptions
from drivers.simulated.cable import PtyCable
from drivers.simulated.msr import KSN, SimulatedCardReader, SimulatedRawReader, idtech_message, with_lrc
from tests.drivers.support import Events, HostClock, HostileCable, Manner, Served, until

RANGES = (CardRange(kind="loyalty", prefix="600649", digits=16),)
LOYALTY = b";6006490000000004=4912?"
LOYALTY_1 = b"%B6006490000000004^MEMBER/A^4912?"
PAYMENT = b";4111111111111111=29121010000000000?"
PAYMENT_1 = b"%B4111111111111111^TEST/CARD^29121010000000000?"
SWIPED = CardSwiped(device="msr", kind="loyalty", number="6006490000000004")
MANNERS: tuple[Manner, ...] = ("plain", "bytewise", "lossy", "delayed")


class Counter:
    """A driver with its reader."""

    def __init__(self, reader: SimulatedCardReader, options: SerialMsrOptions) -> None:
        self.reader = reader
        self.events = Events()
        self.driver = SerialCardReader("msr", options, self.events.append, HostClock())
        self.driver.admit(RANGES)
        self.served = Served(self.driver)


@pytest_asyncio.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(SimulatedCardReader(tmp_path / "msr"), SerialMsrOptions(path=tmp_path / "msr", gap_s=0.1))
    yield made
    await made.served.close()
    made.reader.close()


async def test_a_member_is_told_a_payment_card_is_not(counter: Counter) -> None:
    await counter.served.open()
    counter.reader.swipe(LOYALTY_1, LOYALTY)
    assert await counter.events.reach(1) == [SWIPED]
    counter.reader.swipe(PAYMENT_1, PAYMENT)
    assert (await counter.events.reach(2))[1] == CardRefused(device="msr", is_payment=True)
    counter.reader.swipe(with_lrc(b";7006490000001234=?", 2))
    assert (await counter.events.reach(3))[2] == CardRefused(device="msr", is_payment=False, last="1234")
    counter.reader.swipe(b"%E?", b";E?")
    assert (await counter.events.reach(4))[3] == CardGarbled(device="msr", fault=CardFault.UNREADABLE, track=1)
    assert counter.driver.facts() == {"reads": 3, "bad_reads": 1}


async def test_who_is_told_of_no_ranges_takes_no_card(counter: Counter) -> None:
    counter.driver.admit(())
    await counter.served.open()
    counter.reader.swipe(LOYALTY)
    assert await counter.events.reach(1) == [CardRefused(device="msr", is_payment=False, last="0004")]


async def test_a_payment_card_is_left_in_no_object(counter: Counter) -> None:
    await counter.served.open()
    counter.reader.swipe(PAYMENT_1, PAYMENT)
    await counter.events.reach(1)
    ours = (PAYMENT, PAYMENT_1)
    left = [
        held
        for owner in gc.get_objects()
        for held in gc.get_referents(owner)
        if isinstance(held, bytearray | bytes) and b"4111111111111111" in held and not any(held is one for one in ours)
    ]
    mutable = [held for held in left if isinstance(held, bytearray)]
    assert not mutable


async def test_a_cable_pulled_in_mid_swipe(counter: Counter) -> None:
    await counter.served.open()
    counter.reader.send(LOYALTY[:10])
    await until(lambda: counter.driver._feed._frames is not None and counter.driver._feed._frames.is_pending)
    counter.reader.unplug()
    assert isinstance(await counter.served.failure(), DeviceGone)
    await counter.served.close()
    assert counter.events == [CardGarbled(device="msr", fault=CardFault.TORN)]
    counter.reader.plug()
    await counter.served.open()
    counter.reader.swipe(LOYALTY)
    assert (await counter.events.reach(2))[1] == SWIPED


async def test_a_hundred_plugs_leave_nothing_behind(tmp_path: Path) -> None:
    """Each swipe between two of them is told once; no descriptor, task or timer stays."""
    counter = Counter(SimulatedCardReader(tmp_path / "msr"), SerialMsrOptions(path=tmp_path / "msr", gap_s=0.02))
    before = 0
    for turn in range(100):
        await counter.served.open()
        if turn == 1:
            before = _descriptors()
        counter.reader.swipe(LOYALTY)
        await counter.events.reach(turn + 1)
        counter.reader.unplug()
        assert isinstance(await counter.served.failure(), DeviceGone)
        await counter.served.close()
        counter.reader.plug()
    assert counter.events == [SWIPED] * 100
    await counter.served.open()
    assert _descriptors() == before
    assert len(asyncio.all_tasks()) == 2  # this test and what serves the driver
    await counter.served.close()
    counter.reader.close()


async def test_nothing_there(tmp_path: Path) -> None:
    for driver in (
        SerialCardReader("msr", SerialMsrOptions(path=tmp_path / "no"), Events().append, HostClock()),
        HidrawCardReader("msr", HidrawMsrOptions(path=tmp_path / "no"), Events().append, HostClock()),
    ):
        with pytest.raises(DeviceAbsent):
            await driver.open()
        driver.close()


async def test_a_node_that_is_no_hid_device() -> None:
    driver = HidrawCardReader("msr", HidrawMsrOptions(path=Path("/dev/null")), Events().append, HostClock())
    with pytest.raises(ProtocolError):
        await driver.open()
    driver.close()


@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
async def test_a_reader_of_bits_is_asked_for_each_card(tmp_path: Path, manner: Manner) -> None:
    link = tmp_path / "msr"
    reader = SimulatedRawReader(link, lambda receive: HostileCable(lambda on: PtyCable(link, on), receive, manner, 5))
    events = Events()
    driver = SerialCardReader("msr", SerialMsrOptions(path=link, format="msr605"), events.append, HostClock())
    driver.admit(RANGES)
    for turn in range(3):  # it is pulled after each turn
        served = Served(driver)
        await served.open()
        for card, is_backwards in (({1: LOYALTY_1, 2: LOYALTY}, False), ({2: LOYALTY}, True), ({2: PAYMENT}, False)):
            await until(lambda: reader.is_asked and reader.is_set_up)
            before = len(events)
            reader.swipe(card, backwards=is_backwards)
            await events.reach(before + 1)
        assert events[3 * turn :] == [SWIPED, SWIPED, CardRefused(device="msr", is_payment=True)]
        reader.unplug()
        assert isinstance(await served.failure(), DeviceGone)
        await served.close()
        reader.plug()
    reader.close()


def test_an_unknown_maker_has_to_be_told() -> None:
    assert report_format("msr", "auto", 0x0801) == "magtek"
    assert report_format("msr", "idtech", 0x1234) == "idtech"
    with pytest.raises(ProtocolError, match=r"1234.*set format"):
        report_format("msr", "auto", 0x1234)


@pytest.mark.parametrize("manner", MANNERS)
async def test_text_over_a_bad_cable(tmp_path: Path, manner: Manner) -> None:
    link = tmp_path / "msr"
    reader = SimulatedCardReader(link, lambda receive: HostileCable(lambda on: PtyCable(link, on), receive, manner, 3))
    counter = Counter(reader, SerialMsrOptions(path=link, gap_s=0.05))
    await counter.served.open()
    for turn in range(12):
        card = (LOYALTY_1, LOYALTY) if turn % 2 else (with_lrc(PAYMENT_1, 1), with_lrc(PAYMENT, 2))
        reader.swipe(*card)
        await counter.events.reach(turn + 1)
    await counter.served.close()
    reader.close()
    _expect(counter.events, manner, {SWIPED.number})


@pytest.mark.parametrize("manner", MANNERS)
async def test_messages_over_a_bad_cable(tmp_path: Path, manner: Manner) -> None:
    link = tmp_path / "msr"
    reader = SimulatedCardReader(link, lambda receive: HostileCable(lambda on: PtyCable(link, on), receive, manner, 7))
    counter = Counter(reader, SerialMsrOptions(path=link, format="idtech", gap_s=0.05))
    await counter.served.open()
    messages = (
        idtech_message({2: LOYALTY}, {}, kind=3),
        idtech_message({2: PAYMENT}, {}, kind=3),
        idtech_message({}, {2: bytes(40)}),
    )
    for turn in range(12):
        before = len(counter.events)
        reader.send(messages[turn % 3])
        await counter.events.reach(before + 1)
    await counter.served.close()
    reader.close()
    _expect(counter.events, manner, {SWIPED.number})
    for event in counter.events:
        if isinstance(event, CardEncrypted):
            assert bytes(event.ksn.view()) == KSN


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def _expect(events: Events, manner: Manner, numbers: set[str]) -> None:
    """A bad cable costs reads; it never makes another card of one."""
    swiped = [event for event in events if isinstance(event, CardSwiped)]
    assert {event.number for event in swiped} <= numbers
    if manner != "lossy":
        assert len(events) == 12
        assert not [event for event in events if isinstance(event, CardGarbled)]
        assert len(swiped) in (4, 6)
