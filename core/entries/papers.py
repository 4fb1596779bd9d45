"""Receipts, copies and invoices, and the drawer."""

from core.entries.base import Entry
from core.ledger import Stream


class ReceiptPrinted(Entry, tag="receipt_printed", frozen=True, kw_only=True):
    """The printer took a whole receipt. `copy` is 0 for the first, then counts; `doubtful` says it was so marked."""

    number: int
    copy: int
    doubtful: bool = False


class CopyOrdered(Entry, tag="copy_ordered", frozen=True, kw_only=True):
    """A copy of a receipt was asked for. Each has a number of its own, whether it comes out of the printer or not."""

    STREAM = Stream.COPIES
    number: int
    copy: int
    operator: str = ""
    approver: str = ""


class InvoiceOrdered(Entry, tag="invoice_ordered", frozen=True, kw_only=True):
    """An invoice for a finished sale was asked for: `copy` is 0 for the first, then counts. The buyer is not in it."""

    number: int
    copy: int
    operator: str = ""


class DrawerCommanded(Entry, tag="drawer_commanded", frozen=True, kw_only=True):
    """The operator had the drawer opened without a sale (ARTS no sale), for a reason; durable before the kick."""

    STREAM = Stream.TILL
    MOVES_MONEY = True
    reason: str = ""
    operator: str = ""
    approver: str = ""


class DrawerOpened(Entry, tag="drawer_opened", frozen=True, kw_only=True):
    """The drawer's sensor saw it open; `commanded` says whether a kick came shortly before."""

    STREAM = Stream.TILL
    commanded: bool


class DrawerFound(Entry, tag="drawer_found", frozen=True, kw_only=True):
    """The drawer stands otherwise than it was last seen: it moved while nobody looked."""

    STREAM = Stream.TILL
    is_open: bool


class DrawerLeftOpen(Entry, tag="drawer_left_open", frozen=True, kw_only=True):
    """The drawer has been open for longer than is allowed."""

    STREAM = Stream.TILL
    open_ms: int


class DrawerStayedShut(Entry, tag="drawer_stayed_shut", frozen=True, kw_only=True):
    """The drawer was to open and did not; `fault` is why, or ``drawer-shut`` where its sensor saw nothing."""

    STREAM = Stream.TILL
    fault: str


class DrawerClosed(Entry, tag="drawer_closed", frozen=True, kw_only=True):
    """The drawer's sensor saw it closed after `open_ms`."""

    STREAM = Stream.TILL
    open_ms: int
