"""A medium as a power cut leaves it: what a trace of calls made durable is there, and of the rest anything may be.

The model promises no more than POSIX does:

- What was written to a file is durable once a later fsync or fdatasync of it has succeeded. Until then each write, and
  each sector of 512 bytes of it, may be there or not, whatever order they came in: writes are dropped, reordered and
  torn. The length may have come through without the bytes.
- A name (made, renamed, deleted) is durable once its folder was synced. Until then each change of a name may be there or
  not, whatever order they came in, a rename as one change.
- After an fsync that failed, the pages are taken for clean, as Linux does: no later fsync makes them durable, only
  writing them again does.
- Shared memory (``-shm``) comes back with anything in it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from tests.shim.trace import LIED, Event, Kind

SECTOR_BYTES = 512
_VOLATILE = "-shm"


@dataclass(slots=True)
class _Change:
    """Bytes at an offset, or (`data` None) a new length of `offset`. `doubtful`: a flush of it has failed."""

    offset: int
    data: bytes | None
    doubtful: bool = False


@dataclass(slots=True)
class _File:
    durable: bytearray = field(default_factory=bytearray)
    pending: list[_Change] = field(default_factory=list)

    def flush(self) -> None:
        doubts: list[_Change] = []
        for change in self.pending:
            if change.doubtful:
                doubts.append(change)
                continue
            for doubt in doubts:
                if _overlap(change, doubt):  # a sector goes out whole
                    _apply(self.durable, doubt)
            doubts = [doubt for doubt in doubts if not _overlap(change, doubt)]
            _apply(self.durable, change)
        self.pending = doubts

    def doubt(self) -> None:
        # A length is no page: it goes out with the file's next flush.
        self.pending = [
            replace(piece, doubtful=piece.data is not None) for change in self.pending for piece in _pieces(change)
        ]


@dataclass(slots=True)
class _Naming:
    """Changes of names that come or stay away together: each name and its file, None where it is gone."""

    names: tuple[tuple[str, _File | None], ...]


class Disk:
    """Takes the events of a trace in order; `image` gives what a power cut may leave at that moment.

    With `lying` every flush returns without effect, as on a medium that only says so.
    """

    def __init__(self, files: dict[str, bytes] | None = None, *, lying: bool = False) -> None:
        self._durable = {name: _File(bytearray(content)) for name, content in (files or {}).items()}
        self._names = dict(self._durable)
        self._naming: list[_Naming] = []
        self._by_inode: dict[int, _File] = {}
        self._lying = lying

    def take(self, event: Event) -> None:
        """What a call did. A failed one did nothing, but a failed flush leaves doubts."""
        if event.kind is Kind.SAID or event.name.endswith(_VOLATILE):
            return
        if event.kind is Kind.FLUSHED:
            self._flush(event)
        elif event.outcome == 0:
            match event.kind:
                case Kind.CREATED:
                    file = self._by_inode[event.inode] = _File()
                    self._rename(((event.name, file),))
                case Kind.WRITTEN:
                    self._file(event).pending.append(_Change(event.offset, event.data))
                case Kind.RESIZED:
                    self._file(event).pending.append(_Change(event.offset, None))
                case Kind.UNLINKED:
                    self._rename(((event.name, None),))
                case Kind.RENAMED:
                    source = event.data.decode()
                    self._rename(((event.name, self._names[source]), (source, None)))

    def image(self, random: Random) -> dict[str, bytes]:
        """The files after a power cut now."""
        names: dict[str, _File | None] = dict(self._durable)
        keep = _chooser(random)
        for naming in self._naming:
            if keep():
                names.update(naming.names)
        found = {name: _remains(file, random) for name, file in names.items() if file is not None}
        if random.random() < 0.1:
            found["journal.db" + _VOLATILE] = random.randbytes(32_768)
        return found

    def cached(self) -> dict[str, bytes]:
        """The files as the processes of this machine see them, without a power cut."""
        found = {}
        for name, file in self._names.items():
            content = bytearray(file.durable)
            for change in file.pending:
                _apply(content, change)
            found[name] = bytes(content)
        return found

    def _file(self, event: Event) -> _File:
        # A file that was there before the trace began is known by its name alone.
        if event.inode not in self._by_inode:
            self._by_inode[event.inode] = self._names[event.name]
        return self._by_inode[event.inode]

    def _rename(self, names: tuple[tuple[str, _File | None], ...]) -> None:
        self._naming.append(_Naming(names))
        _put(self._names, names)

    def _flush(self, event: Event) -> None:
        if self._lying or event.outcome == LIED:
            return
        if event.name == "":
            if event.outcome == 0:
                for naming in self._naming:
                    _put(self._durable, naming.names)
                self._naming.clear()
        elif event.outcome == 0:
            self._file(event).flush()
        else:
            self._file(event).doubt()


def _put(names: dict[str, _File], changes: tuple[tuple[str, _File | None], ...]) -> None:
    for name, file in changes:
        if file is None:
            names.pop(name, None)
        else:
            names[name] = file


def _remains(file: _File, random: Random) -> bytes:
    """What is left of a file: its durable bytes, with some of what was not flushed."""
    content = bytearray(file.durable)
    if not file.pending:
        return bytes(content)
    way = random.randrange(5)
    keep = _chooser(random)
    last = random.randrange(len(file.pending) + 1)
    for number, change in enumerate(file.pending):
        if way == 0 and number >= last:  # in order, the last one torn
            for piece in _pieces(change) if number == last else []:
                if random.random() < 0.5:
                    _apply(content, piece)
        elif (way == 1 and number < last) or (way == 2 and not keep()):  # the early ones are lost, or some
            continue
        elif way == 3:  # sectors are lost, in any order
            for piece in _pieces(change):
                if keep():
                    _apply(content, piece)
        elif way == 4 and number == last:  # one is lost, all others are there
            continue
        else:
            _apply(content, change)
    if random.random() < 0.3:  # the length came through, and the bytes did not
        length = max([len(content)] + [change.offset + len(change.data) for change in file.pending if change.data])
        content += bytes(length - len(content))
    return bytes(content)


def _chooser(random: Random) -> Callable[[], bool]:
    """Says of one after the other whether it is kept: all, none, or some, as chance has it."""
    share = random.choice((0.0, 0.1, 0.5, 0.9, 1.0))
    return lambda: random.random() < share


def _apply(content: bytearray, change: _Change) -> None:
    if change.data is None:
        del content[change.offset :]
        content += bytes(change.offset - len(content))
        return
    if change.offset > len(content):
        content += bytes(change.offset - len(content))
    content[change.offset : change.offset + len(change.data)] = change.data


def _pieces(change: _Change) -> list[_Change]:
    """A write, sector by sector."""
    if change.data is None:
        return [change]
    pieces = []
    begin, end = change.offset, change.offset + len(change.data)
    while begin < end:
        cut = min(end, (begin // SECTOR_BYTES + 1) * SECTOR_BYTES)
        pieces.append(replace(change, offset=begin, data=change.data[begin - change.offset : cut - change.offset]))
        begin = cut
    return pieces


def _overlap(one: _Change, other: _Change) -> bool:
    if one.data is None or other.data is None:
        return False
    return one.offset < other.offset + len(other.data) and other.offset < one.offset + len(one.data)
