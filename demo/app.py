"""The virtual counter: the merchant's own screen beside the bench, in one terminal window.

Keys: the merchant's screen takes its own (F-keys, Del, Esc, arrows up and down, and all of a pad that is open); every
other letter or digit is the bench's. Everything can be clicked.
"""

import asyncio
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

from textual import events
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import Container, Horizontal, Vertical
from textual.content import Content
from textual.widgets import Static

from core.view import View
from demo.actions import Actions
from demo.bench import read_paper
from demo.goods import CURRENCY
from demo.hints import hint
from demo.layout import Layout
from demo.panels import CardPanel, DayPanel, DevicesPanel, DrawerPanel, Panel, ProofPanel, StoryPanel
from demo.panels_keys import BenchKey, Choice, Shelf
from demo.panels_paper import PaperRoll
from demo.processes import DidNotStart
from demo.tally import Tally
from demo.world import World
from drivers.simulated.printer import Paper
from terminald.client import Link
from ui.merchant import palette
from ui.merchant.counter import Counter
from ui.merchant.panels import Bar

REFRESH_S = 0.25
COLUMNS_MIN, ROWS_MIN = 120, 34
_WIDE_COLUMNS, _LOW_ROWS, _MIDDLE_ROWS, _HIGH_ROWS = 168, 38, 42, 48
_SLOT = "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 15 + " printer " + "\N{BOX DRAWINGS HEAVY HORIZONTAL}" * 15


def run(root: Path, *, kept: bool) -> int:
    """Sets the world up in `root`, shows it until Ctrl-Q, and stops it. Returns the exit status."""
    try:
        status = asyncio.run(_show(root))
    except (DidNotStart, FileExistsError) as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if not kept:
        Layout(root).remove()
    return status


async def _show(root: Path) -> int:
    world = World(root, lambda text: print(f"demo: {text}", file=sys.stderr, flush=True))
    try:
        await world.start()
        app = VirtualCounter(world)
        await app.run_async()
        return app.return_code or 0
    finally:
        await world.stop()


