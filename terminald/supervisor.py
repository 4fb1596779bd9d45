"""Keeps one device running: opens it, serves it, and after a fault backs off and opens it again, for ever.

Only here is anything retried. A device that is plugged in again is opened at once; one that fails soon after opening is
left alone for longer each time, with jitter, so that a broken cable costs nothing. One that is open and dead is found
out: by its driver's own questions, by `Probed.probe`, or because its node is gone.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.events import DeviceChanged, DevicePhase
from core.ports import Clock, Device, DeviceAbsent, DeviceError, DeviceGone, DeviceStalled, Emit, Probed
from store.device_book import DeviceBook

BACKOFF_MIN_S = 0.25
BACKOFF_MAX_S = 30.0
HEALTHY_S = 60.0
"""After so long without a fault the next one starts from the shortest pause again."""
OPEN_TIMEOUT_S = 15.0
PROBE_TIMEOUT_S = 5.0

_log = logging.getLogger(__name__)


class Supervisor:
    """One device's keeper. `jitter` gives numbers in [0, 1); `book` remembers how long it works between two faults."""

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        device: Device,
        emit: Emit,
        clock: Clock,
        jitter: Callable[[], float],
        book: DeviceBook | None = None,
        driver: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.driver = driver
        self.device = device
        self.phase = DevicePhase.ABSENT
        self.fault: str | None = None
        self.remedy = ""
        self.faults = 0
        self.place = ""
        """Where it is plugged in, as udev names the port; empty where udev does not know it."""
        self.known_as = ""
        """The identity of its device among all that are plugged in; empty where its driver alone knows it."""
        self.is_new = False
        """It was taken into use by itself, and nobody has been told so yet."""
        self.ready = asyncio.Event()
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._book = book if book is not None else DeviceBook(None)
        self._life: asyncio.Timeout | None = None
        self._end: DeviceError | None = None
        self._counted_s = 0.0

    @property
    def identity(self) -> str:
        """What names the physical device."""
        return self.known_as or self.device.identity

    @property
    def between_faults_s(self) -> int | None:
        """The mean time that this device works between two faults, over all its life here; None before the first one."""
        self.count()
        return self._book.past(self.identity).between_faults_s

    async def run(self, plugged: Callable[[], Awaitable[None]]) -> None:
        """Runs the device until cancelled. `plugged` waits for the next plug event that may concern it."""
        failures = 0
        while True:
            opened_s = self._clock.monotonic_s()
            error = _bare(await self._live())
            if self._clock.monotonic_s() - opened_s > HEALTHY_S:
                failures = 0
            failures = 0 if await self._pause(failures, error, plugged) else failures + 1

    async def probe(self) -> DeviceError | None:
        """Asks an open device for a sign of life, where its driver can be asked; without one its life here ends."""
        if not self.ready.is_set() or not isinstance(self.device, Probed):
            return None
        try:
            async with asyncio.timeout(PROBE_TIMEOUT_S):
                await self.device.probe()
            return None
        except TimeoutError as late:
            missing = f"{self.name}: no sign of life in {PROBE_TIMEOUT_S} s"
            error: DeviceError = late if isinstance(late, DeviceError) else DeviceStalled(missing)
        except DeviceError as failed:
            error = failed
        self.end(error)
        return error

    def end(self, error: DeviceError) -> None:
        """Ends the present life of the device, whatever its driver still believes. Without one, nothing happens."""
        if self._life is not None:
            self._end = error
            self._life.reschedule(asyncio.get_running_loop().time())

    def count(self, fault: str | None = None) -> None:
        """Has the time that the device has worked by now written down."""
        if self.ready.is_set():
            now_s = self._clock.monotonic_s()
            worked_s, self._counted_s = now_s - self._counted_s, now_s
            now_ms = self._clock.stamp().time_ms
            self._book.add(self.identity, self.name, ready_s=worked_s, fault=fault, now_ms=now_ms)

    async def _live(self) -> DeviceError:
        """One life of the device, from its opening to its fault."""
        self._turn(DevicePhase.OPENING, self.fault, "")
        error: DeviceError | None = None
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self.device.open()
            self._counted_s = self._clock.monotonic_s()
            self._turn(DevicePhase.READY, None, "")
            self.ready.set()
            self.is_new = False
            error = await self._serve()
            return error
        except TimeoutError as late:
            return late if isinstance(late, DeviceError) else DeviceGone(f"{self.name} did not open in time")
        except DeviceError as failed:
            return failed
        finally:
            self.count(error.code if error is not None else None)
            self.ready.clear()
            self.device.close()

    async def _serve(self) -> DeviceError:
        """Until it fails, or is said to be dead by `end`."""
        self._end = None
        try:
            async with asyncio.timeout(None) as self._life:
                await self.device.serve()
            return DeviceGone(f"{self.name} ended")
        except TimeoutError as error:
            return self._why(error)
        except DeviceError as error:
            return error
        finally:
            self._life = None

    def _why(self, error: TimeoutError) -> DeviceError:
        """Some of a device's own errors are timeouts too; any other means that `end` was called."""
        if isinstance(error, DeviceError):
            return error
        return self._end or DeviceGone(f"{self.name} ended")

    async def _pause(self, failures: int, error: DeviceError, plugged: Callable[[], Awaitable[None]]) -> bool:
        """Waits before the next opening; whether something was plugged in meanwhile."""
        away = isinstance(error, DeviceAbsent | DeviceGone)
        was_ready = self.phase is DevicePhase.READY
        if was_ready or self.fault != error.code:
            # That a pulled device is not there any more is no second fault.
            self.faults += was_ready or not away
            self._turn(DevicePhase.ABSENT if away else DevicePhase.STALLED, error.code, str(error))
            self.remedy = error.remedy
            _log.warning("%s: %s", self.name, error, extra={"device": self.name, "fault": error.code})
        else:
            self.phase = DevicePhase.ABSENT if away else DevicePhase.STALLED
        pause_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 16)) * (0.5 + self._jitter())
        try:
            async with asyncio.timeout(pause_s):
                await plugged()
            return True
        except TimeoutError:
            return False

    def _turn(self, phase: DevicePhase, fault: str | None, detail: str) -> None:
        self.phase, self.fault = phase, fault
        is_new = self.is_new and phase is DevicePhase.READY
        self._emit(DeviceChanged(device=self.name, phase=phase, fault=fault, detail=detail, is_new=is_new))


def _bare(error: DeviceError) -> DeviceError:
    """The fault without how it came about: a traceback's frames would keep what a failed opening left half open."""
    error.__cause__ = error.__context__ = None
    return error.with_traceback(None)
