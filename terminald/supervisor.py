"""Keeps one device running: opens it, serves it, and after a fault backs off and opens it again, for ever.

Only here is anything retried. A device that is plugged in again is opened at once; one that fails soon after opening is
left alone for longer each time, with jitter, so that a broken cable costs nothing.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from core.events import DeviceChanged, DevicePhase
from core.ports import Clock, Device, DeviceAbsent, DeviceError, DeviceGone, Emit

BACKOFF_MIN_S = 0.25
BACKOFF_MAX_S = 30.0
HEALTHY_S = 60.0
"""After so long without a fault the next one starts from the shortest pause again."""
OPEN_TIMEOUT_S = 15.0

_log = logging.getLogger(__name__)


class Supervisor:
    """One device's keeper. `jitter` gives numbers in [0, 1)."""

    def __init__(
        self,
        *,
        name: str,
        kind: str,
        device: Device,
        emit: Emit,
        clock: Clock,
        jitter: Callable[[], float],
    ) -> None:
        self.name = name
        self.kind = kind
        self.device = device
        self.phase = DevicePhase.ABSENT
        self.fault: str | None = None
        self.remedy = ""
        self.faults = 0
        self.ready = asyncio.Event()
        self._emit = emit
        self._clock = clock
        self._jitter = jitter

    async def run(self, plugged: Callable[[], Awaitable[None]]) -> None:
        """Runs the device until cancelled. `plugged` waits for the next plug event that may concern it."""
        failures = 0
        while True:
            opened_s = self._clock.monotonic_s()
            error = await self._live()
            if self._clock.monotonic_s() - opened_s > HEALTHY_S:
                failures = 0
            await self._pause(failures, error, plugged)
            failures += 1

    async def _live(self) -> DeviceError:
        """One life of the device, from its opening to its fault."""
        self._turn(DevicePhase.OPENING, self.fault, "")
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await self.device.open()
            self._turn(DevicePhase.READY, None, "")
            self.ready.set()
            await self.device.serve()
            return DeviceGone(f"{self.name} ended")
        except TimeoutError as error:
            return error if isinstance(error, DeviceError) else DeviceGone(f"{self.name} did not open in time")
        except DeviceError as error:
            return error
        finally:
            self.ready.clear()
            self.device.close()

    async def _pause(self, failures: int, error: DeviceError, plugged: Callable[[], Awaitable[None]]) -> None:
        away = isinstance(error, DeviceAbsent | DeviceGone)
        if self.phase is DevicePhase.READY or self.fault != error.code:
            self.faults += 1
            self._turn(DevicePhase.ABSENT if away else DevicePhase.STALLED, error.code, str(error))
            self.remedy = error.remedy
            _log.warning("%s: %s", self.name, error, extra={"device": self.name, "fault": error.code})
        else:
            self.phase = DevicePhase.ABSENT if away else DevicePhase.STALLED
        pause_s = min(BACKOFF_MAX_S, BACKOFF_MIN_S * 2 ** min(failures, 16)) * (0.5 + self._jitter())
        try:
            async with asyncio.timeout(pause_s):
                await plugged()
        except TimeoutError:
            pass

    def _turn(self, phase: DevicePhase, fault: str | None, detail: str) -> None:
        self.phase, self.fault = phase, fault
        self._emit(DeviceChanged(device=self.name, phase=phase, fault=fault, detail=detail))
