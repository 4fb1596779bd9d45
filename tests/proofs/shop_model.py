"""A shop as a child would count it: goods on the counter, money in the drawer, what a payment device has moved.

It knows nothing of the till's states, entries or prices: it is told what was asked for and whether the till took it, does
what the till's effects ask of the world, and keeps books of its own. Where it and the till do not agree, it says so.
"""

from collections import Counter
from dataclasses import dataclass, field

GOODS = {"4006381333931": 129, "036000291452": 420, "96385074": 1290, "4008400404127": 95}
"""What is scanned, and what one costs (minor units)."""


class Disagreement(Exception):
    """The till and the model say different things."""


@dataclass(slots=True)
class Piece:
    """So many pieces on the counter; `of` is the receipt, and its line, that they were sold with when they come back.

    A `gift` card is money that is owed to whoever has it: it is no goods.
    """

    price_minor: int
    count: int
    of: tuple[int, int] | None = None
    voided: bool = False
    gift: bool = False


@dataclass(slots=True)
class Receipt:
    """A finished transaction: what was sold, what of it is still with the customer, and the money that is for it."""

    pieces: dict[int, tuple[int, int]]
    left: dict[int, int]
    kept_minor: int
    gifts: dict[int, int] = field(default_factory=dict)
    """Gift cards that were sold and have not come back, by their lines."""
    has_returns: bool = False
    voided: bool = False


@dataclass(slots=True)
class Ledger:
    """The payment device's: money that it moved, each by its reference; below zero what went back to a card."""

    moved: dict[str, int] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    reversed: set[str] = field(default_factory=set)
    values: set[str] = field(default_factory=set)
    """References under which a gift card's value was changed."""

    def total_minor(self) -> int:
        """All that it has."""
        return sum(amount for reference, amount in self.moved.items() if reference not in self.reversed)


@dataclass(slots=True)
class ShopModel:
    """The books. `counter` is the basket in hand, `parked` those put aside."""

    ledger: Ledger = field(default_factory=Ledger)
    counter: list[Piece] = field(default_factory=list)
    parked: dict[int, list[Piece]] = field(default_factory=dict)
    receipts: dict[int, Receipt] = field(default_factory=dict)
    drawer_minor: int = 0
    billed_minor: int = 0
    """What customers are billed for, and vouchers that were taken."""
    vouchers: set[str] = field(default_factory=set)
    sold_minor: int = 0
    owed_minor: int = 0
    """What was paid for gift cards, less what was given back for them."""
    unmade_minor: int = 0
    """Refunds that count as given and that the payment device has not made: told, and paid out by other means."""

    def total_minor(self) -> int:
        """What the basket in hand comes to."""
        return sum(piece.price_minor * piece.count for piece in self.counter if not piece.voided and not piece.gift)

    def gifts_minor(self) -> int:
        """What its gift cards come to."""
        return sum(piece.price_minor * piece.count for piece in self.counter if not piece.voided and piece.gift)

    def rung_up(self, code: str) -> None:
        """A scanned piece: the last line counts up, else there is a new one."""
        last = self.counter[-1] if self.counter else None
        goods = last is not None and not last.voided and last.of is None and not last.gift
        if last is not None and goods and last.price_minor == GOODS[code]:
            last.count += 1
        else:
            self.counter.append(Piece(GOODS[code], 1))

    def may_return(self, number: int, line: int, count: int) -> bool:
        """Whether so many pieces of a receipt's line can come back."""
        receipt = self.receipts.get(number)
        if receipt is None or receipt.voided or line not in receipt.left:
            return False
        return 0 < count <= receipt.left[line] - self._coming_back(number, line)

    def returned(self, number: int, line: int, count: int) -> None:
        """Pieces of a receipt's line lie on the counter again."""
        price_minor = self.receipts[number].pieces[line][0]
        self.counter.append(Piece(price_minor, -count, of=(number, line)))

    def finished(
        self, number: int, total_minor: int, change_minor: int, cash_minor: int, cards_minor: int, other_minor: int
    ) -> None:
        """The transaction is final: of each so much came in, less what went out, the change not counted."""
        if total_minor != self.total_minor():
            raise Disagreement(f"#{number} comes to {total_minor}, and its goods to {self.total_minor()}")
        gifts_minor = self.gifts_minor()
        if cash_minor + cards_minor + other_minor != total_minor + gifts_minor + change_minor:
            paid = f"{cash_minor} + {cards_minor} + {other_minor}"
            raise Disagreement(
                f"#{number}: {paid} is not {total_minor}, {gifts_minor} for gift cards and {change_minor} change"
            )
        if number in self.receipts:
            raise Disagreement(f"#{number} is finished twice")
        self.drawer_minor += cash_minor - change_minor
        self.billed_minor += other_minor
        self.sold_minor += total_minor
        self.owed_minor += gifts_minor
        standing = {at: piece for at, piece in enumerate(self.counter, 1) if not piece.voided and not piece.gift}
        gifts = {at: piece for at, piece in enumerate(self.counter, 1) if not piece.voided and piece.gift}
        sold = {at: (piece.price_minor, piece.count) for at, piece in standing.items() if piece.count > 0}
        self.receipts[number] = Receipt(
            pieces=sold,
            left={at: count for at, (_, count) in sold.items()},
            kept_minor=sum(price * count for price, count in sold.values()),
            gifts={at: piece.price_minor for at, piece in gifts.items() if piece.count > 0},
            has_returns=any(piece.count < 0 for piece in (*standing.values(), *gifts.values())),
        )
        for piece in standing.values():
            if piece.of is not None:
                self._back(piece)
        for piece in gifts.values():
            if piece.of is not None and self.receipts[piece.of[0]].gifts.pop(piece.of[1], 0) != piece.price_minor:
                raise Disagreement(f"a gift card of #{piece.of[0]} came back that was not sold, or twice")
        self.counter = []

    def given_up(self, returned_minor: int, cash_minor: int) -> None:
        """The basket is given up: what was paid in cash has to be given back, no more and no less."""
        if returned_minor != cash_minor:
            raise Disagreement(f"{cash_minor} had been paid in cash, and {returned_minor} is given back")
        self.counter = []

    def balanced(self) -> None:
        """All money is somewhere. Raises Disagreement."""
        have = self.drawer_minor + self.ledger.total_minor() + self.billed_minor
        if have != self.sold_minor + self.owed_minor + self.unmade_minor:
            raise Disagreement(
                f"there is {have}, and {self.sold_minor} was sold, {self.owed_minor} is owed for gift cards,"
                f" {self.unmade_minor} not given back"
            )

    def _back(self, piece: Piece) -> None:
        assert piece.of is not None
        number, line = piece.of
        receipt = self.receipts[number]
        receipt.left[line] += piece.count
        receipt.kept_minor += piece.count * piece.price_minor
        if receipt.left[line] < 0 or receipt.kept_minor < 0:
            raise Disagreement(f"more of #{number} came back than was bought")

    def _coming_back(self, number: int, line: int) -> int:
        return -sum(piece.count for piece in self.counter if piece.of == (number, line) and not piece.voided)
