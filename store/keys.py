"""The terminal's keys: a root secret opens the keyring, and the keyring holds a random key for each purpose.

    root  ->  KEK  ->  a key for each database, for backups, for the mirror; peppers; the wrap of the signing key

- Where the root comes from is behind `RootSource` (`store.keys_root`, `store.keys_tpm`). The file is the lowest tier: it
  keeps out who reads a single file, or a backup without it, and nobody who holds the card.
- The keyring (`store.keyring`) is also sealed to the organisation's recovery key, where one is set.
- A database key is 48 bytes, and its last 16 are what the database's file begins with. So while a file is being rekeyed
  (`store.keys_rotate`) and the keyring holds two generations, the file itself says which one opens it.
- The signing key is apart: in a file of its own, never in the keyring.

A terminal of the first software has a root, no keyring, and keys that were derived from the root: those become the first
generation.
"""

import os
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from store.database import KEY_BYTES, SALT_BYTES, alone
from store.errors import KeyMissing, KeyTierOther, KeyUnusable
from store.keyring import Keyring, Ring
from store.keys_root import ROOT_BYTES, RootFile, RootSource, read_hex, write_hex
from store.keys_tier import Tier

DATABASES = ("journal", "catalogue", "customers", "credentials", "history")
"""The purposes whose key opens a database; its file's usual name is the purpose and ``.db``."""

_OTHERS = ("tag-pepper", "pin-pepper", "signing-wrap", "backup", "mirror")
_LENGTHS = dict.fromkeys(DATABASES, KEY_BYTES) | dict.fromkeys(_OTHERS, 32)
_SIGNING_TITLE = b"terminald signing key 1\n"
_NONCE_BYTES = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Keys:
    """The keys in use: database keys of 48 bytes, and keys of 32 for HMAC and AES-256. A field for each purpose."""

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


@dataclass(frozen=True, slots=True)
class Opened:
    """An open keyring, the root that opened it, and where that was."""

    ring: Ring = field(repr=False)
    root: bytes = field(repr=False)
    source: RootSource


class KeySource(Protocol):
    """Gives the terminal its keys. `tier` says in a word what guards them."""

    @property
    def tier(self) -> Tier:
        """file, credential or tpm."""

    def load(self) -> Keys:
        """The keys that there are; nothing is written. Raises JournalError: KeyMissing, KeyExposed, KeyringForeign .."""

    def load_or_make(self, guarded: Iterable[Path]) -> Keys:
        """As `load`; makes root and keyring at first boot, that is while none of the `guarded` files is there."""


