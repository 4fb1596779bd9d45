"""S4: headquarters' orders at a terminal that somebody tampers with, over reboots, with a clock that is set back.

The real taking and carrying out of orders (`terminald.commands`) on a real till and its journal; the broker is this proof,
which sends batches of mutants with a genuine order or two among them, in any sequence, and again what it sent before. Every
few batches the terminal loses its power, sometimes while an order runs, and starts anew. No mutant may be run, and each
genuine order is run once, or not at all where the power went first. Careless terminals go through the same, and must be
caught.
"""

import asyncio
import contextlib
import logging
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from random import Random
from typing import cast

import msgspec

from core import entries as e
from core.fold import apply
from core.ledger import ClockQuality, Record, Stamp
from core.order_book import OrderBook
from core.order_results import ENDS, decode_result
from core.orders import ORDERS, Order, Params, Timing, open_signed
from core.state import Till
from store.journal import SqlJournal
from terminald.broker import Message
from terminald.clock import SystemClock, local_time
from terminald.commands import Commands
from terminald.engine import Engine
from terminald.mqtt import Connection
from terminald.order_action import Action, Outcome
from tests.core.transcript import SHOP
from tests.proofs.order_mutants import HEADQUARTERS, MUTANTS, TERMINAL, Desk, Sent
from tests.proofs.registry import Proof, Result, Scale

BATCH = 40
AGAIN = 12
"""Of what was sent before, so many messages go with each batch."""
PATIENCE_S = 60.0
LOOK_S = 0.002
YEARS_MS = 3 * 366 * 86_400_000
_MEMORY = Path("/dev/shm")
_KEY = bytes(range(48))


def run(scale: Scale) -> Iterator[Result]:
    """The mutants; then each careless terminal against a few of them."""
    count = scale.pick(smoke=400, commit=10_000, release=100_000)
    logging.getLogger("terminald").setLevel(logging.CRITICAL)  # each refusal is said there
    world = _run(count, Commands, seed=4)
    caught = {name: bool(_run(min(count, 2_000), kind, seed=5).strays()) for name, kind in CARELESS.items()}
    for fault in (faults := world.faults())[:20]:
        print(f"S4: {fault}", file=sys.stderr)
    told = ", ".join(f"one that {name} {'caught' if is_ else 'NOT caught'}" for name, is_ in caught.items())
    yield Result(
        figure=len(faults),
        goal=0,
        holds=not faults and all(caught.values()),
        what=(
            f"orders run that should not have been, of {world.mutants} mutants of {len(MUTANTS)} kinds in {world.batches}"
            f" batches over {world.boots} starts; {len(world.genuine)} genuine ones between them were run once; {told}"
        ),
        reason="; ".join(faults[:3])
        or "; ".join(f"one that {name} got through" for name, is_ in caught.items() if not is_),
    )


PROOFS = [Proof(id="S4", title="orders", run=run)]


# --- careless terminals ----------------------------------------------------------------------------------------------


class _Unverifying(Commands):
    async def _open(self, message: Message) -> Order | None:
        order = await super()._open(message)
        with contextlib.suppress(ValueError, KeyError):
            return order or _believe(message.payload)
        return None


class _Roleless(Commands):
    async def _open(self, message: Message) -> Order | None:
        order = await super()._open(message)
        people = {"role": "security", "issuer": "anna", "seconded": "ben"}
        return msgspec.structs.replace(order, **people) if order is not None else None


class _Timeless(Commands):
    def _timing(self, order: Order) -> Timing:
        return "due"


class _Forgetful(Commands):
    """Its window lives in memory alone: `_World` has it start with none."""


class _Addressless(Commands):
    async def _open(self, message: Message) -> Order | None:
        order = await super()._open(message)
        if order is not None:
            return order
        with contextlib.suppress(ValueError):
            return open_signed(message.payload, terminal=TERMINAL, public_key=HEADQUARTERS.public_key)
        return None


