"""What the configuration says of the shop: its head, currency, taxes, layouts of codes, and promotions."""

import re
from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import cast, get_args

import msgspec

from core.language import TAGS, Tag
from core.money import Rounding, currency, is_currency
from core.promotion import Kind, Precedence, Promotion, Rulebook, faults
from core.scan import VariableMeasure
from core.state import DatePolicy, Shop, VoucherKind, VoucherRest
from core.tax import TaxRate, TaxRounding
from store.catalogue_rows import ALWAYS, read_gtin, read_validity
from terminald.toml_table import Table

PROMOTIONS_MAX = 1_000
CODE_BEGINNING_MAX = 32
PRICE_MINOR_MAX = 10**12
_WHOLE_PPM = 1_000_000


def read_shop(
    table: Table, terminal: str, scan: Table, promotions: Sequence[Table], price_list: str, keyed_weight: bool
) -> Shop:
    """The shop; every fault is noted at its key."""
    code = table.text("currency", "EUR")
    if not re.fullmatch(r"[A-Z]{3}", code):
        table.fault("currency", f"currency {code!r} must be an ISO 4217 code of three capital letters, such as EUR")
    elif not is_currency(code):
        table.fault("currency", f"currency {code!r} is none of ISO 4217")
    shop = Shop(
        name=table.text("name"),
        address=table.texts("address"),
        tax_number=table.text("tax_number", ""),
        terminal=terminal,
        currency=currency(code),
        taxes=_taxes(table),
        layouts=tuple(_layout(layout) for layout in scan.tables("variable")),
        vouchers=_beginnings(scan, "vouchers"),
        staff=_beginnings(scan, "staff"),
        loyalty=_beginnings(scan, "loyalty"),
        best_before=_dates(scan, "best_before"),
        sell_by=_dates(scan, "sell_by"),
        keyed_weight=keyed_weight,
        language=cast(Tag, _choice(table, "language", "en", TAGS)),
        tax_rounding=cast(TaxRounding, _choice(table, "tax_rounding", "total", get_args(TaxRounding))),
        cash_unit_minor=table.whole("cash_rounding_minor", 1, 1, 1_000_000),
        cash_rounding=cast(Rounding, _choice(table, "cash_rounding", "half-up", get_args(Rounding))),
        price_minor_max=table.whole("price_minor_max", 10**8, 1, PRICE_MINOR_MAX),
        unreceipted_return_minor_max=table.whole("unreceipted_return_minor_max", 10_000, 0, PRICE_MINOR_MAX),
        account_limit_minor=table.whole("account_limit_minor", 0, 0, PRICE_MINOR_MAX),
        voucher_tenders=tuple(_voucher(voucher) for voucher in table.tables("voucher")),
        promotions=Rulebook(
            _promotions(promotions, code),
            precedence=cast(Precedence, _choice(table, "promotion_precedence", "best", get_args(Precedence))),
            price_list=price_list,
        ),
    )
    table.end()
    return shop


def _choice(table: Table, key: str, default: str | None, known: Sequence[str]) -> str:
    value = table.text(key, default)
    if value and value not in known:
        table.fault(key, f"{key} {value!r} must be one of {', '.join(known)}")
    return value if value in known else known[0]


# --- taxes ------------------------------------------------------------------------------------------------------------


def _taxes(shop: Table) -> tuple[TaxRate, ...]:
    tables = shop.tables("tax")
    rates = [_tax(table) for table in tables]
    if len({rate.code for rate in rates}) != len(rates):
        shop.fault("tax", "two tax rates have the same code")
    plain = {rate.code: rate for rate, table in zip(rates, tables, strict=True) if not table.texts("rates")}
    classes: list[TaxRate] = []
    for rate, table in zip(rates, tables, strict=True):
        names = table.texts("rates")
        if unknown := [name for name in names if name not in plain]:
            table.fault(
                "rates", f"rates names {', '.join(unknown)}, and no other [[shop.tax]] with one rate has that code"
            )
        parts = tuple(plain[name] for name in names if name in plain)
        if len({part.included for part in parts}) > 1:
            table.fault("rates", "rates must all be included in prices, or none of them")
        if names and (rate.rate_ppm or rate.exempt or rate.compound):
            table.fault("rates", "what has rates has no rate, exempt or compound of its own")
        if parts:
            rate = TaxRate(code=rate.code, included=parts[0].included, parts=parts)
        classes.append(rate)
        table.end()
    return tuple(classes)


