"""What card readers share, however they are plugged in: bytes into swipes, swipes into events, and everything wiped."""

import asyncio
from collections.abc import Sequence

from core.events import CardFault, CardGarbled
from core.ports import Emit
from core.stripe import CardRange
from drivers.codecs.msr import CardEvent, Decode, Frames, outcome, wipe


class CardFeed:
    """Emits what a reader's bytes amount to, on the running loop. Idle, it holds no timer and nothing of any card."""

    def __init__(self, device: str, emit: Emit, gap_s: float) -> None:
        self._device = device
        self._emit = emit
        self._gap_s = gap_s
        self._ranges: tuple[CardRange, ...] = ()
        self._frames: Frames | None = None
        self._decode: Decode | None = None
        self._gap: asyncio.TimerHandle | None = None
        self.taken = asyncio.Event()
        """Set after each swipe, for a reader that wants to be asked for the next."""
        self._reads = 0
        self._bad_reads = 0

    def admit(self, ranges: Sequence[CardRange]) -> None:
        """Which cards in clear the shop takes."""
        self._ranges = tuple(ranges)

    def start(self, frames: Frames, decode: Decode) -> None:
        """The reader is open and speaks so."""
        self._frames, self._decode = frames, decode

    def feed(self, data: memoryview) -> None:
        """Bytes as they came; the caller wipes them."""
        assert self._frames is not None, "start() comes first"
        for message in self._frames.feed(data):
            self._hand_on(message)
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        if self._frames.is_pending:
            self._gap = asyncio.get_running_loop().call_later(self._gap_s, self._on_gap)

    def close(self) -> None:
        """The cable went: what was half read is torn. May be called twice."""
        if self._gap is not None:
            self._gap.cancel()
            self._on_gap()
        self._frames = self._decode = None

    def facts(self) -> dict[str, str | int]:
        """Counts since the start of the daemon."""
        return {"reads": self._reads, "bad_reads": self._bad_reads}

    def _on_gap(self) -> None:
        self._gap = None
        assert self._frames is not None
        message = self._frames.pause()
        if message is not None:
            self._hand_on(message)
        else:
            self._count(CardGarbled(device=self._device, fault=CardFault.TORN))

    def _hand_on(self, message: bytearray) -> None:
        assert self._decode is not None
        made: list[bytearray] = []
        try:
            swipe = self._decode(memoryview(message))
            made = swipe.made
            event = outcome(self._device, swipe, self._ranges)
        finally:
            for each in (message, *made):
                wipe(each)
        self._count(event)

    def _count(self, event: CardEvent) -> None:
        if isinstance(event, CardGarbled):
            self._bad_reads += 1
        else:
            self._reads += 1
        self._emit(event)
        self.taken.set()
