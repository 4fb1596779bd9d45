"""The receipt's code on the screen, for the customer's phone, while no printer can put it on paper."""

import segno
from textual.app import ComposeResult
from textual.content import Content
from textual.widgets import Static

from core.money import Currency
from core.view import View
from ui.merchant.curtain import Curtain
from ui.say import say

_QUIET = 2
"""Modules of white around the code: a phone needs no more on a bright screen."""
_HALVES = {(True, True): "\N{FULL BLOCK}", (True, False): "\N{UPPER HALF BLOCK}", (False, True): "\N{LOWER HALF BLOCK}"}


def half_blocks(data: str) -> list[str]:
    """A QR code as rows of text, two rows of modules in each: white is drawn, so that the ground has to be black."""
    code = segno.make_qr(data, error="l", boost_error=False)
    rows = [[not dark for dark in row] for row in code.matrix_iter(border=_QUIET)]
    if len(rows) % 2:
        rows.append([False] * len(rows[0]))
    return [
        "".join(_HALVES.get(pair, " ") for pair in zip(upper, lower, strict=True))
        for upper, lower in zip(rows[::2], rows[1::2], strict=True)
    ]


def is_wanted(view: View) -> bool:
    """Whether the last receipt is on no paper, and no printer is there to print it."""
    last = view.last
    if last is None or not last.code or last.printed or view.sale.mode != "idle" or not view.receipts_waiting:
        return False
    printers = [device for device in view.devices if device.kind == "POSPrinter"]
    return not any(device.phase == "ready" and device.detail.get("paper") != "out" for device in printers)


class ReceiptQr(Curtain):
    """Lies over the counter until a key is pressed, a sale begins, or the paper comes out."""

    DEFAULT_CSS = """
    ReceiptQr .title { margin-top: 0; }
    ReceiptQr .code { width: 100%; text-align: center; color: #ffffff; background: #000000; }
    ReceiptQr .words, ReceiptQr .small { margin-top: 0; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._shown = self._put_away = ""

    def compose(self) -> ComposeResult:
        yield Static(classes="title")
        yield Static(classes="code")
        yield Static(classes="words")

    def follow(self, view: View, currency: Currency) -> None:
        """Shows the code of this view's last receipt, or goes."""
        last = view.last
        if last is None or not is_wanted(view) or last.code == self._put_away:
            self.hide()
            return
        rows = half_blocks(last.code)
        fits = self.app.size.width >= len(rows[0]) and self.app.size.height >= len(rows) + 2
        title = say("Receipt {number}: the customer may take it by phone", number=last.number)
        change = say("Change {amount}", amount=currency.format(last.change_minor)) if last.change_minor else ""
        self.query_one(".title", Static).update(title)
        self.query_one(".code", Static).update(
            Content("\n".join(rows)) if fits else say("This screen is too small for it.")
        )
        self.query_one(".words", Static).update(
            "  ".join(part for part in (change, say("The paper follows. Any key goes on.")) if part)
        )
        self.add_class("-shown")
        self._shown = last.code

    def put_away(self) -> None:
        """The customer has it, or does not want it: this one is not shown again."""
        self._put_away = self._shown
        self.hide()

    def on_click(self) -> None:
        self.put_away()
