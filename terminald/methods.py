"""What the control socket offers: the operator's orders as events for the engine, and what is the matter."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any

import msgspec

from core import events as v
from core.card import holds_card
from core.goods import LINES_MAX
from core.history import Original, Transaction
from core.ports import Journal
from core.pricing import cash_due_minor, paid_minor, price
from core.state import basket_of
from core.text import message
from core.training import in_training
from store.history import Query
from terminald.config import DEVICE_NAME
from terminald.control import Method, Params, Refused
from terminald.engine import Engine
from terminald.methods_gift_cards import gift_card_methods
from terminald.methods_operators import operator_methods
from terminald.methods_papers import paper_methods
from terminald.methods_returns import return_methods
from terminald.methods_till import till_methods
from terminald.operators import Staff
from terminald.orders import Keyed, Orders
from terminald.paper_finder import PaperFinder
from terminald.recorder import Recorder
from terminald.supervisor import Supervisor
from terminald.views import Views, device_view

DATA_LENGTH_MAX = 4096


class ScanParams(Keyed, frozen=True, kw_only=True):
    data: str


ReceiptNumber = Annotated[int, msgspec.Meta(ge=0, le=10**10)]
"""Repeated to people, and too short for a card's number."""

LineNumber = Annotated[int, msgspec.Meta(ge=0, le=LINES_MAX)]
"""0 is the last line. A refusal tells people which line it was, so it must be one."""


class QuantityParams(Keyed, frozen=True, kw_only=True):
    confirmed: bool = False
    quantity_milli: int
    line: LineNumber = 0


class WeightParams(Keyed, frozen=True, kw_only=True):
    weight_g: int


class LineParams(Keyed, frozen=True, kw_only=True):
    line: LineNumber = 0


class AmountParams(Keyed, frozen=True, kw_only=True):
    amount_minor: int | None = None


class CouponParams(Keyed, frozen=True, kw_only=True):
    code: str


class DiscountParams(Keyed, frozen=True, kw_only=True):
    reason: str = ""
    percent_bp: int = 0
    amount_minor: int = 0


class LineDiscountParams(DiscountParams, frozen=True, kw_only=True):
    line: LineNumber = 0


class PriceParams(Keyed, frozen=True, kw_only=True):
    confirmed: bool = False
    unit_price_minor: int
    reason: str
    line: LineNumber = 0


class ExemptionParams(Keyed, frozen=True, kw_only=True):
    reason: str = ""
    certificate: str = ""


class ItemParams(Keyed, frozen=True, kw_only=True):
    data: str
    name: str
    unit_price_minor: int
    tax: str


class AgeParams(Keyed, frozen=True, kw_only=True):
    of_age: bool


class OpenPriceParams(Keyed, frozen=True, kw_only=True):
    confirmed: bool = False
    unit_price_minor: int


class EmptiesParams(Keyed, frozen=True, kw_only=True):
    data: str
    count: int = 1


class ReturnParams(Keyed, frozen=True, kw_only=True):
    number: ReceiptNumber = 0
    line: LineNumber = 0
    quantity_milli: int | None = None
    reason: str = ""


class UnreceiptedReturnParams(Keyed, frozen=True, kw_only=True):
    data: str
    reason: str
    quantity_milli: int = 1000
    unit_price_minor: int | None = None


class VoidParams(Keyed, frozen=True, kw_only=True):
    reason: str
    number: ReceiptNumber = 0


class SuspendParams(Keyed, frozen=True, kw_only=True):
    label: str = ""


class ResumeParams(Keyed, frozen=True, kw_only=True):
    number: ReceiptNumber = 0
    label: str = ""


class TrainingParams(Keyed, frozen=True, kw_only=True):
    on: bool


class RecordParams(Params, frozen=True, kw_only=True):
    name: str
    finish: bool = False


class NameParams(Params, frozen=True, kw_only=True):
    name: str


