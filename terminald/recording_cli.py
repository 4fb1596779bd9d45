"""`terminald devices record` and `replay`: a device's raw traffic to a file, and the file played to its driver.

``record``  {"name", "file", "pieces", "lost"}
``replay``  the driver's events, a JSON object a line; with ``--link`` the device itself, for a daemon to open
"""

import argparse
import asyncio
import contextlib
import dataclasses
import signal
import sys
import tempfile
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from core.events import DeviceEvent
from core.ports import Device, DeviceError
from drivers import registry, tap
from drivers.codecs.recording import RECORDED, Heading, Piece, mask_for, read
from drivers.simulated.replay import PAUSE_S_MAX, play
from terminald.cli import CANNOT, FINDING, emit, fail, load_config
from terminald.client import CallFailed, CallRefused, Client, Disconnected, connect
from terminald.clock import SystemClock
from terminald.config import Config
from terminald.direct import DeviceUnknown, InUse, opened, table_of

FETCH_EVERY_S = 0.1
AFTERWARDS_S = 1.0
"""How long a driver may still say something after the last byte of a recording."""


def record(given: argparse.Namespace) -> int:
    """Records until it is interrupted, or for a time."""
    config = load_config(given.config)
    if config is None:
        return CANNOT
    try:
        with given.file.open("xb") as file:
            said = asyncio.run(_record(config, given.name, file, given.seconds))
    except FileExistsError:
        return fail(f"{given.file} is there already")
    except CallRefused as error:
        given.file.unlink(missing_ok=True)
        return fail(f"{error.message.id}: {given.name}")
    except (DeviceError, DeviceUnknown, InUse, ImportError, OSError, CallFailed) as error:
        given.file.unlink(missing_ok=True)
        return fail(str(error))
    said |= {"name": given.name, "file": str(given.file)}
    if given.json:
        emit(said)
    else:
        lost = f", {said['lost']} lost" if said["lost"] else ""
        print(f"{given.file}: {said['pieces']} pieces of traffic{lost}")
    return 0


def replay(given: argparse.Namespace) -> int:
    """Plays a recording to its driver and prints what that makes of it; or is the device, at a link."""
    try:
        with given.file.open("rb") as file:
            heading, pieces = read(file)
        if given.link is not None:
            asyncio.run(_be_the_device(given.link, pieces, given.speed))
            return 0
        return asyncio.run(_drive(heading, pieces, given.speed))
    except ValueError as error:
        return fail(f"{given.file}: {error}")
    except OSError as error:
        return fail(str(error))  # it names its file, or the link


# --- recording ---------------------------------------------------------------------------------------------------


async def _record(config: Config, name: str, file: BinaryIO, seconds: float | None) -> dict[str, Any]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    if seconds is not None:
        loop.call_later(seconds, stop.set)
    try:
        async with connect(config.socket) as client:
            return await _through_the_daemon(client, config, name, file, stop)
    except Disconnected:
        return await _by_itself(config, name, file, stop)


async def _through_the_daemon(
    client: Client, config: Config, name: str, file: BinaryIO, stop: asyncio.Event
) -> dict[str, Any]:
    count = lost = 0
    is_over = False
    while not is_over:
        is_over = stop.is_set()
        answer: Any = await client.call("device.record", {"name": name, "finish": is_over})
        pieces = msgspec.convert(answer["pieces"], list[Piece])
        if not file.tell():
            _write(file, [_heading(config, name, answer["driver"])])
        _write(file, pieces)
        count, lost = count + len(pieces), lost + answer["lost"]
        if not is_over and not pieces:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FETCH_EVERY_S):
                    await stop.wait()
    return {"pieces": count, "lost": lost}


