"""A scanner that acts as a keyboard (UnifiedPOS Scanner over USB HID), read by evdev.

It is grabbed: nothing that it types reaches a console or a screen, and no console sets its lights. Layouts are our own
tables, so a shop's keyboard layout cannot spoil a code; which one the scanner is set to is found out from what it reads.
"""

import contextlib
import functools
import os
import struct

import evdev

from core.events import ScanGarbled, Scanned
from core.ports import Clock, Emit, ProtocolError
from drivers.blocking import let_go, off_loop
from drivers.codecs.keyscan import KeyScanDecoder
from drivers.codecs.scan import Framing, Terminator
from drivers.hotplug import identity
from drivers.options import HidScannerOptions
from drivers.scanfeed import ScanFeed
from drivers.transport import Stream, opening

EVENT = struct.Struct("@llHHi")
"""struct input_event: seconds, microseconds, type, code, value [linux/input.h]."""
_EV_SYN, _EV_KEY, _EV_LED = 0, 1, 0x11
_SYN_REPORT, _SYN_DROPPED = 0, 3
_LED_CAPS_LOCK = 1
_TERMINATORS: dict[str, Terminator] = {"auto": "auto", "enter": "cr", "tab": "tab", "none": "none"}


class HidScanner:
    """Emits Scanned and ScanGarbled. A `core.ports.Device`."""

    def __init__(self, name: str, options: HidScannerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._decoder = decoder_for(name, options)
        self._feed = ScanFeed(self._decoder, emit, clock)
        self._device: evdev.InputDevice[str] | None = None
        self._stream: Stream | None = None
        self._rest = b""
        self._is_dropping = False

    async def open(self) -> None:
        with opening(self._name):
            device, held, known_as = await off_loop(self._name, self._grab, lambda taken: taken[0].close())
        self._rest, self._is_dropping = b"", False
        self._decoder.keyboard.resync(held)
        self._device = device
        release = functools.partial(let_go, self._name, device.close)
        self._stream = Stream(self._name, device.fd, release, self._on_bytes, self._options.path, known_as)
        before, self.identity = self.identity, known_as
        if self.identity != before:
            self._decoder.choice.forget()

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        await self._stream.lost()

    async def probe(self) -> None:
        if self._stream is not None:
            self._stream.probe()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = self._device = None
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._decoder.facts()

    def _grab(self) -> tuple["evdev.InputDevice[str]", list[int], str]:
        """The device, the keys that are down, and what names it."""
        try:
            device = evdev.InputDevice(os.path.realpath(self._options.path, strict=True))
        except SystemError as error:
            # evdev 2.0.0 fails so on a node that is no input device.
            raise ProtocolError(f"{self._name}: {self._options.path} is no input device") from error
        try:
            device.grab()
            held = device.active_keys()
            _show_caps_lock(device, is_on=False)
            return device, held, identity(self._options.path)
        except BaseException:
            device.close()
            raise

    def _on_bytes(self, data: bytes) -> None:
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        now_s, keyboard = self._feed.now_s(), self._decoder.keyboard
        was_caps, found = keyboard.is_caps, []
        for _, _, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == _EV_SYN and code == _SYN_DROPPED:
                self._is_dropping = True
            elif kind == _EV_SYN and code == _SYN_REPORT and self._is_dropping:
                found += self._resync(now_s)
            elif kind == _EV_KEY and not self._is_dropping:
                found += self._decoder.key(code, value, now_s)
        self._feed.hand_on(found)
        if keyboard.is_caps != was_caps and self._device is not None:
            _show_caps_lock(self._device, is_on=keyboard.is_caps)

    def _resync(self, now_s: float) -> list[Scanned | ScanGarbled]:
        """The kernel's buffer ran over: what is typed up to the next terminator is only a part of a code."""
        self._is_dropping = False
        held: list[int] = []
        with contextlib.suppress(OSError):
            if self._device is not None:
                held = self._device.active_keys()
        return self._decoder.lose(now_s, held)


def decoder_for(name: str, options: HidScannerOptions) -> KeyScanDecoder:
    """What makes codes of the scanner's keys."""
    return KeyScanDecoder(name, _framing(options), options.layouts, options.fnc1_key)


def _show_caps_lock(device: "evdev.InputDevice[str]", *, is_on: bool) -> None:
    """As a host does: some scanners look at the light, and turn their letters around while it is on."""
    with contextlib.suppress(OSError):  # without the right to write, or without a light
        device.write(_EV_LED, _LED_CAPS_LOCK, int(is_on))
        device.syn()


def _framing(options: HidScannerOptions) -> Framing:
    return Framing(
        terminator=_TERMINATORS[options.terminator],
        prefix=options.prefix.encode("latin-1"),
        suffix=options.suffix.encode("latin-1"),
        length_max=options.length_max,
        gap_s=options.gap_s,
    )
