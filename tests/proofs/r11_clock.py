"""R11: the wall clock jumps by up to ten years, again and again, and the till neither stops nor sells what it may not.

The real engine over the real journal, on a clock that is set as people, flat batteries and time servers set it: forward
and back, while the till sells and while it is off. After each jump something is sold, and:

- every order that a right clock would take is taken, at once;
- the records are in their order, and within a boot its own clock never goes back;
- no timer is negative or too long: two reads of a code are one piece or two by how much time passed, not by the wall;
- what has expired long ago is never sold, and what is good for years always is;
- a clock that cannot be right is said to be so, in every stamp and to whoever asks, also after a start; and one that a
  time server has set is believed again.

Mutants: a till that believes every clock, and one that tells double reads by the wall clock.
"""

import asyncio
import contextlib
import random
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from core import events as v
from core.catalogue import Item
from core.effects import AnyEffect
from core.ledger import ClockQuality, Stamp, open_record
from core.state import Idle
from store.journal import SqlJournal
from store.verify import iter_records, verify_journal
from store.writer import InlineWriter
from terminald.engine import Doubles, Engine
from terminald.timekeeper import Timekeeper
from tests.core.transcript import CATALOGUE, SHOP
from tests.jumping_clock import JumpingClock
from tests.proofs.registry import Proof, Result, Scale

KEY = bytes(range(48))
YEARS_MS = 10 * 365 * 86_400_000
DOUBLE_READ_MS = 150
LOAF = "036000291452"
_GTIN = "00036000291452"


def run(scale: Scale) -> Iterator[Result]:
    """So many jumps; then the mutants over some of the same."""
    jumps = scale.pick(smoke=60, commit=10_000, release=100_000)
    faults = asyncio.run(_shop(jumps, seed=11))
    for fault in faults[:10]:
        print(f"R11: {fault}", file=sys.stderr)
    few = scale.pick(smoke=60, commit=500, release=500)
    caught = {
        "believes every clock": len(asyncio.run(_shop(few, seed=11, keeper=_Credulous))),
        "double reads by the wall": len(asyncio.run(_shop(few, seed=11, doubles=_WallDoubles))),
    }
    mutants = ", ".join(f"{mutant}: caught {count} times" for mutant, count in caught.items())
    yield Result(
        figure=jumps - len(faults),
        goal=jumps,
        holds=not faults and all(caught.values()),
        what=f"jumps of up to ten years without a fault; {mutants}",
        reason="; ".join(faults[:3]) or ("" if all(caught.values()) else f"a mutant got through: {mutants}"),
    )


PROOFS = [Proof(id="R11", title="a clock that jumps", run=run)]


class _Credulous(Timekeeper):
    """The mutant that believes the wall clock."""

    def begin(self, last: Stamp | None, doubted: str | None) -> None:
        super().begin(None, None)

    def stamp(self) -> Stamp:
        stamp = self._clock.stamp()
        self._believe(stamp)
        return stamp


class _WallDoubles(Doubles):
    """The mutant that measures with the wall clock; it is told the time behind the engine's back."""

    clock: JumpingClock

    def is_double(self, event: v.Scanned, mono_ms: int) -> bool:
        return super().is_double(event, self.clock.stamp().time_ms)


class _Till:
    """One start of the till."""

    def __init__(
        self, journal: SqlJournal, clock: JumpingClock, keeper: type[Timekeeper], doubles: type[Doubles]
    ) -> None:
        self.engine = Engine(
            shop=SHOP,
            journal=journal,
            clock=clock,
            local_time=_local_time,
            lookup=_lookup,
            identify=_identify,
            perform=_perform,
            changed=lambda: None,
            software="0",
            double_read_ms=DOUBLE_READ_MS,
            timekeeper=keeper(clock, _local_time),
        )
        self.engine.doubles = doubles(DOUBLE_READ_MS)
        if isinstance(self.engine.doubles, _WallDoubles):
            self.engine.doubles.clock = clock


async def _shop(
    jumps: int, *, seed: int, keeper: type[Timekeeper] = Timekeeper, doubles: type[Doubles] = Doubles
) -> list[str]:
    """What went wrong."""
    rng, clock, faults = random.Random(seed), JumpingClock(), _Faults()
    with tempfile.TemporaryDirectory(prefix="terminald-r11-", dir=_memory()) as name:
        path, done = Path(name, "journal.db"), 0
        while done < jumps:
            async with _started(path, clock, keeper, doubles) as till:
                faults.place = f"jump {done}, a start"
                _look_at(till, clock, faults)
                for _ in range(min(rng.randint(1, 40), jumps - done)):
                    done += 1
                    faults.place = f"jump {done}"
                    _jump(clock, rng)
                    clock.pass_ms(rng.choice((1, 40, 200, 5_000, 3_600_000)))
                    await _sell(till, clock, rng, faults)
                    _look_at(till, clock, faults)
            clock.restart(f"{done:016x}")
            if rng.random() < 0.5:
                _jump(clock, rng)
            clock.pass_ms(rng.choice((10_000, 3_600_000, 86_400_000)))
        _look_at_records(path, faults)
    return faults.found


