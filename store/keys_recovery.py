"""The organisation's recovery key: made once, kept offline, and the way back to the data when a board is dead.

Terminals know its public half and seal their keyring's KEK to it. Its private half is a file of its own, mode 0400, which
may be encrypted with a passphrase (Argon2id, then AES-256-GCM); it belongs on a stick in a safe, on no terminal.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgspec
from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from core.recovery import public_of
from store.database import alone
from store.errors import JournalError, KeyTaken, KeyUnusable, PassphraseWrong, RecoveryKeyUnusable, TpmRefused
from store.keyring import Ring
from store.keys import KeyStore
from store.keys_files import read_private, write_private
from store.keys_root import RootSource
from store.sealing import PRIVATE_BYTES

# RFC 9106, the second recommended choice: 64 MiB and three passes.
_MEMORY_KIB = 65_536
_PASSES = 3
_LANES = 4
_MEMORY_KIB_MAX = 1 << 20
_TITLE = b"terminald recovery key 1\n"
_FILE_BYTES_MAX = 4_096
_NONCE_BYTES = 12


class _Lock(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the passphrase is made a key; `salt` is hex."""

    salt: str
    memory_kib: int
    passes: int
    lanes: int


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`private` is hex; with `lock` it is a nonce and what AES-256-GCM made of the key."""

    public: str
    private: str
    lock: _Lock | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """The keyring after it was recovered; not `needed` where the terminal's own root opens it, and nothing was done."""

    ring: Ring
    needed: bool


def make_recovery(path: Path, passphrase: bytes = b"") -> bytes:
    """Makes the pair and writes the private half; gives the public one (32 bytes). Raises KeyTaken, OSError."""
    if path.exists():
        raise KeyTaken(f"there is a file {path.name} already")
    private = secrets.token_bytes(PRIVATE_BYTES)
    public = public_of(private)
    if passphrase:
        lock = _Lock(secrets.token_hex(16), _MEMORY_KIB, _PASSES, _LANES)
        nonce = secrets.token_bytes(_NONCE_BYTES)
        private = nonce + AESGCM(_key_of(passphrase, lock)).encrypt(nonce, private, _TITLE + public)
        content = _File(public.hex(), private.hex(), lock)
    else:
        content = _File(public.hex(), private.hex())
    write_private(path, _TITLE + msgspec.json.encode(content) + b"\n")
    return public


def load_recovery(path: Path, ask: Callable[[], bytes]) -> bytes:
    """The private half (32 bytes). `ask` gives the passphrase, and is called only where the file has one.

    Raises KeyMissing, KeyExposed, KeyDenied, RecoveryKeyUnusable, PassphraseWrong.
    """
    content = read_private(path, _FILE_BYTES_MAX)
    try:
        found = msgspec.json.decode(content.removeprefix(_TITLE), type=_File)
        public, private = bytes.fromhex(found.public), bytes.fromhex(found.private)
        if not content.startswith(_TITLE):
            raise ValueError
        if found.lock is not None:
            private = _unlock(private, _TITLE + public, ask(), found.lock)
        if len(private) != PRIVATE_BYTES or public_of(private) != public:
            raise ValueError
    except ValueError as error:
        if isinstance(error, JournalError):
            raise
        raise RecoveryKeyUnusable(f"{path.name} is no recovery key of this software, or it is cut off") from None
    return private


def recover(store: KeyStore, private: bytes) -> Recovered:
    """Opens the keyring with the recovery key and puts it under this machine's root, made here where there is none.

    The keyring gets a new KEK: the root of the machine that is gone opens it no more. The caller holds the journal's lock.
    Cut off at any point, it is done again. Raises JournalError: KeyMissing where there is no keyring, RecoveryUnset,
    SealUnopened, KeyringDamaged, and what the source of the root raises.
    """
    with alone(store.folder):
        ring = store.ring.recover(private)
        root = _usable(store.root)
        if root is not None and ring.knows(root):
            return Recovered(ring, needed=False)
        if root is None:
            root = store.root.prepare()
            store.root.adopt()
        new = store.completed(ring).renew().admit(store.root.tier, root)
        store.ring.write(new)
    return Recovered(new, needed=True)


def _usable(source: RootSource) -> bytes | None:
    """The root that this machine has, if it has one that can be read; one that cannot be is of no use to anybody."""
    try:
        return source.load() if source.exists() else None
    except (KeyUnusable, TpmRefused):
        return None


def _unlock(private: bytes, context: bytes, passphrase: bytes, lock: _Lock) -> bytes:
    if lock.memory_kib > _MEMORY_KIB_MAX:
        raise ValueError
    try:
        return AESGCM(_key_of(passphrase, lock)).decrypt(private[:_NONCE_BYTES], private[_NONCE_BYTES:], context)
    except InvalidTag:
        raise PassphraseWrong("this is not the passphrase of the recovery key") from None


def _key_of(passphrase: bytes, lock: _Lock) -> bytes:
    return hash_secret_raw(passphrase, bytes.fromhex(lock.salt), lock.passes, lock.memory_kib, lock.lanes, 32, Type.ID)