class KeyStore:
    """Keys in a keyring, under the root of one source (`KeySource`)."""

    def __init__(
        self,
        root: RootSource,
        keyring: Path,
        *,
        databases: Mapping[str, Path],
        former: Sequence[RootSource] = (),
        recovery_public: bytes | None = None,
    ) -> None:
        """`databases` are the files by their purpose; `former` where the root may be until it is moved to `root`."""
        self.root = root
        self.former = tuple(former)
        self.ring = Keyring(keyring)
        self.databases = dict(databases)
        self.folder = keyring.parent
        self.recovery_public = recovery_public

    @property
    def tier(self) -> Tier:
        """file, credential or tpm."""
        return self.root.tier

    def load(self) -> Keys:
        """The keys that there are."""
        return self.keys(self.open())

    def load_or_make(self, guarded: Iterable[Path]) -> Keys:
        """The keys; made at first boot. A new root for old files could not open them, and is refused (KeyMissing).

        What an earlier software left is brought up to date: a keyring is made, or gets what it lacks.
        """
        with alone(self.folder):
            ring = self._brought_up(self.open()) if self.ring.exists() else self._make(tuple(guarded))
        return self.keys(ring)

    def open(self) -> Ring:
        """The keyring, by the root that is configured. Writes nothing. Raises JournalError."""
        if not self.ring.exists():
            return self._derived(self._first_root(), self.databases.values(), self.root.tier)
        tiers = {slot.tier for sealed in self.ring.read() for slot in sealed.slots}
        if self.root.tier not in tiers:
            raise KeyTierOther(f"the keyring was made for {' and '.join(sorted(tiers))}, not for {self.root.tier}")
        moving = len(tiers) > 1 and not self.root.exists()
        return self.open_anywhere().ring if moving else self.ring.open(self.root.load())

    def open_anywhere(self) -> Opened:
        """The keyring, by whatever root opens it: the configured one, or the one that it is moved from. As `open`."""
        if not self.ring.exists():
            source = self._file_elsewhere() or self.root
            root = source.load()
            return Opened(self._derived(root, self.databases.values(), source.tier), root, source)
        sealed = self.ring.read()
        for source in (self.root, *self.former):
            if source.exists():
                root = source.load()
                if any(each.knows(root) for each in sealed):
                    return Opened(self.ring.open(root), root, source)
        root = self.root.load()
        return Opened(self.ring.open(root), root, self.root)  # says what is wrong

    def keys(self, ring: Ring) -> Keys:
        """The keys in use of an open keyring."""
        found = {_field(purpose): self._in_use(ring, purpose) for purpose in _LENGTHS}
        public = bytes.fromhex(ring.recovery.public) if ring.recovery else None
        return Keys(**found, recovery_public=self.recovery_public or public)

    def completed(self, ring: Ring) -> Ring:
        """With what was added to the software or to the configuration since it was written; else the same object."""
        for purpose, length in _LENGTHS.items():
            if not ring.generations(purpose):
                ring = ring.put(purpose, 1, ring.derive(purpose, length))
        if self.recovery_public and (not ring.recovery or ring.recovery.public != self.recovery_public.hex()):
            ring = ring.entrust(self.recovery_public)
        return ring

    def _in_use(self, ring: Ring, purpose: str) -> bytes:
        generations = ring.generations(purpose)
        if not generations:
            return ring.derive(purpose, _LENGTHS[purpose])
        path = self.databases.get(purpose)
        if len(generations) > 1 and path is not None and path.exists():
            salt = _salt_beside(path)
            for generation in generations:
                if ring.secrets[purpose, generation][-SALT_BYTES:] == salt:
                    return ring.secrets[purpose, generation]
        return ring.newest(purpose)

    def _make(self, guarded: tuple[Path, ...]) -> Ring:
        """The first keyring: of derived keys where there is data that was made with them, else of random ones."""
        held = [path for path in dict.fromkeys((*guarded, *self.databases.values())) if path.exists()]
        if not self.root.exists() and not self._file_elsewhere():
            _refuse_new(self.root.place, held)
            self.root.prepare()
            self.root.adopt()
        root = self._first_root()
        if held:
            ring = self._derived(root, held, self.root.tier)
        else:
            ring = Ring.new({purpose: secrets.token_bytes(length) for purpose, length in _LENGTHS.items()})
            ring = ring.admit(self.root.tier, root)
        ring = self.completed(ring)
        try:
            self.ring.write(ring)
        except OSError:
            # Keys that are derived are the same at the next start, which writes them: a full card keeps no shop closed.
            if not held:
                raise
        return ring

    def _brought_up(self, ring: Ring) -> Ring:
        new = self.completed(ring)
        try:
            if new is not ring:
                self.ring.write(new)
            else:
                self.ring.mend(ring)
            if len(new.slots) == 1:  # no rotation has begun
                self.root.discard()
        except OSError:
            pass  # all of it comes out the same at the next start, which tries again: a full card keeps no shop closed
        return new

    def _first_root(self) -> bytes:
        """The root of a terminal that has no keyring."""
        if (other := self._file_elsewhere()) is not None:
            raise KeyTierOther(f"the root key is in {other.place}, and not where [keys] source says")
        return self.root.load()

    def _file_elsewhere(self) -> RootSource | None:
        return next((each for each in self.former if each.tier == "file" and each.exists()), None)

    def _derived(self, root: bytes, held: Iterable[Path], tier: Tier) -> Ring:
        """The keyring of a terminal that has none yet. Raises KeyMissing where it had one: its files say so."""
        keys = derive(root)
        files = [path for path in held if path.exists()]
        salts = {getattr(keys, purpose)[-SALT_BYTES:] for purpose in DATABASES}
        if files and not any(_salt_beside(path) in salts for path in files):
            raise KeyMissing(
                f"there is no {self.ring.path.name}, and {', '.join(path.name for path in files)} cannot be used without it"
            )
        return Ring.new({purpose: getattr(keys, _field(purpose)) for purpose in _LENGTHS}).admit(tier, root)


