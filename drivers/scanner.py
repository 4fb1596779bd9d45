"""A scanner on a serial port, RS-232 or USB CDC (UnifiedPOS Scanner)."""

from core.ports import Clock, Emit
from drivers.codecs.scan import Framing
from drivers.hotplug import identity
from drivers.options import SerialScannerOptions
from drivers.scanfeed import ScanFeed
from drivers.transport import SerialSettings, Stream, open_serial


class SerialScanner:
    """Emits Scanned and ScanGarbled. A `core.ports.Device`."""

    def __init__(self, name: str, options: SerialScannerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._feed = ScanFeed(name, _framing(options), emit, clock)
        self._stream: Stream | None = None

    async def open(self) -> None:
        settings = SerialSettings(
            baud=self._options.baud,
            data_bits=self._options.data_bits,
            parity=self._options.parity,
            stop_bits=self._options.stop_bits,
        )
        self._stream = open_serial(self._name, self._options.path, settings, self._feed.feed)
        self.identity = identity(self._options.path)

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        await self._stream.lost()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._feed.facts()


def _framing(options: SerialScannerOptions) -> Framing:
    return Framing(
        terminator=options.terminator,
        prefix=options.prefix.encode("latin-1"),
        suffix=options.suffix.encode("latin-1"),
        length_max=options.length_max,
        gap_s=options.gap_s,
    )
