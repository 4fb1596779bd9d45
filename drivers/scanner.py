"""A scanner on a serial port, RS-232 or USB CDC (UnifiedPOS Scanner)."""

from core.ports import Clock, Emit
from drivers.codecs.scan import Framing, ScanDecoder, without_parity
from drivers.options import SerialScannerOptions
from drivers.scanfeed import ScanFeed
from drivers.transport import SerialSettings, Stream, open_serial


class SerialScanner:
    """Emits Scanned and ScanGarbled. A `core.ports.Device`."""

    def __init__(self, name: str, options: SerialScannerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._emit = emit
        self._clock = clock
        self._decoder = ScanDecoder(name, _framing(options))
        self._feed = ScanFeed(self._decoder, emit, clock)
        self._seven_bits = without_parity(options.software_parity)
        self._stream: Stream | None = None

    async def open(self) -> None:
        settings = SerialSettings(
            baud=self._options.baud,
            data_bits=self._options.data_bits,
            parity=self._options.parity,
            stop_bits=self._options.stop_bits,
        )
        self._stream = await open_serial(self._name, self._options.path, settings, self._on_bytes)
        self.identity = self._stream.identity

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        await self._stream.lost()

    async def probe(self) -> None:
        if self._stream is not None:
            self._stream.probe()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._decoder.meter.facts()

    def _on_bytes(self, data: bytes) -> None:
        if self._seven_bits:
            data = data.translate(self._seven_bits)
        if usual := self._decoder.whole(data):
            self._emit(usual)
            # Counted only now: the scan is on its way already.
            self._decoder.meter.read_at_once(usual.data, self._clock.monotonic_s())
        else:
            self._feed.hand_on(self._decoder.feed(data, self._feed.now_s()))


def _framing(options: SerialScannerOptions) -> Framing:
    return Framing(
        terminator=options.terminator,
        prefix=options.prefix.encode("latin-1"),
        suffix=options.suffix.encode("latin-1"),
        length_max=options.length_max,
        gap_s=options.gap_s,
    )
