"""Signed orders: believed by headquarters' key alone, for one terminal, in time, once."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.orders import (
    ORDER_BYTES_MAX,
    RELEASE_TAMPER,
    Order,
    OrderError,
    OrderExpired,
    OrderForged,
    OrderMisaddressed,
    OrderReplayed,
    OrderUnreadable,
    encode_order,
    open_order,
)

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
ORDER = Order(
    terminal="till-3", order=RELEASE_TAMPER, counter=7, not_after_ms=1_000, role="security", params={"incident": "aa"}
)
SIGNED = encode_order(ORDER, KEY.sign)


def opened(payload: bytes = SIGNED, **said: object) -> Order:
    known: dict[str, object] = {
        "terminal": "till-3", "wanted": RELEASE_TAMPER, "public_key": PUBLIC, "now_ms": 500, "counter": 6
    }  # fmt: skip
    return open_order(payload, **(known | said))  # type: ignore[arg-type]


def test_an_order_comes_through() -> None:
    assert opened() == ORDER


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ({"terminal": "till-4"}, OrderMisaddressed),
        ({"wanted": "reboot"}, OrderMisaddressed),
        ({"public_key": bytes(32)}, OrderForged),
        ({"now_ms": 1_001}, OrderExpired),
        ({"counter": 7}, OrderReplayed),
        ({"counter": 8}, OrderReplayed),
    ],
)
def test_what_is_not_carried_out(said: dict[str, object], error: type[OrderError]) -> None:
    with pytest.raises(error):
        opened(SIGNED, **said)


def test_an_order_holds_until_its_last_moment() -> None:
    assert opened(now_ms=1_000) == ORDER


def test_a_signature_is_for_one_terminal() -> None:
    other = SIGNED.replace(b"till-3", b"till-4")
    with pytest.raises(OrderForged):
        opened(other, terminal="till-4")


@given(st.integers(0, len(SIGNED) - 2), st.integers(1, 255))
def test_no_altered_byte_is_believed(place: int, change: int) -> None:
    altered = bytearray(SIGNED)
    altered[place] ^= change
    try:
        order = opened(bytes(altered))
    except OrderError:
        return
    assert order == ORDER  # the same order in other letters: hexadecimal capitals, a space for another


@given(st.binary(max_size=300))
def test_noise_is_no_order(payload: bytes) -> None:
    with pytest.raises(OrderError):
        opened(payload)


def test_an_endless_order_is_not_read() -> None:
    with pytest.raises(OrderUnreadable):
        opened(SIGNED + b" " * ORDER_BYTES_MAX)


def test_half_an_order_is_none() -> None:
    body = msgspec.json.encode(ORDER)
    with pytest.raises(OrderUnreadable):
        opened(b'{"order":' + body + b"}")