def _tax(table: Table) -> TaxRate:
    rate_text = table.text("rate", "0")
    rate_ppm = _scaled(rate_text, 4)
    if rate_ppm is None or not 0 <= rate_ppm < _WHOLE_PPM:
        table.fault("rate", f'rate {rate_text!r} must be a percentage from "0.00" to "99.9999", in quotes')
        rate_ppm = 0
    exempt = table.truth("exempt", False)
    if exempt and rate_ppm:
        table.fault("exempt", "what is exempt has no rate")
    return TaxRate(
        code=table.text("code"),
        rate_bp=rate_ppm // 100,
        more_ppm=rate_ppm % 100,
        included=table.truth("included", True),
        compound=table.truth("compound", False),
        exempt=exempt,
    )


def _scaled(text: str, places: int) -> int | None:
    """A decimal number in units of its last allowed place; None where it is none, or has more places."""
    try:
        value = Decimal(text).scaleb(places)
    except InvalidOperation:
        return None
    return int(value) if value.is_finite() and value == value.to_integral_value() else None


def _voucher(table: Table) -> VoucherKind:
    prefix = table.text("prefix")
    if not (2 <= len(prefix) <= CODE_BEGINNING_MAX and prefix.isascii() and prefix.isprintable()):
        table.fault("prefix", f"prefix {prefix!r} must have 2 to {CODE_BEGINNING_MAX} printable signs")
    rest = cast(VoucherRest, _choice(table, "rest", "none", get_args(VoucherRest)))
    kind = VoucherKind(prefix=prefix, amount_minor=table.whole("amount_minor", 1000, 1, PRICE_MINOR_MAX), rest=rest)
    table.end()
    return kind


def read_gift_cards(table: Table, shop: Shop) -> Shop:
    """The shop with what it sells gift cards with; every fault is noted at its key."""
    most_minor, known_faults = table.whole("amount_minor_max", 0, 0, PRICE_MINOR_MAX), len(table.faults)
    amounts = tuple(_amount(table, "amounts", text, shop.currency.code) or 0 for text in table.texts("amounts"))
    out_of_range = any(not 0 < amount_minor <= most_minor for amount_minor in amounts)
    if out_of_range and len(table.faults) == known_faults:
        table.fault("amounts", "amounts must be above zero, and not above amount_minor_max")
    if most_minor and not shop.takes_gift_cards:
        table.fault("amount_minor_max", 'gift cards need a [[cards.range]] with kind = "gift": which numbers they have')
    rest_minor = table.whole("cash_out_minor_max", 0, 0, PRICE_MINOR_MAX)
    if rest_minor and not shop.takes_gift_cards:
        table.fault("cash_out_minor_max", 'gift cards need a [[cards.range]] with kind = "gift"')
    table.end()
    return msgspec.structs.replace(
        shop,
        gift_card_minor_max=most_minor,
        gift_card_amounts_minor=amounts,
        gift_card_cash_out_minor_max=rest_minor,
    )


# --- codes that carry a value -----------------------------------------------------------------------------------------


def _layout(table: Table) -> VariableMeasure:
    prefix = table.text("prefix")
    item_digits = table.whole("item_digits", 5, 1, 9)
    value_digits = table.whole("value_digits", 5, 1, 9)
    value = table.text("value", "price")
    if value not in ("price", "weight"):
        table.fault("value", f'value {value!r} must be "price" or "weight"')
    value_check = table.truth("value_check", False)
    if value_check and value_digits not in (4, 5):
        table.fault("value_check", "value_check is defined for value_digits 4 and 5 alone")
    if not (prefix.isascii() and prefix.isdigit()) or len(prefix) + item_digits + value_check + value_digits > 12:
        table.fault("prefix", "prefix, item_digits and value_digits must be digits that fit into the 12 of an EAN-13")
    table.end()
    return VariableMeasure(
        prefix=prefix,
        item_digits=item_digits,
        value_digits=value_digits,
        value="weight" if value == "weight" else "price",
        value_check=value_check,
    )


