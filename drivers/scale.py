"""A scale on a serial port (UnifiedPOS Scale): it is asked while a weight is wanted, and left alone otherwise.

A weight is told the moment its answer is whole, from the callback that read it: no time-out is waited for. After a sale it
is asked on until it has shown zero, so that what still lies there is not sold twice; that is remembered over a pulled cable,
and not over a restart, after which it has to show zero once.
"""

import asyncio
import contextlib
from collections.abc import Callable
from typing import Final

from core.events import WeightCondition, WeightSensed
from core.ports import Clock, DeviceError, DeviceStalled, Emit, ProtocolError
from drivers.codecs.scale import Complaint, ScaleCodec, Send, Unusable, Weighed
from drivers.codecs.scale_8217 import Toledo8217
from drivers.codecs.scale_cas import CasEcr
from drivers.codecs.scale_sics import MettlerSics
from drivers.options import ScaleProtocol, SerialScaleOptions
from drivers.transport import SerialSettings, Stream, open_serial

SILENT_MAX: Final = 3
"""So many questions without an answer, one after the other, and the scale counts as stalled."""
WRITE_TIMEOUT_S: Final = 1.0
UNTIL_ZERO_S: Final = 0.1
"""How often it is asked whether it is at zero again. A stable zero lasts longer between two that are weighed."""

_CODECS: dict[ScaleProtocol, Callable[[], ScaleCodec]] = {
    "toledo-8217": Toledo8217,
    "mettler-sics": MettlerSics,
    "cas": CasEcr,
}
_ZERO = Weighed(condition=WeightCondition.STABLE)
_NET_ZERO = Weighed(condition=WeightCondition.STABLE, net=True)
# How often one after the other before it is no accident of the line, and what it is then.
_COMPLAINTS: dict[Complaint, tuple[int, str]] = {
    "garbled": (20, "its answers are damaged: compare baud, bits, parity and protocol with the scale's own settings"),
    "unit": (3, "it does not show kilograms or grams: set it to kilograms"),
    "too-fine": (3, "its steps are finer than a gram: set it to steps of 1 g or more"),
    "command": (3, "it does not know the question: set it to the configured protocol"),
}


class SerialScale:
    """Emits WeightSensed. A `core.ports.Scale`."""

    def __init__(self, name: str, options: SerialScaleOptions, emit: Emit, clock: Clock) -> None:
        self.identity = str(options.path)
        self._name = name
        self._options = options
        self._emit = emit
        self._codec = _CODECS[options.protocol]()
        self._stream: Stream | None = None
        self._answered = asyncio.Event()
        self._called = asyncio.Event()
        self._is_heard = False
        self._is_wanted = False
        self._reference = ""
        self._is_cleared = False
        self._shown: Weighed | None = None
        self._told: WeightSensed | None = None
        self._complaints: tuple[Complaint, int] = ("garbled", 0)
        self._reads = self._bad_reads = 0

    async def open(self) -> None:
        options = self._options
        settings = SerialSettings(
            baud=options.baud, data_bits=options.data_bits, parity=options.parity, stop_bits=options.stop_bits
        )
        self._codec = _CODECS[options.protocol]()
        self._shown = None
        self._complaints = ("garbled", 0)
        self._stream = await open_serial(self._name, options.path, settings, self._on_bytes)
        self._stream.on_end(self._answered.set)
        self.identity = self._stream.identity
        try:
            await self._ask(self._stream)
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        assert self._stream is not None, "open() comes first"
        stream = self._stream
        stream.on_end(self._wake)
        while True:
            stream.check()
            await self._pause()
            stream.check()
            await self._ask(stream)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def facts(self) -> dict[str, str | int]:
        shown = self._shown
        return {
            "condition": shown.condition.value if shown else "unknown",
            "weight_g": shown.weight_g if shown else 0,
            "cleared": "yes" if self._is_cleared else "no",
            "reads": self._reads,
            "bad_reads": self._bad_reads,
        }

    def weigh(self, reference: str) -> None:
        self._is_wanted = True
        self._reference = reference
        self._told = None
        self._called.set()

    def rest(self, *, sold: bool) -> None:
        self._is_wanted = False
        if sold:
            self._is_cleared = False
            self._called.set()

    # --- asking ------------------------------------------------------------------------------------------------------

    async def _pause(self) -> None:
        """Until it is time to ask again, or it is called: soonest while a weight is wanted, soon until it shows zero."""
        if self._is_wanted:
            pause_s = self._options.interval_s
        else:
            pause_s = self._options.health_interval_s if self._is_cleared else UNTIL_ZERO_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._called.wait()
        self._called.clear()

    async def _ask(self, stream: Stream) -> None:
        """Asks until there is an answer. Raises DeviceStalled where none comes, ProtocolError where none is of use."""
        silent = 0
        while silent < SILENT_MAX:
            self._answered.clear()
            self._is_heard = False
            await stream.write(self._codec.ask(), WRITE_TIMEOUT_S)
            try:
                async with asyncio.timeout(self._options.answer_timeout_s):
                    await self._answered.wait()
            except TimeoutError:
                if self._is_heard:
                    self._on_unusable("garbled")  # an answer that lost its end
                else:
                    silent += 1
                stream.check()
                continue
            stream.check()
            return
        raise DeviceStalled(f"{self._name}: no answer to {SILENT_MAX} questions")

    def _wake(self) -> None:
        self._answered.set()
        self._called.set()

    # --- answers -----------------------------------------------------------------------------------------------------

    def _on_bytes(self, data: bytes) -> None:
        self._is_heard = True
        for said in self._codec.feed(data):
            match said:
                case Weighed():
                    self._on_weighed(said)
                    self._answered.set()
                case Send():
                    self._reply(said.data)
                case Unusable():
                    self._on_unusable(said.complaint)
                    self._answered.set()

    def _on_weighed(self, weighed: Weighed) -> None:
        self._reads += 1
        self._complaints = ("garbled", 0)
        self._shown = weighed
        if weighed in (_ZERO, _NET_ZERO):
            self._is_cleared = True
        if not self._is_wanted:
            return
        is_stable = weighed.condition is WeightCondition.STABLE
        sensed = WeightSensed(
            device=self._name,
            condition=weighed.condition,
            weight_g=weighed.weight_g if is_stable else 0,  # what moves is told once, and not at each step
            net=weighed.net,
            cleared=self._is_cleared,
            reference=self._reference,
        )
        if sensed != self._told:
            self._told = sensed
            self._emit(sensed)

    def _on_unusable(self, complaint: Complaint) -> None:
        self._bad_reads += 1
        before, count = self._complaints
        self._complaints = complaint, (count + 1 if complaint == before else 1)
        count_max, words = _COMPLAINTS[complaint]
        if self._complaints[1] >= count_max:
            self._fail(ProtocolError(f"{self._name}: {words}"))

    def _reply(self, data: bytes) -> None:
        """A byte of a handshake: it has room, or the question is asked again."""
        if self._stream is not None:
            self._stream.write_now(data)

    def _fail(self, fault: DeviceError) -> None:
        if self._stream is not None:
            self._stream.fail(fault)
