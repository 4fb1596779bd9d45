"""Owns a umockdev testbed with one NFC reader on USB, whose side of usbdevfs it plays, and obeys commands::

    type2 <uid> <message>      puts a tag on it; with a third number, so many reads and it is pulled away
    type4 <uid> <message>      a Type 4 tag; ``-`` for no message: a payment card
    take                       takes it away
    apdus                      answers with what the card was asked, in hex
    senses                     answers with how often tags were looked for
    remove, add                the device is pulled, and is there again

The reader's kind is the first argument. See `usb_testbed` for the calls.
"""

import ctypes
import struct
import sys
from ctypes import c_char_p, c_int, c_ulong, c_void_p
from pathlib import Path

from drivers.simulated.nfc_usb import ENDPOINTS, IDS, NAMES, Reader, SimulatedUsbReader
from drivers.simulated.tags import Ntag213, Type4Card
from tests.drivers.umockdev_testbed import bind
from tests.drivers.usb_testbed import _URB, NODE, SYSFS, Handler, bind_ioctls
from tests.drivers.usb_testbed import Reader as UsbReader

PACKET_BYTES = 64
_CONTROL, _BULK = 2, 3


def device_of(reader: Reader) -> str:
    """The device as umockdev-record would write it."""
    vendor, product = IDS[reader]
    ends = b"".join(struct.pack("<BBBBHB", 7, 5, address, 2, PACKET_BYTES, 0) for address in ENDPOINTS[reader])
    interface = bytes((9, 4, 0, 0, 2, 0x0B if reader == "acr122u" else 0xFF, 0, 0, 0)) + ends
    configuration = struct.pack("<BBHBBBBB", 9, 2, 9 + len(interface), 1, 1, 0, 0x80, 50) + interface
    descriptor = struct.pack("<BBHBBBBHHHBBBB", 18, 1, 0x0200, 0, 0, 0, 8, vendor, product, 0x0100, 1, 2, 0, 1)
    return f"""P: {SYSFS}
N: bus/usb/001/005
E: DEVNAME={NODE}
E: SUBSYSTEM=usb
E: MAJOR=189
E: MINOR=4
E: DEVTYPE=usb_device
E: BUSNUM=001
E: DEVNUM=005
E: ID_VENDOR_ID={vendor:04x}
E: ID_MODEL_ID={product:04x}
E: ID_PATH=pci-0:usb-0:1
A: dev=189:4\\n
A: busnum=1\\n
A: devnum=5\\n
A: bConfigurationValue=1\\n
A: speed=12\\n
A: idVendor={vendor:04x}\\n
A: idProduct={product:04x}\\n
H: descriptors={(descriptor + configuration).hex()}

"""


class BulkReader(UsbReader):
    """Bulk transfers: each from the host is answered, each towards it waits for an answer."""

    def __init__(self, library: ctypes.CDLL, far: SimulatedUsbReader) -> None:
        super().__init__(library)
        self.far = far

    def _submit(self, argument: int) -> tuple[int, int]:
        urb = self._resolve(argument, 0, _URB.size)
        kind, endpoint, _, _, _, length, *_ = _URB.unpack(self._read(urb))
        if kind == _BULK and not endpoint & 0x80:
            sent = self._read(self._resolve(urb, 16, length)) if length else b""
            self.reports += self.far.took(sent)
            self._ended.append((urb, 0, sent))
            return 0, 0
        if kind == _CONTROL:
            return self._control(urb, length)
        self._flying.append(urb)
        return 0, 0

    def _control(self, urb: int, length: int) -> tuple[int, int]:
        buffer = self._resolve(urb, 16, length)
        _, _, value, _, wanted = struct.unpack("<BBHHH", self._read(buffer)[:8])
        names = ("", *NAMES[self.far.reader])
        number = value & 0xFF
        text = names[number].encode("utf-16-le") if 0 < number < len(names) else struct.pack("<H", 0x0409)
        found = bytes((2 + len(text), 3)) + text if value >> 8 == 3 else b""
        self._ended.append((urb, 0, bytes(8) + found[:wanted]))
        return 0, 0


def obey(reader: BulkReader, words: list[str]) -> str:
    """Carries out a command, and gives its answer."""
    chip = reader.far.chip
    match words:
        case ["type2", uid, message, *reads]:
            chip.put(Ntag213(bytes.fromhex(uid), bytes.fromhex(message), int(reads[0]) if reads else None))
        case ["type4", uid, "-"]:
            chip.put(Type4Card(bytes.fromhex(uid)))
        case ["type4", uid, message]:
            chip.put(Type4Card(bytes.fromhex(uid), bytes.fromhex(message), is_payment_card=False))
        case ["take"]:
            chip.remove()
        case ["apdus"]:
            assert isinstance(chip.tag, Type4Card)
            return " ".join(apdu.hex() for apdu in chip.tag.apdus)
        case ["senses"]:
            return str(chip.senses)
        case ["remove"]:
            reader.is_there = False
        case ["add"]:
            reader.is_there = True
            reader.reports.clear()
            chip.reset()
        case _:
            sys.exit(f"no such command: {words}")
    return "done"


def main(kind: Reader) -> None:
    library = bind()
    bind_ioctls(library)
    testbed = library.umockdev_testbed_new()
    reader = BulkReader(library, SimulatedUsbReader(kind))
    handler = Handler(reader.handle)
    base = library.umockdev_ioctl_base_new()
    connect = ctypes.CDLL("libgobject-2.0.so.0").g_signal_connect_data
    connect.restype, connect.argtypes = c_ulong, [c_void_p, c_char_p, Handler, c_void_p, c_void_p, c_int]
    connect(base, b"handle-ioctl", handler, None, None, 0)
    assert library.umockdev_testbed_attach_ioctl(testbed, NODE.encode(), base, None)
    assert library.umockdev_testbed_add_from_string(testbed, device_of(kind).encode(), None)
    print(Path(library.umockdev_testbed_get_root_dir(testbed).decode()), flush=True)
    for line in sys.stdin:
        with reader.lock:
            answer = obey(reader, line.split())
        if line.startswith("add"):
            library.umockdev_testbed_uevent(testbed, f"/sys{SYSFS}".encode(), b"add")
        print(answer, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])  # type: ignore[arg-type]
