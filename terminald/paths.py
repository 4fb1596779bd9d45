"""Opens a terminal's own state as its configuration names it: keys, journal, catalogue, customers, credentials."""

import logging
import os
from pathlib import Path

from store.database import claim
from store.errors import JournalError, JournalInUse
from store.keys import Keys, KeyStore, TerminalSigner, keyring_of
from store.keys_root import RootCredential, RootFile, RootSource
from store.keys_rotate import finish, is_unfinished
from store.keys_tier import Tier
from store.keys_tpm import RootTpm
from store.tamper import Latch
from terminald.config import Config
from terminald.notify import notify

_log = logging.getLogger(__name__)

SIGNING_KEY = "signing.key"
"""The signing key's file, beside the key file."""

EXTEND_US = 30_000_000
"""How much longer systemd is asked to wait, again and again, while a start finishes a rotation of keys."""


def guarded(config: Config) -> tuple[Path, ...]:
    """The files that a lost key could not open again: while one of them is there, no new key is made."""
    return (config.journal, config.catalogue, config.customers, config.credentials)


def key_store(config: Config) -> KeyStore:
    """Where the keys are. Opens nothing."""
    sources: dict[Tier, RootSource] = {
        "file": RootFile(config.journal_key),
        "credential": RootCredential(),
        "tpm": RootTpm(config.journal_key.with_suffix(".tpm"), tcti=config.keys.tpm, pcrs=config.keys.pcrs),
    }
    return KeyStore(
        sources.pop(config.keys.source),
        keyring_of(config.journal_key),
        databases={
            "journal": config.journal,
            "catalogue": config.catalogue,
            "customers": config.customers,
            "credentials": config.credentials,
            "history": config.history,
        },
        former=tuple(sources.values()),
        recovery_public=config.keys.recovery_key,
    )


def load_keys(config: Config) -> Keys:
    """The keys that there are. Raises JournalError, TamperLatched where the case was opened."""
    Latch(config.journal).refuse_latched()
    return key_store(config).load()


def load_or_make_keys(config: Config) -> Keys:
    """The keys; made at first boot. A rotation that was cut off is finished first. Raises JournalError.

    TamperLatched where the case was opened.
    """
    Latch(config.journal).refuse_latched()
    store = key_store(config)
    _finish_rotation(config, store)
    return store.load_or_make(guarded(config))


def signing_key(config: Config) -> Path:
    """Where the signing key is kept."""
    return config.journal_key.with_name(SIGNING_KEY)


def open_signer(config: Config, keys: Keys) -> TerminalSigner:
    """The signing key; made at first boot, before the journal that names it. Raises JournalError."""
    return TerminalSigner.open(signing_key(config), keys, (config.journal,))


def _finish_rotation(config: Config, store: KeyStore) -> None:
    """Where the power went during a rotation, both generations of keys are at hand: what cannot be finished now can wait."""
    try:
        if not is_unfinished(store):
            return
        lock = claim(config.journal)
    except JournalInUse:
        return  # a daemon runs, and this is a command beside it
    try:
        finish(store, lambda: notify(f"EXTEND_TIMEOUT_USEC={EXTEND_US}"))
        _log.info("a rotation of keys was finished")
    except JournalError as error:
        _log.warning("a rotation of keys cannot be finished yet", extra={"code": error.code})
    finally:
        os.close(lock)
