"""Headquarters' orders, put together: what takes them, and what carries each of them out."""

import asyncio
import importlib.metadata
from collections.abc import Callable

from core import effects as x
from core.notes import unread
from core.ports import Clock
from core.state import Idle
from core.text import Message
from store.journal import SqlJournal
from terminald.backup_keeper import BackupKeeper
from terminald.clock import local_time
from terminald.commands import Commands, Resting
from terminald.config import Config, HeadquartersConfig
from terminald.configurator import Configurator
from terminald.custody import Custody
from terminald.engine import Engine
from terminald.identity_keeper import IdentityKeeper
from terminald.operators import Staff
from terminald.order_actions import Look, TillActions
from terminald.order_goods import GoodsActions
from terminald.order_keeping import KeepingActions
from terminald.retirement import is_decided, retire

DRAIN_LOOK_S = 0.5


class OrderOffice:
    """One run's orders. `acknowledged_seq` is how far headquarters has signed for the present epoch, `ready` the devices
    that work."""

    def __init__(
        self,
        config: Config,
        headquarters: HeadquartersConfig,
        *,
        catalogue_key: bytes,
        engine: Engine,
        journal: SqlJournal,
        clock: Clock,
        staff: Staff | None,
        custody: Custody,
        backups: BackupKeeper | None,
        identity: IdentityKeeper | None,
        acknowledged_seq: Callable[[], int],
        look: Look,
        report: Callable[[], None],
        perform: Callable[[x.AnyEffect], None],
        changed: Callable[[], None],
        ready: Callable[[], frozenset[str]],
        stop: Callable[[], None],
    ) -> None:
        self._is_parting = False
        self._config = config
        self._stop = stop
        self._engine = engine
        self._journal = journal
        self._clock = clock
        self._headquarters = headquarters
        self._acknowledged_seq = acknowledged_seq
        self._till = TillActions(
            terminal=config.terminal, engine=engine, staff=staff, clock=clock, look=look, report=report,
            perform=perform, changed=changed, stop=stop, software=importlib.metadata.version("terminald"),
        )  # fmt: skip
        self._goods = GoodsActions(config, catalogue_key)
        keeping = KeepingActions(
            config, custody=custody, backups=backups, identity=identity, stop=stop, drained=self._drained,
            part=self._part,
        )  # fmt: skip
        self.commands = Commands(
            terminal=config.terminal,
            ack_key=headquarters.ack_key,
            engine=engine,
            find=journal.find,
            clock=clock,
            actions=self._till.table() | self._goods.table() | keeping.table(),
            resting=self._resting,
        )
        self.configurator = Configurator(
            config,
            ack_key=headquarters.ack_key,
            clock=clock,
            keep=engine.keep,
            find=journal.find,
            rest=engine.rest,
            resting=self._resting,
            ready=ready,
            stop=stop,
        )

    @property
    def users(self) -> tuple[Commands, Configurator]:
        """Who works on the connection."""
        return self.commands, self.configurator

    async def run(self) -> None:
        """Runs until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.commands.run(), name="commands")
            tasks.create_task(self.configurator.run(), name="configurator")
            if is_decided(self._config):  # the power went before the keys did
                tasks.create_task(self._part(), name="retire")

    def notify(self) -> None:
        """The till has changed."""
        self.commands.notify()
        self.configurator.notify()

    def pids(self) -> list[int]:
        """Processes at work that hold keys."""
        return [self._goods.pid] if self._goods.pid is not None else []

    def conditions(self) -> tuple[Message, ...]:
        """What the screen is to say for headquarters; not that it is locked, which is graver."""
        return (*self._till.conditions(), *unread(self._engine.till))

    def blocked(self) -> str | None:
        """Why no new sale may begin."""
        is_busy = self._is_parting or self.commands.at_work or self.configurator.at_work
        return "headquarters-at-work" if is_busy else None

    def _resting(self) -> Resting:
        till, hours = self._engine.till, self._headquarters.disrupt_between
        if not isinstance(till.sale, Idle) or (till.practice is not None and not isinstance(till.practice.sale, Idle)):
            return "sale-open"
        now = local_time(self._clock.stamp()).strftime("%H:%M")
        return "shop-open" if hours is not None and not is_within(hours, now) else ""

    async def _part(self) -> None:
        """A retired terminal's end: when the broker has each order's end, and headquarters each record."""
        self._is_parting = True
        while (book := self._engine.till.orders).untold or any(each.begun for each in book.open):
            await self._clock.sleep(DRAIN_LOOK_S)
        await self._drained()
        await asyncio.to_thread(retire, self._config)
        self._stop()

    async def _drained(self) -> None:
        await self._journal.sync()
        while self._acknowledged_seq() < self._journal.head.seq:
            await self._clock.sleep(DRAIN_LOOK_S)


def is_within(hours: tuple[str, str], now: str) -> bool:
    """Whether a time of day (``HH:MM``) is within two others, which may lie about midnight; the last is not."""
    first, last = hours
    return first <= now < last if first < last else now >= first or now < last
