"""Plays a scripted sale against the core alone, and writes down what follows: the core's main tests read so.

A script's lines begin with ``>``; comments with ``#``. What follows from a line is written under it::

    + an entry that is kept        ! an effect that is asked for
    " what is told (refused: x)    = the state afterwards

Lines that begin with ``@`` say what is other in this script's shop: ``@ shop cash_unit_minor=5``, ``@ promotion id=...``,
``@ tax code=Q rate_bp=500 included=false``, ``@ item gtin=... tax=Q``, ``@ now 2026-11-25T09:00:00+01:00``,
``@ also GTIN of GTIN``: an item like another.

Before each line the state is folded anew from the entries, so that a replay is shown at every point of every script.
"""

import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import cast

import msgspec

from core import effects as x
from core import entries as e
from core import events as v
from core.catalogue import Item
from core.document import Barcode, Cut, Document, Feed, Logo, QrCode, Rule, Text
from core.fold import apply
from core.history import Assembler, Original
from core.money import currency
from core.permissions import Operator, Role
from core.product_recall import ProductRecall
from core.promotion import Promotion, Rulebook, faults
from core.sale import read, step
from core.scan import VariableMeasure
from core.state import Shop, Till, VoucherKind
from core.step import (
    Badge,
    CustomerWanted,
    Facts,
    GiftCardShown,
    ItemWanted,
    OriginalWanted,
    ParkedWanted,
    Question,
    Step,
    look_up,
)
from core.stripe import CardKind, CardRange, Opaque
from core.tax import TaxRate
from core.view import sale_view, till_view

TODAY = "2026-11-24"
NOW = "2026-11-24T14:03:00+01:00"

SHOP = Shop(
    name="Corner Shop",
    address=("12 Harbour Street",),
    terminal="till-3",
    currency=currency("EUR"),
    taxes=(TaxRate(code="A", rate_bp=1900), TaxRate(code="B", rate_bp=700)),
    layouts=(VariableMeasure(prefix="21", item_digits=5, value_digits=5, value="price"),),
    staff=("STAFF:",),
    voucher_tenders=(
        VoucherKind(prefix="V10-", amount_minor=1000),
        VoucherKind(prefix="V5F-", amount_minor=500, rest="forfeit"),
        VoucherKind(prefix="V5C-", amount_minor=500, rest="change"),
    ),
    account_limit_minor=5_000,
    loyalty=("L-",),
    wallets=("alipay", "unionpay"),
    cards=(CardRange(kind="gift", prefix="600649", digits=16),),
    gift_card_minor_max=20_000,
    gift_card_cash_out_minor_max=500,
)

CATALOGUE = {
    item.gtin: item
    for item in (
        Item(gtin="04006381333931", name="Whole milk 1 l", unit="each", unit_price_minor=129, tax="B"),
        Item(gtin="00036000291452", name="Sourdough loaf", unit="each", unit_price_minor=420, tax="B"),
        Item(gtin="00000096385074", name="Espresso beans 1 kg", unit="each", unit_price_minor=1290, tax="A"),
        Item(gtin="02112345000008", name="Bananas", unit="kg", unit_price_minor=199, tax="B"),
        Item(gtin="00000040170725", name="Cider", unit="each", unit_price_minor=180, tax="A", min_age=16),
        Item(gtin="00012345678905", name="Flowers", unit="each", unit_price_minor=0, tax="B", open_price=True),
        Item(gtin="04008400404127", name="Yoghurt 500 g", unit="each", unit_price_minor=95, tax="B"),
    )
}


PAPERS = v.ReprintKeyed | v.InvoiceKeyed | v.XReportKeyed | v.ZReportKeyed | v.TillCloseKeyed
"""Orders whose papers are written out."""


