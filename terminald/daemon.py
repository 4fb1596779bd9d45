"""The one place where core, drivers and store are put together, and kept running until they are asked to stop."""

import asyncio
import importlib.metadata
import logging
import os
import random
import signal
from collections.abc import Sequence

import msgspec

from core import entries as e
from core import events as v
from core import scan
from core.keylock import is_locked
from core.ledger import Record
from core.notes import barred
from core.telemetry import Values
from core.text import Message, message
from core.view import LinkView
from drivers.hotplug import Watcher
from store.adoption import refuse_unfinished
from store.catalogue import Catalogue
from store.catalogue_stock import SoldStock
from store.customers import Customers
from store.journal import SqlJournal
from store.keys import TerminalSigner
from store.mirror import Owner
from store.operators import Operators
from store.space import Room, Space
from terminald import paths, unixsocket
from terminald.alarms import ALARMS, AlarmBook
from terminald.backup_keeper import BackupKeeper, command_of
from terminald.binding import binding_of
from terminald.broker import brokers_of
from terminald.clock import SystemClock, local_time
from terminald.config import Config
from terminald.control import ControlServer
from terminald.custody import Custody
from terminald.devices import Devices
from terminald.engine import Engine
from terminald.footprint import share_one_heap
from terminald.forwarder import Forwarder
from terminald.health import DrawerWatch, Health, Parts
from terminald.history import HistoryKeeper, open_history
from terminald.identity_keeper import IdentityKeeper
from terminald.identity_keeper import command_of as enrol_command
from terminald.methods import methods
from terminald.notify import feed_watchdog, notify
from terminald.operators import Staff, open_operators
from terminald.order_office import OrderOffice
from terminald.paper_finder import PaperFinder
from terminald.peripherals import Peripherals
from terminald.promotions import Promotions
from terminald.recall import Recaller
from terminald.receipt_seal import signed_text
from terminald.recorder import Recorder
from terminald.retirement import note_of, stand
from terminald.second_medium import Estate, SecondMedium, mirror_owner
from terminald.secrecy import keep_memory_private
from terminald.stock import StockCounter
from terminald.tamper import CaseGuard, secrets_of
from terminald.telemetry import Telemetry
from terminald.uplink import Uplink
from terminald.views import Views

FINISH_TIMEOUT_S = 5.0
ROOM_LOOK_S = 5.0
"""How often the medium is asked for its room while there is enough; before each sale it is asked anyhow."""
ROOM_SHORT_LOOK_S = 0.5
"""How often while there is not: what was refused goes on as soon as it can."""

_log = logging.getLogger(__name__)


async def run(config: Config) -> None:
    """Runs the terminal until SIGTERM or SIGINT, then finishes what is in hand.

    Raises JournalError, SocketTaken, or an ExceptionGroup with what went wrong.
    """
    keep_memory_private()
    share_one_heap()
    clock = SystemClock()
    refuse_unfinished(config.journal)
    space = Space(
        config.journal.parent,
        reserve_bytes=config.disk.reserve_bytes,
        full_below_bytes=config.disk.full_below_bytes,
        low_below_bytes=config.disk.low_below_bytes,
    )
    guard = CaseGuard(config)
    if not await guard.admit(clock, _asked_to_stop):
        return
    if note_of(config).exists():
        await stand(config, _asked_to_stop(), clock)
        return
    space.look()  # before anything is opened: what opening needs may be in the reserve
    keys = paths.load_or_make_keys(config)
    signer = paths.open_signer(config, keys)
    guard.hold(secrets_of(keys))
    with (
        Catalogue(
            config.catalogue,
            keys.catalogue,
            price_list=config.price_list,
            cache_bytes=config.catalogue_cache_mb << 20,
        ) as catalogue,
        Customers(config.customers, keys.customers, keys.tag_pepper) as customers,
        open_history(config, keys) as history,
        open_operators(config, keys) as operators,
    ):
        async with await SqlJournal.open(
            config.journal,
            keys.journal,
            terminal=config.terminal,
            signing_key=signer.public_key,
            stamp=clock.stamp(),
            binding=binding_of(config.journal.parent),
        ) as journal:
            keeper = HistoryKeeper(config, keys.journal, history, clock)
            owner = mirror_owner(config.terminal, keys, signer)
            counter = StockCounter(journal, SoldStock(config.catalogue, keys.catalogue), clock)
            terminal = Terminal(
                config,
                clock,
                journal,
                keys.journal,
                keys.catalogue,
                signer,
                catalogue,
                customers,
                keeper,
                counter,
                space,
                owner,
                guard,
                operators,
            )
            await terminal.run()


