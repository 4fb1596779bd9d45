"""Records a device's raw traffic for a technician: tapped while he asks for more, and masked before it leaves here.

Whoever asked and asks no more (his program ended) is not recorded for: the tap is taken off after `PATIENCE_S`.
"""

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from core.ports import Clock
from core.text import message
from drivers import tap
from drivers.codecs.recording import RECORDED, Mask, Piece, mask_for
from terminald.control import Refused
from terminald.supervisor import Supervisor

PATIENCE_S = 10.0
PIECES_HELD_MAX = 4_096
"""Pieces that nobody fetched; of more, the oldest are lost, and counted."""
PIECES_MAX = 200
"""Pieces in one answer."""


@dataclass(kw_only=True)
class _Recording:
    mask: Mask
    began_s: float
    expiry: asyncio.TimerHandle
    pieces: deque[Piece] = field(default_factory=lambda: deque(maxlen=PIECES_HELD_MAX))
    lost: int = 0


class Recorder:
    """At most one recording of each device."""

    def __init__(self, devices: Sequence[Supervisor], clock: Clock) -> None:
        self._devices = devices
        self._clock = clock
        self._recordings: dict[str, _Recording] = {}

    def fetch(self, name: str, *, finish: bool) -> dict[str, Any]:
        """What passed since the last call; the first one begins. Raises Refused.

        ``{"driver", "pieces", "lost"}``: after `finish` this is all, and the recording is over.
        """
        device = next((device for device in self._devices if device.name == name), None)
        if device is None:
            raise Refused(message("device-not-known", device=name))
        if device.kind not in RECORDED:
            raise Refused(message("device-not-recorded", device=name))
        recording = self._recordings.get(name) or self._begin(device)
        recording.expiry.cancel()
        if finish:
            self._keep(recording, recording.mask.finish())
            self._end(name)
        else:
            recording.expiry = asyncio.get_running_loop().call_later(PATIENCE_S, self._end, name)
        ready = len(recording.pieces) if finish else min(PIECES_MAX, len(recording.pieces))
        pieces = [recording.pieces.popleft() for _ in range(ready)]
        lost, recording.lost = recording.lost, 0
        return {"driver": device.driver, "pieces": pieces, "lost": lost}

    def _begin(self, device: Supervisor) -> _Recording:
        expiry = asyncio.get_running_loop().call_later(PATIENCE_S, self._end, device.name)
        recording = _Recording(mask=mask_for(device.driver), began_s=self._clock.monotonic_s(), expiry=expiry)
        self._recordings[device.name] = recording

        def listen(source: tap.Source, data: bytes) -> None:
            at_ms = round((self._clock.monotonic_s() - recording.began_s) * 1000)
            self._keep(recording, recording.mask.feed(at_ms, source, data))

        tap.listen(device.name, listen)
        return recording

    def _keep(self, recording: _Recording, pieces: list[Piece]) -> None:
        recording.lost += max(len(recording.pieces) + len(pieces) - PIECES_HELD_MAX, 0)
        recording.pieces.extend(pieces)

    def _end(self, name: str) -> None:
        recording = self._recordings.pop(name, None)
        if recording is not None:
            recording.expiry.cancel()
            tap.leave(name)
