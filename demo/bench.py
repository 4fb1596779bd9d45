"""The bench: the far end of every cable of the demonstration's terminal, in this process."""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import msgspec

from demo.layout import Layout
from drivers.simulated.drawer import SimulatedDrawer
from drivers.simulated.payment import SimulatedPaymentDevice
from drivers.simulated.pn532 import SimulatedPn532
from drivers.simulated.printer import Paper, SimulatedPrinter
from drivers.simulated.scale import SimulatedScale
from drivers.simulated.scanner import SimulatedScanner

GIFT_CARDS = tuple(f"60064900000010{at:02}" for at in range(10))
"""The numbers of those that can be sold."""
_SOCKET_PATH_MAX = 100
_NUMBER = re.compile(r"#(\d{6,})\s*$", re.MULTILINE)
_TOTAL = re.compile(r"^TOTAL [A-Z]{3}\s+([\d,.]+)\s*$", re.MULTILINE)


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """What a customer reads off a paper: `total_minor` in cents; `marked` when it says that it is or may be a copy."""

    number: int
    total_minor: int
    marked: bool


def read_paper(text: str) -> Receipt | None:
    """The receipt on a paper; None when it is torn before its number."""
    number, total = _NUMBER.search(text), _TOTAL.search(text)
    if number is None or total is None:
        return None
    return Receipt(
        number=int(number[1]),
        total_minor=int(re.sub(r"[,.]", "", total[1])),
        marked="COPY" in text,
    )


class Bench:
    """The simulated devices. `on_paper` is called with each piece of paper after it was kept in the paper folder."""

    def __init__(self, layout: Layout, on_change: Callable[[], None] = lambda: None) -> None:
        self.papers: list[Paper] = []
        self.receipts: list[Receipt] = []
        self.on_change = on_change
        self._layout = layout
        self._short: tempfile.TemporaryDirectory[str] | None = None
        self.gpio_socket = layout.bench / "gpio"
        if len(str(self.gpio_socket.absolute())) > _SOCKET_PATH_MAX:
            self._short = tempfile.TemporaryDirectory(prefix="terminald-")
            self.gpio_socket = Path(self._short.name) / "gpio"
        self.scanner = SimulatedScanner(layout.bench / "scanner")
        self.scale = SimulatedScale(layout.bench / "scale", settle_s=0.2, on_change=self._changed)
        self.nfc = SimulatedPn532(layout.bench / "nfc")
        self.printer = SimulatedPrinter(layout.bench / "printer", self._keep, lambda _: self._changed())
        self.payment = SimulatedPaymentDevice(on_change=self._changed)
        for number in GIFT_CARDS:
            self.payment.gift_cards.issue(number)
        self.drawer = SimulatedDrawer(self.gpio_socket, on_change=self._changed)

    async def start(self) -> None:
        """Switches everything on."""
        await self.nfc.start()
        await self.payment.start()
        await self.drawer.start()

    def close(self) -> None:
        """Switches everything off. May be called twice."""
        for device in (self.scanner, self.scale, self.nfc, self.printer, self.payment, self.drawer):
            device.close()
        if self._short is not None:
            self._short.cleanup()

    def _keep(self, paper: Paper) -> None:
        self.papers.append(paper)
        kind = "torn" if paper.torn else "receipt"
        (self._layout.paper / f"{len(self.papers):06d}-{kind}.txt").write_text(paper.text + "\n")
        receipt = read_paper(paper.text)
        if receipt is not None:
            self.receipts.append(receipt)
        self._changed()

    def _changed(self) -> None:
        self.on_change()
