"""A counter for tests: the real daemon as a process of its own, and the far end of each of its cables in this one.

No headquarters: what leaves the terminal is tested elsewhere. Paths and ports are each test's own.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path

import msgspec

from core import entries as e
from core.ledger import open_record
from core.view import View
from demo import goods, processes
from demo.bench import Bench
from demo.layout import Layout
from drivers.simulated.payment import Behaviour
from drivers.simulated.scanner import SimulatedScanner
from store.keys import KeyFile
from store.verify import iter_records
from terminald.cli import main
from terminald.client import CallRefused, Disconnected, connect

PATIENCE_S = 15.0
LOOK_S = 0.01
COMMANDED_S = 0.5
"""An opening of the drawer within this time of a kick was commanded."""
DOUBLE_READ_S = 0.16
"""After 150 ms the same code by the same scanner is another piece."""

NUTELLA = goods.by_gtin("3017620422003")
COLA = goods.by_gtin("5449000000996")

_SHOP = """\
[terminal]
id = "till-3"
[shop]
name = "Corner Shop"
address = ["12 Harbour Street"]
currency = "EUR"
[[shop.tax]]
code = "A"
rate = "19.00"
[[shop.tax]]
code = "B"
rate = "7.00"
[[scan.variable]]
prefix = "21"
item_digits = 5
value_digits = 5
"""

_DEVICES = {
    "scanner": 'driver = "scanner-serial"\npath = "../bench/scanner"\n',
    "second": 'driver = "scanner-serial"\npath = "../bench/second"\n',
    "scale": 'driver = "scale-serial"\npath = "../bench/scale"\nprotocol = "toledo-8217"\n',
    "nfc": 'driver = "nfc-pn532"\npath = "../bench/nfc"\n',
    "card": 'driver = "payment-nexo"\nhost = "127.0.0.1"\nport = {port}\npoi_id = "POI-1"\n'
    "payment_timeout_s = {payment_timeout_s}\nanswer_timeout_s = 2.0\n",
    "printer": 'driver = "printer-escpos"\npath = "../bench/printer"\n'
    "write_timeout_s = 0.5\nprint_timeout_s = 1.0\nhealth_interval_s = 0.5\n",
    "printer-drawer": 'driver = "drawer-printer"\nprinter = "printer"\nleft_open_s = 0.5\n',
    "drawer": 'driver = "drawer-gpio"\nkick_pin = 17\nsensor_pin = 27\ncommanded_window_s = 0.5\n',
}

_DEVICES["card-and-phone"] = _DEVICES["card"] + 'wallets = ["alipay", "wechat"]\n'


GIFT_CARDS = """\
[[cards.range]]
kind = "gift"
prefix = "600649"
digits = 16
[gift_cards]
amount_minor_max = 20000
cash_out_minor_max = 500
"""
"""More of a configuration: a shop that sells gift cards and takes them."""


class Countertop:
    """One terminal at its bench. Made by `countertop`."""

    def __init__(self, root: Path, devices: tuple[str, ...], payment_timeout_s: float) -> None:
        self.layout = Layout(root)
        self.layout.make()
        self.bench = Bench(self.layout)
        self.second = SimulatedScanner(self.layout.bench / "second") if "second" in devices else None
        self.views: list[View] = []
        self.environment: dict[str, str] = {}
        self.more = ""
        """What else stands in the configuration."""
        self.following: asyncio.Task[None] | None = None
        """Who looks at the screen: `follow`."""
        self._openings = self._sold = self._cleared_seq = 0
        self._devices = devices
        self._payment_timeout_s = payment_timeout_s

    # --- the terminal --------------------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Switches the bench on, writes the configuration and fills the catalogue. The daemon is not started."""
        await self.bench.start()
        tables = "".join(
            f"[device.{name}]\n"
            + _DEVICES[name].format(port=self.bench.payment.port, payment_timeout_s=self._payment_timeout_s)
            for name in self._devices
        )
        self.layout.config.write_text(_SHOP + tables + self.more)
        assert main(["catalogue", "import", str(goods.CSV), "--config", str(self.layout.config)]) == 0
        self.daemon = processes.daemon(self.layout, self.bench.drawer.environment())

    async def start(self, *ready: str) -> View:
        """Starts the daemon and waits until these devices are ready, all of the bench's without a word."""
        seen = len(self.views)
        if self.environment:
            environment = {**self.bench.drawer.environment(), **self.environment}
            self.daemon = processes.daemon(self.layout, environment)
        await self.daemon.start()
        return await self.see(lambda view: _ready(view) >= set(ready or self._devices), "the devices", after=seen)

    async def restart(self) -> View:
        """SIGKILL, and started again."""
        await self.daemon.kill()
        return await self.start()

    async def stop(self) -> None:
        """Stops the daemon and switches the bench off."""
        if hasattr(self, "daemon"):
            await self.daemon.stop()
        self.bench.close()
        if self.second is not None:
            self.second.close()

    async def follow(self) -> None:
        """Keeps looking at the screen; runs until cancelled."""
        while True:
            try:
                async with connect(self.layout.control_socket) as client:
                    async for view in client.views():
                        self.views.append(view)
            except Disconnected:
                await asyncio.sleep(LOOK_S)

    async def clear(self) -> None:
        """Everything on the bench works, nothing is in sale, and what was before counts no more.

        The daemon and its journal stay: a counter serves many customers.
        """
        bench = self.bench
        bench.payment.behaviour = Behaviour.APPROVE
        bench.payment.answer_held(approve=False)
        for device in (bench.payment, bench.printer, bench.scanner, bench.drawer):
            device.plug()
        bench.printer.line_s = 0.0
        bench.printer.set_stalled(False)
        bench.printer.set_paper_out(False)
        if not self.daemon.running:
            await self.start()
        await self.see(lambda view: _ready(view) >= set(self._devices), "the devices")
        await self.see(lambda view: view.sale.mode in ("idle", "ringing", "tendering"), "an answer to the last payment")
        if self.view.sale.number is not None:
            await self.call("sale.cancel")
        await self.see(lambda view: view.sale.mode == "idle" and view.receipts_waiting == 0, "an empty counter")
        await asyncio.sleep(DOUBLE_READ_S)
        bench.papers.clear()
        bench.receipts.clear()
        bench.payment.charges.clear()
        await self.shut_drawer()
        self._openings = bench.drawer.openings
        self._sold = self.view.day.transactions
        self._cleared_seq = self.view.journal.seq
        self.forget()

    # --- looking -------------------------------------------------------------------------------------------------

    @property
    def view(self) -> View:
        """The newest view."""
        return self.views[-1]

    @property
    def sold(self) -> int:
        """Sales completed since `clear`."""
        return self.view.day.transactions - self._sold

    @property
    def drawer_openings(self) -> int:
        """How often the drawer sprang open since `clear`."""
        return self.bench.drawer.openings - self._openings

    @property
    def log(self) -> str:
        """All that the daemon has said on standard error."""
        return (self.layout.logs / "terminald.log").read_text()

    async def see(self, condition: Callable[[View], bool], what: str, *, after: int = 0) -> View:
        """Waits until the screen shows it: now, or where `after` counts views, in one that came after those.

        Fails with the daemon's last words as soon as it has ended.
        """

        def seen() -> bool:
            return len(self.views) > after and condition(self.view)

        def ended() -> bool:
            if self.following is not None and self.following.done():
                self.following.result()  # what ended it is raised here
            return not self.daemon.running

        await until(lambda: seen() or ended(), what, self.told)
        assert seen(), f"the daemon ended before {what}: {self.log[-4000:]}"
        return self.view

    async def notice(self, condition: str) -> Mapping[str, str | int]:
        """Waits for a notice to the operator and returns its parameters. Notices between two views may be missed."""
        await until(lambda: self._told_of(condition) is not None, f"the notice {condition}", self.told)
        params = self._told_of(condition)
        assert params is not None
        return params

    def forget(self) -> None:
        """Notices seen so far count no more."""
        del self.views[:-1]
        if self.views and self.views[-1].notice is not None:
            self.views[-1] = msgspec.structs.replace(self.views[-1], notice=None)

    def told(self) -> str:
        """What the counter looks like, for a test that waited in vain."""
        shown = msgspec.json.format(msgspec.json.encode(self.view)).decode() if self.views else "no view"
        return f"{shown}\n{self.log[-4000:]}"

    def _told_of(self, condition: str) -> Mapping[str, str | int] | None:
        for view in reversed(self.views):
            if view.notice is not None and view.notice.message.id == condition:
                return view.notice.message.params
        return None

    # --- doing ---------------------------------------------------------------------------------------------------

    async def call(self, method: str, **params: object) -> dict[str, object]:
        """A call on a connection of its own."""
        async with connect(self.layout.control_socket) as client:
            return msgspec.convert(await client.call(method, params, timeout_s=PATIENCE_S), dict[str, object])

    async def ask(self, method: str, **params: object) -> object:
        """The same for a method that answers with a list."""
        async with connect(self.layout.control_socket) as client:
            return await client.call(method, params, timeout_s=PATIENCE_S)

    async def refusal(self, method: str, **params: object) -> str:
        """The reason for which the till does not take an order."""
        try:
            await self.call(method, **params)
        except CallRefused as refused:
            return refused.message.id
        raise AssertionError(f"{method} was not refused")

    async def ring_up(self, *codes: bytes) -> View:
        """Scans goods, one after the other, and waits until all are on the screen."""
        for code in codes:
            count = _pieces(self.view)
            self.bench.scanner.scan(code)
            await self.see(lambda view, count=count: _pieces(view) == count + 1, "the scanned item")  # type: ignore[misc]
        return self.view

    async def completed(self, count: int = 1) -> View:
        """Waits until so many sales are complete since `clear`."""
        return await self.see(lambda view: view.sale.mode == "idle" and self.sold == count, f"sale {count}")

    async def shut_drawer(self) -> None:
        """Shuts the drawer and waits until the till has seen it."""
        self.bench.drawer.shut()
        await self.see(_drawer_shut, "the shut drawer")

    async def papers(self, count: int) -> list[str]:
        """Waits until so many pieces of paper have come out."""
        await until(lambda: len(self.bench.papers) >= count, f"{count} papers", self.told)
        return [paper.text for paper in self.bench.papers]

    def records(self) -> list[e.AnyEntry]:
        """What the journal holds since `clear`, read beside the running daemon."""
        key = KeyFile(self.layout.terminal / "journal.key").load().journal
        found = iter_records(self.layout.terminal / "journal.db", key)
        return [e.decode(open_record(record.exact).body) for record in found if record.seq > self._cleared_seq]

    def count(self, kind: type[e.AnyEntry]) -> int:
        """How many records of a kind there are since `clear`."""
        return sum(isinstance(entry, kind) for entry in self.records())