class VirtualCounter(App[None]):
    """The whole window. `world` is started and stopped by the caller."""

    CSS_PATH = "app.tcss"
    TITLE = "terminald: the virtual counter"
    ENABLE_COMMAND_PALETTE = False
    ALLOW_SELECT = False
    BINDINGS: ClassVar[list[BindingType]] = [("ctrl+c", "quit", "Quit")]

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.view: View | None = None
        """The newest view; None while the daemon is away."""
        self._last_view: View | None = None
        self._link = Link(world.layout.control_socket, self._on_view, self._on_away)
        self.counter = Counter(self._order, typing=False)
        self.counter.can_focus = False
        self.tally = Tally(world)
        self.roll = PaperRoll()
        self.roll.id = "roll"
        self.shelf = Shelf()
        self.card = CardPanel("payment device", "card")
        self.drawer = DrawerPanel("drawer", "drawer")
        self.devices = DevicesPanel("devices", "devices")
        self.day = DayPanel("the day, three times", "day")
        self.proof = ProofPanel("proof", "proof")
        self.story = StoryPanel("what happened", "story")
        self.actions = Actions(self)
        self._drawer_since_s: float | None = None
        self._papers = self._marks = 0
        self._said: dict[str, str] = {}

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """The merchant's colours, by name, for app.tcss."""
        names = ("ground", "panel", "raised", "edge", "text", "muted", "faint", "amber")
        return {f"till-{name}": getattr(palette, name.upper()) for name in names}

    def compose(self) -> ComposeResult:
        with Horizontal(id="both"):
            with Container(id="till"):
                yield self.counter
            with Vertical(id="right"):
                with Vertical(id="bench"):
                    yield self.shelf
                    with Container(id="actions"):
                        yield from self.actions.keys
                with Horizontal(id="below"):
                    with Vertical(id="printer"):
                        yield self.roll
                        yield Static(id="slot")
                    with Vertical(id="side"):
                        with Container(id="customer"):
                            yield self.card
                            yield self.drawer
                        yield self.devices
                        yield self.day
                        yield self.proof
                        yield self.story
        yield Bar(classes="advice")
        yield Static(id="small")

    def on_mount(self) -> None:
        self.actions.start()
        self.world.bench.on_change = self._on_bench
        self.run_worker(self._link.run(), name="link")
        self.run_worker(self.tally.follow(), name="headquarters' database")
        self.set_interval(REFRESH_S, self.show_all, name="bench")
        self.story.tell("A new terminal: its journal, its keys and its catalogue were made just now")
        self.show_all()

    @property
    def ready(self) -> bool:
        """Whether the till answers and has all its devices."""
        return self.view is not None and all(device.phase == "ready" for device in self.view.devices)

    @property
    def settled(self) -> bool:
        """Whether headquarters has every record, and the three totals agree."""
        view = self.view
        return (
            view is not None
            and view.journal.acknowledged_seq == view.journal.seq
            and self.tally.counter() == self.tally.journal(view) == self.tally.headquarters
        )

    # --- what the actions use ----------------------------------------------------------------------------------------

    def lay_out(self, title: str, choices: tuple[Choice, ...]) -> None:
        """Puts nine things on the digits."""
        self.query_one("#bench").border_title = title
        self.shelf.show(choices)

    def show_all(self) -> None:
        """Draws what the world is like now."""
        if not self._shown:
            return
        bench, view = self.world.bench, self._last_view
        held = bench.payment.held
        self.card.show(bench.payment.display, held.amount_minor if held else None, plugged=bench.payment.plugged)
        open_s = time.monotonic() - self._drawer_since_s if self._drawer_since_s is not None else None
        self.drawer.show(open_s, plugged=bench.drawer.plugged)
        self.devices.show(view.devices if view else (), alive=self.view is not None)
        counter, headquarters = self.tally.counter(), self.tally.headquarters
        journal = self.tally.journal(view)
        self.day.show(counter, journal, headquarters, self._why_not(view))
        self.proof.show(
            view.journal if view else None,
            plug_pulls=self.world.plug_pulls,
            network_cuts=self.world.broker_stops,
            lost=max(0, counter.transactions - journal.transactions),
            doubled=max(0, headquarters.transactions - journal.transactions),
            chain=self.actions.chain,
        )
        self.query_one("#slot").set_class(self.actions.paper_out, "-out")
        self._say("slot", "no paper: p puts a new roll in" if self.actions.paper_out else _SLOT)
        words = hint(
            self.view, self.actions.tried, network_cut=self.actions.network_cut, paper_out=self.actions.paper_out,
            crowd=self.actions.crowd_shops,
        )  # fmt: skip
        quit_key = Content.assemble(("Ctrl-Q", palette.AMBER), " quits")
        self.query_one(".advice", Bar).show(Content(words), Content(""), quit_key)
        self.actions.relabel()

    def _say(self, where: str, text: str) -> None:
        if self._said.get(where) != text:
            self._said[where] = text
            self.query_one(f"#{where}", Static).update(text)

    def _why_not(self, view: View | None) -> str:
        if self.view is None:
            return "the till has no power"
        if view is not None and view.receipts_waiting:
            return "a receipt waits"
        return "the network is cut" if self.actions.network_cut else "catching up\N{HORIZONTAL ELLIPSIS}"

    # --- what comes in -----------------------------------------------------------------------------------------------

    async def _order(self, method: str, params: Mapping[str, object]) -> object:
        return await self._link.order(method, params)

    @property
    def _shown(self) -> bool:
        """Whether there still is a screen; the world goes on for a moment after it."""
        return self.is_running and self.counter.is_attached

    def _on_view(self, view: View) -> None:
        if not self._shown:
            return
        known, self.view = self.view, view
        self._last_view = view
        self.counter.update_view(view)
        if known is None:
            self.actions.came_back(view)
        self.show_all()

    def _on_away(self, reason: str) -> None:
        if not self._shown:
            return
        self.view = None
        self.counter.away(reason)
        self.show_all()

    def _on_bench(self) -> None:
        """A twin changed: a line was printed, the drawer moved, the payment device shows something else."""
        if not self._shown:
            return
        bench = self.world.bench
        if len(bench.papers) > self._papers:
            self._papers, self._marks = len(bench.papers), 0
            self._on_paper(bench.papers[-1])
        for mark in bench.printer.marks[self._marks :]:
            self.roll.mark(mark)
        self._marks = len(bench.printer.marks)
        if bench.drawer.is_open and self._drawer_since_s is None:
            self._drawer_since_s = time.monotonic()
        elif not bench.drawer.is_open:
            self._drawer_since_s = None
        self.call_later(self.show_all)

    def _on_paper(self, paper: Paper) -> None:
        self.roll.cut(torn=paper.torn)
        receipt = read_paper(paper.text)
        if receipt is None:
            self.story.tell("A torn paper came out: no receipt is on it", palette.AMBER)
        elif receipt.marked:
            self.story.tell(f"Receipt {receipt.number} came out again, marked as a copy", palette.MUTED)
        else:
            self.story.tell(
                f"Receipt {receipt.number} came out: {CURRENCY.format(receipt.total_minor)} {CURRENCY.code}"
            )

    def on_key(self, event: events.Key) -> None:
        """The merchant's keys first, except that Esc ends a choice on the bench."""
        if event.key == "escape" and self.actions.choosing:
            self.actions.lay_out_goods()
        elif not self.counter.key_in(event.key, event.character):
            self.actions.press(event.character if event.character and event.character.isprintable() else event.key)
        event.stop()

    def on_bench_key_pressed(self, event: BenchKey.Pressed) -> None:
        self.actions.press(event.key)

    def on_panel_clicked(self, event: Panel.Clicked) -> None:
        if event.panel is self.drawer:
            self.actions.press("o")
        elif event.panel is self.devices and self._last_view is not None:
            names = [device.name for device in self._last_view.devices]
            if event.row < len(names):
                self.actions.toggle_cable(names[event.row])

    def on_resize(self, event: events.Resize) -> None:
        width, height = event.size
        self.screen.set_class(width < _WIDE_COLUMNS, "-narrow")
        self.screen.set_class(height < _MIDDLE_ROWS, "-low")
        self.screen.set_class(height < _LOW_ROWS, "-tight")
        self.screen.set_class(height >= _HIGH_ROWS, "-high")
        self.screen.set_class(width < COLUMNS_MIN or height < ROWS_MIN, "-tiny")
        if width < COLUMNS_MIN or height < ROWS_MIN:
            self.query_one("#small", Static).update(
                Content.assemble(
                    ("The counter needs a larger window\n\n", f"bold {palette.AMBER}"),
                    f"at least {COLUMNS_MIN} columns by {ROWS_MIN} rows; this one has {width} by {height}.\n",
                    "Enlarge it, or make its letters smaller. Ctrl-Q quits.",
                )
            )
        self.show_all()
