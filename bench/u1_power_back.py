"""U1: power is back; how long until the open basket stands on the merchant's screen again.

The till has sold for months: its journal holds many sales, the newest of them after the last checkpoint of its state, and a
basket is open when it is killed (SIGKILL). Then `terminald run` and `terminald-counter` are started at the same moment, each
a process of its own; the time runs until the basket's last line is painted on a pty. What the kernel and the system's
start take before that is not in it. The times are of the machine they are taken on.
"""

import asyncio
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from statistics import median

from bench.registry import Proof, Result, Scale, at_most
from bench.screen import Screen
from core.entries import draft
from demo.goods import GOODS
from store.journal import SqlJournal
from terminald import config, paths
from terminald.binding import binding_of
from terminald.clock import SystemClock
from terminald.engine import CHECKPOINT_RECORDS
from tests.shim.terminal import Terminal
from tests.tills import sale

GOAL_S = 10.0
"""How long a person's attention stays with a task (Nielsen, Usability Engineering, 1993)."""
SALES_A_COMMIT = 100
LINES_A_SALE = 7
RECORDS_A_SALE = LINES_A_SALE + 3
BASKET = [good for good in GOODS if good.unit == "each"][:3]
PAUSE_S = 0.2


def run(scale: Scale) -> Iterable[Result]:
    """The median of several starts."""
    sales = scale.pick(smoke=100, commit=10_000, release=100_000)
    rounds = scale.pick(smoke=1, commit=7, release=30)
    with tempfile.TemporaryDirectory(prefix="terminald-u1-") as name, Terminal(Path(name)) as terminal:
        terminal.start()
        terminal.stop()
        late = min(sales, CHECKPOINT_RECORDS // RECORDS_A_SALE - 5)
        if late < sales:
            asyncio.run(_sell(terminal, range(1, sales - late + 1)))
            terminal.start()
            terminal.stop()  # which leaves a checkpoint
        asyncio.run(_sell(terminal, range(sales - late + 1, sales + 1)))
        terminal.start()
        for good in BASKET:
            terminal.call("sale.scan", data=good.gtin)
        terminal.kill()
        took_s = [asyncio.run(_start(terminal)) for _ in range(rounds)]
    what = f"s from start to painted basket, {sales} sales, median of {rounds}, worst {max(took_s):.2f}"
    yield at_most(round(median(took_s), 2), GOAL_S, what=what)


BENCHES = [Proof(id="U1", title="power back to the open basket", run=run)]


async def _sell(terminal: Terminal, numbers: range) -> None:
    """Puts sales into the journal of a terminal that does not run, many in a commit."""
    settings, clock = config.load(terminal.config), SystemClock()
    keys = paths.load_or_make_keys(settings)
    signer = paths.open_signer(settings, keys)
    async with await SqlJournal.open(
        settings.journal,
        keys.journal,
        terminal=settings.terminal,
        signing_key=signer.public_key,
        stamp=clock.stamp(),
        binding=binding_of(settings.journal.parent),
    ) as journal:
        for first in range(numbers.start, numbers.stop, SALES_A_COMMIT):
            some = range(first, min(first + SALES_A_COMMIT, numbers.stop))
            entries = [entry for number in some for entry in sale(number, 995, items=LINES_A_SALE)]
            await journal.append([draft(entry) for entry in entries], clock.stamp())


async def _start(terminal: Terminal) -> float:
    """One start of daemon and screen, in seconds; then both are killed again."""
    await asyncio.sleep(PAUSE_S)
    began_s = time.perf_counter()
    terminal.launch()
    async with Screen(terminal.socket) as screen:
        await screen.shows(BASKET[-1].name)
        took_s = time.perf_counter() - began_s
    terminal.kill()
    return took_s
