"""What is remembered of each physical device across restarts: how long it has worked, how often it failed, what it was called.

A small JSON file beside the journal, written anew as a whole and never synced: it is worth no wear of the medium, and
one that a power cut took is begun again. It holds no customer's data.
"""

import contextlib
import logging
import os
from pathlib import Path

import msgspec

DEVICES_MAX = 256
"""Of more, those that were not plugged in for the longest time are forgotten."""
FILE_BYTES_MAX = 1 << 20

_log = logging.getLogger(__name__)


class Past(msgspec.Struct, kw_only=True):
    """One device's past. `seen_ms` is the wall clock's time of its last life, `fault` the code of its last fault."""

    name: str = ""
    ready_s: float = 0.0
    faults: int = 0
    fault: str | None = None
    seen_ms: int = 0

    @property
    def between_faults_s(self) -> int | None:
        """The mean time that it worked from one fault to the next; None before its first one."""
        return int(self.ready_s / self.faults) if self.faults else None


class DeviceBook:
    """Identity to past. With `path` None it remembers until the process ends."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._pasts = _read(path) if path is not None else {}
        self._changed = False

    def past(self, identity: str) -> Past:
        """What is known of a device; nothing of one that was never here."""
        return self._pasts.get(identity) or Past()

    def holder_of(self, name: str) -> str | None:
        """The identity of the device that was the last one to have this name."""
        held = [(past.seen_ms, identity) for identity, past in self._pasts.items() if past.name == name]
        return max(held)[1] if held else None

    def add(self, identity: str, name: str, *, ready_s: float, fault: str | None, now_ms: int) -> None:
        """A device worked for so long, and then failed if there is a fault."""
        past = self._pasts.setdefault(identity, Past())
        past.name, past.seen_ms = name, now_ms
        past.ready_s += ready_s
        if fault is not None:
            past.fault = fault
            past.faults += 1
        while len(self._pasts) > DEVICES_MAX:
            del self._pasts[min(self._pasts, key=lambda known: self._pasts[known].seen_ms)]
        self._changed = True

    def save(self) -> None:
        """Writes it down, if there is anything new. A medium that takes nothing now is asked again at the next time."""
        if (news := self.news()) is not None:
            self.write(news)

    def news(self) -> bytes | None:
        """What is to be written down; None where it is already, or nowhere to be."""
        if self._path is None or not self._changed:
            return None
        self._changed = False
        return msgspec.json.format(msgspec.json.encode(self._pasts), indent=1)

    def write(self, news: bytes) -> None:
        """The rest of `save`, on any thread: a medium that has much to write holds up whoever gives it more."""
        assert self._path is not None, "there is no news without a path"
        draft = self._path.with_name(f"{self._path.name}.new")
        try:
            draft.write_bytes(news)
            os.replace(draft, self._path)
        except OSError as error:
            _log.info("what is known of the devices is not written down: %s", error.strerror)
            with contextlib.suppress(OSError):
                draft.unlink(missing_ok=True)
            self._changed = True


def _read(path: Path) -> dict[str, Past]:
    try:
        with path.open("rb") as file:
            return msgspec.json.decode(file.read(FILE_BYTES_MAX), type=dict[str, Past])
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        _log.warning("what was known of the devices is lost (%s); it is begun anew", type(error).__name__)
        return {}
