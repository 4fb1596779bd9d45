"""NFC readers (UnifiedPOS RFIDScanner): NXP's PN532 on a serial port, ACR122U and PN533 on USB. Tags and badges identify,
they do not pay.

nfcpy blocks and polls, so it runs in a helper process (`drivers.nfc_helper`); this end turns its lines into events. A
tag's UID goes into the event and nowhere else.
"""

import asyncio
from typing import Final, assert_never

from core.events import TagPresented, TagTorn
from core.ports import Clock, DeviceError, Emit, ProtocolError
from drivers.child import Child
from drivers.codecs import nfc_lines as l
from drivers.hotplug import identity
from drivers.options import NfcOptions, UsbNfcOptions

OPEN_TIMEOUT_S: Final = 15.0
"""The helper starts, waits for one that is leaving, and looks for the reader at each of its speeds."""


class NfcReader:
    """Emits TagPresented, once for a tag however long it is held there, and TagTorn. A `core.ports.Device`."""

    def __init__(self, name: str, options: NfcOptions | UsbNfcOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._emit = emit
        self._clock = clock
        self._helper: Child | None = None
        self._ready: asyncio.Future[None] | None = None
        self._fault: DeviceError | None = None
        self._chipset = ""
        self._counts = {"reads": 0, "torn": 0}

    async def open(self) -> None:
        self._fault = None
        options = self._options
        arguments = (str(options.path), str(options.sense_interval_s), str(options.presence_interval_s))
        self._ready = asyncio.get_running_loop().create_future()
        self._helper = await Child.start(self._name, "drivers.nfc_helper", arguments, self._on_line)
        try:
            await self._helper.answer(self._ready, OPEN_TIMEOUT_S)
        except DeviceError as error:
            self.close()
            raise self._why(error) from None
        except BaseException:
            self.close()
            raise
        self.identity = identity(options.path)

    async def serve(self) -> None:
        assert self._helper is not None, "open() comes first"
        try:
            await self._helper.watched(self._options.stall_timeout_s)
        except DeviceError as error:
            raise self._why(error) from None

    def close(self) -> None:
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def facts(self) -> dict[str, str | int]:
        return {"chipset": self._chipset, **self._counts}

    def _why(self, error: DeviceError) -> DeviceError:
        """What the helper said of its end, where it could."""
        return self._fault or error

    def _on_line(self, data: bytes) -> None:
        try:
            line = l.decode(data)
        except ProtocolError as error:
            self._fault = error
            self.close()
            return
        match line:
            case l.Ready():
                self._chipset = line.chipset
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case l.Alive():
                pass
            case l.Presented():
                self._counts["reads"] += 1
                self._emit(TagPresented(device=self._name, uid=line.uid, technology=line.technology, ndef=line.ndef))
            case l.Torn():
                self._counts["torn"] += 1
                self._emit(TagTorn(device=self._name))
            case l.Fault():
                self._fault = l.error_of(self._name, line)
            case _:
                assert_never(line)
