"""The parts of the merchant's screen that only show: each is given the newest view and draws what it needs of it."""

import time

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Digits, Static

from core.language import later
from core.money import Currency
from core.text import message
from core.view import DeviceView, LineView, SaleView, View
from ui.merchant import palette
from ui.merchant.lines import DOT, quantity
from ui.say import say
from ui.text import parts, plain

_GAP = 3
_DEVICES_CELLS = 76
"""What a row of 80 cells has room for; where all devices' names take more, those that work are counted."""
_TENDERS = {
    "CASH": later("cash"),
    "CREDIT": later("card"),
    "MOBILE": later("phone"),
    "STORED_VALUE": later("gift card"),
    "VOUCHER": later("voucher"),
    "CUST_ACCT": later("account"),
}

_DAYS = (later("Mon"), later("Tue"), later("Wed"), later("Thu"), later("Fri"), later("Sat"), later("Sun"))
_MONTHS = (
    later("Jan"), later("Feb"), later("Mar"), later("Apr"), later("May"), later("Jun"),
    later("Jul"), later("Aug"), later("Sep"), later("Oct"), later("Nov"), later("Dec"),
)  # fmt: skip


class Bar(Widget):
    """A row with something at its left, its middle and its right; the middle goes when there is no room for it."""

    DEFAULT_CSS = f"""
    Bar {{ height: 1; background: {palette.BAR}; color: {palette.TEXT}; padding: 0 2; }}
    """

    def __init__(self, *, classes: str = "") -> None:
        super().__init__(classes=classes)
        self._parts = (Content(""), Content(""), Content(""))

    def show(self, left: Content, middle: Content, right: Content) -> None:
        """Shows these three."""
        if (left, middle, right) != self._parts:
            self._parts = (left, middle, right)
            self.refresh()

    def render(self) -> Content:
        left, middle, right = self._parts
        width = self.content_size.width
        room = width - left.cell_length - right.cell_length
        if room < 1:
            return Content.assemble(left.truncate(max(0, width - right.cell_length - 1), ellipsis=True), " ", right)
        if middle.cell_length + 2 * _GAP > room:
            return Content.assemble(left, " " * room, right)
        before = (width - middle.cell_length) // 2 - left.cell_length
        before = max(_GAP, min(before, room - middle.cell_length - _GAP))
        after = room - before - middle.cell_length
        return Content.assemble(left, " " * before, middle, " " * after, right)


class Details(Widget):
    """The card of one line: what it is and all that its code said."""

    DEFAULT_CSS = f"""
    Details {{
        height: 4;
        border: round {palette.AMBER};
        padding: 0 1;
        color: {palette.TEXT};
        background: {palette.GROUND};
    }}
    """

    def __init__(self) -> None:
        super().__init__()
        self._line: LineView | None = None
        self._currency = Currency(code="", exponent=2)

    def show(self, line: LineView | None, currency: Currency) -> None:
        """Shows this line, or nothing."""
        self._line, self._currency = line, currency
        self.refresh()

    def render(self) -> Content:
        line = self._line
        if line is None:
            return Content("")
        unit = "" if line.unit == "each" else f"/{line.unit}"
        sum_ = f"{quantity(line)} {self._currency.format(line.unit_price_minor)}{unit}"
        width = self.content_size.width
        name = Content.styled(plain(line.name), "bold").truncate(max(0, width - len(sum_) - 2), ellipsis=True)
        gap = " " * max(1, width - name.cell_length - len(sum_))
        return Content.assemble(
            name, gap, (sum_, "bold"), "\n", (DOT.join(_facts(line, self._currency)), palette.MUTED)
        )


