"""A second medium (a USB stick, a second card) that holds what headquarters has not acknowledged yet.

Below the medium's folder: ``terminald/TERMINAL/EPOCH-NUMBER.mirror``, each file as `store.mirror_format` has it. A file is
begun under another name and gets its own once its first part is on the medium and was read back; from then on frames are
only appended. It is never written anew: to drop what headquarters has acknowledged, and after any fault, the next file is
begun, and the one before goes once that one stands. At most one terminal uses a medium.

All of this blocks: it is called from a thread of its own.
"""

import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from core import recovery
from core.ledger import Head, Record
from store.errors import (
    JournalError,
    MirrorAltered,
    MirrorForeign,
    MirrorGone,
    MirrorLied,
    MirrorMissing,
    MirrorUnreadable,
)
from store.mirror_files import Files, RealFiles
from store.mirror_format import VERSION, Base, Contents, Header, Reader, Sealer, Sign, unwrap, wrap

FOLDER = "terminald"
SUFFIX = ".mirror"
ADOPTED = "adopted.json"
FILES_MAX = 64
"""Files of one terminal on a medium; with more of them something is wrong, and nothing is written."""
FILE_BYTES_MAX = 256 << 20
TRIM_BYTES = 1 << 20
"""So much of a file has to be acknowledged, and half of it, before the next file is begun without it."""
_NAME = re.compile(r"([0-9a-f]{32})-(\d{6})\.mirror")


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A file of this terminal that stands on the medium, from an earlier start or an earlier life.

    `head` is where it ends, None where this terminal cannot read it; `last` is what it says itself, without proof.
    """

    path: Path
    epoch: str
    number: int
    last: int
    head: Head | None


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """Left on a medium by who took over from its terminal: the epoch that goes on instead."""

    epoch: str
    previous_epoch: str
    previous_seq: int
    time_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose mirror it is: the terminal, its key for mirrors (32 bytes), the recovery key, and how it signs."""

    terminal: str
    key: bytes
    recovery_public: bytes
    sign: Sign


class MirrorMedium:
    """The medium in one folder, written by its terminal. Every method may raise OSError and JournalError."""

    def __init__(self, folder: Path, owner: Owner, files: Files | None = None) -> None:
        self._files = files or RealFiles()
        self._owner = owner
        self._root = folder
        self._folder = folder / FOLDER / owner.terminal
        self._identity = self._files.identity(folder)
        self._sealer: Sealer | None = None
        self._path: Path | None = None
        self._descriptor = -1
        self._head: Head | None = None
        self._ends: list[tuple[int, int]] = []
        self.size = 0
        """Bytes of the file that is written."""

    def survey(self) -> list[Found]:
        """What this terminal left on the medium. Raises MirrorForeign where it is somebody else's."""
        owner = self._owner
        for terminal, names in terminals_on(self._root, self._files).items():
            if terminal != owner.terminal:
                raise MirrorForeign(f"it holds {len(names)} files of {terminal}")
        names = [name for name in self._files.names(self._folder) if _NAME.fullmatch(name)]
        if len(names) > FILES_MAX:
            raise MirrorForeign(f"it holds {len(names)} files of this terminal, and {FILES_MAX} are never left")
        return [self._look(self._folder / name) for name in names]

    def taken(self) -> Taken | None:
        """Whether somebody took over from this terminal."""
        return taken_over(self._folder, self._files)

    def begin(self, epoch: str, ordinal: int, number: int, base: Base) -> None:
        """Begins the next file; it counts once it is published."""
        self.close()
        self._files.make_folder(self._folder)
        if self._files.identity(self._folder)[0] != self._identity[0]:
            raise MirrorForeign("a link on it leads to another medium")
        for name in self._files.names(self._folder):
            if name.endswith(".new"):
                self._files.remove(self._folder / name)
        owner = self._owner
        fresh, secret = recovery.encapsulate(os.urandom(recovery.KEY_BYTES), owner.recovery_public)
        header = Header(
            mirror=VERSION,
            terminal=owner.terminal,
            epoch=epoch,
            ordinal=ordinal,
            number=number,
            recovery=owner.recovery_public.hex(),
            fresh=fresh.hex(),
            own=wrap(secret, owner.key, owner.terminal, epoch).hex(),
        )
        self._sealer = Sealer(header, secret)
        self._path = self._folder / f"{epoch}-{number:06}{SUFFIX}.new"
        self._head = Head(epoch=epoch, seq=base.prev_seq, hash=bytes.fromhex(base.prev_hash))
        self._ends, self.size = [], 0
        self._descriptor = self._files.create(self._path)
        self._append(self._sealer.line + self._sealer.base(base), base.prev_seq)

    @property
    def secret(self) -> bytes:
        """What opens the file that is written."""
        assert self._sealer is not None
        return self._sealer.secret

    def append(self, records: Sequence[Record], ack: bytes = b"") -> None:
        """One more frame; it is on the medium when this returns. `ack` is what headquarters said since the frame before.

        Raises MirrorGone where the medium is another one.
        """
        sealer, head = self._sealer, self._head
        assert sealer is not None
        assert head is not None
        assert (records[0].epoch, records[0].seq) == (head.epoch, head.seq + 1), "records follow each other"
        self.check()
        last = records[-1]
        self._append(sealer.records(records, self._owner.sign, ack), last.seq)
        self._head = Head(epoch=last.epoch, seq=last.seq, hash=last.hash)

    def check(self) -> None:
        """Raises MirrorGone where the medium is another one by now."""
        try:
            same = self._files.identity(self._root) == self._identity
        except (FileNotFoundError, NotADirectoryError):
            same = False
        if not same:
            raise MirrorGone("the second medium was taken out")

    @property
    def name(self) -> str:
        """The name of the file that is written."""
        assert self._path is not None
        return self._path.name

    def publish(self) -> Path:
        """Gives the file its name, after it was read back from the medium. Raises MirrorLied."""
        assert self._path is not None
        assert self._sealer is not None
        self._read_back(self._path, self._sealer.secret)
        self._path = self._files.rename(self._path, self._path.name.removesuffix(".new"))
        return self._path

    def acknowledged_bytes(self, seq: int) -> int:
        """How much of the file holds nothing beyond `seq`."""
        return max((end for last, end in self._ends if last <= seq), default=0)

    def remove(self, paths: Sequence[Path]) -> None:
        """Removes files that are not needed any more, and the word of who took over before."""
        for path in paths:
            assert path != self._path, "the file that is written stays"
            self._files.remove(path)
        self._files.remove(self._folder / ADOPTED)

    def close(self) -> None:
        """Lets go of the file. Never raises, may be called twice."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            try:
                self._files.close(descriptor)
            except OSError:
                pass  # what counts was flushed with each frame

    def _append(self, data: bytes, last: int) -> None:
        if self.size + len(data) > FILE_BYTES_MAX:
            raise OSError(28, f"a mirror holds {FILE_BYTES_MAX >> 20} MiB at most")
        self._files.append(self._descriptor, data)
        self.size += len(data)
        self._ends.append((last, self.size))

    def _read_back(self, path: Path, secret: bytes) -> None:
        stream, size = self._files.read(path)
        with stream:
            try:
                contents = Reader(stream, size).read(secret)
            except JournalError as error:
                raise MirrorLied(f"what was written and flushed is not there: {error}") from error
        if contents.head != self._head:
            raise MirrorLied(f"what was written and flushed is not there: it ends at record {contents.head.seq}")

    def _look(self, path: Path) -> Found:
        match = _NAME.fullmatch(path.name)
        assert match is not None
        epoch, number = match[1], int(match[2])
        stream, size = self._files.read(path)
        with stream:
            try:
                reader = Reader(stream, size)
            except MirrorUnreadable:
                return Found(path=path, epoch=epoch, number=number, last=0, head=None)
            last = reader.plain_last()
            secret = unwrap(reader.header, self._owner.key)
            head = None
            if secret is not None and reader.header.epoch == epoch:
                try:
                    head = reader.read(secret).head
                except JournalError:
                    head = None
        return Found(path=path, epoch=epoch, number=number, last=last, head=head)


# --- reading one as a successor ----------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A file as a successor finds it: its header needs no key."""

    path: Path
    header: Header


