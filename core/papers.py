"""Papers: the receipt, its copies, the one that may be a copy, and the invoice of a finished sale."""

from core import effects as x
from core import entries as e
from core import events as v
from core.card import holds_card
from core.invoice import Buyer, compose_invoice
from core.receipt import compose
from core.state import Completed, Papers, Shop, Till
from core.step import Facts, PaperWanted, Step, refuse
from core.text import message

BUYER_LENGTH_MAX = 100
ADDRESS_LINES_MAX = 4


def paper_wanted(till: Till, event: v.ReprintKeyed | v.InvoiceKeyed) -> PaperWanted | None:
    """What is asked of the journal for a paper of a receipt that is not the last one."""
    last = till.last.completed if till.last is not None else None
    if not event.number or (last is not None and last.sale.number == event.number):
        return None
    return PaperWanted(number=event.number)


def print_receipt(shop: Shop, completed: Completed, *, copy: int, doubtful: bool = False) -> x.PrintReceipt:
    """The order to put a receipt on paper."""
    return x.PrintReceipt(
        number=completed.sale.number,
        copy=copy,
        doubtful=doubtful,
        document=compose(shop, completed, copy=copy, doubtful=doubtful),
    )


def reprint(shop: Shop, till: Till, event: v.ReprintKeyed, facts: Facts) -> Step:
    """A copy of a receipt, the last one or one that was found, with a number that no other copy of it has."""
    completed = _meant(till, event, facts)
    if isinstance(completed, Step):
        return completed
    number = completed.sale.number
    if completed.printed == 0 and any(waiting.sale.number == number for waiting in till.unprinted):
        return refuse("receipt-waiting")
    copy = max(completed.printed, completed.copies + 1, _known(till, number).copies + 1, 1)
    return Step(
        entries=(e.CopyOrdered(number=number, copy=copy),), effects=(print_receipt(shop, completed, copy=copy),)
    )


def invoice(shop: Shop, till: Till, event: v.InvoiceKeyed, facts: Facts) -> Step:
    """The invoice of a finished sale, for the buyer and for the books: that it was printed is kept, for whom is not."""
    completed = _meant(till, event, facts)
    if isinstance(completed, Step):
        return completed
    buyer = Buyer(
        name=" ".join(event.name.split()),
        tax_number=" ".join(event.tax_number.split()),
        address=tuple(line for each in event.address if (line := " ".join(each.split()))),
    )
    said = (buyer.name, buyer.tax_number, *buyer.address)
    if not buyer.name or len(buyer.address) > ADDRESS_LINES_MAX:
        return refuse("buyer-not-valid")
    if any(len(text) > BUYER_LENGTH_MAX or not text.isprintable() for text in said):
        return refuse("buyer-not-valid")
    if any(holds_card(text) for text in (buyer.name, *buyer.address)):  # a tax number may look like one
        return refuse("buyer-not-valid")
    number = completed.sale.number
    copy = max(completed.invoices, _known(till, number).invoices)
    document = compose_invoice(shop, completed, buyer, copy=copy)
    return Step(
        entries=(e.InvoiceOrdered(number=number, copy=copy),),
        effects=(x.PrintInvoice(number=number, document=document),),
        notice=message("invoice-ordered", number=number),
    )


def print_again(shop: Shop, till: Till, event: v.ReceiptUncertain) -> Step:
    """A receipt that may be on paper already is printed once more, and says so."""
    for completed in till.unprinted:
        if completed.sale.number == event.number:
            return Step(effects=(print_receipt(shop, completed, copy=0, doubtful=True),))
    return Step(notice=message("copy-not-printed"), level="error")


def _meant(till: Till, event: v.ReprintKeyed | v.InvoiceKeyed, facts: Facts) -> Completed | Step:
    if paper_wanted(till, event) is not None:
        found = facts.found
        return found if found is not None else refuse("receipt-not-found", number=event.number)
    last = till.last.completed if till.last is not None else None
    return last if last is not None else refuse("nothing-to-reprint")


def _known(till: Till, number: int) -> Papers:
    return next((papers for papers in till.papers if papers.number == number), Papers(number=number))
