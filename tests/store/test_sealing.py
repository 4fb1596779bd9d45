"""Sealed boxes: only the right private key opens one, and only for what it was closed for."""

import secrets

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.recovery import public_of
from store.errors import RecoveryKeyUnusable, SealUnopened
from store.sealing import OVERHEAD_BYTES, seal, unseal

PRIVATE = bytes(range(32))
PUBLIC = public_of(PRIVATE)


@given(secret=st.binary(max_size=300), context=st.binary(max_size=40))
def test_what_was_sealed_is_unsealed(secret: bytes, context: bytes) -> None:
    box = seal(PUBLIC, secret, context)
    assert len(box) == len(secret) + OVERHEAD_BYTES
    assert unseal(PRIVATE, box, context) == secret


def test_a_box_stays_readable_for_ever() -> None:
    # Closed by the first version. A change here would shut organisations out of their own keys.
    box = bytes.fromhex(
        "016f77061036340b9cea1bcf28e7ad2bd9d9e4c62a21e0a29d87be28fb0ffa92740ac67197b2ffd496989d3f7e60db66b90da081e4706331f6"
    )
    assert unseal(PRIVATE, box, b"test") == b"a secret"


def test_the_same_secret_never_looks_the_same() -> None:
    boxes = [seal(PUBLIC, b"secret", b"") for _ in range(20)]
    assert len({box[1:33] for box in boxes}) == len({box[33:] for box in boxes}) == 20


def test_another_key_opens_nothing() -> None:
    box = seal(PUBLIC, b"secret", b"key")
    with pytest.raises(SealUnopened) as caught:
        unseal(secrets.token_bytes(32), box, b"key")
    assert "recovery key" in caught.value.remedy


def test_another_context_opens_nothing() -> None:
    with pytest.raises(SealUnopened):
        unseal(PRIVATE, seal(PUBLIC, b"secret", b"backup"), b"journal")


def test_every_bit_counts() -> None:
    box = seal(PUBLIC, b"secret", b"key")
    for place in range(len(box) * 8):
        # X25519 ignores the last bit of a point (RFC 7748, section 5): the box's own bytes are in the key all the same.
        altered = bytearray(box)
        altered[place // 8] ^= 1 << place % 8
        with pytest.raises(SealUnopened):
            unseal(PRIVATE, bytes(altered), b"key")


@pytest.mark.parametrize("length", [0, 1, 33, OVERHEAD_BYTES - 1, OVERHEAD_BYTES])
def test_a_box_that_is_cut_off(length: int) -> None:
    with pytest.raises(SealUnopened):
        unseal(PRIVATE, seal(PUBLIC, b"secret", b"key")[:length], b"key")


@pytest.mark.parametrize("public", [b"", bytes(31), bytes(33), bytes(32), b"\1" + bytes(31)])
def test_a_public_key_that_is_none(public: bytes) -> None:
    with pytest.raises(RecoveryKeyUnusable):
        seal(public, b"secret", b"key")


def test_a_box_from_nobody() -> None:
    with pytest.raises(SealUnopened):
        unseal(PRIVATE, b"\1" + bytes(32) + bytes(30), b"key")
