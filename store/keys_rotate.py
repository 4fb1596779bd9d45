"""New keys for old data, in steps each of which may be the last one before the power goes.

A rotation first writes into the keyring all that is to come, beside all that there is; then changes one thing after the
other; and takes out of the keyring what was before only when nothing needs it any more:

1. `begin`: a new root lies ready. The keyring holds a new KEK, a slot for each of both roots, and both generations of
   each database's key. Written in one step.
2. `change_root`: the new root takes the old one's place. The keyring loses the old one's slot.
3. `rekey`, for each database: a copy under the new key is made beside it, compared with it row by row, synced, and renamed
   over it. The file's first bytes say which generation opens it (`store.keys`).
4. `retire`: the keyring loses the old generations.

`finish` does what is left of 2 to 4, whatever is left: it is also what a start does after a power cut. The caller holds
the journal's lock (`store.database.claim`), so that no daemon runs.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from itertools import zip_longest
from pathlib import Path
from typing import Any

from sqlcipher3 import dbapi2 as sqlcipher

from store.database import KEY_BYTES, PAGE_BYTES, SALT_BYTES, alone, connect, explain, sync_folder
from store.errors import JournalDamaged, JournalError, JournalNoSpace
from store.keyring import Ring
from store.keys import DATABASES, KeyStore

ENDING = ".rekey"
"""Ends the name of a copy under the new key, until it takes the place of the file without this ending."""

SPARE_BYTES = 4 << 20
"""What a copy must leave free on the medium."""

_STEP_PAGES = 2_048
_STEP_ROWS = 1_000
_LOG_ENDINGS = ("-wal", "-shm", "-journal")

Progress = Callable[[], None]
"""Is called again and again while a long step goes on."""


def rotate(store: KeyStore, *, databases: bool = True, progress: Progress = lambda: None) -> Ring:
    """Finishes a rotation that was cut off; then gives the keyring a new KEK and a new root, and the databases new keys.

    Without `databases` their keys stay. The keyring as it is then. Raises JournalError; what is not done yet stays to be
    finished.
    """
    finish(store, progress)
    begin(store, databases=databases)
    return finish(store, progress)


def finish(store: KeyStore, progress: Progress = lambda: None) -> Ring:
    """Does what is left of a rotation. Raises JournalError: JournalNoSpace, JournalInUse, JournalDamaged and so on."""
    ring = change_root(store)
    for purpose in DATABASES:
        rekey(store, ring, purpose, progress)
    return retire(store)


def is_unfinished(store: KeyStore) -> bool:
    """Whether a rotation was cut off. Raises JournalError."""
    if not store.ring.exists():
        return False
    sealed = store.ring.read()[0]
    return len(sealed.slots) > 1 or any(len(sealed.generations(purpose)) > 1 for purpose in DATABASES)


def begin(store: KeyStore, *, databases: bool = True) -> Ring:
    """Writes down all that is to come. Until then nothing has changed, and from then on nothing can be lost."""
    with alone(store.folder):
        before = store.open_anywhere()
        root = store.root.prepare()
        ring = store.completed(before.ring).renew().admit(before.source.tier, before.root).admit(store.root.tier, root)
        if databases:
            # Where there is no file, somebody may be about to make one, under the key that he was given: it stays.
            for purpose in (each for each, path in store.databases.items() if path.exists()):
                ring = ring.put(purpose, ring.generations(purpose)[-1] + 1, secrets.token_bytes(KEY_BYTES))
        store.ring.write(ring)
    return ring


def change_root(store: KeyStore) -> Ring:
    """Puts the root that lies ready in force, where the keyring knows it, and takes the former one's slot away."""
    with alone(store.folder):
        found = store.open_anywhere()
        if len(found.ring.slots) < 2:
            return found.ring
        ready = store.root.prepared()
        if ready is not None and found.ring.knows(ready):
            store.root.adopt()
            root = ready
        else:
            root = store.root.load()  # it is in force already
        ring = found.ring.only(root)
        store.ring.write(ring)
        for source in store.former:
            if source.exists() and any(slot.tier == source.tier for slot in found.ring.slots):
                source.remove()
    return ring


