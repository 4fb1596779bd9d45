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
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random

import paho.mqtt.client as paho

from core import entries as e
from core.delivery import AckError, open_ack
from core.ledger import open_record
from core.ports import JournalError
from fleet.database import reading
from tests.simulation.broker import HostileBroker, Weather
from tests.simulation.counter import Bench, Moods
from tests.simulation.life import Life
from tests.simulation.loop import Stalled, VirtualLoop
from tests.simulation.office import Office
from tests.simulation.parts import HEADQUARTERS, TERMINAL, Parts
from tests.simulation.people import Operator
from tests.tills import make_key

CUSTOMERS = 6
STORM_S = 600.0
"""Virtual time in which things go wrong."""
PATIENCE_S = 4 * 3600.0
"""Virtual time for all to be delivered once everything works."""
STORM = Weather(lose=0.05, double=0.1, late=0.1, damage=0.01)
TROUBLE = Moods(mute=0.15, lost=0.1, out=0.1, torn=0.1)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Outcome:
    """What one seed came to: its trace's hash, what was wrong, and how much befell it."""

    seed: int
    trace: str = ""
    faults: list[str] = field(default_factory=list)
    sales: int = 0
    befell: Counter[str] = field(default_factory=Counter)


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
        self.broker.bar(TERMINAL)
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


def _token_hex(chance: Random, nbytes: int | None = None) -> str:
    return chance.randbytes(nbytes or 32).hex()


async def _end(tasks: set["asyncio.Task[object]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def simulate(seed: int, folder: Path, parts: Parts) -> Outcome:
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
