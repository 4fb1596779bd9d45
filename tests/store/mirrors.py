"""Mirrors for tests: records with a real chain, an owner with keys, and media that misbehave."""

import errno
import io
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from core.entries import encode
from core.ledger import GENESIS, Head, Record
from store.mirror import MirrorMedium, Owner
from store.mirror_files import RealFiles
from store.mirror_format import Base
from tests.records import KEY, TERMINAL, chain, follow, head_of, sales

RECOVERY_PRIVATE = bytes(range(32))
RECOVERY_PUBLIC = X25519PrivateKey.from_private_bytes(RECOVERY_PRIVATE).public_key().public_bytes_raw()
OWNER = Owner(terminal=TERMINAL, key=bytes(32), recovery_public=RECOVERY_PUBLIC, sign=KEY.sign)
RECORDS = chain(sales(20))
EPOCH = RECORDS[0].epoch


def base(after: int = 0, *, state: bytes = b"[1,{}]", secrets: dict[str, str] | None = None) -> Base:
    """Where a mirror of `RECORDS` begins: after so many of them."""
    head = head_of(RECORDS[after - 1]) if after else Head(epoch=EPOCH, seq=0, hash=GENESIS)
    return Base(
        prev_seq=head.seq, prev_hash=head.hash.hex(), signing_key=KEY.public_key.hex(), state=msgspec.Raw(state),
        state_seq=head.seq, identity=(bytes([3]) * 32).hex(), secrets=secrets or {},
    )  # fmt: skip


def written(
    folder: Path, frames: Sequence[Sequence[Record]] = (RECORDS[:5], RECORDS[5:9]), *, after: int = 0,
    owner: Owner = OWNER, files: RealFiles | None = None,
) -> MirrorMedium:  # fmt: skip
    """A medium in a folder with a published file of these frames; it is still open."""
    folder.mkdir(exist_ok=True)
    medium = MirrorMedium(folder, owner, files)
    medium.begin(EPOCH, 1, 1, base(after))
    for frame in frames:
        medium.append(frame)
    medium.publish()
    return medium


def more(count: int) -> list[Record]:
    """Records that follow `RECORDS`."""
    return follow(head_of(RECORDS[-1]), [encode(entry) for entry in sales(count)])


class HostileFiles(RealFiles):
    """A medium that is slow, full, broken, or lies, as the test says at each moment."""

    def __init__(self) -> None:
        self.open = threading.Event()
        """While it is not set, nothing that is written comes back."""
        self.open.set()
        self.delay_s = 0.0
        self.error = 0
        """The errno of each append, 0 for none."""
        self.lies = False
        """Whether what is appended is said to be kept, and is not."""
        self.appends = 0

    def append(self, descriptor: int, data: bytes) -> None:
        self.appends += 1
        if self.delay_s:
            threading.Event().wait(self.delay_s)
        self.open.wait()
        if self.error:
            raise OSError(self.error, errno.errorcode[self.error])
        if not self.lies:
            super().append(descriptor, data)

    def read(self, path: Path) -> tuple[BinaryIO, int]:
        stream, size = super().read(path)
        with stream:
            return io.BytesIO(stream.read()), size
