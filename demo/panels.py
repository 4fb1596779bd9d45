"""What the bench shows beside its keys: payment device, drawer, devices, the three totals, the proof, and what happened."""

import textwrap
import time
from collections import deque
from collections.abc import Mapping

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from core.view import DeviceView, JournalView
from demo.goods import CURRENCY
from demo.world import Totals
from ui.merchant import palette

STORY_MAX = 60
BROKEN = "BROKEN"
"""What is said of a chain that a check found a fault in."""
_CLOCK_WIDTH = 9
_DRAWER_WIDTH = 24
_WIDE = 28
"""From this width on panels use whole words."""
_DOT = "\N{BLACK CIRCLE}"
_HALF = "\N{CIRCLE WITH LEFT HALF BLACK}"
_RING = "\N{WHITE CIRCLE}"


class Panel(Widget):
    """A titled box that shows lines. Clicking a row posts `Clicked` with the row's number, from 0."""

    DEFAULT_CSS = f"""
    Panel {{
        height: auto;
        border: round {palette.EDGE};
        border-title-color: {palette.AMBER};
        padding: 0 1;
        background: {palette.GROUND};
        color: {palette.TEXT};
        text-wrap: nowrap;
        text-overflow: ellipsis;
    }}
    """

    can_focus = False

    class Clicked(Message):
        """A row was clicked."""

        def __init__(self, panel: "Panel", row: int) -> None:
            super().__init__()
            self.panel = panel
            self.row = row

    def __init__(self, title: str, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(id=id)
        self.border_title = title
        self._content = Content("")

    def lines(self, *lines: Content) -> None:
        """Shows these lines."""
        content = Content("\n").join(lines)
        if content != self._content:
            grown = content.plain.count("\n") != self._content.plain.count("\n")
            self._content = content
            self.refresh(layout=grown)

    def plain(self) -> str:
        """What can be read there."""
        return self._content.plain

    def render(self) -> Content:
        return self._content

    def on_click(self, event: events.Click) -> None:
        event.stop()
        at = event.get_content_offset(self)
        if at is not None:
            self.post_message(self.Clicked(self, at.y))


class CardPanel(Panel):
    """The payment device as the customer sees it."""

    def show(self, display: str, asked_minor: int | None, *, plugged: bool) -> None:
        """`asked_minor` while a payment waits for its customer."""
        width = max(10, self.content_size.width)
        if not plugged:
            self.lines(_middle("no power", width, palette.RED), Content(""), Content(""))
        elif asked_minor is None:
            self.lines(_middle(display, width, palette.GREEN), Content(""), Content(""))
        else:
            amount = f"{CURRENCY.format(asked_minor)} {CURRENCY.code}"
            words = (" pays  ", " declined  ", " lost") if width >= _WIDE else (" pays ", " not ", " lost")
            keys = Content.assemble(
                *((part, style) for key, word in zip("cdx", words, strict=True)
                  for part, style in ((key, f"bold {palette.AMBER}"), (word, "")))
            )  # fmt: skip
            self.lines(_middle(display, width, palette.AMBER), _middle(amount, width, f"bold {palette.TEXT}"), keys)


class DrawerPanel(Panel):
    """The cash drawer: shut, or open with its coins in sight."""

    def show(self, open_s: float | None, *, plugged: bool) -> None:
        """`open_s` is how long it has been open; None when it is shut."""
        width = max(10, self.content_size.width)
        half = min(width, _DRAWER_WIDTH) // 2 - 2
        if not plugged:
            self.lines(_middle("unplugged", width, palette.RED), Content(""), Content(""))
        elif open_s is None:
            face = "\N{DARK SHADE}\N{DARK SHADE}".join(("\N{FULL BLOCK}" * half,) * 2)
            self.lines(_middle(face, width, palette.RAISED), _middle("shut", width, palette.MUTED), Content(""))
        else:
            coins = " ".join("\N{BLACK CIRCLE}" * half)
            self.lines(
                _middle(coins, width, palette.AMBER),
                _middle(f"open {int(open_s)} s", width, f"bold {palette.TEXT}"),
                _middle_keyed("o", "push it shut", width),
            )


class DevicesPanel(Panel):
    """The devices as the till sees them, a row each; a click pulls a cable, or puts it in."""

    def show(self, devices: tuple[DeviceView, ...], *, alive: bool) -> None:
        """Without a living daemon nobody knows."""
        wide = self.content_size.width >= _WIDE
        rows = [_device(device, alive=alive, wide=wide) for device in devices]
        self.lines(*(rows or [Content.styled("the till is starting", palette.MUTED)]))


class DayPanel(Panel):
    """The day's sales as counted in three places that do not know of each other."""

    def show(self, counter: Totals, journal: Totals, headquarters: Totals, why_not: str) -> None:
        """`counter` is what customers hold on paper; `why_not` is said while the three do not agree yet."""
        wide = self.content_size.width >= _WIDE + 4
        names = ("counter (paper)", "journal", "headquarters") if wide else ("paper", "journal", "HQ")
        rows = [
            Content.assemble(
                (name.ljust(16 if wide else 8), palette.MUTED),
                f"{totals.transactions:>4,}",
                (f"{CURRENCY.format(totals.amount_minor):>{12 if wide else 10}}", "bold"),
            )
            for name, totals in zip(names, (counter, journal, headquarters), strict=True)
        ]
        agree = counter == journal == headquarters
        colour = f"bold {palette.GREEN}" if agree else palette.AMBER
        self.lines(*rows, Content.styled("agree to the cent" if agree else why_not, colour))


class ProofPanel(Panel):
    """What was done to the till, and what it cost: nothing."""

    def show(
        self, journal: JournalView | None, *, plug_pulls: int, network_cuts: int, lost: int, doubled: int, chain: str
    ) -> None:
        """Counts so far. `chain` is what the last check of the journal's chain said."""
        seq, acknowledged = (journal.seq, journal.acknowledged_seq) if journal is not None else (0, 0)
        waiting = max(0, seq - acknowledged)
        wide = self.content_size.width >= _WIDE + 8
        gap = 15 if wide else 8
        rows = [
            (
                "journal",
                f"{seq:,} records, chain " if wide else f"{seq:,} ",
                chain,
                palette.RED if chain == BROKEN else palette.GREEN,
            ),
            (
                "acknowledged" if wide else "acked",
                f"{acknowledged:,} ",
                f"{waiting:,} waiting" if waiting else "",
                palette.AMBER,
            ),
            ("plug", f"pulled {_times(plug_pulls, wide=wide)}", "", ""),
            ("network", f"cut {_times(network_cuts, wide=wide)}", "", ""),
        ]
        lines = [
            Content.assemble((name.ljust(gap), palette.MUTED), what, (extra, colour))
            for name, what, extra, colour in rows
        ]
        whole = lost == 0 and doubled == 0
        verdict = f"lost {lost}, counted twice {doubled}" if wide else f"{lost} lost {doubled} twice"
        colour = f"bold {palette.GREEN if whole else palette.RED}"
        self.lines(*lines, Content.assemble(("sales".ljust(gap), palette.MUTED), (verdict, colour)))


class StoryPanel(Panel):
    """What happened, newest last."""

    def __init__(self, title: str, id: str) -> None:  # noqa: A002  # Textual's name
        super().__init__(title, id)
        self._told: deque[tuple[str, str, str]] = deque(maxlen=STORY_MAX)

    def tell(self, what: str, colour: str = palette.TEXT) -> None:
        """One more thing that happened, now."""
        self._told.append((time.strftime("%H:%M:%S"), what, colour))
        self.redraw()

    def redraw(self) -> None:
        """Shows as many as there is room for."""
        width, room = self.content_size.width - _CLOCK_WIDTH, self.content_size.height
        if width < 1 or room < 1:
            return
        rows: list[Content] = []
        for at, what, colour in self._told:
            first, *more = textwrap.wrap(what, width)
            rows.append(Content.assemble((at, palette.FAINT), " ", (first, colour)))
            rows += [Content.styled(" " * _CLOCK_WIDTH + text, colour) for text in more]
        self.lines(*rows[-room:])

    def told(self) -> list[str]:
        """All that it remembers, in words."""
        return [what for _, what, _ in self._told]

    def on_resize(self) -> None:
        self.redraw()


def _times(count: int, *, wide: bool) -> str:
    return f"{count} times" if wide and count != 1 else "once" if wide else f"{count}\N{MULTIPLICATION SIGN}"


def _device(device: DeviceView, *, alive: bool, wide: bool) -> Content:
    name = device.name.ljust(9)
    if not alive:
        return Content.assemble(name, (f"{_RING} ", palette.FAINT), ("?", palette.FAINT))
    if device.phase != "ready":
        colour = palette.AMBER if device.phase == "opening" else palette.RED
        return Content.assemble(name, (f"{_RING} ", colour), (_PHASES.get(device.fault or "", device.phase), colour))
    said = ", ".join(_said(device)[: 2 if wide else 1])
    warn = device.detail.get("paper") in ("out", "near_end") or device.detail.get("state") == "open"
    return Content.assemble(name, (f"{_HALF} " if warn else f"{_DOT} ", palette.AMBER if warn else palette.GREEN), said)


_PHASES = {"device-absent": "unplugged", "device-gone": "gone", "device-stalled": "stalled"}


def _count(facts: Mapping[str, str | int], name: str) -> int:
    return int(facts.get(name, 0))


def _said(device: DeviceView) -> tuple[str, ...]:
    """The facts worth a row, in words, the first ones first."""
    facts = device.detail
    match device.kind:
        case "Scanner":
            return f"{facts.get('reads', 0)} read", f"{_count(facts, 'bad_reads') + _count(facts, 'misreads')} bad"
        case "RFIDScanner":
            return f"{facts.get('reads', 0)} read", f"{facts.get('torn', 0)} torn"
        case "CAT":
            return f"{facts.get('approved', 0)} paid", f"{facts.get('refused', 0)} refused"
        case "POSPrinter":
            return f"paper {str(facts.get('paper', '?')).replace('_', ' ')}", f"{facts.get('printed', 0)} printed"
        case "CashDrawer":
            return f"{facts.get('state', '?')}", f"kicked {facts.get('kicks', 0)}\N{MULTIPLICATION SIGN}"
    return ("ready",)


def _middle(text: str, width: int, style: str) -> Content:
    return Content.assemble(" " * max(0, (width - len(text)) // 2), (text, style))


def _middle_keyed(key: str, text: str, width: int) -> Content:
    return Content.assemble(" " * max(0, (width - len(text) - 2) // 2), (key, f"bold {palette.AMBER}"), " ", text)
