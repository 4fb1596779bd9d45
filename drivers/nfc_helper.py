"""The process in which nfcpy runs: ``python -m drivers.nfc_helper PATH SENSE_S PRESENCE_S``.

PATH is a serial port with a PN532 on it, or a USB device's own node (`/dev/bus/usb/001/005`) of a reader that nfcpy knows.

It says what happens in lines (`drivers.codecs.nfc_lines`) on standard output, and ends when standard input does. On the
way out it puts the reader back to the speed at which the next one looks for it. It reads a tag's UID and its NDEF message
and nothing else: never does it SELECT an application but NDEF's own, so no payment card tells it anything. nfcpy's
log is silenced, as it carries what tags say.
"""

import contextlib
import errno
import fcntl
import importlib
import logging
import os
import re
import select
import signal
import sys
import termios
import threading
import time
from typing import Any, Final

import nfc
import nfc.clf.device
import nfc.clf.pn532
import nfc.clf.transport
import nfc.tag
import serial
import usb1

from drivers.codecs import nfc_lines as l
from drivers.codecs.ndef import first_text

LOCK_TIMEOUT_S: Final = 2.0
"""How long a helper before this one may take to leave the port."""
LEAVE_TIMEOUT_S: Final = 1.0
"""How long the reader may take to be put to sleep."""
ALIVE_INTERVAL_S: Final = 3.0
PATIENCE_MS: Final = 1000
"""How long the chip may take to acknowledge a command: nfcpy's 100 ms is too short on a machine that is busy."""
SAME_TAG_S: Final = 0.3
"""A tag that comes back within this time has only been at the edge of the field."""
ACTIVATIONS_MAX: Final = 3
"""A tag that is there and does not let itself be activated so often is told of by its UID alone."""

_TECHNOLOGIES = ("106A", "106B", "212F")
_SPEEDS = (921_600, 460_800, 230_400)
# SetSerialBaudRate to 115200 [PN532 user manual, UM0701-02, 7.2.9], after a preamble that wakes the chip
_SLOW_DOWN = bytes(16) + bytes.fromhex("0000ff03fdd410041800")
_ACK = bytes.fromhex("0000ff00ff00")
_USB_NODE = re.compile(r"/dev/bus/usb/(\d{3})/(\d{3})")
_USB_DRIVERS = ("acr122", "pn533", "pn531", "rcs956")
"""Of nfcpy's drivers for USB, those of readers whose field it commands as a PN53x's."""
_SAFE_PATH = re.compile(r"[A-Za-z0-9/._:-]+")


def main(path: str, sense_s: float, presence_s: float) -> int:
    """Runs until standard input ends or the reader fails. The exit status says which."""
    logging.disable(logging.CRITICAL)
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):  # the daemon's end is the one sign to leave
        signal.signal(number, signal.SIG_IGN)
    leaving = threading.Event()
    threading.Thread(target=_leave_with_the_daemon, args=(leaving,), name="end of input", daemon=True).start()
    lock, port = -1, ""
    try:
        port = os.path.realpath(path, strict=True)
        lock = _locked(port)
        frontend = _on_usb(port) if _USB_NODE.fullmatch(port) else _frontend(port)
        try:
            _say(l.Ready(chipset=str(frontend.device.chipset_name)))
            _Reader(frontend, leaving, sense_s, presence_s).run()
        finally:
            _put_to_sleep(frontend)
    except Exception as error:  # whatever nfcpy lets through, the daemon is told which kind it was
        _say(_fault(error, lock, is_usb=_USB_NODE.fullmatch(port) is not None))
        return 1
    return 0


class _Reader:
    """Looks for tags, tells of each one once, and waits until it is gone."""

    def __init__(self, frontend: Any, leaving: threading.Event, sense_s: float, presence_s: float) -> None:
        self._frontend = frontend
        self._leaving = leaving
        self._sense_s = sense_s
        self._presence_s = presence_s
        self._targets = [nfc.clf.RemoteTarget(technology) for technology in _TECHNOLOGIES]
        self._told_of = b""
        self._seen_s = float("-inf")
        self._activations = 0
        self._alive_s = float("-inf")

    def run(self) -> None:
        while not self._leaving.wait(self._sense_s):
            self._show_life()
            with contextlib.suppress(nfc.clf.CommunicationError):  # two tags at once, or one at the field's edge
                target = self._sense()
                if target is not None and not _is_peer(target):
                    self._meet(target)

    def _sense(self) -> Any:
        """A look for a tag, one technology after the other: whoever wants us gone waits for one at most."""
        for wanted in self._targets:
            if self._leaving.is_set():
                return None
            target = self._frontend.sense(wanted, iterations=1)
            if target is not None:
                return target
        return None

    def _meet(self, target: Any) -> None:
        tag = nfc.tag.activate(self._frontend, target)
        if tag is not None:
            self._activations = 0
            self._read(tag)
            return
        self._activations += 1
        if self._sense() is None:
            self._tear()
        elif self._activations >= ACTIVATIONS_MAX:
            self._tell(_uid(target), str(target.brty), None)
            self._seen_s = time.monotonic()

    def _read(self, tag: Any) -> None:
        uid = bytes(tag.identifier)
        if not self._is_told_of(uid):
            message = _message(tag)
            if message is None and not tag.is_present:
                self._tear()
                return
            self._tell(uid, str(tag.type), first_text(message) if message is not None else None)
        self._seen_s = time.monotonic()
        while not self._leaving.wait(self._presence_s) and tag.is_present:
            self._seen_s = time.monotonic()
            self._show_life()

    def _is_told_of(self, uid: bytes) -> bool:
        return uid == self._told_of and time.monotonic() - self._seen_s < SAME_TAG_S

    def _tell(self, uid: bytes, technology: str, text: str | None) -> None:
        if not self._is_told_of(uid):
            _say(l.Presented(uid=uid.hex(), technology=technology, ndef=text))
        self._told_of = uid

    def _tear(self) -> None:
        self._activations = 0
        self._told_of = b""
        _say(l.Torn())

    def _show_life(self) -> None:
        if time.monotonic() - self._alive_s >= ALIVE_INTERVAL_S:
            self._alive_s = time.monotonic()
            _say(l.Alive())


