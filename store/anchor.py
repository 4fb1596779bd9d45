"""The anchor: how far the journal reached, kept in a file beside the database. SQLCipher sees no rollback; this does.

Two slots of 512 bytes, a page apart, are written in turn, each with a generation of its own: a write that is torn, or a
page that goes bad, takes one of them, and the other says nearly as much. A slot carries a checksum, by which a torn one is
told, and an HMAC under a key that is kept in the database, by which one of another journal is told.

The anchor sees only what is on the medium already, so it is never ahead of an honest one.
"""

import hashlib
import hmac
import os
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from store.database import sync_folder

SLOT_BYTES = 512
SLOT_STRIDE = 4096
KEY_BYTES = 32
BINDING_PART_BYTES = 8
UNBOUND = bytes(4 * BINDING_PART_BYTES)
"""The binding of a journal that knows nothing of its medium and board."""

_MAGIC = b"tdanchr1"
# magic, generation, epoch, seq, hash, number, binding, log_bytes, checkpoint, acknowledgement
_SLOT = struct.Struct("<8sQ16sQ32sQ32sQQQ")
_CHECK = struct.Struct("<I32s")
_SEALED_BYTES = SLOT_BYTES - _CHECK.size
_TAG = b"terminald/anchor/1\0"

State = Literal["whole", "absent", "unreadable", "foreign"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """What a slot says: the last synced record, and what stood beside it.

    `number` is the highest transaction number; `log_bytes` how long the write-ahead log's file is at least, 0 after an
    orderly end; `checkpoint` and `acknowledgement` the newest of their rows.
    """

    epoch: str
    seq: int
    hash: bytes
    number: int = 0
    binding: bytes = UNBOUND
    log_bytes: int = 0
    checkpoint: int = 0
    acknowledgement: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an anchor file holds: its newest whole slot, or why there is none."""

    state: State
    anchor: Anchor | None = None
    generation: int = 0


class AnchorUnsynced(OSError):
    """A flush of the anchor has failed: the medium cannot be trusted, and the run ends as after any failed flush."""


class AnchorFile:
    """The file, open to be written by the journal's one writer."""

    def __init__(self, path: Path, key: bytes) -> None:
        """Opens it, or makes it. Raises OSError, AnchorUnsynced where it was a flush that failed."""
        self._key = key
        self.found = read_anchor(path, key)
        self._generation = self.found.generation
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            short = SLOT_STRIDE + SLOT_BYTES - os.fstat(self._descriptor).st_size
            if short > 0:
                os.pwrite(self._descriptor, bytes(short), os.fstat(self._descriptor).st_size)
                self.sync()
                sync_folder(path.parent)
        except BaseException:
            self.close()
            raise

    def write(self, anchor: Anchor) -> None:
        """Writes the next slot; it outlives this process at once, and a power cut after `sync`. Raises OSError."""
        self._generation += 1
        slot = _seal(self._key, self._generation, anchor)
        done = os.pwrite(self._descriptor, slot, self._generation % 2 * SLOT_STRIDE)
        if done != SLOT_BYTES:
            raise OSError(f"only {done} bytes of an anchor could be written")

    def sync(self) -> None:
        """What was written is on the medium when this returns. Raises AnchorUnsynced."""
        try:
            os.fsync(self._descriptor)
        except OSError as error:
            raise AnchorUnsynced(error.errno, error.strerror) from error

    def close(self) -> None:
        """May be called twice."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1


def anchor_path(journal: Path) -> Path:
    """Where the anchor of a journal lies."""
    return journal.with_suffix(".anchor")


def read_anchor(path: Path, key: bytes) -> Found:
    """What the file holds. One that was made, and whose first anchor is not whole yet, counts as absent.

    Raises OSError.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return Found(state="absent")
    slots = [content[at : at + SLOT_BYTES] for at in (0, SLOT_STRIDE)]
    found = [_open(key, slot) for slot in slots]
    whole = [each for each in found if each.state == "whole"]
    if whole:
        return max(whole, key=lambda each: each.generation)
    states = {each.state for each in found}
    # Slots are written in turn: where one was never written to, what is torn is the first anchor of all.
    state: State = "foreign" if "foreign" in states else "absent" if "absent" in states else "unreadable"
    return Found(state=state, generation=max(each.generation for each in found))


def binding(board: str, medium: str, filesystem: str, machine: str) -> bytes:
    """What ties a journal to its place: eight bytes of a hash for each part, zeros for one that is not known."""
    parts = {"board": board, "medium": medium, "filesystem": filesystem, "machine": machine}
    return b"".join(
        hashlib.sha256(f"terminald/binding/1\0{name}\0{value}".encode()).digest()[:BINDING_PART_BYTES]
        if value
        else bytes(BINDING_PART_BYTES)
        for name, value in parts.items()
    )


def is_elsewhere(before: bytes, now: bytes) -> bool:
    """Whether a part is known in both bindings and is another now."""
    return any(was != is_ and any(was) and any(is_) for was, is_ in zip(_parts(before), _parts(now), strict=True))


def merged(before: bytes, now: bytes) -> bytes:
    """The binding now, with what was known before where a part cannot be told now."""
    return b"".join(is_ if any(is_) else was for was, is_ in zip(_parts(before), _parts(now), strict=True))


def _parts(whole: bytes) -> list[bytes]:
    return [whole[at : at + BINDING_PART_BYTES] for at in range(0, len(whole), BINDING_PART_BYTES)]


def _seal(key: bytes, generation: int, anchor: Anchor) -> bytes:
    said = _SLOT.pack(
        _MAGIC, generation, bytes.fromhex(anchor.epoch), anchor.seq, anchor.hash, anchor.number, anchor.binding,
        anchor.log_bytes, anchor.checkpoint, anchor.acknowledgement,
    ).ljust(_SEALED_BYTES, b"\0")  # fmt: skip
    return said + _CHECK.pack(zlib.crc32(said), hmac.digest(key, _TAG + said, "sha256"))


def _open(key: bytes, slot: bytes) -> Found:
    if not any(slot):
        return Found(state="absent")
    said = slot[:_SEALED_BYTES]
    if len(slot) != SLOT_BYTES or not said.startswith(_MAGIC):
        return Found(state="unreadable")
    checksum, tag = _CHECK.unpack(slot[_SEALED_BYTES:])
    if checksum != zlib.crc32(said):
        return Found(state="unreadable")
    _, generation, epoch, seq, hash_, number, bound, log_bytes, checkpoint, acknowledgement = _SLOT.unpack_from(said)
    if not hmac.compare_digest(tag, hmac.digest(key, _TAG + said, "sha256")):
        return Found(state="foreign", generation=generation)
    anchor = Anchor(
        epoch=epoch.hex(), seq=seq, hash=hash_, number=number, binding=bound, log_bytes=log_bytes,
        checkpoint=checkpoint, acknowledgement=acknowledgement,
    )  # fmt: skip
    return Found(state="whole", anchor=anchor, generation=generation)
