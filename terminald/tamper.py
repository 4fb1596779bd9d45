"""The case's guard: at the switch's edge this process and all that it holds are gone, and the terminal stays latched.

The process does not tidy up. It overwrites the keys that it knows of, and becomes another program by execve(2): the kernel
drops its memory, descriptors and threads, whatever SQLCipher, TLS or a library may have copied where. That program has
nothing of ours but the latch's path, and puts the latch on the medium for as long as the medium takes. systemd starts the
daemon anew; it finds the latch, opens no key, and tells the screen. `docs/decisions/0026-tamper.md` says why.
"""

import asyncio
import contextlib
import importlib.metadata
import logging
import os
import random
import signal
import sys
import threading
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final, NoReturn

import msgspec

from core.ports import Clock, DeviceError
from core.state import Till
from core.telemetry import Values
from core.text import message
from core.view import DayView, JournalView, LinkView, ShopView, View, sale_view
from drivers import registry
from store.tamper import Latch, Released
from terminald import unixsocket
from terminald.alarms import ALARMS, AlarmBook
from terminald.broker import brokers_of
from terminald.config import Config
from terminald.control import ControlServer, Method, Params
from terminald.notify import feed_watchdog, notify
from terminald.secrecy import overwrite
from terminald.telemetry import Telemetry
from terminald.uplink import Uplink

KIND: Final = "TamperSwitch"
LOOK_S: Final = 0.5
"""How often a latched terminal looks whether it was released, and shows its clock."""
OPEN_TIMEOUT_S: Final = 5.0

_LATCHER: Final = """\
import os, sys
armed, latch, folder = sys.argv[1:]
try:
    os.rename(armed, latch)
except OSError:
    os.close(os.open(latch, os.O_WRONLY | os.O_CREAT, 0o600))
fd = os.open(latch, os.O_RDONLY)
os.fsync(fd)
fd = os.open(folder, os.O_RDONLY)
os.fsync(fd)
os.write(2, b"terminald: the case was opened: the keys are gone, and the terminal is latched\\n")
os._exit(70)
"""
"""What this process becomes: Python's own standard library, none of our modules, no site."""

_log = logging.getLogger(__name__)


