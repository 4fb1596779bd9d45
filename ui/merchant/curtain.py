"""What covers the counter: the word that the till is away, and the help."""

from rich.cells import cell_len
from textual.app import ComposeResult
from textual.containers import Center, Vertical
from textual.content import Content
from textual.widgets import Static

from core.language import later
from ui.merchant import palette
from ui.say import say

LONG_S = 20.0
"""After so long a restart is none: the merchant is told to call."""


class Curtain(Vertical):
    """Lies over the whole counter while it is shown."""

    DEFAULT_CSS = f"""
    Curtain {{
        layer: above;
        width: 100%;
        height: 100%;
        align: center middle;
        background: {palette.GROUND};
        display: none;
        &.-shown {{ display: block; }}
        .title {{ width: 100%; text-align: center; text-style: bold; color: {palette.AMBER}; }}
        .words {{ width: 100%; text-align: center; margin-top: 1; color: {palette.TEXT}; }}
        .small {{ width: 100%; text-align: center; margin-top: 2; color: {palette.MUTED}; }}
    }}
    """

    @property
    def shown(self) -> bool:
        """Whether it covers the counter."""
        return self.has_class("-shown")

    def hide(self) -> None:
        """Lets the counter be seen again."""
        self.remove_class("-shown")


class Away(Curtain):
    """The daemon cannot be reached: it restarts, or something is wrong for longer."""

    def compose(self) -> ComposeResult:
        yield Static(classes="title")
        yield Static(classes="words")
        yield Static(classes="small")

    def show(self, reason: str, *, seen_before: bool, away_s: float) -> None:
        """Covers the counter, with words that fit how long it has been."""
        if away_s >= LONG_S:
            title, body = say("The till does not come back"), say("Nothing is lost. Please call your technician.")
        elif seen_before:
            title = say("The till is restarting\N{HORIZONTAL ELLIPSIS}")
            body = say("Nothing is lost: the open basket comes back by itself.")
        else:
            title = say("Waiting for the till\N{HORIZONTAL ELLIPSIS}")
            body = say("It appears here as soon as it has started.")
        self.query_one(".title", Static).update(title)
        self.query_one(".words", Static).update(body)
        # Where the socket is helps whoever installs; a merchant in the middle of a sale need not read it.
        self.query_one(".small", Static).update(Content("" if seen_before and away_s < LONG_S else reason))
        self.add_class("-shown")


class Report(Curtain):
    """What the till told in rows, such as a report: any key goes back."""

    DEFAULT_CSS = """
    Report .list { width: auto; height: auto; margin-top: 1; }
    Report .middle { height: auto; }
    """

    def compose(self) -> ComposeResult:
        yield Static(classes="title", markup=False)
        with Center(classes="middle"):
            yield Static(classes="list", markup=False)
        yield Static(classes="small", markup=False)

    def show(self, title: str, rows: tuple[tuple[str, str], ...]) -> None:
        """Covers the counter with these rows."""
        self.query_one(".title", Static).update(title)
        wide = max((cell_len(name) for name, _ in rows), default=0)
        lines = [f"{name}{' ' * (wide - cell_len(name))}  {value:>14}" for name, value in rows]
        self.query_one(".list", Static).update("\n".join(lines))
        self.query_one(".small", Static).update(say("Any key goes back."))
        self.add_class("-shown")

    def on_click(self) -> None:
        self.hide()


_TYPED = ("0-9 Enter", later("Types the number under a barcode"))
_HELP = (
    ("scan", "Rings up an item; the same one again counts it up"),
    _TYPED,
    ("Up Down", "Choose the line for Void and Quantity, else the newest"),
    ("F1", "Cash: Enter takes what is due, or type what was given"),
    ("F2", "Card: all that is due"),
    ("F3", "Code: a pad for a number to type"),
    ("F4", "Quantity of the line; weight of what waits to be weighed, where it may be typed"),
    ("Del", "Void: takes the line back"),
    ("F5", "Other: a part by card, a voucher, the customer's account"),
    ("F6", "Puts the basket aside; between two sales takes one up again"),
    ("F7", "Return: scan the receipt or type its number, choose what comes back"),
    ("F8", "Reprint the last receipt, marked as a copy"),
    ("F9", "Opens the drawer; this is recorded"),
    ("F10", "More: discounts, coupons, empties, the till's day and the rest, each at a letter"),
    ("Esc", "Stops a card, gives up a basket after asking, or goes back"),
)


class Help(Curtain):
    """All keys in one place. With `typing` a digit begins a code."""

    DEFAULT_CSS = """
    Help .list { width: auto; height: auto; margin-top: 1; }
    Help .middle { height: auto; }
    """

    def __init__(self, *, typing: bool) -> None:
        super().__init__()
        self._keys = [row for row in _HELP if typing or row != _TYPED]

    def compose(self) -> ComposeResult:
        yield Static(classes="title")
        with Center(classes="middle"):
            yield Static(classes="list")
        yield Static(classes="small")

    def show(self) -> None:
        """Covers the counter."""
        rows = [
            Content.assemble((f"{key:>10}  ", f"bold {palette.AMBER}"), (say(words), palette.TEXT))
            for key, words in self._keys
        ]
        self.query_one(".title", Static).update(say("Keys"))
        self.query_one(".list", Static).update(Content("\n").join(rows))
        self.query_one(".small", Static).update(say("Nothing you press here can lose a sale. Any key goes back."))
        self.add_class("-shown")

    def on_click(self) -> None:
        self.hide()
