"""Opens a terminal's own state as its configuration names it: keys, journal, catalogue, customers, credentials."""

from pathlib import Path

from store.keys import KeyFile, Keys, TerminalSigner
from terminald.config import Config


def guarded(config: Config) -> tuple[Path, ...]:
    """The files that a lost key could not open again: while one of them is there, no new key is made."""
    return (config.journal, config.catalogue, config.customers, config.credentials)


def load_keys(config: Config) -> Keys:
    """The keys that there are. Raises JournalError."""
    return KeyFile(config.journal_key).load()


def load_or_make_keys(config: Config) -> Keys:
    """The keys; made at first boot. Raises JournalError."""
    return KeyFile(config.journal_key).load_or_make(guarded(config))


def open_signer(config: Config, keys: Keys) -> TerminalSigner:
    """The signing key; made at first boot, before the journal that names it. Raises JournalError."""
    return TerminalSigner.open(config.journal_key.with_name("signing.key"), keys, (config.journal,))
