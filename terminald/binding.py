"""What ties a journal to the board and the medium that it was begun on: a copy of the card is another terminal's journal.

Nothing of it leaves the terminal but as a hash (`store.anchor.binding`). What this system does not tell is left out; a
part counts only where it was known before and is known now.
"""

import os
from collections.abc import Iterable
from pathlib import Path

from store.anchor import binding

_BOARD = (
    "sys/firmware/devicetree/base/serial-number",
    "proc/device-tree/serial-number",
    "sys/class/dmi/id/board_serial",
)
_MACHINE = ("etc/machine-id",)
_MEDIUM = ("device/cid", "device/serial", "device/wwid", "serial", "wwid")
_TEXT_MAX = 256
_SAYS_NOTHING = ("", "0", "None", "Not Specified", "Default string", "To be filled by O.E.M.")


def binding_of(folder: Path, root: Path = Path("/")) -> bytes:
    """The binding of a journal in a folder; `root` is where the system's own trees are mounted."""
    device = _block_device(folder, root)
    return binding(
        board=_first(root / each for each in _BOARD),
        medium=_first(disk / each for disk in _disks(device) for each in _MEDIUM),
        filesystem=_filesystem(device, root),
        machine=_first(root / each for each in _MACHINE),
    )


def _block_device(folder: Path, root: Path) -> Path | None:
    """The folder in sysfs of what the file system lies on; None where that is no block device (tmpfs, overlay)."""
    number = os.stat(folder).st_dev
    place = root / f"sys/dev/block/{os.major(number)}:{os.minor(number)}"
    return place.resolve() if place.exists() else None


def _disks(device: Path | None) -> tuple[Path, ...]:
    """The device itself, and the disk that it is a partition of."""
    return () if device is None else (device, device.parent)


def _filesystem(device: Path | None, root: Path) -> str:
    """The UUID by which udev lists it."""
    if device is None:
        return ""
    try:
        links = sorted((root / "dev/disk/by-uuid").iterdir())
    except OSError:
        return ""
    return next((link.name for link in links if os.path.basename(os.path.realpath(link)) == device.name), "")


def _first(places: Iterable[Path]) -> str:
    """The first text that there is; so many boards say ``0`` or ``None`` that these count as nothing."""
    return next((text for place in places if (text := _read(place)) not in _SAYS_NOTHING), "")


def _read(place: Path) -> str:
    try:
        with place.open("rb") as file:
            return file.read(_TEXT_MAX).decode("ascii", "replace").strip("\0\r\n\t ")
    except OSError:
        return ""
