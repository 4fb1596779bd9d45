"""Orders as an attacker, a broker or an accident would have a terminal take them: what S4 sends.

Each maker gives messages (topic, payload) none of which may be run, from an order of headquarters' that is never sent as
it is; `GENUINE` orders go between them, and have to be run once each.
"""

import re
import time
from collections.abc import Callable, Mapping
from random import Random

import msgspec

from core import topics
from core.orders import WINDOW_MAX, Order, encode_order
from tests.tills import make_key

TERMINAL = "till-3"
HEADQUARTERS = make_key(7)
STRANGER = make_key(8)
HOUR_MS = 3_600_000

Sent = tuple[str, bytes]
"""A topic and a payload."""


def now_ms() -> int:
    """Unix milliseconds."""
    return time.time_ns() // 1_000_000


class Desk:
    """Numbers orders, as headquarters does."""

    def __init__(self, random: Random) -> None:
        self.counter = 0
        self.random = random
        self.run: list[Sent] = []
        """Genuine orders that were sent."""
        self.taken: list[int] = []
        """Their numbers, once they are known to have been taken."""

    def order(self, name: str = "identify", **changes: object) -> Order:
        """The next order."""
        self.counter += 1
        order = Order(
            id=f"o{self.counter}", terminal=TERMINAL, order=name, epoch=2, counter=self.counter, issued_ms=now_ms(),
            not_after_ms=now_ms() + HOUR_MS, role="security", issuer="anna", seconded="ben", params={"seconds": 1},
        )  # fmt: skip
        return msgspec.structs.replace(order, **changes)

    def genuine(self) -> Sent:
        """An order that is to be run."""
        sent = message(self.order())
        self.run.append(sent)
        return sent


def message(order: Order, payload: bytes | None = None) -> Sent:
    """An order on its own topic."""
    payload = encode_order(order, HEADQUARTERS.sign) if payload is None else payload
    return topics.order(TERMINAL, order.order, order.id), payload


def _replay(desk: Desk) -> Sent:
    """An order that was run, again; under its own name or another's."""
    topic, payload = desk.random.choice(desk.run) if desk.run else message(desk.order(not_after_ms=1))
    return (topic if desk.random.random() < 0.5 else f"{topic}x"), payload


def _renumbered(desk: Desk) -> Sent:
    """Another order of a number that was taken, or that is too old to tell, or that is none."""
    used = (0, desk.random.choice(desk.taken), *(range(1, desk.counter - 5 * WINDOW_MAX, 97)))
    return message(desk.order(counter=desk.random.choice(used)))


def _generation(desk: Desk) -> Sent:
    return message(desk.order(epoch=1))


def _expired(desk: Desk) -> Sent:
    """Its time was over before headquarters signed those that the terminal has."""
    over_ms = now_ms() - desk.random.randrange(HOUR_MS, 10**9)
    return message(desk.order(not_after_ms=over_ms, issued_ms=over_ms - HOUR_MS))


def _other_terminal(desk: Desk) -> Sent:
    order = desk.order(terminal=desk.random.choice(("till-4", "till-33", "TILL-3", "")))
    return topics.order(TERMINAL, order.order, order.id), encode_order(order, HEADQUARTERS.sign)


def _role(desk: Desk) -> Sent:
    return message(desk.order(role=desk.random.choice(("auditor", "", "cashier", "SECURITY", "root"))))


def _one_person(desk: Desk) -> Sent:
    return message(desk.order("unlock", params={}, seconded=desk.random.choice(("", "anna"))))


def _nobody(desk: Desk) -> Sent:
    return message(desk.order(issuer=""))


def _parameters(desk: Desk) -> Sent:
    wrong = ({"seconds": 0}, {"seconds": "1"}, {"seconds": 1, "more": 1}, {"seconds": 1.5}, {"seconds": None})
    return message(desk.order(params=desk.random.choice(wrong)))


def _bit(desk: Desk) -> Sent:
    topic, payload = message(desk.order())
    flipped = bytearray(payload)
    for _ in range(desk.random.choice((1, 1, 1, 2, 8))):
        flipped[desk.random.randrange(len(flipped))] ^= 1 << desk.random.randrange(8)
    return topic, bytes(flipped) if bytes(flipped) != payload else payload[:-1]


def _truncated(desk: Desk) -> Sent:
    topic, payload = message(desk.order())
    return topic, payload[: desk.random.randrange(1, len(payload))]


def _twice(desk: Desk) -> Sent:
    """A key that stands twice, as another reader of JSON would take the other one."""
    topic, payload = message(desk.order())
    place = desk.random.choice([each.start() + 1 for each in re.finditer(rb"[{,]\"", payload)])
    key = re.match(rb'"(\w+)":', payload[place:])
    assert key is not None
    return topic, payload[:place] + b'"' + key[1] + b'":0,' + payload[place:]


def _respelled(desk: Desk) -> Sent:
    """The same in other letters."""
    topic, payload = message(desk.order())
    body, mark, signature = payload.rpartition(b'"signature":"')
    spelled = (
        payload + b" ", payload[:-1], payload.replace(b":", b": "), payload.replace(b"identify", b"identif\\u0079"),
        body + mark + signature.upper(), b"\xef\xbb\xbf" + payload,
    )  # fmt: skip
    return topic, desk.random.choice(spelled)


def _misplaced(desk: Desk) -> Sent:
    """A genuine order under the name of another."""
    order = desk.order()
    _, payload = message(order)
    kind, order_id = desk.random.choice((("ping", order.id), (order.order, f"{order.id}y"), ("unlock", "u1")))
    return topics.order(TERMINAL, kind, order_id), payload


def _signed_otherwise(desk: Desk) -> Sent:
    """By another key, or by the right one for something else."""
    order = desk.order()
    if desk.random.random() < 0.5:
        return message(order, encode_order(order, STRANGER.sign))
    return message(order, encode_order(order, lambda said: HEADQUARTERS.sign(said[1:])))


MUTANTS: Mapping[str, Callable[[Desk], Sent]] = {
    "replayed": _replay,
    "renumbered": _renumbered,
    "of an old generation": _generation,
    "expired": _expired,
    "another terminal's": _other_terminal,
    "in a wrong role": _role,
    "by one person": _one_person,
    "by nobody": _nobody,
    "with wrong parameters": _parameters,
    "with bits flipped": _bit,
    "truncated": _truncated,
    "with a key twice": _twice,
    "respelled": _respelled,
    "under another's name": _misplaced,
    "signed otherwise": _signed_otherwise,
}
"""By what was done to them."""
