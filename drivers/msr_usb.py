"""Readers of magnetic stripes straight on USB, by pyusb (UnifiedPOS MSR): for machines whose kernel has no hidraw.

pyusb blocks, so a thread reads with a short timeout; it owns the device and lets go of it. What it reads lies in one
buffer, which the event loop judges and overwrites before the thread reads on.
"""

import array
import asyncio
import contextlib
import threading
from collections.abc import Sequence
from typing import Any, Final

import usb.core
import usb.util

from core.ports import Clock, DeviceAbsent, DeviceError, DeviceGone, Emit, ProtocolError
from core.stripe import CardRange
from drivers.cardfeed import CardFeed
from drivers.codecs.hid_report import DESCRIPTOR_BYTES_MAX, input_report
from drivers.codecs.msr import ReportFrames
from drivers.msr_formats import REPORTS, report_format
from drivers.options import UsbMsrOptions
from drivers.transport import device_error, opening

READ_TIMEOUT_MS: Final = 500
"""How long the thread may take to notice that it is not wanted any more."""
TAKE_TIMEOUT_S: Final = 5.0
"""How long the event loop may take to judge what was read."""
_HID_CLASS: Final = 3
_GET_DESCRIPTOR: Final = 6
_REPORT_DESCRIPTOR: Final = 0x2200


class UsbCardReader:
    """Emits CardSwiped, CardEncrypted, CardRefused and CardGarbled. A `core.ports.CardReader`."""

    def __init__(self, name: str, options: UsbMsrOptions, emit: Emit, clock: Clock) -> None:
        self.identity = f"usb-{options.vendor:04x}"
        self._name = name
        self._options = options
        self._feed = CardFeed(name, emit, options.gap_s)
        self._reading: _Reading | None = None

    def admit(self, ranges: Sequence[CardRange]) -> None:
        self._feed.admit(ranges)

    async def open(self) -> None:
        if self._reading is not None:
            await asyncio.to_thread(self._reading.ended, 2 * READ_TIMEOUT_MS / 1000)
        with opening(self._name):
            reader = await asyncio.to_thread(_Reader.open, self._name, self._options)
        self._feed.start(reader.frames, REPORTS[report_format(self._name, self._options.format, self._options.vendor)])
        self.identity = reader.identity
        self._reading = _Reading(self._name, reader, self._feed)

    async def serve(self) -> None:
        assert self._reading is not None, "open() comes first"
        raise await self._reading.fault

    def close(self) -> None:
        if self._reading is not None:
            self._reading.stop()
            self._feed.close()

    def facts(self) -> dict[str, str | int]:
        return self._feed.facts()


class _Reader:
    """A claimed interface and its endpoint. Its calls block."""

    def __init__(self, device: Any, interface: Any, frames: ReportFrames) -> None:
        self._device = device
        self._interface = interface
        self._endpoint = interface[0].bEndpointAddress
        packet_bytes = interface[0].wMaxPacketSize or 64
        self.frames = frames
        self.buffer_bytes = -(-frames.length // packet_bytes) * packet_bytes
        """A whole report, in whole packets: its last packet, a short one, ends the reading."""
        serial = _serial(device)
        place = serial or f"port {device.bus}-{'.'.join(map(str, device.port_numbers or (device.address,)))}"
        self.identity = f"usb-{device.idVendor:04x}:{device.idProduct:04x} {place}"

    @staticmethod
    def open(name: str, options: UsbMsrOptions) -> "_Reader":
        """Finds and claims it. Raises DeviceAbsent, ProtocolError, or what pyusb raises."""
        device = usb.core.find(custom_match=lambda found: _is_wanted(found, options))
        if device is None:
            raise DeviceAbsent(f"{name}: no such device on USB.")
        try:
            interface = usb.util.find_descriptor(
                device.get_active_configuration(), bInterfaceClass=_HID_CLASS, custom_match=_has_input
            )
            if interface is None:
                raise ProtocolError(f"{name}: it is no HID device.")
            number = interface.bInterfaceNumber
            with contextlib.suppress(NotImplementedError, usb.core.USBError):  # where no driver of the kernel has it
                if device.is_kernel_driver_active(number):
                    device.detach_kernel_driver(number)
            usb.util.claim_interface(device, number)
            descriptor = device.ctrl_transfer(0x81, _GET_DESCRIPTOR, _REPORT_DESCRIPTOR, number, DESCRIPTOR_BYTES_MAX)
            length, is_numbered = input_report(descriptor.tobytes())
            return _Reader(device, interface, ReportFrames(length, is_numbered=is_numbered))
        except BaseException:
            usb.util.dispose_resources(device)
            raise

    def read(self, buffer: "array.array[int]") -> int:
        """How many bytes came; 0 where none did in time."""
        try:
            return int(self._device.read(self._endpoint, buffer, READ_TIMEOUT_MS))
        except usb.core.USBTimeoutError:
            return 0

    def close(self) -> None:
        """Gives it back to the kernel."""
        with contextlib.suppress(NotImplementedError, usb.core.USBError):  # it may be pulled
            usb.util.release_interface(self._device, self._interface.bInterfaceNumber)
            self._device.attach_kernel_driver(self._interface.bInterfaceNumber)
        usb.util.dispose_resources(self._device)


class _Reading:
    """The thread that reads, and its end of the event loop."""

    def __init__(self, name: str, reader: _Reader, feed: CardFeed) -> None:
        self._name = name
        self._reader = reader
        self._feed = feed
        self._loop = asyncio.get_running_loop()
        self.fault: asyncio.Future[DeviceError] = self._loop.create_future()
        self._taken = threading.Event()
        self._stopping = False
        self._buffer = array.array("B", bytes(reader.buffer_bytes))
        self._thread = threading.Thread(target=self._run, name=f"{name} on USB", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The thread lets go of the device within READ_TIMEOUT_MS."""
        self._stopping = True

    def ended(self, timeout_s: float) -> None:
        """Waits for that."""
        self._thread.join(timeout_s)

    def _run(self) -> None:
        fault: DeviceError = DeviceGone(f"{self._name}: closed")
        try:
            while not self._stopping:
                count = self._reader.read(self._buffer)
                if count:
                    self._taken.clear()
                    self._loop.call_soon_threadsafe(self._take, count)
                    self._taken.wait(TAKE_TIMEOUT_S)
        except (OSError, RuntimeError) as error:  # the cable, or a loop that has ended
            fault = device_error(error, self._name)
        finally:
            self._reader.close()
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._end, fault)

    def _take(self, count: int) -> None:
        view = memoryview(self._buffer).cast("B")[:count]
        try:
            if not self._stopping:
                self._feed.feed(view)
        finally:
            view[:] = bytes(count)
            self._taken.set()

    def _end(self, fault: DeviceError) -> None:
        if not self.fault.done():
            self.fault.set_result(fault)


def _is_wanted(device: Any, options: UsbMsrOptions) -> bool:
    if device.idVendor != options.vendor or options.product not in (None, device.idProduct):
        return False
    return options.serial is None or _serial(device) == options.serial


def _has_input(interface: Any) -> bool:
    return bool(interface.bNumEndpoints) and bool(interface[0].bEndpointAddress & usb.util.ENDPOINT_IN)


def _serial(device: Any) -> str | None:
    try:
        return str(device.serial_number) if device.iSerialNumber else None
    except (ValueError, usb.core.USBError):
        return None
