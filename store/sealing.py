"""Sealed boxes: anybody who has a public key can close one, and only its private key opens it.

X25519 with a fresh key pair for each box (RFC 7748), HKDF-SHA256 over the shared secret and both public keys (RFC 5869),
AES-256-GCM (NIST SP 800-38D). The parts come from `cryptography`; what is put together here is the usual order of them
(as in RFC 9180's base mode). A box says nothing about who closed it.

A box: 1 byte of format (1), 32 bytes of the fresh public key, the encrypted secret, 16 bytes of tag. The AES key and the
nonce are both derived, and used once: each box has a key pair of its own.
"""

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.errors import RecoveryKeyUnusable, SealUnopened

PUBLIC_BYTES = 32
PRIVATE_BYTES = 32
OVERHEAD_BYTES = 1 + PUBLIC_BYTES + 16
_FORMAT = b"\1"
_INFO = b"terminald/sealed/1\0"


def seal(public: bytes, secret: bytes, context: bytes) -> bytes:
    """A box for the owner of `public` (32 bytes, X25519). `context` says what the secret is for; it is not kept within.

    Raises RecoveryKeyUnusable where `public` is no key that anybody could have.
    """
    fresh = X25519PrivateKey.generate()
    try:
        shared = fresh.exchange(X25519PublicKey.from_public_bytes(public))
    except ValueError:  # not 32 bytes, or one of the few points with which every exchange gives zeros
        raise RecoveryKeyUnusable("what is said to be an X25519 public key is none") from None
    mine = fresh.public_key().public_bytes_raw()
    key, nonce = _derive(shared, mine, public, context)
    return _FORMAT + mine + AESGCM(key).encrypt(nonce, secret, context)


def unseal(private: bytes, blob: bytes, context: bytes) -> bytes:
    """The secret in a box that `seal` closed. `private` has 32 bytes, `context` is the one it was closed with.

    Raises SealUnopened: another private key, another context, or an altered box; which of them cannot be told.
    """
    if len(blob) < OVERHEAD_BYTES or blob[:1] != _FORMAT or len(private) != PRIVATE_BYTES:
        raise SealUnopened("this is no box of this software, or it is cut off")
    own = X25519PrivateKey.from_private_bytes(private)
    theirs = blob[1 : 1 + PUBLIC_BYTES]
    try:
        shared = own.exchange(X25519PublicKey.from_public_bytes(theirs))
        key, nonce = _derive(shared, theirs, own.public_key().public_bytes_raw(), context)
        return AESGCM(key).decrypt(nonce, blob[1 + PUBLIC_BYTES :], context)
    except (ValueError, InvalidTag):
        raise SealUnopened("it was sealed to another key, for another purpose, or was altered") from None


def _derive(shared: bytes, fresh: bytes, public: bytes, context: bytes) -> tuple[bytes, bytes]:
    """The key (32 bytes) and the nonce (12) of one box."""
    both = HKDF(SHA256(), 44, salt=fresh + public, info=_INFO + context).derive(shared)
    return both[:32], both[32:]
