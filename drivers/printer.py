"""A receipt printer that speaks ESC/POS (UnifiedPOS POSPrinter).

The printer tells of its paper and its cover by itself (Automatic Status Back). Before a receipt it is asked whether it
is there, and after it whether all is printed: that answer waits in the printer behind the receipt's own bytes.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable

from core.document import Document
from core.events import PaperStatus, PrinterSensed
from core.ports import (
    Clock,
    CoverOpen,
    DeviceError,
    DeviceGone,
    DeviceStalled,
    Emit,
    PaperOut,
    PrinterFault,
    PrinterOffline,
    PrintInterrupted,
)
from drivers.codecs.escpos import (
    ASK_PROCESSED,
    ASK_STATUS,
    DOTS_A_COLUMN,
    STATUS_BACK_ON,
    EscposEncoder,
    PrinterStatus,
    Processed,
    RealTimeReply,
    StatusBack,
    StatusDecoder,
    from_replies,
    pulse,
)
from drivers.codecs.escpos_raster import raster
from drivers.options import EscposPrinterOptions
from drivers.transport import SerialSettings, Stream, open_path, open_tcp

_log = logging.getLogger(__name__)

REPLIES = 3
"""How many bytes answer ASK_STATUS."""


class EscposPrinter:
    """Emits PrinterSensed. A `core.ports.Printer` and a `core.ports.DrawerPort`."""

    def __init__(self, name: str, options: EscposPrinterOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path) if options.path else f"{options.host}:{options.port}"
        self._name = name
        self._options = options
        self._emit = emit
        self._encoder: EscposEncoder | None = None
        self._stream: Stream | None = None
        self._decoder = StatusDecoder()
        self._talking = asyncio.Lock()
        self._changed = asyncio.Event()
        self._replies: list[int] = []
        self._status: PrinterStatus | None = None
        self._sensed: PrinterSensed | None = None
        self._has_status_back = False
        self._logo_fault = ""
        self._on_drawer: Callable[[], None] = _nothing
        self._is_begun = False
        self._is_processed = False
        self._printed = 0
        self._interruptions = 0

    async def open(self) -> None:
        if self._encoder is None:
            logo = await asyncio.to_thread(self._read_logo)
            self._encoder = EscposEncoder(self._options.columns, self._options.codepage, logo)
        self._decoder = StatusDecoder()
        self._status = self._sensed = None
        self._has_status_back = False
        self._stream = stream = await self._connect()
        stream.on_end(self._changed.set)
        try:
            async with self._talking:
                await self._ask(stream)
                await stream.write(STATUS_BACK_ON, self._options.status_timeout_s)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        stream = self._stream
        while True:
            patience = asyncio.timeout(self._options.health_interval_s)
            try:
                async with patience:
                    await stream.lost()
            except TimeoutError:
                if not patience.expired():
                    raise
            # While a receipt is being printed, its own deadlines hold.
            if not self._talking.locked():
                async with self._talking:
                    await self._ask(stream)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._on_drawer()

    def facts(self) -> dict[str, str | int]:
        status = self._status
        fault = _fault(status) if status else None
        facts: dict[str, str | int] = {
            "paper": (status.paper if status else PaperStatus.UNKNOWN).value,
            "state": fault.code if fault else "ok" if status else "unknown",
            "printed": self._printed,
            "interruptions": self._interruptions,
        }
        return facts | ({"logo": self._logo_fault} if self._logo_fault else {})

    @property
    def drawer_level(self) -> bool | None:
        return self._status.drawer_high if self._stream is not None and self._status is not None else None

    def watch_drawer(self, changed: Callable[[], None]) -> None:
        self._on_drawer = changed

    async def kick_drawer(self, connector: int, pulse_ms: int, *, realtime: bool) -> None:
        """Raises what `print` raises before its first byte, but for a real-time pulse, which needs no paper."""
        stream = self._stream
        if stream is None:
            raise PrinterOffline(f"{self._name}: it is not open")
        if not realtime and not self._talking.locked():  # while a receipt is printed, its state is known
            async with self._talking:
                await self._ask(stream)
        if not realtime and self._status is not None and (kind := _fault(self._status)):
            # It would keep the pulse for when it can print again: a drawer opens now, or not at all.
            raise kind(f"{self._name}: {kind.code}")
        await stream.write(pulse(connector, pulse_ms, realtime=realtime), self._options.status_timeout_s)

    async def print(self, document: Document) -> None:
        """Returns when the paper is printed and cut.

        Raises PaperOut, CoverOpen or PrinterOffline before the first byte, the last one also when the printer does not
        answer; PrintInterrupted, DeviceStalled or DeviceGone when some of it may be on paper.
        """
        async with self._talking:
            stream = self._stream
            if stream is None or self._encoder is None:
                raise PrinterOffline(f"{self._name}: it is not open")
            data = self._encoder.encode(document)
            try:
                status = await self._ask(stream)
            except (DeviceGone, DeviceStalled) as fault:
                raise PrinterOffline(str(fault)) from fault
            if kind := _fault(status):
                raise kind(f"{self._name}: {kind.code}")
            try:
                await self._put(stream, data + ASK_PROCESSED)
            except DeviceStalled as fault:
                # It is opened anew: what it still says to this receipt must not count for the next.
                stream.fail(fault)
                self._interruptions += 1
                raise
            except DeviceError:
                self._interruptions += 1
                raise
            self._printed += 1

    def _read_logo(self) -> bytes:
        """Runs on another thread. A picture that cannot be printed costs the picture, not the receipt."""
        path = self._options.logo
        if path is None:
            return b""
        try:
            made = raster(path.read_bytes(), DOTS_A_COLUMN * self._options.columns)
        except (OSError, ValueError) as error:
            _log.warning("%s: the logo %s is left out: %s", self._name, path, error)
            # Without the path: facts are shown to people and sent to headquarters.
            self._logo_fault = str(error) if isinstance(error, ValueError) else error.strerror or "unreadable"
            return b""
        return made

    async def _connect(self) -> Stream:
        options = self._options
        if options.path is None:
            assert options.host is not None
            return await open_tcp(self._name, options.host, options.port, self._on_bytes)
        stream = await open_path(self._name, options.path, SerialSettings(baud=options.baud), self._on_bytes)
        self.identity = stream.identity
        return stream

    async def _ask(self, stream: Stream) -> PrinterStatus:
        """What the printer says now. Raises DeviceStalled when it says nothing, and ends the stream."""
        self._replies.clear()
        try:
            await stream.write(ASK_STATUS, self._options.status_timeout_s)
            async with self._patience(self._options.status_timeout_s, "does not answer"):
                while len(self._replies) < REPLIES:
                    await self._change(stream)
        except DeviceStalled as fault:
            stream.fail(fault)
            raise
        assert self._status is not None, "it has just answered"
        return self._status

    async def _put(self, stream: Stream, data: bytes) -> None:
        """Writes a whole receipt and waits until it is on paper."""
        self._is_begun = self._is_processed = False
        try:
            await stream.write(data, self._options.write_timeout_s)
        except DeviceStalled:
            # A printer without paper takes nothing either, and has told us why.
            self._check_interruption()
            raise
        async with self._patience(self._options.print_timeout_s, "took a receipt and did not say that it is printed"):
            while not self._is_processed:
                self._check_interruption()
                await self._change(stream)

    def _check_interruption(self) -> None:
        if self._status and (kind := _fault(self._status)):
            raise PrintInterrupted(f"{self._name}: {kind.code} in the middle of a receipt")

    @contextlib.asynccontextmanager
    async def _patience(self, timeout_s: float, complaint: str) -> AsyncIterator[None]:
        """DeviceStalled after `timeout_s`."""
        patience = asyncio.timeout(timeout_s)
        try:
            async with patience:
                yield
        except TimeoutError:
            # DeviceStalled is a TimeoutError too.
            if not patience.expired():
                raise
            raise DeviceStalled(f"{self._name}: {complaint} in {timeout_s} s") from None

    async def _change(self, stream: Stream) -> None:
        """Waits for the printer to say something. Raises DeviceGone when the stream ends."""
        stream.check()
        self._changed.clear()
        await self._changed.wait()
        stream.check()

    def _on_bytes(self, data: bytes) -> None:
        for said in self._decoder.feed(data):
            match said:
                case RealTimeReply():
                    self._replies.append(said.value)
                    del self._replies[:-REPLIES]
                    if len(self._replies) == REPLIES:
                        # Now, and not when the asking task wakes: what is told after it is newer.
                        self._learn(from_replies(*self._replies))
                case StatusBack():
                    self._has_status_back = self._is_begun = True
                    self._learn(said.status)
                case Processed():
                    # Each receipt begins with GS a, which is answered in its turn: an answer to GS r that comes
                    # before that one belongs to a receipt from before, cut short by us or by the paper's end.
                    self._is_processed = self._is_begun or not self._has_status_back
        self._changed.set()

    def _learn(self, status: PrinterStatus) -> None:
        was, self._status = self._status, status
        if was is None or was.drawer_high != status.drawer_high:
            self._on_drawer()
        sensed = PrinterSensed(
            device=self._name, online=status.online, cover_open=status.cover_open, paper=status.paper
        )
        if sensed != self._sensed:
            self._sensed = sensed
            self._emit(sensed)


def _nothing() -> None:
    """No drawer is on its connector."""


def _fault(status: PrinterStatus) -> type[PrinterFault] | None:
    """What keeps it from printing. An open cover comes first: under it, the paper's sensor sees nothing."""
    if status.cover_open:
        return CoverOpen
    if status.paper is PaperStatus.OUT:
        return PaperOut
    return None if status.online else PrinterOffline
