"""The merchant's counter as one widget: it shows views and turns keys and touches into orders.

It holds nothing: each view replaces all that is shown, and an order shows its effect only when the till says so.
"""

import time
from collections.abc import Awaitable, Callable, Mapping

from textual import events
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.message import Message
from textual.widget import Widget
from textual.widgets import Static

from core import text
from core.language import later
from core.money import Currency
from core.view import SaleView, View
from terminald.client import CallFailed, CallRefused, Disconnected
from ui.merchant import palette
from ui.merchant.actions import (
    ACTIONS,
    CANCEL_LABELS,
    WHY_OFF,
    Action,
    Panel,
    cash_due,
    event_of,
    quantity_label,
    question,
)
from ui.merchant.confirm import Confirm
from ui.merchant.curtain import Away, Help
from ui.merchant.lines import Lines
from ui.merchant.notice import Level, NoticeBand, is_over
from ui.merchant.pad import Pad, Purpose
from ui.merchant.panels import Bar, Details, Idle, Summary, footer, header
from ui.merchant.receipt_qr import ReceiptQr
from ui.merchant.touchkey import TouchKey
from ui.say import say
from ui.text import parts, plain

Order = Callable[[str, Mapping[str, object]], Awaitable[object]]
"""Carries out a method of the till. Raises CallRefused, CallFailed or Disconnected."""

ORDERS_IN_HAND_MAX = 8
CLOCK_S = 5.0
TOUCH_PAUSE_S = 0.25
"""After the keys have changed places a touch is not taken for so long: it was meant for the key that was there."""
_DAYS = (later("Mon"), later("Tue"), later("Wed"), later("Thu"), later("Fri"), later("Sat"), later("Sun"))
_MONTHS = (
    later("Jan"), later("Feb"), later("Mar"), later("Apr"), later("May"), later("Jun"),
    later("Jul"), later("Aug"), later("Sep"), later("Oct"), later("Nov"), later("Dec"),
)  # fmt: skip
_COMPACT_BELOW_ROWS = 30
_WIDE_FROM_COLUMNS = 130


