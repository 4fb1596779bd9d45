"""Streams over real ptys and sockets, and the names that the system's errors get."""

import asyncio
import errno
import os
import socket
import termios
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
import serial

from core.ports import (
    DeviceAbsent,
    DeviceBusy,
    DeviceDenied,
    DeviceError,
    DeviceGone,
    DeviceStalled,
    ProtocolError,
)
from drivers.simulated.cable import PtyCable, TcpCable
from drivers.transport import SerialSettings, Stream, device_error, open_path, open_serial, open_tcp
from tests.drivers.support import ignore, until


class Wire:
    """A plugged pty and what came through it, both ways."""

    def __init__(self, link: Path) -> None:
        self.link = link
        self.received: list[bytes] = []
        self.sent: list[bytes] = []
        self.cable = PtyCable(link, self.sent.append)
        self.cable.plug()

    async def open(self) -> Stream:
        return await open_serial("device", self.link, SerialSettings(), self.received.append)


@pytest_asyncio.fixture
async def wire(tmp_path: Path) -> AsyncIterator[Wire]:
    made = Wire(tmp_path / "bench" / "device")
    yield made
    made.cable.close()


async def test_bytes_pass_both_ways(wire: Wire) -> None:
    stream = await wire.open()
    wire.cable.send(b"hello \r\n\x03\x00\xff")
    await stream.write(b"\x11\x13\x1b@\n", 1.0)
    await until(lambda: b"".join(wire.received) == b"hello \r\n\x03\x00\xff")
    await until(lambda: b"".join(wire.sent) == b"\x11\x13\x1b@\n")
    stream.close()


async def test_what_came_before_the_opening_is_thrown_away(wire: Wire) -> None:
    wire.cable.send(b"stale")
    stream = await wire.open()
    wire.cable.send(b"fresh")
    await until(lambda: b"".join(wire.received) == b"fresh")
    stream.close()


async def test_a_port_is_opened_once(wire: Wire) -> None:
    stream = await wire.open()
    with pytest.raises(DeviceBusy, match="device"):
        await wire.open()
    stream.close()
    (await wire.open()).close()


async def test_a_pulled_cable_is_known_at_once(wire: Wire) -> None:
    stream = await wire.open()
    began_s = time.monotonic()
    wire.cable.unplug()
    with pytest.raises(DeviceGone):
        await stream.lost()
    with pytest.raises(DeviceGone):
        await stream.write(b"x", 1.0)
    assert time.monotonic() - began_s < 0.1
    stream.close()
    stream.close()


async def test_nothing_there_is_absent(wire: Wire) -> None:
    wire.cable.unplug()
    with pytest.raises(DeviceAbsent):
        await wire.open()
    wire.cable.plug()
    (await wire.open()).close()


async def test_a_link_to_nothing_is_absent(tmp_path: Path) -> None:
    (tmp_path / "device").symlink_to("/dev/pts/does-not-exist")
    with pytest.raises(DeviceAbsent):
        await open_serial("device", tmp_path / "device", SerialSettings(), ignore)


async def test_a_file_is_no_device(tmp_path: Path) -> None:
    (tmp_path / "device").write_text("")
    with pytest.raises(ProtocolError):
        await open_path("device", tmp_path / "device", SerialSettings(), ignore)


async def test_an_end_that_reads_nothing_stalls_the_write(wire: Wire) -> None:
    stream = await wire.open()
    wire.cable.deaf(True)
    with pytest.raises(DeviceStalled, match=r"0\.1 s"):
        await stream.write(bytes(200_000), 0.1)
    wire.cable.deaf(False)
    await until(lambda: len(wire.sent) > 0)
    stream.close()


async def test_a_long_write_passes_whole(wire: Wire) -> None:
    stream = await wire.open()
    data = bytes(range(256)) * 2000
    await stream.write(data, 1.0)
    await until(lambda: sum(map(len, wire.sent)) == len(data))
    assert b"".join(wire.sent) == data
    stream.close()


async def test_a_hangup_ends_a_waiting_write(wire: Wire) -> None:
    stream = await wire.open()
    wire.cable.deaf(True)
    asyncio.get_running_loop().call_later(0.05, wire.cable.unplug)
    with pytest.raises(DeviceGone):
        await stream.write(bytes(200_000), 5.0)
    stream.close()


