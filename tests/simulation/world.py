"""One seed: a till sells while its plug, its disk, its devices, the network, the broker and headquarters fail.

At the end all works again, and the books are compared: what the screen had shown as sold, the journal, headquarters'
database, and the payment device's own ledger. The trace says what happened when; it has no key and no epoch in it, so
the same seed gives the same trace.
"""

import asyncio
import contextlib
import hashlib
import logging
import secrets
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from random import Random

import paho.mqtt.client as paho

from core import effects as x
from core import entries as e
from core import events as v
from core.delivery import AckError, open_ack
from core.ledger import ClockQuality, Stamp, open_record
from core.ports import JournalError
from core.state import Asking, Idle, Ringing, Tendering
from core.telemetry import Values
from fleet.collector import Collector
from fleet.database import Database, reading
from store.writer import InlineWriter
from terminald.broker import Broker
from terminald.engine import Engine
from terminald.forwarder import Forwarder
from terminald.peripherals import Peripherals
from terminald.supervisor import Supervisor
from terminald.telemetry import Telemetry
from terminald.uplink import Uplink
from tests.core.transcript import CATALOGUE, SHOP
from tests.simulation.broker import HostileBroker, Weather
from tests.simulation.counter import Bench, Moods, PlayedDrawer, PlayedPayment, PlayedPrinter
from tests.simulation.disk import Disk, FailingJournal, let_go
from tests.simulation.loop import Stalled, VirtualLoop
from tests.tills import DATABASE_KEY, make_key

TERMINAL = "till-3"
HEADQUARTERS = "headquarters"
BEGAN_MS = 1_795_000_000_000
GOODS = ("4006381333931", "036000291452", "96385074", "4008400404127")
CUSTOMERS = 6
STORM_S = 600.0
"""Virtual time in which things go wrong."""
PATIENCE_S = 4 * 3600.0
"""Virtual time for all to be delivered once everything works."""
NOWHERE = Broker(host="broker", port=1883)
STORM = Weather(lose=0.05, double=0.1, late=0.1, damage=0.01)
TROUBLE = Moods(mute=0.15, lost=0.1, out=0.1, torn=0.1)


@dataclass(frozen=True, slots=True)
class Parts:
    """What is tried: the product's own, or one with a fault in it."""

    engine: type[Engine] = Engine
    peripherals: type[Peripherals] = Peripherals
    forwarder: type[Forwarder] = Forwarder
    collector: type[Collector] = Collector
    journal: type[FailingJournal] = FailingJournal


@dataclass(slots=True)
class Outcome:
    """What one seed came to: its trace's hash, what was wrong, and how much befell it."""

    seed: int
    trace: str = ""
    faults: list[str] = field(default_factory=list)
    sales: int = 0
    befell: Counter[str] = field(default_factory=Counter)


