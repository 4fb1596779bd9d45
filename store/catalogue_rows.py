"""What a row of goods says, and all that is wrong with one. A row is of one of three kinds:

- an item: gtin, name, unit (``each``, ``kg``, ``l`` or ``m``), price, tax, and perhaps stock, discount (``no``: nothing is taken off), deposit (the GTIN of the
  item rung up with it), min_age (in years), open_price (``yes``: it is asked);
- a code of an item: gtin, item (the GTIN of that item), and perhaps pack (how many of it), a name and a price of the pack;
- a price of one of these: gtin, price, and at least one of list, valid_from and valid_to.

Prices are for one unit, decimal, in the shop's currency. `valid_from` and `valid_to` are dates or local times to the
minute (``2026-11-20``, ``2026-11-20T18:00``); a date as `valid_to` is the last day on which the price holds, a time the
first minute at which it does not. Fields that a kind does not have stay empty.
"""

import re
from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import NamedTuple

import msgspec

from core.card import holds_card, wipe
from core.catalogue import COLUMNS, MEASURED, UNITS, Traits
from core.money import Currency
from core.scan import check_digit

NAME_LENGTH_MAX = 100
LIST_LENGTH_MAX = 32
PRICE_MINOR_MAX = 10**12
PACK_MAX = 9_999
STOCK_MAX = 10**9
ALWAYS = ("", "9999")
"""`valid_from` and `valid_to` of a price whose sides are both open."""

AGE_MAX = 99
_TRAITS = (11, 12, 13, 14)
_GTIN_LENGTHS = (8, 12, 13, 14)
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d)?", re.ASCII)
_STOCK = re.compile(r"(\d{1,10})(?:[.,](\d{1,3}))?", re.ASCII)
_ONLY_DIGIT = 48  # ord("0")


class ItemRow(NamedTuple):
    """An item. `stock_milli` is None where the row does not speak of stock."""

    gtin: int
    name: str
    unit: str
    price_minor: int
    tax: str
    stock_milli: int | None
    traits: str | None = None


class CodeRow(NamedTuple):
    """A code for `pack` of the item of another GTIN. Without a price the items' own counts."""

    gtin: int
    item: int
    pack: int
    name: str | None
    price_minor: int | None


class PriceRow(NamedTuple):
    """A price of an item or a code, in a price list ("" is everybody's) and from a local time up to another."""

    gtin: int
    list: str
    valid_from: str
    valid_to: str
    price_minor: int


class RowReader:
    """Reads rows for a shop: its currency, and the codes of its tax rates."""

    def __init__(self, currency: Currency, taxes: Collection[str]) -> None:
        self._currency = currency
        self._taxes = frozenset(taxes)

    def read(self, fields: Sequence[str]) -> ItemRow | CodeRow | PriceRow:
        """The row of `fields` in the order of `COLUMNS`. Raises ValueError that names all that is wrong with it."""
        faults: list[str] = []
        if fields[5]:
            row: ItemRow | CodeRow | PriceRow = self._code(fields, faults)
        elif fields[7] or fields[8] or fields[9]:
            row = self._price(fields, faults)
        else:
            row = self._item(fields, faults)
        if faults:
            raise ValueError("; ".join(faults))
        return row

    def _item(self, fields: Sequence[str], faults: list[str]) -> ItemRow:
        gtin, name, unit, price, tax, _, pack, _, _, _, stock, discount, deposit, min_age, open_price = fields
        number = _gtin(gtin, faults)
        _check_name(name, faults)
        if unit not in UNITS:
            faults.append(f"unit {unit!r} is none of {', '.join(UNITS)}")
        if unit in MEASURED and open_price == "yes":
            faults.append(f"what is sold by the {unit} has a price of its own")
        price_minor = self._amount(price, faults)
        if tax not in self._taxes:
            faults.append(f"tax {tax!r} is none of {', '.join(sorted(self._taxes))}")
        if pack and pack != "1":
            faults.append(f"pack {pack!r} needs the GTIN of what is in it as item")
        stock_milli = read_stock(stock, faults) if stock else None
        traits = _traits(fields, faults) if discount or deposit or min_age or open_price else None
        return ItemRow(number, name, unit, price_minor, tax, stock_milli, traits)

    def _code(self, fields: Sequence[str], faults: list[str]) -> CodeRow:
        gtin, name, _, price, _, item, pack = fields[:7]
        number, item_number = _gtin(gtin, faults), _gtin(item, faults, "item ")
        _refuse_filled(fields, (2, 4, 7, 8, 9, 10, *_TRAITS), "a code of another item", faults)
        if number == item_number and not faults:
            faults.append(f"{gtin} stands for itself")
        if name:
            _check_name(name, faults)
        count = 1
        if pack:
            if pack.isascii() and pack.isdigit() and len(pack) <= len(str(PACK_MAX)) and int(pack) >= 1:
                count = int(pack)
            else:
                faults.append(f"pack {pack!r} is not a whole number from 1 to {PACK_MAX}")
        return CodeRow(number, item_number, count, name or None, self._amount(price, faults) if price else None)

    def _price(self, fields: Sequence[str], faults: list[str]) -> PriceRow:
        gtin, price, price_list = fields[0], fields[3], fields[7]
        number = _gtin(gtin, faults)
        _refuse_filled(fields, (1, 2, 4, 6, 10, *_TRAITS), "a price of a list or for a time", faults)
        valid_from, valid_to = read_validity(fields, faults)
        return PriceRow(number, price_list, valid_from, valid_to, self._amount(price, faults))

    def _amount(self, text: str, faults: list[str]) -> int:
        try:
            amount_minor = self._currency.parse(text)
        except ValueError as fault:
            faults.append(f"price {text} is negative" if text.strip().startswith("-") else f"price {fault}")
            return 0
        if amount_minor > PRICE_MINOR_MAX:
            faults.append(f"price {text} is too high")
        return amount_minor


