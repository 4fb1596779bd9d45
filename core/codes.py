"""One scan, one meaning for the state that the till is in: which question a code asks, or why the state cannot take it."""

from typing import assert_never

from core import events as v
from core import receipt_code
from core.gift_card import GiftCard
from core.product_recall import gtins_in
from core.scan import Method, Scan, bare, classify, reading, refusal
from core.state import Idle, Ringing, Shop, Tendering, Till, voucher_kind
from core.step import (
    CouponShown,
    CustomerWanted,
    GiftCardShown,
    ItemWanted,
    OperatorWanted,
    OriginalWanted,
    Question,
    WalletShown,
)
from core.stripe import is_issued
from core.text import message
from core.wallet import WalletCode


def question(shop: Shop, till: Till, event: v.Scanned | v.CodeKeyed, today: str) -> Question:
    """What a code asks of the store, on a day (ISO 8601). A code that is not an item has its own refusal, with the next step."""
    aim = event.aim if isinstance(event, v.Scanned) else None
    method: Method = "scanned" if isinstance(event, v.Scanned) else "keyed"
    scan = classify(event.data, aim, shop.code_rules(), tendering=isinstance(till.sale, Tendering))
    if scan.reason == "wallet-too-early" and shop.wallets and isinstance(till.sale, Ringing):
        # It can be nothing else, and where phones pay nobody has to say first that the goods are finished.
        scan = classify(event.data, aim, shop.code_rules(), tendering=True)
    match scan.kind:
        case "gtin" | "gs1" | "digital_link" | "variable_measure":
            item = reading(scan, method, today)
            return ItemWanted(reading=item) if item is not None else message("code-of-no-item")
        case "loyalty":
            # As the number on a swiped card: the same customer by whichever way.
            return CustomerWanted(uid=f"card:{scan.identity}".encode().hex())
        case "wallet":
            return _wallet(shop, till, scan, event.data)
        case "voucher":
            pays = voucher_kind(shop, scan.identity or "") is not None and isinstance(till.sale, Ringing)
            return CouponShown(
                code=scan.identity or "",
                recalled_by=gtins_in(till.sale.basket) if pays and isinstance(till.sale, Ringing) else (),
            )
        case "staff":
            if not shop.sign_on:
                return message("staff-card-not-taken")
            return OperatorWanted(badge=f"card:{scan.identity}".encode().hex(), typed=method == "keyed")
        case "gift_card":
            return gift_card(till, scan.identity or "")
        case "receipt":
            if not isinstance(till.sale, Idle | Ringing):
                return message("receipt-in-a-sale")
            receipt = receipt_code.parse(scan.identity or "")
            return OriginalWanted(number=receipt.number, epoch=receipt.epoch, terminal=receipt.terminal)
        case "unknown" | "rejected":
            return refusal(scan, event.data)
    assert_never(scan.kind)


def gift_card(till: Till, number: str) -> GiftCardShown:
    """A gift card's number, however it was read."""
    recalled_by = gtins_in(till.sale.basket) if isinstance(till.sale, Ringing) else ()
    return GiftCardShown(card=GiftCard(number=number), recalled_by=recalled_by)


def _wallet(shop: Shop, till: Till, scan: Scan, data: str) -> Question:
    """The payment that a phone's code stands for, where the payment device takes it."""
    if scan.wallet is None or scan.wallet not in shop.wallets:
        return message("wallet-not-taken")
    code = bare(data)
    if is_issued(code):
        # By chance what a scheme's card may have for its number, and no such number leaves a till in the clear.
        return message("wallet-like-card")
    recalled_by = gtins_in(till.sale.basket) if isinstance(till.sale, Ringing) else ()
    return WalletShown(shown=WalletCode(wallet=scan.wallet, code=code), recalled_by=recalled_by)
