"""Online backups: encrypted copies of a terminal's databases, made while it sells, verified from the medium, rotated.

- A copy is made by SQLite's backup API from one read snapshot, page by page, decrypted by the one connection and encrypted
  by the other under the copy's own key (`store.backup_format`): nothing is in the clear on any medium. The snapshot never
  moves, however much is sold meanwhile; the till's log only grows a little longer until the copy is done.
- What is in the snapshot is put on the till's own medium first. A backup with records that a power cut can still take back
  would be a fork of its own: the till would number others like them.
- A backup counts once each file was flushed, read back from the medium, opened and checked to the last record, and only
  then the manifest was written, flushed, renamed and read back. Whatever is interrupted before leaves a folder without a
  manifest, which the next backup removes.
- Old ones go only after the new one counts. Where there is no room for a new one, old ones go before, but never the newest
  that is whole.

All of this blocks, and on a bad medium for ever: it is run in a process of its own (`terminald.backup`).
"""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from core.ledger import Head, Stamp, head_message
from core.ports import Signer
from store.backup_format import (
    FILE_BYTES_MAX,
    MANIFEST,
    VERSION,
    Copied,
    Manifest,
    check_files,
    digest,
    encode_manifest,
    key_id,
    key_of,
    name_of,
    new_database_key,
    read_manifest,
)
from store.backup_medium import Listed, explained, held, is_of_target, make_room, remove_unfinished, rotate
from store.database import PAGE_BYTES, Schema, connect, explain, read_database, sync_folder
from store.epochs import resume
from store.errors import (
    BackupInUse,
    BackupTooSlow,
    BackupUnfit,
    JournalError,
)
from store.keys_files import read_private
from store.verify import verify_journal

SPARE_BYTES = 4 << 20
"""What a backup leaves free on its medium."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A database that is backed up."""

    purpose: Schema
    path: Path
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """What is backed up, whose it is, and who signs for it. The journal comes first; what is not there is left out.

    `recoverable` says whether the organisation's recovery key opens the keyring among the small `files`.
    """

    terminal: str
    sources: tuple[Source, ...]
    files: tuple[Path, ...]
    backup_key: bytes = field(repr=False)
    signer: Signer
    recoverable: bool
    software: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How gently it is done: so many pages at a time, then a rest of `rest` times what they took; a flush after so many
    bytes, so that the till's own flush never waits for a heap of ours; and when it is given up."""

    step_pages: int = 64
    rest: float = 1.0
    flush_bytes: int = 2 << 20
    limit_s: float = 4 * 3600.0


Copy = Callable[[Any, Path, bytes, Callable[[], None]], None]
"""Copies the database of an open connection into a new file under a key; calls back after each step."""

Verify = Callable[[Path, Manifest, bytes], None]
"""Raises where a backup in a folder, that says to be this, is not whole. The last is the backup key."""


def make_backup(
    target: Path,
    subject: Subject,
    stamp: Stamp,
    *,
    keep: int,
    pace: Pace | None = None,
    copy: "Copy | None" = None,
    verify: "Verify | None" = None,
) -> Listed:
    """Makes a backup in the folder `target`, verifies it and removes those that are not to be kept.

    `keep` newest ones are kept, and the last of each of as many days. `copy` and `verify` are for tests, which have to
    see that a careless one is caught. Raises JournalError: BackupNoRoom, BackupReadOnly, BackupTargetMissing,
    BackupTargetLost, BackupUnfit, BackupInUse, BackupTooSlow, or what is wrong with a database.
    """
    pace = pace or Pace()
    with explained(target), held(target, subject.terminal) as folder:
        remove_unfinished(folder)
        make_room(folder, needed_bytes(subject), subject.backup_key)
        beat = _Beat(pace)
        making = _Making(folder, subject, stamp, beat, copy or partial(copy_pages, step_pages=pace.step_pages))
        try:
            path, manifest = making.run()
            (verify or verify_backup)(path, manifest, subject.backup_key)
            _write_manifest(path, manifest, subject.backup_key)
        except BaseException:
            with contextlib.suppress(OSError):
                remove_unfinished(folder)  # what is half there may fill the medium
            raise
        rotate(folder, keep)
    return Listed(path=path, manifest=manifest)


def verify_backup(path: Path, manifest: Manifest, backup_key: bytes) -> None:
    """Reads a backup's files back, opens each database and checks it: every page, and every record of the journal.

    Raises BackupDamaged or BackupUnfit, JournalError, OSError.
    """
    check_files(path, manifest)
    for each in manifest.files:
        if each.purpose:
            check_copy(path / each.name, key_of(path / each.name, backup_key, each.purpose), each.purpose, manifest.end)


def check_copy(path: Path, key: bytes, purpose: str, end: Head) -> None:
    """Every page is what was encrypted, the database hangs together, and a journal goes to `end` without a break."""
    try:
        if purpose == "journal":
            found = verify_journal(path, key)
            fault = found.finding
            if fault is None and found.head != end:
                fault = f"it ends at record {found.head.seq if found.head else 0}, not at {end.seq}"
        else:
            fault = _unsound(path, key)
    except (sqlcipher.Error, JournalError) as error:
        raise BackupUnfit(f"{path.name} cannot be read: {error}") from error
    if fault is not None:
        raise BackupUnfit(f"{path.name} is not whole: {fault}")