def _message(tag: Any) -> bytes | None:
    """A tag's NDEF message, read once more where the first reading failed; None where there is none."""
    for _ in range(2):
        try:
            found = tag.ndef
        except OSError:
            raise  # the reader, not the tag
        except Exception:  # what a tag's content makes of nfcpy is the tag's fault, and costs no more than its text
            return None
        if found is not None:
            return bytes(found.octets)
        if not tag.is_present:
            return None
    return None


def _is_peer(target: Any) -> bool:
    """Whether it is no tag but another device that wants to talk (NFC-DEP) [NFC Forum Digital, SEL_RES, NFCID2]."""
    if target.sel_res:
        return bool(target.sel_res[0] & 0x60 == 0x40)
    return bool(target.sensf_res and target.sensf_res[1:3] == b"\x01\xfe")


def _uid(target: Any) -> bytes:
    """The identifier in a target's own discovery answer."""
    if target.sensf_res:
        return bytes(target.sensf_res[1:9])
    if target.sensb_res:
        return bytes(target.sensb_res[1:5])
    return bytes(target.sdd_res or target.rid_res[2:6])


# --- the port ---------------------------------------------------------------------------------------------------------


def _locked(port: str) -> int:
    """A descriptor that holds the port for us alone; kept open, so that nfcpy's reopening does not hang it up."""
    fd = os.open(port, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK | os.O_CLOEXEC)
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except BlockingIOError:
            if time.monotonic() > deadline_s:
                raise
            time.sleep(0.01)


def _frontend(port: str) -> Any:
    """nfcpy on the reader at `port`, any path. Raises OSError, ENODEV where no PN532 answers."""
    if not _SAFE_PATH.fullmatch(port):
        raise ValueError("the path has characters that nfcpy would hand to a shell")
    try:
        return _opened(port)
    except OSError as error:
        if error.errno not in (errno.ETIMEDOUT, errno.ENODEV, errno.EIO):
            raise
    # A helper that was killed left it at a high speed.
    for speed in _SPEEDS:
        with serial.Serial(port, speed, timeout=0.05) as line:
            line.write(_SLOW_DOWN)
            if line.read(len(_ACK)) == _ACK:
                line.read(9)
                line.write(_ACK)
                line.flush()
                time.sleep(0.001)
    try:
        return _opened(port)
    except OSError as error:
        if error.errno == errno.ETIMEDOUT:
            raise OSError(errno.ENODEV, "no PN532 answers") from error
        raise


class _Port(nfc.clf.transport.TTY):  # type: ignore[misc]  # nfcpy has no types
    """nfcpy's serial port, more patient once the reader has been found."""

    patience_ms = 0

    def read(self, timeout: float) -> Any:
        return super().read(max(timeout, self.patience_ms))


def _opened(port: str) -> Any:
    transport = _Port(port)
    try:
        device = nfc.clf.pn532.init(transport)
    except BaseException:
        _dropped(transport)
        raise
    transport.patience_ms = PATIENCE_MS
    device._path = port  # nfcpy sets it where it finds the device by itself
    frontend = nfc.ContactlessFrontend()
    frontend.device = device
    return frontend


class _UsbPort(nfc.clf.transport.USB):  # type: ignore[misc]  # nfcpy has no types
    """nfcpy's USB device, more patient: what a tag takes is counted by the chip, never by the bus."""

    def open(self, usb_bus: int, dev_adr: int) -> None:
        _taken_from_the_kernel(self.context, usb_bus, dev_adr)
        super().open(usb_bus, dev_adr)

    def read(self, timeout: float = 0) -> Any:
        return super().read(max(int(timeout), PATIENCE_MS))