@dataclass
class Player:
    """The state of one script being played."""

    kept: list[e.AnyEntry] = field(default_factory=list)
    shop: Shop = SHOP
    catalogue: dict[str, Item] = field(default_factory=lambda: dict(CATALOGUE))
    recalls: list[ProductRecall] = field(default_factory=list)
    approver: Operator | None = None
    """Of the next line alone."""
    badge: Badge | None = None
    """What the next line presents."""
    now: str = NOW
    clock_sure: bool = True

    @property
    def till(self) -> Till:
        till = Till()
        for entry in self.kept:
            till = apply(till, entry)
        return till

    def original(self, question: Question | None) -> Original | None:
        """What the history has of a finished transaction."""
        return original_in(self.kept, question.number) if isinstance(question, OriginalWanted) else None

    def take(self, event: v.AnyEvent) -> Step:
        question = read(self.shop, self.till, event, self.now[:10])
        item = None
        if isinstance(question, ItemWanted):
            question, item = look_up(question, self.catalogue.get)
        facts = Facts(
            business_day=self.now[:10],
            local_time=self.now,
            question=question,
            item=item,
            original=self.original(question),
            items=tuple(
                self.catalogue[gtin]
                for gtin in (question.gtins if isinstance(question, ParkedWanted) else ())
                if gtin in self.catalogue
            ),
            deposit=self.catalogue.get(item.deposit or "") if item is not None else None,
            recalls=tuple(self.recalls),
            customer="c0ffee" if isinstance(question, CustomerWanted) else None,
            account="b0b0" if isinstance(question, GiftCardShown) else "",
            approver=self.approver,
            badge=self.badge,
            clock_sure=self.clock_sure,
        )
        self.approver = self.badge = None
        taken = step(self.shop, self.till, event, facts)
        for entry in taken.entries:
            self.kept.append(e.decode(e.encode(entry)))
        return taken


def original_in(kept: Iterable[e.AnyEntry], number: int) -> Original | None:
    """A completed transaction and those in which something of it came back, out of a journal's entries."""
    assembler = Assembler()
    ended = [done for seq, entry in enumerate(kept) if (done := assembler.fold("", seq, 0, entry)) is not None]
    completed = [done for done in ended if done.status == "completed"]
    sold = next((done for done in completed if done.number == number), None)
    if sold is None:
        return None
    later = tuple(
        done
        for done in completed
        if any(line.returned is not None and line.returned.number == number for line in done.lines)
        or any(gift.returned is not None and gift.returned.number == number for gift in done.stored_value)
        or (done.voids is not None and done.voids.number == number)
    )
    return Original(sold=sold, later=later)


def play(script: str) -> str:
    """The script with everything that follows from its lines written under each."""
    player = Player()
    out: list[str] = []
    for line in script.splitlines():
        if line.startswith(">"):
            out.append(line)
            event = _event(line[1:])
            out += list(_outcome(player, player.take(event), papers=isinstance(event, PAPERS)))
        elif line.startswith("@"):
            out.append(line)
            _equip(player, line[1:])
        elif not line.startswith(" "):
            out.append(line)
    return "\n".join(out) + "\n"


def _equip(player: Player, line: str) -> None:
    what, *arguments = shlex.split(line)
    if what == "recall":
        gtin, lot, why = arguments
        player.recalls.append(ProductRecall(id="R-7", gtin=gtin, lot=lot, reason=why, since=TODAY))
        return
    if what in ("approver", "badge"):
        who = _operator(arguments)
        if what == "approver":
            player.approver = who
        else:
            player.badge = Badge(operator=who, locked_ms=int("".join(arguments[2:]) or 0))
        return
    if what == "also":
        gtin, _, of = arguments
        player.catalogue[gtin] = msgspec.structs.replace(player.catalogue[of], gtin=gtin)
        return
    if what == "clock":
        player.clock_sure = arguments[0] == "sure"
        return
    if what == "now":
        player.now = arguments[0]
        return
    words = dict(argument.split("=", 1) for argument in arguments)
    fields: dict[str, object] = dict(words)
    shop = player.shop
    match what:
        case "shop":
            changed = msgspec.structs.replace(shop, **{key: _value(text) for key, text in words.items()})
        case "promotion":
            for key in {"items", "days"} & fields.keys():
                fields[key] = str(fields[key]).split(",")
            added = msgspec.convert(fields, Promotion, strict=False)
            assert not faults(added)
            changed = msgspec.structs.replace(shop, promotions=Rulebook((*shop.promotions.promotions, added)))
        case "tax":
            if "parts" in fields:
                names = str(fields["parts"]).split(",")
                fields["parts"] = [msgspec.to_builtins(rate) for rate in shop.taxes if rate.code in names]
            changed = msgspec.structs.replace(shop, taxes=(*shop.taxes, msgspec.convert(fields, TaxRate, strict=False)))
        case "item":
            was = player.catalogue[str(fields["gtin"])]
            player.catalogue[was.gtin] = msgspec.convert(msgspec.to_builtins(was) | fields, Item, strict=False)
            return
        case _:
            raise ValueError(f"{what} is nothing that a script's shop has")
    player.shop = changed