async def test_tcp_both_ways_and_its_end() -> None:
    sent: list[bytes] = []
    received: list[bytes] = []
    far = TcpCable(sent.append)
    far.plug()
    stream = await open_tcp("device", "127.0.0.1", far.port, received.append)
    await stream.write(b"ping", 1.0)
    await until(lambda: b"".join(sent) == b"ping")
    far.send(b"pong")
    await until(lambda: b"".join(received) == b"pong")
    far.unplug()
    with pytest.raises(DeviceGone):
        await stream.lost()
    stream.close()
    with pytest.raises(DeviceAbsent):
        await open_tcp("device", "127.0.0.1", far.port, received.append)
    far.close()


async def test_a_host_that_does_not_answer_stalls() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as full:
        # Fills the queue of a listener that accepts nobody, so that the next SYN is left without an answer.
        waiting = [socket.socket() for _ in range(4)]
        for link in waiting:
            link.setblocking(False)
            link.connect_ex(full.getsockname())
        with pytest.raises(DeviceStalled):
            await open_tcp("device", "127.0.0.1", full.getsockname()[1], ignore, timeout_s=0.2)
        for link in waiting:
            link.close()


@pytest.mark.parametrize(
    ("error", "opening", "talking"),
    [
        (OSError(errno.ENOENT, "x"), DeviceAbsent, DeviceGone),
        (OSError(errno.ENODEV, "x"), DeviceAbsent, DeviceGone),
        (OSError(errno.ENXIO, "x"), DeviceAbsent, DeviceGone),
        (OSError(errno.EIO, "x"), DeviceAbsent, DeviceGone),
        (ConnectionRefusedError(errno.ECONNREFUSED, "x"), DeviceAbsent, DeviceGone),
        (BrokenPipeError(errno.EPIPE, "x"), ProtocolError, DeviceGone),
        (socket.gaierror(socket.EAI_NONAME, "x"), DeviceAbsent, DeviceAbsent),
        (OSError(errno.EACCES, "x"), DeviceDenied, DeviceDenied),
        (OSError(errno.EBUSY, "x"), DeviceBusy, DeviceBusy),
        (TimeoutError(), DeviceStalled, DeviceStalled),
        (OSError(errno.ETIMEDOUT, "x"), DeviceStalled, DeviceStalled),
        (serial.SerialException(errno.ENOENT, "could not open port"), DeviceAbsent, DeviceGone),
        (serial.SerialException("device reports readiness to read but returned no data"), ProtocolError, DeviceGone),
        (termios.error(errno.EIO, "x"), DeviceAbsent, DeviceGone),
        (termios.error(errno.EINVAL, "x"), ProtocolError, ProtocolError),
        (ValueError("Not a valid baudrate"), ProtocolError, ProtocolError),
    ],
)
def test_errors_get_our_names(error: Exception, opening: type[DeviceError], talking: type[DeviceError]) -> None:
    assert type(device_error(error, "device", is_opening=True)) is opening
    assert type(device_error(error, "device")) is talking


def test_libusb_status_gets_our_names() -> None:
    import usb1

    assert type(device_error(usb1.USBErrorNoDevice(), "device")) is DeviceGone
    assert type(device_error(usb1.USBErrorTimeout(), "device")) is DeviceStalled
    assert type(device_error(usb1.USBErrorAccess(), "device", is_opening=True)) is DeviceDenied
    assert type(device_error(usb1.USBErrorBusy(), "device", is_opening=True)) is DeviceBusy


def test_a_device_error_stays_what_it_is() -> None:
    fault = ProtocolError("device: nonsense")
    assert device_error(fault, "device") is fault


async def test_a_far_end_survives_the_end_of_the_driver(wire: Wire) -> None:
    first = await wire.open()
    first.close()
    await asyncio.sleep(0.02)
    second = await wire.open()
    wire.cable.send(b"again")
    await until(lambda: b"".join(wire.received) == b"again")
    second.close()


async def test_no_descriptor_is_left(wire: Wire) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        stream = await wire.open()
        wire.cable.unplug()
        stream.close()
        wire.cable.plug()
    await until(lambda: len(os.listdir("/proc/self/fd")) == before)