class Terminal:
    """Everything of one run of the daemon, wired."""

    def __init__(
        self,
        config: Config,
        clock: SystemClock,
        journal: SqlJournal,
        journal_key: bytes,
        catalogue_key: bytes,
        signer: TerminalSigner,
        catalogue: Catalogue,
        customers: Customers,
        history: HistoryKeeper,
        stock: StockCounter,
        space: Space,
        owner: Owner | None,
        guard: CaseGuard,
        operators: Operators | None,
    ) -> None:
        self._config = config
        self._asked = asyncio.Event()
        self._guard = guard
        self._clock = clock
        self._journal = journal
        journal.on_synced = self._changed  # what only built the basket reaches the medium later by itself
        self._history = history
        self._space = space
        self._stock = stock
        self._random = random.Random()  # jitter, not a secret
        self._alarms = AlarmBook(config.journal.with_name(ALARMS))
        self._drawers = DrawerWatch(self._alarms.devices_of("drawer-forced"))
        self._devices = Devices(config, self._post, clock, self._random.random)
        self._peripherals = Peripherals(self._devices.supervisors, self._post, clock, signer)
        self._staff = self._staff_of(operators)
        self._papers = PaperFinder(journal, history.find)
        self._engine = Engine(
            shop=config.shop,
            journal=journal,
            clock=clock,
            local_time=local_time,
            lookup=catalogue.find,
            recalls=catalogue.recalls,
            on_hand=catalogue.on_hand,
            identify=lambda uid: asyncio.to_thread(customers.identify, uid),
            perform=self._peripherals.perform,
            changed=self._changed,
            software=importlib.metadata.version("terminald"),
            double_read_ms=config.double_read_ms,
            blocked=self._blocked,
            secure=self._secure,
            usual=history.usual,
            paper=self._papers.recall,
            badge_of=self._staff.show_badge if self._staff is not None else None,
            original=history.original,
            refreshed=Promotions(catalogue, config.shop.promotions).refreshed,
        )
        self._second_medium = self._mirror(signer, owner)
        self._backups = self._keeper_of_backups()
        self._identity = self._keeper_of_the_identity()
        guard.children = self._children
        self._recaller = self._recalling(signer)
        self._forwarder, self._telemetry = self._to_headquarters(signer)
        self._custody = self._keeper_of_the_journal(signer, journal_key)
        self._office = self._office_of_orders(catalogue_key)
        self._uplink = self._connection()
        self._health = self._health_of(signer)
        self._views = Views(
            engine=self._engine,
            devices=self._devices.supervisors,
            journal=journal,
            clock=clock,
            acknowledged_seq=self._acknowledged_seq,
            link=self._link,
            receipts_waiting=lambda: self._peripherals.receipts_waiting,
            publish=self._publish,
            conditions=self._conditions,
            mirror=self._second_medium.view,
            claim=lambda: self._staff.claim if self._staff is not None else None,
            signed=lambda text: signed_text(text, signer),
        )
        self._control = ControlServer(
            config.socket,
            methods(
                self._engine,
                self._views,
                self._devices.supervisors,
                journal,
                self._acknowledged_seq,
                self._status,
                history.find,
                history.original,
                Recorder(self._devices.supervisors, clock),
                self._papers,
                self._staff,
            ),
            self._views.encoded,
            unixsocket.access(config.socket_group),
        )

    async def run(self) -> None:
        """Runs until asked to stop."""
        asked = self._asked = _asked_to_stop()
        self._control.open()
        try:
            folded = await self._engine.boot()
            await self._tell_of_the_case()
            if self._forwarder is not None:
                await self._forwarder.load()
            if self._recaller is not None:
                await self._recaller.load()
            _log.info("ready", extra={"folded": folded, "seq": self._journal.head.seq})
            async with asyncio.TaskGroup() as tasks:
                engine = tasks.create_task(self._engine.run(), name="engine")
                running = [
                    tasks.create_task(self._peripherals.run(), name="peripherals"),
                    tasks.create_task(self._views.run(), name="views"),
                    tasks.create_task(self._control.serve(), name="control"),
                    tasks.create_task(self._journal.watch(), name="journal"),
                    tasks.create_task(self._custody.run(), name="custody"),
                    tasks.create_task(self._history.run(), name="history"),
                    tasks.create_task(self._watch_room(), name="room"),
                    tasks.create_task(self._stock.run(), name="stock"),
                    tasks.create_task(self._keep_second_medium(), name="second-medium"),
                    tasks.create_task(feed_watchdog(self._clock), name="watchdog"),
                    tasks.create_task(self._devices.run(), name="devices"),
                ]
                if self._backups is not None:
                    running.append(tasks.create_task(self._keep_backups(self._backups), name="backups"))
                if self._identity is not None:
                    running.append(tasks.create_task(self._identity.run(), name="identity"))
                if self._staff is not None:
                    running.append(tasks.create_task(self._staff.run(self._engine), name="staff"))
                if self._telemetry is not None:
                    running.append(tasks.create_task(self._telemetry.run(), name="telemetry"))
                if self._office is not None:
                    running.append(tasks.create_task(self._office.run(), name="orders"))
                if self._uplink is not None:
                    running.append(tasks.create_task(self._connect(self._uplink), name="uplink"))
                notify("READY=1")
                await asyncio.to_thread(scan.warm)
                await asked.wait()
                await self._finish()
                for task in (*running, engine):
                    task.cancel()
        finally:
            self._control.close()
            self._devices.close()

    async def _finish(self) -> None:
        """SIGTERM: the order in hand is carried out, receipts on their way are printed, and the journal says goodbye."""
        notify("STOPPING=1")
        _log.info("stopping")
        await self._control.finish(FINISH_TIMEOUT_S)
        await self._peripherals.drain(FINISH_TIMEOUT_S if self._printer_works() else 0.0)
        await self._engine.stop()

    def _ready_devices(self) -> frozenset[str]:
        return frozenset(device.name for device in self._devices.supervisors if device.ready.is_set())

    def _stop(self) -> None:
        """As SIGTERM does."""
        self._asked.set()

    def _children(self) -> list[int]:
        """Processes that hold keys for us."""
        pids = [each.pid for each in (self._backups, self._identity) if each is not None and each.pid is not None]
        return [*pids, *(self._office.pids() if self._office is not None else [])]

    def _printer_works(self) -> bool:
        return any(device.kind == "POSPrinter" and device.ready.is_set() for device in self._devices.supervisors)

    # --- people ---------------------------------------------------------------------------------------------------

    def _staff_of(self, operators: Operators | None) -> Staff | None:
        if operators is None or self._config.operators is None:
            return None
        staff = Staff(
            operators,
            clock=self._clock,
            lock_after_s=self._config.operators.lock_after_s,
            changed=self._views_changed,
            recovery_public=self._config.keys.recovery_key,
        )
        staff.open()
        return staff

    # --- devices -------------------------------------------------------------------------------------------------

    def _post(self, event: v.DeviceEvent | v.AnyEvent) -> None:
        if isinstance(event, v.CaseOpened):
            self._guard.trip(event.device)
        self._drawers.observe(event, was_open=self._engine.till.drawer_open)
        self._engine.post(event)
        if isinstance(event, v.PrinterSensed | v.DeviceChanged):
            self._peripherals.device_changed()
        if self._telemetry is not None:
            self._telemetry.notify()

    async def _tell_of_the_case(self) -> None:
        """What happened while no key was open is kept now, once."""
        released = self._guard.released()
        if released is None:
            return
        key = f"case/{released.incident}"
        if await self._journal.find(key) is None:
            await self._engine.keep(e.CaseOpened(**msgspec.structs.asdict(released)), key)

    # --- headquarters --------------------------------------------------------------------------------------------

    def _to_headquarters(self, signer: TerminalSigner) -> tuple[Forwarder | None, Telemetry | None]:
        headquarters = self._config.headquarters
        if headquarters is None:
            return None, None
        forwarder = Forwarder(
            terminal=self._config.terminal,
            journal=self._journal,
            signer=signer,
            ack_key=headquarters.ack_key,
            clock=self._clock,
            random=self._random,
            on_change=self._link_changed,
        )
        telemetry = Telemetry(
            terminal=self._config.terminal,
            boot=self._clock.boot,
            look=self._look_at_health,
            info=lambda: self._health.info() if self._health is not None else {},
            clock=self._clock,
            book=self._alarms,
        )
        return forwarder, telemetry

    def _connection(self) -> Uplink | None:
        headquarters, telemetry = self._config.headquarters, self._telemetry
        if headquarters is None or telemetry is None:
            return None
        orders = self._office.users if self._office is not None else ()
        users = (self._forwarder, telemetry, self._recaller, *orders)
        return Uplink(
            brokers=brokers_of(headquarters),
            client_id=self._config.terminal,
            users=[user for user in users if user is not None],
            clock=self._clock,
            random=self._random,
            will=telemetry.will,
            on_change=self._link_changed,
        )

    def _office_of_orders(self, catalogue_key: bytes) -> OrderOffice | None:
        if self._config.headquarters is None or self._telemetry is None:
            return None
        return OrderOffice(
            self._config,
            self._config.headquarters,
            catalogue_key=catalogue_key,
            engine=self._engine,
            journal=self._journal,
            clock=self._clock,
            staff=self._staff,
            custody=self._custody,
            backups=self._backups,
            identity=self._identity,
            acknowledged_seq=self._acknowledged_seq,
            look=self._look_at_health,
            report=self._telemetry.notify,
            perform=self._peripherals.perform,
            changed=self._views_changed,
            ready=self._ready_devices,
            stop=self._stop,
        )

    def _recalling(self, signer: TerminalSigner) -> Recaller | None:
        if self._config.headquarters is None:
            return None
        recaller = Recaller(
            terminal=self._config.terminal,
            journal=self._journal,
            signer=signer,
            ack_key=self._config.headquarters.ack_key,
            clock=self._clock,
            random=self._random,
            keep=self._engine.keep,
            on_change=self._changed,
            on_returned=self._returned,
        )
        self._stock.is_whole = recaller.is_whole
        return recaller

    async def _returned(self) -> None:
        await self._history.refold()
        if self._forwarder is not None:
            self._forwarder.look_again()

    def _publish(self, view: bytes) -> None:
        self._control.publish(view)

    def _changed(self) -> None:
        """The engine took an event: screens and forwarder look again."""
        self._views.changed()
        self._second_medium.notify()
        if self._forwarder is not None:
            self._forwarder.notify()
        if self._telemetry is not None:
            self._telemetry.notify()
        if self._office is not None:
            self._office.notify()

    def _keeper_of_the_journal(self, signer: TerminalSigner, key: bytes) -> Custody:
        config, forwarder = self._config, self._forwarder
        return Custody(
            path=config.journal,
            key=key,
            terminal=config.terminal,
            journal=self._journal,
            engine=self._engine,
            signer=signer,
            clock=self._clock,
            ack_key=config.headquarters.ack_key if config.headquarters is not None else None,
            keep_days=config.journal_keep_days,
            segment_records=config.journal_segment_records,
            proof=lambda: forwarder.ahead if forwarder is not None else None,
            clock_doubtful=lambda: self._engine.clock_doubtful,
            changed=self._changed,
        )

    def _link_changed(self) -> None:
        self._custody.look()
        self._views.changed()
        self._second_medium.notify()

    def _acknowledged_seq(self) -> int:
        return self._forwarder.acknowledged_seq if self._forwarder is not None else 0

    def _link(self) -> LinkView:
        if self._uplink is None or self._forwarder is None:
            return LinkView(connected=False, fault="no headquarters is configured")
        return LinkView(connected=self._uplink.connected, fault=self._uplink.fault or self._forwarder.fault)

    # --- room on the medium ---------------------------------------------------------------------------------------

    async def _watch_room(self) -> None:
        """Gives the reserve back when the medium is full, and takes it again by itself when there is room."""
        while True:
            before = self._space.room
            if self._space.look() is not before:
                _log.warning("room on the medium: %s", self._space.room.value)
                self._changed()
            await self._clock.sleep(ROOM_LOOK_S if self._space.room is Room.ENOUGH else ROOM_SHORT_LOOK_S)

    def _blocked(self) -> str | None:
        """Why no new sale may begin. Asked anew for each event: the last look may be some seconds old."""
        if self._space.look() is Room.FULL:
            return "disk-full"
        return self._office.blocked() if self._office is not None else None

    def _conditions(self) -> tuple[Message, ...]:
        room = self._space.room
        disk = () if room is Room.ENOUGH else (message("disk-full" if room is Room.FULL else "disk-low"),)
        backups = self._backups.conditions() if self._backups is not None else ()
        clock = (message("clock-doubtful"),) if self._engine.clock_doubtful else ()
        power = (message("power-weak"),) if self._engine.till.power_weak else ()
        late = self._engine.closing_forgotten
        forgotten = (message("closing-forgotten", business_day=late),) if late is not None else ()
        due = self._recaller is not None and bool(self._recaller.pending)
        returning = (message("records-due"),) if due else ()
        training = (message("training-mode"),) if self._engine.till.practice is not None else ()
        claim = self._staff.claim if self._staff is not None else None
        owner = (message("owner-wanted", claim=claim),) if claim is not None else ()
        orders = self._office.conditions() if self._office is not None else ()
        locked = (message("key-locked"),) if is_locked(self._config.shop, self._engine.till, "scanned") else ()
        return (
            barred(self._engine.till)
            + locked
            + owner
            + training
            + power
            + disk
            + self._custody.conditions()
            + orders
            + clock
            + forgotten
            + self._second_medium.conditions()
            + backups
            + returning
            + (self._identity.conditions() if self._identity is not None else ())
        )

    # --- the second medium ---------------------------------------------------------------------------------------

    def _mirror(self, signer: TerminalSigner, owner: Owner | None) -> SecondMedium:
        mirror, headquarters = self._config.mirror, self._config.headquarters
        return SecondMedium(
            path=mirror.path if mirror is not None else None,
            other_than=self._config.journal.parent if mirror is not None and mirror.policy == "separate" else None,
            owner=owner,
            estate=Estate(
                identity=signer.seed(),
                signing_key=signer.public_key,
                broker=headquarters.brokers[0] if headquarters is not None else "",
            ),
            journal=self._journal,
            snapshot=self._engine.snapshot,
            acknowledged_seq=self._acknowledged_seq,
            clock=self._clock,
            changed=self._views_changed,
        )

    async def _secure(self, records: Sequence[Record], moves_money: bool) -> None:
        await self._second_medium.secure(records, moves_money)

    def _views_changed(self) -> None:
        self._views.changed()

    async def _keep_second_medium(self) -> None:
        paths_ = [self._config.mirror.path] if self._config.mirror is not None else []
        async with Watcher(paths_, media=True) as watcher:
            await self._second_medium.run(watcher.wait)

    # --- backups -------------------------------------------------------------------------------------------------

    def _keeper_of_backups(self) -> BackupKeeper | None:
        backup = self._config.backup
        if backup is None:
            return None
        return BackupKeeper(
            command=command_of(self._config), every_h=backup.every_h, clock=self._clock, changed=self._views_changed
        )

    async def _keep_backups(self, keeper: BackupKeeper) -> None:
        paths_ = [self._config.backup.path] if self._config.backup is not None else []
        async with Watcher(paths_, media=True) as watcher:
            await keeper.run(watcher.wait)

    def _keeper_of_the_identity(self) -> IdentityKeeper | None:
        headquarters = self._config.headquarters
        if headquarters is None or not headquarters.enrol:
            return None
        command = enrol_command(self._config)
        certificate = headquarters.tls.certificate
        enrolled = certificate is not None and certificate.exists()
        return IdentityKeeper(command=command, enrolled=enrolled, clock=self._clock, changed=self._views_changed)

    async def _connect(self, uplink: Uplink) -> None:
        if self._identity is not None:
            await self._identity.enrolled()
        await uplink.run()

    # --- what is told --------------------------------------------------------------------------------------------

    async def _look_at_health(self) -> dict[str, Values]:
        return await self._health.look() if self._health is not None else {}

    def _health_of(self, signer: TerminalSigner) -> Health | None:
        if self._forwarder is None or self._uplink is None:
            return None
        parts = Parts(
            config=self._config,
            clock=self._clock,
            journal=self._journal,
            signer=signer,
            engine=self._engine,
            devices=self._devices.supervisors,
            peripherals=self._peripherals,
            space=self._space,
            second_medium=self._second_medium,
            custody=self._custody,
            forwarder=self._forwarder,
            uplink=self._uplink,
            backups=self._backups,
            recaller=self._recaller,
            staff=self._staff,
            drawers=self._drawers,
        )
        return Health(parts)

    def _status(self) -> dict[str, object]:
        stamp, medium = self._clock.stamp(), self._second_medium.view()
        return {
            "terminal": self._config.terminal,
            "software": importlib.metadata.version("terminald"),
            "pid": os.getpid(),
            "boot": self._clock.boot,
            "up_s": int(self._clock.up_s()),
            "clock": stamp.clock.value,
            "time_ms": stamp.time_ms,
            "journal_seq": self._journal.head.seq,
            "synced_seq": self._journal.synced.seq,
            "acknowledged_seq": self._acknowledged_seq(),
            "connected": self._uplink.connected if self._uplink is not None else False,
            "link_fault": self._link().fault,
            "second_medium": medium.state,
            "second_medium_fault": medium.fault,
            "sales_at_risk": medium.sales_at_risk,
            "receipts_waiting": self._peripherals.receipts_waiting,
            "tasks": len(asyncio.all_tasks()),
        }


def _asked_to_stop() -> asyncio.Event:
    """Set at the first SIGTERM or SIGINT from now on."""
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked.set)
    return asked