class KeyFile(KeyStore):
    """The usual terminal: the root in a key file, the keyring and the databases beside it."""

    def __init__(self, path: Path) -> None:
        databases = {purpose: path.with_name(f"{purpose}.db") for purpose in DATABASES}
        super().__init__(RootFile(path), keyring_of(path), databases=databases)


class TerminalSigner:
    """The terminal's Ed25519 key (`core.ports.Signer`). Its seed is kept apart, encrypted under a key of the keyring."""

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
                _refuse_new(path.name, guarded)
                nonce = secrets.token_bytes(_NONCE_BYTES)
                write_hex(path, _SIGNING_TITLE, nonce + wrap.encrypt(nonce, secrets.token_bytes(32), _SIGNING_TITLE))
        kept = read_hex(path, _SIGNING_TITLE, _NONCE_BYTES + 32 + 16)
        try:
            return cls(wrap.decrypt(kept[:_NONCE_BYTES], kept[_NONCE_BYTES:], _SIGNING_TITLE))
        except InvalidTag:
            raise KeyUnusable(f"{path.name} was made under another root key") from None

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._key.sign(message)

    def seed(self) -> bytes:
        """What the key is made of (32 bytes), for a second medium that is sealed: a successor signs on with it."""
        return self._key.private_bytes_raw()

    @staticmethod
    def install(path: Path, keys: Keys, seed: bytes) -> None:
        """Puts a key in place of the one in a file, whole or not at all."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        with alone(path.parent):
            write_hex(path, _SIGNING_TITLE, nonce + AESGCM(keys.signing_wrap).encrypt(nonce, seed, _SIGNING_TITLE))


def keyring_of(key: Path) -> Path:
    """Where the keyring lies: beside the key file, ``journal.keyring`` for ``journal.key``."""
    return key.with_suffix(".keyring")


def derive(root: bytes) -> Keys:
    """The keys of a terminal of the first software, by HKDF with SHA-256 (RFC 5869), each under a name of its own."""
    assert len(root) == ROOT_BYTES

    def key(purpose: str, length: int) -> bytes:
        return HKDF(SHA256(), length, salt=None, info=b"terminald/1/" + purpose.encode()).derive(root)

    return Keys(**{_field(purpose): key(purpose, length) for purpose, length in _LENGTHS.items()})


def _field(purpose: str) -> str:
    return purpose.replace("-", "_")


def _refuse_new(place: str, guarded: Iterable[Path]) -> None:
    held = [each.name for each in guarded if each.exists()]
    if held:
        raise KeyMissing(f"there is no {place}, and {', '.join(held)} cannot be used without it")


_held: dict[tuple[int, int], int] = {}
"""Descriptors of databases by device and inode, see `_salt_beside`."""


def _salt_beside(path: Path) -> bytes:
    """What a database's file begins with: the end of the key that opens it. Asked only where the answer is in doubt.

    The descriptor stays open: to close it would take away all locks that SQLite holds on that file in this process
    (fcntl(2), "Advisory record locking").
    """
    found = path.stat()
    place = found.st_dev, found.st_ino
    if place not in _held:
        _held[place] = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    return os.pread(_held[place], SALT_BYTES, 0)
