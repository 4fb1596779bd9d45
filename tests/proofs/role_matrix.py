"""What each role may do, written down a second time and by hand, by the methods of the control socket: for S7.

It shares nothing with `core.permissions`: a method that stands here and not there, or the other way round, is found.
"""

from typing import Literal

Row = tuple[Literal["anybody", "cashier", "supervisor", "auditor"], dict[str, object]]

ITEM = "3017620422003"

MATRIX: dict[str, Row] = {
    "rpc.discover": ("anybody", {}),
    "view.get": ("anybody", {}),
    "view.subscribe": ("anybody", {}),
    "daemon.status": ("anybody", {}),
    "journal.status": ("anybody", {}),
    "device.list": ("anybody", {}),
    "device.test": ("anybody", {"name": "none"}),
    "device.record": ("anybody", {"name": "none"}),
    "operator.sign_on": ("anybody", {"operator": "17", "pin": "4821"}),
    "operator.sign_off": ("anybody", {}),
    "operator.lock": ("anybody", {}),
    "operator.claim": ("anybody", {"operator": "2", "pin": "739154", "claim": "00000000"}),
    "operator.reclaim": ("anybody", {"code": "0000"}),
    "sale.scan": ("cashier", {"data": ITEM}),
    "sale.quantity": ("cashier", {"quantity_milli": 2000}),
    "sale.weight": ("cashier", {"weight_g": 500}),
    "sale.void": ("cashier", {}),
    "sale.coupon": ("cashier", {"code": "SPRING"}),
    "sale.age": ("cashier", {"of_age": True}),
    "sale.open_price": ("cashier", {"unit_price_minor": 100}),
    "sale.price_check": ("cashier", {"data": ITEM}),
    "sale.deposit_return": ("cashier", {"data": ITEM}),
    "sale.suspend": ("cashier", {}),
    "sale.resume": ("cashier", {}),
    "sale.subtotal": ("cashier", {}),
    "sale.cash": ("cashier", {}),
    "sale.account": ("cashier", {}),
    "sale.card": ("cashier", {}),
    "gift.sell": ("cashier", {"amount_minor": 1000}),
    "gift.balance": ("cashier", {"data": ITEM}),
    "sale.cancel": ("cashier", {}),
    "note.seen": ("cashier", {}),
    "receipt.reprint": ("cashier", {}),
    "receipt.invoice": ("cashier", {"name": "Buyer Ltd"}),
    "till.status": ("cashier", {}),
    "till.open": ("cashier", {"float_minor": 10_000}),
    "till.begin_count": ("cashier", {}),
    "till.count": ("cashier", {"amount_minor": 0}),
    "till.give_up_count": ("cashier", {}),
    "till.close": ("cashier", {}),
    "sale.line_discount": ("supervisor", {"percent_bp": 1000, "reason": "dented"}),
    "sale.total_discount": ("supervisor", {"percent_bp": 1000, "reason": "goodwill"}),
    "sale.price": ("supervisor", {"unit_price_minor": 300, "reason": "price on the shelf"}),
    "sale.item": ("supervisor", {"data": "5000112637922", "name": "Cola", "unit_price_minor": 145, "tax": "A"}),
    "sale.tax_exemption": ("supervisor", {"reason": "embassy", "certificate": "D-17"}),
    "sale.by_hand": ("supervisor", {"paper": "7", "written": "2026-11-20T10:00"}),
    "drawer.open": ("supervisor", {}),
    "return.line": ("supervisor", {"reason": "torn"}),
    "return.unreceipted": ("supervisor", {"data": ITEM, "reason": "torn"}),
    "gift.cash_out": ("supervisor", {}),
    "gift.return": ("supervisor", {"reason": "not wanted"}),
    "return.void": ("supervisor", {"reason": "wrong goods"}),
    "till.business_day": ("supervisor", {"business_day": "2026-11-22"}),
    "till.loan": ("supervisor", {"amount_minor": 100}),
    "till.pickup": ("supervisor", {"amount_minor": 100}),
    "till.deposit": ("supervisor", {"amount_minor": 100}),
    "till.paid_in": ("supervisor", {"amount_minor": 100, "reason": "found"}),
    "till.paid_out": ("supervisor", {"amount_minor": 100, "reason": "stamps"}),
    "till.training": ("supervisor", {"on": False}),
    "report.x": ("supervisor", {"paper": False}),
    "report.z": ("supervisor", {"paper": False}),
    "operator.list": ("supervisor", {}),
    "operator.add": ("supervisor", {"operator": "31", "role": "cashier", "pin": "4821"}),
    "operator.remove": ("supervisor", {"operator": "30"}),
    "operator.role": ("supervisor", {"operator": "30", "role": "cashier"}),
    "operator.pin": ("supervisor", {"operator": "30", "pin": "5930"}),
    "operator.badge": ("supervisor", {"operator": "30", "code": "STAFF:0030"}),
    "operator.unlock": ("supervisor", {"operator": "30"}),
    "return.receipt": ("cashier", {"number": 1}),
    "history.find": ("auditor", {}),
}
"""By method: who may, and parameters that fit."""

READS = ("sale.subtotal", "return.receipt", "till.status", "operator.list", "history.find")
"""They take no approval: who may not know, does not learn it by another's PIN."""

ADMINISTRATION = (
    "operator.add", "operator.remove", "operator.role", "operator.pin", "operator.badge", "operator.unlock",
)  # fmt: skip
"""Here a supervisor's PIN is enough, whoever stands at the till."""

SUBJECTS = (
    "nobody + supervisor", "nobody", "locked", "cashier", "supervisor", "technician", "auditor", "cashier + supervisor", "cashier + cashier",
    "technician + supervisor", "locked + supervisor",
)  # fmt: skip
SELLING = ("locked", "cashier", "supervisor", "cashier + supervisor", "cashier + cashier", "locked + supervisor")
"""Who may have a basket before him."""


def admits(subject: str, method: str) -> bool:
    """Whether the till takes an order from them, as far as their role goes."""
    needed, _ = MATRIX[method]
    match needed:
        case "anybody":
            return True
        case "cashier":
            return subject in ("cashier", "supervisor", "cashier + supervisor", "cashier + cashier")
        case "supervisor" if method in ADMINISTRATION and subject.endswith(" + supervisor"):
            return True
        case "supervisor":
            return subject == "supervisor" or (subject == "cashier + supervisor" and method not in READS)
        case "auditor":
            return subject in ("supervisor", "auditor")
