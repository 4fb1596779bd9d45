"""What the operator keys during a sale."""

from core.events.base import Event


class CodeKeyed(Event, frozen=True, kw_only=True, tag="code_keyed"):
    """A code was typed by hand."""

    data: str


class QuantityKeyed(Event, frozen=True, kw_only=True, tag="quantity_keyed"):
    """A line gets another quantity, in thousandths of its unit; or so much is sold of the item that waits for it. `line` 0 is
    the last one.

    `confirmed` takes one that is far outside what is usual.
    """

    quantity_milli: int
    line: int = 0
    confirmed: bool = False


class WeightKeyed(Event, frozen=True, kw_only=True, tag="weight_keyed"):
    """The weight of what waits to be weighed was typed by hand."""

    weight_g: int


class VoidKeyed(Event, frozen=True, kw_only=True, tag="void_keyed"):
    """A line is taken back. `line` 0 is the last one."""

    line: int = 0


class CouponPresented(Event, frozen=True, kw_only=True, tag="coupon_presented"):
    """A coupon: the digits of GS1 AI 255, or the code of a voucher."""

    code: str


class LineDiscountKeyed(Event, frozen=True, kw_only=True, tag="line_discount_keyed"):
    """A discount on a line, in hundredths of a percent or as an amount; with neither the line's is taken back.

    `line` 0 is the last one.
    """

    reason: str = ""
    line: int = 0
    percent_bp: int = 0
    amount_minor: int = 0


class TotalDiscountKeyed(Event, frozen=True, kw_only=True, tag="total_discount_keyed"):
    """As LineDiscountKeyed, on the whole basket."""

    reason: str = ""
    percent_bp: int = 0
    amount_minor: int = 0


class PriceKeyed(Event, frozen=True, kw_only=True, tag="price_keyed"):
    """A line gets another price for one unit. `line` 0 is the last one."""

    unit_price_minor: int
    reason: str = ""
    line: int = 0
    confirmed: bool = False


class TaxExemptionKeyed(Event, frozen=True, kw_only=True, tag="tax_exemption_keyed"):
    """The customer pays no tax, for a reason; without one the exemption is taken back."""

    reason: str = ""
    certificate: str = ""


class ItemKeyed(Event, frozen=True, kw_only=True, tag="item_keyed"):
    """A name and a price for an item that the catalogue does not have; it is sold by them at once."""

    data: str
    name: str
    unit_price_minor: int
    tax: str


class AgeKeyed(Event, frozen=True, kw_only=True, tag="age_keyed"):
    """Whether the customer is as old as the item that waits asks for."""

    of_age: bool


class OpenPriceKeyed(Event, frozen=True, kw_only=True, tag="open_price_keyed"):
    """The price for one unit of the item that waits for it."""

    unit_price_minor: int
    confirmed: bool = False


class PriceCheckKeyed(Event, frozen=True, kw_only=True, tag="price_check_keyed"):
    """What a code costs is asked; nothing is sold."""

    data: str


class DepositReturnKeyed(Event, frozen=True, kw_only=True, tag="deposit_return_keyed"):
    """Empties are given back: so many of what a code stands for, which has a deposit."""

    data: str
    count: int = 1


class SuspendKeyed(Event, frozen=True, kw_only=True, tag="suspend_keyed"):
    """The basket is put aside for another customer, under a name."""

    label: str = ""


class ResumeKeyed(Event, frozen=True, kw_only=True, tag="resume_keyed"):
    """A basket that was put aside is taken up again, by its number or its name; with neither the only one."""

    number: int = 0
    label: str = ""


class ReturnKeyed(Event, frozen=True, kw_only=True, tag="return_keyed"):
    """Goods come back that a finished sale has sold: of a line of it, or all where `line` is 0.

    `number` is the transaction's; 0 the one whose receipt was shown last. Without a quantity all that is left comes back.
    """

    number: int = 0
    line: int = 0
    quantity_milli: int | None = None
    reason: str = ""


class UnreceiptedReturnKeyed(Event, frozen=True, kw_only=True, tag="unreceipted_return_keyed"):
    """Goods come back without a receipt, at the catalogue's price or a lower one; a quantity in thousandths of the unit."""

    data: str
    reason: str
    quantity_milli: int = 1000
    unit_price_minor: int | None = None


class TransactionVoidKeyed(Event, frozen=True, kw_only=True, tag="transaction_void_keyed"):
    """A finished transaction of this day is to be made undone; `number` 0 is the last one."""

    reason: str
    number: int = 0


class CashKeyed(Event, frozen=True, kw_only=True, tag="cash_keyed"):
    """Cash was put on the counter; None means exactly what is due."""

    amount_minor: int | None = None


class CardKeyed(Event, frozen=True, kw_only=True, tag="card_keyed"):
    """A card pays; None means all that is due."""

    amount_minor: int | None = None


class AccountKeyed(Event, frozen=True, kw_only=True, tag="account_keyed"):
    """The customer's account pays, or is credited; None means all that is due, or owed."""

    amount_minor: int | None = None


class GiftCardSaleKeyed(Event, frozen=True, kw_only=True, tag="gift_card_sale_keyed"):
    """A gift card is to be sold, or loaded, with so much; which one is shown next."""

    amount_minor: int


class BalanceKeyed(Event, frozen=True, kw_only=True, tag="balance_keyed"):
    """What is on a gift card is asked, by its number; nothing is sold, and nothing is paid."""

    data: str

    def __repr__(self) -> str:
        """Without the number."""
        return "BalanceKeyed()"


class GiftCardCashOutKeyed(Event, frozen=True, kw_only=True, tag="gift_card_cash_out_keyed"):
    """What is left on a gift card is to be paid out, where it is no more than the shop's limit; which one is shown next."""


class GiftCardReturnKeyed(Event, frozen=True, kw_only=True, tag="gift_card_return_keyed"):
    """What a finished sale put on a gift card is to be taken off it: of a line of it, or the only one where `line` is 0.

    `number` is the transaction's; 0 the one whose receipt was shown last.
    """

    number: int = 0
    line: int = 0
    reason: str = ""


class CancelKeyed(Event, frozen=True, kw_only=True, tag="cancel_keyed"):
    """While a card is being paid: stop that payment. Else: give up the basket."""


class ReprintKeyed(Event, frozen=True, kw_only=True, tag="reprint_keyed"):
    """A copy of a receipt is wanted; `number` 0 is the last one."""

    number: int = 0


class InvoiceKeyed(Event, frozen=True, kw_only=True, tag="invoice_keyed"):
    """An invoice for a finished sale is wanted; `number` 0 is the last one. What is said of the buyer is kept nowhere."""

    name: str
    number: int = 0
    tax_number: str = ""
    address: tuple[str, ...] = ()

    def __repr__(self) -> str:
        """Without the buyer."""
        return f"InvoiceKeyed(number={self.number})"


class DrawerKeyed(Event, frozen=True, kw_only=True, tag="drawer_keyed"):
    """The drawer is to be opened without a sale, for a reason."""

    reason: str = ""
