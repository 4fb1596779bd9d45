"""Owns a umockdev testbed into which devices are plugged, and obeys commands on standard input, a word a line.

Run under umockdev's preload library, as a program of its own: the process under test is another one, which inherits
UMOCKDEV_DIR. Prints the testbed's folder first, then ``done`` after each command::

    plug NAME KIND VENDOR PRODUCT SERIAL PORT   KIND is keyboard, hidraw or acm, SERIAL may be -; NAME is for the next commands
    unplug NAME                                 its cable is pulled: a hangup, and udev says that it went
    vanish NAME                                 udev says so, and the open descriptor stays as it is
    send NAME HEX                               the device sends bytes
"""

import fcntl
import os
import resource
import struct
import sys
from ctypes import c_char_p, c_void_p
from dataclasses import dataclass
from pathlib import Path

from tests.drivers import hidraw_testbed
from tests.drivers.umockdev_testbed import bind, ioctls

TIOCGPTN = 0x80045430
"""The number of a pty, asked of its master [asm-generic/ioctls.h]."""
ALL_KEYS = "ffffffffffffffff fffffffffffffffe"


@dataclass
class Plugged:
    node: str
    fd: int
    paths: list[str]
    """Its sysfs paths, the outermost first."""


class Testbed:
    """The testbed and what is plugged into it. Node numbers grow: a replugged device gets another node."""

    def __init__(self, folder: Path) -> None:
        self._library = bind()
        function = self._library.umockdev_testbed_remove_device
        function.restype, function.argtypes = None, [c_void_p, c_char_p]
        self._made = self._library.umockdev_testbed_new()
        self._folder = folder
        self._plugged: dict[str, Plugged] = {}
        self._number = 0

    @property
    def root(self) -> str:
        return str(self._library.umockdev_testbed_get_root_dir(self._made).decode())

    def plug(self, name: str, kind: str, vendor: str, product: str, serial: str, port: str) -> None:
        self._number += 1
        number = self._number
        usb = f"/devices/pci0/usb1/1-{port}"
        interface = f"{usb}/1-{port}:1.0"
        port_path = f"pci-0:usb-0:{port}"
        ids = [f"E: ID_VENDOR_ID={vendor}", f"E: ID_MODEL_ID={product}", "E: ID_BUS=usb"]
        ids.append("E: ID_SERIAL=" + f"Maker_{product}" + (f"_{serial}" if serial != "-" else ""))
        if serial != "-":
            ids.append(f"E: ID_SERIAL_SHORT={serial}")
        whole_told = [
            *ids,
            f"E: ID_PATH={port_path}",
            "E: SUBSYSTEM=usb",
            "E: DEVTYPE=usb_device",
            f"E: DEVNAME=/dev/bus/usb/001/{number:03}",
        ]
        whole_told += ["E: MAJOR=189", f"E: MINOR={number}", f"A: dev=189:{number}\\n"]
        device = _block(usb, f"N: bus/usb/001/{number:03}", whole_told)
        ids += [f"E: ID_PATH={port_path}:1.0", "E: ID_USB_INTERFACE_NUM=00"]
        if kind == "keyboard":
            node, parent = f"/dev/input/event{number}", f"{interface}/input/input{number}"
            leaf = f"{parent}/event{number}"
            whole = _block(parent, "", ["E: SUBSYSTEM=input", f"A: capabilities/key={ALL_KEYS}"])
            told = ["E: SUBSYSTEM=input", "E: MAJOR=13", f"E: MINOR={64 + number}", f"A: dev=13:{64 + number}\\n", *ids]
            whole += _block(leaf, f"N: input/event{number}", [f"E: DEVNAME={node}", *told])
            paths = [usb, parent, leaf]
        elif kind == "hidraw":
            node = f"/dev/hidraw{number}"
            leaf = f"{interface}/0003:{vendor}:{product}.{number:04}/hidraw/hidraw{number}"
            told = ["E: SUBSYSTEM=hidraw", "E: MAJOR=240", f"E: MINOR={number}", f"A: dev=240:{number}\\n", *ids]
            whole = _block(leaf, f"N: hidraw{number}", [f"E: DEVNAME={node}", *told])
            paths = [usb, leaf]
        else:
            node, leaf = f"/dev/ttyACM{number}", f"{interface}/tty/ttyACM{number}"
            told = ["E: SUBSYSTEM=tty", "E: MAJOR=166", f"E: MINOR={number}", f"A: dev=166:{number}\\n", *ids]
            whole = _block(leaf, f"N: ttyACM{number}", [f"E: DEVNAME={node}", *told])
            paths = [usb, leaf]
        if kind in _ANSWERS:
            # Before the node is there: whoever opens it finds somebody to ask.
            answers = self._folder / f"{kind}{number}.ioctl"
            answers.write_text(_ANSWERS[kind](node))
            assert self._library.umockdev_testbed_load_ioctl(self._made, node.encode(), os.fsencode(answers), None)
        assert self._library.umockdev_testbed_add_from_string(self._made, (device + whole).encode(), None)
        fd = self._library.umockdev_testbed_get_dev_fd(self._made, node.encode())
        self._plugged[name] = Plugged(node, fd, paths)
        self._say(leaf, "add")

    def unplug(self, name: str, *, hangup: bool) -> None:
        gone = self._plugged.pop(name)
        if hangup:
            # The node goes first: its pty's number may be another device's as soon as the pty is closed.
            Path(f"{self.root}{gone.node}").unlink()
            # umockdev remembers what this pty stood for, and the next one may get its number.
            number = struct.unpack("I", fcntl.ioctl(gone.fd, TIOCGPTN, bytes(4)))[0]
            Path(self.root, "dev", ".ptymap", f"_dev_pts_{number}").unlink(missing_ok=True)
            os.close(gone.fd)
        self._say(gone.paths[-1], "remove")
        for path in reversed(gone.paths):
            self._library.umockdev_testbed_remove_device(self._made, f"/sys{path}".encode())

    def send(self, name: str, data: bytes) -> None:
        os.write(self._plugged[name].fd, data)

    def _say(self, path: str, action: str) -> None:
        """Of a device's several events the last one is sent alone: the testbed's socket holds ten, a netlink one 128 KiB."""
        self._library.umockdev_testbed_uevent(self._made, f"/sys{path}".encode(), action.encode())


_ANSWERS = {"keyboard": ioctls, "hidraw": hidraw_testbed.ioctls}


def _block(path: str, node: str, lines: list[str]) -> str:
    return "\n".join([f"P: {path}", *([node] if node else []), *lines]) + "\n\n"


def main(folder: Path) -> None:
    # Of each keyboard that was ever plugged in, umockdev keeps a socket for questions.
    resource.setrlimit(resource.RLIMIT_NOFILE, (resource.getrlimit(resource.RLIMIT_NOFILE)[1],) * 2)
    testbed = Testbed(folder)
    print(testbed.root, flush=True)
    for line in sys.stdin:
        match line.split():
            case ["plug", name, kind, vendor, product, serial, port]:
                testbed.plug(name, kind, vendor, product, serial, port)
            case ["unplug", name]:
                testbed.unplug(name, hangup=True)
            case ["vanish", name]:
                testbed.unplug(name, hangup=False)
            case ["send", name, data]:
                testbed.send(name, bytes.fromhex(data))
            case _:
                sys.exit(f"no such command: {line}")
        print("done", flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
