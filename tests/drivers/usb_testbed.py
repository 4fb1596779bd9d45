"""Owns a umockdev testbed with one card reader on USB, whose side of usbdevfs it plays, and obeys commands::

    report <hex>    the reader reports a swipe
    remove          the device is pulled: every call fails with ENODEV from now on
    add             a uevent, and it is there again

What libusb asks of the kernel [linux/usbdevice_fs.h]: claims, control and interrupt transfers, their end, their giving up.
"""

import ctypes
import errno
import struct
import sys
import threading
import time
from ctypes import c_char_p, c_int, c_long, c_size_t, c_ulong, c_void_p
from pathlib import Path

from tests.drivers.hidraw_testbed import DESCRIPTOR
from tests.drivers.umockdev_testbed import bind

NODE = "/dev/bus/usb/001/005"
SYSFS = "/devices/pci0/usb1/1-1"
SERIAL = "B35F1F1"
PACKET_BYTES = 64
_REPORT_DESCRIPTOR = struct.pack("<BBHBBBH", 9, 0x21, 0x0111, 0, 1, 0x22, len(DESCRIPTOR))
_ENDPOINT = struct.pack("<BBBBHB", 7, 5, 0x81, 3, PACKET_BYTES, 10)
_INTERFACE = bytes((9, 4, 0, 0, 1, 3, 0, 0, 0)) + _REPORT_DESCRIPTOR + _ENDPOINT
_CONFIGURATION = struct.pack("<BBHBBBBB", 9, 2, 9 + len(_INTERFACE), 1, 1, 0, 0xA0, 50) + _INTERFACE
_DEVICE = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0110, 0, 0, 0, 8, 0x0801, 0x0002, 0x0100, 0, 0, 1, 1)
STRINGS = {0: struct.pack("<BBH", 4, 3, 0x0409), 1: bytes((2 + 2 * len(SERIAL), 3)) + SERIAL.encode("utf-16-le")}

DEVICE = f"""P: {SYSFS}
N: bus/usb/001/005
E: DEVNAME={NODE}
E: SUBSYSTEM=usb
E: DEVTYPE=usb_device
E: BUSNUM=001
E: DEVNUM=005
A: busnum=1\\n
A: devnum=5\\n
A: bConfigurationValue=1\\n
A: speed=12\\n
A: idVendor=0801\\n
A: idProduct=0002\\n
H: descriptors={(_DEVICE + _CONFIGURATION).hex()}

"""

# _IO*('U', number, size) [linux/usbdevice_fs.h], by their numbers
_CLAIM, _RELEASE, _SUBMIT, _DISCARD, _REAP, _REAP_NOW = 15, 16, 10, 11, 12, 13
_IOCTL, _CAPABILITIES, _DRIVER = 18, 26, 8
_URB = struct.Struct("@BBiIPiiiiiIP")
"""struct usbdevfs_urb: type, endpoint, status, flags, buffer, length, actual length, and what follows."""
_CONTROL = 2


class Data(ctypes.Structure):
    """UMockdevIoctlData: a GObject, and after it what is ours to read."""

    _fields_ = (
        ("object", ctypes.c_byte * 24),
        ("data", c_void_p),
        ("length", c_int),
        ("address", c_ulong),
    )


Handler = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_void_p)


