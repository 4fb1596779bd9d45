"""Where the root secret comes from, which opens the keyring: a file, or systemd. (A TPM: `store.keys_tpm`.)"""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

from store.errors import CredentialMissing, KeyUnusable
from store.keys_files import NEXT, read_private, remove, remove_next, replace_by_next, write_private
from store.keys_tier import Tier

ROOT_BYTES = 32
ROOT_TITLE = b"terminald root key 1\n"
CREDENTIAL = "terminal-root"
_FILE_BYTES_MAX = 1_024


class RootSource(Protocol):
    """Keeps one root secret of 32 bytes. A new one is first laid ready (`prepare`) and then put in force (`adopt`)."""

    tier: Tier
    place: str
    """Where it is, in words for people."""

    def exists(self) -> bool:
        """Whether there is a root in force."""

    def load(self) -> bytes:
        """The root in force. Raises KeyMissing, KeyExposed, KeyDenied, KeyUnusable, TpmGone, TpmRefused."""

    def prepare(self) -> bytes:
        """Lays a new root ready, durably, and gives it. A source whose root others make gives that one."""

    def prepared(self) -> bytes | None:
        """The root that lies ready, if any. Raises as `load`."""

    def adopt(self) -> None:
        """Puts the root that lies ready in force, in one step."""

    def discard(self) -> None:
        """Forgets a root that lies ready and that nothing needs, if there is one."""

    def remove(self) -> None:
        """Forgets the root: it was moved to another source."""


class RootFile:
    """The root secret in a file of mode 0400 on the terminal's own medium: the lowest tier."""

    tier: Tier = "file"

    def __init__(self, path: Path) -> None:
        self.place = path.name
        self._path = path
        self._next = path.with_name(path.name + NEXT)

    def exists(self) -> bool:
        """Whether there is such a file."""
        return self._path.exists()

    def load(self) -> bytes:
        """What it holds."""
        return read_hex(self._path, ROOT_TITLE, ROOT_BYTES)

    def prepare(self) -> bytes:
        """Writes a new one beside it."""
        root = secrets.token_bytes(ROOT_BYTES)
        write_hex(self._next, ROOT_TITLE, root)
        return root

    def prepared(self) -> bytes | None:
        """The one beside it."""
        return read_hex(self._next, ROOT_TITLE, ROOT_BYTES) if self._next.exists() else None

    def adopt(self) -> None:
        """Renames it."""
        replace_by_next(self._path)

    def discard(self) -> None:
        """Deletes the one beside it."""
        remove_next(self._path)

    def remove(self) -> None:
        """Deletes the file."""
        remove(self._path)


class RootCredential:
    """The root secret as systemd hands it to a unit: `terminal-root`, 32 bytes (systemd.exec(5), Credentials).

    systemd decrypts it with a key of the host, of the TPM or of both. It is made by who sets the machine up, and
    never changed from here.
    """

    tier: Tier = "credential"
    place = f"the credential {CREDENTIAL}"

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._folder = environment.get("CREDENTIALS_DIRECTORY")

    def exists(self) -> bool:
        """Whether this process was given one."""
        return self._folder is not None and Path(self._folder, CREDENTIAL).exists()

    def load(self) -> bytes:
        """What systemd gave."""
        if self._folder is None:
            raise CredentialMissing("this process was given no credentials: systemd did not start it with any")
        path = Path(self._folder, CREDENTIAL)
        if not path.exists():
            others = ", ".join(sorted(each.name for each in Path(self._folder).iterdir())) or "none"
            raise CredentialMissing(f"there is no credential {CREDENTIAL}; given were: {others}")
        root = read_private(path, _FILE_BYTES_MAX)
        if len(root) != ROOT_BYTES:
            raise KeyUnusable(f"the credential {CREDENTIAL} has {len(root)} bytes, not {ROOT_BYTES}")
        return root

    def prepare(self) -> bytes:
        """The one that there is."""
        return self.load()

    def prepared(self) -> bytes | None:
        """The one that there is."""
        return self.load() if self.exists() else None

    def adopt(self) -> None:
        """Nothing is to be done."""

    def discard(self) -> None:
        """There is none."""

    def remove(self) -> None:
        """Nothing can be done."""


def write_hex(path: Path, title: bytes, secret: bytes) -> None:
    """Writes a key file: its title, and the secret in hex."""
    write_private(path, title + secret.hex().encode() + b"\n")


def read_hex(path: Path, title: bytes, length: int) -> bytes:
    """The secret of a key file. Raises KeyMissing, KeyDenied, KeyExposed, KeyUnusable."""
    content = read_private(path, _FILE_BYTES_MAX)
    try:
        secret = bytes.fromhex(content.removeprefix(title).decode("ascii"))
    except ValueError:
        secret = b""
    if not content.startswith(title) or len(secret) != length:
        raise KeyUnusable(f"{path.name} does not hold a key of this software")
    return secret