def read_gtin(text: str) -> int:
    """A GTIN as the number that the database knows it by. Raises ValueError that says why it is none."""
    faults: list[str] = []
    number = _gtin(text, faults)
    if faults:
        raise ValueError(faults[0])
    return number


def read_validity(fields: Sequence[str], faults: list[str]) -> tuple[str, str]:
    """From when until when a row's price holds, as the database has it; checks its price list too."""
    if len(fields[7]) > LIST_LENGTH_MAX or not fields[7].isprintable():
        faults.append(f"list is longer than {LIST_LENGTH_MAX} characters, or holds some that cannot be printed")
    valid_from, valid_to = ALWAYS
    try:
        valid_from = _moment(fields[8], last=False) if fields[8] else valid_from
        valid_to = _moment(fields[9], last=True) if fields[9] else valid_to
    except ValueError as fault:
        faults.append(str(fault))
    else:
        if valid_from >= valid_to:
            faults.append(f"valid_from {fields[8]} is not before valid_to {fields[9]}")
    return valid_from, valid_to


def read_stock(text: str, faults: list[str]) -> int:
    """Thousandths of a unit."""
    match = _STOCK.fullmatch(text)
    if match is None or int(match[1]) > STOCK_MAX:
        faults.append(f"stock {text!r} is not a quantity from 0 to {STOCK_MAX} with at most 3 decimal places")
        return 0
    return int(match[1]) * 1000 + int((match[2] or "").ljust(3, "0"))


def _traits(fields: Sequence[str], faults: list[str]) -> str | None:
    discount, deposit, min_age, open_price = (fields[place] for place in _TRAITS)
    for name, value in (("discount", discount), ("open_price", open_price)):
        if value not in ("", "yes", "no"):
            faults.append(f"{name} {value!r} is neither yes nor no")
    if min_age and not (min_age.isascii() and min_age.isdigit() and len(min_age) <= 2):
        faults.append(f"min_age {min_age!r} is not an age from 0 to {AGE_MAX}")
        min_age = ""
    traits = Traits(
        discountable=discount != "no",
        deposit=f"{_gtin(deposit, faults, 'deposit '):014d}" if deposit else None,
        min_age=int(min_age or 0),
        open_price=open_price == "yes",
    )
    return None if traits == Traits() else msgspec.json.encode(traits).decode()


def _gtin(text: str, faults: list[str], what: str = "") -> int:
    length = len(text)
    if not (text.isascii() and text.isdigit() and length in _GTIN_LENGTHS):
        faults.append(f"{what}{wipe(text)!r} is no GTIN: 8, 12, 13 or 14 digits")
        return 0
    raw = text.encode()
    # Weights 1 and 3 from the right, the check digit included, come to a multiple of ten: the sums run in C.
    odd, even = raw[-1::-2], raw[-2::-2]
    if (sum(odd) + 3 * sum(even) - _ONLY_DIGIT * (len(odd) + 3 * len(even))) % 10:
        faults.append(f"{what}{wipe(text)} has the check digit {text[-1]}, and should have {check_digit(text[:-1])}")
    return int(text)


def _check_name(name: str, faults: list[str]) -> None:
    if not name.strip():
        faults.append("the name is empty")
    elif len(name) > NAME_LENGTH_MAX or not name.isprintable():
        faults.append(f"the name is longer than {NAME_LENGTH_MAX} characters, or holds some that cannot be printed")
    elif holds_card(name):
        faults.append("the name holds what may be a card's number")


def _refuse_filled(fields: Sequence[str], places: Sequence[int], what: str, faults: list[str]) -> None:
    filled = [COLUMNS[place] for place in places if fields[place]]
    if filled:
        faults.append(f"{what} has no {', '.join(filled)}: leave it empty")


@lru_cache(maxsize=1024)
def _moment(text: str, *, last: bool) -> str:
    """A date or a local time as the database compares it; a date that is the `last` day ends with that day."""
    name = "valid_to" if last else "valid_from"
    if not _MOMENT.fullmatch(text):
        raise ValueError(f"{name} {text!r} is neither a date (2026-11-20) nor a local time (2026-11-20T18:00)")
    try:
        moment = datetime.fromisoformat(text)
        if last and len(text) == len("2026-11-20"):
            moment += timedelta(days=1)
    except (ValueError, OverflowError):
        raise ValueError(f"{name} {text!r} is no day of the calendar") from None
    return moment.isoformat(timespec="minutes")
