"""The key that headquarters signs its acknowledgements and orders with: one file, made once. Each has a tag of its own."""

import contextlib
import hashlib
import os
from pathlib import Path
from typing import ClassVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from core.ports import Signer
from fleet.store import Address, Server


class KeyFileError(Exception):
    """The key file cannot be used."""

    code: ClassVar[str] = "ack-key"
    remedy: ClassVar[str] = "Give another --key, or put the right file back: terminals believe this key alone."


class AckKey:
    """An Ed25519 signing key (core.ports.Signer)."""

    def __init__(self, private: Ed25519PrivateKey) -> None:
        self._private = private
        self.public_key = private.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def sign(self, message: bytes) -> bytes:
        """64 bytes."""
        return self._private.sign(message)


def shared_group(signer: Signer, purpose: str) -> str:
    """The name under which collectors with this key divide messages among themselves; nobody else can say it.

    mosquitto 2.0 lets every client into every group and looks at its rights only when a message is given to it: a terminal
    that knew the name would be given messages of the collectors, and each would be lost.
    """
    return hashlib.sha256(signer.sign(b"terminald/share/1\0" + purpose.encode())).hexdigest()[:32]


def beside(database: Address) -> Path:
    """Where the key of a database lies unless something else is said. Raises KeyFileError for one on a server."""
    if isinstance(database, Server):
        raise KeyFileError(
            "say with --key where the key lies: a server has no place beside it, and all collectors need one"
        )
    return database.with_name(database.name + ".ack-key")


def load_or_make(path: Path) -> AckKey:
    """The key of a file (64 hex digits, mode 0400); makes it where there is none. Raises KeyFileError."""
    try:
        with contextlib.suppress(FileExistsError):
            _make(path)
        if path.stat().st_mode & 0o077:
            raise KeyFileError(f"{path} can be read by others: chmod 0400 {path}")
        return AckKey(Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text("ascii"))))
    except OSError as error:
        raise KeyFileError(f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise KeyFileError(f"{path} does not hold 64 hex digits") from error


def _make(path: Path) -> None:
    """Writes a new key whole under its name, on the medium, or not at all. Raises FileExistsError, OSError."""
    draft = path.with_name(f"{path.name}.{os.getpid()}.new")
    file = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o400)
    try:
        with os.fdopen(file, "w") as out:
            out.write(Ed25519PrivateKey.generate().private_bytes_raw().hex() + "\n")
            out.flush()
            os.fsync(out.fileno())
        os.link(draft, path)  # fails where the name is taken
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
