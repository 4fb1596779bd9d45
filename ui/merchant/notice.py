"""The band that tells the operator what happened and what to do: its colour says how urgent, an error also sounds."""

import time
from collections.abc import Callable
from typing import Literal

from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget

from core.money import Currency
from core.text import Message, message
from core.view import SaleView, View
from ui.merchant import palette
from ui.say import say
from ui.text import parts

Level = Literal["info", "warning", "error"]

STAY_S: dict[Level, float] = {"info": 5.0, "warning": 12.0, "error": 20.0}
_SAME_S = 1.0
"""The same message again within this time is the same event, told by the answer and by the view."""


def is_over(told: Message, view: View) -> bool:
    """Whether what was told of a device is no longer so."""
    match told.id:
        case "device-lost" | "device-unfit":
            return any(device.name == told.params["device"] and device.phase == "ready" for device in view.devices)
        case "printer-paper-out" | "printer-cover-open" | "printer-offline":
            return _states("POSPrinter", view) == {"ok"}
        case "drawer-left-open":
            return _states("CashDrawer", view) == {"closed"}
    return False


def _states(kind: str, view: View) -> set[str | int | None]:
    """What the devices of a kind say of themselves."""
    return {device.detail.get("state") for device in view.devices if device.kind == kind}


def standing(view: View, currency: Currency) -> tuple[Level, str, str] | None:
    """What the till waits for, else what is wrong with it for longer: the level, the condition, the remedy."""
    sale = view.sale
    match sale.mode:
        case "weighing":
            return "info", *parts(message("weight-awaited", name=sale.awaited or ""), currency)
        case "asking":
            return "warning", *parts(_asked(sale), currency)
        case "loading" if not sale.loading_minor:
            return "info", *parts(message("gift-card-cash-out-awaited"), currency)
        case "loading":
            return "info", *parts(message("gift-card-awaited", amount_minor=sale.loading_minor), currency)
        case "unloading":
            return "info", *parts(message("gift-card-pending"), currency)
        case "authorizing" if sale.pending == "MOBILE":
            return "info", *parts(message("wallet-pending"), currency)
        case "authorizing":
            return "info", say("The customer pays at the payment device."), say("Esc stops the payment.")
        case "enquiring":
            told = "wallet-unknown" if sale.pending == "MOBILE" else "payment-unknown"
            return "warning", *parts(message(told), currency)
        case "reversing":
            return "warning", *parts(message("payment-reversing"), currency)
        case "ringing" if sale.paper:
            return "info", *parts(message("paper-begun", paper=sale.paper, written=sale.written), currency)
        case _:
            return next((("warning", *parts(each, currency)) for each in view.conditions), None)


def _asked(sale: SaleView) -> Message:
    """What is asked of an item that waits."""
    if sale.held is not None and sale.held.about == "quantity":
        return message("quantity-asked", name=sale.held.name, measure=sale.held.unit)
    if sale.held is None or sale.held.about == "price":
        return message("price-asked", name=sale.held.name if sale.held is not None else "")
    return message("age-asked", name=sale.held.name, age=sale.held.min_age)


class NoticeBand(Widget):
    """Shows one message for a while; under it lies a standing message, of what the till waits for."""

    DEFAULT_CSS = f"""
    NoticeBand {{
        height: 2;
        margin: 0 1;
        padding: 0 1;
        background: {palette.GROUND};
        color: {palette.TEXT};
        &.-info {{ background: {palette.INFO}; }}
        &.-warning {{ background: {palette.WARNING}; color: {palette.WARNING_TEXT}; }}
        &.-error {{ background: {palette.ERROR}; color: {palette.ERROR_TEXT}; }}
    }}
    """

    def __init__(self, on_told: Callable[[bool], None]) -> None:
        """`on_told` hears whether there is anything to read now."""
        super().__init__()
        self._on_told = on_told
        self._standing: tuple[Level, str, str] | None = None
        self._notice: tuple[Level, str, str] | None = None
        self._told_at = 0.0
        self._timer: Timer | None = None

    @property
    def text(self) -> str:
        """What can be read there now."""
        shown = self._notice or self._standing
        return " ".join(part for part in shown[1:] if part) if shown else ""

    def tell(self, level: Level, condition: str, remedy: str, *, silent: bool = False) -> None:
        """Shows a message until its time is over; an error rings the bell."""
        now = time.monotonic()
        again = self._notice == (level, condition, remedy) and now - self._told_at < _SAME_S
        self._told_at = now
        if again:
            return
        self._notice = (level, condition, remedy)
        if self._timer is not None:
            self._timer.stop()
        self._timer = self.set_timer(STAY_S[level], self.clear, name="notice")
        self._paint()
        if level == "error" and not silent:
            self.app.bell()

    def take_back(self, level: Level, condition: str, remedy: str) -> None:
        """Ends a message before its time, if it is this one."""
        if self._notice == (level, condition, remedy):
            self.clear()

    def stand(self, message: tuple[Level, str, str] | None) -> None:
        """What is shown while there is nothing newer to tell."""
        if message != self._standing:
            self._standing = message
            self._paint()

    def clear(self) -> None:
        """The message has been read."""
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if self._notice is not None:
            self._notice = None
            self._paint()

    def render(self) -> Content:
        shown = self._notice or self._standing
        if shown is None:
            return Content("")
        _, condition, remedy = shown
        between = "  " if self.content_size.height == 1 else "\n"
        return Content.assemble((condition, "bold"), between if remedy else "", remedy)

    def _paint(self) -> None:
        shown = self._notice or self._standing
        for level in STAY_S:
            self.set_class(shown is not None and shown[0] == level, f"-{level}")
        self._on_told(shown is not None)
        self.refresh()