CARELESS: dict[str, type[Commands]] = {
    "does not look at signatures": _Unverifying,
    "does not look at roles": _Roleless,
    "does not look at the time": _Timeless,
    "forgets its window at a start": _Forgetful,
    "does not look where an order came": _Addressless,
}


def _believe(payload: bytes) -> Order:
    return msgspec.json.decode(msgspec.json.decode(payload, type=dict[str, msgspec.Raw])["order"], type=Order)


# --- the world -------------------------------------------------------------------------------------------------------


class _Clock(SystemClock):
    """A clock that a time server keeps, or that was set back by years; its pauses are short."""

    back_ms = 0

    def stamp(self) -> Stamp:
        stamp = super().stamp()
        quality = ClockQuality.UNSYNCED if self.back_ms else ClockQuality.NTP
        return Stamp(time_ms=stamp.time_ms - self.back_ms, clock=quality, boot=stamp.boot, mono_ms=1_000)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(seconds / 25)


class _NoMemory:
    """A till that forgets at each start what orders it took; all else is the engine's."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._book = OrderBook()

    clock_doubtful = False

    @property
    def till(self) -> Till:
        return msgspec.structs.replace(self._engine.till, orders=self._book)

    async def keep(self, entry: e.AnyEntry, key: str | None = None) -> None:
        self._book = apply(self.till, entry).orders

    async def rest(self) -> None:
        await self._engine.rest()


class _Wire:
    """The broker's end of a connection."""

    def __init__(self) -> None:
        self.handler: Callable[[Message], None] | None = None
        self.ended: dict[str, str] = {}

    async def subscribe(self, _filter: str, handler: Callable[[Message], None]) -> None:
        self.handler = handler

    def acknowledge(self, _message: Message) -> None:
        pass

    def publish(self, _topic: str, payload: bytes, *, retain: bool) -> "asyncio.Future[int]":
        said = decode_result(payload)
        if retain and said.state in ENDS:
            self.ended[said.id] = said.state
        answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        answer.set_result(0)
        return answer


