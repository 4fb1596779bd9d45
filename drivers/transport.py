"""Byte streams over raw descriptors on the event loop, and the one place where the system's errors get our names.

A stream hands over what it receives by a callback, at once and without a task in between: a scan is worth its
microseconds. Nothing here polls and nothing blocks: a write waits for room with a deadline, and a cable that is pulled
shows as an end of file, EIO, ENODEV or ENXIO, all of which are `DeviceGone`.
"""

import asyncio
import contextlib
import errno
import os
import socket
import stat
import termios
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

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
from drivers.blocking import let_go, off_loop
from drivers.hotplug import identity
from drivers.tap import pass_on

READ_BYTES_MAX = 4096
"""What one wake-up takes, so that a chattering device leaves room for the others."""
CONNECT_TIMEOUT_S = 2.0
KEEPALIVE_S = 5
"""A network peer that lost its power is found out after about four times this."""
FLAGS = os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
USB_MAJOR = 180
"""The kernel's major number of usblp [Documentation/admin-guide/devices.txt]."""

Receive = Callable[[bytes], None]
ReceiveView = Callable[[memoryview], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class SerialSettings:
    """How the line is set: `baud` bits a second, `data_bits` 7 or 8, `stop_bits` 1 or 2."""

    baud: int = 9600
    data_bits: int = 8
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: int = 1
    hardware_flow: bool = False


class Stream:
    """An open byte stream. Made by the `open_*` functions below.

    `receive` is called on the loop's thread with each piece that arrives, never with an empty one. `path` is the node
    that was opened, where there is one.
    """

    def __init__(
        self,
        name: str,
        fd: int,
        release: Callable[[], None],
        receive: Receive,
        path: Path | None = None,
        identity: str = "",
    ) -> None:
        self.name = name
        self.identity = identity
        """What names the physical device (`hotplug.identity`), where `path` was opened by `open_serial` or `open_path`."""
        self._path = path
        self._node = _node(path) if path is not None else None
        self._fd = fd
        self._release = release
        self._receive = receive
        self._on_end = _nothing
        self._receive_view: ReceiveView | None = None
        self._scratch = bytearray()
        self._loop = asyncio.get_running_loop()
        self._fault: DeviceError | None = None
        self._lost = asyncio.Event()
        self._writing = asyncio.Lock()
        self._room: asyncio.Future[None] | None = None
        self._loop.add_reader(fd, self._on_readable)

    async def write(self, data: bytes, timeout_s: float) -> None:
        """Returns when the system has taken all bytes. `timeout_s` is the longest time without progress.

        Raises DeviceGone, or DeviceStalled when the other end takes nothing; what it took before then is on its way.
        """
        async with self._writing:
            rest = memoryview(data)
            while True:
                rest = rest[self._write_some(rest) :]
                if not rest:
                    return
                await self._wait_for_room(timeout_s, len(rest))

    def write_now(self, data: bytes) -> None:
        """A few bytes of a handshake, from within `receive`: what has no room at once is lost. Never raises."""
        with contextlib.suppress(DeviceError):
            self._write_some(memoryview(data))

    async def lost(self) -> NoReturn:
        """Waits until the stream ends and raises why: DeviceGone."""
        await self._lost.wait()
        raise self._failure()

    def fail(self, fault: DeviceError) -> None:
        """Ends the stream for a reason of its user's: `lost` and every write raise it from now on."""
        if self._fault is not None:
            return
        self._fault = fault
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._lost.set()
        self._on_writable()
        self._on_end()

    def on_end(self, callback: Callable[[], None]) -> None:
        """Has `callback` called when the stream ends; `check` then raises why."""
        self._on_end = callback

    def wipe_after(self, receive: ReceiveView) -> None:
        """From now on what arrives is shown to `receive` alone, in a buffer that is overwritten when it returns."""
        self._receive_view = receive
        self._scratch = bytearray(READ_BYTES_MAX)

    def check(self) -> None:
        """Raises why the stream has ended, if it has."""
        if self._fault is not None:
            raise self._failure()

    def probe(self) -> None:
        """Looks whether its path, links followed, still leads to what was opened. Raises DeviceGone."""
        self.check()
        if self._path is not None and _node(self._path) != self._node:
            raise DeviceGone(f"{self.name}: its node is gone, and nobody said so")

    def close(self) -> None:
        """Lets go of the descriptor. Never raises, may be called twice."""
        self.fail(DeviceGone(f"{self.name}: closed"))
        release, self._release = self._release, _nothing
        with contextlib.suppress(OSError, termios.error):
            release()

    def _on_readable(self) -> None:
        try:
            if self._receive_view is not None:
                data: bytes | int = os.readv(self._fd, (self._scratch,))
            else:
                data = os.read(self._fd, READ_BYTES_MAX)
        except (BlockingIOError, InterruptedError):
            return
        except OSError as error:
            self.fail(device_error(error, self.name))
            return
        if isinstance(data, int) and data and self._receive_view is not None:
            try:
                self._receive_view(memoryview(self._scratch)[:data])
            finally:
                self._scratch[:data] = bytes(data)
        elif isinstance(data, bytes) and data:
            pass_on(self.name, "device", data)
            self._receive(data)
        else:
            self.fail(DeviceGone(f"{self.name}: the other end is gone"))

    def _write_some(self, data: memoryview) -> int:
        self.check()
        try:
            count = os.write(self._fd, data)
            pass_on(self.name, "till", bytes(data[:count]))
            return count
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError as error:
            self.fail(device_error(error, self.name))
            raise self._failure() from error

    async def _wait_for_room(self, timeout_s: float, left: int) -> None:
        self._room = self._loop.create_future()
        self._loop.add_writer(self._fd, self._on_writable)
        try:
            async with asyncio.timeout(timeout_s):
                await self._room
        except TimeoutError:
            raise DeviceStalled(f"{self.name}: took none of the last {left} bytes in {timeout_s} s") from None
        finally:
            self._room = None
            if self._fault is None:
                self._loop.remove_writer(self._fd)

    def _on_writable(self) -> None:
        if self._room is not None and not self._room.done():
            self._room.set_result(None)

    def _failure(self) -> DeviceError:
        """A fresh error each time: one exception raised in two tasks would grow a tangled traceback."""
        assert self._fault is not None
        return type(self._fault)(*self._fault.args)


async def open_serial(name: str, path: Path, settings: SerialSettings, receive: Receive) -> Stream:
    """Opens a serial port or a pty by its path, a symlink followed now, and claims it alone.

    What came before the opening is thrown away: a scan from before belongs to no sale. `name` is for messages.
    Raises DeviceAbsent, DeviceDenied, DeviceBusy, or ProtocolError where the port cannot be set so.
    """
    with opening(name):
        port, known_as = await off_loop(name, lambda: (_port(path, settings), identity(path)), _shut)
        return Stream(name, port.fileno(), lambda: let_go(name, lambda: _shut((port, ""))), receive, path, known_as)


async def open_path(name: str, path: Path, settings: SerialSettings, receive: Receive) -> Stream:
    """Opens whatever character device is there: a USB printer (usblp) as it is, anything else as a serial port."""
    with opening(name):
        if _major(name, path) == USB_MAJOR:
            fd, known_as = await off_loop(
                name, lambda: (os.open(path, FLAGS), identity(path)), lambda opened: os.close(opened[0])
            )
            return Stream(name, fd, lambda: let_go(name, lambda: os.close(fd)), receive, path, known_as)
    return await open_serial(name, path, settings, receive)


async def open_tcp(name: str, host: str, port: int, receive: Receive, timeout_s: float = CONNECT_TIMEOUT_S) -> Stream:
    """Connects. Raises DeviceAbsent when nobody listens there, DeviceStalled when nobody answers in `timeout_s`."""
    loop = asyncio.get_running_loop()
    with opening(name):
        async with asyncio.timeout(timeout_s):
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            family, kind, protocol, _, address = found[0]
            link = socket.socket(family, kind, protocol)
            try:
                link.setblocking(False)
                _tune(link)
                await loop.sock_connect(link, address)
                return Stream(name, link.fileno(), link.close, receive)
            except BaseException:
                link.close()
                raise


@contextlib.contextmanager
def opening(name: str) -> Iterator[None]:
    """Around an opening: whatever the system or a library raises leaves as a DeviceError."""
    try:
        yield
    except DeviceError:
        raise
    except LIBRARY_ERRORS as error:
        raise device_error(error, name, is_opening=True) from error


@contextlib.contextmanager
def talking(name: str) -> Iterator[None]:
    """Around work with an open device: whatever the system or a library raises leaves as a DeviceError."""
    try:
        yield
    except DeviceError:
        raise
    except LIBRARY_ERRORS as error:
        raise device_error(error, name) from error


LIBRARY_ERRORS: tuple[type[Exception], ...] = (OSError, serial.SerialException, termios.error, ValueError)
"""What pyserial, pyusb and the system raise (pyusb's USBError is an OSError); ValueError is pyserial's for a setting."""


def device_error(error: BaseException, name: str, *, is_opening: bool = False) -> DeviceError:
    """Our name for a system's or library's error: OSError, SerialException, termios.error, or a USBError."""
    if isinstance(error, DeviceError):
        return error
    kind = _kind(error, is_opening)
    return kind(f"{name}: {error}")


def _kind(error: BaseException, is_opening: bool) -> type[DeviceError]:
    if isinstance(error, TimeoutError):
        return DeviceStalled
    if isinstance(error, socket.gaierror):
        return DeviceAbsent
    usb_status = getattr(error, "value", None)
    if isinstance(usb_status, int) and usb_status in _USB:
        return _USB[usb_status]
    number = _errno(error)
    if is_opening:
        return _OPENING.get(number, ProtocolError)
    if number is None and isinstance(error, ValueError) and not isinstance(error, OSError):
        return ProtocolError
    return _TALKING.get(number, DeviceGone)


def _errno(error: BaseException) -> int | None:
    number = getattr(error, "errno", None)
    if isinstance(number, int):
        return number
    # termios.error is no OSError and carries its number as the first argument.
    return error.args[0] if error.args and isinstance(error.args[0], int) else None


def _tune(link: socket.socket) -> None:
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    link.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEPALIVE_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEPALIVE_S)
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)


