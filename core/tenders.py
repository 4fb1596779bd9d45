"""Tenders beside cash and cards: the shop's own vouchers, and a customer's account.

Over-tender is a rule of the kind: change comes from cash alone; a card and an account pay what is due at most; a voucher
is worth what it is worth, and the configuration says what becomes of the rest. Names are ARTS' (ODM TenderTypeCode).
"""

from core import entries as e
from core import events as v
from core.card import holds_card
from core.payment import complete_if_paid, fixed_discounts, owed_minor
from core.pricing import paid_minor, price
from core.state import Basket, Shop, Till, voucher_kind
from core.step import Facts, Step, refuse

VOUCHER_LENGTH_MAX = 40


def take_voucher(shop: Shop, till: Till, basket: Basket, code: str, facts: Facts) -> Step:
    """A voucher of a fixed value pays, once for all time."""
    kind = voucher_kind(shop, code)
    if kind is None or len(code) > VOUCHER_LENGTH_MAX or len(code) == len(kind.prefix) or holds_card(code):
        return refuse("voucher-not-known")
    if code in till.vouchers or any(tender.voucher == code for tender in basket.tenders):
        return refuse("voucher-used")
    priced = price(shop, basket)
    due = priced.payable_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    if kind.amount_minor > due and kind.rest == "none":
        return refuse("voucher-too-much", amount_minor=kind.amount_minor, due_minor=due)
    counted = min(kind.amount_minor, due) if kind.rest == "forfeit" else kind.amount_minor
    taken = e.VoucherTendered(
        tender=basket.tenders_begun + 1,
        voucher=code,
        amount_minor=counted,
        forfeited_minor=kind.amount_minor - counted,
    )
    return complete_if_paid(shop, till, (*fixed_discounts(basket, priced), taken), facts)


def charge_account(shop: Shop, till: Till, basket: Basket, event: v.AccountKeyed, facts: Facts) -> Step:
    """What is due is charged to the account of the customer who has shown himself, or goes back to it."""
    priced = price(shop, basket)
    if (owed := owed_minor(basket, priced)) > 0:
        return _credit(shop, till, basket, event, owed, facts)
    if not shop.account_limit_minor:
        return refuse("no-accounts")
    due = priced.payable_minor - paid_minor(basket)
    if due <= 0:
        return refuse("nothing-due")
    if basket.customer is None:
        return refuse("account-of-nobody")
    charged = sum(tender.amount_minor for tender in basket.tenders if tender.kind == "CUST_ACCT")
    amount_minor = due if event.amount_minor is None else event.amount_minor
    if amount_minor <= 0:
        return refuse("amount-not-positive")
    if amount_minor > due:
        return refuse("tender-over-due", amount_minor=due)
    if charged + amount_minor > shop.account_limit_minor:
        return refuse("account-over-limit", amount_minor=shop.account_limit_minor - charged)
    tender = basket.tenders_begun + 1
    entry = e.AccountCharged(
        tender=tender, reference=f"{basket.number}/{tender}", customer=basket.customer, amount_minor=amount_minor
    )
    return complete_if_paid(shop, till, (*fixed_discounts(basket, priced), entry), facts)


def _credit(shop: Shop, till: Till, basket: Basket, event: v.AccountKeyed, owed: int, facts: Facts) -> Step:
    for origin in (tender for begun in basket.originals for tender in begun.tenders if tender.kind == "CUST_ACCT"):
        given = sum(back.amount_minor for back in basket.tenders if back.refund_of == origin.reference)
        most = min(owed, origin.amount_minor - given)
        if most <= 0:
            continue
        amount_minor = most if event.amount_minor is None else event.amount_minor
        if not 0 < amount_minor <= most:
            return refuse("refund-over-owed", amount_minor=most)
        entry = e.AccountCredited(
            tender=basket.tenders_begun + 1,
            original=origin.reference,
            customer=origin.customer,
            amount_minor=amount_minor,
        )
        fixed = fixed_discounts(basket, price(shop, basket))
        return complete_if_paid(shop, till, (*fixed, entry), facts)
    return refuse("no-account-to-credit")
