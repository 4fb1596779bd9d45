"""An item of the shop, as the catalogue knows it, and the form in which headquarters sends changes to it.

An update is a text of JSON lines, in any compression that whoever carries it likes::

    {"format":1,"from_number":41,"from_hash":"...","to_number":42}
    {"op":"put","gtin":"4006381333931","name":"Pencil","unit":"each","price":"1.20","tax":"B"}
    {"op":"stock","gtin":"4006381333931","stock":"31"}
    {"op":"drop","gtin":"40170725"}
    {"op":"put-promotion","promotion":{"id":"autumn","reason":"Autumn sale","kind":"percent","percent_bp":1000}}
    {"op":"drop-promotion","id":"summer"}
    {"op":"recall","id":"2026-114","gtin":"4006381333931","lot":"A17","reason":"glass splinters"}
    {"op":"lift-recall","id":"2026-091"}
    {"lines":7,"sha256":"..."}

The last line hashes all bytes before it; that hash is also the name of the version which the update makes. The first
names the version which it changes: its number, and its hash (of the update that made it, or of the CSV file that was
imported). The hash finds what was torn or altered on the way. It is no signature: who may have an update applied is
settled by whoever may run that command.
"""

import hashlib
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Literal, get_args

import msgspec

from core import nesting
from core.promotion import Promotion

COLUMNS = (
    "gtin", "name", "unit", "price", "tax", "item", "pack", "list", "valid_from", "valid_to", "stock",
    "discount", "deposit", "min_age", "open_price",
)  # fmt: skip
"""What a row of goods may say, in CSV by its column and in an update by its field; `store.catalogue_rows` reads them."""

COLUMNS_NEEDED = COLUMNS[:5]
FORMAT = 1


Unit = Literal["each", "kg", "l", "m"]
"""What a price is for: a piece; a kilogram, which is weighed; a litre or a metre, which the counter measures and types."""
UNITS: tuple[Unit, ...] = get_args(Unit)
MEASURED: tuple[Unit, ...] = ("l", "m")


class Item(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a GTIN stands for (GS1 General Specifications, GTIN in 14 digits with leading zeros).

    `unit_price_minor` is the price of one `unit` in minor units of the shop's currency, `tax` the code of a tax rate in
    the shop's configuration. A code that carries a price or a weight (GS1 restricted circulation number) is kept under
    its digits with the value field zeroed and the check digit computed anew.

    Of an item that is not `discountable` nothing is taken off. `deposit` is the GTIN of the item that is rung up with each
    unit, `min_age` the age in years below which it may not be sold (0: none); of an `open_price` the price is asked.

    Many codes may stand for one item: then `item` is that item's own GTIN. One scan of a pack without a price of its
    own rings up `count` of it; a pack with a price is one unit, and `contains` so many.
    """

    gtin: str
    name: str
    unit: Unit
    unit_price_minor: int
    tax: str
    item: str | None = None
    count: int = 1
    contains: int = 1
    discountable: bool = True
    deposit: str | None = None
    min_age: int = 0
    open_price: bool = False


class Traits(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What few items have: kept as one text with the item, none for most."""

    discountable: bool = True
    deposit: str | None = None
    min_age: int = 0
    open_price: bool = False


class UpdateHead(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An update's first line: the version that it changes and the number of the one that it makes. Hashes are hex."""

    format: int
    from_number: int
    from_hash: str
    to_number: int


class Change(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One change: a row put in place of what was there, dropped, or only an item's stock counted anew.

    A `promotion` is as in `core.promotion`, with amounts in minor units; one is dropped by its `id`. A recall of a `lot`,
    or of all of an item where that is empty, has an `id` that it is lifted by; `since` is a date, for the record.
    Without `list`, `valid_from` and `valid_to` a drop takes an item with its codes, prices and stock, or one code; with
    them one price.
    """

    op: Literal["put", "drop", "stock", "put-promotion", "drop-promotion", "recall", "lift-recall"]
    gtin: str = ""
    name: str = ""
    unit: str = ""
    price: str = ""
    tax: str = ""
    item: str = ""
    pack: str = ""
    list: str = ""
    valid_from: str = ""
    valid_to: str = ""
    stock: str = ""
    discount: str = ""
    deposit: str = ""
    min_age: str = ""
    open_price: str = ""
    id: str = ""
    promotion: Promotion | None = None
    lot: str = ""
    reason: str = ""
    since: str = ""

    def fields(self) -> tuple[str, ...]:
        """What it says, in the order of `COLUMNS`."""
        return (
            self.gtin, self.name, self.unit, self.price, self.tax, self.item, self.pack, self.list, self.valid_from,
            self.valid_to, self.stock, self.discount, self.deposit, self.min_age, self.open_price,
        )  # fmt: skip


class UpdateEnd(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An update's last line: how many changes there are, and SHA-256 (hex) over all bytes before it."""

    lines: int
    sha256: str


class UpdateTorn(ValueError):
    """An update is not as headquarters wrote it: cut off or altered."""


_encoder = msgspec.json.Encoder()
_head = msgspec.json.Decoder(UpdateHead)
_end = msgspec.json.Decoder(UpdateEnd)
_change = msgspec.json.Decoder(Change)


def write_update(head: UpdateHead, changes: Iterable[Change]) -> Iterator[bytes]:
    """The lines of an update, each with its newline."""
    digest = hashlib.sha256()
    count = -1
    for value in chain((head,), changes):
        line = _encoder.encode(value) + b"\n"
        digest.update(line)
        count += 1
        yield line
    yield _encoder.encode(UpdateEnd(lines=count, sha256=digest.hexdigest())) + b"\n"


def check_update(lines: Iterable[bytes]) -> tuple[UpdateHead, UpdateEnd]:
    """First and last line of a whole update. Raises UpdateTorn."""
    digest = hashlib.sha256()
    first = held = b""
    count = -2
    for line in lines:
        digest.update(held)
        first = first or line
        held = line
        count += 1
    try:
        end = nesting.decode(_end, held)
    except ValueError:
        raise UpdateTorn(f"it was cut off: line {count + 2} is not its end") from None
    if end.sha256 != digest.hexdigest() or end.lines != count:
        raise UpdateTorn("it was altered: its hash does not fit what stands in it")
    try:
        head = nesting.decode(_head, first)
    except ValueError as error:
        raise UpdateTorn(f"line 1 is not the beginning of an update: {error}") from None
    if head.format != FORMAT:
        raise UpdateTorn(f"it has format {head.format}, and this software reads {FORMAT}")
    return head, end


def read_change(line: bytes) -> Change:
    """The change in a line between the first and the last. Raises ValueError that names what is wrong."""
    try:
        return nesting.decode(_change, line)
    except ValueError as error:
        raise ValueError(f"not a change: {error}") from None