def lines_of(document: Document) -> Iterator[str]:
    """A document as plain text, 42 columns wide."""
    for element in document.elements:
        match element:
            case Text():
                gap = 42 - len(element.left) - len(element.right)
                centred = element.style.startswith("centre")
                yield element.left.center(42).rstrip() if centred else element.left + " " * max(1, gap) + element.right
            case Rule():
                yield "-" * 42
            case Feed():
                yield from [""] * element.lines
            case QrCode():
                yield f"[qr {element.data}]"
            case Barcode():
                yield f"[{element.kind} {element.data}]"
            case Logo():
                pass
            case Cut():
                yield "~" * 42


def _event(line: str) -> v.AnyEvent:
    verb, *arguments = shlex.split(line)
    number = arguments[0] if arguments else ""
    match verb:
        case "scan":
            data = number.replace("<GS>", "\x1d")
            return v.Scanned(device="scanner", data=data, aim=arguments[1] if len(arguments) > 1 else None)
        case "approve":
            return v.PaymentAnswered(
                reference=number, amount_minor=int(arguments[1]), poi_transaction="P77", brand="Visa", card="**** 1111"
            )
        case "reserved" | "reserved-active":
            return v.GiftCardReserved(
                reference=number,
                card="****0004",
                account="b0b0",
                poi_transaction=arguments[1],
                balance_minor=2_500 if verb == "reserved-active" else None,
            )
        case "sign-on":
            return v.OperatorChecked(outcome="granted", operator=_operator(arguments))
        case "sign-on-denied":
            return v.OperatorChecked(outcome="denied", operator=_operator(arguments), tries_left=int(arguments[2]))
        case "sign-on-locked":
            return v.OperatorChecked(outcome="locked", operator=_operator(arguments), left_ms=int(arguments[2]))
        case "sign-on-unknown":
            return v.OperatorChecked(outcome="unknown")
        case "tag":
            return v.TagPresented(device="nfc", uid=number, technology="type2")
        case "swipe":
            return v.CardSwiped(device="msr", kind=cast(CardKind, number), number=arguments[1])
        case "swipe-refused":
            return v.CardRefused(device="msr", is_payment=number == "payment", last="".join(arguments[1:]))
        case "swipe-encrypted":
            return v.CardEncrypted(device="msr", ksn=Opaque(bytearray(10)), data=Opaque(bytearray(40)))
        case "power":
            weak = number == "weak"
            return v.PowerSensed(device="power", weak=weak, flags=("under-voltage",) if weak else ())
        case "totalled":
            session, *totals = arguments
            return v.PaymentsTotalled(session=int(session), ours=_totals(totals[:1]), theirs=_totals(totals[1:]))
        case "paper":
            return v.PrinterSensed(device="printer", online=True, cover_open=False, paper=v.PaperStatus(number))
        case _:
            fields: dict[str, object] = {**dict(argument.split("=", 1) for argument in arguments)}
            if "counts" in fields:
                pairs = (pair.split("x") for pair in str(fields["counts"]).split(","))
                fields["counts"] = [[int(unit), int(count)] for unit, count in pairs]
            keyed: v.AnyEvent = msgspec.convert({"type": verb.replace("-", "_"), **fields}, v.AnyEvent, strict=False)
            return keyed


