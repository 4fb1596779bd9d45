"""Owns a umockdev testbed with one card reader as a hidraw node, and obeys commands, as `umockdev_testbed` does::

report <hex>    the reader reports a swipe
add             a uevent
hangup          the device is pulled
"""

import os
import sys
from pathlib import Path

from tests.drivers.umockdev_testbed import bind

NODE = "/dev/hidraw3"
SYSFS = "/devices/pci0/usb1/1-2/1-2:1.0/0003:0801:0002.0001/hidraw/hidraw3"
DEVICE = f"""P: {SYSFS}
N: hidraw3
E: DEVNAME={NODE}
E: SUBSYSTEM=hidraw
E: MAJOR=240
E: MINOR=3
E: ID_SERIAL=Mag-Tek_Reader_B35F1F1
E: ID_SERIAL_SHORT=B35F1F1
A: dev=240:3\\n

"""
DESCRIPTOR = bytes.fromhex(
    "0600ff0901a101150026ff0075080920950381020928950381020938950181020930956e81020931956e81020932956e8102c0"
)
"""Of a MagTek reader, 337 bytes a report."""


def ioctls(node: str = NODE) -> str:
    """The answers to hidraw's questions."""
    size = len(DESCRIPTOR).to_bytes(4, "little")
    answers = [
        ("HIDIOCGRDESCSIZE", 0, size),
        ("HIDIOCGRDESC", 0, (size + DESCRIPTOR).ljust(4100, b"\0")),
        ("HIDIOCGRAWINFO", 0, bytes.fromhex("0300000001080200")),
    ]
    return f"@DEV {node}\n" + "".join(f"{name} {result} {data.hex().upper()}\n" for name, result, data in answers)


def main(folder: Path) -> None:
    library = bind()
    testbed = library.umockdev_testbed_new()
    assert library.umockdev_testbed_add_from_string(testbed, DEVICE.encode(), None)
    (folder / "reader.ioctl").write_text(ioctls())
    assert library.umockdev_testbed_load_ioctl(testbed, NODE.encode(), os.fsencode(folder / "reader.ioctl"), None)
    fd = library.umockdev_testbed_get_dev_fd(testbed, NODE.encode())
    print(library.umockdev_testbed_get_root_dir(testbed).decode(), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["report", data]:
                os.write(fd, bytes.fromhex(data))
            case ["add"]:
                library.umockdev_testbed_uevent(testbed, f"/sys{SYSFS}".encode(), b"add")
            case ["hangup"]:
                os.close(fd)
            case _:
                sys.exit(f"no such command: {line}")
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
