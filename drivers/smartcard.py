"""A reader of chip cards by PC/SC (UnifiedPOS SmartCardRW), for members and staff: the shop's own applications alone.

PC/SC blocks, so it is called in a helper process (`drivers.smartcard_helper`); this end turns its lines into events.
"""

import asyncio
from typing import Final, assert_never

from core.events import CardFault, CardGarbled, CardRefused, CardSwiped
from core.ports import Clock, DeviceError, Emit, ProtocolError
from drivers.child import Child
from drivers.codecs import smartcard_lines as l
from drivers.codecs.nfc_lines import Alive, Fault, Ready, Torn, error_of
from drivers.options import SmartCardOptions

OPEN_TIMEOUT_S: Final = 10.0


class PcscReader:
    """Emits CardSwiped, CardRefused and CardGarbled, once for a card however long it is in. A `core.ports.Device`."""

    def __init__(self, name: str, options: SmartCardOptions, emit: Emit, clock: Clock) -> None:
        self.identity = options.reader or "PC/SC"
        self._name = name
        self._options = options
        self._emit = emit
        self._helper: Child | None = None
        self._ready: asyncio.Future[None] | None = None
        self._fault: DeviceError | None = None
        self._counts = {"reads": 0, "bad_reads": 0}

    async def open(self) -> None:
        self._fault = None
        options = self._options
        self._ready = asyncio.get_running_loop().create_future()
        arguments = (options.reader, options.member_aid, options.staff_aid)
        self._helper = await Child.start(self._name, "drivers.smartcard_helper", arguments, self._on_line)
        try:
            await self._helper.answer(self._ready, OPEN_TIMEOUT_S)
        except DeviceError as error:
            self.close()
            raise self._why(error) from None
        except BaseException:
            self.close()
            raise

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
        return dict(self._counts)

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
            case Ready():
                self.identity = line.chipset
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(None)
            case Alive():
                pass
            case l.CardRead():
                self._counts["reads"] += 1
                self._emit(CardSwiped(device=self._name, kind=line.kind, number=line.number))
            case l.CardForeign():
                self._counts["reads"] += 1
                self._emit(CardRefused(device=self._name, is_payment=line.is_payment))
            case Torn():
                self._counts["bad_reads"] += 1
                self._emit(CardGarbled(device=self._name, fault=CardFault.TORN))
            case Fault():
                self._fault = error_of(self._name, line)
            case _:
                assert_never(line)