def _operator(arguments: list[str]) -> Operator:
    return Operator(id=arguments[0], role=cast(Role, arguments[1]))


def _totals(arguments: list[str]) -> tuple[e.CardTotal, ...]:
    """``debit=2x1290``: two charges of 1290 in all."""
    told = (argument.split("=") for argument in arguments)
    return tuple(
        e.CardTotal(kind=kind, count=int(amount.split("x")[0]), amount_minor=int(amount.split("x")[1]))  # type: ignore[arg-type]
        for kind, amount in told
    )


def _value(text: str) -> int | bool | str:
    return int(text) if text.isdigit() else {"true": True, "false": False}.get(text, text)


def _outcome(player: Player, taken: Step, *, papers: bool) -> Iterator[str]:
    for entry in taken.entries:
        yield f"  + {_told(entry)}"
    for effect in taken.effects:
        yield f"  ! {_told(effect)}"
        if isinstance(effect, x.PrintReceipt | x.PrintReport | x.PrintInvoice) and papers:
            for line in lines_of(effect.document):
                yield f"    | {line}".rstrip()
    if taken.notice is not None:
        params = "".join(f" {name}={value}" for name, value in taken.notice.params.items())
        yield f'  " {"refused: " if taken.refused else ""}{taken.notice.id}{params}'
    yield f"  = {_state(player.shop, player.till)}"


def _told(value: e.AnyEntry | x.AnyEffect) -> str:
    fields = msgspec.to_builtins(value)
    kind = str(fields.pop("type"))
    return kind + "".join(
        f" {name}={_short(given)}" for name, given in fields.items() if name not in ("document", "report")
    )


def _short(value: object) -> str:
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_short(part) for part in value) + "]"
    if isinstance(value, dict):
        return " ".join(str(part) for part in value.values())
    return f'"{value}"' if isinstance(value, str) and " " in value else str(value)


def _state(shop: Shop, till: Till) -> str:
    view = sale_view(shop, till)
    parts = [view.mode if view.number is None else f"{view.mode} #{view.number}"]
    for line in view.lines:
        struck = "~" if line.voided else ""
        off = f" -{line.discount_minor}" if line.discount_minor else ""
        parts.append(f"{struck}{line.quantity_milli / 1000:g} {line.name} {line.amount_minor}{off}{struck}")
    if view.owed_minor:
        parts.append(f"owed {view.owed_minor}")
    parts += [f"{discount.reason} -{discount.amount_minor}" for discount in view.discounts]
    if view.number is not None:
        cash = f" cash {view.cash_due_minor}" if view.cash_due_minor != view.due_minor else ""
        exempt = " no tax" if view.exempt else ""
        parts.append(f"total {view.total_minor}{exempt} due {view.due_minor}{cash}")
    if till.aside:
        parts.append("aside " + ", ".join(f"{tender.reference} {tender.phase}" for tender in till.aside))
    if till.gifts:
        parts.append("gift cards " + ", ".join(f"{order.asked.reference} {order.phase}" for order in till.gifts))
    shown = till_view(shop, till)
    if shown.sessions or shown.state in ("open", "counting"):
        parts.append(f"till {shown.state} {shown.session} {shown.business_day}".rstrip())
    if till.operator is not None:
        parts.append(f"{till.operator.role} {till.operator.id}{' locked' if till.locked else ''}")
    if till.parked:
        parts.append("parked " + ", ".join(f"{one.number} {one.label}".rstrip() for one in view.parked))
    if till.unprinted:
        parts.append("unprinted " + ", ".join(str(waiting.sale.number) for waiting in till.unprinted))
    return " | ".join(parts)
