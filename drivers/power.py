"""The board's power, as the Raspberry Pi's firmware sees it (UnifiedPOS POSPower).

The firmware notifies nobody in time: the kernel's own driver asks it every two seconds. So it is asked here, four times a
second, by one short read on another thread. A dip between two looks shows in the bits that stay set.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

from core.events import PowerSensed
from core.ports import Clock, DeviceAbsent, DeviceGone, Emit, ProtocolError
from drivers.codecs.throttled import WEAK, PowerState, decode
from drivers.options import RpiPowerOptions
from drivers.transport import opening, talking

FIRMWARE: Final = Path("/sys/devices/platform/soc/soc:firmware/get_throttled")
HWMON: Final = Path("/sys/class/hwmon")
_TEXT_BYTES_MAX = 64
_ANSWER_TIMEOUT_S = 2.0


class RpiPower:
    """Emits PowerSensed: at its opening, and when the power becomes too weak or has been strong for a while."""

    def __init__(self, name: str, options: RpiPowerOptions, emit: Emit, clock: Clock) -> None:
        self.identity = "firmware"
        self._name = name
        self._options = options
        self._emit = emit
        self._clock = clock
        self._file = -1
        self._state: PowerState | None = None
        self._is_weak = False
        """What was told last, also over a fault: a power that came back while nobody could look is still news."""
        self._weak_s = float("-inf")
        self._dips = 0

    async def open(self) -> None:
        with opening(self._name):
            path = self._options.path or find(FIRMWARE, HWMON)
            if path is None:
                raise DeviceAbsent(f"{self._name}: neither {FIRMWARE} nor an rpi_volt sensor is there")
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            self.identity = str(path)
        self._state = None
        try:
            await self._look()
        except BaseException:
            self.close()
            raise

    async def serve(self) -> None:
        while True:
            await self._clock.sleep(self._options.poll_ms / 1000)
            await self._look()

    def close(self) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)

    def facts(self) -> dict[str, str | int]:
        now = sorted(self._state.now) if self._state is not None else []
        return {"power": " ".join(now) or "ok", "dips": self._dips}

    async def _look(self) -> None:
        with talking(self._name):
            async with asyncio.timeout(_ANSWER_TIMEOUT_S):
                text = await asyncio.to_thread(_read, self._file)
        if not text:
            raise DeviceGone(f"{self._name}: the firmware says nothing")
        try:
            state = decode(text)
        except ValueError as error:
            raise ProtocolError(f"{self._name}: {error}") from error
        before, self._state = self._state, state
        dipped = state.has_been - before.has_been if before is not None else frozenset()
        flags = state.now | dipped
        now_s = self._clock.monotonic_s()
        if flags & WEAK:
            self._weak_s = now_s
            self._tell(is_weak=True, flags=flags)
        elif now_s - self._weak_s >= self._options.recover_s:
            self._tell(is_weak=False, flags=frozenset())

    def _tell(self, *, is_weak: bool, flags: frozenset[str]) -> None:
        if is_weak != self._is_weak:
            self._dips += is_weak
            self._is_weak = is_weak
            self._emit(PowerSensed(device=self._name, weak=is_weak, flags=tuple(sorted(flags))))


def find(firmware: Path, hwmon: Path) -> Path | None:
    """The firmware's file, or the alarm of the kernel's own sensor where the kernel has no such file."""
    if firmware.exists():
        return firmware
    for name in sorted(hwmon.glob("*/name")):
        alarm = name.with_name("in0_lcrit_alarm")
        if name.read_text().strip() == "rpi_volt" and alarm.exists():
            return alarm
    return None


def _read(file: int) -> bytes:
    return os.pread(file, _TEXT_BYTES_MAX, 0)
