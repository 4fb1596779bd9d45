"""Runs the keyboard scanner's driver on a node, and prints what comes of it, a JSON object a line."""

import asyncio
import json
import sys
from pathlib import Path

import msgspec

from core.events import DeviceEvent
from core.ports import DeviceError
from drivers.hid_scanner import HidScanner
from drivers.hotplug import Watcher
from drivers.options import HidScannerOptions
from tests.drivers.support import HostClock


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def emit(event: DeviceEvent) -> None:
    print(msgspec.json.encode(event).decode(), flush=True)


async def main(path: Path, layout: str) -> None:
    driver = HidScanner("scanner", HidScannerOptions(path=path, layout=layout, gap_s=0.1), emit, HostClock())
    async with Watcher([path]) as watcher:
        try:
            await driver.open()
            say(opened=driver.identity)
            await driver.serve()
        except DeviceError as error:
            say(fault=error.code)
        finally:
            driver.close()
        say(facts=driver.facts())
        if driver.facts()["reads"]:
            await watcher.wait()
            say(plugged=True)


asyncio.run(main(Path(sys.argv[1]), sys.argv[2]))
