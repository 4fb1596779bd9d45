"""Which role an operator's event takes: the one table that sign-on and overrides go by.

Deny by default: an event that stands in neither table of this file is refused to everybody, where operators sign on. What
an operator may not do, one with the role may approve, for one event (`core.step.Facts.approver`).
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

Role = Literal["cashier", "supervisor", "technician", "auditor"]


class Operator(msgspec.Struct, frozen=True, kw_only=True):
    """Who works at the till: a short id, such as ``17``, that means nothing outside the shop, and a role."""

    id: str
    role: Role


HELD: Mapping[Role, frozenset[Role]] = {
    "cashier": frozenset(("cashier",)),
    "supervisor": frozenset(("supervisor", "cashier", "auditor")),
    "technician": frozenset(("technician",)),
    "auditor": frozenset(("auditor",)),
}
"""What each role includes: a supervisor sells and looks into the books too; a technician does neither."""

Needed = Role | Literal["anybody"]

NEEDED: Mapping[str, Needed] = {
    # goods
    "scanned": "cashier",
    "code_keyed": "cashier",
    "tag_presented": "cashier",
    "card_swiped": "cashier",
    "quantity_keyed": "cashier",
    "weight_keyed": "cashier",
    "void_keyed": "cashier",
    "item_keyed": "supervisor",
    "age_keyed": "cashier",
    "open_price_keyed": "cashier",
    "price_check_keyed": "cashier",
    "balance_keyed": "cashier",
    "deposit_return_keyed": "cashier",
    "return_keyed": "supervisor",
    "unreceipted_return_keyed": "supervisor",
    "transaction_void_keyed": "supervisor",
    "gift_card_return_keyed": "supervisor",
    "gift_card_cash_out_keyed": "supervisor",
    # prices
    "coupon_presented": "cashier",
    "line_discount_keyed": "supervisor",
    "total_discount_keyed": "supervisor",
    "price_keyed": "supervisor",
    "tax_exemption_keyed": "supervisor",
    # money
    "cash_keyed": "cashier",
    "card_keyed": "cashier",
    "account_keyed": "cashier",
    "gift_card_sale_keyed": "cashier",
    "cancel_keyed": "cashier",
    "suspend_keyed": "cashier",
    "resume_keyed": "cashier",
    "drawer_keyed": "supervisor",
    "reprint_keyed": "cashier",
    "invoice_keyed": "cashier",
    # the till
    "business_day_keyed": "supervisor",
    "till_open_keyed": "cashier",
    "cash_move_keyed": "supervisor",
    "count_begun_keyed": "cashier",
    "count_keyed": "cashier",
    "count_given_up_keyed": "cashier",
    "till_close_keyed": "cashier",
    "x_report_keyed": "supervisor",
    "z_report_keyed": "supervisor",
    "paper_sale_keyed": "supervisor",
    # who works here
    "operator_checked": "anybody",
    "lock_keyed": "anybody",
    "sign_off_keyed": "anybody",
    "note_seen_keyed": "cashier",
    "operator_administered": "supervisor",
    "training_keyed": "supervisor",
}
"""By the event's tag: the role that an operator's event takes. What a device brings that an operator does counts too."""

READS: Mapping[str, Needed] = {
    "sale.subtotal": "cashier",
    "till.status": "cashier",
    "return.receipt": "cashier",
    "history.find": "auditor",
    "operator.list": "supervisor",
    "device.list": "anybody",
    "device.test": "anybody",
    "device.record": "anybody",
    "journal.status": "anybody",
    "daemon.status": "anybody",
}
"""Methods of the control socket that change nothing: the role that it takes to be told. What tells of no sale is for
whoever the system lets in (`terminald.unixsocket`): the technician's console asks for its own PIN."""

FACTS = frozenset(
    (
        "scan_garbled", "tag_torn", "card_encrypted", "card_refused", "card_garbled", "drawer_sensed", "drawer_found",
        "drawer_left_open", "drawer_stuck", "printer_sensed", "weight_sensed", "key_lock_turned", "case_opened",
        "power_sensed", "device_changed", "payment_answered", "payment_refused", "payment_unanswered",
        "payment_taken_back", "reversal_unanswered", "receipt_taken", "receipt_uncertain", "booted", "till_idled",
        "button_pressed", "invoice_torn", "payments_totalled", "report_torn", "gift_card_reserved", "gift_card_unreserved",
        "stored_value_answered", "stored_value_refused", "stored_value_unanswered", "balance_told", "balance_untold",
    )
)  # fmt: skip
"""Events that nobody orders: they happen, and nobody needs to be signed on. A button is asked for what it orders."""


def holds(role: Role, needed: Needed) -> bool:
    """Whether a role is, or includes, the one that is needed."""
    return needed == "anybody" or needed in HELD[role]


def needed_for(tag: str) -> Needed | None:
    """The role that an event takes; None where nobody may, because no table knows it."""
    return "anybody" if tag in FACTS else NEEDED.get(tag)
