"""One life of the daemon: from its start to the end of its process or of its power."""

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core import effects as x
from core import events as v
from core.ledger import ClockQuality
from core.ports import JournalError
from core.state import Idle
from core.telemetry import Values
from store.writer import InlineWriter
from terminald.engine import Engine
from terminald.forwarder import Forwarder
from terminald.peripherals import Peripherals
from terminald.supervisor import Supervisor
from terminald.telemetry import Telemetry
from terminald.uplink import Uplink
from tests.core.transcript import CATALOGUE, SHOP
from tests.simulation.clock import VirtualClock
from tests.simulation.counter import PlayedDrawer, PlayedPayment, PlayedPrinter
from tests.simulation.disk import Disk, FailingJournal, let_go
from tests.tills import DATABASE_KEY, make_key

if TYPE_CHECKING:
    from tests.simulation.world import World

from tests.simulation.parts import NOWHERE, TERMINAL

_log = logging.getLogger(__name__)


class Life:
    """The daemon from its start to its death: engine, journal and the rest, as `terminald.daemon` wires them."""

    def __init__(self, world: "World", folder: Path, number: int) -> None:
        chance = world.draw()
        self.world = world
        self.alive = True
        self.disk = Disk(folder, world.draw())
        self.clock = VirtualClock(
            f"{chance.getrandbits(64):016x}",
            skew_ms=chance.choice((0, 0, 0, -7_200_000)),
            quality=chance.choice((ClockQuality.NTP, ClockQuality.UNSYNCED)),
        )
        self.journal: FailingJournal
        self.engine: Engine
        self.forwarder: Forwarder
        self._chance = chance
        self._number = number
        self._tasks: list[asyncio.Task[None]] = []

    async def begin(self) -> None:
        """Opens the journal, folds it, resolves what was pending, and runs."""
        world, key = self.world, make_key(3)
        self.journal = await world.parts.journal.open(
            self.disk.folder / "journal.db",
            DATABASE_KEY,
            terminal=TERMINAL,
            signing_key=key.public_key,
            stamp=self.clock.stamp(),
            writer=InlineWriter,
            frames_warm=64,
        )
        self.disk.synced()
        devices = [
            self._supervised("payment", "CAT", PlayedPayment),
            self._supervised("printer", "POSPrinter", PlayedPrinter),
            self._supervised("drawer", "CashDrawer", PlayedDrawer),
        ]
        peripherals = world.parts.peripherals(devices, self._post, self.clock, key)
        self.engine = world.parts.engine(
            shop=SHOP,
            journal=self.journal,
            clock=self.clock,
            local_time=lambda stamp: datetime.fromtimestamp(stamp.time_ms / 1000, UTC),
            lookup=lambda gtin, _: CATALOGUE.get(gtin),
            identify=_nobody,
            perform=lambda effect: self._perform(peripherals, effect),
            changed=self._changed,
            software="simulated",
        )
        self.forwarder = world.parts.forwarder(
            terminal=TERMINAL,
            journal=self.journal,
            signer=key,
            ack_key=world.ack_key.public_key,
            clock=self.clock,
            random=world.draw(),
        )
        telemetry = Telemetry(terminal=TERMINAL, boot=self.clock.boot, look=self._look, clock=self.clock)
        uplink = Uplink(
            brokers=(NOWHERE,),
            client_id=TERMINAL,
            users=[self.forwarder, telemetry],
            clock=self.clock,
            random=world.draw(),
            will=telemetry.will,
            dial=world.broker.dial(TERMINAL),
        )
        self.journal.on_synced = self._synced
        await self.engine.boot()
        await self.forwarder.load()
        self.world.say("boot", self._number, self.journal.head.seq)
        runs: list[Coroutine[Any, Any, None]] = [
            self.engine.run(),
            peripherals.run(),
            uplink.run(),
            telemetry.run(),
            self.journal.watch(),
        ]
        runs += [device.run(_never) for device in devices]
        for run in runs:
            self._tasks.append(asyncio.create_task(self._until_the_end(run)))

    @property
    def settled(self) -> bool:
        """Nothing is in hand and nothing is to be delivered."""
        till = self.engine.till
        synced = self.journal.synced
        return (
            isinstance(till.sale, Idle)
            and not till.aside
            and self.journal.head.seq == synced.seq
            and self.forwarder.acknowledged_seq == synced.seq
        )

    @property
    def standing(self) -> str:
        """Where it stands, for whoever looks for a fault."""
        till = self.engine.till
        return (
            f"{type(till.sale).__name__}, {len(till.aside)} aside, {self.forwarder.acknowledged_seq} of"
            f" {self.journal.synced.seq} acknowledged ({self.forwarder.fault})"
        )

    async def end(self) -> None:
        """It is gone; nothing that it still does has any effect."""
        self.alive = False
        self.world.broker.close(TERMINAL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await let_go(self.journal)
        self.disk.remove()

    async def _until_the_end(self, run: Coroutine[Any, Any, None]) -> None:
        try:
            await run
        except JournalError:
            if self.alive and self.world.terminal is self:
                self.world.failed()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            if self.alive:
                self.world.wrong(f"the daemon died of {type(error).__name__}: {error}")
                _log.exception("the daemon died")

    def _supervised(
        self, name: str, kind: str, played: type[PlayedPayment | PlayedPrinter | PlayedDrawer]
    ) -> Supervisor:
        return Supervisor(
            name=name, kind=kind, device=played(self.world.bench, lambda: self.alive), emit=self._post,
            clock=self.clock, jitter=self._chance.random,
        )  # fmt: skip

    def _post(self, event: v.AnyEvent) -> None:
        if self.alive:
            self.engine.post(event)

    def _perform(self, peripherals: Peripherals, effect: x.AnyEffect) -> None:
        if self.alive:
            self.world.say("effect", type(effect).__name__)
            peripherals.perform(effect)

    def _changed(self) -> None:
        """The screen and the forwarder look again."""
        if not self.alive:
            return
        last = self.engine.till.last
        if last is not None and last.completed is not None:
            sale = last.completed.sale
            if sale.number not in self.world.shown:
                self.world.say("sold", sale.number, sale.total_minor)
            self.world.shown[sale.number] = sale.total_minor
        self.forwarder.notify()

    def _synced(self) -> None:
        if self.alive:
            self.disk.synced()
            if hasattr(self, "forwarder"):
                self.forwarder.notify()

    async def _look(self) -> Mapping[str, Values]:
        """What headquarters must hear even from a till that sells nothing: how far it once acknowledged."""
        return {
            "journal": {
                "epoch": self.journal.synced.epoch,
                "hwm": self.forwarder.acknowledged_seq,
                "generation": self.forwarder.generation,
            }
        }


async def _nobody(uid: str) -> str:
    return ""


async def _never() -> None:
    await asyncio.get_running_loop().create_future()
