"""Where the terminal's keys come from: one root secret, and all database keys and peppers derived from it.

The source of the root is behind `KeySource`, so that a TPM or the board's one-time memory can take the place of the file.
The file is the lowest tier: it keeps out who reads a single file or a backup without it, and nobody who holds the card.
"""

import os
import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.database import KEY_BYTES, alone, sync_folder
from store.errors import KeyDenied, KeyExposed, KeyMissing, KeyUnusable

ROOT_BYTES = 32
_ROOT_TITLE = b"terminald root key 1\n"
_SIGNING_TITLE = b"terminald signing key 1\n"
_NONCE_BYTES = 12
_FILE_BYTES_MAX = 1_024


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """All that is derived from the root: database keys of 48 bytes, and keys of 32 for HMAC and AES-256."""

    journal: bytes = field(repr=False)
    catalogue: bytes = field(repr=False)
    customers: bytes = field(repr=False)
    credentials: bytes = field(repr=False)
    history: bytes = field(repr=False)
    tag_pepper: bytes = field(repr=False)
    pin_pepper: bytes = field(repr=False)
    signing_wrap: bytes = field(repr=False)
    backup: bytes = field(repr=False)
    mirror: bytes = field(repr=False)
    recovery_public: bytes | None = None
    """The organisation's offline recovery key (X25519, 32 bytes), for `store.sealing.seal`; None where none is set."""


class KeySource(Protocol):
    """Gives the terminal its keys. `tier` says in a word what guards them."""

    tier: str

    def load(self) -> Keys:
        """The keys that there are. Raises KeyMissing, KeyExposed, KeyDenied or KeyUnusable."""

    def load_or_make(self, guarded: Iterable[Path]) -> Keys:
        """As `load`; makes a root at first boot, that is while none of the `guarded` files is there."""


class KeyFile:
    """The root secret in a file of mode 0400 on the terminal's own medium."""

    tier = "file"

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Keys:
        """The keys that there are."""
        return derive(_unhex(self._path, _ROOT_TITLE, ROOT_BYTES))

    def load_or_make(self, guarded: Iterable[Path]) -> Keys:
        """The keys; made at first boot. A new root for old files could not open them, and is refused (KeyMissing)."""
        with alone(self._path.parent):
            if not self._path.exists():
                _refuse_new(self._path, guarded)
                _keep(self._path, _ROOT_TITLE, secrets.token_bytes(ROOT_BYTES))
        return self.load()


class TerminalSigner:
    """The terminal's Ed25519 key (`core.ports.Signer`). Its seed is kept apart, encrypted under the root."""

    def __init__(self, seed: bytes) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw()

    @classmethod
    def open(cls, path: Path, keys: Keys, guarded: Iterable[Path]) -> "TerminalSigner":
        """The key in a file; made at first boot, that is while none of the `guarded` files is there.

        Raises KeyMissing, KeyExposed, KeyDenied, or KeyUnusable where the root is not the one it was made under.
        """
        wrap = AESGCM(keys.signing_wrap)
        with alone(path.parent):
            if not path.exists():
                _refuse_new(path, guarded)
                nonce = secrets.token_bytes(_NONCE_BYTES)
                _keep(path, _SIGNING_TITLE, nonce + wrap.encrypt(nonce, secrets.token_bytes(32), _SIGNING_TITLE))
        kept = _unhex(path, _SIGNING_TITLE, _NONCE_BYTES + 32 + 16)
        try:
            return cls(wrap.decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], _SIGNING_TITLE))
        except InvalidTag:
            raise KeyUnusable(f"{path.name} was made under another root key") from None

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)


def derive(root: bytes) -> Keys:
    """All keys of a root secret, by HKDF with SHA-256 (RFC 5869), each under a name of its own."""
    assert len(root) == ROOT_BYTES

    def key(name: str, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=None, info=b"terminald/1/" + name.encode()).derive(root)

    return Keys(
        journal=key("journal", KEY_BYTES),
        catalogue=key("catalogue", KEY_BYTES),
        customers=key("customers", KEY_BYTES),
        credentials=key("credentials", KEY_BYTES),
        history=key("history", KEY_BYTES),
        tag_pepper=key("tag-pepper", 32),
        pin_pepper=key("pin-pepper", 32),
        signing_wrap=key("signing-wrap", 32),
        backup=key("backup", 32),
        mirror=key("mirror", 32),
    )


def _refuse_new(path: Path, guarded: Iterable[Path]) -> None:
    held = [each.name for each in guarded if each.exists()]
    if held:
        raise KeyMissing(f"there is no {path.name}, and {', '.join(held)} cannot be used without it")


def _keep(path: Path, title: bytes, secret: bytes) -> None:
    """Writes a key under another name and renames it: under the right one it is never half there."""
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o400)
    try:
        os.fchmod(descriptor, 0o400)
        os.write(descriptor, title + secret.hex().encode() + b"\n")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    new.rename(path)
    sync_folder(path.parent)


def _unhex(path: Path, title: bytes, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        raise KeyMissing(f"there is no {path.name}") from None
    except PermissionError:
        raise KeyDenied(f"{path.name} may not be read by this user") from None
    try:
        mode = os.fstat(descriptor).st_mode
        content = os.read(descriptor, _FILE_BYTES_MAX)
    finally:
        os.close(descriptor)
    if mode & 0o077:
        raise KeyExposed(f"{path.name} has mode {mode & 0o777:04o}: others than its owner may use it")
    try:
        secret = bytes.fromhex(content.removeprefix(title).decode("ascii"))
    except ValueError:
        secret = b""
    if not content.startswith(title) or len(secret) != length:
        raise KeyUnusable(f"{path.name} does not hold a key of this software")
    return secret
