"""Runs a card reader's driver, and prints what comes of it, a JSON object a line, without anything opaque.

The driver's name is the first argument, its options as JSON the second.
"""

import asyncio
import json
import sys
from pathlib import Path
from typing import cast

from core.events import CardEncrypted, CardGarbled, CardRefused, CardSwiped, DeviceEvent
from core.ports import CardReader, DeviceError
from core.stripe import CardRange
from drivers import registry
from drivers.hotplug import Watcher
from tests.drivers.support import HostClock


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def emit(event: DeviceEvent) -> None:
    match event:
        case CardSwiped():
            say(swiped=event.kind, number=event.number)
        case CardEncrypted():
            say(encrypted=len(event.data), ksn=bytes(event.ksn.view()).hex())
        case CardRefused():
            say(payment=event.is_payment, last=event.last)
        case CardGarbled():
            say(garbled=event.fault.value, track=event.track)
        case _:
            say(event=type(event).__name__)


async def main(driver: str, table: dict[str, object]) -> None:
    options = registry.options_for(driver, table, "device.msr")
    reader = cast(CardReader, registry.build("msr", options, emit, Path("/"), HostClock()))
    reader.admit((CardRange(kind="loyalty", prefix="600649", digits=16),))
    async with Watcher(registry.paths_of(options, Path("/"))) as watcher:
        is_wanted = True
        while is_wanted:
            try:
                await reader.open()
                say(opened=reader.identity)
                await reader.serve()
            except DeviceError as error:
                say(fault=error.code)
            finally:
                reader.close()
            say(facts=reader.facts())
            is_wanted = bool(reader.facts()["reads"])
            if is_wanted:
                await watcher.wait()
                say(plugged=True)


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