def _on_usb(node: str) -> Any:
    """nfcpy on the reader at this node. Raises OSError: ENODEV where it is none that nfcpy knows, EBUSY where another has it."""
    found = _USB_NODE.fullmatch(node)
    assert found is not None
    place = int(found[1]), int(found[2])
    driver = importlib.import_module(f"nfc.clf.{_usb_driver(*place)}")
    deadline_s = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            frontend = nfc.ContactlessFrontend()
            frontend.device = driver.init(_UsbPort(*place))
            frontend.device._path = node
            return frontend
        except OSError as error:  # a helper before this one may still be leaving
            if error.errno != errno.EBUSY or time.monotonic() > deadline_s:
                raise
            time.sleep(0.02)


def _usb_driver(bus: int, address: int) -> str:
    with usb1.USBContext() as context:
        for device in context.getDeviceList(skip_on_error=True):
            if (device.getBusNumber(), device.getDeviceAddress()) == (bus, address):
                name = nfc.clf.device.usb_device_map.get((device.getVendorID(), device.getProductID()))
                if name in _USB_DRIVERS:
                    return str(name)
    raise OSError(errno.ENODEV, "no reader that nfcpy knows")


def _taken_from_the_kernel(context: Any, bus: int, address: int) -> None:
    """The kernel's own NFC driver (pn533_usb) lets go of it."""
    for device in context.getDeviceList(skip_on_error=True):
        if (device.getBusNumber(), device.getDeviceAddress()) == (bus, address):
            with contextlib.suppress(usb1.USBError):  # none has it, or we may not: then claiming it says so
                handle = device.open()
                with contextlib.closing(handle):
                    if handle.kernelDriverActive(0):
                        handle.detachKernelDriver(0)


def _put_to_sleep(frontend: Any) -> None:
    """Closes it as far as that goes; on a port that is gone nfcpy's own closing fails half way."""
    device = frontend.device
    try:
        frontend.close()
    except Exception:  # termios.error among others: there is nothing left to close well
        frontend.device = None
        _dropped(device.chipset.transport if device is not None and device.chipset is not None else None)


def _dropped(transport: Any) -> None:
    if isinstance(transport, _UsbPort):
        with contextlib.suppress(usb1.USBError):
            transport.close()
    elif transport is not None and transport.tty is not None:
        with contextlib.suppress(OSError, termios.error):
            transport.tty.close()
        transport.tty = None


# --- the daemon's side ------------------------------------------------------------------------------------------------


def _leave_with_the_daemon(leaving: threading.Event) -> None:
    with contextlib.suppress(OSError):
        while os.read(sys.stdin.fileno(), 64):
            pass
    leaving.set()
    time.sleep(LEAVE_TIMEOUT_S)
    os._exit(0)  # nfcpy hangs in a read that nothing else ends


def _say(line: l.AnyLine) -> None:
    with contextlib.suppress(OSError):  # nobody listens any more, and standard input has ended too
        os.write(sys.stdout.fileno(), l.encode(line))


def _fault(error: Exception, lock: int, *, is_usb: bool) -> l.Fault:
    """What became of the reader, in words that hold nothing of a tag."""
    number = getattr(error, "errno", None)
    if isinstance(error, termios.error):
        number = error.args[0] if error.args else None
    detail = os.strerror(number) if isinstance(number, int) and number else type(error).__name__
    if lock < 0:
        return l.Fault(kind=_OPENING.get(number or 0, l.FaultKind.ABSENT), detail=detail)
    if isinstance(error, usb1.USBError):
        return l.Fault(kind=_USB.get(error.value, l.FaultKind.STALLED), detail=type(error).__name__)
    if (
        number in (errno.ENODEV, errno.EIO) and is_usb
    ):  # a cable that is pulled in a transfer is a broken transfer first
        return l.Fault(kind=l.FaultKind.GONE, detail="it was pulled, or is no reader that nfcpy knows")
    if number == errno.EBUSY:
        return l.Fault(kind=l.FaultKind.BUSY, detail=detail)
    if number == errno.EACCES:
        return l.Fault(kind=l.FaultKind.DENIED, detail=detail)
    if _is_hung_up(lock):
        return l.Fault(kind=l.FaultKind.GONE, detail="the port was hung up")
    if isinstance(error, (OSError, termios.error)):
        return l.Fault(kind=l.FaultKind.STALLED, detail=f"the reader does not answer: {detail}")
    return l.Fault(kind=l.FaultKind.PROTOCOL, detail=detail)


def _is_hung_up(fd: int) -> bool:
    look = select.poll()
    look.register(fd, select.POLLIN)
    return any(events & (select.POLLHUP | select.POLLERR | select.POLLNVAL) for _, events in look.poll(0))


_USB: dict[int, l.FaultKind] = {
    usb1.ERROR_ACCESS: l.FaultKind.DENIED,
    usb1.ERROR_BUSY: l.FaultKind.BUSY,
    usb1.ERROR_NO_DEVICE: l.FaultKind.GONE,
    usb1.ERROR_IO: l.FaultKind.GONE,
    usb1.ERROR_NOT_FOUND: l.FaultKind.GONE,
}

_OPENING: dict[int, l.FaultKind] = {
    errno.EACCES: l.FaultKind.DENIED,
    errno.EPERM: l.FaultKind.DENIED,
    errno.EBUSY: l.FaultKind.BUSY,
    errno.EAGAIN: l.FaultKind.BUSY,
}

if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3])))
