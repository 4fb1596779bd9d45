"""How a backup lies on its medium, and how it proves itself.

Below the folder for backups: ``terminald-backups/TERMINAL/NAME/``, a folder for each backup. In it a copy of each database,
the small files without which nobody could open them again (keyring, signing key; both hold nothing in the clear), and
``manifest.json``, which is written last. A folder without one is a backup that was never finished.

- Each copy is an encrypted database under a key of its own: HKDF-SHA256 of the terminal's backup key with the copy's salt,
  which is what the file begins with. So a stick with a backup opens neither the till nor another backup.
- The manifest is one line of JSON and, on the next, its HMAC-SHA256 under a key derived from the backup key. It names each
  file with its size and SHA-256, so whoever holds the backup key can tell a whole backup from any other. `key` names the
  backup key and tells nothing about it: another key is not mistaken for damage.
- A name begins with the epoch's ordinal and the seq that the journal had: names are in the order in which the backups were
  made, however wrong the clock was.
"""

import hashlib
import hmac
import os
import re
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from core.ledger import Head
from store.database import SALT_BYTES
from store.errors import BackupDamaged, BackupKeyOther

VERSION = 1
FOLDER = "terminald-backups"
MANIFEST = "manifest.json"
MANIFEST_BYTES_MAX = 65_536
FILE_BYTES_MAX = 1 << 16
"""Of a small file, such as the keyring."""
NAME = re.compile(r"(\d{3,})-(\d{10,})-(\d{8}T\d{6}Z)(?:-\d+)?")
_CHUNK_BYTES = 1 << 20


class Copied(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a backup. `purpose` is that of the database (``journal`` ..), else ``""``; `sha256` is hex."""

    name: str
    purpose: str
    bytes: int
    sha256: str


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup says of itself. Hashes, keys and signatures in hex.

    The journal in it ends at record `seq` of `epoch`, the `ordinal`-th one, with the chain's hash `head`; `signature` is
    the terminal's over that head (`core.ledger.head_message`) under `signing_key`. `number` is the highest transaction
    number in it. `key` names the backup key.
    """

    version: int
    terminal: str
    key: str
    ordinal: int
    epoch: str
    seq: int
    head: str
    number: int
    signature: str
    signing_key: str
    time_ms: int
    clock: str
    software: str
    recoverable: bool
    files: tuple[Copied, ...]

    @property
    def end(self) -> Head:
        """Where the journal ends."""
        return Head(epoch=self.epoch, seq=self.seq, hash=bytes.fromhex(self.head))

    @property
    def day(self) -> str:
        """The day (UTC) on which it was made, as the terminal's clock had it."""
        return datetime.fromtimestamp(self.time_ms / 1000, UTC).date().isoformat()


def folder_of(target: Path, terminal: str) -> Path:
    """Where a terminal's backups lie on a medium."""
    return target / FOLDER / terminal


def name_of(ordinal: int, seq: int, time_ms: int) -> str:
    """A backup's name."""
    made = datetime.fromtimestamp(time_ms / 1000, UTC)
    return f"{ordinal:03}-{seq:010}-{made:%Y%m%dT%H%M%SZ}"


def order_of(name: str) -> tuple[int, int, str]:
    """What names are sorted by: the order in which the backups were made."""
    match = NAME.fullmatch(name)
    assert match is not None
    return int(match[1]), int(match[2]), name


def key_id(backup_key: bytes) -> str:
    """A name for a backup key that tells nothing about it: 16 hex digits."""
    return _derive(backup_key, b"id", 8).hex()


def database_key(backup_key: bytes, purpose: str, salt: bytes) -> bytes:
    """The key (48 bytes) of the copy of a database that begins with `salt` (16 bytes)."""
    return _derive(backup_key, b"database/" + purpose.encode(), 32, salt) + salt


def new_database_key(backup_key: bytes, purpose: str) -> bytes:
    """A key (48 bytes) for a copy that is to be made."""
    return database_key(backup_key, purpose, os.urandom(SALT_BYTES))


def key_of(path: Path, backup_key: bytes, purpose: str) -> bytes:
    """The key of a copy that is there. Nothing in this process may have it open. Raises BackupDamaged, OSError."""
    with path.open("rb") as file:
        salt = file.read(SALT_BYTES)
    if len(salt) < SALT_BYTES:
        raise BackupDamaged(f"{path.name} is cut off")
    return database_key(backup_key, purpose, salt)


def encode_manifest(manifest: Manifest, backup_key: bytes) -> bytes:
    """The manifest's file."""
    line = msgspec.json.encode(manifest) + b"\n"
    return line + _tag(backup_key, line) + b"\n"


def read_manifest(folder: Path, backup_key: bytes | None) -> Manifest:
    """A backup's manifest; believed only where the `backup_key` is given.

    Raises BackupDamaged where there is none or it is altered, BackupKeyOther, OSError.
    """
    try:
        with (folder / MANIFEST).open("rb") as file:
            content = file.read(MANIFEST_BYTES_MAX)
    except FileNotFoundError:
        raise BackupDamaged("it was never finished: it has no manifest") from None
    line, _, tag = content.partition(b"\n")
    try:
        manifest = msgspec.json.decode(line, type=Manifest)
        bytes.fromhex(manifest.head + manifest.signature + manifest.signing_key)
    except (ValueError, RecursionError) as error:
        raise BackupDamaged("its manifest cannot be read") from error
    if manifest.version != VERSION:
        raise BackupDamaged(f"its manifest is of version {manifest.version}; this software knows {VERSION}")
    if backup_key is not None:
        if manifest.key != key_id(backup_key):
            raise BackupKeyOther(f"it was made under the backup key {manifest.key}; here is {key_id(backup_key)}")
        if not hmac.compare_digest(tag.strip(), _tag(backup_key, line + b"\n")):
            raise BackupDamaged("its manifest is altered: the tag does not fit")
    if any(Path(each.name).name != each.name or each.name == MANIFEST for each in manifest.files):
        raise BackupDamaged("its manifest names files outside of it")
    return manifest


def check_files(folder: Path, manifest: Manifest) -> None:
    """Reads every file of a backup and compares it with the manifest. Raises BackupDamaged, OSError."""
    for each in manifest.files:
        try:
            found = digest(folder / each.name)
        except FileNotFoundError:
            raise BackupDamaged(f"{each.name} is missing") from None
        if found[0] != each.bytes:
            raise BackupDamaged(f"{each.name} has {found[0]} bytes, not {each.bytes}: it is cut off or altered")
        if found[1] != each.sha256:
            raise BackupDamaged(f"{each.name} is altered: its SHA-256 is not the one of the manifest")


def digest(path: Path) -> tuple[int, str]:
    """A file's length and SHA-256 (hex), read from the medium and not from memory, as far as the system lets us."""
    sha, size = hashlib.sha256(), 0
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        while chunk := os.read(descriptor, _CHUNK_BYTES):
            sha.update(chunk)
            size += len(chunk)
    finally:
        os.close(descriptor)
    return size, sha.hexdigest()


def _derive(backup_key: bytes, purpose: bytes, length: int, salt: bytes | None = None) -> bytes:
    return HKDF(SHA256(), length, salt=salt, info=b"terminald/backup/1/" + purpose).derive(backup_key)


def _tag(backup_key: bytes, line: bytes) -> bytes:
    return hmac.digest(_derive(backup_key, b"manifest", 32), line, "sha256").hex().encode()
