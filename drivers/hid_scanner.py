"""A scanner that acts as a keyboard (UnifiedPOS Scanner over USB HID), read by evdev.

It is grabbed: nothing that it types reaches a console or a screen. Its layout is our own table, so a shop's keyboard
layout cannot spoil a code.
"""

import contextlib
import os
import struct

import evdev

from core.ports import Clock, Emit, ProtocolError
from drivers.codecs.keymap import KeyDecoder
from drivers.codecs.scan import Framing
from drivers.hotplug import identity
from drivers.options import HidScannerOptions
from drivers.scanfeed import ScanFeed
from drivers.transport import Stream, opening

_EVENT = struct.Struct("@llHHi")
"""struct input_event: seconds, microseconds, type, code, value [linux/input.h]."""
_EV_SYN, _EV_KEY = 0, 1
_SYN_REPORT, _SYN_DROPPED = 0, 3


class HidScanner:
    """Emits Scanned and ScanGarbled. A `core.ports.Device`."""

    def __init__(self, name: str, options: HidScannerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._feed = ScanFeed(name, _framing(options), emit, clock)
        self._device: evdev.InputDevice[str] | None = None
        self._stream: Stream | None = None
        self._keys = KeyDecoder()
        self._rest = b""
        self._is_dropping = False

    async def open(self) -> None:
        with opening(self._name):
            device = self._grab()
        self._rest, self._is_dropping = b"", False
        self._device = device
        self._stream = Stream(self._name, device.fd, device.close, self._on_bytes)
        self.identity = identity(self._options.path)

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        await self._stream.lost()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = self._device = None
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._feed.facts()

    def _grab(self) -> "evdev.InputDevice[str]":
        try:
            device = evdev.InputDevice(os.path.realpath(self._options.path, strict=True), readonly=True)
        except SystemError as error:
            # evdev 2.0.0 fails so on a node that is no input device.
            raise ProtocolError(f"{self._name}: {self._options.path} is no input device") from error
        try:
            device.grab()
            self._keys.resync(device.active_keys())
        except BaseException:
            device.close()
            raise
        return device

    def _on_bytes(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % _EVENT.size
        self._rest = data[whole:]
        typed = b""
        for _, _, kind, code, value in _EVENT.iter_unpack(data[:whole]):
            if kind == _EV_SYN and code == _SYN_DROPPED:
                self._is_dropping = True
            elif kind == _EV_SYN and code == _SYN_REPORT and self._is_dropping:
                self._feed.feed(typed)
                typed = b""
                self._resync()
            elif kind == _EV_KEY and not self._is_dropping:
                typed += self._keys.key(code, value)
        if typed:
            self._feed.feed(typed)

    def _resync(self) -> None:
        """The kernel's buffer ran over: what is typed up to the next terminator is only a part of a code."""
        self._is_dropping = False
        with contextlib.suppress(OSError):
            if self._device is not None:
                self._keys.resync(self._device.active_keys())
        self._feed.lose()


def _framing(options: HidScannerOptions) -> Framing:
    return Framing(
        terminator="tab" if options.terminator == "tab" else "cr",
        prefix=options.prefix.encode("latin-1"),
        suffix=options.suffix.encode("latin-1"),
        length_max=options.length_max,
        gap_s=options.gap_s,
    )
