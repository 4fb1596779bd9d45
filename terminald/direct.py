"""A device without the daemon: opened by its own driver for a test or a recording, by one program at a time."""

import asyncio
import contextlib
import fcntl
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import cast

from core.events import DeviceEvent
from core.ports import CardReader, Device, DeviceError, Emit, Probed
from drivers import registry
from terminald.clock import SystemClock
from terminald.config import Config, DeviceConfig
from terminald.devices import places

OPEN_TIMEOUT_S = 15.0


class DeviceUnknown(LookupError):
    """The configuration has no such device."""


class InUse(RuntimeError):
    """Another program tests or records the device."""


@contextlib.asynccontextmanager
async def opened(config: Config, name: str, emit: Emit) -> AsyncIterator[Device]:
    """The device while the block runs. Raises DeviceError, DeviceUnknown, InUse, ImportError."""
    table = table_of(config, name)
    node, _ = places(config).get(name, (None, None))
    options = table.options
    if table.match is not None and node is not None:
        options = registry.placed_at(options, Path(node.path))
    with _alone(config.socket.parent / f".device-{name}.lock", name):
        device = registry.build(name, options, emit, config.base, SystemClock())
        if registry.kind_of(options) == "MSR":
            cast(CardReader, device).admit(config.cards)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await device.open()
            yield device
        finally:
            device.close()


async def tried(config: Config, name: str) -> dict[str, object]:
    """What a test of the device says. Raises DeviceUnknown, InUse, ImportError."""
    try:
        async with opened(config, name, _ignore) as device:
            if isinstance(device, Probed):
                await device.probe()
    except DeviceError as error:
        return {"name": name, "works": False, "fault": error.code, "remedy": error.remedy}
    except TimeoutError:
        return {"name": name, "works": False, "fault": DeviceError.code, "remedy": DeviceError.remedy}
    return {"name": name, "works": True, "fault": None, "remedy": ""}


def table_of(config: Config, name: str) -> DeviceConfig:
    """The device's table. Raises DeviceUnknown."""
    for device in config.devices:
        if device.name == name:
            return device
    known = ", ".join(device.name for device in config.devices) or "none"
    raise DeviceUnknown(f"no [device.{name}] in the configuration; there are: {known}")


@contextlib.contextmanager
def _alone(path: Path, name: str) -> Iterator[None]:
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise InUse(f"{name} is being tested or recorded by another program") from None
        yield
    finally:
        os.close(fd)


def _ignore(event: DeviceEvent) -> None:
    """A test looks at the device, not at what it reads."""
