"""The NFC reader's driver: nfcpy in its helper process on a simulated PN532 at the end of a real pty."""

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from core.events import TagPresented, TagTorn
from core.ports import DeviceAbsent, DeviceBusy, DeviceError, DeviceGone, DeviceStalled, ProtocolError
from drivers.codecs import ndef, nfc_lines
from drivers.nfc import NfcReader
from drivers.options import NfcOptions
from drivers.simulated.cable import Cable, PtyCable, Receive
from drivers.simulated.pn532 import SimulatedPn532
from drivers.simulated.tags import Ntag213, Type4Card
from tests.drivers.support import Events, HostClock, HostileCable, Manner, Served, processes_that_mention, until

BADGE = bytes.fromhex("04a1b2c3d4e5f6")
OTHER = bytes.fromhex("04112233445566")
LOYALTY = ndef.text_message("loyalty:4711")


class Counter(Served):
    """An NFC reader's driver, served as its supervisor serves it, and its far end."""

    def __init__(self, folder: Path, make: Callable[[Receive], Cable] | None = None, **options: Any) -> None:
        self.events = Events()
        self.far = SimulatedPn532(folder / "nfc", make=make)
        self.options = NfcOptions(path=folder / "nfc", **options)
        self.driver = NfcReader("nfc", self.options, self.events.append, HostClock())
        super().__init__(self.driver)

    async def close(self) -> None:
        await super().close()
        await until(lambda: not processes_that_mention(str(self.options.path)))
        self.far.close()


@pytest_asyncio.fixture
async def counter(tmp_path: Path) -> AsyncIterator[Counter]:
    made = Counter(tmp_path)
    await made.far.start()
    await made.open()
    yield made
    await made.close()


def presented(uid: bytes, text: str | None = "loyalty:4711", technology: str = "Type2Tag") -> TagPresented:
    return TagPresented(device="nfc", uid=uid.hex(), technology=technology, ndef=text)


async def taken_away(counter: Counter) -> None:
    """Removes the tag and waits until the reader looks for tags again."""
    counter.far.remove()
    senses = counter.far.senses
    await until(lambda: counter.far.senses > senses + 1)


async def test_a_tag_is_read_once_however_long_it_is_held(counter: Counter) -> None:
    counter.far.present(BADGE, LOYALTY)
    await counter.events.reach(1)
    await asyncio.sleep(0.5)
    assert counter.events == [presented(BADGE)]
    assert counter.driver.facts() == {"chipset": "PN532v1.6", "reads": 1, "torn": 0}
    assert counter.far.speed == 921_600


async def test_each_presentation_is_told(counter: Counter) -> None:
    for uid in (BADGE, OTHER, BADGE):
        before = len(counter.events)
        counter.far.present(uid, LOYALTY)
        await counter.events.reach(before + 1)
        await taken_away(counter)
    assert counter.events == [presented(BADGE), presented(OTHER), presented(BADGE)]


async def test_a_tag_at_the_edge_of_the_field_is_told_once(counter: Counter) -> None:
    counter.far.present(BADGE, LOYALTY)
    await counter.events.reach(1)
    loop = asyncio.get_running_loop()
    told = 1
    for _ in range(6):
        gone_s = loop.time()
        counter.far.remove()
        await asyncio.sleep(0.08)
        counter.far.present(BADGE, LOYALTY)
        if loop.time() - gone_s > 0.15:  # a busy machine kept it away for longer than an edge does
            told += 1
        await asyncio.sleep(0.15)
    assert counter.events[0] == presented(BADGE)
    assert len(counter.events) <= told


async def test_what_is_on_a_tag(counter: Counter) -> None:
    contents = [
        (ndef.uri_message("https://www.example.com/x"), "https://www.example.com/x"),
        (b"", None),
        (b"\xff" * 60, None),
    ]
    for message, text in contents:
        before = len(counter.events)
        counter.far.present(BADGE, message)
        await counter.events.reach(before + 1)
        assert counter.events[-1] == presented(BADGE, text)
        await taken_away(counter)
        await asyncio.sleep(0.35)  # longer than a tag may be away at the field's edge


async def test_a_tag_pulled_away_in_mid_read(counter: Counter) -> None:
    message = ndef.text_message("x" * 100)
    for reads in (1, 3, 5):
        before = len(counter.events)
        counter.far.put(Ntag213(BADGE, message, reads_max=reads))
        await counter.events.reach(before + 1)
        assert counter.events[-1] == TagTorn(device="nfc")
    counter.far.present(BADGE, message)
    assert (await counter.events.reach(4))[-1] == presented(BADGE, "x" * 100)
    assert counter.driver.facts()["torn"] == 3


