"""A gift card that comes back: the payment device takes off it what it was sold with, and then its money can be given."""

import msgspec

from core import entries as e
from core import events as v
from core.goods import LINES_MAX
from core.history import Original
from core.returns import begun_of, find_original, words
from core.state import Basket, Shop, Till
from core.step import Facts, Step, refuse
from core.stored_value import change, taken_back, unload
from core.text import Message, message


def take_gift_card_back(shop: Shop, till: Till, basket: Basket, event: v.GiftCardReturnKeyed, facts: Facts) -> Step:
    """A gift card of a finished sale is emptied, if nothing has been bought with it."""
    original = find_original(shop, facts)
    if isinstance(original, Message):
        return refuse(original.id, **original.params)
    number = original.sold.number
    if any(later.voids is not None for later in original.later):
        return refuse("transaction-voided", number=number)
    sold = [line for line in original.sold.stored_value if line.returned is None and event.line in (0, line.line)]
    if not sold:
        return refuse("gift-card-none-sold", number=number)
    left = [line for line in sold if not came_back(original, basket, line.line)]
    if not left:
        return refuse("gift-card-refunded", card=sold[0].card)
    if len(left) > 1:
        return refuse("gift-card-which", number=number)
    if basket.next_line > LINES_MAX:
        return refuse("too-many-lines", lines=LINES_MAX)
    if any(order.asked.original == left[0].reference for order in till.gifts):
        return refuse("gift-card-still-unknown", card=left[0].card)
    if any(order.asked.reference == left[0].reference for order in till.gifts):
        return refuse("gift-card-still-unknown", card=left[0].card)
    begun, first = begun_of(shop, basket, original)
    if begun is None:
        return first
    asked = unload(basket, basket.next_line, left[0], begun.link, words(event.reason), facts)
    if asked.original in till.unloaded:
        told = message("gift-card-emptied", card=asked.card, amount_minor=asked.amount_minor)
        return Step(entries=(*first.entries, taken_back(asked)), notice=told)
    return Step(
        entries=(*first.entries, asked),
        effects=(change(shop, asked),),
        notice=message("gift-card-emptying", card=asked.card),
    )


def came_back(original: Original, basket: Basket, line: int) -> bool:
    """Whether a gift card of a finished sale has come back, in a finished transaction or in the open basket."""
    sold = original.sold
    before = (back.returned for later in original.later for back in later.stored_value)
    now = (gift.item.returned for gift in basket.gifts if isinstance(gift.item, e.GiftCardReturned))
    link = e.TransactionLink(epoch=sold.epoch, number=sold.number, line=line)
    return any(one is not None and msgspec.structs.replace(one, terminal="") == link for one in (*before, *now))
