"""Readers of magnetic stripes on a serial port or as a raw HID device (UnifiedPOS MSR).

What is read lies in one buffer of ours, and is overwritten as soon as it has been judged; what the kernel's buffers hold
until the next card is out of our reach. An exception's text comes from the system alone, never from a card.
"""

import asyncio
import contextlib
import fcntl
import functools
import os
import struct
from collections.abc import Callable, Sequence
from typing import Final, NoReturn

from core.ports import Clock, Emit, ProtocolError
from core.stripe import CardRange
from drivers.blocking import let_go, off_loop
from drivers.cardfeed import CardFeed
from drivers.codecs import msr_idtech, msr_raw, msr_text
from drivers.codecs.hid_report import DESCRIPTOR_BYTES_MAX, input_report
from drivers.codecs.msr import Decode, Frames, PausedFrames, ReportFrames
from drivers.hotplug import identity
from drivers.msr_formats import REPORTS, report_format
from drivers.options import HidrawMsrOptions, SerialMsrOptions
from drivers.transport import SerialSettings, Stream, ignore, open_serial, opening

ASK_TIMEOUT_S: Final = 2.0
"""How long a reader may take to take a command."""
ASK_AGAIN_S: Final = 30.0

# From <linux/hidraw.h>.
_HIDIOCGRDESCSIZE, _HIDIOCGRDESC, _HIDIOCGRAWINFO = 0x80044801, 0x90044802, 0x80084803
_RAWINFO = struct.Struct("@IHH")


class SerialCardReader:
    """Emits CardSwiped, CardEncrypted, CardRefused and CardGarbled. A `core.ports.CardReader`."""

    def __init__(self, name: str, options: SerialMsrOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._feed = CardFeed(name, emit, options.gap_s)
        self._stream: Stream | None = None

    def admit(self, ranges: Sequence[CardRange]) -> None:
        self._feed.admit(ranges)

    async def open(self) -> None:
        options = self._options
        settings = SerialSettings(
            baud=options.baud, data_bits=options.data_bits, parity=options.parity, stop_bits=options.stop_bits
        )
        frames, decode = _FORMATS[options.format]
        self._feed.start(frames(), decode)
        self._stream = await open_serial(self._name, options.path, settings, ignore)
        self._stream.wipe_after(self._feed.feed)
        self.identity = self._stream.identity

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        if self._options.format == "msr605":
            await self._ask(self._stream)
        await self._stream.lost()

    async def _ask(self, stream: Stream) -> NoReturn:
        """Asks for one card after the other, until the stream ends; and again when none came for long.

        Behind a serial adapter it may have lost its power, and what it was asked, unseen.
        """
        stream.on_end(self._feed.taken.set)
        while True:
            self._feed.taken.clear()
            await stream.write(msr_raw.READ_ONE, ASK_TIMEOUT_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(ASK_AGAIN_S):
                    await self._feed.taken.wait()

    async def probe(self) -> None:
        if self._stream is not None:
            self._stream.probe()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._feed.facts()


_FORMATS: Final[dict[str, tuple[Callable[[], Frames], Decode]]] = {
    "text": (PausedFrames, msr_text.decode),
    "idtech": (msr_idtech.MessageFrames, msr_idtech.decode_message),
    "msr605": (msr_raw.RawFrames, msr_raw.decode),
}


class HidrawCardReader:
    """The same, on a `/dev/hidraw` node."""

    def __init__(self, name: str, options: HidrawMsrOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._feed = CardFeed(name, emit, options.gap_s)
        self._stream: Stream | None = None

    def admit(self, ranges: Sequence[CardRange]) -> None:
        self._feed.admit(ranges)

    async def open(self) -> None:
        with opening(self._name):
            fd, descriptor, vendor, known_as = await off_loop(self._name, self._ask, lambda asked: os.close(asked[0]))
            try:
                length, is_numbered = input_report(descriptor)
                decode = REPORTS[report_format(self._name, self._options.format, vendor)]
                self._feed.start(ReportFrames(length, is_numbered=is_numbered), decode)
            except BaseException:
                os.close(fd)
                raise
        release = functools.partial(let_go, self._name, functools.partial(os.close, fd))
        self._stream = Stream(self._name, fd, release, ignore, self._options.path, known_as)
        self._stream.wipe_after(self._feed.feed)
        self.identity = known_as

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
        return self._feed.facts()

    def _ask(self) -> tuple[int, bytes, int, str]:
        """The open node, its report descriptor, its vendor, and what names it."""
        fd = os.open(os.path.realpath(self._options.path, strict=True), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            return fd, _descriptor(fd), _vendor(fd), identity(self._options.path)
        except BaseException:
            os.close(fd)
            raise


def _descriptor(fd: int) -> bytes:
    size = bytearray(4)
    fcntl.ioctl(fd, _HIDIOCGRDESCSIZE, size)
    wanted = int.from_bytes(size, "little")
    if not 0 < wanted <= DESCRIPTOR_BYTES_MAX:
        raise ProtocolError("The report descriptor is none of a device that reports.")
    asked = bytearray(size + bytes(DESCRIPTOR_BYTES_MAX))
    fcntl.ioctl(fd, _HIDIOCGRDESC, asked)
    return bytes(asked[4 : 4 + wanted])


def _vendor(fd: int) -> int:
    info = bytearray(_RAWINFO.size)
    fcntl.ioctl(fd, _HIDIOCGRAWINFO, info)
    _, vendor, _ = _RAWINFO.unpack(info)
    return int(vendor)
