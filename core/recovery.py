"""The recovery code: how headquarters opens one sealed thing for people who must not hold the recovery key itself.

Whoever seals makes a key pair for this one thing (X25519, RFC 7748) and takes from the exchange with the organisation's
recovery key a secret of 16 bytes (HKDF-SHA256, RFC 5869). The pair's public half stays beside what is sealed; the private
half is forgotten. So the public half, read over the telephone, is all that headquarters needs to say the secret: no box
has to be carried. The secret opens this one thing and tells nothing of the recovery key.

Both travel as Crockford's base32 in groups, with check digits: letters that look like digits are read as those, and a
misread sign is noticed (all but one of 16,384 mistakes in a request, one of 4,096 in a code).
"""

import hashlib
import re

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
SECRET_BYTES = 16
_INFO = b"terminald/recovery/1"
RECLAIM = b"/reclaim"
"""The purpose of a code that lets somebody become a till's owner: it opens no data."""
_SIGNS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_LOOKALIKES = str.maketrans("OIL", "011")
_REQUEST_CHECK_BITS = 14
_CODE_CHECK_BITS = 12


class RecoveryTextWrong(ValueError):
    """A request or a code was misread or cut off."""


def encapsulate(fresh_private: bytes, recovery_public: bytes, purpose: bytes = b"") -> tuple[bytes, bytes]:
    """The public half (32 bytes) to keep, and the secret (16 bytes) that only the recovery key tells again.

    `fresh_private` is 32 random bytes, used once; an answer for one `purpose` is worth nothing for another. Raises ValueError where `recovery_public` is no key.
    """
    own = X25519PrivateKey.from_private_bytes(fresh_private)
    public = own.public_key().public_bytes_raw()
    shared = own.exchange(X25519PublicKey.from_public_bytes(recovery_public))
    return public, _secret(shared, public, recovery_public, purpose)


def decapsulate(recovery_private: bytes, fresh_public: bytes, purpose: bytes = b"") -> bytes:
    """The secret (16 bytes) that belongs to a public half. Raises ValueError where one of the two is no key."""
    own = X25519PrivateKey.from_private_bytes(recovery_private)
    shared = own.exchange(X25519PublicKey.from_public_bytes(fresh_public))
    return _secret(shared, fresh_public, own.public_key().public_bytes_raw(), purpose)


def public_of(recovery_private: bytes) -> bytes:
    """The public half (32 bytes) of a recovery key. Raises ValueError where it has not 32 bytes."""
    return X25519PrivateKey.from_private_bytes(recovery_private).public_key().public_bytes_raw()


def recovery_id(recovery_public: bytes) -> str:
    """By what people tell one recovery key from another: the first 16 of its 64 hex digits."""
    return recovery_public.hex()[:16]


def request_text(fresh_public: bytes) -> str:
    """What is read to headquarters: 54 signs in groups of 6."""
    return _written(fresh_public, _REQUEST_CHECK_BITS, 6)


def read_request(text: str) -> bytes:
    """The public half (32 bytes). Raises RecoveryTextWrong."""
    return _read(text, KEY_BYTES, _REQUEST_CHECK_BITS, "request")


def code_text(secret: bytes) -> str:
    """What headquarters answers: 28 signs in groups of 4."""
    return _written(secret, _CODE_CHECK_BITS, 4)


def read_code(text: str) -> bytes:
    """The secret (16 bytes). Raises RecoveryTextWrong."""
    return _read(text, SECRET_BYTES, _CODE_CHECK_BITS, "code")


def _secret(shared: bytes, fresh_public: bytes, recovery_public: bytes, purpose: bytes) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=fresh_public + recovery_public, info=_INFO + purpose).derive(shared)


def _check(data: bytes, bits: int) -> int:
    return int.from_bytes(hashlib.sha256(_INFO + data).digest()[:2], "big") >> (16 - bits)


def _written(data: bytes, check_bits: int, group: int) -> str:
    number = int.from_bytes(data, "big") << check_bits | _check(data, check_bits)
    count = _signs(len(data), check_bits)
    signs = "".join(_SIGNS[number >> 5 * place & 31] for place in reversed(range(count)))
    return "-".join(signs[at : at + group] for at in range(0, count, group))


def _read(text: str, length: int, check_bits: int, what: str) -> bytes:
    signs = re.sub(r"[\s-]", "", text).upper().translate(_LOOKALIKES)
    count = _signs(length, check_bits)
    if len(signs) != count:
        raise RecoveryTextWrong(f"a {what} has {count} signs, and this has {len(signs)}")
    if strange := sorted(set(signs) - set(_SIGNS)):
        raise RecoveryTextWrong(f"no {what} has {', '.join(strange)} in it")
    number = 0
    for sign in signs:
        number = number << 5 | _SIGNS.index(sign)
    data, check = (number >> check_bits) & ((1 << 8 * length) - 1), number & ((1 << check_bits) - 1)
    read = data.to_bytes(length, "big")
    if number >> check_bits + 8 * length or _check(read, check_bits) != check:
        raise RecoveryTextWrong(f"this {what} was misread: compare it sign by sign")
    return read


def _signs(length: int, check_bits: int) -> int:
    return -(-(8 * length + check_bits) // 5)