def terminals_on(root: Path, files: Files | None = None) -> dict[str, list[str]]:
    """The terminals that have mirrors on a medium, each with the names of its files."""
    files = files or RealFiles()
    found = {
        terminal: [name for name in files.names(root / FOLDER / terminal) if _NAME.fullmatch(name)]
        for terminal in files.names(root / FOLDER)
    }
    return {terminal: names for terminal, names in found.items() if names}


def left_by(root: Path, terminal: str, files: Files | None = None) -> list[Left]:
    """The files that a terminal left, one an epoch, the newest epoch first; of an epoch's files the newest readable one.

    Raises MirrorMissing where there is none, MirrorUnreadable where none of them has a header.
    """
    files = files or RealFiles()
    folder = root / FOLDER / terminal
    newest: dict[str, Left] = {}
    fault: JournalError = MirrorMissing(f"there is no mirror of {terminal} in {root}")
    for name in files.names(folder):
        if _NAME.fullmatch(name):
            stream, size = files.read(folder / name)
            with stream:
                try:
                    header = Reader(stream, size).header
                except MirrorUnreadable as error:
                    fault = error
                    continue
            before = newest.get(header.epoch)
            if header.terminal == terminal and (before is None or before.header.number < header.number):
                newest[header.epoch] = Left(path=folder / name, header=header)
    if not newest:
        raise fault
    return sorted(newest.values(), key=lambda left: left.header.ordinal, reverse=True)


def read_left(
    left: Left,
    secret: bytes,
    records: Callable[[Sequence[Record]], None],
    *,
    salvage: bool = False,
    files: Files | None = None,
) -> Contents:
    """Verifies a file and hands its records on. Raises MirrorWrongKey, MirrorAltered, MirrorUnreadable."""
    stream, size = (files or RealFiles()).read(left.path)
    with stream:
        contents = Reader(stream, size).read(secret, records, salvage=salvage)
    if left.path.name != f"{contents.header.epoch}-{contents.header.number:06}{SUFFIX}":
        raise MirrorAltered("the file was given another name")
    return contents


def taken_over(folder: Path, files: Files | None = None) -> Taken | None:
    """What the one who took over from a terminal left in its folder on the medium."""
    files = files or RealFiles()
    try:
        stream, size = files.read(folder / ADOPTED)
    except FileNotFoundError:
        return None
    with stream:
        try:
            return msgspec.json.decode(stream.read(min(size, 4096)), type=Taken)
        except (ValueError, RecursionError):
            return None


def mark_taken(root: Path, terminal: str, taken: Taken, files: Files | None = None) -> None:
    """Leaves word that somebody took over."""
    (files or RealFiles()).write(root / FOLDER / terminal / ADOPTED, msgspec.json.encode(taken))
