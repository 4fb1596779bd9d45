"""Keeps the devices of the counter: one supervised task each, whatever is plugged in, pulled out and put elsewhere.

udev says when something changes (nothing is polled). A device that is found by what it is (`terminald.seating`) is
reached by a link of its own, which is made to lead to its node for as long as it is plugged in: drivers open a path,
and need not know how it was found.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import cast

from core.ports import CardReader, Clock, DeviceGone, DrawerPort, Emit, PrinterDriven
from drivers import registry
from drivers.hotplug import Watcher, real_path
from drivers.nodes import Node, plugged_in
from drivers.options import PrinterDrawerOptions
from store.device_book import DeviceBook
from terminald.config import DEVICES_MAX, Config, DeviceConfig, links_of
from terminald.seating import Wish, assigned, free_name, identities
from terminald.supervisor import Supervisor

PROBE_EVERY_S = 15.0
"""A device that is open and dead is found out so soon."""
SAVE_EVERY_S = 3600.0
"""What is known of the devices is written down so often, and at a stop."""
RETIRE_S = 3600.0
"""A device that no table names is forgotten when it has been away for so long."""
NOTICED_S = 0.5
"""A driver finds out by itself so soon that its cable was pulled; else it is told."""
BOOK = "devices.json"

_log = logging.getLogger(__name__)


@dataclass(eq=False, kw_only=True)
class _Seat:
    """One supervised device. `table` is the table or the adopting driver that it belongs to."""

    supervisor: Supervisor
    table: str
    own: bool
    """It has its table's own name, and stays when its device goes."""
    link: Path | None = None
    path: Path | None = None
    """What its driver opens, where that is in the file system."""
    node: Node | None = None
    plugged: asyncio.Event = field(default_factory=asyncio.Event)
    task: asyncio.Task[None] | None = None
    retirement: asyncio.TimerHandle | None = None

    @property
    def identity(self) -> str:
        """Of the device that has this seat, plugged in or not; empty where none has had it yet."""
        return self.supervisor.known_as

    async def wait(self) -> None:
        await self.plugged.wait()
        self.plugged.clear()


