"""The far end of a cable that says what a real device once said: a recording, in its own time."""

import asyncio
import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from drivers.codecs.recording import Piece
from drivers.simulated.cable import PtyCable

PAUSE_S_MAX = 5.0
"""The hours in which nothing was scanned are played in so long."""


class Replay:
    """A device on a pty, until it is unplugged."""

    def __init__(self, cable: PtyCable) -> None:
        self._cable = cable

    async def run(self, pieces: Sequence[Piece], speed: float) -> None:
        """Says what the device said, `speed` times as fast; what was said to it is left to the driver."""
        before_ms = 0
        for piece in pieces:
            if piece.source == "device":
                await asyncio.sleep(min(max(piece.at_ms - before_ms, 0) / 1000, PAUSE_S_MAX) / speed)
                before_ms = piece.at_ms
                self._cable.send(bytes.fromhex(piece.data))


@contextlib.contextmanager
def play(link: Path) -> Iterator[Replay]:
    """The device while the block runs, on the running loop; drivers open `link`."""
    cable = PtyCable(link, _ignore)
    cable.plug()
    try:
        yield Replay(cable)
    finally:
        cable.close()


def _ignore(data: bytes) -> None:
    """What a driver asks was asked when the recording was made."""
