"""Runs an NFC reader's driver on the node that is its argument, and prints what comes of it, a JSON object a line.

It opens it again whenever a line comes on standard input, and ends at its end.
"""

import asyncio
import json
import sys
import threading
from pathlib import Path

from core.events import DeviceEvent, TagPresented
from core.ports import DeviceError
from drivers.nfc import NfcReader
from drivers.options import UsbNfcOptions
from tests.drivers.support import HostClock


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def emit(event: DeviceEvent) -> None:
    if isinstance(event, TagPresented):
        say(uid=event.uid, technology=event.technology, ndef=event.ndef)
    else:
        say(event=type(event).__name__)


async def main(node: str) -> None:
    reader = NfcReader("nfc", UsbNfcOptions(path=Path(node)), emit, HostClock())
    loop, again = asyncio.get_running_loop(), asyncio.Queue[bool]()

    def listen() -> None:
        for _ in sys.stdin:
            loop.call_soon_threadsafe(again.put_nowait, True)
        loop.call_soon_threadsafe(again.put_nowait, False)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            await reader.open()
            say(opened=reader.identity, chipset=reader.facts()["chipset"])
            serving = asyncio.create_task(reader.serve(), name="serve")
            waiting = asyncio.create_task(again.get(), name="again")
            await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
            if waiting.done() and not waiting.result():
                serving.cancel()
                return
            waiting.cancel()
            await serving
        except DeviceError as error:
            say(fault=error.code)
        finally:
            reader.close()
        if not await again.get():
            return


asyncio.run(main(sys.argv[1]))