class Devices:
    """All devices of one run of the daemon. `supervisors` is a live list: it changes as devices come and go."""

    def __init__(
        self,
        config: Config,
        emit: Emit,
        clock: Clock,
        jitter: Callable[[], float],
        look: Callable[[], Sequence[Node]] = plugged_in,
    ) -> None:
        self.supervisors: list[Supervisor] = []
        self._config = config
        self._emit = emit
        self._clock = clock
        self._jitter = jitter
        self._look = look
        self._book = DeviceBook(config.journal.parent / BOOK)
        self._links = links_of(config.socket)
        self._tables = {device.name: device for device in config.devices} | adopters(config)
        self._wishes = [_wish(table) for table in self._tables.values() if _is_found(table)]
        self._seats: list[_Seat] = []
        self._tasks: asyncio.TaskGroup | None = None
        self._settled = False
        for device in config.devices:
            self._seat(device, device.name, own=True)
        self._attach_drawers()

    async def run(self) -> None:
        """Runs the devices until cancelled."""
        paths = [seat.path for seat in self._seats if seat.path is not None and seat.link is None]
        try:
            async with Watcher(paths, removals=bool(self._wishes)) as watcher, asyncio.TaskGroup() as tasks:
                self._make_links()
                await self._settle()
                self._tasks = tasks
                self._settled = True
                for seat in self._seats:
                    self._start(seat)
                tasks.create_task(self._look_after(), name="devices-probe")
                while True:
                    await watcher.wait()
                    appeared, watcher.appeared = watcher.appeared, False
                    await self._settle()
                    if appeared:
                        for seat in self._seats:
                            seat.plugged.set()
        finally:
            self.close()

    def close(self) -> None:
        """Lets go of every device, and writes down how they did. May be called twice."""
        self._tasks = None
        for seat in self._seats:
            if seat.retirement is not None:
                seat.retirement.cancel()
            seat.supervisor.count()
            seat.supervisor.device.close()
        self._book.save()

    @property
    def _base(self) -> Path:
        return self._config.base

    # --- who has which device ------------------------------------------------------------------------------------

    async def _settle(self) -> None:
        """Looks what is plugged in, and gives each device to whom it belongs."""
        if not self._wishes:
            return
        present = await asyncio.to_thread(self._look)
        taken = self._taken()
        for node in present:
            if node.path in taken:
                taken[node.path].place = node.port_path
        any_keyboard = self._config.adopt.keyboards
        known: dict[str, str] = {}
        for kind in {node.kind for node in present}:
            named = identities(node for node in present if node.kind == kind)
            known |= {node.path: identity for identity, node in named.items()}
        for name, found in assigned(present, self._wishes, taken, any_keyboard=any_keyboard).items():
            self._give(self._tables[name], {known[node.path]: node for node in found})

    def _taken(self) -> dict[str, Supervisor]:
        """The nodes that tables name by a path."""
        named = [seat for seat in self._seats if seat.path is not None and seat.link is None]
        return {real_path(seat.path): seat.supervisor for seat in named if seat.path is not None}

    def _give(self, table: DeviceConfig, found: dict[str, Node]) -> None:
        """The devices of one table, each to its seat: to the one it had, if it was here before."""
        seats = [seat for seat in self._seats if seat.table == table.name and seat.link is not None]
        for seat in seats:
            self._occupy(seat, found.get(seat.identity))
        held = {seat.identity for seat in seats if seat.node is not None}
        # First those whose names are remembered, so that a stranger gets none of them.
        strangers = sorted(
            (identity for identity in found if identity not in held), key=lambda each: not self._name(each)
        )
        for identity in strangers:
            seat_or_none = self._seat_for(table, identity, found[identity])
            if seat_or_none is not None:
                seat_or_none.supervisor.known_as = identity
                self._occupy(seat_or_none, found[identity])

    def _seat_for(self, table: DeviceConfig, identity: str, node: Node) -> _Seat | None:
        own = next((seat for seat in self._seats if seat.table == table.name and seat.own), None)
        remembered = self._name(identity)
        stem = table.name.partition("/")[0]
        belongs_here = remembered.startswith(f"{stem}-") and not self._has(remembered)
        if own is not None and own.node is None and (remembered == table.name or not belongs_here):
            return own
        if len(self._seats) >= DEVICES_MAX:
            _log.warning("too many devices: %s is left out", identity)
            return None
        name = remembered
        if not belongs_here:
            name = free_name(
                stem, node, identity, lambda each: not self._has(each) and self._holder(each) in (None, identity)
            )
        seat = self._seat(table, name, own=False)
        seat.supervisor.is_new = table.match is None and self._settled
        return seat

    def _occupy(self, seat: _Seat, node: Node | None) -> None:
        """A seat's device is now at this node, or away. Its driver is told by the link, and woken."""
        if node == seat.node or seat.link is None:
            return
        seat.node = node
        seat.supervisor.place = node.port_path or node.path if node is not None else ""
        seat.link.unlink(missing_ok=True)
        if node is not None:
            seat.link.symlink_to(node.path)
            seat.plugged.set()
        elif seat.supervisor.ready.is_set():
            asyncio.get_running_loop().call_later(NOTICED_S, self._part, seat, seat.supervisor)
        if seat.retirement is not None:
            seat.retirement.cancel()
            seat.retirement = None
        if node is None and not seat.own:
            seat.retirement = asyncio.get_running_loop().call_later(RETIRE_S, self._retire, seat)
        if node is not None and self._tasks is not None and seat.task is None:
            self._start(seat)

    def _part(self, seat: _Seat, supervisor: Supervisor) -> None:
        if seat.node is None:
            supervisor.end(DeviceGone(f"{supervisor.name}: it was pulled, and its driver did not find out"))

    def _seat(self, table: DeviceConfig, name: str, *, own: bool) -> _Seat:
        found = _is_found(table)
        path = self._links / name if found else next(iter(registry.paths_of(table.options, self._base)), None)
        options = registry.placed_at(table.options, path) if found and path is not None else table.options
        device = registry.build(name, options, self._emit, self._base, self._clock)
        kind = registry.kind_of(options)
        if kind == "MSR":
            cast(CardReader, device).admit(self._config.cards)
        supervisor = Supervisor(
            name=name,
            kind=kind,
            driver=table.driver,
            device=device,
            emit=self._emit,
            clock=self._clock,
            jitter=self._jitter,
            book=self._book,
        )
        seat = _Seat(supervisor=supervisor, table=table.name, own=own, path=path, link=path if found else None)
        self._seats.append(seat)
        self.supervisors.append(supervisor)
        return seat

    def _start(self, seat: _Seat) -> None:
        assert self._tasks is not None, "run() is running"
        on_printer = isinstance(self._tables[seat.table].options, PrinterDrawerOptions)
        plugged = cast(PrinterDriven, seat.supervisor.device).plugged if on_printer else seat.wait
        seat.task = self._tasks.create_task(seat.supervisor.run(plugged), name=f"device-{seat.supervisor.name}")

    def _attach_drawers(self) -> None:
        """A drawer on a printer's connector is given its printer: drivers do not know each other."""
        built = {seat.supervisor.name: seat.supervisor.device for seat in self._seats}
        for table in self._config.devices:
            if isinstance(table.options, PrinterDrawerOptions):
                printer = cast(DrawerPort, built[table.options.printer])
                cast(PrinterDriven, built[table.name]).attach(printer)

    def _retire(self, seat: _Seat) -> None:
        """It has been away for long, and nobody but itself said that there is such a device."""
        if seat.task is not None:
            seat.task.cancel()
        self._seats.remove(seat)
        self.supervisors.remove(seat.supervisor)

    def _name(self, identity: str) -> str:
        return self._book.past(identity).name

    def _holder(self, name: str) -> str | None:
        return self._book.holder_of(name)

    def _has(self, name: str) -> bool:
        return any(seat.supervisor.name == name for seat in self._seats)

    # --- the rest ------------------------------------------------------------------------------------------------

    def _make_links(self) -> None:
        """A folder for the links; those of a daemon that was killed lead nowhere good. What is no link is not ours."""
        if self._wishes:
            self._links.mkdir(mode=0o700, exist_ok=True)
            for left in self._links.iterdir():
                if left.is_symlink():
                    left.unlink()

    async def _look_after(self) -> None:
        """Finds out who is open and dead, and keeps the book."""
        saved_s = self._clock.monotonic_s()
        while True:
            await self._clock.sleep(PROBE_EVERY_S)
            for supervisor in tuple(self.supervisors):
                await supervisor.probe()
            if self._clock.monotonic_s() - saved_s >= SAVE_EVERY_S:
                saved_s = self._clock.monotonic_s()
                for supervisor in self.supervisors:
                    supervisor.count()
                if (news := self._book.news()) is not None:
                    await asyncio.to_thread(self._book.write, news)


