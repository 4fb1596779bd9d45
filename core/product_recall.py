"""Recalled goods: what headquarters or the shop has taken off sale, by item or by lot. No role sells them nevertheless.

EU 178/2002 art. 14 and 19: what is unsafe is neither sold nor left with customers. A lot is compared as it is kept, that
is, without what may be a card's number.
"""

from collections.abc import Iterable, Sequence

import msgspec

from core.card import wipe
from core.state import Basket, Line


class ProductRecall(msgspec.Struct, frozen=True, kw_only=True):
    """One lot of an item, or all of it (`lot` empty), by the recall's `id`. `gtin` in 14 digits, `since` a date (ISO 8601)."""

    id: str
    gtin: str
    lot: str
    reason: str
    since: str


def gtins_of(gtin: str, item: str | None) -> tuple[str, ...]:
    """What goods may be recalled by: the code that was scanned, and the item that it stands for."""
    return (gtin,) if item is None or item == gtin else (gtin, item)


def hit(recalls: Iterable[ProductRecall], gtins: Sequence[str], lot: str | None) -> ProductRecall | None:
    """The recall that goods of this lot fall under."""
    return next(
        (one for one in recalls if one.gtin in gtins and (not one.lot or (lot is not None and wipe(one.lot) == lot))),
        None,
    )


def doubt(recalls: Iterable[ProductRecall], gtins: Sequence[str], lot: str | None) -> ProductRecall | None:
    """A recall of some lots of goods whose lot the code does not say."""
    return next((one for one in recalls if one.gtin in gtins), None) if lot is None else None


def gtins_in(basket: Basket) -> tuple[str, ...]:
    """By what the goods in a basket may be recalled, each once."""
    sold = (line.item for line in basket.lines if not line.voided and line.item.quantity_milli > 0)
    return tuple(dict.fromkeys(gtin for item in sold for gtin in gtins_of(item.gtin, item.item)))


def recalled_line(basket: Basket, recalls: Sequence[ProductRecall]) -> Line | None:
    """The first line that falls under a recall."""
    if not recalls:
        return None
    return next(
        (
            line
            for line in basket.lines
            if not line.voided
            and line.item.quantity_milli > 0  # recalled goods may well come back
            and hit(recalls, gtins_of(line.item.gtin, line.item.item), line.item.lot)
        ),
        None,
    )
