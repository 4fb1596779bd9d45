"""What is plugged in, as udev knows it: the nodes that a driver can open, and what they are told apart by.

A node's name (`/dev/ttyUSB0`) is whatever was free; a device is known by its serial number, or by the port in which it
is plugged in (udev's ID_PATH). Where there is no udev (a container), nothing is plugged in.
"""

import contextlib
import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

NodeKind = Literal["serial", "keyboard", "hidraw", "usb-printer", "usb"]
"""How a driver reaches its device: a serial port, an input device with keys, a raw HID, a USB printer (usblp), or the
USB device as a whole (`/dev/bus/usb/BBB/DDD`, for drivers with libusb)."""

_SUBSYSTEMS: Mapping[str, NodeKind] = {
    "tty": "serial",
    "input": "keyboard",
    "hidraw": "hidraw",
    "usbmisc": "usb-printer",
    "usb": "usb",
}
_CODE_KEYS = 0x1000_0FFC
"""KEY_1 to KEY_0 and KEY_ENTER in the lowest word of a bitmap of keys [linux/input-event-codes.h]."""
SCANNERS = Path(__file__).with_name("scanners.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """A node that can be opened. `vendor` and `product` have four hex digits; what udev does not know is empty."""

    path: str
    kind: NodeKind
    vendor: str = ""
    product: str = ""
    serial: str = ""
    """ID_SERIAL_SHORT: the number that its maker gave it."""
    name: str = ""
    """ID_SERIAL: maker, model and serial number in one word."""
    port_path: str = ""
    """ID_PATH: bus, hub and port."""
    interface: str = ""
    """Which USB interface of its device, two hex digits."""
    device: str = ""
    """The sysfs path of the USB device, which may have more than one node."""
    is_acm: bool = False
    """A serial port that belongs to the device itself (USB CDC ACM), and is no adapter's."""

    @property
    def identity(self) -> str:
        """What names the physical device through a replug: maker, model and serial number, or where it hangs."""
        return (self.serial and self.name) or self.port_path or self.path


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a device is recognised by: whatever is not empty has to fit."""

    vendor: str = ""
    product: str = ""
    serial: str = ""
    port_path: str = ""

    def fits(self, node: Node) -> bool:
        """Whether a node is meant. A port's path without its interface means all that hangs there."""
        return (
            self.vendor in ("", node.vendor)
            and self.product in ("", node.product)
            and self.serial in ("", node.serial, node.name)
            and (not self.port_path or f"{node.port_path}:".startswith(f"{self.port_path}:"))
        )

    @property
    def precision(self) -> tuple[bool, bool, bool, bool]:
        """How closely it describes: of two that fit, the greater one is meant."""
        return bool(self.serial), bool(self.port_path), bool(self.product), bool(self.vendor)


def plugged_in() -> tuple[Node, ...]:
    """Every node of a kind that drivers open, in the order of their paths. Takes milliseconds: reads files of sysfs."""
    try:
        import pyudev  # loads libudev: only where devices are looked for

        context = pyudev.Context()
        found = [node_of(device) for name in _SUBSYSTEMS for device in context.list_devices(subsystem=name)]
    except (ImportError, OSError, ValueError):
        return ()
    return tuple(sorted((node for node in found if node is not None), key=lambda node: node.path))


def node_at(path: Path) -> Node | None:
    """The node at a path, links followed; None where it is no udev device (a pty, a container)."""
    with contextlib.suppress(ImportError, OSError, ValueError):
        import pyudev

        with contextlib.suppress(pyudev.DeviceNotFoundError):
            node = path.resolve(strict=True)
            return node_of(pyudev.Devices.from_device_file(pyudev.Context(), str(node)))
    return None


def node_of(device: Any) -> Node | None:
    """What a pyudev device is to a driver; None where no driver opens such a thing."""
    kind = _kind(device)
    if kind is None:
        return None
    told = device.properties
    parent = device if kind == "usb" else device.find_parent("usb", "usb_device")
    return Node(
        path=device.device_node,
        kind=kind,
        vendor=told.get("ID_VENDOR_ID", "").lower(),
        product=told.get("ID_MODEL_ID", "").lower(),
        serial=told.get("ID_SERIAL_SHORT", ""),
        name=told.get("ID_SERIAL", ""),
        port_path=told.get("ID_PATH", ""),
        interface=told.get("ID_USB_INTERFACE_NUM", ""),
        device=parent.device_path if parent is not None else "",
        is_acm=device.sys_name.startswith("ttyACM"),
    )


def scanner_maker(node: Node) -> str | None:
    """Who made this scanner, by `scanners.toml`; None where it need not be one."""
    makers = _makers()
    return makers.get((node.vendor, "")) or makers.get((node.vendor, node.product))


def short_name(node: Node) -> str:
    """A few letters that tell this device from others of its kind: the end of its serial number, or its port."""
    # An ID_PATH ends in usb-CONTROLLER:PORTS:INTERFACE where it is a USB device's.
    ports = node.port_path.partition("usb-")[2].split(":")[1:2]
    wanted = node.serial[-8:] or "".join(ports) or node.port_path[-8:]
    letters = "".join(letter if letter.isalnum() and letter.isascii() else "-" for letter in wanted.lower())
    return "-".join(part for part in letters.split("-") if part) or "device"


@functools.cache
def _makers() -> dict[tuple[str, str], str]:
    """(vendor, product) to a name; the product is empty where all of a vendor's are scanners."""
    made: Iterable[Mapping[str, Any]] = tomllib.loads(SCANNERS.read_text())["maker"]
    return {(maker["vendor"], product): maker["name"] for maker in made for product in maker.get("products", [""])}


def _kind(device: Any) -> NodeKind | None:
    kind = _SUBSYSTEMS.get(device.subsystem)
    if kind is None or not device.device_node:
        return None
    told = device.properties
    match kind:
        case "serial":
            # The kernel's own consoles are ttys too; those at a plug have a path.
            return kind if told.get("ID_PATH") or told.get("ID_BUS") == "usb" else None
        case "keyboard":
            return kind if device.sys_name.startswith("event") and _types_codes(device) else None
        case "usb-printer":
            return kind if device.sys_name.startswith("lp") else None
        case "usb":
            return kind if device.device_type == "usb_device" else None
    return kind


def _types_codes(device: Any) -> bool:
    """Whether an input device has the keys to type a code. Our own rules take udev's word for it away from scanners."""
    parent = device.parent
    keys = parent.attributes.get("capabilities/key") if parent is not None else None
    words = keys.split() if keys else []
    if not words:
        told = device.properties
        return "1" in (told.get("ID_INPUT_KEYBOARD"), told.get("TERMINALD_SCANNER"))
    return int(words[-1], 16) & _CODE_KEYS == _CODE_KEYS