async def test_a_type_4_tag(counter: Counter) -> None:
    counter.far.put(Type4Card(b"\x08\x11\x22\x33", ndef.uri_message("https://www.example.com"), is_payment_card=False))
    expected = presented(b"\x08\x11\x22\x33", "https://www.example.com", "Type4Tag")
    assert await counter.events.reach(1) == [expected]


async def test_a_payment_card_is_asked_for_nothing(counter: Counter) -> None:
    card = Type4Card(b"\x08\x11\x22\x33")
    counter.far.put(card)
    assert await counter.events.reach(1) == [presented(b"\x08\x11\x22\x33", None, "Type4Tag")]
    await asyncio.sleep(0.3)
    selected = {apdu[5 : 5 + apdu[4]] for apdu in card.apdus if apdu[1:3] == b"\xa4\x04"}
    assert selected == {bytes.fromhex("d2760000850101"), bytes.fromhex("d2760000850100")}  # NDEF 2.0 and 1.0 alone


async def test_unplugged_and_plugged_in_again(counter: Counter) -> None:
    counter.far.unplug()
    assert isinstance(await counter.failure(), DeviceGone)
    counter.driver.close()
    with pytest.raises(DeviceAbsent):
        await counter.driver.open()
    counter.far.plug()
    await counter.open()
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]


async def test_unplugged_with_a_tag_on_it(counter: Counter) -> None:
    counter.far.present(BADGE, LOYALTY)
    await counter.events.reach(1)
    counter.far.unplug()
    assert isinstance(await counter.failure(), DeviceGone)


async def test_a_reader_that_hangs(counter: Counter) -> None:
    counter.far.deaf(True)
    assert isinstance(await counter.failure(), DeviceStalled)
    counter.driver.close()
    counter.far.deaf(False)
    await counter.open()


async def test_a_port_with_no_reader_on_it(tmp_path: Path) -> None:
    silent = PtyCable(tmp_path / "nfc", lambda data: None)
    silent.plug()
    driver = NfcReader("nfc", NfcOptions(path=tmp_path / "nfc"), _emit_nothing, HostClock())
    with pytest.raises(DeviceStalled, match="does not answer"):
        await driver.open()
    silent.close()


async def test_a_file_in_place_of_a_port(tmp_path: Path) -> None:
    (tmp_path / "nfc").write_bytes(b"no reader")
    driver = NfcReader("nfc", NfcOptions(path=tmp_path / "nfc"), _emit_nothing, HostClock())
    with pytest.raises(DeviceError):
        await driver.open()


async def test_two_daemons_on_one_reader(counter: Counter) -> None:
    second = NfcReader("second", counter.options, _emit_nothing, HostClock())
    with pytest.raises(DeviceBusy):
        await second.open()
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]


async def test_closed_it_is_gone_at_once_and_leaves_the_reader_as_it_was(counter: Counter) -> None:
    began_s = asyncio.get_running_loop().time()
    counter.driver.close()
    assert isinstance(await counter.failure(), DeviceGone)
    assert asyncio.get_running_loop().time() - began_s < 0.05
    await until(lambda: not processes_that_mention(str(counter.options.path)))
    assert counter.far.speed == 115_200


async def test_a_helper_that_was_killed(counter: Counter) -> None:
    (pid,) = processes_that_mention(str(counter.options.path))
    os.kill(pid, signal.SIGKILL)
    assert isinstance(await counter.failure(), DeviceGone)
    assert counter.far.speed == 921_600  # nobody was left to put it back
    counter.driver.close()
    await counter.open()
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]


async def test_a_helper_that_is_stopped_is_missed(tmp_path: Path) -> None:
    counter = Counter(tmp_path, stall_timeout_s=1.0)
    await counter.far.start()
    await counter.open()
    (pid,) = processes_that_mention(str(counter.options.path))
    os.kill(pid, signal.SIGSTOP)
    assert isinstance(await counter.failure(), DeviceStalled)
    await counter.close()


DAEMON = """
    import asyncio, sys
    from pathlib import Path
    from drivers.nfc import NfcReader
    from drivers.options import NfcOptions
    from tests.drivers.support import HostClock

    async def main():
        driver = NfcReader("nfc", NfcOptions(path=Path(sys.argv[1])), lambda event: None, HostClock())
        await driver.open()
        print("open", flush=True)
        await driver.serve()

    asyncio.run(main())
"""


