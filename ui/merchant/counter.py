"""The merchant's counter as one widget: it shows views and turns keys and touches into orders.

It holds nothing: each view replaces all that is shown, and an order shows its effect only when the till says so.
"""

import json
import time
from collections.abc import Callable

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from core import text
from core.money import Currency
from core.view import View
from ui.merchant import staff
from ui.merchant.actions import ACTIONS, begins, can, flow_of, label_of, why_off
from ui.merchant.chooser import Chooser
from ui.merchant.confirm import Confirm
from ui.merchant.counting import Counting
from ui.merchant.curtain import Away, Help, Report
from ui.merchant.flows import LOOK, Ask, Flow, Order, orders_of
from ui.merchant.layout import COMPACT_BELOW_ROWS, COUNTER_CSS, NARROW_BELOW_COLUMNS, WIDE_FROM_COLUMNS
from ui.merchant.lines import Lines
from ui.merchant.menu import Menu
from ui.merchant.notice import Level, NoticeBand, is_over, standing
from ui.merchant.orders import Call, Orders
from ui.merchant.pad import Pad
from ui.merchant.panels import Bar, Details, Idle, Summary, clock_words, footer, header
from ui.merchant.questions import Question
from ui.merchant.receipt_qr import ReceiptQr
from ui.merchant.touchkey import TouchKey
from ui.say import say
from ui.text import parts

CLOCK_S = 5.0
TOUCH_PAUSE_S = 0.25
"""After the keys have changed places a touch is not taken for so long: it was meant for the key that was there."""
_PANELS = ("pad", "confirm", "menu", "list", "pieces")


