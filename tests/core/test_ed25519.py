"""Verification in plain arithmetic agrees with RFC 8032's vectors, and with `cryptography` on whatever it is given."""

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from core import ed25519, ledger

# RFC 8032, 7.1: public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
]
ORDER = 2**252 + 27742317777372353535851937790883648493


@pytest.mark.parametrize(("key", "message", "signature"), VECTORS)
def test_the_standards_vectors(key: str, message: str, signature: str) -> None:
    assert ed25519.verify(bytes.fromhex(key), bytes.fromhex(message), bytes.fromhex(signature))
    assert not ed25519.verify(bytes.fromhex(key), bytes.fromhex(message) + b"\0", bytes.fromhex(signature))


@settings(max_examples=60, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.binary(max_size=300), st.integers(0, 511), st.sampled_from("ksm"))
def test_one_bit_more_or_less_and_it_is_no_signature(seed: bytes, message: bytes, bit: int, where: str) -> None:
    private = Ed25519PrivateKey.from_private_bytes(seed)
    key, signature = private.public_key().public_bytes_raw(), private.sign(message)
    assert ed25519.verify(key, message, signature)
    other = {"k": key, "s": signature, "m": message or b"\0"}[where]
    place = bit % (8 * len(other))
    changed = bytes(byte ^ (1 << place % 8 if place // 8 == at else 0) for at, byte in enumerate(other))
    given = {"k": (changed, message, signature), "s": (key, message, changed), "m": (key, changed, signature)}[where]
    assert ed25519.verify(*given) is ledger.verify(*given) is False


def test_a_signature_has_one_form() -> None:
    """The same scalar and one order more would hold in the equation: it is refused (5.1.7), else a code had two forms."""
    key, message, signature = (bytes.fromhex(part) for part in VECTORS[1])
    scalar = int.from_bytes(signature[32:], "little") + ORDER
    twin = signature[:32] + scalar.to_bytes(32, "little")
    assert not ed25519.verify(key, message, twin)
    assert not ledger.verify(key, message, twin)


@pytest.mark.parametrize(
    "key", [b"", bytes(31), b"\xff" * 32, (2**255 - 19 + 1).to_bytes(32, "little"), b"\x02" + bytes(31)]
)
def test_what_is_no_key(key: bytes) -> None:
    assert not ed25519.is_public_key(key)
    assert not ed25519.verify(key, b"", bytes(64))
