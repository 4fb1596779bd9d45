"""What the bench suggests to try next, by what the till does and by what has been tried already."""

from collections.abc import Collection

from core.view import View


def hint(view: View | None, tried: Collection[str], *, network_cut: bool, paper_out: bool, crowd: bool) -> str:
    """One line. `tried` holds the keys of the bench that were pressed so far."""
    if view is None:
        return "The till is starting. Pull its plug as often as you like: nothing you do here can lose a sale."
    if crowd:
        return "A crowd is shopping. Press k or n now: the totals will agree again by themselves. a ends it."
    match view.sale.mode:
        case "authorizing":
            return "The customer is at the payment device: c pays, d is declined, x pays and the answer gets lost."
        case "enquiring":
            return "The till does not know whether the card was charged, so it asks. It never charges twice."
        case "reversing":
            return "The till gives the card's money back before the basket goes."
    if network_cut:
        return "The broker is down. Go on selling: the journal keeps all of it. n lets headquarters catch up."
    if paper_out:
        return "No paper. Sell on: the receipts wait. p puts a new roll in."
    if view.sale.owed_minor:
        return "Goods come back: F1 gives the cash, F2 the card's money. The receipt says what came back."
    if view.sale.mode == "idle":
        if view.sale.parked:
            return "A basket was put aside: F6 takes it up again, after a pulled plug too."
        if view.day.transactions == 0:
            return "Press 1 to scan a jar of Nutella, or click on anything."
        return _next(tried)
    if "k" not in tried:
        return "F1 takes cash, F2 a card. Or pull the plug with k now: the basket comes back."
    return (
        "F1 takes cash (Enter for the exact sum), F2 a card; F6 puts the basket aside, F10 has discounts and the rest."
    )


def _next(tried: Collection[str]) -> str:
    """The first thing that was not tried yet."""
    for key, words in _LESSONS:
        if key not in tried:
            return words
    return (
        "Give goods back with F7 and the number on a receipt; F3, F1 sells a gift card, such as 6006490000001003; F10 has"
        " the till's day. Ctrl-Q ends the demonstration."
    )


_LESSONS = (
    ("k", "Nothing you do here can lose a sale: scan something, then pull the plug with k."),
    ("n", "Cut the network with n, go on selling, and watch headquarters catch up when you press n again."),
    ("7", "Expired goods are refused: try 7. A code that is misread is named: try 9."),
    ("p", "Take the printer's paper out with p, and sell something: the sale completes, the receipt waits."),
    ("x", "Pay with F2, then x: the card is charged and the answer lost. The till asks, and never charges twice."),
    ("u", "Unplug a device with u in the middle of a sale; it comes back by itself."),
    ("a", "Send a crowd of shoppers with a, and pull the plug while they shop."),
)