def _beginnings(table: Table, key: str) -> tuple[str, ...]:
    """What codes of a kind begin with."""
    texts = table.texts(key)
    for text in texts:
        if not (1 <= len(text) <= CODE_BEGINNING_MAX and text.isascii() and text.isprintable()):
            table.fault(key, f"{key} {text!r} must be 1 to {CODE_BEGINNING_MAX} printable ASCII characters")
    return texts


def _dates(table: Table, key: str) -> DatePolicy:
    policy = table.text(key, "warn")
    if policy not in get_args(DatePolicy):
        table.fault(key, f"{key} {policy!r} must be one of {', '.join(get_args(DatePolicy))}")
    return "refuse" if policy == "refuse" else "warn"


# --- promotions -------------------------------------------------------------------------------------------------------


def _promotions(tables: Sequence[Table], code: str) -> list[Promotion]:
    promotions = [_promotion(table, code) for table in tables]
    if len(promotions) > PROMOTIONS_MAX:
        tables[PROMOTIONS_MAX].fault(None, f"more than {PROMOTIONS_MAX} promotions")
    seen: set[str] = set()
    for table, promotion in zip(tables, promotions, strict=True):
        if promotion.id in seen:
            table.fault("id", f"two promotions have the id {promotion.id!r}")
        seen.add(promotion.id)
    return promotions


def _promotion(table: Table, code: str) -> Promotion:
    kind = cast(Kind, _choice(table, "kind", None, get_args(Kind)))
    is_percent = kind in ("percent", "buy-get")
    value = table.text("value")
    if is_percent:
        number = _scaled(value, 2)
    else:
        number = _amount(table, "value", value, code)
    if number is None:
        table.fault("value", f'value {value!r} must be a percentage, such as "12.5", in quotes')
    spend = table.text("spend", "0")
    valid_from, valid_to = _validity(table)
    known_faults = len(table.faults)
    promotion = Promotion(
        id=table.text("id"),
        reason=table.text("reason"),
        kind=kind,
        basket=table.truth("basket", False),
        items=_items(table),
        percent_bp=number or 0 if is_percent else 0,
        amount_minor=0 if is_percent else number or 0,
        buy=table.whole("buy", 0, 0, 1_000),
        get=table.whole("get", 0, 0, 1_000),
        spend_minor=_amount(table, "spend", spend, code) or 0,
        repeat=table.truth("repeat", False),
        times_max=table.whole("times_max", 0, 0, 1_000),
        coupon=table.text("coupon", ""),
        once=table.truth("once", False),
        valid_from=valid_from,
        valid_to=valid_to,
        days=table.texts("days"),
        hour_from=table.text("hour_from", ""),
        hour_to=table.text("hour_to", ""),
        price_list=table.text("price_list", ""),
        group=table.text("group", ""),
        priority=table.whole("priority", 100, 0, 1_000_000),
    )
    table.end()
    if len(table.faults) == known_faults and number is not None:
        for fault in faults(promotion):
            key, rest = fault.split(" ", 1)
            key = {"percent": "value", "amount": "value"}.get(key, key)
            table.fault(key, f"{key} {rest}")
    return promotion


def _items(table: Table) -> tuple[str, ...]:
    items: list[str] = []
    for text in table.texts("items"):
        try:
            items.append(f"{read_gtin(text):014d}")
        except ValueError as error:
            table.fault("items", f"items has {error}")
    return tuple(items)


def _amount(table: Table, key: str, text: str, code: str) -> int | None:
    try:
        return currency(code).parse(text)
    except ValueError as error:
        if text:
            table.fault(key, f"{key} {error}")
        return 0


def _validity(table: Table) -> tuple[str, str]:
    fields = ["", "", "", "", "", "", "", "", table.text("valid_from", ""), table.text("valid_to", ""), ""]
    if not (fields[8] or fields[9]):
        return "", ""
    wrong: list[str] = []
    valid_from, valid_to = read_validity(fields, wrong)
    for fault in wrong:
        table.fault("valid_from" if "valid_from" in fault else "valid_to", fault)
    return valid_from, "" if valid_to == ALWAYS[1] else valid_to