class Reader:
    """The device's side of the calls. They come on umockdev's own thread."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self.lock = threading.Lock()
        self.reports: list[bytes] = []
        self.is_there = True
        self._library = library
        self._flying: list[int] = []
        self._ended: list[tuple[int, int, bytes]] = []

    def handle(self, _base: int, client: int, _data: int) -> int:
        with self.lock:
            result, number = self._answer(client)
        if number == errno.EAGAIN:
            time.sleep(0.002)  # libusb asks at once again: the node is always writable here
        self._library.umockdev_ioctl_client_complete(client, result, number)
        return 1

    def _answer(self, client: int) -> tuple[int, int]:
        number = self._library.umockdev_ioctl_client_get_request(client) & 0xFF
        argument = self._library.umockdev_ioctl_client_get_arg(client)
        if number in (_REAP, _REAP_NOW):
            return self._reap(argument)
        if not self.is_there:
            return -1, errno.ENODEV
        if number == _SUBMIT:
            return self._submit(argument)
        if number == _DISCARD:
            return self._discard(argument)
        if number == _CAPABILITIES:
            self._write(self._resolve(argument, 0, 4), 0, struct.pack("@I", 0))
            return 0, 0
        if number == _DRIVER:
            return -1, errno.ENODATA  # no driver of the kernel's has it
        return 0, 0

    def _submit(self, argument: int) -> tuple[int, int]:
        urb = self._resolve(argument, 0, _URB.size)
        kind, _, _, _, _, length, *_ = _URB.unpack(self._read(urb))
        buffer = self._resolve(urb, 16, length)
        self._flying.append(urb)
        if kind == _CONTROL:
            _, request, value, _, wanted = struct.unpack("<BBHHH", self._read(buffer)[:8])
            found = DESCRIPTOR if value >> 8 == 0x22 else STRINGS.get(value & 0xFF, b"")
            assert request == 6
            self._flying.remove(urb)
            self._ended.append((urb, 0, bytes(8) + found[:wanted]))
        return 0, 0

    def _reap(self, argument: int) -> tuple[int, int]:
        if self.reports and self._flying:
            self._ended.append((self._flying.pop(0), 0, self.reports.pop(0)))
        if not self.is_there:
            self._ended += [(urb, -errno.ESHUTDOWN, b"") for urb in self._flying]
            self._flying.clear()
        if not self._ended:
            return -1, errno.EAGAIN if self.is_there else errno.ENODEV
        urb, status, found = self._ended.pop(0)
        kind, endpoint, _, flags, pointer, length, _, *rest = _URB.unpack(self._read(urb))
        if found:
            self._write(self._resolve(urb, 16, length), 0, found)
        actual = len(found) - 8 if kind == _CONTROL and found else len(found)
        self._write(urb, 0, _URB.pack(kind, endpoint, status, flags, pointer, length, actual, *rest))
        self._library.umockdev_ioctl_data_set_ptr(self._resolve(argument, 0, 8), 0, urb)
        return 0, 0

    def _discard(self, argument: int) -> tuple[int, int]:
        (address,) = struct.unpack("@P", self._read(argument))
        for urb in self._flying:
            if Data.from_address(urb).address == address:
                self._flying.remove(urb)
                self._ended.append((urb, -errno.ENOENT, b""))
                return 0, 0
        return -1, errno.EINVAL

    def _resolve(self, data: int, offset: int, length: int) -> int:
        found = self._library.umockdev_ioctl_data_resolve(data, offset, length, None)
        assert found
        return int(found)

    def _read(self, data: int) -> bytes:
        held = Data.from_address(data)
        return ctypes.string_at(held.data, held.length)

    def _write(self, data: int, offset: int, what: bytes) -> None:
        held = Data.from_address(data)
        assert offset + len(what) <= held.length
        ctypes.memmove(held.data + offset, what, len(what))


def bind_ioctls(library: ctypes.CDLL) -> None:
    for name, result, arguments in (
        ("testbed_attach_ioctl", c_int, [c_void_p, c_char_p, c_void_p, c_void_p]),
        ("ioctl_base_new", c_void_p, []),
        ("ioctl_client_get_request", c_ulong, [c_void_p]),
        ("ioctl_client_get_arg", c_void_p, [c_void_p]),
        ("ioctl_client_complete", None, [c_void_p, c_long, c_int]),
        ("ioctl_data_resolve", c_void_p, [c_void_p, c_size_t, c_size_t, c_void_p]),
        ("ioctl_data_set_ptr", c_int, [c_void_p, c_size_t, c_void_p]),
    ):
        function = getattr(library, f"umockdev_{name}")
        function.restype, function.argtypes = result, arguments


def main() -> None:
    library = bind()
    bind_ioctls(library)
    testbed = library.umockdev_testbed_new()
    reader = Reader(library)
    handler = Handler(reader.handle)
    base = library.umockdev_ioctl_base_new()
    connect = ctypes.CDLL("libgobject-2.0.so.0").g_signal_connect_data
    connect.restype, connect.argtypes = c_ulong, [c_void_p, c_char_p, Handler, c_void_p, c_void_p, c_int]
    connect(base, b"handle-ioctl", handler, None, None, 0)
    assert library.umockdev_testbed_attach_ioctl(testbed, NODE.encode(), base, None)
    assert library.umockdev_testbed_add_from_string(testbed, DEVICE.encode(), None)
    root = Path(library.umockdev_testbed_get_root_dir(testbed).decode())
    print(root, flush=True)
    for line in sys.stdin:
        with reader.lock:
            match line.split():
                case ["report", data]:
                    reader.reports.append(bytes.fromhex(data))
                case ["remove"]:
                    reader.is_there = False
                case ["add"]:
                    reader.is_there = True
                case _:
                    sys.exit(f"no such command: {line}")
        if line.startswith("add"):
            library.umockdev_testbed_uevent(testbed, f"/sys{SYSFS}".encode(), b"add")
        print("done", flush=True)


if __name__ == "__main__":
    main()