class VirtualClock:
    """core.ports.Clock on the loop's time; `skew_ms` is how far the wall clock is off."""

    def __init__(self, boot: str, *, skew_ms: int = 0, quality: ClockQuality = ClockQuality.NTP) -> None:
        self.boot = boot
        self.skew_ms = skew_ms
        self._quality = quality
        self._began_s = asyncio.get_running_loop().time()

    def stamp(self) -> Stamp:
        now_s = asyncio.get_running_loop().time()
        return Stamp(
            time_ms=BEGAN_MS + int(now_s * 1000) + self.skew_ms,
            clock=self._quality,
            boot=self.boot,
            mono_ms=int((now_s - self._began_s) * 1000),
        )

    def monotonic_s(self) -> float:
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, folder: Path, parts: Parts) -> None:
        self.chance = Random(seed)
        self.folder = folder
        self.parts = parts
        self.outcome = Outcome(seed)
        self.shown: dict[int, int] = {}
        """What the screen has shown as sold: totals (minor units) by number."""
        self.bench = Bench(Random(self.chance.random()))
        self.broker = HostileBroker(Random(self.chance.random()), self._overhear)
        self.terminal: Life | None = None
        self.headquarters: Office | None = None
        self.ack_key = make_key(9)
        self.lives = 0
        self.epochs: dict[str, int] = {}
        self._lines = hashlib.sha256()

    def say(self, *what: object) -> None:
        """A line of the trace."""
        line = f"{asyncio.get_running_loop().time():.6f} " + " ".join(map(str, what))
        self._lines.update(line.encode() + b"\n")
        _log.debug("%s", line)

    def befall(self, what: str) -> None:
        """Something bad happens."""
        self.outcome.befell[what] += 1
        self.say("!!", what)

    def wrong(self, what: str) -> None:
        """A promise is broken."""
        self.outcome.faults.append(what)
        self.say("WRONG", what)

    def draw(self) -> Random:
        """Chance of one's own, so that one thing more or less elsewhere changes nothing here."""
        return Random(self.chance.random())

    async def run(self) -> Outcome:
        """The storm, the calm, and the reckoning."""
        self.headquarters = Office(self, self.folder / "hq-0.db")
        disk = self.folder / "till-0"
        disk.mkdir()
        await self._boot(disk)
        self.bench.moods, self.broker.weather = TROUBLE, STORM
        chaos = asyncio.create_task(self._storm(), name="storm")
        operator = Operator(self)
        await operator.sell(CUSTOMERS)
        await chaos
        await self._calm(operator)
        await self._reckon()
        self.outcome.sales = len(self.shown)
        self.outcome.befell["harmed"] += self.broker.harmed
        await self._end()
        self.outcome.trace = self._lines.hexdigest()
        return self.outcome

    # --- what goes wrong ---

    async def _storm(self) -> None:
        chance, loop = self.draw(), asyncio.get_running_loop()
        troubles: tuple[Callable[[Random], object], ...] = (
            self._cut_power, self._cut_power, self._kill, self._fail_a_commit, self._cut_network, self._numb_network,
            self._restart_broker, self._kill_headquarters, self._age_headquarters, self._set_clock,
        )  # fmt: skip
        count = chance.randrange(2, 9)
        moments = sorted(chance.random() ** 2 * STORM_S / 4 for _ in range(count))
        began_s = loop.time()
        for moment in moments:
            await asyncio.sleep(max(began_s + moment - loop.time(), 0))
            doing = chance.choice(troubles)(chance)
            if asyncio.iscoroutine(doing):
                await doing

    async def _cut_power(self, chance: Random) -> None:
        self.befall("power cut")
        await self._die(cut=True, pause_s=chance.random() * 20)

    async def _kill(self, chance: Random) -> None:
        self.befall("kill")
        await self._die(cut=False, pause_s=chance.random() * 5)

    def _fail_a_commit(self, chance: Random) -> None:
        if self.terminal is not None:
            self.befall("failing commit")
            self.terminal.journal.failing = chance.choice(("before", "after"))

    def _cut_network(self, chance: Random) -> None:
        self.befall("network cut")
        self.broker.close(TERMINAL, reachable=False)
        asyncio.get_running_loop().call_later(chance.random() * 120, self.broker.open, TERMINAL)

    def _numb_network(self, chance: Random) -> None:
        self.befall("dead network")
        self.broker.numb(chance.choice((TERMINAL, HEADQUARTERS)))

    def _restart_broker(self, chance: Random) -> None:
        self.befall("broker restarted")
        self.broker.restart(forgets=chance.random() < 0.5)

    async def _kill_headquarters(self, chance: Random) -> None:
        self.befall("collector killed")
        await self._reopen_headquarters(chance, None)

    async def _age_headquarters(self, chance: Random) -> None:
        """The database is restored from a copy of some while ago."""
        assert self.headquarters is not None
        old = self.headquarters.copied(self.folder / f"hq-{self.outcome.befell['old database']}.old")
        await asyncio.sleep(chance.random() * 60)
        self.befall("old database")
        await self._reopen_headquarters(chance, old)

    async def _reopen_headquarters(self, chance: Random, old: Path | None) -> None:
        office = self.headquarters
        assert office is not None
        await office.close()
        await asyncio.sleep(chance.random() * 10)
        self.headquarters = Office(self, old or office.path)

    def _set_clock(self, chance: Random) -> None:
        if self.terminal is not None:
            self.befall("clock set")
            self.terminal.clock.skew_ms += chance.choice((-3_600_000, -5_000, 5_000, 86_400_000 * 365))

    # --- the till's lives ---

    async def _boot(self, folder: Path) -> None:
        self.lives += 1
        life = Life(self, folder, self.lives)
        try:
            await life.begin()
        except JournalError as error:
            self.wrong(f"the journal does not open: {error.code}: {error}")
            raise
        self.terminal = life

    async def _die(self, *, cut: bool, pause_s: float) -> None:
        life = self.terminal
        if life is None:
            return
        self.terminal = None
        after = self.folder / f"till-{self.lives}"
        (life.disk.after_power_cut if cut else life.disk.after_kill)(after)
        await life.end()
        await asyncio.sleep(pause_s)
        await self._boot(after)

    def failed(self) -> None:
        """The daemon has ended by itself: it is started again, as systemd would."""
        self.say("daemon ended")
        asyncio.get_running_loop().create_task(self._die(cut=False, pause_s=1.0), name="restart")

    # --- the end ---

    async def _calm(self, operator: "Operator") -> None:
        """Everything works from here on; the sale in hand is finished, and all is delivered."""
        self.say("calm")
        self.bench.moods, self.broker.weather = Moods(), Weather()
        self.broker.open(TERMINAL)
        loop = asyncio.get_running_loop()
        late_s = loop.time() + PATIENCE_S
        while loop.time() < late_s:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(PATIENCE_S / 4):
                    await operator.finish()
            life = self.terminal
            if life is not None and life.settled:
                await asyncio.sleep(120.0)  # what is on its way, or was lost on it, comes again
                if self.terminal is life and life.settled:
                    return
            await asyncio.sleep(1.0)
        life = self.terminal
        self.wrong(f"not settled in {PATIENCE_S:.0f} s: {life.standing if life is not None else 'no till'}")

    async def _reckon(self) -> None:
        life, office = self.terminal, self.headquarters
        if life is None or office is None:
            return
        entries = [e.decode(open_record(record.exact).body) async for record in life.journal.replay()]
        kept = Counter((each.number, each.total_minor) for each in entries if isinstance(each, e.TransactionCompleted))
        with reading(office.path) as statements:
            there = Counter(statements.execute("SELECT number, total_minor FROM retail_transaction").fetchall())
        for sale, count in kept.items():
            if count > 1:
                self.wrong(f"sale {sale} is {count} times in the journal")
        for sale in self.shown.items():
            if sale not in kept:
                self.wrong(f"sale {sale} was shown as sold and is not in the journal")
        for sale in kept - there:
            self.wrong(f"sale {sale} is not at headquarters")
        for sale in there - kept:
            self.wrong(f"sale {sale} is at headquarters, and not so often in the journal")
        self._reckon_cards(entries)
        for number, count in self.bench.papers.items():
            if count > 1:
                self.wrong(f"receipt {number} came out {count} times, unmarked")
        ended = sum(isinstance(each, e.TransactionCompleted | e.TransactionCancelled) for each in entries)
        if self.bench.kicks > ended:
            self.wrong(f"the drawer was opened {self.bench.kicks} times for {ended} transactions")

    def _reckon_cards(self, entries: Sequence[e.AnyEntry]) -> None:
        ledger = self.bench.ledger
        approved = {each.reference: each.amount_minor for each in entries if isinstance(each, e.PaymentApproved)}
        given_back = {each.reference for each in entries if isinstance(each, e.PaymentReversed)}
        ours = {reference: amount for reference, amount in approved.items() if reference not in given_back}
        theirs = {ref: amount for ref, amount in ledger.charged.items() if ref not in ledger.reversed}
        for reference in sorted(ours.keys() | theirs.keys()):
            if ours.get(reference) != theirs.get(reference):
                self.wrong(f"payment {reference}: {ours.get(reference)} here, {theirs.get(reference)} at the device")
        for reference, count in ledger.asked.items():
            if count > 1:
                self.wrong(f"payment {reference} was asked for {count} times")
        tendered = sum(
            tender.amount_minor
            for each in entries
            if isinstance(each, e.TransactionCompleted)
            for tender in each.tenders
            if tender.kind == "CREDIT"
        )
        if tendered != sum(theirs.values()):
            self.wrong(f"receipts say {tendered} by card, the device {sum(theirs.values())}")

    async def _end(self) -> None:
        if self.terminal is not None:
            await self.terminal.end()
        if self.headquarters is not None:
            await self.headquarters.close()
        self.broker.shut()
        for task in self.bench.ledger.running.values():
            task.cancel()

    # --- what is overheard ---

    def _overhear(self, topic: str, payload: bytes) -> None:
        kind = topic.split("/", 3)[-1]
        self.say("publish", kind)
        if kind == "money/ack" and self.headquarters is not None:
            self._look_at_promise(payload)

    def _look_at_promise(self, payload: bytes) -> None:
        """No acknowledgement promises more than is in the database at that moment."""
        assert self.headquarters is not None
        try:
            ack = open_ack(TERMINAL, payload, self.ack_key.public_key)
        except AckError:
            return
        with reading(self.headquarters.path) as statements:
            (count,) = statements.execute(
                "SELECT count(*) FROM record WHERE epoch = ? AND seq <= ?", (ack.epoch, ack.hwm)
            ).fetchone()
        self.say("ack", self.epochs.setdefault(ack.epoch, len(self.epochs)), ack.hwm, ack.gaps)
        if count < ack.hwm:
            self.wrong(f"records up to {ack.hwm} are acknowledged, and {count} are there")


