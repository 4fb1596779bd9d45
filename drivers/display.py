"""A customer's display of two rows on a serial port (UnifiedPOS LineDisplay): Epson's ESC/POS, or CD5220.

Such a display answers nothing. So it is drawn anew every now and then, which mends one that was switched off and on, or
lost a byte; its cable is seen to be pulled, its power is not.
"""

import asyncio

from core.effects import ShowOnDisplay
from core.ports import Clock, DeviceGone, DeviceStalled, Emit
from drivers.codecs.display import CLEAR, Dialect, draw, lay_out, set_up
from drivers.options import Cd5220DisplayOptions, EscposDisplayOptions
from drivers.transport import SerialSettings, Stream, open_serial

WRITE_TIMEOUT_S = 1.0


class SerialDisplay:
    """Emits nothing. A `core.ports.LineDisplay`."""

    def __init__(
        self, name: str, options: EscposDisplayOptions | Cd5220DisplayOptions, emit: Emit, clock: Clock
    ) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._dialect: Dialect = "escpos" if isinstance(options, EscposDisplayOptions) else "cd5220"
        self._stream: Stream | None = None
        self._rows = ("", "")
        self._writing = asyncio.Lock()
        self._shown = 0

    async def open(self) -> None:
        options = self._options
        self._stream = await open_serial(self._name, options.path, SerialSettings(baud=options.baud), _ignore)
        self.identity = self._stream.identity
        self._rows = ("", "")
        try:
            await self._draw(CLEAR)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        stream = self._stream
        while True:
            patience = asyncio.timeout(self._options.refresh_s)
            try:
                async with patience:
                    await stream.lost()
            except TimeoutError:
                if not patience.expired():
                    raise
            await self._draw()

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def facts(self) -> dict[str, str | int]:
        return {"shown": self._shown}

    async def show(self, shown: ShowOnDisplay) -> None:
        self._rows = (
            lay_out(*shown.upper, self._options.columns),
            lay_out(*shown.lower, self._options.columns),
        )
        await self._draw()
        self._shown += 1

    async def _draw(self, before: bytes = b"") -> None:
        """Draws the newest rows, after other bytes. Raises DeviceGone; DeviceStalled, and the stream ends."""
        async with self._writing:
            stream = self._stream
            if stream is None:
                raise DeviceGone(f"{self._name}: it is not open")
            codepage, rows = self._options.codepage, self._rows
            padded = (lay_out(rows[0], "", self._options.columns), lay_out(rows[1], "", self._options.columns))
            try:
                data = before + set_up(self._dialect, codepage) + draw(self._dialect, codepage, padded)
                await stream.write(data, WRITE_TIMEOUT_S)
            except DeviceStalled as fault:
                stream.fail(fault)
                raise


def _ignore(data: bytes) -> None:
    """A display has nothing to say."""