class Summary(Widget):
    """Tax, tenders and count at the left, the total or what is still due in large digits at the right."""

    DEFAULT_CSS = f"""
    Summary {{
        height: 4;
        padding: 0 2;
        Horizontal {{ height: 4; }}
        .facts {{ width: 1fr; height: 4; color: {palette.MUTED}; }}
        .amount {{ width: auto; min-width: 24; height: 4; }}
        .caption {{ width: 100%; height: 1; text-align: right; color: {palette.MUTED}; }}
        Digits {{ width: auto; min-width: 24; height: 3; text-align: right; color: {palette.AMBER}; text-style: bold; }}
    }}
    """

    def compose(self) -> ComposeResult:
        with Horizontal():
            yield Static(classes="facts")
            with Vertical(classes="amount"):
                yield Static(classes="caption")
                yield Digits()

    def show(self, sale: SaleView, currency: Currency) -> None:
        """Shows the sums of this sale."""
        partly = bool(sale.tenders)
        caption, amount_minor = say("TOTAL"), sale.total_minor
        if sale.owed_minor:
            caption, amount_minor = say("TO GIVE BACK"), sale.owed_minor
        elif partly:
            caption, amount_minor = say("STILL DUE"), sale.due_minor
        self.query_one(".caption", Static).update(f"{caption} {currency.code}")
        self.query_one(Digits).update(currency.format(amount_minor))
        self.query_one(".facts", Static).update(self._facts(sale, currency))

    def _facts(self, sale: SaleView, currency: Currency) -> Content:
        count = sum(not line.voided for line in sale.lines)
        rows = [say.plural("{count} line", "{count} lines", count)]
        if sale.discounts:
            off = currency.format(-sum(each.amount_minor for each in sale.discounts))
            rows.append(
                say("off {amount}", amount=off) + DOT + ", ".join(plain(each.reason) for each in sale.discounts)
            )
        if sale.exempt:
            rows.append(say("customer pays no tax"))
        elif sale.taxes:
            amount = currency.format(sale.tax_minor)
            included = all(tax.included for tax in sale.taxes)
            rows.append(
                say("tax included {amount}", amount=amount) if included else say("tax added {amount}", amount=amount)
            )
        if sale.customer:
            rows[0] += DOT + say("customer known")
        if sale.owed_minor:
            rows.append(say("{amount} goes back to the customer", amount=currency.format(sale.owed_minor)))
        if sale.tenders:
            paid = [
                f"{say(_TENDERS[tender.kind]) if tender.kind in _TENDERS else plain(tender.kind).lower()} {currency.format(tender.amount_minor)}"
                for tender in sale.tenders
            ]
            total = say("total {amount}", amount=currency.format(sale.total_minor))
            rows.append(total + DOT + say("paid {tenders}", tenders=", ".join(paid)))
        return Content("\n".join(rows))


class Idle(Vertical):
    """Between two sales: the change of the last one, in digits to be read across the counter.

    With `typing` a digit begins a code.
    """

    DEFAULT_CSS = f"""
    Idle {{
        align: center middle;
        background: {palette.GROUND};
        .caption {{ width: 100%; text-align: center; color: {palette.MUTED}; }}
        Digits {{ width: 100%; height: 3; text-align: center; color: {palette.GREEN}; text-style: bold; }}
        .prompt {{ width: 100%; text-align: center; margin-top: 2; color: {palette.TEXT}; text-style: bold; }}
        .hint {{ width: 100%; text-align: center; color: {palette.MUTED}; }}
        .waiting {{ width: 100%; text-align: center; margin-top: 1; color: {palette.AMBER}; text-style: bold; }}
        .hidden {{ display: none; }}
    }}
    """

    def __init__(self, *, typing: bool) -> None:
        super().__init__()
        self._typing = typing

    def compose(self) -> ComposeResult:
        yield Static(classes="caption above")
        yield Digits()
        yield Static(classes="caption below")
        yield Static(classes="prompt")
        yield Static(classes="hint")
        yield Static(classes="waiting")

    def show(self, view: View, currency: Currency) -> None:
        """Shows what the last sale left to do."""
        self.query_one(".prompt", Static).update(say("Scan the first item"))
        self.query_one(".hint", Static).update(
            say("or type the number under its barcode")
            if self._typing
            else say("or press F3 and type the number under its barcode")
        )
        last = view.last
        change = last is not None and not last.cancelled and last.change_minor > 0
        self.query_one(Digits).set_class(not change, "hidden")
        self.query_one(".above", Static).set_class(not change, "hidden")
        self.query_one(".below", Static).set_class(last is None, "hidden")
        if last is not None:
            paid = f"{currency.format(last.total_minor)} {currency.code}"
            self.query_one(".below", Static).update(
                say("sale {number} given up", number=last.number)
                if last.cancelled
                else say("sale {number} paid {amount}", number=last.number, amount=paid)
            )
            self.query_one(".above", Static).update(say("CHANGE"))
            self.query_one(Digits).update(currency.format(last.change_minor))
        waiting = view.receipts_waiting
        who = view.operator
        asked = who.sign_on and (who.id is None or who.locked)
        self.query_one(".prompt", Static).update(say("Sign on to sell") if asked else _prompt(view))
        self.query_one(".hint", Static).set_class(asked or view.till.state in ("closed", "counting"), "hidden")
        self.query_one(".waiting", Static).set_class(waiting == 0, "hidden")
        self.query_one(".waiting", Static).update(
            say.plural("{count} receipt waiting for the printer", "{count} receipts waiting for the printer", waiting)
        )