class CaseGuard:
    """One process' guard. `children` are the processes that hold keys for us."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._latch = Latch(config.journal)
        self._secrets: list[bytes] = []
        self._tripping = threading.Lock()
        self._switches = [each for each in config.devices if registry.kind_of(each.options) == KIND]
        self.children: Callable[[], Iterable[int]] = tuple

    def hold(self, secrets: Iterable[bytes]) -> None:
        """These are overwritten when the case is opened. They must be nobody else's: a bytes object can be shared."""
        self._secrets.extend(each for each in secrets if len(each) > 1)

    def released(self) -> Released | None:
        """How the last incident ended, for the journal."""
        return self._latch.released()

    def trip(self, device: str) -> NoReturn:
        """The case was opened: never returns. May be called on any thread, and by several."""
        self._tripping.acquire()  # a second caller waits for its end here
        for secret in self._secrets:
            overwrite(secret)
        for pid in self.children():
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        try:
            latch = self._latch
            # -I -S: nothing of the environment, no site, no module of ours.
            program = [sys.executable, "-I", "-S", "-c", _LATCHER]
            os.execv(  # noqa: S606  # a shell would be one more program
                sys.executable, [*program, str(latch.armed), str(latch.latch), str(latch.folder)]
            )
        finally:  # it could not become that program: it ends all the same
            with contextlib.suppress(OSError):
                os.rename(self._latch.armed, self._latch.latch)
            os._exit(70)

    async def admit(self, clock: Clock, asked_to_stop: Callable[[], asyncio.Event]) -> bool:
        """Before any key is opened: waits while the terminal is latched, then looks at the case itself.

        False where it was asked to stop meanwhile.
        """
        if self._latch.incident() is not None:
            asked = asked_to_stop()
            await self._stand(clock, asked)
            for number in (signal.SIGTERM, signal.SIGINT):
                asyncio.get_running_loop().remove_signal_handler(number)
            if asked.is_set():
                return False
        if self._switches:
            self._latch.arm()
            for switch in self._switches:
                await self._look(clock, switch.name, switch.options)
        return True

    async def _look(self, clock: Clock, name: str, options: registry.Options) -> None:
        """One look at a switch: an open case ends this process before it has opened a key."""
        device = registry.build(name, options, lambda _: self.trip(name), self._config.base, clock)
        try:
            async with asyncio.timeout(OPEN_TIMEOUT_S):
                await device.open()
        except (DeviceError, TimeoutError) as error:
            _log.warning("%s cannot be looked at before the start: %s", name, error)
        finally:
            device.close()

    # --- latched -------------------------------------------------------------------------------------------------

    async def _stand(self, clock: Clock, asked: asyncio.Event) -> None:
        """Serves screens with what is the matter, until an order has released the terminal."""
        _log.error("the case was opened: no key is opened, and nothing is sold, until headquarters' order releases it")
        config = self._config
        server = ControlServer(
            config.socket,
            {"daemon.status": Method(summary="What the daemon says of itself", params=Params, handler=self._status)},
            lambda: msgspec.json.encode(self._view(clock)),
            unixsocket.access(config.socket_group),
            closed=message("case-opened"),
        )
        server.open()
        try:
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(server.serve(), name="control"),
                    tasks.create_task(feed_watchdog(clock), name="watchdog"),
                    *(tasks.create_task(work, name="headquarters") for work in self._telling(clock)),
                ]
                notify("READY=1")
                while self._latch.incident() is not None and not asked.is_set():
                    server.publish(msgspec.json.encode(self._view(clock)))
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_S):
                            await asked.wait()
                for task in running:
                    task.cancel()
        finally:
            server.close()
        if not asked.is_set():
            _log.warning("released: the terminal starts")

    def _telling(self, clock: Clock) -> list[Coroutine[Any, Any, None]]:
        """Headquarters learns of it by the alarm ``case-opened``, and of nothing else: the connection needs no key of ours
        but the one that proves to the broker who this is."""
        headquarters, incident = self._config.headquarters, self._latch.incident()
        if headquarters is None:
            return []
        known = {"case_opened": incident.incident if incident is not None else ""}

        async def look() -> dict[str, Values]:
            return {"case": known}

        terminal = self._config.terminal
        book = AlarmBook(self._config.journal.with_name(ALARMS))
        telemetry = Telemetry(terminal=terminal, boot=clock.stamp().boot, look=look, clock=clock, book=book)
        uplink = Uplink(
            brokers=brokers_of(headquarters), client_id=terminal, users=[telemetry], clock=clock, random=random.Random(),
            will=telemetry.will,
        )  # fmt: skip
        return [telemetry.run(), uplink.run()]

    async def _status(self, _: Params) -> object:
        incident = self._latch.incident()
        return {
            "terminal": self._config.terminal,
            "software": importlib.metadata.version("terminald"),
            "pid": os.getpid(),
            "latched": True,
            "incident": incident.incident if incident is not None else None,
            "opened_ms": incident.opened_ms if incident is not None else None,
        }

    def _view(self, clock: Clock) -> View:
        shop, stamp = self._config.shop, clock.stamp()
        return View(
            boot=stamp.boot,
            revision=int(clock.monotonic_s() * 1000),
            time_ms=stamp.time_ms,
            clock=stamp.clock.value,
            shop=ShopView(
                name=shop.name,
                terminal=shop.terminal,
                workstation=shop.terminal,
                currency=shop.currency.code,
                exponent=shop.currency.exponent,
            ),
            sale=msgspec.structs.replace(sale_view(shop, Till()), allowed=()),
            last=None,
            notice=None,
            receipts_waiting=0,
            devices=(),
            day=DayView(business_day="", transactions=0, amount_minor=0),
            journal=JournalView(epoch="", seq=0, synced_seq=0, acknowledged_seq=0),
            link=LinkView(connected=False, fault="the case was opened"),
            conditions=(message("case-opened"),),
        )


def secrets_of(*held: object) -> list[bytes]:
    """The secrets in the fields of some objects (`store.keys.Keys`), each of which is the object's own."""
    fields = (getattr(each, name) for each in held for name in getattr(each, "__slots__", ()))
    return [value for value in fields if isinstance(value, bytes)]
