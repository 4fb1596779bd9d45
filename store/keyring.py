"""The keyring: random keys, each for one purpose, encrypted under a key-encryption key (KEK), in one small file.

The KEK is random too. It is kept encrypted in slots, one for each root that may open the keyring, and once more sealed
to the organisation's recovery key where there is one. So a root is replaced without touching a database, and with the
recovery key alone all keys are found again.

The file: a title, one line of JSON, and an HMAC-SHA256 of both under a key derived from the KEK, in hex. A copy of it lies
beside it: a bad spot on the card shall not take every unsent sale with it. Keys are encrypted with AES-256-GCM under a
fresh random nonce; purpose and generation are authenticated with them.
"""

import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.recovery import public_of, recovery_id
from store.errors import JournalError, KeyMissing, KeyringDamaged, KeyringForeign, RecoveryUnset, SealUnopened
from store.keys_files import read_private, write_private
from store.keys_tier import Tier
from store.sealing import seal, unseal

_TITLE = b"terminald keyring 1\n"
_TAG_HEX = 64
_FILE_BYTES_MAX = 65_536
_NONCE_BYTES = 12


class Slot(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The KEK under one root. `root` names the root (`root_id`), `wrapped` is hex."""

    tier: Tier
    root: str
    wrapped: str


class Recovery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The KEK sealed to the organisation's recovery key: its public half, and the box; both hex."""

    public: str
    sealed: str


class _Wrapped(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    purpose: str
    generation: int
    wrapped: str


class _Content(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: str
    generation: int
    slots: tuple[Slot, ...]
    recovery: Recovery | None
    keys: tuple[_Wrapped, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Ring:
    """An open keyring. Every change gives a new one; `Keyring.write` keeps it. `generation` counts the KEKs."""

    id: str
    generation: int
    kek: bytes = field(repr=False)
    slots: tuple[Slot, ...] = ()
    recovery: Recovery | None = None
    secrets: Mapping[tuple[str, int], bytes] = field(repr=False)
    """A key by its purpose and its generation (from 1)."""

    @classmethod
    def new(cls, first: Mapping[str, bytes]) -> Self:
        """A keyring with these keys as the first generation, and nobody yet who can open it."""
        keys = {(purpose, 1): secret for purpose, secret in first.items()}
        return cls(id=secrets.token_hex(16), generation=1, kek=secrets.token_bytes(32), secrets=keys)

    def admit(self, tier: Tier, root: bytes) -> Self:
        """With a slot for this root."""
        slot = Slot(
            tier,
            root_id(root),
            _wrap(_slot_key(root, self.id), self.kek, _slot_context(self.id, self.generation)).hex(),
        )
        return replace(self, slots=(*(each for each in self.slots if each.root != slot.root), slot))

    def only(self, root: bytes) -> Self:
        """With the slot of this root alone."""
        return replace(self, slots=tuple(slot for slot in self.slots if slot.root == root_id(root)))

    def entrust(self, public: bytes) -> Self:
        """Sealed to this recovery key (X25519, 32 bytes), and to no other. Raises KeyUnusable."""
        sealed = seal(public, self.kek, _recovery_context(self.id, self.generation))
        return replace(self, recovery=Recovery(public.hex(), sealed.hex()))

    def renew(self) -> Self:
        """Under a new KEK: nobody has a slot any more, the recovery key stays the same one."""
        new = replace(self, kek=secrets.token_bytes(32), generation=self.generation + 1, slots=())
        return new.entrust(bytes.fromhex(self.recovery.public)) if self.recovery else new

    def knows(self, root: bytes) -> bool:
        """Whether a root has a slot."""
        return root_id(root) in [slot.root for slot in self.slots]

    def put(self, purpose: str, generation: int, secret: bytes) -> Self:
        """With one key more."""
        return replace(self, secrets={**self.secrets, (purpose, generation): secret})

    def newest_only(self, purpose: str) -> Self:
        """Without the earlier generations of a purpose's key."""
        newest = self.generations(purpose)[-1]
        kept = {name: key for name, key in self.secrets.items() if name[0] != purpose or name[1] == newest}
        return replace(self, secrets=kept)

    def generations(self, purpose: str) -> list[int]:
        """The generations that there are of a purpose's key, the newest last."""
        return sorted(generation for name, generation in self.secrets if name == purpose)

    def newest(self, purpose: str) -> bytes:
        """The newest key of a purpose. Raises KeyMissing."""
        generations = self.generations(purpose)
        if not generations:
            raise KeyMissing(f"the keyring holds no key for {purpose}")
        return self.secrets[purpose, generations[-1]]

    def derive(self, purpose: str, length: int) -> bytes:
        """A key of this keyring for a purpose that came up after it was made, until it holds one (HKDF of the KEK)."""
        return HKDF(SHA256(), length, salt=None, info=b"terminald/2/late/" + purpose.encode()).derive(self.kek)

    def encode(self) -> bytes:
        """The file's bytes."""
        keys = tuple(
            _Wrapped(purpose, generation, _wrap(self.kek, secret, _key_context(self.id, purpose, generation)).hex())
            for (purpose, generation), secret in sorted(self.secrets.items())
        )
        content = _Content(self.id, self.generation, self.slots, self.recovery, keys)
        signed = _TITLE + msgspec.json.encode(content) + b"\n"
        return signed + _tag(self.kek, signed).encode() + b"\n"


class Sealed:
    """A keyring as it was read, not opened."""

    def __init__(self, content: bytes, name: str) -> None:
        """Raises KeyringDamaged for what is cut off or no keyring."""
        self._name = name
        self._signed, self._tag = content[: -_TAG_HEX - 1], content[-_TAG_HEX - 1 :].strip()
        if not (content.startswith(_TITLE) and content.endswith(b"\n") and self._signed.endswith(b"\n")):
            raise KeyringDamaged(f"{name} is cut off, or no keyring of this software")
        try:
            self._content = msgspec.json.decode(self._signed[len(_TITLE) :], type=_Content)
        except (ValueError, RecursionError):
            raise KeyringDamaged(f"{name} is altered: it cannot be read") from None

    @property
    def generation(self) -> int:
        """Which KEK this is, counted from 1."""
        return self._content.generation

    @property
    def slots(self) -> tuple[Slot, ...]:
        """Who can open it."""
        return self._content.slots

    @property
    def recovery(self) -> Recovery | None:
        """The organisation's key that can open it."""
        return self._content.recovery

    def knows(self, root: bytes) -> bool:
        """Whether a root has a slot."""
        return root_id(root) in [slot.root for slot in self.slots]

    def generations(self, purpose: str) -> list[int]:
        """The generations that there are of a purpose's key, the newest last."""
        return sorted(key.generation for key in self._content.keys if key.purpose == purpose)

    def open(self, root: bytes) -> Ring:
        """Raises KeyringForeign where the root has no slot, KeyringDamaged."""
        slot = next((slot for slot in self.slots if slot.root == root_id(root)), None)
        if slot is None:
            made = " or ".join(each.root for each in self.slots) or "none"
            raise KeyringForeign(f"{self._name} was made under the root key {made}; the one here is {root_id(root)}")
        context = _slot_context(self._content.id, self._content.generation)
        return self._open(self._unwrap(_slot_key(root, self._content.id), slot.wrapped, context))

    def recover(self, private: bytes) -> Ring:
        """Opens it with the recovery key (32 bytes). Raises RecoveryUnset, SealUnopened, KeyringDamaged."""
        if self.recovery is None:
            raise RecoveryUnset(f"{self._name} is not sealed to a recovery key")
        public = public_of(private)
        if public.hex() != self.recovery.public:
            known = recovery_id(self._unhex(self.recovery.public))
            raise SealUnopened(f"{self._name} is sealed to the recovery key {known}; this one is {recovery_id(public)}")
        context = _recovery_context(self._content.id, self._content.generation)
        return self._open(unseal(private, self._unhex(self.recovery.sealed), context))

    def _open(self, kek: bytes) -> Ring:
        if not hmac.compare_digest(_tag(kek, self._signed).encode(), self._tag):
            raise KeyringDamaged(f"{self._name} is altered: its tag does not fit")
        content = self._content
        keys = {
            (key.purpose, key.generation): self._unwrap(
                kek, key.wrapped, _key_context(content.id, key.purpose, key.generation)
            )
            for key in content.keys
        }
        return Ring(
            id=content.id,
            generation=content.generation,
            kek=kek,
            slots=content.slots,
            recovery=content.recovery,
            secrets=keys,
        )

    def _unwrap(self, key: bytes, wrapped: str, context: bytes) -> bytes:
        box = self._unhex(wrapped)
        try:
            return AESGCM(key).decrypt(box[:_NONCE_BYTES], box[_NONCE_BYTES:], context)
        except (InvalidTag, ValueError):
            raise KeyringDamaged(f"{self._name} is altered: a key in it does not open") from None

    def _unhex(self, text: str) -> bytes:
        try:
            return bytes.fromhex(text)
        except ValueError:
            raise KeyringDamaged(f"{self._name} is altered: it holds no hexadecimal digits") from None


class Keyring:
    """The file and its copy. Who changes it holds the folder's lock (`store.database.alone`)."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.copy = path.with_name(path.name + ".copy")

    def exists(self) -> bool:
        """Whether there is one, be it the copy alone."""
        return self.path.exists() or self.copy.exists()

    def read(self) -> list[Sealed]:
        """The file and its copy, as far as they can be used; at least one.

        Raises KeyMissing or KeyringDamaged where neither can, KeyExposed or KeyDenied where one is not to be used.
        """
        found: list[Sealed] = []
        faults: list[JournalError] = []
        for path in (self.path, self.copy):
            try:
                found.append(Sealed(read_private(path, _FILE_BYTES_MAX), path.name))
            except (KeyMissing, KeyringDamaged) as fault:
                faults.append(fault)
        if not found:
            raise faults[0]
        return found

    def open(self, root: bytes) -> Ring:
        """What the file holds, or else its copy. Raises KeyMissing, KeyExposed, KeyringDamaged, KeyringForeign."""
        return self._first(lambda sealed: sealed.open(root))

    def recover(self, private: bytes) -> Ring:
        """As `open`, with the recovery key. Raises SealUnopened and RecoveryUnset too."""
        return self._first(lambda sealed: sealed.recover(private))

    def write(self, ring: Ring) -> None:
        """Keeps it: the file, then its copy. Each is always whole."""
        content = ring.encode()
        write_private(self.path, content)
        write_private(self.copy, content)

    def mend(self, ring: Ring) -> None:
        """Writes both anew where they are not two of the same: one was damaged, or the power went in between."""
        try:
            whole = read_private(self.path, _FILE_BYTES_MAX) == read_private(self.copy, _FILE_BYTES_MAX)
        except JournalError:
            whole = False
        if not whole:
            self.write(ring)

    def _first(self, open_: Callable[[Sealed], Ring]) -> Ring:
        faults: list[KeyringDamaged] = []
        for sealed in self.read():
            try:
                return open_(sealed)
            except KeyringDamaged as fault:
                faults.append(fault)
        raise faults[0]


def root_id(root: bytes) -> str:
    """A name for a root that tells nothing about it: 16 hex digits."""
    return HKDF(SHA256(), 8, salt=None, info=b"terminald/2/root-id").derive(root).hex()


def _slot_key(root: bytes, ring: str) -> bytes:
    return HKDF(SHA256(), 32, salt=ring.encode(), info=b"terminald/2/slot").derive(root)


def _slot_context(ring: str, generation: int) -> bytes:
    return f"terminald kek\0{ring}\0{generation}".encode()


def _key_context(ring: str, purpose: str, generation: int) -> bytes:
    return f"terminald key\0{ring}\0{purpose}\0{generation}".encode()


def _recovery_context(ring: str, generation: int) -> bytes:
    return f"terminald recovery\0{ring}\0{generation}".encode()


def _wrap(key: bytes, secret: bytes, context: bytes) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, secret, context)


def _tag(kek: bytes, signed: bytes) -> str:
    key = HKDF(SHA256(), 32, salt=None, info=b"terminald/2/keyring-tag").derive(kek)
    return hmac.digest(key, signed, "sha256").hex()