def methods(
    engine: Engine,
    views: Views,
    devices: Sequence[Supervisor],
    journal: Journal,
    acknowledged_seq: Callable[[], int],
    status: Callable[[], dict[str, object]],
    find: Callable[[Query], Awaitable[list[Transaction]]],
    original: Callable[[int, str], Awaitable[Original | None]],
    recorder: Recorder,
    papers: PaperFinder,
    staff: Staff | None = None,
) -> Mapping[str, Method[Any]]:
    """The method table."""
    orders = Orders(engine, staff)

    async def subtotal(_: Params) -> object:
        shop, till = in_training(engine.shop, engine.till)
        basket = basket_of(till.sale)
        if basket is None:
            raise Refused(message("no-open-sale"))
        priced = price(shop, basket)
        return {
            "number": basket.number,
            "total_minor": priced.total_minor,
            "due_minor": priced.payable_minor - paid_minor(basket),
            "cash_due_minor": cash_due_minor(engine.shop, basket, priced.payable_minor),
            "taxes": priced.taxes,
            "discounts": priced.discounts,
        }

    async def device_list(_: Params) -> object:
        return [device_view(device, engine.spoilt) for device in devices]

    async def device_test(params: NameParams) -> object:
        for device in devices:
            if device.name == params.name:
                dead = await device.probe()
                fault = dead.code if dead is not None else device.fault
                return {
                    "name": device.name,
                    "works": dead is None and device.ready.is_set(),
                    "fault": fault,
                    "remedy": (dead.remedy if dead is not None else device.remedy) if fault else "",
                }
        raise Refused(message("device-not-known", device=_named(params.name)))

    async def device_record(params: RecordParams) -> object:
        return recorder.fetch(_named(params.name), finish=params.finish)

    async def journal_status(_: Params) -> object:
        head = journal.head
        return {
            "epoch": head.epoch,
            "seq": head.seq,
            "synced_seq": journal.synced.seq,
            "acknowledged_seq": acknowledged_seq(),
            "head": head.hash.hex(),
        }

    async def history_find(query: Query) -> object:
        return await find(query)

    async def daemon_status(_: Params) -> object:
        return status()

    return {
        **till_methods(engine, orders),
        **paper_methods(orders, papers),
        "sale.scan": orders.keyed(
            "Rings up a code as if it were scanned or typed",
            ScanParams,
            lambda p: v.CodeKeyed(data=p.data[:DATA_LENGTH_MAX]),
        ),
        "sale.quantity": orders.keyed(
            "Gives a line another quantity, in thousandths of its unit; line 0 is the last",
            QuantityParams,
            lambda p: v.QuantityKeyed(quantity_milli=p.quantity_milli, line=p.line, confirmed=p.confirmed),
        ),
        "sale.weight": orders.keyed(
            "Types the weight, in grams, of what waits to be weighed; where the configuration allows it",
            WeightParams,
            lambda p: v.WeightKeyed(weight_g=p.weight_g),
        ),
        "sale.void": orders.keyed(
            "Takes a line back; line 0 is the last", LineParams, lambda p: v.VoidKeyed(line=p.line)
        ),
        "sale.coupon": orders.keyed(
            "Presents a coupon: its GCN or its code",
            CouponParams,
            lambda p: v.CouponPresented(code=p.code[:DATA_LENGTH_MAX]),
        ),
        "sale.line_discount": orders.keyed(
            "Gives a line a discount, a percentage in hundredths or an amount; with neither takes it back; line 0 is the last",
            LineDiscountParams,
            lambda p: v.LineDiscountKeyed(
                line=p.line,
                reason=p.reason,
                percent_bp=p.percent_bp,
                amount_minor=p.amount_minor,
            ),
        ),
        "sale.total_discount": orders.keyed(
            "Gives the basket a discount, a percentage in hundredths or an amount; with neither takes it back",
            DiscountParams,
            lambda p: v.TotalDiscountKeyed(
                reason=p.reason,
                percent_bp=p.percent_bp,
                amount_minor=p.amount_minor,
            ),
        ),
        "sale.price": orders.keyed(
            "Gives a line another price for one unit; line 0 is the last",
            PriceParams,
            lambda p: v.PriceKeyed(
                line=p.line,
                unit_price_minor=p.unit_price_minor,
                reason=p.reason,
                confirmed=p.confirmed,
            ),
        ),
        "sale.item": orders.keyed(
            "Sells what the catalogue does not have, by a name, a price and a tax code that are kept for the next time",
            ItemParams,
            lambda p: v.ItemKeyed(
                data=p.data[:DATA_LENGTH_MAX],
                name=p.name[:DATA_LENGTH_MAX],
                unit_price_minor=p.unit_price_minor,
                tax=p.tax,
            ),
        ),
        "sale.age": orders.keyed(
            "Answers whether the customer is old enough for the item that waits",
            AgeParams,
            lambda p: v.AgeKeyed(of_age=p.of_age),
        ),
        "sale.open_price": orders.keyed(
            "Gives the item that waits for it its price for one unit",
            OpenPriceParams,
            lambda p: v.OpenPriceKeyed(unit_price_minor=p.unit_price_minor, confirmed=p.confirmed),
        ),
        "sale.price_check": orders.keyed(
            "Says what a code costs, and sells nothing",
            ScanParams,
            lambda p: v.PriceCheckKeyed(data=p.data[:DATA_LENGTH_MAX]),
        ),
        "sale.deposit_return": orders.keyed(
            "Takes empties back: so many of what a code stands for",
            EmptiesParams,
            lambda p: v.DepositReturnKeyed(data=p.data[:DATA_LENGTH_MAX], count=p.count),
        ),
        "sale.tax_exemption": orders.keyed(
            "Takes the tax off the sale, for a reason; without one charges it again",
            ExemptionParams,
            lambda p: v.TaxExemptionKeyed(reason=p.reason, certificate=p.certificate),
        ),
        "sale.subtotal": orders.read("sale.subtotal", "What the basket comes to, with its taxes", Params, subtotal),
        "sale.cash": orders.keyed(
            "Takes cash in minor units; without an amount exactly what is due",
            AmountParams,
            lambda p: v.CashKeyed(amount_minor=p.amount_minor),
        ),
        "sale.card": orders.keyed(
            "Charges a card in minor units; without an amount all that is due",
            AmountParams,
            lambda p: v.CardKeyed(amount_minor=p.amount_minor),
        ),
        "sale.account": orders.keyed(
            "Charges the customer's account in minor units, or credits it; without an amount all that is due, or owed",
            AmountParams,
            lambda p: v.AccountKeyed(amount_minor=p.amount_minor),
        ),
        "return.line": orders.keyed(
            "Takes goods of a finished sale back: a line of it, or all that is left; number 0 is the receipt shown last",
            ReturnParams,
            lambda p: v.ReturnKeyed(
                number=p.number, line=p.line, quantity_milli=p.quantity_milli, reason=p.reason[:DATA_LENGTH_MAX]
            ),
        ),
        "return.unreceipted": orders.keyed(
            "Takes goods back without a receipt, at the catalogue's price or a lower one, for a reason",
            UnreceiptedReturnParams,
            lambda p: v.UnreceiptedReturnKeyed(
                data=p.data[:DATA_LENGTH_MAX],
                reason=p.reason[:DATA_LENGTH_MAX],
                quantity_milli=p.quantity_milli,
                unit_price_minor=p.unit_price_minor,
            ),
        ),
        "return.void": orders.keyed(
            "Makes a finished transaction of this day undone, for a reason; number 0 is the last one",
            VoidParams,
            lambda p: v.TransactionVoidKeyed(number=p.number, reason=p.reason[:DATA_LENGTH_MAX]),
        ),
        "sale.suspend": orders.keyed(
            "Puts the basket aside, under a name or its own number",
            SuspendParams,
            lambda p: v.SuspendKeyed(label=p.label[:DATA_LENGTH_MAX]),
        ),
        "sale.resume": orders.keyed(
            "Takes a basket up again, by its number or its name; with neither the only one that is put aside",
            ResumeParams,
            lambda p: v.ResumeKeyed(number=p.number, label=p.label[:DATA_LENGTH_MAX]),
        ),
        "sale.cancel": orders.keyed("Stops a card payment, or gives up the basket", Keyed, lambda _: v.CancelKeyed()),
        "device.list": orders.read("device.list", "The devices and their state", Params, device_list),
        "device.test": orders.read(
            "device.test", "Whether a device works, and what to do if not", NameParams, device_test
        ),
        "device.record": orders.read(
            "device.record",
            "A device's raw traffic since the last call, cards masked; the first call begins, `finish` ends it",
            RecordParams,
            device_record,
        ),
        "journal.status": orders.read(
            "journal.status", "The journal's depth and what is acknowledged", Params, journal_status
        ),
        "history.find": orders.read(
            "history.find",
            "Finished transactions by number, business day, item, tender, operator; the newest first",
            Query,
            history_find,
        ),
        "daemon.status": orders.read("daemon.status", "What the daemon says of itself", Params, daemon_status),
        "till.training": orders.keyed(
            "Begins training, in which nothing is really sold, or ends it",
            TrainingParams,
            lambda p: v.TrainingKeyed(on=p.on),
        ),
        **gift_card_methods(orders),
        **return_methods(engine, orders, original),
        **operator_methods(orders, staff),
    }


def _named(device: str) -> str:
    """What no device is called, as it may be told: only what could be a device's name."""
    return device if DEVICE_NAME.fullmatch(device) and not holds_card(device) else "?"