class Life:
    """The daemon from its start to its death: engine, journal and the rest, as `terminald.daemon` wires them."""

    def __init__(self, world: World, folder: Path, number: int) -> None:
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
        runs = [self.engine.run(), peripherals.run(), uplink.run(), telemetry.run(), self.journal.watch()]
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
        self.world.broker.close(TERMINAL, reachable=TERMINAL not in self.world.broker._unreachable)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await let_go(self.journal)
        self.disk.remove()

    async def _until_the_end(self, run: "asyncio.Future[None] | object") -> None:
        try:
            await run  # type: ignore[misc] # any coroutine
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


class Office:
    """Headquarters from one start of its collector to its end."""

    def __init__(self, world: World, path: Path) -> None:
        self.path = path
        self._world = world
        self._clock = VirtualClock("0" * 16)
        self._database = Database.open(path, now_ms=self._clock.stamp().time_ms)
        self._collector = world.parts.collector(database=self._database, key=world.ack_key, clock=self._clock)
        uplink = Uplink(
            brokers=(NOWHERE,),
            client_id=HEADQUARTERS,
            users=[self._collector],
            clock=self._clock,
            random=world.draw(),
            dial=world.broker.dial(HEADQUARTERS),
        )
        self._task = asyncio.create_task(uplink.run(), name="headquarters")

    def copied(self, to: Path) -> Path:
        """The database as it is now, in another file."""
        with contextlib.closing(sqlite3.connect(to)) as copy, contextlib.closing(sqlite3.connect(self.path)) as now:
            now.backup(copy)
        return to

    async def close(self) -> None:
        """Its process is gone."""
        self._world.broker.close(HEADQUARTERS)
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._collector.close()
        self._database.close()