@contextlib.asynccontextmanager
async def countertop(
    root: Path,
    devices: tuple[str, ...] = ("scanner", "card", "printer", "drawer"),
    *,
    payment_timeout_s: float = 1.0,
    start: bool = True,
    more: str = "",
) -> AsyncIterator[Countertop]:
    """A counter while the block runs, its configuration with `more` in it; with a word of its log when it fails."""
    counter = Countertop(root, devices, payment_timeout_s)
    counter.more = more
    counter.following = following = asyncio.create_task(counter.follow(), name="screen")
    try:
        await counter.set_up()
        if start:
            await counter.start()
        yield counter
    finally:
        following.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await following
        await counter.stop()


async def until(condition: Callable[[], bool], what: str, told: Callable[[], str] = str) -> None:
    """Waits for a condition; fails with what was waited for."""
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not condition():
                await asyncio.sleep(LOOK_S)
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE_S} s for {what} in vain\n{told()}") from None


def _ready(view: View) -> set[str]:
    return {device.name for device in view.devices if device.phase == "ready"}


def _drawer_shut(view: View) -> bool:
    return all(device.detail["state"] == "closed" for device in view.devices if device.name == "drawer")


def _pieces(view: View) -> int:
    """How often something was scanned into the basket: pieces, or one for a weighed item."""
    return sum(line.quantity_milli // 1000 if line.unit == "each" else 1 for line in view.sale.lines if not line.voided)
