"""Owns a umockdev testbed with one keyboard scanner, and obeys commands on standard input, a word a line.

Run under umockdev's preload library, as a program of its own: the process under test is another one, which inherits
UMOCKDEV_DIR. Prints the testbed's folder first, then ``done`` after each command::

    keys <hex of struct input_event>    the scanner types
    add                                 a uevent
    lights                              answers with the Caps Lock light, once it was set: ``on`` or ``off``
    hangup                              the device is pulled
"""

import ctypes
import os
import select
import struct
import sys
from ctypes import c_char_p, c_int, c_void_p
from pathlib import Path

NODE = "/dev/input/event5"
EVENT = struct.Struct("@llHHi")
EV_LED, LED_CAPS_LOCK = 0x11, 1
SYSFS = "/devices/pci0/usb1/1-1/input/input5/event5"

# What umockdev-record writes; in ID_SERIAL lies what udev makes of a USB serial number.
DEVICE = f"""P: {SYSFS}
N: input/event5
E: DEVNAME={NODE}
E: SUBSYSTEM=input
E: MAJOR=13
E: MINOR=69
E: ID_INPUT=1
E: ID_INPUT_KEYBOARD=1
E: ID_SERIAL=ACME_Scanner_S123
E: ID_SERIAL_SHORT=S123
E: ID_PATH=pci-0:usb-0:1.1
A: dev=13:69\\n

"""


def ioctls(node: str = NODE) -> str:
    """The answers to evdev's questions; umockdev matches a question by its exact size."""
    answers = [
        ("EVIOCGVERSION", 0, (0x10001).to_bytes(4, "little")),
        ("EVIOCGID", 0, bytes.fromhex("0300341256780001")),
        ("EVIOCGNAME", 12, b"ACME Scanner".ljust(256, b"\0")),
        ("EVIOCGPHYS", 1, bytes(256)),
        ("EVIOCGUNIQ", 1, bytes(256)),
        ("EVIOCGEFFECTS", 0, bytes(4)),
        ("EVIOCGBIT(0)", 4, b"\x03\0\0\0"),
        ("EVIOCGBIT(1)", 96, b"\xff" * 16 + bytes(80)),
        ("EVIOCGKEY", 96, bytes(96)),
    ]
    return f"@DEV {node}\n" + "".join(f"{name} {result} {data.hex().upper()}\n" for name, result, data in answers)


def bind() -> ctypes.CDLL:
    library = ctypes.CDLL("libumockdev.so.0")
    for name, result, arguments in (
        ("new", c_void_p, []),
        ("get_root_dir", c_char_p, [c_void_p]),
        ("add_from_string", c_int, [c_void_p, c_char_p, c_void_p]),
        ("load_ioctl", c_int, [c_void_p, c_char_p, c_char_p, c_void_p]),
        ("get_dev_fd", c_int, [c_void_p, c_char_p]),
        ("uevent", None, [c_void_p, c_char_p, c_char_p]),
    ):
        function = getattr(library, f"umockdev_testbed_{name}")
        function.restype, function.argtypes = result, arguments
    return library


def caps_lock_light(fd: int) -> str:
    """The last one written to the device; waits for one."""
    light = ""
    while not light or select.select([fd], [], [], 0)[0]:
        for _, _, kind, code, value in EVENT.iter_unpack(os.read(fd, 100 * EVENT.size)):
            if (kind, code) == (EV_LED, LED_CAPS_LOCK):
                light = "on" if value else "off"
    return light


def main(folder: Path) -> None:
    library = bind()
    testbed = library.umockdev_testbed_new()
    assert library.umockdev_testbed_add_from_string(testbed, DEVICE.encode(), None)
    (folder / "scanner.ioctl").write_text(ioctls())
    assert library.umockdev_testbed_load_ioctl(testbed, NODE.encode(), os.fsencode(folder / "scanner.ioctl"), None)
    fd = library.umockdev_testbed_get_dev_fd(testbed, NODE.encode())
    print(library.umockdev_testbed_get_root_dir(testbed).decode(), flush=True)
    for line in sys.stdin:
        match line.split():
            case ["keys", data]:
                os.write(fd, bytes.fromhex(data))
            case ["lights"]:
                print(caps_lock_light(fd), end=" ")
            case ["add"]:
                library.umockdev_testbed_uevent(testbed, f"/sys{SYSFS}".encode(), b"add")
            case ["hangup"]:
                os.close(fd)
            case _:
                sys.exit(f"no such command: {line}")
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
