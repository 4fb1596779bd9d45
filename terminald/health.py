"""Gathers what telemetry tells (`core.telemetry`) from the daemon's parts. Cheap: a look reads a few small files at most."""

import contextlib
import functools
import importlib.metadata
import os
import platform
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from core import events as v
from core.ledger import open_record
from core.ports import Signer
from core.telemetry import COPIES, COUNTER, DEVICES, JOURNAL, LINK, SYSTEM, Value, Values
from core.view import mode_of
from store.journal import SqlJournal
from store.space import Space
from terminald.backup_keeper import BackupKeeper, backup_facts
from terminald.clock import SystemClock
from terminald.config import Config
from terminald.custody import Custody
from terminald.engine import Engine
from terminald.forwarder import Forwarder
from terminald.operators import Staff
from terminald.peripherals import Peripherals
from terminald.recall import Recaller, recall_facts
from terminald.second_medium import SecondMedium
from terminald.supervisor import Supervisor
from terminald.tls import ends_ms
from terminald.uplink import Uplink

_TEMPERATURE: Final = Path("/sys/class/thermal/thermal_zone0/temp")
_BOARD: Final = Path("/proc/device-tree/model")
_UP: Final = Path("/proc/uptime")
_MEMORY: Final = Path("/proc/meminfo")
_HELD: Final = Path("/proc/self/statm")
MS_A_DAY: Final = 86_400_000
_MIB: Final = 1 << 20
_PRINTER: Final = ("state", "paper")
_SCANNER: Final = ("reads", "bad_pct", "quality")
_TOLD: Final = {"Scanner": _SCANNER, "POSPrinter": _PRINTER, "CashDrawer": ("state",)}
"""What of a device's own facts is told, by its class."""


class DrawerWatch:
    """Which drawers stand open that nobody ordered open, or for too long; `forced` are those of the run before."""

    def __init__(self, forced: Iterable[str] = ()) -> None:
        self.forced = set(forced)
        self.left_open: set[str] = set()

    def observe(self, event: v.AnyEvent | v.DeviceEvent, *, was_open: bool) -> None:
        """Takes a device's event; `was_open` is how the journal knows the drawer."""
        match event:
            case v.DrawerSensed(device=device, is_open=True, commanded=False):
                self.forced.add(device)
            case v.DrawerFound(device=device, is_open=True) if not was_open:
                self.forced.add(device)
            case v.DrawerSensed(device=device, is_open=False) | v.DrawerFound(device=device, is_open=False):
                self.forced.discard(device)
                self.left_open.discard(device)
            case v.DrawerLeftOpen(device=device):
                self.left_open.add(device)
            case _:
                pass


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """The parts of one run of the daemon that have something to tell."""

    config: Config
    clock: SystemClock
    journal: SqlJournal
    signer: Signer
    engine: Engine
    devices: Sequence[Supervisor]
    peripherals: Peripherals
    space: Space
    second_medium: SecondMedium
    custody: Custody
    forwarder: Forwarder
    uplink: Uplink
    backups: BackupKeeper | None
    recaller: Recaller | None
    staff: Staff | None
    drawers: DrawerWatch