def ignore(data: bytes) -> None:
    """For a stream whose bytes somebody else takes, or nobody."""


def _major(name: str, path: Path) -> int:
    status = path.stat()
    if not stat.S_ISCHR(status.st_mode):
        raise ProtocolError(f"{name}: {path} is no device")
    return os.major(status.st_rdev)


def _port(path: Path, settings: SerialSettings) -> serial.Serial:
    return serial.Serial(
        port=os.path.realpath(path, strict=True),
        baudrate=settings.baud,
        bytesize=settings.data_bits,
        parity=settings.parity[0].upper(),
        stopbits=settings.stop_bits,
        rtscts=settings.hardware_flow,
        timeout=0,
        exclusive=True,
    )


def _shut(opened: tuple[serial.Serial, str]) -> None:
    port, _ = opened
    # Else the kernel waits in close() for a stalled device to take the rest, where its driver can throw it away.
    try:
        port.reset_output_buffer()
    finally:
        port.close()


def _node(path: Path) -> tuple[int, int] | None:
    """What is at a path now, links followed; None where nothing is."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_rdev, found.st_ino


def _nothing() -> None:
    """What is left to release after a release."""


_OPENING: dict[int | None, type[DeviceError]] = {
    **dict.fromkeys(
        (errno.ENOENT, errno.ENODEV, errno.ENXIO, errno.EIO, errno.ENOTDIR, errno.ECONNREFUSED, errno.ECONNRESET,
         errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENETDOWN, errno.EHOSTDOWN),
        DeviceAbsent,
    ),
    **dict.fromkeys((errno.EACCES, errno.EPERM), DeviceDenied),
    **dict.fromkeys((errno.EBUSY, errno.EAGAIN), DeviceBusy),
    errno.ETIMEDOUT: DeviceStalled,
}  # fmt: skip

_TALKING: dict[int | None, type[DeviceError]] = {
    **dict.fromkeys((errno.EACCES, errno.EPERM), DeviceDenied),
    errno.EBUSY: DeviceBusy,
    errno.ETIMEDOUT: DeviceStalled,
    errno.EAGAIN: DeviceStalled,
    errno.EINVAL: ProtocolError,
    errno.EOVERFLOW: ProtocolError,
    errno.ENOTTY: ProtocolError,
}

_USB: dict[int, type[DeviceError]] = {
    # libusb's own codes, as usb1.USBError.value carries them [libusb.h, enum libusb_error]
    -1: DeviceGone,
    -3: DeviceDenied,
    -4: DeviceGone,
    -5: DeviceAbsent,
    -6: DeviceBusy,
    -7: DeviceStalled,
    -8: ProtocolError,
    -9: ProtocolError,
}