class _World:
    """One terminal's folder, what was sent to it, and what it ran."""

    def __init__(self, folder: Path, kind: type[Commands], seed: int) -> None:
        self.mutants = self.batches = self.boots = 0
        self.genuine: list[str] = []
        self._random = Random(seed)
        self._desk = Desk(self._random)
        self._folder = folder
        self._kind = kind
        self._ran: Counter[str] = Counter()
        self._ended: dict[str, str] = {}
        self._sent: list[Sent] = []
        self._lives: list[asyncio.Task[None]] = []
        self._owed: list[Sent] = []
        """Genuine orders that a power cut may have kept from being taken."""

    def strays(self) -> list[str]:
        """What was run that should not have been."""
        known = set(self.genuine)
        wrong = [f"{name} was run, and is none of headquarters' for here" for name in self._ran if name not in known]
        return wrong + [f"{name} was run {times} times" for name, times in self._ran.items() if times > 1]

    def faults(self) -> list[str]:
        """The same, and what was not run that should have been."""
        wrong = self.strays()
        for name in self.genuine:
            if not self._ran[name] and self._ended.get(name) != "failed":
                wrong.append(f"{name} was not run, and is {self._ended.get(name, 'unheard of')}")
        return wrong

    async def live(self, count: int) -> None:
        """Sends so many mutants, from start to start."""
        while (self.mutants < count or self._owed) and not (self._kind is not Commands and self.strays()):
            self.boots += 1
            clock = _Clock()
            clock.back_ms = YEARS_MS if self.boots % 3 == 0 else 0
            async with self._terminal(clock) as (commands, engine, wire):
                for _ in range(self._random.randrange(1, 6)):
                    self._send(wire, count if self._desk.taken else 0)  # a number has to be taken to be taken again
                    if self._desk.taken and self._random.random() < 0.2:  # the power goes, wherever it is
                        await asyncio.sleep(self._random.random() * 0.1)
                        break
                    await self._settle(commands, engine, wire)
                    self._desk.taken += [int(topic.rpartition("/o")[2]) for topic, _ in self._owed]
                    self._owed.clear()

    def _send(self, wire: _Wire, count: int) -> None:
        """A batch, shuffled: mutants, a genuine order or two, those that may not have come, some of what came before."""
        batch = list(self._owed)
        for _ in range(min(BATCH, max(count - self.mutants, 0))):
            batch.append(MUTANTS[self._random.choice(list(MUTANTS))](self._desk))
            self.mutants += 1
        for _ in range(self._random.randrange(1, 3)):
            sent = self._desk.genuine()
            self.genuine.append(sent[0].rpartition("/")[2])
            self._owed.append(sent)
            batch.append(sent)
        batch += self._random.sample(self._sent, min(AGAIN, len(self._sent)))
        self._sent = (self._sent + batch)[-2_000:]
        self._random.shuffle(batch)
        self.batches += 1
        assert wire.handler is not None
        for number, (topic, payload) in enumerate(batch):
            wire.handler(Message(topic=topic, payload=payload, qos=1, retain=True, packet=number))

    async def _settle(self, commands: Commands, engine: Engine, wire: _Wire) -> None:
        """Until all that can be carried out has been."""
        wanted = {topic.rpartition("/")[2] for topic, _ in self._owed} - self._ended.keys()
        async with asyncio.timeout(PATIENCE_S):
            while not wanted <= wire.ended.keys() or any(
                each.order.order == "identify" for each in engine.till.orders.open
            ):
                if (self._kind is not Commands and self.strays()) or any(task.done() for task in self._lives):
                    return  # caught, or at an end that `_terminal` tells
                await asyncio.sleep(LOOK_S)

    @contextlib.asynccontextmanager
    async def _terminal(self, clock: _Clock) -> AsyncIterator[tuple[Commands, Engine, _Wire]]:
        """One life of the terminal; its end is that of a process that is killed."""
        async with await SqlJournal.open(
            self._folder / "journal.db", _KEY, terminal=TERMINAL, signing_key=bytes(32), stamp=clock.stamp()
        ) as journal:
            engine = Engine(
                shop=SHOP, journal=journal, clock=clock, local_time=local_time, lookup=lambda gtin, _: None,
                identify=_nobody, perform=lambda _: None, changed=lambda: None, software="0",
            )  # fmt: skip
            await engine.boot()
            forgets = self._kind is _Forgetful
            commands = self._kind(
                terminal=TERMINAL, ack_key=HEADQUARTERS.public_key, engine=_NoMemory(engine) if forgets else engine,
                find=_never if forgets else journal.find, clock=clock,
                actions={name: Action(run=self._act) for name in ORDERS}, resting=lambda: "",
            )  # fmt: skip
            wire = _Wire()
            tasks = [
                asyncio.create_task(engine.run(), name="engine"),
                asyncio.create_task(commands.run(), name="orders"),
                asyncio.create_task(commands.serve(cast(Connection, wire), 1), name="wire"),
            ]
            self._lives = tasks
            try:
                while wire.handler is None:
                    await asyncio.sleep(LOOK_S)
                yield commands, engine, wire
            finally:
                for task in tasks:
                    task.cancel()
                ended = await asyncio.gather(*tasks, return_exceptions=True)
                self._ended |= wire.ended
            for error in ended:
                if isinstance(error, Exception):
                    raise error

    async def _act(self, order: Order, _params: Params) -> Outcome:
        self._ran[order.id] += 1
        await asyncio.sleep(self._random.random() * 0.01)
        return Outcome()


def _run(count: int, kind: type[Commands], *, seed: int) -> _World:
    with tempfile.TemporaryDirectory(prefix="terminald-s4-", dir=_MEMORY if _MEMORY.is_dir() else None) as name:
        world = _World(Path(name), kind, seed)
        asyncio.run(world.live(count))
        return world


async def _nobody(_uid: str) -> str:
    return "nobody"


async def _never(_key: str) -> Record | None:
    return None