class Counter(Widget):
    """The whole counter. `call` reaches the till; `typing` says whether a digit begins a code to look up."""

    DEFAULT_CSS = COUNTER_CSS
    can_focus = True
    ALLOW_SELECT = False

    class Painted(Message):
        """A view is on the screen: which one, and when (time.monotonic)."""

        def __init__(self, boot: str, revision: int) -> None:
            super().__init__()
            self.boot = boot
            self.revision = revision
            self.at_s = time.monotonic()

    def __init__(self, call: Call, *, typing: bool = True, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._orders = Orders(
            call,
            start=lambda work, name: self.run_worker(work, name=name, group="orders"),
            fail=lambda message: self._tell("error", message),
            refused=self._refused,
            done=self._done,
        )
        self._typing = typing
        self._view: View | None = None
        self._view_at_s = 0.0
        self._away_since_s: float | None = None
        self._away_reason = ""
        self._currency = Currency(code="", exponent=2)
        self._panel = "keys"
        self._panel_changed_at_s = 0.0
        self._flow: Flow | None = None
        self._answers: dict[str, str] = {}
        self._question: Question | None = None
        self._keys = {
            action.name: TouchKey(action.name, action.label, action.cap, pay=action.pay) for action in ACTIONS
        }
        self._header, self._footer = Bar(), Bar(classes="foot")
        self._lines, self._idle, self._details, self._summary = Lines(), Idle(typing=typing), Details(), Summary()
        self._notice, self._pad = NoticeBand(self._told), Pad(self._answer, self._give_up)
        self._confirm = Confirm(self._answer, self._just_changed)
        self._menu, self._chooser = Menu(self._pick, self._give_up), Chooser(self._answer, self._give_up)
        self._counting = Counting(self._answer, self._give_up)
        self._receipt, self._report = ReceiptQr(), Report()
        self._away, self._help = Away(), Help(typing=typing)

    def compose(self) -> ComposeResult:
        yield self._header
        with Container(classes="main"):
            with Container(classes="goods"):
                yield self._lines
                yield self._idle
                yield self._chooser
                yield self._counting
            with Vertical(classes="side"):
                yield self._details
                yield Static(classes="spacer")
                yield self._summary
                yield self._notice
                with Container(classes="touch"):
                    yield from self._keys.values()
                yield self._pad
                yield self._confirm
                yield self._menu
        yield self._footer
        yield self._receipt
        yield self._report
        yield self._away
        yield self._help

    def on_mount(self) -> None:
        self.set_interval(CLOCK_S, self._tick, name="clock")
        self.away("")

    # --- what the owner of the widget calls ------------------------------------------------------------------------

    def update_view(self, view: View) -> None:
        """Shows this view, whole. `Painted` is posted when it is on the screen."""
        known, self._view, self._view_at_s = self._view, view, self._monotonic_s()
        if say.tag != view.shop.language:
            say.speak(view.shop.language)
            self.refresh(layout=True)
            for key in self.query(TouchKey):
                key.refresh()
        self._away_since_s = None
        self._away.hide()
        self._currency = Currency(code=view.shop.currency, exponent=view.shop.exponent)
        sale = view.sale
        self.set_class(sale.mode == "idle", "-idle")
        self._lines.show(sale.lines, self._currency)
        self._details.show(self._lines.line_shown(), self._currency)
        self._summary.show(sale, self._currency)
        self._idle.show(view, self._currency)
        self._receipt.follow(view, self._currency)
        self._show_bars(view)
        for action in ACTIONS:
            key = self._keys[action.name]
            key.off = action.name != "more" and not can(flow_of(action.name, sale), sale)
            key.relabel(label_of(action, sale))
        self._menu.show(view)
        self._show_notice(known, view)
        self._follow_panel(known, view)
        self.call_after_refresh(self._painted, view)

    def away(self, reason: str) -> None:
        """The till cannot be reached; the last view stays behind a curtain until it is back."""
        if self._away_since_s is None:
            self._away_since_s = self._monotonic_s()
            self._end()
        self._away_reason = reason
        self._show_away()

    @property
    def panel_open(self) -> bool:
        """Whether a question, the menu or the help takes the keyboard."""
        return self._panel != "keys" or self._help.shown or self._report.shown

    def key_in(self, key: str, character: str | None = None) -> bool:
        """A key of the keyboard, as Textual names it. Whether the counter has a use for it."""
        if self._away.shown:
            return False
        for curtain in (self._help, self._report):
            if curtain.shown:
                curtain.hide()
                return True
        if self._receipt.shown:
            self._receipt.put_away()
            if key in ("escape", "enter", "space"):
                return True  # Any other key does what it does anyway: the merchant has gone on.
        match self._panel:
            case "pad":
                return self._pad.key_in(key, character)
            case "confirm":
                return self._confirm.key_in(key)
            case "menu":
                return self._menu.key_in(key, character)
            case "list":
                return self._chooser.key_in(key, character)
            case "pieces":
                return self._counting.key_in(key, character)
            case _:
                return self._main_key(key, character)

    def press(self, name: str) -> None:
        """One of `actions.ACTIONS`, by its name."""
        view = self._view
        if view is None or self._away.shown:
            return
        if name == "more":
            self._open_panel("menu")
            return
        flow = flow_of(name, view.sale)
        if not can(flow, view.sale):
            self._tell("error", why_off(flow, view))
            return
        self._keys[name].flash()
        self._begin(flow)

    # --- keys and touches --------------------------------------------------------------------------------------------

    def on_key(self, event: events.Key) -> None:
        if self.key_in(event.key, event.character):
            event.stop()
            event.prevent_default()

    def on_touch_key_pressed(self, event: TouchKey.Pressed) -> None:
        event.stop()
        if event.key.name and not self._just_changed():
            self.press(event.key.name)

    def on_lines_chosen(self, event: Lines.Chosen) -> None:
        event.stop()
        self._details.show(self._lines.line_shown(), self._currency)

    def _main_key(self, key: str, character: str | None) -> bool:
        for action in ACTIONS:
            if action.key == key:
                if key == "escape" and self._lines.chosen:
                    self._lines.choose(0)
                else:
                    self.press(action.name)
                return True
        if key in ("up", "down"):
            self._lines.choose_next(-1 if key == "up" else 1)
            return True
        if character == "?":
            self._help.show()
            return True
        if character is not None and character.isascii() and character.isdigit() and self._typing:
            self.press("code")
            if self._panel == "pad":
                self._pad.type(character)
            return True
        return False

    # --- flows -------------------------------------------------------------------------------------------------------

    def _begin(self, flow: Flow) -> None:
        """Asks what a flow has to know, or orders at once where that is nothing."""
        self._notice.clear()
        self._flow, self._answers = flow, {}
        self._go_on()

    def _pick(self, flow: Flow) -> None:
        """A place of the menu."""
        if self._view is None or self._panel != "menu":
            return
        if can(flow, self._view.sale):
            self._begin(flow)
        else:
            self._tell("error", why_off(flow, self._view))

    def _give_up(self) -> None:
        """What is open is not wanted after all."""
        self._end()
        self._ask_who()

    def _answer(self, question: Question, answer: str) -> None:
        """An answer to the question that is asked; one to another was touched twice."""
        asked = self._question
        if self._flow is None or asked is None or asked.name != question.name:
            return
        self._answers[question.name] = answer
        self._go_on()

    def _go_on(self) -> None:
        """The next question, or the order that all the answers come to."""
        flow, view = self._flow, self._view
        if flow is None or view is None:
            return
        about = self._about(view)
        question = flow.ask(about, self._answers)
        if question is not None:
            self._put(question)
            return
        outcome = flow.order(about, self._answers)
        self._end()
        if isinstance(outcome, text.Message):
            self._ask_who()
            self._tell("error", outcome)
        elif orders := orders_of(outcome):
            self._orders.send(flow, orders)

    def _put(self, question: Question) -> None:
        self._question = question
        match question.kind:
            case "confirm":
                self._confirm.open(question)
                self._open_panel("confirm")
            case "list":
                self._chooser.open(question)
                self._open_panel("list")
            case "pieces":
                self._counting.open(question, self._currency)
                self._open_panel("pieces")
            case "look":
                self._look(question)
            case _:
                self._pad.open(question, self._currency)
                self._open_panel("pad")

    def _end(self) -> None:
        """Nothing is asked any more; what was answered, a PIN among it, is forgotten."""
        self._flow, self._answers, self._question = None, {}, None
        if self._panel == "pad":
            self._pad.close()
        self._open_panel("keys")

    def _about(self, view: View) -> Ask:
        return Ask(
            view=view, currency=self._currency, line=self._lines.line_shown(), chosen=self._lines.chosen
        )  # fmt: skip

    def _look(self, question: Question) -> None:
        """Has the till answer what the next question needs."""
        self._open_panel("keys")
        self._orders.send(LOOK, ((question.method, dict(question.params)),))

    def _done(self, flow: Flow, answer: object) -> None:
        """An order was carried out: what it did, the next view shows; a report is laid over the counter."""
        if flow.name == "look":
            if self._question is not None:
                self._answer(self._question, json.dumps(answer))
            return
        told = flow.told(self._about(self._view), answer) if self._view is not None else None
        if told is not None:
            self._report.show(*told)

    def _refused(self, flow: Flow, orders: tuple[Order, ...], why: text.Message) -> None:
        """Tells why, and asks on where an answer makes the till take it."""
        if flow.name == "look":
            self._end()
        if why.id == "supervisor-needed":
            self._begin(staff.approval(flow, orders))
        elif (confirmed := staff.again(flow, orders, why)) is not None:
            self._begin(confirmed)
        self._ask_who()
        self._tell("error", why)

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _open_panel(self, panel: str) -> None:
        self._panel = panel
        self._panel_changed_at_s = self._monotonic_s()
        for each in _PANELS:
            self.set_class(panel == each, f"-{each}")

    def _just_changed(self) -> bool:
        return self._monotonic_s() - self._panel_changed_at_s < TOUCH_PAUSE_S

    def _follow_panel(self, known: View | None, view: View) -> None:
        """A question whose order the till does not take any more closes; one that stays follows what has changed."""
        flow, asked = self._flow, self._question
        if flow is not None and asked is not None:
            moved_on = asked.kind == "confirm" and known is not None and known.sale.mode != view.sale.mode
            if moved_on or not staff.still(flow, view):
                self._end()
            elif self._panel == "pad":
                question = flow.ask(self._about(view), self._answers)
                if question is not None and question.name == asked.name:
                    self._pad.follow(question)
                elif question is not None:
                    self._put(question)  # What was asked has been answered elsewhere, such as by a scan.
        begun = begins(known, view)
        if begun is not None and self._flow is None:
            self._begin(begun)
        self._ask_who()

    def _ask_who(self) -> None:
        """Where nobody works at the till, or it is locked, who is there is asked before all else."""
        view = self._view
        wanted = staff.wanted(view.operator) if view is not None else None
        if wanted is not None and self._flow is None:
            self._flow, self._answers = wanted, {}
            self._go_on()

    def _show_notice(self, known: View | None, view: View) -> None:
        self._notice.stand(standing(view, self._currency))
        notice = view.notice
        if known is not None and view.sale.lines != known.sale.lines:
            self._notice.clear()  # The till goes on: what was told is answered.
        if notice is None:
            return
        new = known is None or known.notice is None or (known.boot, known.notice.serial) != (view.boot, notice.serial)
        words = parts(notice.message, self._currency)
        if is_over(notice.message, view):
            self._notice.take_back(notice.level, *words)
        elif new:  # What was told before this screen came up is no news; it is shown, and does not ring.
            self._notice.tell(notice.level, *words, silent=known is None)

    def _told(self, told: bool) -> None:
        self.set_class(told, "-told")

    def _tell(self, level: Level, message: text.Message) -> None:
        self._notice.tell(level, *parts(message, self._currency))

    def _show_bars(self, view: View) -> None:
        now_s = view.time_ms / 1000 + self._monotonic_s() - self._view_at_s
        clock = clock_words(now_s)
        self._header.show(*header(view, clock if view.clock != "unsynced" else f"{clock}?"))
        self._footer.show(*footer(view))

    def _show_away(self) -> None:
        if self._away_since_s is not None:
            away_s = self._monotonic_s() - self._away_since_s
            self._away.show(self._away_reason, seen_before=self._view is not None, away_s=away_s)

    def _tick(self) -> None:
        self._show_away()
        if self._view is not None:
            self._show_bars(self._view)

    def _painted(self, view: View) -> None:
        self.post_message(self.Painted(view.boot, view.revision))

    def on_resize(self, event: events.Resize) -> None:
        compact = event.size.height < COMPACT_BELOW_ROWS
        self.set_class(compact, "-compact")
        self.set_class(not compact and event.size.width >= WIDE_FROM_COLUMNS, "-wide")
        self.set_class(event.size.width < NARROW_BELOW_COLUMNS, "-narrow")
