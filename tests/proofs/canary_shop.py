"""A terminal with its headquarters, into every door of which cards are pushed, and which is then searched for them.

``python -m tests.proofs.canary_shop ROOT CARDS SEED [FAULT]`` prints what it saw as a line of JSON. The daemon, the
collector and the broker are processes of their own; with a fault the daemon is one that talks (`tests.proofs.talkative`).
It is killed in mid-flow again and again, and what is on its medium at such a moment is kept aside and searched too; once
it dies of a fault of its own, with all rights to leave a core file.
"""

import asyncio
import contextlib
import fnmatch
import json
import shutil
import sys
import time
from collections import Counter
from pathlib import Path
from random import Random

import demo.bench
from core.card import wipe
from demo.layout import Layout
from demo.processes import Process
from demo.world import World, until
from drivers.simulated.payment import SimulatedPaymentDevice
from terminald.config import load
from terminald.paths import load_keys
from tests.proofs.canary_doors import STRIPE, Doors
from tests.proofs.canary_lines import Blabbing
from tests.proofs.canary_places import places
from tests.proofs.card_canary import Card, Searcher, make_cards
from tests.proofs.talkative import Fault
from tests.store.mirrors import RECOVERY_PUBLIC

KILLS = 4
SETTLE_S = 20.0
CORE_SIGNAL = 11
CORES = "cores/"
GIVEN = "given"
"""The folder of what is pushed: it alone may hold cards."""

WANTED = (
    "pages of terminal/journal.db", "rows of terminal/journal.db", "pages of terminal/history.db",
    "pages of terminal/customers.db", "pages of terminal/catalogue.db", "pages of crash-*/journal.db-wal",
    "pages of crash-*/journal.db", "rows of crash-*/journal.db", "records in stick/*", "rows of backups/*",
    "rows of headquarters/headquarters.db", "logs/terminald.log", "logs/collector.log", "logs/command-journal.log",
    "paper/*", "a view", "a screen", "an answer of the control socket", "the topic pos/v1/till-3/money/batch",
    "the topic pos/v1/till-3/tele/journal", "the words of an import", "the words of check a configuration",
)  # fmt: skip
"""Places that must have been searched."""

_MORE = """
[mirror]
path = "../stick"
policy = "folder"
[device.stripe]
driver = "msr-serial"
path = "../bench/{stripe}"
[keys]
recovery_key = "{recovery_key}"
[backup]
path = "../backups"
[disk]
reserve_mib = 1
full_below_mib = 1
low_below_mib = 2
"""


class _Layout(Layout):
    def write_config(self, *, broker_port: int, payment_port: int, ack_key: str, double_read_ms: int) -> None:
        Layout.write_config(
            self, broker_port=broker_port, payment_port=payment_port, ack_key=ack_key, double_read_ms=double_read_ms
        )
        self.config.write_text(
            self.config.read_text() + _MORE.format(recovery_key=RECOVERY_PUBLIC.hex(), stripe=STRIPE)
        )
        for name in ("stick", "backups", "cores", GIVEN):
            (self.root / name).mkdir()


class _Bench(demo.bench.Bench):
    """With a payment device that tells more than it should."""

    def __init__(self, layout: Layout, cards: list[Card]) -> None:
        super().__init__(layout)
        self.payment = SimulatedPaymentDevice(make=lambda receive: Blabbing(receive, cards))


class Shop(World):
    """The world of the demonstration, with a stick, backups, and nothing in the way of a core file."""

    def __init__(self, root: Path, cards: list[Card], fault: str | None) -> None:
        super().__init__(root, lambda _: None)
        self.layout = _Layout(root)
        self._cards = cards
        self._fault = fault

    @property
    def broker_port(self) -> int:
        return self._broker_port

    def new_bench(self) -> demo.bench.Bench:
        return _Bench(self.layout, self._cards)

    def new_daemon(self) -> Process:
        layout = self.layout
        program = ["tests.proofs.talkative", self._fault] if self._fault else ["terminald", "run", "--config"]
        command = [sys.executable, "-m", *program, str(layout.config)]
        unbound = ["env", "-C", str(layout.root / "cores"), "sh", "-c", 'ulimit -c unlimited; exec "$@"', "sh"]
        environment = {**self.bench.drawer.environment(), "LG_WD": str(layout.bench)}
        return Process("terminald", [*unbound, *command], layout.logs / "terminald.log", environment)

    async def crash(self, number: int) -> None:
        """SIGKILL; what is on the medium is kept aside; and started again."""
        await self.daemon.kill()
        shutil.copytree(
            self.layout.terminal,
            self.layout.root / f"crash-{number}",
            ignore=shutil.ignore_patterns("*.sock", "reserve"),
        )
        await self.daemon.start()

    async def die(self) -> None:
        """A fault of its own, as far as the kernel can tell."""
        self.daemon.signal(CORE_SIGNAL)
        await until(lambda: not self.daemon.running, SETTLE_S)
        await self.daemon.start()


async def canary(root: Path, count: int, seed: int, fault: str | None) -> dict[str, object]:
    """Pushes, kills, searches; what was found where."""
    cards = make_cards(count, seed)
    searcher, found, searched = Searcher(cards), Counter[str](), set[str]()

    def look(place: str, data: bytes) -> None:
        searched.add(place)
        # A core file is all of a process's memory, and what is in it is there as text too.
        for what, around in searcher.find(data, deep=not place.startswith(CORES)).items():
            where = f"{what} in {wipe(place)}"
            if where not in found:
                print(f"S2: {where}: {around!r}", file=sys.stderr)
            found[where] += 1

    began_s = time.monotonic()
    shop = Shop(root, cards, fault)
    rng = Random(f"canary/{seed}")
    try:
        await shop.start(double_read_ms=0)
        doors = Doors(shop.layout, shop.bench, shop.broker_port, root / GIVEN, look)
        is_killed = fault in (None, Fault.DUMPS)
        kills = sorted(rng.sample(range(count), min(KILLS, 1 + count // 10))) if is_killed else []
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(doors.follow(), name="views")
            await doors.ready()
            for number, card in enumerate(cards):
                falling = [tasks.create_task(shop.crash(number), name="crash")] if number in kills else []
                await doors.push(card, falling=bool(falling))
                await asyncio.gather(*falling)
            if is_killed:
                await shop.die()
                await doors.ready()
            await doors.finish(ask=fault is None)
            watching.cancel()
    finally:
        await shop.stop()
    pushed_s = time.monotonic() - began_s
    keys = load_keys(load(shop.layout.config))
    for place, data in places(root, keys):
        if not place.startswith((f"{GIVEN}/", f"the name {GIVEN}/")):
            look(place, data)
    return {
        "cards": count,
        "pushed": dict(doors.pushed),
        "sales": len(shop.bench.receipts),
        "kills": len(kills),
        "searched_mib": searcher.searched_bytes >> 20,
        "found": dict(sorted(found.items())),
        "unseen": [] if fault else [each for each in WANTED if not fnmatch.filter(searched, each)],
        "missed": doors.missed(),
        "pushed_s": round(pushed_s, 1),
        "searched_s": round(time.monotonic() - began_s - pushed_s, 1),
    }


def main() -> int:
    """``python -m tests.proofs.canary_shop ROOT CARDS SEED [FAULT]``."""
    root, count, seed, *fault = sys.argv[1:]
    with contextlib.redirect_stdout(sys.stderr):
        seen = asyncio.run(canary(Path(root), int(count), int(seed), fault[0] if fault else None))
    print(json.dumps(seen), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
