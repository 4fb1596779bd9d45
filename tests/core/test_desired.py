"""Desired configurations: believed by headquarters' key alone, for one terminal."""

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.desired import (
    DESIRED_BYTES_MAX,
    Desired,
    Reported,
    decode_reported,
    encode_desired,
    encode_reported,
    open_desired,
)
from core.order_results import RESULT_BYTES_MAX, Result, decode_result, encode_result
from core.orders import Order, OrderError, OrderForged, OrderMisaddressed, OrderNotAllowed, encode_order

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = KEY.public_key().public_bytes_raw()
DESIRED = Desired(
    terminal="till-3", epoch=1, version=4, issued_ms=100, role="manager", issuer="anna", doc="[shop]\nname = 'x'\n"
)
SIGNED = encode_desired(DESIRED, KEY.sign)


def test_a_configuration_comes_through() -> None:
    assert open_desired(SIGNED, terminal="till-3", public_key=PUBLIC) == DESIRED


def test_it_is_for_one_terminal() -> None:
    with pytest.raises(OrderMisaddressed):
        open_desired(SIGNED, terminal="till-4", public_key=PUBLIC)


def test_it_takes_a_role() -> None:
    payload = encode_desired(msgspec.structs.replace(DESIRED, role="support"), KEY.sign)
    with pytest.raises(OrderNotAllowed):
        open_desired(payload, terminal="till-3", public_key=PUBLIC)


def test_an_orders_signature_is_none_of_a_configuration() -> None:
    body = msgspec.json.encode(DESIRED)
    order = Order(terminal="till-3", order="ping", counter=1, not_after_ms=1, role="manager")
    signature = msgspec.json.decode(encode_order(order, KEY.sign))["signature"]
    with pytest.raises(OrderForged):
        open_desired(
            b'{"desired":' + body + b',"signature":"' + signature.encode() + b'"}\n', terminal="till-3",
            public_key=PUBLIC,
        )  # fmt: skip


@given(st.integers(0, len(SIGNED) - 1), st.integers(1, 255))
def test_no_altered_byte_is_believed(place: int, change: int) -> None:
    altered = bytearray(SIGNED)
    altered[place] ^= change
    with pytest.raises(OrderError):
        open_desired(bytes(altered), terminal="till-3", public_key=PUBLIC)


@given(st.binary(max_size=300))
def test_noise_is_none(payload: bytes) -> None:
    with pytest.raises(OrderError):
        open_desired(payload, terminal="till-3", public_key=PUBLIC)
    for read in (decode_reported, decode_result):
        with pytest.raises(ValueError, match=r"\w"):
            read(payload)


def test_one_that_is_too_large_is_not_sent() -> None:
    with pytest.raises(ValueError, match="bytes at most"):
        encode_desired(msgspec.structs.replace(DESIRED, doc="#" * DESIRED_BYTES_MAX), KEY.sign)


def test_reports_come_through() -> None:
    reported = Reported(
        version=4, hash=DESIRED.hash, state="rejected", ts=7, code="configuration-faulty", text="line 3"
    )
    assert decode_reported(encode_reported(reported)) == reported


def test_results_come_through_and_stay_small() -> None:
    result = Result(id="o-1", order="logs", state="successful", ts=5, output={"lines": ["a"]})
    assert decode_result(encode_result(result)) == result
    large = encode_result(msgspec.structs.replace(result, output={"lines": ["a" * RESULT_BYTES_MAX]}))
    assert decode_result(large).output["left_out_bytes"] > RESULT_BYTES_MAX