async def _by_itself(config: Config, name: str, file: BinaryIO, stop: asyncio.Event) -> dict[str, Any]:
    """Without a daemon: opens the device and listens."""
    table = table_of(config, name)
    if registry.kind_of(table.options) not in RECORDED:
        raise DeviceUnknown(f"{name} is of a class whose traffic is not kept: cards or tags pass there")
    clock, mask, count = SystemClock(), mask_for(table.driver), 0
    began_s = clock.monotonic_s()
    _write(file, [_heading(config, name, table.driver)])

    def listen(source: tap.Source, data: bytes) -> None:
        nonlocal count
        pieces = mask.feed(round((clock.monotonic_s() - began_s) * 1000), source, data)
        count += len(pieces)
        _write(file, pieces)

    tap.listen(name, listen)
    try:
        async with opened(config, name, lambda _: None) as device, asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(device.serve(), name=f"serve-{name}")
            await stop.wait()
            serving.cancel()
    except* DeviceError as group:
        raise group.exceptions[0] from None
    finally:
        tap.leave(name)
        rest = mask.finish()
        count += len(rest)
        _write(file, rest)
    return {"pieces": count, "lost": 0}


def _heading(config: Config, name: str, driver: str) -> Heading:
    """With the options of the device's driver, so that a replay reads as the device was read."""
    options: dict[str, Any] = {}
    with contextlib.suppress(DeviceUnknown):
        given = table_of(config, name).options
        told = {each.name: getattr(given, each.name) for each in dataclasses.fields(given)}
        options = {key: value for key, value in told.items() if isinstance(value, str | int | float | bool)}
    return Heading(device=name, driver=driver, started_ms=SystemClock().stamp().time_ms, options=options)


def _write(file: BinaryIO, lines: Sequence[Heading | Piece]) -> None:
    """At once: a recording that is killed holds what came before."""
    file.writelines(msgspec.json.encode(line) + b"\n" for line in lines)
    file.flush()


# --- replaying ---------------------------------------------------------------------------------------------------


async def _be_the_device(link: Path, pieces: Sequence[Piece], speed: float) -> None:
    print(f"{link} is the device; play begins when something is written to standard input (Enter)", flush=True)
    with play(link) as device:
        await asyncio.to_thread(sys.stdin.readline)
        await device.run(pieces, speed)
        await asyncio.sleep(AFTERWARDS_S)  # what was not read when a cable is pulled is lost


async def _drive(heading: Heading, pieces: Sequence[Piece], speed: float) -> int:
    entry = registry.DRIVERS.get(heading.driver)
    if entry is None:
        raise ValueError(f"there is no driver {heading.driver}")
    with _somewhere() as link:
        try:
            options = registry.options_for(heading.driver, {**heading.options, "path": str(link)}, heading.device)
        except registry.OptionsRejected as error:
            raise ValueError(str(error)) from error
        if entry.nodes == ("keyboard",):
            _type(heading.device, options, pieces)
            return 0
        with play(link) as device:
            driver = registry.build(heading.device, options, _emit, link.parent, SystemClock())
            fault: BaseException | None = None
            try:
                await _serve(driver, device.run(pieces, speed))
            except* DeviceError as group:
                fault = group.exceptions[0]
            finally:
                driver.close()
    return fail(str(fault), FINDING) if fault is not None else 0


async def _serve(driver: Device, playing: Coroutine[Any, Any, None]) -> None:
    """Runs the driver for as long as the recording lasts. Raises what the driver raises, in a group."""
    async with asyncio.TaskGroup() as tasks:
        played = tasks.create_task(playing, name="play")
        await driver.open()
        serving = tasks.create_task(driver.serve(), name="serve")
        await played
        await asyncio.sleep(AFTERWARDS_S)
        serving.cancel()


def _type(name: str, options: registry.Options, pieces: Sequence[Piece]) -> None:
    """A keyboard has no cable to be played on: its keys go to the driver's decoder, in the time of the recording."""
    from drivers.hid_scanner import EVENT, decoder_for

    decoder = decoder_for(name, options)
    now_s = 0.0
    data = b"".join(bytes.fromhex(piece.data) for piece in pieces)
    times = [piece.at_ms / 1000 for piece in pieces for _ in range(len(bytes.fromhex(piece.data)) // EVENT.size)]
    for now_s, (_, _, kind, code, value) in zip(times, EVENT.iter_unpack(data), strict=False):
        for event in [*decoder.expire(now_s), *(decoder.key(code, value, now_s) if kind == 1 else ())]:
            _emit(event)
    for event in decoder.expire(now_s + PAUSE_S_MAX):
        _emit(event)


def _emit(event: DeviceEvent) -> None:
    emit(event)
    sys.stdout.flush()


@contextlib.contextmanager
def _somewhere() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="terminald-") as folder:
        yield Path(folder) / "device"