def _prompt(view: View) -> str:
    """What is to be done between two sales."""
    match view.till.state:
        case "closed":
            return say("The till is closed: F10, then G, opens it")
        case "counting":
            return say("The till is being counted: F10 goes on")
        case _:
            return say("Scan the first item")


def header(view: View, clock: str) -> tuple[Content, Content, Content]:
    """Who and where, when, and how far headquarters has followed."""
    left = Content.assemble((plain(view.shop.name), "bold"), DOT, plain(view.shop.terminal))
    if view.operator.id is not None:
        left = Content.assemble(left, DOT, say("operator {operator}", operator=plain(view.operator.id)))
    if view.operator.training:
        marked = Content.styled(f" {say('TRAINING')} ", f"bold {palette.WARNING_TEXT} on {palette.WARNING}")
        left = Content.assemble(marked, "  ", left)
    behind = max(0, view.journal.seq - view.journal.acknowledged_seq)
    dot, state = ("\N{BLACK CIRCLE}", say("online")) if view.link.connected else ("\N{WHITE CIRCLE}", say("offline"))
    colour = palette.GREEN if view.link.connected else palette.AMBER
    followed = say("headquarters has all") if behind == 0 else say("headquarters {count:,} behind", count=behind)
    if not view.link.connected and behind:
        followed = say("{count:,} records kept for headquarters", count=behind)
    at_risk = view.mirror.sales_at_risk
    if at_risk and (not view.link.connected or view.link.fault is not None):
        alone = message("sales-at-risk", sales=say.plural("{count} sale", "{count} sales", at_risk))
        followed = parts(alone, Currency(code="", exponent=2))[0].rstrip(".\N{IDEOGRAPHIC FULL STOP}")
    right = Content.assemble((f"{dot} {state}", f"bold {colour}"), "  ", followed)
    return left, Content(clock), right


def clock_words(time_s: float) -> str:
    """Day and time as the merchant says them: ``Tue 24 Nov  14:03``."""
    now = time.localtime(time_s)
    return say(
        "{weekday} {day:02} {month}  {hour:02}:{minute:02}",
        weekday=say(_DAYS[now.tm_wday]), day=now.tm_mday, month=say(_MONTHS[now.tm_mon - 1]), hour=now.tm_hour, minute=now.tm_min,
    )  # fmt: skip


def footer(view: View) -> tuple[Content, Content, Content]:
    """What the keyboard does beyond the labelled keys, and how the devices are."""
    left = Content.assemble(("?", palette.AMBER), f" {say('help')}   ", ("Up Down", palette.AMBER), f" {say('line')}")
    well = [device for device in view.devices if _is_well(device)]
    ill = [_device(device) for device in view.devices if not _is_well(device)]
    right = Content("  ").join([*ill, *map(_device, well)])
    if right.cell_length > _DEVICES_CELLS and well:
        counted = say("{count} work", count=len(well)) if ill else say("all {count} devices work", count=len(well))
        dot = ("\N{BLACK CIRCLE}", palette.GREEN)
        right = Content("  ").join([*ill, Content.assemble(dot, " ", (counted, palette.MUTED))])
    return left, Content(""), right


def _is_well(device: DeviceView) -> bool:
    return device.phase == "ready" and device.detail.get("paper") != "out"


def _device(device: DeviceView) -> Content:
    if device.phase != "ready":
        return Content.styled(f"\N{WHITE CIRCLE} {plain(device.name)}", f"bold {palette.RED}")
    if device.detail.get("paper") == "out":
        return Content.styled(
            f"\N{CIRCLE WITH LEFT HALF BLACK} {plain(device.name)} {say('no paper')}", f"bold {palette.AMBER}"
        )
    return Content.assemble(("\N{BLACK CIRCLE}", palette.GREEN), " ", (plain(device.name), palette.MUTED))


def _facts(line: LineView, currency: Currency) -> list[str]:
    if line.gift_card:
        return [say("good once it is paid for") if line.amount_minor > 0 else say("its money has been taken off it")]
    facts = [f"GTIN {plain(line.gtin)}"]
    if line.regular_minor is not None:
        facts.append(say("regular price {price}", price=currency.format(line.regular_minor)))
    facts += [f"{plain(each.reason)} {currency.format(-each.amount_minor)}" for each in line.discounts]
    shared_minor = line.discount_minor - sum(each.amount_minor for each in line.discounts)
    if shared_minor:
        facts.append(say("off the whole {amount}", amount=currency.format(-shared_minor)))
    if line.lot is not None:
        facts.append(say("lot {lot}", lot=plain(line.lot)))
    if line.best_before is not None:
        facts.append(say("best before {date}", date=plain(line.best_before)))
    if line.use_by is not None:
        facts.append(say("use by {date}", date=plain(line.use_by)))
    return facts
