"""A scanner on a serial port, RS-232 or USB CDC (UnifiedPOS Scanner)."""

import asyncio

from core.ports import Clock, Emit
from drivers.codecs.scan import Framing, ScanDecoder
from drivers.hotplug import identity
from drivers.options import SerialScannerOptions
from drivers.transport import SerialSettings, Stream, open_serial


class SerialScanner:
    """Emits Scanned and ScanGarbled. A `core.ports.Device`."""

    def __init__(self, name: str, options: SerialScannerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._emit = emit
        self._clock = clock
        self._stream: Stream | None = None
        self._gap: asyncio.TimerHandle | None = None
        self._decoder = ScanDecoder(name, _framing(options))

    async def open(self) -> None:
        settings = SerialSettings(
            baud=self._options.baud,
            data_bits=self._options.data_bits,
            parity=self._options.parity,
            stop_bits=self._options.stop_bits,
        )
        self._stream = open_serial(self._name, self._options.path, settings, self._on_bytes)
        self.identity = identity(self._options.path)

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        await self._stream.lost()

    def close(self) -> None:
        if self._gap is not None:
            self._gap.cancel()
            self._gap = None
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            # What was half read when the cable went is no beginning of what comes after.
            for event in self._decoder.tear():
                self._emit(event)

    def facts(self) -> dict[str, str | int]:
        return {"reads": self._decoder.reads, "bad_reads": self._decoder.bad_reads}

    def _on_bytes(self, data: bytes) -> None:
        for event in self._decoder.feed(data, self._clock.monotonic_s()):
            self._emit(event)
        if self._gap is None and self._decoder.deadline_s is not None:
            self._watch_gap()

    def _watch_gap(self) -> None:
        """One timer for a whole code: bytes only move its deadline, and it looks again when it fires."""
        deadline_s = self._decoder.deadline_s
        assert deadline_s is not None
        wait_s = max(deadline_s - self._clock.monotonic_s(), 0.0) + TIMER_SLACK_S
        self._gap = asyncio.get_running_loop().call_later(wait_s, self._on_gap)

    def _on_gap(self) -> None:
        self._gap = None
        for event in self._decoder.expire(self._clock.monotonic_s()):
            self._emit(event)
        if self._decoder.deadline_s is not None:
            self._watch_gap()


TIMER_SLACK_S = 0.001
"""The loop may call a timer a little early; later than this it finds the gap over."""


def _framing(options: SerialScannerOptions) -> Framing:
    return Framing(
        terminator=options.terminator,
        prefix=options.prefix.encode("latin-1"),
        suffix=options.suffix.encode("latin-1"),
        length_max=options.length_max,
        gap_s=options.gap_s,
    )
