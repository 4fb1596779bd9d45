"""Orders that headquarters signs for one terminal, whatever way they come: a file, a stick, MQTT. No I/O.

An order is JSON; its Ed25519 signature is over the exact bytes of it and the terminal's name, under a tag of its own, so
that no signature of anything else is one of an order. It counts once: its `counter` is above that of every order before.
"""

from collections.abc import Callable
from typing import ClassVar

import msgspec

from core import nesting
from core.ledger import verify

ORDER_BYTES_MAX = 4_096
RELEASE_TAMPER = "release-tamper"
"""Lets a terminal sell again whose case was opened; its parameter `incident` names the opening."""
_TAG = b"terminald/order/1\0"

Sign = Callable[[bytes], bytes]


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
    """It, or a later one, was carried out before."""

    code = "order-replayed"


class Order(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What one terminal is to do, once, until `not_after_ms`. `role` says in whose name headquarters gave it."""

    terminal: str
    order: str
    counter: int
    not_after_ms: int
    role: str
    params: dict[str, str] = {}


class _Signed(msgspec.Struct, frozen=True, kw_only=True):
    """An order on its way: `signature` (hex) is over the exact bytes of `order`."""

    order: msgspec.Raw
    signature: str


_encoder = msgspec.json.Encoder()
_order_decoder = msgspec.json.Decoder(Order)
_signed_decoder = msgspec.json.Decoder(_Signed)


def encode_order(order: Order, sign: Sign) -> bytes:
    """An order, signed, as it is written to a file: one line of JSON."""
    body = _encoder.encode(order)
    signature = sign(_message(order.terminal, body)).hex()
    return _encoder.encode(_Signed(order=msgspec.Raw(body), signature=signature)) + b"\n"


def open_order(
    payload: bytes, *, terminal: str, wanted: str, public_key: bytes, now_ms: int, counter: int = 0
) -> Order:
    """The order in a payload, believed: `wanted`, for this terminal, in time, above `counter`.

    Raises OrderUnreadable, OrderForged, OrderMisaddressed, OrderExpired or OrderReplayed, in this order.
    """
    if len(payload) > ORDER_BYTES_MAX:
        raise OrderUnreadable(f"an order has {ORDER_BYTES_MAX} bytes at most")
    try:
        signed = nesting.decode(_signed_decoder, payload)
        signature = bytes.fromhex(signed.signature)
        order = nesting.decode(_order_decoder, signed.order)
    except ValueError as error:
        raise OrderUnreadable(f"no signed order: {error}") from error
    if not verify(public_key, _message(order.terminal, bytes(signed.order)), signature):
        raise OrderForged("headquarters' key did not sign this order")
    if (order.terminal, order.order) != (terminal, wanted):
        raise OrderMisaddressed(f"it orders {order.order!r} of {order.terminal!r}, not {wanted!r} of {terminal!r}")
    if now_ms > order.not_after_ms:
        raise OrderExpired("its time is over")
    if order.counter <= counter:
        raise OrderReplayed(f"order {order.counter} comes after order {counter} was carried out")
    return order


def _message(terminal: str, body: bytes) -> bytes:
    return _TAG + terminal.encode() + b"\0" + body
