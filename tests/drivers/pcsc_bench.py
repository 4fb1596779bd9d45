"""A PC/SC service of its own with vsmartcard's virtual reader, the driver, and a card: run by `unshare --mount`.

Its folder and the reader's TCP port are the arguments, then the driver's options as JSON. Prints a JSON object a line;
obeys commands on standard input, and says ``done`` after each::

    put <what>      a card is put in: member, staff, both, file, payment, disguised, torn, mute
    pull            it is taken out
    stop            the service ends: the reader is pulled
    start           it is there again
    open            the driver is opened again
    apdus           every command that any card got, and whether one was for a payment application
"""

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path

from smartcard import scard

from core.events import CardGarbled, CardRefused, CardSwiped, DeviceEvent
from core.ports import Device, DeviceError
from core.tlv import encode
from drivers import registry
from drivers.codecs.apdu import is_payment
from drivers.simulated.smartcard import ChipCard, VirtualSlot, fci
from tests.drivers.support import HostClock

MEMBER = bytes.fromhex("F05445524D4D454D")
STAFF = bytes.fromhex("F05445524D535446")
READER = "Counter 00 00"
SOCKET = Path("/run/pcscd/pcscd.comm")
VISA = bytes.fromhex("A0000000031010")
CONFIGURATION = """FRIENDLYNAME "Counter"
DEVICENAME   /dev/null:0x{port:X}
LIBPATH      /usr/lib/pcsc/drivers/serial/libifdvpcd.so
CHANNELID    0x{port:X}
"""
PAYMENT = {
    b"2PAY.SYS.DDF01": (fci(b"2PAY.SYS.DDF01"), b""),
    VISA: (fci(VISA, "4111111111111111"), encode(0x53, b"4111111111111111")),
}
CARDS = {
    "member": ChipCard({MEMBER: (fci(MEMBER, "M-000017"), b"")}),
    "staff": ChipCard({STAFF: (fci(STAFF, "0042"), b"")}),
    "both": ChipCard({STAFF: (fci(STAFF, "0042"), b""), MEMBER: (fci(MEMBER, "M-000018"), b"")}),
    "file": ChipCard({MEMBER: (fci(MEMBER), encode(0x53, b"M-000019").ljust(200, b"\xff"))}),
    "payment": ChipCard(PAYMENT),
    "disguised": ChipCard({MEMBER: (fci(MEMBER, "4111111111111111"), b"")}),
    "torn": ChipCard({MEMBER: (fci(MEMBER, "M-000020"), b"")}, answers_left=0),
    "mute": ChipCard({MEMBER: (b"\x6f\x05\x84", b"\x53\x20")}),
}


def has_reader() -> bool:
    """The service takes calls before it has looked for its readers."""
    result, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    if result != scard.SCARD_S_SUCCESS:
        return False
    _, names = scard.SCardListReaders(context, [])
    scard.SCardReleaseContext(context)
    return READER in names


def wait_until_empty() -> None:
    """The service looks for a card a few times a second: one that is changed in between is none it ever saw go."""
    _, context = scard.SCardEstablishContext(scard.SCARD_SCOPE_SYSTEM)
    try:
        while True:
            _, changes = scard.SCardGetStatusChange(context, 0, [(READER, scard.SCARD_STATE_UNAWARE)])
            state = changes[0][1]
            if state & scard.SCARD_STATE_EMPTY and state >> 16 & 1 == 0:  # as many removals as insertions
                return
            time.sleep(0.01)
    finally:
        scard.SCardReleaseContext(context)


def say(**what: object) -> None:
    print(json.dumps(what), flush=True)


def emit(event: DeviceEvent) -> None:
    match event:
        case CardSwiped():
            say(card=event.kind, number=event.number)
        case CardRefused():
            say(payment=event.is_payment)
        case CardGarbled():
            say(garbled=event.fault.value)
        case _:
            say(event=type(event).__name__)


class Bench:
    """The service, the slot, and the driver being served."""

    def __init__(self, folder: Path, port: int, driver: Device) -> None:
        self._folder = folder
        self._driver = driver
        self._slot = VirtualSlot(port)
        self._service: subprocess.Popen[bytes] | None = None
        self._serving: asyncio.Task[None] | None = None

    async def command(self, verb: str, what: str) -> None:
        match verb:
            case "put":
                await self._slot.put_in(CARDS[what])
            case "pull":
                await self._slot.take_out()
                await asyncio.to_thread(wait_until_empty)
            case "start":
                await asyncio.to_thread(self.start)
            case "stop":
                self.stop()
            case "open":
                self._serving = asyncio.create_task(self._serve(), name="serve")
            case "apdus":
                asked = [apdu for card in CARDS.values() for apdu in card.apdus]
                selects = [apdu[5 : 5 + apdu[4]] for apdu in asked if apdu[1] == 0xA4]
                say(
                    apdus=sorted({apdu.hex() for apdu in asked}),
                    selects=len(selects),
                    payment=sum(map(is_payment, selects)),
                )
            case _:
                sys.exit(f"no such command: {verb}")

    def start(self) -> None:
        arguments = ["pcscd", "--foreground", "--config", str(self._folder)]
        self._service = subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while not has_reader():
            time.sleep(0.01)

    def stop(self) -> None:
        if self._service is not None:
            self._service.kill()
            self._service.wait()
            SOCKET.unlink(missing_ok=True)
            SOCKET.with_name("pcscd.pid").unlink(missing_ok=True)
            self._service = None

    async def _serve(self) -> None:
        try:
            await self._driver.open()
            say(opened=self._driver.identity)
            await self._driver.serve()
        except DeviceError as error:
            say(fault=error.code, why=str(error))
        finally:
            self._driver.close()


def make_room(folder: Path, port: int) -> None:
    """A /run of our own, and the virtual reader in the service's configuration."""
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", "/run"], check=True)
    SOCKET.parent.mkdir()
    (folder / "reader.conf").write_text(CONFIGURATION.format(port=port))


async def main(folder: Path, port: int, table: dict[str, object]) -> None:
    make_room(folder, port)
    options = registry.options_for("smartcard-pcsc", table, "device.cards")
    driver = registry.build("cards", options, emit, folder, HostClock())
    bench = Bench(folder, port, driver)
    say(ready=True)
    lines = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    try:
        while line := (await lines.readline()).decode().split():
            await bench.command(line[0], line[-1])
            say(done=line[0])
    finally:
        driver.close()
        bench.stop()


asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), json.loads(sys.argv[3])))