def rekey(store: KeyStore, ring: Ring, purpose: str, progress: Progress = lambda: None) -> None:
    """Brings one database under its newest key. Where it is already, or there is no such file, only clears up."""
    path = store.databases.get(purpose)
    if path is None or len(ring.generations(purpose)) < 2:
        return
    copy = path.with_name(path.name + ENDING)
    _unlink(copy, ("", *_LOG_ENDINGS))
    if not path.exists():
        return
    with path.open("rb") as file:  # nothing in this process has it open: closing it takes no lock away
        salt = file.read(SALT_BYTES)
    new = ring.newest(purpose)
    if salt == new[-SALT_BYTES:]:
        return
    generations = ring.generations(purpose)
    old = next(
        (key for each in generations if (key := ring.secrets[purpose, each])[-SALT_BYTES:] == salt),
        ring.secrets[purpose, generations[-2]],
    )
    try:
        _replace(path, old, copy, new, progress)
    except (sqlcipher.Error, OSError) as error:
        if isinstance(error, JournalError):
            raise
        raise explain(path, old, error) from error


def retire(store: KeyStore) -> Ring:
    """Takes out of the keyring what no file needs any more."""
    with alone(store.folder):
        ring = store.open_anywhere().ring
        new = ring
        for purpose in DATABASES:
            if len(ring.generations(purpose)) > 1:
                new = new.newest_only(purpose)
        if new is not ring:
            store.ring.write(new)
    return new


def _replace(path: Path, old: bytes, copy: Path, new: bytes, progress: Progress) -> None:
    """Copies a database under another key and puts the copy in its place. Nobody else gets at it meanwhile.

    Leaving the write-ahead log folds it in and deletes it: no log of the old file may be found beside the new one. It
    also takes the lock that keeps all others out until the connection closes. The first page of the old file is then
    spoilt: another process that has it open, and waits for the lock, would else write into a file without a name.
    """
    _need_room(path)
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)  # closed last: closing it drops SQLite's locks
    try:
        with closing(connect(path, old, exclusive=True)) as source:
            source.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            source.execute("PRAGMA journal_mode = DELETE")
            source.execute("BEGIN EXCLUSIVE")
            source.execute("COMMIT")
            try:
                _copy(source, copy, new, progress)
            except BaseException:
                source.execute("PRAGMA journal_mode = WAL")
                raise
            _sync(copy)
            # A log that a power cut brings back would be taken for the new file's own: its end comes first, for certain.
            _unlink(path, _LOG_ENDINGS)
            sync_folder(path.parent)
            copy.rename(path)
            sync_folder(path.parent)
            os.pwrite(descriptor, secrets.token_bytes(PAGE_BYTES), 0)
    finally:
        os.close(descriptor)


def _copy(source: Any, copy: Path, key: bytes, progress: Progress) -> None:
    os.close(os.open(copy, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    with closing(connect(copy, key)) as target:
        target.execute(f"PRAGMA page_size = {PAGE_BYTES}")
        source.backup(target, pages=_STEP_PAGES, progress=lambda *_: progress(), sleep=0)
        target.execute("PRAGMA journal_mode = WAL")
    with closing(connect(copy, key)) as target:
        faults = target.execute("PRAGMA cipher_integrity_check").fetchall()
        if faults or target.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise JournalDamaged(f"the copy of {copy.name.removesuffix(ENDING)} is not whole")
        if not _same(source, target, progress):
            raise JournalDamaged(f"the copy of {copy.name.removesuffix(ENDING)} differs from it")


def _same(one: Any, other: Any, progress: Progress) -> bool:
    """Whether two databases hold the same schema and the same rows, in the same order."""
    listed = "SELECT type, name, tbl_name, sql, rootpage FROM sqlite_schema ORDER BY name"
    schema = one.execute(listed).fetchall()
    if schema != other.execute(listed).fetchall():
        return False
    if one.execute("PRAGMA user_version").fetchone() != other.execute("PRAGMA user_version").fetchone():
        return False
    for kind, name, _, _, page in schema:
        if kind != "table" or not page:  # a virtual table's rows are in tables of their own
            continue
        quoted = name.replace('"', '""')
        select = f'SELECT * FROM "{quoted}"'  # noqa: S608  # a name of our own schema
        for left, right in zip_longest(_rows(one, select), _rows(other, select)):
            if left != right:
                return False
            progress()
    return True


def _rows(connection: Any, select: str) -> Iterator[list[Any]]:
    cursor = connection.execute(select)
    while rows := cursor.fetchmany(_STEP_ROWS):
        yield rows


def _need_room(path: Path) -> None:
    log = path.with_name(path.name + "-wal")
    need_bytes = path.stat().st_size + 2 * (log.stat().st_size if log.exists() else 0) + SPARE_BYTES
    room = os.statvfs(path.parent)
    if room.f_bavail * room.f_frsize < need_bytes:
        raise JournalNoSpace(f"a copy of {path.name} under its new key needs {need_bytes >> 20} MiB more on the medium")


def _unlink(path: Path, endings: Iterable[str]) -> None:
    for ending in endings:
        path.with_name(path.name + ending).unlink(missing_ok=True)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
