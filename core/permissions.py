"""Which role an operator's event takes: the one table that sign-on and overrides go by."""

from typing import Literal

Role = Literal["cashier", "supervisor", "technician", "auditor"]

NEEDED: dict[str, Role] = {
    "line_discount_keyed": "supervisor",
    "total_discount_keyed": "supervisor",
    "price_keyed": "supervisor",
    "tax_exemption_keyed": "supervisor",
    "item_keyed": "supervisor",
    "coupon_presented": "cashier",
    "age_keyed": "cashier",
    "open_price_keyed": "cashier",
    "price_check_keyed": "cashier",
    "deposit_return_keyed": "cashier",
}
"""By the event's tag. An operator without the role may have one with it approve the same event (`approver`)."""
