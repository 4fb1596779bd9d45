"""A terminal's end, by headquarters' order: its keys are destroyed, and it never makes others by itself.

A note beside the journal comes first, so that a power cut in between leaves a terminal whose next start goes on destroying.
What the keys had encrypted stays, and opens no more, except by the organisation's recovery key; headquarters has it all.
"""

import asyncio
import logging
import os
from pathlib import Path

from core.ports import Clock
from store.database import sync_folder
from store.keys_files import remove
from terminald import paths
from terminald.addresses import asked_of
from terminald.config import Config
from terminald.notify import feed_watchdog, notify

_log = logging.getLogger(__name__)


def note_of(config: Config) -> Path:
    """The note that says that a terminal is retired."""
    return config.journal.with_name("retired")


def decide(config: Config) -> None:
    """Notes, before headquarters hears that all is delivered, that this is the end: no power cut takes it back."""
    _write(config.journal.with_name("retiring"))


def is_decided(config: Config) -> bool:
    """Whether the keys are to be destroyed as soon as all is delivered."""
    return config.journal.with_name("retiring").exists()


def retire(config: Config) -> None:
    """Destroys the terminal's keys, for ever. May be called again. Raises OSError, JournalError."""
    _write(note_of(config))
    store = paths.key_store(config)
    for file in (store.ring.path, store.ring.copy, paths.signing_key(config)):
        _spoil(file)
        remove(file)
    for source in (store.root, *store.former):
        if source.exists():
            source.remove()
    for file in _keys_of_tls(config):
        try:
            _spoil(file)
            remove(file)
        except OSError as error:  # it is not the daemon's own: headquarters revokes the certificate all the same
            _log.error("a key of TLS cannot be destroyed", extra={"file": file.name, "reason": error.strerror})


def _keys_of_tls(config: Config) -> tuple[Path, ...]:
    """Files that hold a key of the terminal's certificate: it may stand in the certificate's own."""
    if config.headquarters is None:
        return ()
    tls = config.headquarters.tls
    key = tls.key or tls.certificate
    return (*((key,) if key else ()), *((asked_of(tls.certificate),) if tls.certificate else ()))


async def stand(config: Config, asked: asyncio.Event, clock: Clock) -> None:
    """A retired terminal's whole work: to say so once, and to wait for its end."""
    await asyncio.to_thread(retire, config)
    _log.error("this terminal is retired: it has no keys, and sells no more")
    notify("READY=1")
    async with asyncio.TaskGroup() as tasks:
        fed = tasks.create_task(feed_watchdog(clock), name="watchdog")
        await asked.wait()
        fed.cancel()


def _write(note: Path) -> None:
    os.close(os.open(note, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    sync_folder(note.parent)


def _spoil(file: Path) -> None:
    """Overwrites a file where it lies; a flash medium may keep the old block, a magnetic one does not."""
    try:
        size = file.stat().st_size
        file.chmod(0o600)
        descriptor = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        os.pwrite(descriptor, os.urandom(size), 0)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
