"""What the customer's display, the lights and the tone do, over a sale."""

from core import effects as x
from core import entries as e
from core import events as v
from core.fold import apply
from core.signs import signs
from core.state import Till
from core.step import Step
from tests.core.transcript import SHOP, Player


class Counter:
    """A till and the newest of each sign."""

    def __init__(self) -> None:
        self.player = Player()
        self.seen: list[x.SignEffect] = []

    def take(self, event: v.AnyEvent) -> Step:
        taken = self.player.take(event)
        self.seen = list(signs(SHOP, self.player.till, event, taken))
        return taken

    @property
    def rows(self) -> tuple[tuple[str, str], tuple[str, str]] | None:
        return next(((s.upper, s.lower) for s in self.seen if isinstance(s, x.ShowOnDisplay)), None)

    @property
    def lights(self) -> str:
        (state,) = (s.state for s in self.seen if isinstance(s, x.SetLights))
        return state

    @property
    def tones(self) -> list[str]:
        return [s.tone for s in self.seen if isinstance(s, x.SoundTone)]


def scan(code: str) -> v.Scanned:
    return v.Scanned(device="scanner", data=code)


def test_a_start_welcomes_the_customer() -> None:
    counter = Counter()
    counter.take(v.Booted())
    assert counter.rows == ((SHOP.name, ""), ("", ""))
    assert counter.lights == "ready"


def test_a_sale_as_the_customer_reads_it() -> None:
    counter = Counter()
    counter.take(scan("4006381333931"))
    line = counter.player.till.sale.basket.lines[0].item  # type: ignore[union-attr]
    price = SHOP.currency.format(line.amount_minor)
    assert counter.rows == ((line.name, price), ("TOTAL EUR", price))
    counter.take(v.QuantityKeyed(quantity_milli=2000))
    double = SHOP.currency.format(2 * line.amount_minor)
    assert counter.rows == ((line.name, double), ("TOTAL EUR", double))
    counter.take(v.CashKeyed(amount_minor=1))
    due = SHOP.currency.format(2 * line.amount_minor - 1)
    assert counter.rows == (("Paid", "0.01"), ("To pay", due))
    counter.take(v.CashKeyed(amount_minor=2 * line.amount_minor))
    assert counter.rows == (("TOTAL EUR", double), ("Change", "0.01"))


def test_a_line_taken_back_is_less() -> None:
    counter = Counter()
    counter.take(scan("4006381333931"))
    counter.take(v.VoidKeyed())
    assert counter.rows is not None
    assert counter.rows[0][1].startswith("-")
    assert counter.rows[1] == ("TOTAL EUR", "0.00")


def test_a_refusal_sounds_and_shows_the_customer_nothing() -> None:
    counter = Counter()
    counter.take(v.CashKeyed())
    assert (counter.rows, counter.lights, counter.tones) == (None, "attention", ["refused"])
    counter.take(scan("4006381333931"))
    assert (counter.lights, counter.tones) == ("ready", [])


def test_a_card_keeps_the_till_busy() -> None:
    counter = Counter()
    counter.take(scan("4006381333931"))
    taken = counter.take(v.CardKeyed())
    assert counter.lights == "busy"
    assert counter.rows is not None
    assert counter.rows[0][0] == "Card"
    (asked,) = (effect for effect in taken.effects if isinstance(effect, x.RequestPayment))
    counter.take(v.PaymentUnanswered(reference=asked.reference))
    assert counter.lights == "attention"
    assert counter.rows == (("One moment please", ""), ("", ""))


def test_a_basket_given_up_welcomes_the_next_one() -> None:
    counter = Counter()
    counter.take(scan("4006381333931"))
    counter.take(v.CancelKeyed())
    assert counter.rows == ((SHOP.name, ""), ("", ""))


def test_a_customer_alone_is_no_line() -> None:
    counter = Counter()
    counter.take(v.TagPresented(device="nfc", uid="04", technology="type2"))
    assert counter.rows == ((SHOP.name, ""), ("TOTAL EUR", "0.00"))


def test_it_follows_from_the_till_alone() -> None:
    till = apply(Till(), e.TransactionOpened(number=1, business_day="2026-01-02", currency="EUR"))
    first = signs(SHOP, till, v.Booted(), Step())
    assert first == signs(SHOP, till, v.Booted(), Step())
    assert first[0] == x.ShowOnDisplay(upper=(SHOP.name, ""), lower=("TOTAL EUR", "0.00"))