class Operator:
    """Who stands at the counter: rings up, takes money, looks at the screen again after a power cut."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._chance = world.draw()
        self._orders = 0

    async def sell(self, customers: int) -> None:
        """Serves so many customers."""
        for _ in range(customers):
            await self._pause(10.0)
            for _ in range(self._chance.randrange(1, 5)):
                life = self._world.terminal
                if life is not None and isinstance(life.engine.till.sale, Idle | Ringing):
                    life.engine.post(v.Scanned(device="scanner", data=self._chance.choice(GOODS)))
                await self._pause(3.0)
            await self.finish()

    async def finish(self) -> None:
        """Until nothing is in hand."""
        while True:
            life = self._world.terminal
            if life is None:
                await asyncio.sleep(1.0)
                continue
            match life.engine.till.sale:
                case Idle():
                    return
                case Ringing() | Tendering():
                    await self._take_money(life)
                case Asking():
                    await self._order(life, v.CancelKeyed())
                case _:
                    await asyncio.sleep(1.0)

    async def _take_money(self, life: Life) -> None:
        roll = self._chance.random()
        if roll < 0.08:
            await self._order(life, v.CancelKeyed())
        elif roll < 0.45:
            await self._order(life, v.CardKeyed(amount_minor=self._chance.choice((None, None, 100))))
        else:
            await self._order(life, v.CashKeyed(amount_minor=self._chance.choice((None, None, 5000, 50))))
        await self._pause(2.0)

    async def _order(self, life: Life, event: v.AnyEvent) -> None:
        """Gives an order; where the till dies under it, often gives it again under the same key."""
        self._orders += 1
        key = f"order-{self._orders}"
        while True:
            order = asyncio.ensure_future(life.engine.order(event, key))
            while life.alive and not order.done():
                await asyncio.wait([order], timeout=0.5)
            if order.done() and not order.cancelled() and order.exception() is None:
                self._world.say("order", type(event).__name__, "refused" if order.result().refused else "taken")
                return
            order.cancel()
            if self._chance.random() < 0.5:
                return
            while (again := self._world.terminal) is None or again is life:
                await asyncio.sleep(0.5)
            life = again

    async def _pause(self, longest_s: float) -> None:
        await asyncio.sleep(self._chance.random() * longest_s)


def _token_hex(chance: Random, nbytes: int | None = None) -> str:
    return chance.randbytes(nbytes or 32).hex()


async def _end(tasks: set["asyncio.Task[object]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _nobody(uid: str) -> str:
    return ""


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


def simulate(seed: int, folder: Path, parts: Parts = Parts()) -> Outcome:
    """Runs one seed in a folder of its own, which is gone afterwards."""
    place = folder / f"seed-{seed}"
    place.mkdir()
    loop = VirtualLoop()
    paho.time_func = loop.time  # its pings too are sent by virtual time
    real, secrets.token_hex = (
        secrets.token_hex,
        partial(_token_hex, Random(f"epochs of {seed}")),
    )  # an epoch's name is chance too
    world: World | None = None
    try:
        asyncio.set_event_loop(loop)

        async def run() -> Outcome:
            nonlocal world
            world = World(seed, place, parts)
            return await world.run()

        try:
            return loop.run_until_complete(run())
        except (Stalled, JournalError, AssertionError) as error:
            assert world is not None
            world.outcome.faults.append(f"{type(error).__name__}: {error}")
            return world.outcome
    finally:
        loop.now_s = 0.0  # what is left has time to end
        with contextlib.suppress(Stalled):
            loop.run_until_complete(_end(asyncio.all_tasks(loop)))
        loop.close()
        asyncio.set_event_loop(None)
        secrets.token_hex = real
        shutil.rmtree(place)


_log = logging.getLogger(__name__)
