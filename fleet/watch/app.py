"""The fleet's live screen: everything in trouble on top, readable with thousands of terminals."""

import secrets
from collections.abc import Sequence
from random import Random
from typing import ClassVar

from rich.text import Text
from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.widgets import Footer, Input, Static

from core.alarms import KINDS, SEVERITIES
from core.ports import Clock
from core.telemetry import DEVICES, GROUPS, INFO, declared
from fleet.report import moment
from fleet.terminal_report import said
from fleet.watch.feed import Feed
from fleet.watch.fleet import Fleet, Seen
from fleet.watch.table import STYLES, FleetTable
from terminald.broker import Broker
from terminald.uplink import Uplink

_FIELDS = {field.name: field for fields in (INFO, *(group.fields for group in GROUPS)) for field in fields}
PAINT_S = 0.5
"""The screen is painted this often at most, whatever comes."""


class WatchApp(App[None]):
    """The screen. Without brokers it shows what the fleet holds."""

    TITLE = "terminald-fleet"
    ENABLE_COMMAND_PALETTE = False
    CSS = """
    #tally { height: 1; background: #1b262c; color: #eceff1; padding: 0 1; }
    #find { display: none; height: 1; border: none; background: #24445c; }
    #find.-open { display: block; }
    FleetTable { height: 1fr; }
    #details { display: none; height: 45%; border-top: solid #455a64; padding: 0 1; }
    #details.-open { display: block; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        ("slash", "find", "Find"),
        ("a", "narrow('alarms')", "Alarms only"),
        ("o", "narrow('offline')", "Offline only"),
        ("w", "narrow('waiting')", "Waiting only"),
        ("escape", "all", "All"),
        ("q", "quit", "Quit"),
    ]

    def __init__(self, fleet: Fleet, clock: Clock, brokers: Sequence[Broker] = ()) -> None:
        super().__init__()
        self.fleet = fleet
        self._clock = clock
        self._narrowed: str | None = None
        self._words: tuple[str, ...] = ()
        self._painted: tuple[object, ...] = ()
        self._uplink: Uplink | None = None
        if brokers:
            self._uplink = Uplink(
                brokers=brokers, client_id=f"watch-{secrets.token_hex(6)}", users=[Feed(fleet, clock)], clock=clock,
                random=Random(),
            )  # fmt: skip

    def compose(self) -> ComposeResult:
        """The tally, the table, the details below."""
        yield Static(id="tally")
        yield Input(placeholder="a name, a site, an alarm, a version; several words narrow it down", id="find")
        yield FleetTable()
        with VerticalScroll(id="details"):
            yield Static(id="detail")
        yield Footer()

    def on_mount(self) -> None:
        """Begins to listen and to paint."""
        if self._uplink is not None:
            self.run_worker(self._uplink.run(), name="uplink", exit_on_error=True)
        self.query_one(FleetTable).focus()
        self.paint()
        self.set_interval(PAINT_S, self.paint)

    def paint(self) -> None:
        """Shows how it stands; ages make it worth while each second, news at once."""
        now_s = self._clock.monotonic_s()
        connected = self._uplink is None or self._uplink.connected
        state = (self.fleet.revision, int(now_s), self._narrowed, self._words, connected, self._chosen)
        if state == self._painted:
            return
        self._painted = state
        rows = self.fleet.rows(now_s, self._is_wanted)
        self.query_one(FleetTable).show(rows, now_s)
        self.query_one("#tally", Static).update(self._tally(len(rows), connected))
        if self.query_one("#details").has_class("-open"):
            self.query_one("#detail", Static).update(self._details())

    # --- keys ----------------------------------------------------------------------------------------------------

    def action_find(self) -> None:
        """Opens the field to type into."""
        self.query_one("#find").add_class("-open")
        self.query_one("#find", Input).focus()

    def action_narrow(self, to: str) -> None:
        """Shows one kind of trouble alone, or all again."""
        self._narrowed = None if self._narrowed == to else to
        self.paint()

    def action_all(self) -> None:
        """Closes what is open, then shows all again."""
        details, find = self.query_one("#details"), self.query_one("#find", Input)
        if details.has_class("-open"):
            details.remove_class("-open")
        else:
            find.value, self._words, self._narrowed = "", (), None
            find.remove_class("-open")
        self.query_one(FleetTable).focus()
        self.paint()

    def on_input_changed(self, event: Input.Changed) -> None:
        """Narrows down while one types."""
        self._words = tuple(event.value.lower().split())
        self.paint()

    def on_input_submitted(self) -> None:
        """Back to the table."""
        self.query_one(FleetTable).focus()

    def on_fleet_table_opened(self) -> None:
        """Shows all that is known of one terminal, or hides it."""
        self.query_one("#details").toggle_class("-open")
        self._painted = ()
        self.paint()

    # --- what is shown -------------------------------------------------------------------------------------------

    @property
    def _chosen(self) -> str | None:
        return self.query_one(FleetTable).chosen

    def _is_wanted(self, seen: Seen) -> bool:
        match self._narrowed:
            case "alarms" if not seen.alarms:
                return False
            case "offline" if seen.state == "online":
                return False
            case "waiting" if not seen.number("unacked"):
                return False
        return not self._words or seen.fits(self._words)

    def _tally(self, shown: int, connected: bool) -> Text:
        tally = self.fleet.tally()
        text = Text()
        if not connected:
            text.append(" NOT CONNECTED ", STYLES["critical"])
            text.append(f" {self._uplink.fault if self._uplink and self._uplink.fault else 'connecting'}   ")
        text.append(f"{tally.terminals} terminals  ", "bold")
        text.append(f"{tally.online} online  ", STYLES["fine"])
        text.append(f"{tally.offline} offline  ", STYLES["offline" if tally.offline else "dim"])
        for severity in SEVERITIES:
            count = tally.alarms[severity]
            text.append(f" {count} {severity} ", STYLES[severity if count else "dim"])
        text.append(f"  {tally.waiting} records waiting", STYLES["minor" if tally.waiting else "dim"])
        if shown != tally.terminals:
            text.append(f"  {shown} shown" + (f", {self._narrowed} only" if self._narrowed else ""), "bold")
        return text

    def _details(self) -> Text:
        seen = self.fleet.terminals.get(self._chosen or "")
        if seen is None:
            return Text("No terminal is chosen.")
        text = Text()
        text.append(f"{seen.name}  {seen.site}  {' '.join(seen.tags)}\n", "bold")
        for type_, told in sorted(seen.alarms.items(), key=lambda each: SEVERITIES.index(each[1].severity)):
            text.append(f"{told.severity:<8}", STYLES[told.severity])
            text.append(f"  since {moment(told.since)}  {told.text}")
            text.append(f"  {KINDS[type_].remedy if type_ in KINDS else ''}\n", STYLES["dim"])
        for name, value in (*sorted(seen.info.items()), *sorted(seen.values.items())):
            field = _FIELDS.get(name) or declared(DEVICES.fields, name)
            text.append(f"{name:<36}", STYLES["dim"])
            text.append(f"{said(value, field)}\n")
        return text