def _daemon(path: str) -> "subprocess.Popen[bytes]":
    arguments = [sys.executable, "-c", textwrap.dedent(DAEMON), path]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])


async def test_the_helper_dies_with_a_killed_daemon(tmp_path: Path) -> None:
    counter = Counter(tmp_path)
    await counter.far.start()
    path = str(counter.options.path)
    with _daemon(path) as daemon:
        assert daemon.stdout is not None
        assert await asyncio.to_thread(daemon.stdout.readline) == b"open\n"
        assert len(processes_that_mention(path)) == 2
        daemon.kill()
    # The next daemon does not wait for the helper of the last one to be gone: it is told apart by its lock.
    await counter.open()
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]
    assert len(processes_that_mention(path)) == 1
    await counter.close()


@pytest.mark.parametrize("manner", ["plain", "bytewise", "delayed"])
async def test_over_a_slow_line(tmp_path: Path, manner: Manner) -> None:
    def make(receive: Receive) -> Cable:
        return HostileCable(lambda inner: PtyCable(tmp_path / "nfc", inner), receive, manner, seed=7)

    counter = Counter(tmp_path, make)
    await counter.far.start()
    await counter.open()
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]
    await counter.close()


async def test_over_a_line_that_loses_bytes(tmp_path: Path) -> None:
    """It may fail as often as it likes, by a DeviceError each time, and never tells of a tag that is not there."""

    def make(receive: Receive) -> Cable:
        return HostileCable(lambda inner: PtyCable(tmp_path / "nfc", inner), receive, "lossy", seed=7)

    counter = Counter(tmp_path, make)
    await counter.far.start()
    counter.far.present(BADGE, LOYALTY)
    for _ in range(4):
        try:
            await counter.open()
            async with asyncio.timeout(1):
                await counter.driver.serve()
        except (DeviceError, TimeoutError):
            counter.driver.close()
    assert [event for event in counter.events if event not in (presented(BADGE), TagTorn(device="nfc"))] == []
    await counter.close()


@pytest.mark.parametrize(
    "line", [b"", b"{}", b'{"type":"presented"}', b'{"type":"other"}', b"\xff", b'{"type":"fault","kind":"x"}']
)
def test_lines_that_no_helper_says(line: bytes) -> None:
    with pytest.raises(ProtocolError):
        nfc_lines.decode(line)


def _emit_nothing(event: object) -> None:
    raise AssertionError(f"nothing was presented, and yet: {event}")


async def test_it_is_cancelled_within_10_ms(tmp_path: Path) -> None:
    """From the word to leave until tags are looked for no more; the third of nine, as the machine has other work too."""
    took_s = []
    for _ in range(9):
        counter = Counter(tmp_path)
        await counter.far.start()
        await counter.open()
        await until(lambda counter=counter: counter.far.senses > 2)  # type: ignore[misc]
        stopped_s = asyncio.get_running_loop().time()
        await counter.close()
        took_s.append(counter.far.sensed_s - stopped_s)
    assert sorted(took_s)[2] <= 0.010, took_s


async def test_an_idle_reader_costs_nothing_more_with_time(tmp_path: Path) -> None:
    """As many looks for a tag as a minute of the usual pace has: no descriptor and no memory more, and it still reads."""
    counter = Counter(tmp_path, sense_interval_s=0.005)
    await counter.far.start()
    await counter.open()
    (helper,) = processes_that_mention(str(counter.options.path))

    def costs() -> tuple[int, int]:
        pages = int(Path(f"/proc/{helper}/statm").read_text().split()[1])
        return len(os.listdir(f"/proc/{helper}/fd")), pages

    await until(lambda: counter.far.senses > 200, 20.0)
    descriptors, pages = costs()
    await until(lambda: counter.far.senses > 1400, 60.0)
    later_descriptors, later_pages = costs()
    assert later_descriptors == descriptors
    assert (later_pages - pages) * os.sysconf("SC_PAGESIZE") < 256 * 1024
    counter.far.present(BADGE, LOYALTY)
    assert await counter.events.reach(1) == [presented(BADGE)]
    await counter.close()


async def test_pulled_out_and_put_back_again_and_again(counter: Counter) -> None:
    for count in range(1, 6):
        counter.far.present(BADGE, LOYALTY)
        await counter.events.reach(count)
        counter.far.unplug()
        assert isinstance(await counter.failure(), DeviceGone)
        counter.driver.close()
        counter.far.remove()
        counter.far.plug()
        await counter.open()
    await until(lambda: len(processes_that_mention(str(counter.options.path))) == 1)
    assert counter.events == [presented(BADGE)] * 5
