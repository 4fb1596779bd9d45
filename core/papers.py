"""Papers: the receipt, its copies, and the one that may be a copy."""

from core import effects as x
from core import entries as e
from core import events as v
from core.receipt import compose
from core.state import Completed, Shop, Till
from core.step import Step, refuse
from core.text import message


def print_receipt(shop: Shop, completed: Completed, *, copy: int, doubtful: bool = False) -> x.PrintReceipt:
    """The order to put a receipt on paper."""
    return x.PrintReceipt(
        number=completed.sale.number,
        copy=copy,
        doubtful=doubtful,
        document=compose(shop, completed, copy=copy, doubtful=doubtful),
    )


def reprint(shop: Shop, till: Till) -> Step:
    """A copy of the last receipt that there is, with a number that no other copy of it has."""
    completed = till.last.completed if till.last is not None else None
    if completed is None:
        return refuse("nothing-to-reprint")
    number = completed.sale.number
    if completed.printed == 0 and any(waiting.sale.number == number for waiting in till.unprinted):
        return refuse("receipt-waiting")
    copy = max(completed.printed, completed.copies + 1)
    return Step(
        entries=(e.CopyOrdered(number=number, copy=copy),), effects=(print_receipt(shop, completed, copy=copy),)
    )


def print_again(shop: Shop, till: Till, event: v.ReceiptUncertain) -> Step:
    """A receipt that may be on paper already is printed once more, and says so."""
    for completed in till.unprinted:
        if completed.sale.number == event.number:
            return Step(effects=(print_receipt(shop, completed, copy=0, doubtful=True),))
    return Step(notice=message("copy-not-printed"), level="error")
