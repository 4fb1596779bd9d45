"""The daemon's end of the control socket with nothing behind it: it records orders and shows the views that it is given."""

import asyncio
import contextlib
from pathlib import Path
from typing import Any

import msgspec

from core.text import Message
from core.view import View
from terminald.control import ControlServer, Method, Params, Refused
from tests.ui.views import view

METHODS = (
    "sale.scan", "sale.quantity", "sale.weight", "sale.age", "sale.open_price", "sale.void", "sale.cash", "sale.card", "sale.account", "sale.cancel",
    "sale.coupon", "sale.line_discount", "sale.total_discount", "sale.price", "sale.tax_exemption", "sale.item",
    "sale.deposit_return", "sale.price_check", "sale.suspend", "sale.resume", "receipt.reprint", "drawer.open",
    "operator.sign_on", "operator.sign_off", "operator.lock", "operator.claim",
    "return.line", "return.unreceipted", "return.void", "receipt.invoice", "sale.by_hand", "till.training", "return.receipt",
    "till.open", "till.loan", "till.pickup", "till.paid_in", "till.paid_out", "till.begin_count", "till.count",
    "note.seen", "gift.sell", "gift.balance", "gift.return", "gift.cash_out",
    "till.give_up_count", "till.close", "till.business_day", "report.x", "report.z",
)  # fmt: skip


class AnyParams(Params, frozen=True, kw_only=True):
    """The parameters of all orders."""

    key: str | None = None
    open_payments: bool | None = None
    parked: bool | None = None
    float_minor: int | None = None
    counts: list[dict[str, int]] | None = None
    business_day: str | None = None
    tax_number: str | None = None
    address: list[str] | None = None
    paper: str | None = None
    written: str | None = None
    on: bool | None = None
    data: str | None = None
    quantity_milli: int | None = None
    weight_g: int | None = None
    of_age: bool | None = None
    confirmed: bool | None = None
    unit_price_minor: int | None = None
    line: int | None = None
    amount_minor: int | None = None
    code: str | None = None
    percent_bp: int | None = None
    reason: str | None = None
    certificate: str | None = None
    name: str | None = None
    tax: str | None = None
    count: int | None = None
    label: str | None = None
    number: int | None = None
    operator: str | None = None
    pin: str | None = None
    claim: str | None = None
    approver: str | None = None
    approver_pin: str | None = None


class FakeTill:
    """Start it, kill it, start it again: `orders` outlives that."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.view = view()
        self.orders: list[tuple[str, dict[str, Any]]] = []
        self.refusal: Message | None = None
        self.answers: dict[str, object] = {}
        self.hold: asyncio.Event | None = None
        self._server: ControlServer | None = None
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Listens."""
        methods = {name: Method(summary=name, params=AnyParams, handler=self._handler(name)) for name in METHODS}
        self._server = ControlServer(self.path, methods, lambda: msgspec.json.encode(self.view))
        self._server.open()
        self._serving = asyncio.create_task(self._server.serve(), name="fake-till")

    async def kill(self) -> None:
        """Stops listening and hangs up."""
        if self._serving is None or self._server is None:
            return
        self._serving.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._serving
        self._server.close()
        self._serving = None

    def show(self, new: View) -> None:
        """Publishes a view under the next revision."""
        self.view = msgspec.structs.replace(new, revision=self.view.revision + 1)
        if self._server is not None:
            self._server.publish(msgspec.json.encode(self.view))

    def _handler(self, name: str) -> Any:
        async def handle(params: AnyParams) -> object:
            given = {key: value for key, value in msgspec.structs.asdict(params).items() if value is not None}
            given.pop("key", None)
            self.orders.append((name, given))
            if self.hold is not None:
                await self.hold.wait()
            if self.refusal is not None:
                raise Refused(self.refusal)
            return self.answers.get(name)

        return handle