class Counter(Widget):
    """The whole counter. `order` reaches the till; `typing` says whether a digit begins a code to look up."""

    DEFAULT_CSS = f"""
    Counter {{
        layers: base above;
        layout: vertical;
        background: {palette.GROUND};
        color: {palette.TEXT};
        .main {{ height: 1fr; layout: vertical; }}
        .goods {{ height: 1fr; padding: 1 0; }}
        .side {{ height: auto; }}
        .spacer {{ display: none; height: 1fr; }}
        .touch {{ height: 7; margin: 1 1 0 1; layout: grid; grid-size: 4 2; grid-gutter: 1; }}
        Details {{ margin: 0 1; }}
        Pad, Confirm {{ display: none; margin: 1 1 0 1; }}
        Idle {{ display: none; height: 100%; }}
        Lines {{ height: 100%; margin: 0 1; }}
        .foot {{ margin-top: 1; padding: 0 1; background: {palette.PANEL}; }}
        &.-idle Idle {{ display: block; }}
        &.-idle Lines, &.-idle Details, &.-idle Summary {{ display: none; }}
        &.-pad Pad, &.-confirm Confirm {{ display: block; }}
        &.-pad .touch, &.-confirm .touch {{ display: none; }}
        &.-wide .main {{ layout: horizontal; }}
        &.-wide .goods {{ width: 1fr; height: 100%; }}
        &.-wide .side {{ width: 68; height: 100%; padding-top: 1; }}
        &.-wide .spacer {{ display: block; }}
        &.-compact .goods {{ padding: 0; }}
        &.-compact .touch {{ height: 6; grid-gutter: 0 1; margin: 0; }}
        &.-compact .touch TouchKey {{ border-top: tall {palette.GROUND}; border-bottom: tall {palette.GROUND}; }}
        &.-compact Details {{ height: 2; border: none; margin: 0; background: {palette.PANEL}; }}
        &.-compact Lines {{ margin: 0; }}
        &.-compact Summary {{
            height: 3;
            padding: 0 1;
            Horizontal, .facts, .amount {{ height: 3; }}
            .caption {{ display: none; }}
        }}
        &.-compact NoticeBand {{ display: none; margin: 0; }}
        &.-compact.-told NoticeBand {{ display: block; }}
        &.-compact.-told Details, &.-compact.-pad Details, &.-compact.-pad Summary {{ display: none; }}
        &.-compact Idle .prompt {{ margin-top: 1; }}
        &.-compact Confirm {{ height: 6; margin: 0; Horizontal {{ margin: 0; }} }}
        &.-compact Pad {{ margin: 0; .bottom {{ margin-top: 0; }} }}
        &.-compact Bar {{ padding: 0 1; margin: 0; }}
    }}
    """

    can_focus = True
    ALLOW_SELECT = False

    class Painted(Message):
        """A view is on the screen: which one, and when (time.monotonic)."""

        def __init__(self, boot: str, revision: int) -> None:
            super().__init__()
            self.boot = boot
            self.revision = revision
            self.at_s = time.monotonic()

    def __init__(self, order: Order, *, typing: bool = True, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_s = monotonic_s
        self._order = order
        self._typing = typing
        self._view: View | None = None
        self._view_at_s = 0.0
        self._away_since_s: float | None = None
        self._away_reason = ""
        self._currency = Currency(code="", exponent=2)
        self._panel: Panel = "keys"
        self._panel_changed_at_s = 0.0
        self._again: tuple[str, dict[str, object]] | None = None
        self._in_hand: list[str] = []
        self._keys = {
            action.name: TouchKey(action.name, action.label, action.cap, pay=action.pay) for action in ACTIONS
        }
        self._header, self._footer = Bar(), Bar(classes="foot")
        self._lines, self._idle, self._details, self._summary = Lines(), Idle(typing=typing), Details(), Summary()
        self._notice, self._pad, self._confirm = NoticeBand(self._told), Pad(), Confirm()
        self._away, self._help = Away(), Help(typing=typing)
        self._receipt = ReceiptQr()

    def compose(self) -> ComposeResult:
        yield self._header
        with Container(classes="main"):
            with Container(classes="goods"):
                yield self._lines
                yield self._idle
            with Vertical(classes="side"):
                yield self._details
                yield Static(classes="spacer")
                yield self._summary
                yield self._notice
                with Container(classes="touch"):
                    yield from self._keys.values()
                yield self._pad
                yield self._confirm
        yield self._footer
        yield self._receipt
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
            self._keys[action.name].off = event_of(action, sale) not in sale.allowed
        self._keys["quantity"].relabel(quantity_label(sale))
        self._keys["cancel"].relabel(CANCEL_LABELS.get(sale.mode, later("Cancel")))
        self._show_notice(known, view)
        self._follow_panel(known, view)
        self.call_after_refresh(self._painted, view)

    def away(self, reason: str) -> None:
        """The till cannot be reached; the last view stays behind a curtain until it is back."""
        if self._away_since_s is None:
            self._away_since_s = self._monotonic_s()
            self._open_panel("keys")
        self._away_reason = reason
        self._show_away()

    @property
    def panel_open(self) -> bool:
        """Whether a pad, a question or the help takes the keyboard."""
        return self._panel != "keys" or self._help.shown

    def key_in(self, key: str, character: str | None = None) -> bool:
        """A key of the keyboard, as Textual names it. Whether the counter has a use for it."""
        if self._away.shown:
            return False
        if self._help.shown:
            self._help.hide()
            return True
        if self._receipt.shown:
            self._receipt.put_away()
            return True
        match self._panel:
            case "pad":
                return self._pad_key(key, character)
            case "confirm":
                return self._confirm_key(key)
            case "keys":
                return self._main_key(key, character)

    def press(self, name: str) -> None:
        """One of `actions.ACTIONS`, by its name."""
        action = next(action for action in ACTIONS if action.name == name)
        view = self._view
        if view is None or self._away.shown:
            return
        if event_of(action, view.sale) not in view.sale.allowed:
            self._tell("error", text.message(WHY_OFF[view.sale.mode]))
            return
        self._keys[name].flash()
        self._notice.clear()
        self._do(action, view)

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

    def on_pad_closed(self, event: Pad.Closed) -> None:
        event.stop()
        self._open_panel("keys")

    def on_pad_entered(self, event: Pad.Entered) -> None:
        event.stop()
        if self._panel != "pad":
            return  # Touched twice: the first has closed it.
        self._open_panel("keys")
        match event.purpose:
            case "cash":
                amount = None if not event.text else self._currency.parse(event.text)
                self._send("sale.cash", {} if amount is None else {"amount_minor": amount})
            case "quantity":
                self._send("sale.quantity", {"quantity_milli": int(event.text) * 1000, **self._chosen()})
            case "weight":
                self._send("sale.weight", {"weight_g": int(event.text)})
            case "price":
                self._send("sale.open_price", {"unit_price_minor": self._currency.parse(event.text)})
            case "code":
                self._send("sale.scan", {"data": event.text})

    def on_confirm_answered(self, event: Confirm.Answered) -> None:
        event.stop()
        if self._panel == "confirm" and not self._just_changed():
            self._answer(event.yes)

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

    def _pad_key(self, key: str, character: str | None) -> bool:
        match key:
            case "enter":
                self._pad.enter()
            case "escape":
                self._open_panel("keys")
            case "backspace" | "delete":
                self._pad.rub_out()
            case _ if character is not None and character.isascii() and (character.isdigit() or character in ".,"):
                self._pad.type(character)
            case _:
                return False
        return True

    def _confirm_key(self, key: str) -> bool:
        if key not in ("enter", "escape"):
            return False
        self._answer(key == "enter")
        return True

    def _answer(self, yes: bool) -> None:
        """The question on the screen is answered: about an age both ways, about giving up only by yes."""
        self._open_panel("keys")
        again, self._again = self._again, None
        if again is not None:
            if yes:
                self._send(*again)
            return
        held = self._view.sale.held if self._view is not None else None
        if held is not None and held.about == "age":
            self._send("sale.age", {"of_age": yes})
        elif yes:
            self._send("sale.cancel", {})

    def _do(self, action: Action, view: View) -> None:
        """What a key does that is allowed now."""
        match action.name:
            case "cash" | "code":
                self._open_pad("cash" if action.name == "cash" else "code", view)
            case "quantity":
                self._take_quantity(view)
            case "card":
                self._send("sale.card", {})
            case "void":
                self._send("sale.void", self._chosen())
            case "reprint":
                self._send("receipt.reprint", {})
            case "drawer":
                self._send("drawer.open", {})
            case "cancel":
                asked = question(view.sale, f"{self._currency.format(view.sale.total_minor)} {self._currency.code}")
                if asked is None:
                    self._send("sale.cancel", {})
                else:
                    self._again = None
                    self._confirm.ask(*asked)
                    self._open_panel("confirm")

    def _take_quantity(self, view: View) -> None:
        """What the key for a quantity asks for now: that, a weight, a price, or whether the customer is old enough."""
        held = view.sale.held
        if held is None:
            self._open_pad("weight" if view.sale.mode == "weighing" else "quantity", view)
        elif held.about == "price":
            self._open_pad("price", view)
        else:
            self._again = None
            asked = say("Is the customer {age} or older?", age=held.min_age)
            self._confirm.ask(f"{plain(held.name)}\n{asked}", later("Yes"), later("No: not sold"))
            self._open_panel("confirm")

    # --- orders ------------------------------------------------------------------------------------------------------

    def _send(self, method: str, params: Mapping[str, object]) -> None:
        """Orders in the background; the same one again while the first has no answer is a slip of the finger."""
        if method in self._in_hand and method != "sale.scan":
            return
        if len(self._in_hand) >= ORDERS_IN_HAND_MAX:
            self._tell("error", text.message("please-wait"))
            return
        self._in_hand.append(method)
        self.run_worker(self._carry_out(method, params), name=f"order {method}", group="orders")

    async def _carry_out(self, method: str, params: Mapping[str, object]) -> None:
        try:
            await self._order(method, params)
        except CallRefused as refused:
            self._tell("error", refused.message)
            if refused.message.id.endswith("-unusual"):
                self._again = method, {**params, "confirmed": True}
                asked = say("Is that right?\nIt is far from what is usual.")
                self._confirm.ask(asked, later("Take it"), later("No"))
                self._open_panel("confirm")
        except CallFailed as failed:
            self._tell("error", text.message("order-failed", code=failed.code))
        except (Disconnected, TimeoutError):
            self._tell("error", text.message("order-lost"))
        finally:
            self._in_hand.remove(method)

    def _chosen(self) -> dict[str, object]:
        return {"line": self._lines.chosen} if self._lines.chosen else {}

    # --- what is shown -----------------------------------------------------------------------------------------------

    def _open_pad(self, purpose: Purpose, view: View) -> None:
        line = self._lines.line_shown()
        subject = plain(line.name) if purpose == "quantity" and line is not None else ""
        if purpose == "weight":
            subject = plain(view.sale.awaited or "")
        if purpose == "price" and view.sale.held is not None:
            subject = plain(view.sale.held.name)
        self._pad.open(purpose, self._currency, due_minor=cash_due(view.sale), subject=subject)
        self._open_panel("pad")

    def _open_panel(self, panel: Panel) -> None:
        self._panel = panel
        self._panel_changed_at_s = self._monotonic_s()
        self.set_class(panel == "pad", "-pad")
        self.set_class(panel == "confirm", "-confirm")

    def _just_changed(self) -> bool:
        return self._monotonic_s() - self._panel_changed_at_s < TOUCH_PAUSE_S

    def _follow_panel(self, known: View | None, view: View) -> None:
        """An open panel whose order the till does not take any more closes; the cash pad follows what is due."""
        if self._panel == "keys":
            return
        events_of = {
            "cash": "cash_keyed", "quantity": "quantity_keyed", "weight": "weight_keyed", "code": "code_keyed",
            "price": "open_price_keyed",
        }  # fmt: skip
        event = events_of[self._pad.purpose] if self._panel == "pad" else "cancel_keyed"
        moved_on = self._panel == "confirm" and known is not None and known.sale.mode != view.sale.mode
        if moved_on or event not in view.sale.allowed:
            self._open_panel("keys")
        elif self._panel == "pad":
            self._pad.owe(cash_due(view.sale))

    def _show_notice(self, known: View | None, view: View) -> None:
        waits: dict[str, tuple[Level, str, str]] = {
            "weighing": ("info", *parts(text.message("weight-awaited", name=view.sale.awaited or ""), self._currency)),
            "asking": ("warning", *parts(_asked(view.sale), self._currency)),
            "authorizing": ("info", say("The customer pays at the payment device."), say("Esc stops the payment.")),
            "enquiring": ("warning", *parts(text.message("payment-unknown"), self._currency)),
            "reversing": ("warning", *parts(text.message("payment-reversing"), self._currency)),
        }
        lasting: list[tuple[Level, str, str]] = [("warning", *parts(each, self._currency)) for each in view.conditions]
        self._notice.stand(waits.get(view.sale.mode) or next(iter(lasting), None))
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
        clock = _clock(now_s)
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
        compact = event.size.height < _COMPACT_BELOW_ROWS
        self.set_class(compact, "-compact")
        self.set_class(not compact and event.size.width >= _WIDE_FROM_COLUMNS, "-wide")


def _clock(time_s: float) -> str:
    """Day and time as the merchant says them: ``Tue 24 Nov  14:03``."""
    now = time.localtime(time_s)
    return say(
        "{weekday} {day:02} {month}  {hour:02}:{minute:02}",
        weekday=say(_DAYS[now.tm_wday]), day=now.tm_mday, month=say(_MONTHS[now.tm_mon - 1]), hour=now.tm_hour, minute=now.tm_min,
    )  # fmt: skip


def _asked(sale: SaleView) -> text.Message:
    """What is asked of an item that waits."""
    if sale.held is None or sale.held.about == "price":
        return text.message("price-asked", name=sale.held.name if sale.held is not None else "")
    return text.message("age-asked", name=sale.held.name, age=sale.held.min_age)
