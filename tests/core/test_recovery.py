"""The recovery code: what is said over the telephone opens the one thing, and a misread sign is noticed."""

import random

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from core.recovery import (
    RecoveryTextWrong,
    code_text,
    decapsulate,
    encapsulate,
    read_code,
    read_request,
    recovery_id,
    request_text,
)

PRIVATE = bytes(range(32))
PUBLIC = X25519PrivateKey.from_private_bytes(PRIVATE).public_key().public_bytes_raw()


@given(st.binary(min_size=32, max_size=32))
def test_only_the_recovery_key_tells_the_secret_again(fresh_private: bytes) -> None:
    public, secret = encapsulate(fresh_private, PUBLIC)
    assert decapsulate(PRIVATE, public) == secret
    assert decapsulate(bytes(32), public) != secret
    assert len(secret) == 16


def test_a_point_that_is_no_key_is_refused() -> None:
    with pytest.raises(ValueError, match="Error computing shared key"):
        encapsulate(PRIVATE, bytes(32))
    with pytest.raises(ValueError, match="Error computing shared key"):
        decapsulate(PRIVATE, bytes(32))


@given(st.binary(min_size=32, max_size=32), st.binary(min_size=16, max_size=16))
def test_what_is_written_is_read(public: bytes, secret: bytes) -> None:
    assert read_request(request_text(public)) == public
    assert read_code(code_text(secret)) == secret
    assert read_code(f" {code_text(secret).lower().replace('-', ' ').replace('0', 'o').replace('1', 'l')} ") == secret


def test_how_much_there_is_to_say() -> None:
    assert len(request_text(PUBLIC)) == 54 + 8
    assert len(code_text(PUBLIC[:16])) == 28 + 6
    assert len(recovery_id(PUBLIC)) == 16


def test_a_misread_sign_is_noticed() -> None:
    chance = random.Random(1)
    text = request_text(PUBLIC)
    for at in (at for at, sign in enumerate(text) if sign != "-"):
        wrong = chance.choice([sign for sign in "0123456789ABCDEFGHJKMNPQRSTVWXYZ" if sign != text[at]])
        with pytest.raises(RecoveryTextWrong):
            read_request(text[:at] + wrong + text[at + 1 :])


@pytest.mark.parametrize("text", ["", "ABCD", code_text(bytes(16)) + "0", code_text(bytes(16))[:-1] + "U"])
def test_what_is_no_code_is_said(text: str) -> None:
    with pytest.raises(RecoveryTextWrong, match="code"):
        read_code(text)
