"""Orders that headquarters signs for one terminal, whatever way they come: a file, a stick, MQTT. No I/O.

An order is JSON; its Ed25519 signature is over the exact bytes of it and the terminal's name, under a tag of its own, so
that no signature of anything else is one of an order. There is one way only to write an order down: bytes that say the
same otherwise (a key twice, a space, a capital in the signature) are no order.

It counts once. Headquarters numbers its orders (`epoch`, its generation, and `counter`, rising for each terminal); they
begin with 1 and may arrive in any sequence, and a `Window` of those that were taken refuses the second of a number, and what is older than
the window. `ORDERS` is the one table of what can be ordered, by whom, and what becomes of it when the power goes.
"""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, ClassVar, Literal

import msgspec

from core import nesting
from core.card import holds_card
from core.ledger import verify
from core.topics import check_order_id

ORDER_BYTES_MAX = 4_096
WINDOW_MAX = 256
"""Numbers that a terminal remembers as taken, of the highest ones; what is below the lowest of them is refused."""
RELEASE_TAMPER = "release-tamper"
"""Lets a terminal sell again whose case was opened; its parameter `incident` names the opening."""
CONTENT_BYTES_MAX = 256 << 20
"""What a catalogue that comes by a URL has at most."""
_TAG = b"terminald/order/1\0"
_SHA256 = re.compile(r"[0-9a-f]{64}")

Sign = Callable[[bytes], bytes]
Whole = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""A number that every reader of JSON keeps exactly."""


# --- errors ------------------------------------------------------------------------------------------------------


class OrderError(ValueError):
    """An order is not carried out. `code` is stable."""

    code: ClassVar[str] = "order"


class OrderUnreadable(OrderError):
    """It is no order, or only a part of one."""

    code = "order-unreadable"


class OrderForged(OrderError):
    """Its signature is not that of headquarters' key over this order for this terminal."""

    code = "order-forged"


class OrderMisaddressed(OrderError):
    """It is for another terminal, or another order than the one that is wanted."""

    code = "order-misaddressed"


class OrderExpired(OrderError):
    """Its time is over."""

    code = "order-expired"


class OrderReplayed(OrderError):
    """It was carried out before, or is older than what this terminal remembers of orders."""

    code = "order-replayed"


class OrderUnknown(OrderError):
    """This version of the terminal knows no such order."""

    code = "order-unknown"


class OrderNotAllowed(OrderError):
    """Whoever gave it has not the role for it, or it takes two persons."""

    code = "order-not-allowed"


class OrderParamsWrong(OrderError):
    """Its parameters are not those of this order."""

    code = "order-params-wrong"


# --- what can be ordered -----------------------------------------------------------------------------------------

FleetRole = Literal["auditor", "support", "manager", "security"]
"""Roles of headquarters' people. An auditor looks, and orders nothing."""

HELD: Mapping[str, frozenset[str]] = {
    "auditor": frozenset(("auditor",)),
    "support": frozenset(("auditor", "support")),
    "manager": frozenset(("auditor", "support", "manager")),
    "security": frozenset(("auditor", "support", "security")),
}
"""What each role includes: who looks after keys does not change prices, and the other way round."""

Text = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
Url = Annotated[str, msgspec.Meta(pattern=r"^https://[^\s@/]+/\S*$", max_length=1_000)]
"""HTTPS alone, and no name or password before the host: what is kept of an order is no place for a secret."""


