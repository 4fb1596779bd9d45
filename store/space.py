"""Room on the medium: a preallocated reserve, and when it is time to say that room is running out.

The reserve is a file of real blocks. While there is little room new sales are refused and the reserve is kept; only when
nearly nothing is left is it given back, a piece at a time, so that the sale that is open can finish. So whoever fills the
disk comes to its end before the reserve is there to be taken, and one that goes on takes a piece of it and not the whole.
The reserve is filled up again as soon as there is room.
"""

import contextlib
import enum
import os
from collections.abc import Callable
from pathlib import Path

RESERVE_BYTES = 16 << 20
"""Some thousand transactions; one needs about 100 KiB with everything that goes with it."""
PIECES = 8
"""In so many pieces the reserve is given back, one whenever less than that is free."""
FULL_BELOW_BYTES = 8 << 20
LOW_BELOW_BYTES = 64 << 20


class Room(enum.StrEnum):
    """How much room there is: enough; little, so that only sales are kept; none for a new sale."""

    ENOUGH = "enough"
    LOW = "low"
    FULL = "full"


class Space:
    """Watches the medium below `folder` and holds the reserve there. Its calls take microseconds but for `look`'s refill."""

    def __init__(
        self,
        folder: Path,
        *,
        reserve_bytes: int = RESERVE_BYTES,
        full_below_bytes: int = FULL_BELOW_BYTES,
        low_below_bytes: int = LOW_BELOW_BYTES,
        free_bytes: Callable[[Path], int] | None = None,
    ) -> None:
        self.room = Room.ENOUGH
        self._folder = folder
        self._reserve = folder / "reserve"
        self._reserve_bytes = reserve_bytes
        self._piece_bytes = min(reserve_bytes // PIECES, full_below_bytes)
        self._full_below_bytes = full_below_bytes
        self._low_below_bytes = max(low_below_bytes, full_below_bytes)
        self._free_bytes = free_bytes or _free_bytes

    def look(self) -> Room:
        """Looks how much room there is, gives a piece of the reserve back where there is none, takes it where there is.

        Never raises: a medium that cannot even be asked is full.
        """
        try:
            free = self._free_bytes(self._folder)
            held = self._held()
        except OSError:
            self.room = Room.FULL
            return self.room
        if free < self._full_below_bytes:
            if free < self._piece_bytes:
                self._shrink(held - self._piece_bytes)
            self.room = Room.FULL
        elif held < self._reserve_bytes and not self._take(free, held):
            self.room = Room.FULL if self.room is Room.FULL else Room.LOW
        else:
            self.room = Room.LOW if free < self._low_below_bytes else Room.ENOUGH
        return self.room

    def _held(self) -> int:
        try:
            return self._reserve.stat().st_size
        except FileNotFoundError:
            return 0

    def _take(self, free: int, held: int) -> bool:
        """Takes the reserve where its blocks leave enough; whether it is held now."""
        if free - (self._reserve_bytes - held) < self._full_below_bytes:
            return False
        try:
            descriptor = os.open(self._reserve, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self._reserve_bytes)
            finally:
                os.close(descriptor)
        except OSError:
            self._shrink(held)
            return False
        return True

    def _shrink(self, to_bytes: int) -> None:
        with contextlib.suppress(OSError):
            if to_bytes > 0:
                os.truncate(self._reserve, to_bytes)
            else:
                self._reserve.unlink(missing_ok=True)


def _free_bytes(folder: Path) -> int:
    """What this user may still write there."""
    state = os.statvfs(folder)
    return state.f_bavail * state.f_frsize
