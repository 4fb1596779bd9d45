"""What the shim wrote down of a program (``trace=``): each call that changed its folder, and what it said, in order."""

import enum
import struct
from dataclasses import dataclass
from pathlib import Path

_LINE = struct.Struct("<cBHIQQ")
LIED = 255


class Kind(enum.Enum):
    """What happened."""

    SAID = b"s"  # `data` went to standard output
    CREATED = b"c"
    WRITTEN = b"w"  # `data` at `offset`
    RESIZED = b"t"  # to `offset` bytes
    FLUSHED = b"f"
    UNLINKED = b"u"
    RENAMED = b"r"  # from the name in `data` to `name`


@dataclass(frozen=True, slots=True)
class Event:
    """One call. `name` is the file's within the folder, ``""`` the folder's own; `outcome` is 0, an errno, or `LIED`."""

    kind: Kind
    outcome: int
    name: str
    inode: int
    offset: int
    data: bytes


def read_trace(trace: Path, folder: Path) -> list[Event]:
    """All events of a trace, of one process or of several one after the other; none where nothing was done."""
    raw = trace.read_bytes() if trace.exists() else b""
    root = str(folder.resolve())
    events = []
    place = 0
    while place + _LINE.size <= len(raw):
        kind, outcome, path_length, data_length, inode, offset = _LINE.unpack_from(raw, place)
        place += _LINE.size
        path = raw[place : place + path_length].decode()
        place += path_length
        name = path.removeprefix(root).lstrip("/").removesuffix(" (deleted)")
        events.append(Event(Kind(kind), outcome, name, inode, offset, raw[place : place + data_length]))
        place += data_length
    return events