def copy_pages(source: Any, path: Path, key: bytes, beat: Callable[[], None], step_pages: int = 1_024) -> None:
    """Copies an open database, as it is at this moment, into a new file that needs no log beside it."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(connect(path, key, exclusive=True)) as target:
        target.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        target.execute("PRAGMA journal_mode = OFF")  # a copy that is cut off is thrown away
        target.execute("PRAGMA synchronous = OFF")  # its flushes are made beside it, step by step
        source.backup(target, pages=step_pages, progress=lambda *_: beat(), sleep=0)
        target.execute("PRAGMA journal_mode = DELETE")
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def needed_bytes(subject: Subject) -> int:
    """How much room a backup takes."""
    return SPARE_BYTES + sum(
        beside.stat().st_size
        for source in subject.sources
        for beside in (source.path, source.path.with_name(source.path.name + "-wal"))
        if beside.exists()
    )


# --- making one --------------------------------------------------------------------------------------------------


class _Beat:
    """What happens between two steps of a copy: flush, rest, and look at the time."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._deadline_s = time.monotonic() + pace.limit_s
        self._stepped_s = time.monotonic()
        self._unflushed = 0
        self._path = Path()
        self._descriptor = -1

    @contextmanager
    def on(self, path: Path) -> Iterator[None]:
        """While a file is written, by whoever makes it."""
        self._path, self._stepped_s, self._unflushed = path, time.monotonic(), 0
        try:
            yield
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def __call__(self) -> None:
        self._unflushed += self._pace.step_pages * PAGE_BYTES
        if self._unflushed >= self._pace.flush_bytes:
            if self._descriptor < 0:
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CLOEXEC)
            os.fdatasync(self._descriptor)
            self._unflushed = 0
        now_s = time.monotonic()
        if now_s > self._deadline_s:
            raise BackupTooSlow(f"after {self._pace.limit_s:g} s it was not done")
        time.sleep((now_s - self._stepped_s) * self._pace.rest)
        self._stepped_s = time.monotonic()


class _Making:
    """One backup on its way."""

    def __init__(self, folder: Path, subject: Subject, stamp: Stamp, beat: _Beat, copy: Copy) -> None:
        self._folder = folder
        self._subject = subject
        self._stamp = stamp
        self._beat = beat
        self._copy = copy

    def run(self) -> tuple[Path, Manifest]:
        """The folder with all files flushed, and what the manifest is to say."""
        subject, stamp = self._subject, self._stamp
        journal = subject.sources[0]
        assert journal.purpose == "journal", "the journal comes first"
        with self._snapshot(journal) as connection:
            place = resume(connection)
            end, number = place.chain.head, place.chain.number
            path = self._make_folder(name_of(place.ordinal, end.seq, stamp.time_ms))
            files = [self._copied(path, journal, connection)]
        for source in subject.sources[1:]:
            if source.path.exists():
                with self._snapshot(source) as connection:
                    files.append(self._copied(path, source, connection))
        files += [self._small(path, each) for each in subject.files if each.exists()]
        return path, Manifest(
            version=VERSION,
            terminal=subject.terminal,
            key=key_id(subject.backup_key),
            ordinal=place.ordinal,
            epoch=end.epoch,
            seq=end.seq,
            head=end.hash.hex(),
            number=number,
            signature=subject.signer.sign(head_message(subject.terminal, end)).hex(),
            signing_key=subject.signer.public_key.hex(),
            time_ms=stamp.time_ms,
            clock=stamp.clock.value,
            software=subject.software,
            recoverable=subject.recoverable,
            files=tuple(files),
        )

    @contextmanager
    def _snapshot(self, source: Source) -> Iterator[Any]:
        """A connection that sees one state of a database, all of which is on the medium."""
        with closing(read_database(source.path, source.key)) as connection:
            try:
                connection.execute("BEGIN")
                connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
                _flush_log(source.path)
                yield connection
            except sqlcipher.Error as error:
                if is_of_target(error, self._folder):
                    raise
                raise explain(source.path, source.key, error) from error

    def _make_folder(self, name: str) -> Path:
        for attempt in range(1, 1_000):
            path = self._folder / (name if attempt == 1 else f"{name}-{attempt}")
            with contextlib.suppress(FileExistsError):
                path.mkdir()
                return path
        raise BackupInUse(f"{name} and what could follow it are there already")

    def _copied(self, path: Path, source: Source, connection: Any) -> Copied:
        copy = path / f"{source.purpose}.db"
        with self._beat.on(copy):
            self._copy(connection, copy, new_database_key(self._subject.backup_key, source.purpose), self._beat)
        return _described(copy, source.purpose)

    def _small(self, path: Path, file: Path) -> Copied:
        content = read_private(file, FILE_BYTES_MAX)
        _write(path / file.name, content)
        return _described(path / file.name, "")


def _unsound(path: Path, key: bytes) -> str | None:
    with closing(read_database(path, key)) as connection:
        faults = connection.execute("PRAGMA cipher_integrity_check").fetchall()
        (state,) = faults[0] if faults else connection.execute("PRAGMA quick_check(1)").fetchone()
    return None if state == "ok" else str(state)


def _described(path: Path, purpose: str) -> Copied:
    size, sha256 = digest(path)
    return Copied(name=path.name, purpose=purpose, bytes=size, sha256=sha256)


def _write_manifest(path: Path, manifest: Manifest, backup_key: bytes) -> None:
    new = path / f"{MANIFEST}.new"
    _write(new, encode_manifest(manifest, backup_key))
    sync_folder(path)
    new.rename(path / MANIFEST)
    sync_folder(path)
    sync_folder(path.parent)
    if read_manifest(path, backup_key) != manifest:
        raise BackupUnfit("the manifest that was written is not the one that is read")


def _write(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _flush_log(path: Path) -> None:
    """Puts all that was committed to a database on its medium. Whoever wrote it, a flush of the log's file does it."""
    try:
        descriptor = os.open(path.with_name(path.name + "-wal"), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.fdatasync(descriptor)
    finally:
        os.close(descriptor)  # SQLite takes no lock on this file that closing could drop (store.wal)