class Health:
    """One run's word on itself."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._oldest: tuple[tuple[str, int], str, int, int] | None = None
        self._certificate: tuple[int, int | None] = (0, None)
        self._started_ms = parts.clock.stamp().time_ms

    async def look(self) -> dict[str, Values]:
        """The values of each group, as they are now."""
        return {
            JOURNAL.name: {**self._journal(), "oldest_unacked_s": await self._oldest_unacked_s()},
            SYSTEM.name: self._system(),
            COPIES.name: self._copies(),
            COUNTER.name: self._counter(),
            DEVICES.name: device_values(self._parts.devices),
            LINK.name: self._link(),
        }

    def info(self) -> dict[str, Value]:
        """What the terminal is made of, but for the time."""
        parts = self._parts
        shop = parts.config.shop
        return {
            **_made_of(),
            "shop": shop.name,
            "currency": shop.currency.code,
            "language": shop.language,
            "time_zone": parts.engine.local_time[19:] or "+00:00",
            "boot_id": parts.clock.boot,
            "started_ms": self._started_ms,
            "signing_key": parts.signer.public_key.hex(),
            "certificate_expires_ms": self._certificate_ends_ms(),
            **{
                f"device_{device.name}": " ".join(filter(None, (device.kind, device.driver, device.identity)))
                for device in parts.devices
            },
        }

    # --- groups --------------------------------------------------------------------------------------------------

    def _journal(self) -> dict[str, Value]:
        parts, head = self._parts, self._parts.journal.head
        held = parts.forwarder.acknowledged_seq
        return {
            "epoch": head.epoch,
            "journal_depth": head.seq,
            "synced_seq": parts.journal.synced.seq,
            "hwm": held,
            "unacked": head.seq - held,
            "generation": parts.forwarder.generation,
            "quarantined": parts.forwarder.quarantined,
            "anchored": parts.journal.anchor_fault is None,
            **parts.custody.facts(),
            **recall_facts(parts.recaller),
        }

    async def _oldest_unacked_s(self) -> int:
        """Read from the record itself, by the boot's own clock where it is of this boot."""
        parts, synced = self._parts, self._parts.journal.synced
        held = parts.forwarder.acknowledged_seq
        if held >= synced.seq:
            return 0
        place = (synced.epoch, held)
        if self._oldest is None or self._oldest[0] != place:
            records = await parts.journal.read(*place, 1)
            if not records:
                return 0  # pruned, or moved on meanwhile
            try:
                envelope = open_record(records[0].exact)
            except ValueError:
                return 0  # damaged: the forwarder says so
            self._oldest = place, envelope.boot, envelope.mono_ms, envelope.time_ms
        _, boot, mono_ms, time_ms = self._oldest
        now = parts.clock.stamp()
        waited_ms = now.mono_ms - mono_ms if boot == now.boot else now.time_ms - time_ms
        return max(waited_ms // 1000, 0)

    def _system(self) -> dict[str, Value]:
        parts = self._parts
        free_bytes, free_pct = _free(parts.config.journal.parent)
        power = [device.device.facts().get("power") for device in parts.devices if device.kind == "POSPower"]
        return {
            "disk_free_pct": free_pct,
            "disk_free_mb": free_bytes // _MIB,
            "room": parts.space.room.value,
            "temperature_c": _temperature_c(),
            "throttled": str(power[0]) if power else None,
            "power_weak": parts.engine.till.power_weak,
            "clock": parts.clock.stamp().clock.value,
            "clock_doubtful": parts.engine.clock_doubtful,
            "memory_rss_mb": int(_HELD.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") // _MIB,
            "memory_available_mb": _memory_available_mb(),
            "load_1m": round(os.getloadavg()[0], 2),
            "up_s": int(parts.clock.up_s()),
            "system_up_s": _system_up_s(),
        }

    def _copies(self) -> dict[str, Value]:
        parts, medium = self._parts, self._parts.second_medium.view()
        return {
            "second_medium": medium.state,
            "second_medium_fault": medium.fault,
            "sales_at_risk": medium.sales_at_risk,
            "backup_overdue": parts.backups is not None and bool(parts.backups.conditions()),
            **backup_facts(parts.backups),
        }

    def _counter(self) -> dict[str, Value]:
        parts, till = self._parts, self._parts.engine.till
        return {
            "mode": mode_of(till),
            "business_day": till.day.business_day,
            "transactions": till.day.transactions,
            "till_open": till.books.session is not None,
            "closing_forgotten": parts.engine.closing_forgotten,
            "training": till.practice is not None,
            "receipts_waiting": parts.peripherals.receipts_waiting,
            "drawers_forced": " ".join(sorted(parts.drawers.forced)),
            "drawers_left_open": " ".join(sorted(parts.drawers.left_open)),
            "sign_ons_refused": parts.staff.refused_lately if parts.staff is not None else 0,
            "double_reads": parts.engine.doubles.count,
            **parts.engine.spoilt_scans(),
        }

    def _link(self) -> dict[str, Value]:
        uplink, until_ms = self._parts.uplink, self._certificate_ends_ms()
        return {
            "broker": uplink.broker,
            "mqtt": uplink.version,
            "connections": uplink.number,
            "connected_s": uplink.connected_s,
            "last_fault": uplink.last_fault,
            "refusals": uplink.refusals,
            "refusal": uplink.refusal,
            "certificate_days": (until_ms - self._parts.clock.stamp().time_ms) // MS_A_DAY
            if until_ms is not None
            else None,
            "delivery_fault": self._parts.forwarder.fault,
        }

    def _certificate_ends_ms(self) -> int | None:
        """Read again whenever the file is another: it is renewed while the daemon runs."""
        headquarters = self._parts.config.headquarters
        path = headquarters.tls.certificate if headquarters is not None else None
        if path is None:
            return None
        try:
            changed_ns = path.stat().st_mtime_ns
        except OSError:
            return None
        if changed_ns != self._certificate[0]:
            self._certificate = changed_ns, ends_ms(path)
        return self._certificate[1]


def device_values(supervisors: Sequence[Supervisor]) -> dict[str, Value]:
    """What is told of each device."""
    values: dict[str, Value] = {}
    for device in supervisors:
        name = f"device_{device.name}"
        own = device.device.facts()
        values[name] = device.phase.value
        values[f"{name}_fault"] = device.fault
        values[f"{name}_faults"] = device.faults
        values[f"{name}_between_faults_s"] = device.between_faults_s
        values |= {f"{name}_{key}": own[key] for key in _TOLD.get(device.kind, ()) if key in own}
    return values


@functools.cache
def _made_of() -> dict[str, Value]:
    """What does not change while the daemon runs."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "unknown")
    except OSError:
        system = "unknown"
    board: str | None = None
    with contextlib.suppress(OSError):
        board = _BOARD.read_text(errors="replace").rstrip("\0").strip()
    return {
        "software": importlib.metadata.version("terminald"),
        "python": platform.python_version(),
        "system": system,
        "kernel": platform.release(),
        "machine": platform.machine(),
        "board": board,
        "memory_mb": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // _MIB,
        "cpus": os.cpu_count() or 1,
    }


def _free(folder: Path) -> tuple[int, float]:
    """Bytes and percent; a medium that cannot even be asked has none."""
    try:
        disk = shutil.disk_usage(folder)
    except OSError:
        return 0, 0.0
    return disk.free, round(100 * disk.free / max(disk.total, 1), 1)


def _temperature_c() -> float | None:
    try:
        return round(int(_TEMPERATURE.read_text()) / 1000, 1)
    except (OSError, ValueError):
        return None


def _memory_available_mb() -> int:
    kib = next(line for line in _MEMORY.read_text().splitlines() if line.startswith("MemAvailable:"))
    return int(kib.split()[1]) >> 10


def _system_up_s() -> int | None:
    try:
        return int(float(_UP.read_text().split()[0]))
    except (OSError, ValueError, IndexError):
        return None