class _Faults:
    def __init__(self) -> None:
        self.found: list[str] = []
        self.place = ""

    def unless(self, right: bool, what: str) -> None:
        """Notes a fault."""
        if not right:
            self.found.append(f"{self.place}: {what}")


@contextlib.asynccontextmanager
async def _started(
    path: Path, clock: JumpingClock, keeper: type[Timekeeper], doubles: type[Doubles]
) -> AsyncIterator[_Till]:
    journal = await SqlJournal.open(
        path, KEY, terminal="till-3", signing_key=bytes(32), stamp=clock.stamp(), writer=InlineWriter
    )
    async with journal:
        till = _Till(journal, clock, keeper, doubles)
        await till.engine.boot()
        running = asyncio.create_task(till.engine.run(), name="engine")
        yield till
        await till.engine.stop()
        running.cancel()
        await asyncio.wait([running])


def _jump(clock: JumpingClock, rng: random.Random) -> None:
    """Somebody or something sets the clock. A time server sets it right; all others as they like."""
    if rng.random() < 0.2:
        clock.set_right()
        clock.quality = ClockQuality.NTP
        return
    clock.quality = rng.choice((ClockQuality.RTC, ClockQuality.UNSYNCED, ClockQuality.RESTORED))
    by_ms = int(YEARS_MS * rng.random() ** rng.choice((1, 4, 12)))
    if rng.random() < 0.15:
        clock.set_right()
    elif clock.stamp().time_ms - by_ms > 0 and rng.random() < 0.5:
        clock.jump(-by_ms)
    elif abs(clock.stamp().time_ms + by_ms - clock.right_ms) < YEARS_MS:
        clock.jump(by_ms)


async def _sell(till: _Till, clock: JumpingClock, rng: random.Random, faults: _Faults) -> None:
    """A basket with good goods, a try with expired ones, a code read twice, cash; and at times the drawer."""
    engine = till.engine
    stale = await engine.order(_dated(clock, rng.randint(-3_000, -800)))
    faults.unless(stale.refused, "what expired years ago was sold")
    fresh = await engine.order(_dated(clock, rng.randint(800, 3_000)))
    faults.unless(not fresh.refused and bool(fresh.entries), "what is good for years was refused")
    twice = v.Scanned(device="scanner", data=LOAF)
    first = await engine.order(twice)
    faults.unless(bool(first.entries), "a piece was not rung up")
    _jump(clock, rng)
    gap_ms = rng.choice((10, 149, 151, 2_000))
    clock.pass_ms(gap_ms)
    second = await engine.order(twice)
    faults.unless(bool(second.entries) == (gap_ms >= DOUBLE_READ_MS), f"two reads {gap_ms} ms apart were told wrongly")
    clock.pass_ms(DOUBLE_READ_MS)
    if rng.random() < 0.1:
        faults.unless(not (await engine.order(v.DrawerKeyed())).refused, "the drawer was refused")
    paid = await engine.order(v.CashKeyed())
    faults.unless(not paid.refused and isinstance(engine.till.sale, Idle), "the sale was not completed")


def _look_at(till: _Till, clock: JumpingClock, faults: _Faults) -> None:
    """Whether a clock that cannot be right is doubted, and a right one believed."""
    off_ms = abs(clock.stamp().time_ms - clock.right_ms)
    doubtful = till.engine.clock_doubtful
    if clock.quality is ClockQuality.NTP:
        faults.unless(not doubtful, "a time server is doubted")
    elif off_ms > 2 * 366 * 86_400_000:
        faults.unless(doubtful, f"a clock that is {off_ms // 86_400_000} days off is believed")


def _look_at_records(path: Path, faults: _Faults) -> None:
    faults.place = "the journal"
    found = verify_journal(path, KEY, terminal="till-3")
    faults.unless(found.whole, f"{found.finding}")
    boot, mono_ms, seq = "", 0, 0
    for record in iter_records(path, KEY):
        said = open_record(record.exact)
        faults.unless(record.seq == seq + 1, "records are out of order")
        faults.unless(said.boot != boot or said.mono_ms >= mono_ms, "a boot's own clock went back")
        boot, mono_ms, seq = said.boot, said.mono_ms, record.seq


def _dated(clock: JumpingClock, days: int) -> v.Scanned:
    """A loaf with a use-by date (GS1 application identifier 17), so many days from the right one."""
    use_by = datetime.fromtimestamp(clock.right_ms / 1000, UTC) + timedelta(days=days)
    return v.Scanned(device="scanner", data=f"01{_GTIN}17{use_by:%y%m%d}", aim="d2")


def _lookup(gtin: str, _: str) -> Item | None:
    return CATALOGUE.get(gtin)


def _local_time(stamp: Stamp) -> datetime:
    return datetime.fromtimestamp(stamp.time_ms / 1000, UTC)


async def _identify(uid: str) -> str:
    return uid


def _perform(effect: AnyEffect) -> None:
    """Papers and drawers are not what is looked at."""


def _memory() -> Path | None:
    """A folder in memory: what is on the medium is not what is looked at."""
    place = Path("/dev/shm")
    return place if place.is_dir() else None