def adopters(config: Config) -> dict[str, DeviceConfig]:
    """A table for each driver that adopts: what it takes is called ``scanner-…``. No table of a file has such a name."""
    links = links_of(config.socket)
    made = {}
    for driver in config.adopt.drivers:
        name = f"scanner/{driver}"
        options = registry.options_for(driver, {"path": str(links / "scanner")}, "devices")
        made[name] = DeviceConfig(name=name, driver=driver, options=options)
    return made


def places(config: Config) -> dict[str, tuple[Node | None, bool]]:
    """Without a daemon: each table, and each adopting driver, to the first node that it has and whether it is there.

    A device that is not in the file system is left out.
    """
    present = plugged_in()
    by_path = {node.path: node for node in present}
    found: dict[str, tuple[Node | None, bool]] = {}
    for device in config.devices:
        paths = registry.paths_of(device.options, config.base)
        if device.match is None and paths:
            path = real_path(paths[0])
            found[device.name] = by_path.get(path), os.path.exists(path)
    tables = {device.name: device for device in config.devices} | adopters(config)
    wishes = [_wish(table) for table in tables.values() if _is_found(table)]
    taken = {node.path for node, _ in found.values() if node is not None}
    for name, given in assigned(present, wishes, taken, any_keyboard=config.adopt.keyboards).items():
        found[name] = (given[0], True) if given else (None, False)
    return found


def _is_found(table: DeviceConfig) -> bool:
    """Whether its devices are found by what they are, and not by a path of the configuration's."""
    return table.match is not None or "/" in table.name


def _wish(table: DeviceConfig) -> Wish:
    return Wish(name=table.name, driver=table.driver, kinds=registry.DRIVERS[table.driver].nodes, match=table.match)
