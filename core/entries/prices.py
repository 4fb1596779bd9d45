"""What changes a price: promotions, discounts, coupons, other prices, exemptions."""

import msgspec

from core.entries.base import Entry


class DiscountShare(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """What one discount takes off one line."""

    line: int
    amount_minor: int


class Discount(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A discount as it was applied (POSLog RetailPriceModifier): what for, how much, and off which lines.

    `promotion` is the promotion's id, none for a discount that a person gave. `shares` add up to `amount_minor`; both
    count up from zero, though the price goes down. `whole` is one on the basket as one, which its lines share.
    """

    reason: str
    amount_minor: int
    shares: tuple[DiscountShare, ...]
    promotion: str = ""
    whole: bool = False


class DiscountsApplied(Entry, tag="discounts_applied", frozen=True, kw_only=True):
    """Payment begins: these are all discounts of the basket, the ones that persons gave included.

    They stand in place of any said before, until goods change again. A replay needs no promotion's rules.
    """

    discounts: tuple[Discount, ...] = ()


class CouponTaken(Entry, tag="coupon_taken", frozen=True, kw_only=True):
    """A coupon was presented (GS1 AI 255, or a voucher's code); whether it pays off is in DiscountsApplied.

    `once` is one that is taken a single time, in whatever sale.
    """

    coupon: str
    promotion: str
    once: bool = False


class DiscountGiven(Entry, tag="discount_given", frozen=True, kw_only=True):
    """A person gave a discount on a line, or on the whole where `line` is 0, in place of one given there before.

    It is a part in hundredths of a percent, or an amount. `operator` gave it, `approver` allowed it where he may not.
    """

    line: int
    reason: str
    percent_bp: int = 0
    amount_minor: int = 0
    operator: str = ""
    approver: str = ""


class DiscountWithdrawn(Entry, tag="discount_withdrawn", frozen=True, kw_only=True):
    """The discount that a person gave on a line, or on the whole where `line` is 0, was taken back."""

    line: int


class PriceOverridden(Entry, tag="price_overridden", frozen=True, kw_only=True):
    """A line's price for one unit is another (POSLog RegularSalesUnitPrice and ActualSalesUnitPrice), and so its amount."""

    line: int
    regular_unit_price_minor: int
    unit_price_minor: int
    amount_minor: int
    reason: str
    operator: str = ""
    approver: str = ""


class TaxExempted(Entry, tag="tax_exempted", frozen=True, kw_only=True):
    """The customer pays no tax on this sale (POSLog TaxExemption). `certificate` is the number of his organisation's.

    With neither reason nor certificate the exemption was taken back.
    """

    reason: str = ""
    certificate: str = ""
    operator: str = ""
    approver: str = ""


class LineRepriced(Entry, tag="line_repriced", frozen=True, kw_only=True):
    """A line's price for one unit is what the catalogue says now: its basket had been put aside meanwhile."""

    line: int
    unit_price_minor: int
    amount_minor: int