class Params(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Of an order that takes none."""


class Identify(Params, frozen=True, kw_only=True):
    """For how long lamps, tones and the screen say which terminal it is."""

    seconds: Annotated[int, msgspec.Meta(ge=1, le=60)] = 10


class Note(Params, frozen=True, kw_only=True):
    """A line for people in the shop."""

    text: Text


class Logs(Params, frozen=True, kw_only=True):
    """The newest lines; sent to `url` (HTTPS, PUT) where one is given, else in the result, as many as fit."""

    lines: Annotated[int, msgspec.Meta(ge=1, le=5_000)] = 200
    url: Url | Literal[""] = ""


class StaffChange(Params, frozen=True, kw_only=True):
    """Operators (their ids) who may not work here any more; with none of them, the list alone."""

    revoke: Annotated[tuple[Name, ...], msgspec.Meta(max_length=50)] = ()


class Recall(Params, frozen=True, kw_only=True):
    """Takes one lot of an item, or all of it (`lot` empty), off sale (`core.product_recall`)."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]
    gtin: Annotated[str, msgspec.Meta(pattern=r"^[0-9]{8,14}$")]
    lot: Annotated[str, msgspec.Meta(max_length=20)] = ""
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    since: Annotated[str, msgspec.Meta(max_length=10)] = ""


class LiftRecall(Params, frozen=True, kw_only=True):
    """Sells again what the recall of this id took off sale."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=40)]


class Content(Params, frozen=True, kw_only=True):
    """A file that comes over HTTPS: where it is, its SHA-256 (hex) and its size."""

    url: Url
    sha256: Annotated[str, msgspec.Meta(pattern=f"^{_SHA256.pattern}$")]
    size_bytes: Annotated[int, msgspec.Meta(ge=1, le=CONTENT_BYTES_MAX)]


class Release(Params, frozen=True, kw_only=True):
    """The opening of the case that is forgiven."""

    incident: Name


class Kind(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `ORDERS`.

    `persons` 2: one gives it and another seconds it. `disruptive`: it waits until no sale is open and, where the terminal's
    configuration says when, until the shop is shut. `again`: cut off by a power cut it is run again; otherwise it fails
    as `interrupted`. `timeless`: run late it does no harm, so a terminal that does not know the time runs it all the same.
    `by_file`: it comes by a file alone, because a terminal that needs it is not connected.
    """

    what: str
    role: FleetRole
    params: type[Params] = Params
    persons: Literal[1, 2] = 1
    disruptive: bool = False
    again: bool = False
    timeless: bool = False
    by_file: bool = False


ORDERS: Mapping[str, Kind] = {
    "ping": Kind(what="answers, with its clock", role="support", again=True, timeless=True),
    "identify": Kind(
        what="lamps, a tone and the screen say which terminal it is", role="support", params=Identify, timeless=True
    ),
    "report": Kind(what="tells its health now", role="support", again=True, timeless=True),
    "restart": Kind(what="starts the daemon anew", role="support", disruptive=True),
    "lock": Kind(
        what="no new sale begins; one that is open is finished", role="security", params=Note, again=True, timeless=True
    ),
    "unlock": Kind(what="sells again after `lock`", role="security", persons=2, again=True),
    "message": Kind(
        what="stands on the screen until somebody has seen it", role="support", params=Note, again=True, timeless=True
    ),
    "logs": Kind(what="the newest lines of the log, without card data", role="support", params=Logs, again=True),
    "verify": Kind(what="looks through the whole journal", role="support", again=True, timeless=True),
    "backup": Kind(what="makes a backup now", role="support", again=True, timeless=True),
    "rotate-keys": Kind(
        what="encrypts all databases under new keys, at a new start", role="security", persons=2, disruptive=True
    ),
    "renew-certificate": Kind(what="asks for a new certificate now", role="security", again=True),
    "staff": Kind(
        what="who works here; who is revoked is signed off and does not sign on again",
        role="manager", params=StaffChange, again=True,
    ),
    "open-claim": Kind(
        what="whoever stands before the screen may become the till's owner, for 15 minutes", role="security", persons=2
    ),
    "recall": Kind(what="takes a lot off sale", role="manager", params=Recall, again=True, timeless=True),
    "lift-recall": Kind(what="sells it again", role="manager", params=LiftRecall, again=True),
    "catalogue": Kind(
        what="takes items, prices, promotions and recalls from a file", role="manager", params=Content, again=True
    ),
    "retire": Kind(
        what="delivers all that was sold, then destroys its keys", role="security", persons=2, disruptive=True
    ),
    RELEASE_TAMPER: Kind(
        what="sells again after the case was opened", role="security", params=Release, again=True, by_file=True
    ),
}  # fmt: skip


# --- one order ---------------------------------------------------------------------------------------------------


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one terminal is to do, once, from `not_before_ms` until `not_after_ms` (Unix milliseconds).

    `id` names it in topics and in the audit log; an order by file may have none. `epoch` and `counter` number it. `role`
    says in which role `issuer` gave it, and `seconded` who agreed. `issued_ms` is when it was signed.
    """

    terminal: str
    order: str
    counter: Whole
    not_after_ms: Whole
    role: str
    params: dict[str, Any] = {}
    id: str = ""
    epoch: Whole = 0
    issued_ms: Whole = 0
    not_before_ms: Whole = 0
    issuer: str = ""
    seconded: str = ""


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """An order on its way: `signature` (hex) is over the exact bytes of `order`."""

    order: msgspec.Raw
    signature: str


_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)
_signed_decoder = msgspec.json.Decoder(_Signed)


def encode_order(order: Order, sign: Sign) -> bytes:
    """An order, signed, as it is published or written to a file: one line of JSON."""
    body = _encoder.encode(order)
    signature = sign(_message(order.terminal, body)).hex()
    return _encoder.encode(_Signed(order=msgspec.Raw(body), signature=signature)) + b"\n"


def open_signed(payload: bytes, *, terminal: str, public_key: bytes) -> Order:
    """The order in a payload, believed to be headquarters' for this terminal; not whether it may be run, and when.

    Raises OrderUnreadable, OrderForged or OrderMisaddressed, in this order.
    """
    if len(payload) > ORDER_BYTES_MAX:
        raise OrderUnreadable(f"an order has {ORDER_BYTES_MAX} bytes at most")
    try:
        signed = nesting.decode(_signed_decoder, payload)
        signature = bytes.fromhex(signed.signature)
        order = nesting.decode(_order_decoder, signed.order)
        exact = _encoder.encode(
            _Signed(order=msgspec.Raw(_encoder.encode(order)), signature=signature.hex())
        )  # of a key that stands twice only one comes back
    except (ValueError, OverflowError) as error:  # the latter of a number that cannot be written again
        raise OrderUnreadable(f"no signed order: {error}") from error
    if exact + b"\n" != payload:
        raise OrderUnreadable("no signed order: it is not written down as orders are")
    if not verify(public_key, _message(order.terminal, bytes(signed.order)), signature):
        raise OrderForged("headquarters' key did not sign this order")
    if order.terminal != terminal:
        raise OrderMisaddressed(f"it orders {order.order!r} of {order.terminal!r}, not of {terminal!r}")
    return order


def open_order(
    payload: bytes, *, terminal: str, wanted: str, public_key: bytes, now_ms: int, counter: int = 0
) -> Order:
    """The order in a file, believed: `wanted`, for this terminal, in time, above `counter`.

    Raises OrderUnreadable, OrderForged, OrderMisaddressed, OrderExpired or OrderReplayed, in this order.
    """
    order = open_signed(payload, terminal=terminal, public_key=public_key)
    if order.order != wanted:
        raise OrderMisaddressed(f"it orders {order.order!r}, not {wanted!r}")
    if now_ms > order.not_after_ms:
        raise OrderExpired("its time is over")
    if order.counter <= counter:
        raise OrderReplayed(f"order {order.counter} comes after order {counter} was carried out")
    return order


def check_order(order: Order) -> Params:
    """The parameters of an order that may be given so: by terminals before they run it, by headquarters before it signs.

    Raises OrderUnknown, OrderNotAllowed, OrderParamsWrong, or OrderMisaddressed where its id cannot stand in a topic.
    """
    kind = ORDERS.get(order.order)
    if kind is None:
        raise OrderUnknown(f"{order.order[:40]!r} is no order that is known here")
    if kind.role not in HELD.get(order.role, ()):
        raise OrderNotAllowed(f"{order.order} takes the role {kind.role}")
    if not kind.by_file and not order.issuer:
        raise OrderNotAllowed("it does not say who gave it")
    if kind.persons == 2 and order.seconded in ("", order.issuer):
        raise OrderNotAllowed(f"{order.order} takes two persons")
    if not kind.by_file:
        try:
            check_order_id(order.id)
        except ValueError as error:
            raise OrderMisaddressed(str(error)) from error
    try:
        params = msgspec.convert(order.params, kind.params)
    except msgspec.ValidationError as error:
        raise OrderParamsWrong(f"{order.order}: {error}") from error
    for name in ("text", "reason", "id"):
        text = getattr(params, name, "")
        if holds_card(text) or not text.isprintable():
            raise OrderParamsWrong(f"{order.order}: {name} must be printable, and hold no card's number")
    return params


Timing = Literal["early", "due", "over", "unsure"]


def timing(order: Order, *, now_ms: int, known_ms: int, is_sure: bool) -> Timing:
    """Whether an order's time has come, by a clock that is believed (`is_sure`) or not.

    `known_ms` is the latest moment that headquarters is known to have reached (`Window.known_ms`). Without a sure clock
    nothing else is known: an order that ended before it is over, what does no harm late is due, and anything else is
    ``unsure`` until the clock is sure.
    """
    now_ms = now_ms if is_sure else max(known_ms, order.issued_ms)
    if now_ms > order.not_after_ms:
        return "over"
    if now_ms < order.not_before_ms:
        return "early" if is_sure else "unsure"
    kind = ORDERS.get(order.order)
    return "due" if is_sure or (kind is not None and kind.timeless) else "unsure"


# --- each once ---------------------------------------------------------------------------------------------------


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """What a terminal remembers of the orders that it took: of headquarters' newest `epoch` the highest numbers.

    Every counter up to `floor` is refused, and those in `taken` (ascending, above it). `known_ms` is the latest `issued_ms`
    of that epoch.
    """

    epoch: int = 0
    floor: int = 0
    taken: tuple[int, ...] = ()
    known_ms: int = 0

    def refuses(self, epoch: int, counter: int) -> bool:
        """Whether an order of this number was taken, or may have been."""
        if epoch != self.epoch or counter < 1:
            return epoch < self.epoch or counter < 1
        return counter <= self.floor or counter in self.taken

    def took(self, epoch: int, counter: int, issued_ms: int) -> "Window":
        """The window after an order of this number, which it did not refuse."""
        assert not self.refuses(epoch, counter)
        taken = tuple(sorted((*(self.taken if epoch == self.epoch else ()), counter)))
        floor = self.floor if epoch == self.epoch else 0
        if len(taken) > WINDOW_MAX:
            floor, taken = taken[-WINDOW_MAX - 1], taken[-WINDOW_MAX:]
        # A headquarters whose clock stood in the future is heard again with its next generation.
        known_ms = max(self.known_ms, issued_ms) if epoch == self.epoch else issued_ms
        return Window(epoch=epoch, floor=floor, taken=taken, known_ms=known_ms)


def _message(terminal: str, body: bytes) -> bytes:
    return _TAG + terminal.encode() + b"\0" + body
